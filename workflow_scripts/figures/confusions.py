"""A confusion matrix in percent and what others change in it (Figs. 6 and 7 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from pydantic import field_validator

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels as words
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import (
    Evidence,
    Method,
    as_table,
    evidence_fields,
    group_by_panel,
    select_methods,
)
from workflow_scripts.statistics.class_metrics import mean_matrix, row_percent
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.samples import NotComparable, match
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

READING = (
    "Rows: true class; columns: predicted class. First matrix: percent of the true class's test clips, mean over "
    "trials. The others: difference in points over paired trials, + (red, dark in grey print) where it rises, "
    f"{number_format.MINUS} (blue, pale in grey print) where it falls."
)
COLUMNS = (
    "study",
    "panel",
    "matrix",
    "unit",
    "of",
    "over",
    "status",
    "reason",
    "true",
    "predicted",
    "value",
    "ci_low",
    "ci_high",
    "replicate",
    "n",
    "trials",
    "n_pretraining_seeds",
    "test_clips",
    "source",
    "data",
)
RATES, DIFFERENCE = "%", "points"
#: from the largest fall (Okabe and Ito's sky blue, luma 0.62) over none to half of the largest rise (luma 0.51) and all
#: of it: no fall is as dark as that half, so grey print tells large changes apart
CHANGES = LinearSegmentedColormap.from_list(
    "changes", [(0, plotting.COLOURS[5]), (0.5, "#f7f7f7"), (0.75, "#d6604d"), (1, "#67001f")]
)
CELL, MARGIN = 0.345, 0.3  # inches: "+100" at 7 points fits a cell; between matrices
TITLES = 0.75  # inches: three lines above a matrix and the label of its axis below
LABEL_POINTS = 8


class Options(LevelOptions):
    """Options of the matrices; levels pick one method of each data set."""

    matrix: Mapping[str, str | int] = {"workers": "WLP"}
    """Levels of the method whose confusion matrix is shown."""
    differences: tuple[Mapping[str, Mapping[str, str | int]], ...] = ()
    """Pairs of methods whose matrices are subtracted, each {of: levels, over: levels}."""

    @field_validator("differences")
    @classmethod
    def _require_both_sides(
        cls, differences: tuple[Mapping[str, Mapping[str, str | int]], ...]
    ) -> tuple[Mapping[str, Mapping[str, str | int]], ...]:
        """Raise `ValueError` for a difference that does not state both sides."""
        for number, pair in enumerate(differences):
            if set(pair) != {"of", "over"}:
                raise ValueError(f"difference {number} must state of and over, each with levels, not {pair}")
        return differences


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per entry of each matrix, or one that says why a matrix is missing.

    Raises `UserError` where levels do not pick one method, or a clip can have several classes.
    """
    sides = [options.matrix, *(side for pair in options.differences for side in pair.values())]
    drawn = tuple(dict.fromkeys(factor for side in sides for factor in side))
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel([m for m in evidence.methods if not m.floor], drawn=drawn).items():
        matrices: list[tuple[Mapping[str, str | int], Mapping[str, str | int] | None]] = [(options.matrix, None)]
        matrices += [(pair["of"], pair["over"]) for pair in options.differences]
        for of, over in matrices:
            chosen = [_one(methods, side, study=study, label=label) for side in (of, over) if side is not None]
            said = [_named(of), _named(over) if over is not None else ""]
            shared = {
                "study": study.name,
                "panel": label,
                "matrix": f" {number_format.MINUS} ".join(filter(None, said)),
            }
            shared |= {"unit": DIFFERENCE if over is not None else RATES, "of": said[0], "over": said[1]}
            rows += [shared | row for row in _matrix(chosen, evidence)]
    return as_table(rows, COLUMNS)


def _one(methods: Sequence[Method], levels: Mapping[str, str | int], *, study: Study, label: str) -> Method:
    found = select_methods(methods, levels)
    if len(found) != 1:
        raise UserError(
            f"study {study.name}: figure picks {len(found)} methods of {label} with {dict(levels)}, not one"
        )
    return found[0]


def _named(levels: Mapping[str, str | int]) -> str:
    return ", ".join(words.name(str(level)) for level in levels.values())


def _matrix(methods: Sequence[Method], evidence: Evidence) -> list[dict[str, object]]:
    """Entries of one matrix (one method) or of a difference (two)."""
    for method in methods:
        if not method.cells:
            return [{"status": MISSING, "reason": method.reason}]
    classes, rates = _rates(methods[0], evidence)
    if len(methods) == 1:
        replicate = "trials" if len(rates) == 1 else "pretraining seeds"
        values = rates[0] if len(rates) == 1 else np.stack([each.mean(axis=0) for each in rates])
    else:
        matching = match(methods[0].cells, methods[1].cells)
        if isinstance(matching, NotComparable):
            return [{"status": MISSING, "reason": matching.reason}]
        left, right = matching.values(rates, _rates(methods[1], evidence)[1])
        replicate, values = matching.replicate, left - right
    shared = evidence_fields([cell for method in methods for cell in method.cells]) | {
        "status": MEASURED,
        "replicate": replicate,
        "n": len(values),
        "n_pretraining_seeds": max(sum(cell.pretrained for cell in method.cells) for method in methods),
    }
    intervals = mean_matrix(values)
    return [
        shared
        | {"true": true, "predicted": predicted, "value": entry.mean, "ci_low": entry.ci.low, "ci_high": entry.ci.high}
        for true, row in zip(classes, intervals, strict=True)
        for predicted, entry in zip(classes, row, strict=True)
    ]


def _rates(method: Method, evidence: Evidence) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Classes, and of each measured cell the rates (trials, true, predicted) in percent."""
    found = evidence.predictions_of(method)
    if any(predictions.confusion.ndim != 3 for predictions in found):
        raise UserError(
            f"study {evidence.study.name}: figure confusions needs one class a clip, and clips of "
            f"{method.levels['dataset']} have several; choose another data set"
        )
    return found[0].classes, [row_percent(predictions.confusion) for predictions in found]


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    matrices = [
        (panel, name, rows)
        for panel, within in plotting.groups(numbers, "panel")
        for name, rows in plotting.groups(within, "matrix")
    ]
    classes = max((rows["true"].nunique() for _, _, rows in matrices), default=1)
    side = CELL * max(classes, 4)
    rows, columns = plotting.grid_shape(len(matrices), width=side + MARGIN)
    names = plotting.measured_rows(numbers)["true"].map(len).max() if len(plotting.measured_rows(numbers)) else 8
    labels = LABEL_POINTS / 72 * 0.62 * names + 0.25
    figure = plotting.new_figure(columns * (side + MARGIN) + labels, rows * (side + labels + TITLES))
    axes = plotting.add_panels(figure, rows, columns, len(matrices))
    differences = plotting.measured_rows(numbers[numbers["unit"] == DIFFERENCE])["value"].abs()
    largest = max(float(differences.max()), 1.0) if differences.notna().any() else 1.0  # of a point: no division by 0
    for number, (panel, (place, name, within)) in enumerate(zip(axes, matrices, strict=True)):
        title = plotting.panel_title(place, within)
        panel.set_title(f"{name} ({next(iter(within['unit']))})\n{title if number % columns == 0 else place}")
        if plotting.measured_rows(within).empty:
            panel.set_title(f"{name}\n{place}\n{in_short(next(iter(within['reason'])))}")
            plotting.hide_scales(panel)
        else:
            _cells(panel, within, largest=largest, labelled=number % columns == 0)
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _cells(panel: Axes, rows: pd.DataFrame, *, largest: float, labelled: bool) -> None:
    classes = list(dict.fromkeys(rows["true"]))
    values = rows["value"].to_numpy(float).reshape(len(classes), len(classes))
    differs = next(iter(rows["unit"])) == DIFFERENCE
    norm = TwoSlopeNorm(0, -largest, largest) if differs else Normalize(0, 100)
    colours = CHANGES if differs else mpl.colormaps["Greys"]
    panel.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=norm, edgecolors="white", linewidth=0.5)
    for (row, column), value in np.ndenumerate(values):
        _number(panel, value, x=column + 0.5, y=row + 0.5, differs=differs, colours=colours, norm=norm)
    panel.invert_yaxis()
    middles = np.arange(len(classes)) + 0.5
    panel.set_xticks(middles, classes, rotation=90, fontsize=LABEL_POINTS)
    panel.set_yticks(middles, classes if labelled else [""] * len(classes), fontsize=LABEL_POINTS)
    panel.set_xlabel("predicted", fontsize=LABEL_POINTS)
    panel.set_ylabel("true" if labelled else "", fontsize=LABEL_POINTS)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def _number(
    panel: Axes, value: float, *, x: float, y: float, differs: bool, colours: Colormap, norm: Normalize
) -> None:
    """Print an entry: signed where it is a difference, in white on dark cells, pale where it rounds to nothing."""
    if not np.isfinite(value):
        panel.text(x, y, "no clips" if x == 0.5 else "", ha="left", va="center", fontsize=6, color=plotting.SOFT)
        return
    text = number_format.signed(value, 0) if differs else number_format.number(value, 0)
    red, green, blue, _ = colours(norm(value))
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55  # luma of ITU-R BT.601: where white reads better than ink
    ink = "white" if dark else plotting.SOFT if text == "0" else plotting.INK
    panel.text(x, y, text, ha="center", va="center", fontsize=7, color=ink)


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Per matrix the mean of the diagonal and the three largest entries off it, by size."""
    said = []
    for place, within in plotting.groups(numbers, "panel"):
        for name, rows in plotting.groups(within, "matrix"):
            found = plotting.measured_rows(rows).dropna(subset="value")
            differs = next(iter(rows["unit"])) == DIFFERENCE
            if found.empty:
                said.append(f"{place}, {name}: {next(iter(rows['reason']))}")
                continue
            on = found[found["true"] == found["predicted"]]["value"].mean()
            off = found[found["true"] != found["predicted"]]
            off = off.loc[off["value"].abs().sort_values(ascending=False, kind="stable").index].head(3)
            shown = number_format.signed if differs else number_format.number
            largest = "; ".join(f"{row.true} as {row.predicted} {shown(row.value, 1)}" for row in plotting.records(off))
            right = "change of the share that is right" if differs else "share that is right"
            said.append(
                f"{place}, {name}: mean {right} {shown(on, 1)} {next(iter(rows['unit']))}; "
                f"largest {'changes of mistakes' if differs else 'mistakes'}: {largest}"
            )
    return f"Confusion matrices. {'. '.join(said)}."
