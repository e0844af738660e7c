"""Cost plot: score against size, embedding time and computing time, with the methods that nothing cheaper beats."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.manifest import PlannedCell, Study
from workflow_scripts.report import labels, number_format, plotting, printed_figure, status
from workflow_scripts.report.encoder_sizes import read_parameters
from workflow_scripts.report.figure_inputs import as_table
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.printed_figure import PrintedFigure
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.report.site.inputs import ReportInputs
from workflow_scripts.report.site.leaderboard import SETTING, Leaderboard, LeaderboardRow
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MILLION = 1_000_000
MAX_METHODS = 40  # drawn: more hide each other, and fill a page of 3 MB
MAX_NAMED = 12  # methods in the legend; of more it names the encoders
PANEL_WIDTH, HEIGHT = 3.4, 3.0  # inches: three panels fit a page
MIN_WIDTH = 6.0  # inches: the note on twins fits in one line
TIMED = ("pretrain", "embed", "evaluate")  # stages whose time counts as that of a number
NARROWEST = math.log(2)  # of a logarithmic axis: on a shorter one small differences would look large
MARGIN = 0.12  # share of the axis beside the cheapest and the dearest method
DODGE = 0.03  # share of the axis between two methods of the same cost: the width of a dot
LABEL_DISTANCE = 0.25  # share of the axis: a label of six digits in a panel of 3.4 inches
FRONT = "on the front"
COLUMNS = (
    *"study metric unit panel method encoder role status value mean ci_low ci_high variance_sources".split(),
    *"front test_clips source".split(),
)
READING = (
    "Dots: mean with the 95 % confidence interval of the table; open dots are floors. Horizontal axes are logarithmic. "
    "Thick line: the front, the methods whose mean no cheaper one reaches; whether such a difference is shown, the "
    "comparisons of the studies say. "
    f"{ON_TRAINING_DATA}: on data that others trained the encoder on. "
    "Hours are those of pre-training, embedding and evaluation, without preparing data."
)
LIMITS = {"mean": "mean", "ci_low": "low", "ci_high": "high"}  # columns of the figure, and their names in an entry


@dataclass(frozen=True, kw_only=True)
class CostPlot:
    """The figure, None if nothing could be drawn, and notes on what is left out and on devices."""

    figure: PrintedFigure | None
    notes: tuple[str, ...]


Cost = Callable[[LeaderboardRow, Sequence[PlannedCell]], float | None]


@dataclass(kw_only=True)
class _Reader:
    """Costs of methods, from the records of the jobs behind their cells; each file is read once."""

    inputs: ReportInputs
    records: dict[Path, dict[str, Any]] = field(default_factory=dict)

    def costs(self, *, on_gpu: bool) -> dict[str, Cost]:
        """Return the costs by the label of their axis; None is one that no record has."""
        hours = "GPU hours" if on_gpu else "hours of computing"
        return {
            "parameters of the encoder (millions)": self._size,
            "embedding: seconds per second of audio": lambda _, cells: self._embedding(cells),
            f"{hours} per pre-training seed": lambda _, cells: self._hours(cells, on_gpu=on_gpu),
        }

    def uses_gpu(self, cells: Sequence[PlannedCell]) -> bool:
        """Return whether any job behind the cells ran on a GPU."""
        return self._hours(cells, on_gpu=True) is not None

    def devices(self) -> str:
        """Return the devices of all records that were read."""
        return ", ".join(sorted({str(record["device"]) for record in self.records.values() if record.get("device")}))

    def _read(self, path: Path | None) -> dict[str, Any]:
        """Return a record, or the facts of a corpus; empty without a file."""
        if path is None:
            return {}
        if path not in self.records:
            self.records[path] = self.inputs.manifest.find_record(path) or {}
        return self.records[path]

    def _size(self, row: LeaderboardRow, cells: Sequence[PlannedCell]) -> float | None:
        """Return the trained parameters of the encoder, in millions."""
        parameters = read_parameters(cells[0], self.inputs.manifest) if cells and not row.floor else None
        return parameters / MILLION if parameters else None

    def _embedding(self, cells: Sequence[PlannedCell]) -> float | None:
        """Return the seconds that embedding takes for a second of audio, mean over the pre-training seeds."""
        ratios = []
        for cell in cells:
            prepared, embedded = cell.job("prepare"), cell.job("embed")
            audio = self._read(prepared.output if prepared else None).get("seconds")
            seconds = self._read(embedded.record if embedded else None).get("seconds")
            ratios += [seconds / audio] if audio and seconds else []
        return sum(ratios) / len(ratios) if ratios else None

    def _hours(self, cells: Sequence[PlannedCell], *, on_gpu: bool) -> float | None:
        """Return the hours of pre-training, embedding and evaluation for one pre-training seed."""
        paths = {cell.path.with_name(result_files.RECORD) for cell in cells}
        paths |= {job.record for cell in cells for job in cell.jobs if job.stage in TIMED}
        records = [self._read(path) for path in sorted(paths)]
        seconds = sum(
            float(record.get("seconds") or 0)
            for record in records
            if not on_gpu or str(record.get("device", "")).startswith(status.GPU)
        )
        return seconds / 3600 / len(cells) if seconds else None


def build(inputs: ReportInputs, board: Leaderboard) -> CostPlot:
    """Return the plot of one column and setting."""
    choice = _choose(board)
    if choice is None:
        return CostPlot(figure=None, notes=("Nothing was measured, so there is no score to draw.",))
    place, setting = choice
    of_setting = [row for row in board.rows if row.setting == setting and _mean(row, place) is not None]
    rows = _select(of_setting, place)
    reader = _Reader(inputs=inputs)
    cells = [_cells(row, board.columns[place].dataset, inputs.links) for row in rows]
    table: list[dict[str, object]] = []
    notes = []
    for panel, cost in reader.costs(on_gpu=any(map(reader.uses_gpu, cells))).items():
        values = [cost(row, of_row) for row, of_row in zip(rows, cells, strict=True)]
        drawn = [(row, value) for row, value in zip(rows, values, strict=True) if value]
        if len(drawn) > 1:
            table += _panel_rows(panel, drawn, place, board)
        else:
            count = number_format.count(len(drawn), "methods")
            notes.append(f"{labels.capital(panel)}: not drawn, because it is recorded for {count}.")
    if len(rows) < len(of_setting):
        notes.append(f"Of {len(of_setting):,} methods {len(rows):,} are drawn: the best of each encoder.")
    if table and (devices := reader.devices()):
        notes.append(f"Times were measured on: {devices}.")
    levels = ", ".join(
        f"{labels.name(factor)} {labels.name(level)}" for factor, level in zip(SETTING, setting, strict=True)
    )
    title = f"Score and cost: {board.columns[place].label}; {levels}"
    figure = _print(board.columns[place].metric, title, as_table(table, COLUMNS)) if table else None
    return CostPlot(figure=figure, notes=tuple(notes))


def _choose(board: Leaderboard) -> tuple[int, tuple[str, ...]] | None:
    """Return the column and setting with the most encoders, of these those with the most methods.

    Settings without pre-training come last: their encoders cost no more than any network of their size.
    """
    rows: dict[tuple[int, tuple[str, ...]], list[LeaderboardRow]] = {}
    for row in board.rows:
        for place in range(len(board.columns)):
            if _mean(row, place) is not None:
                rows.setdefault((place, row.setting), []).append(row)

    def weight(key: tuple[int, tuple[str, ...]]) -> tuple[bool, int, int]:
        encoders = {row.levels["encoder"] for row in rows[key]}
        return any(row.levels["corpus"] != NONE for row in rows[key]), len(encoders), len(rows[key])

    return max(rows, key=weight, default=None)


def _mean(row: LeaderboardRow, place: int) -> float | None:
    score = row.scores[place]
    return None if score is None else score.entry.mean


def _select(rows: Sequence[LeaderboardRow], place: int) -> list[LeaderboardRow]:
    """Return all rows, or the best of each encoder if there are too many; the highest score first."""
    ordered = sorted(rows, key=lambda row: -(_mean(row, place) or 0))
    if len(ordered) <= MAX_METHODS:
        return ordered
    limit = max(1, MAX_METHODS // len({row.levels["encoder"] for row in rows}))
    taken: dict[str, int] = {}
    selected = []
    for row in ordered:
        encoder = row.levels["encoder"]
        taken[encoder] = taken.get(encoder, 0) + 1
        if taken[encoder] <= limit:
            selected.append(row)
    return selected[:MAX_METHODS]


def _cells(row: LeaderboardRow, dataset: str, links: CellLinks) -> list[PlannedCell]:
    """Return the cells behind the number of a row on a data set."""
    levels = {**row.levels, "dataset": dataset}
    return links.groups.get(tuple(levels[factor] for factor in METHOD_FACTORS), [])


def _panel_rows(
    panel: str, drawn: Sequence[tuple[LeaderboardRow, float]], place: int, board: Leaderboard
) -> Iterator[dict[str, object]]:
    column = board.columns[place]
    front = _front([(value, _mean(row, place) or 0) for row, value in drawn])
    for (row, value), is_on_front in zip(drawn, front, strict=True):
        score = row.scores[place]
        assert score is not None
        yield {
            **{name: getattr(score.entry, attribute) for name, attribute in LIMITS.items()},
            "study": "costs",
            "metric": column.metric,
            "unit": column.measure.unit,
            "panel": panel,
            "method": f"{row.label} {ON_TRAINING_DATA}" if score.entry.on_training_data else row.label,
            "encoder": labels.name(row.levels["encoder"]),
            "role": "floor" if row.floor else "method",
            "status": MEASURED,
            "value": value,
            "front": FRONT if is_on_front else "",
            "source": column.source,
        }


def _front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which points of cost and score no other reaches at the same or a lower cost."""
    return [
        not any(
            cost <= own_cost and score >= own_score and (cost, score) != (own_cost, own_score) for cost, score in points
        )
        for own_cost, own_score in points
    ]


def _print(metric: str, title: str, numbers: pd.DataFrame) -> PrintedFigure:
    """Return the figure, as that of a study without a name of its own."""
    study = Study(
        name="costs",
        title=title,
        question="",
        metric=metric,
        rows=("encoder",),
        columns=("dataset",),
    )
    with tempfile.TemporaryDirectory() as folder:
        svg = Path(folder) / "costs.svg"
        plotting.save(plotting.draw_figure(draw, study, numbers), svg)
        description = plotting.describe_figure(describe, study, numbers)
        return printed_figure.format_figure(study, numbers, svg=svg, reading=READING, description=description)


def draw(study: Study, numbers: pd.DataFrame) -> Figure:
    """Draw score against each cost."""
    key = "method" if numbers["method"].nunique() <= MAX_NAMED else "encoder"
    names = list(dict.fromkeys(numbers[key]))
    styles = {name: plotting.distinct_style(index) for index, name in enumerate(names)}
    floors = set(numbers.loc[numbers["role"] == "floor", key])
    handles = [
        plotting.legend_handle(name, linestyle="none", markersize=6, **_style(styles[name], floor=name in floors))
        for name in names
    ]
    handles.append(plotting.legend_handle("front", color=plotting.GREY, linewidth=2))
    panels = plotting.groups(numbers, "panel")
    width = max(PANEL_WIDTH * len(panels), MIN_WIDTH)
    columns = plotting.legend_columns(handles, width=width)
    figure = plotting.new_figure(width, HEIGHT + plotting.LEGEND_HEIGHT * -(-len(handles) // columns))
    axes = plotting.add_panels(figure, 1, len(panels), len(panels), sharey=True)
    measure = number_format.measure(study.metric)
    for panel, (label, rows) in zip(axes, panels, strict=True):
        _draw_panel(panel, rows, key=key, styles=styles)
        panel.set_xlabel(label)
    plotting.limit_to_range(axes[0], "y", measure)  # which all panels share
    axes[0].set_ylabel(measure.heading)
    plotting.add_legend(figure, handles, columns=columns)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _style(style: Mapping[str, Any], *, floor: bool) -> dict[str, Any]:
    return {**style, "markerfacecolor": "white"} if floor else dict(style)


def _draw_panel(panel: Axes, rows: pd.DataFrame, *, key: str, styles: Mapping[str, Mapping[str, Any]]) -> None:
    plotting.add_grid(panel, lines="y")
    costs = rows["value"]
    middle, reach = math.sqrt(costs.min() * costs.max()), math.log(costs.max() / costs.min())
    shown = max(reach, NARROWEST)
    left, right = (middle * math.exp(side * shown * (0.5 + MARGIN)) for side in (-1, 1))
    front = rows[rows["front"] == FRONT].sort_values(["value", "mean"])
    line = [*front["value"], right], [*front["mean"], front["mean"].iloc[-1]]
    panel.step(*line, where="post", color=plotting.GREY, linewidth=2, zorder=2)
    for row, shift in zip(plotting.records(rows), _shifts(costs, DODGE * shown), strict=True):
        errors = None if pd.isna(row.ci_low) else [[row.mean - row.ci_low], [row.ci_high - row.mean]]
        style = _style(styles[getattr(row, key)], floor=row.role == "floor")
        panel.errorbar(row.value * shift, row.mean, errors, markersize=6, capsize=2, linewidth=1.2, zorder=3, **style)
    distance = LABEL_DISTANCE * (1 + 2 * MARGIN) * shown / reach if reach else LABEL_DISTANCE
    plotting.label_sizes(panel, costs, lambda value: f"{float(f'{value:.2g}'):g}", distance=distance)
    panel.set_xlim(left, right)
    panel.margins(y=0.1)


def _shifts(costs: pd.Series, step: float) -> list[float]:
    """Return the factor by which each point is shifted, so that methods of one cost stand side by side."""
    totals = costs.value_counts()
    places = costs.groupby(costs).cumcount()
    return [math.exp(step * (place - (totals[cost] - 1) / 2)) for cost, place in zip(costs, places, strict=True)]


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe cost and mean of every method, cost by cost; those on the front are marked."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        values = [
            f"{row.method} {number_format.number(row.mean, measure.decimals)} at {row.value:.3g}"
            + (f" ({FRONT})" if row.front else "")
            for row in plotting.records(rows)
        ]
        return plotting.panel_sentence(labels.capital(label), rows, values)

    return plotting.describe_panels(f"{labels.capital(measure.heading)} against cost", numbers, sentence)
