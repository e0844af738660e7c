"""Score over the number of parameters of the encoder, a dot with its interval per method (Spijkervet 2021, Fig. 1.1).

The published mean of a method is an open dot beside it, at the published size of the network where a statement has it,
else at the size of our encoder; networks of other publications are grey. Published numbers are drawn only where a dot
of our own is from real data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import encoder_sizes, labels, number_format, plotting
from workflow_scripts.report.figure_inputs import INTERVAL, Evidence, Method, as_table, group_by_panel, method_columns
from workflow_scripts.report.labels import TWIN
from workflow_scripts.statistics.reproduction.published_rows import find_row, read_published
from workflow_scripts.statistics.reproduction.statement_checks import published_value
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("pretrain",)
READING = (
    f"Dots: mean with {INTERVAL}. Horizontal axis (logarithmic): number of trainable parameters of the encoder, "
    "without the head. Open dots: published means, at the published size where there is one; grey: networks of other "
    "publications, as published; both drawn on real data only. Horizontal lines: floors, which have no trained "
    "parameters."
)
COLUMNS = method_columns("method role", "parameters mean ci_low ci_high variance_sources n replicate")
POINT, FLOOR, PUBLISHED, CITED = "method", "floor", "published", "cited"
NOT_COUNTED = "size not known: no run of this study's config pre-trains this encoder"
PANEL_WIDTH, HEIGHT = 4.2, 3.4  # inches: two panels fit a page
DODGE = 1.03  # ratio of the positions of two methods of the same size, so that no bar hides another
MILLION = 1_000_000


class Options(LevelOptions):
    """Options of what is drawn beside the study's methods."""

    cited: tuple[tuple[str, str, str], ...] = ()
    """Networks of other publications: name, and the ids of published rows with their size in millions and their
    score."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel and method, then the published means of the methods, in the printed unit."""
    varying = {*study.rows, *PRETRAINING, "scenario"}
    rows = []
    for label, methods in group_by_panel(evidence.methods, varying=tuple(varying)).items():
        shared = {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        rows += [
            shared | row
            for row in [
                *(_point(method, evidence) for method in methods),
                *_published_rows(methods, evidence),
                *_cited_rows(methods, options),
            ]
        ]
    return as_table(rows, COLUMNS)


def _point(method: Method, evidence: Evidence) -> dict[str, object]:
    size = encoder_sizes.count_parameters(method, evidence)
    row = method.facts | {"method": plotting.level_names(method.levels, evidence.study.rows), "parameters": size}
    row["role"] = FLOOR if method.floor else POINT
    if method.estimate is None:
        return row
    if size is None and not method.floor:
        return row | {"status": MISSING, "reason": NOT_COUNTED}
    return row | method.estimate.fields(evidence.measure.scale)


def _is_real(method: Method) -> bool:
    """Return whether a method was measured on real data."""
    return bool(method.cells) and not any(TWIN in cell.source for cell in method.cells)


def _cited_rows(methods: Sequence[Method], options: Options) -> Iterator[dict[str, object]]:
    """Yield a row per network of another publication, where a method was measured on real data."""
    published = read_published()
    for name, parameters, score in options.cited if any(map(_is_real, methods)) else ():
        size, mean = (find_row(published, row, where=f"figure: cited {name}")["mean"] for row in (parameters, score))
        yield {
            "dataset": methods[0].levels["dataset"],
            "method": name,
            "role": CITED,
            "status": MEASURED,
            "parameters": round(float(size) * MILLION),
            "mean": float(mean),
        }


def _published_size(study: Study, method: Method) -> int | None:
    """Return the published size of a method's network, if a statement of the study has it."""
    for statement in study.statements:
        if statement.quantity == "parameters" and method.planned_cells[0].matches(statement.of_steps[0]):
            return round(published_value(statement, study=study.name) * MILLION)
    return None


def _published_rows(methods: Sequence[Method], evidence: Evidence) -> Iterator[dict[str, object]]:
    """Yield a row per published mean of these methods, where they were measured on real data."""
    study = evidence.study
    for statement in study.statements:
        if statement.quantity != "mean" or (statement.metric or study.metric) != study.metric:
            continue
        for method in methods:
            size = _published_size(study, method) or encoder_sizes.count_parameters(method, evidence)
            of = statement.of_steps
            matches = len(of) == 1 and method.planned_cells[0].matches(of[0])
            if not matches or size is None or not _is_real(method):
                continue
            yield {
                **method.levels,
                "method": plotting.level_names(method.levels, study.rows),
                "role": PUBLISHED,
                "status": MEASURED,
                "parameters": size,
                "mean": published_value(statement, study=study.name),
            }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    methods, floors = (list(dict.fromkeys(numbers.loc[numbers["role"] == role, "method"])) for role in (POINT, FLOOR))
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH)
    handles = [
        plotting.legend_handle(name, linestyle="none", markersize=6, **plotting.distinct_style(index))
        for index, name in enumerate(methods)
    ]
    if (numbers["role"] == PUBLISHED).any():
        handles.append(plotting.legend_handle("published", linestyle="none", **_open_style(plotting.BLACK, "o")))
    handles += [
        plotting.legend_handle(f"{name} (floor)", **plotting.reference_style(index))
        for index, name in enumerate(floors)
    ]
    cited = list(dict.fromkeys(numbers.loc[numbers["role"] == CITED, "method"]))
    handles += [
        plotting.legend_handle(f"{name} (cited)", linestyle="none", **_cited_style(index))
        for index, name in enumerate(cited)
    ]
    legend_columns = plotting.legend_columns(handles, width=PANEL_WIDTH * columns)
    legend_rows = -(-len(handles) // legend_columns)
    figure = plotting.new_figure(PANEL_WIDTH * columns, HEIGHT * rows + plotting.LEGEND_HEIGHT * legend_rows)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, study=study, methods=methods, floors=floors)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(
    panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, methods: Sequence[str], floors: Sequence[str]
) -> None:
    measured = plotting.measured_rows(rows)
    plotting.add_grid(panel, lines="y")
    points = measured[measured["role"] != FLOOR]
    absent = [row.method for row in plotting.records(rows[(rows["role"] == POINT) & (rows["status"] == MISSING)])]
    title = plotting.panel_title(label, rows[rows["role"] != PUBLISHED])
    panel.set_title(
        "\n".join([title, f"not drawn: {number_format.count(len(absent), 'methods')}"] if absent else [title])
    )
    if points.empty:
        plotting.hide_scales(panel)
        return
    dodges = _dodges(points)
    cited = list(dict.fromkeys(measured.loc[measured["role"] == CITED, "method"]))
    for row in plotting.records(measured):
        if row.role == FLOOR:
            panel.axhline(row.mean, zorder=1, **plotting.reference_style(floors.index(row.method)))
            continue
        if row.role == CITED:
            panel.plot(
                [row.parameters], [row.mean], linestyle="none", zorder=2, **_cited_style(cited.index(row.method))
            )
            continue
        style = plotting.distinct_style(methods.index(row.method))
        if row.role == PUBLISHED:
            panel.plot(
                [row.parameters * dodges[row.method]], [row.mean], linestyle="none", zorder=2, **_open_style(**style)
            )
            continue
        has_interval = not pd.isna(row.ci_low)
        errors = [[row.mean - row.ci_low], [row.ci_high - row.mean]] if has_interval else None
        size = row.parameters * dodges[row.method]
        panel.errorbar(size, row.mean, errors, markersize=6, capsize=3, linewidth=1.4, zorder=3, **style)
    plotting.label_sizes(panel, points["parameters"].astype(float), _millions)
    panel.margins(x=0.2, y=0.1)
    panel.set_xlabel("parameters of the encoder (millions, logarithmic)")
    measure = number_format.measure(study.metric)
    panel.set_ylabel(measure.heading)
    plotting.limit_to_range(panel, "y", measure)


def _dodges(points: pd.DataFrame) -> dict[str, float]:
    """Return the factor by which each method is shifted, so that methods of one size are side by side."""
    return {
        str(name): DODGE ** (index - (len(set(rows["method"])) - 1) / 2)
        for _, rows in points.groupby("parameters", sort=False)
        for index, name in enumerate(dict.fromkeys(rows["method"]))
    }


def _millions(size: float) -> str:
    """Return parameters in millions with two significant digits, about the resolution of the axis."""
    return f"{float(f'{size / MILLION:.2g}'):g}"


def _cited_style(index: int) -> dict[str, Any]:
    return {"color": plotting.GREY, "marker": plotting.MARKERS[index % len(plotting.MARKERS)], "markersize": 6}


def _open_style(color: str, marker: str) -> dict[str, Any]:
    return {"color": color, "marker": marker, "markerfacecolor": "white", "markersize": 8}


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe mean and size of every method, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        values = [_value(row, measure) for row in plotting.records(plotting.measured_rows(rows))]
        return plotting.panel_sentence(label, rows[rows["role"] != PUBLISHED], values)

    subject = f"{labels.capital(measure.heading)} over the number of parameters of the encoder"
    return plotting.describe_panels(subject, numbers, sentence)


def _value(row: Any, measure: number_format.Measure) -> str:
    mean = number_format.number(row.mean, measure.decimals)
    if row.role == FLOOR:
        return f"{row.method} (floor) {mean}"
    if row.role == PUBLISHED:
        return f"{row.method} as published {mean}"
    if row.role == CITED:
        return f"{row.method} as published elsewhere {mean} with {row.parameters:,}"
    return f"{row.method} {mean} with {row.parameters:,}"
