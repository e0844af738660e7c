"""A confusion matrix in percent and its changes by other methods (Figs. 6 and 7 of Wu et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import field_validator

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    SAMPLE_COLUMNS,
    Evidence,
    Method,
    as_table,
    evidence_fields,
    group_by_panel,
    select_method,
)
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.class_metrics import row_percent
from workflow_scripts.statistics.estimation import ValueRange, mean_matrix
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.samples import NotComparable, match
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.text import Text

READING = (
    "Rows: true class; columns: predicted class. First matrix: percent of the true class's test clips, mean over "
    "trials (over pre-training seeds where there are several). The others: mean paired difference in points, + (red, "
    f"dark in grey print) where the percentage rises, {number_format.MINUS} (blue, pale in grey print) where it falls; "
    "a rise is good on the diagonal and bad elsewhere. Bold: the interval excludes zero. The csv has the "
    f"{CONFIDENCE} t intervals, which cover trials or pre-training seeds, for the fixed test set."
)
COLUMNS = (
    *"study panel matrix unit of over status reason true predicted value ci_low ci_high replicate n".split(),
    *SAMPLE_COLUMNS,
)
RATES, DIFFERENCE = "%", "points"
#: from the largest fall (Okabe and Ito's sky blue, luma 0.62) over none to half of the largest rise (luma 0.51) and all
#: of it: no fall is as dark as that half, so large rises and falls differ in grey print
CHANGES = ((0, plotting.COLOURS[5]), (0.5, "#f7f7f7"), (0.75, "#d6604d"), (1, "#67001f"))
CELL, MARGIN = 0.345, 0.3  # inches: "+100" at 7 points fits a cell; between matrices
SCALE = 0.8  # inches: scale of the differences with its numbers and name
TITLES = 0.75  # inches: three lines above a matrix and the label of its axis below
LABEL_POINTS = 8


class Options(LevelOptions):
    """Options of the matrices; levels pick one method of each data set."""

    matrix: Mapping[str, str | int] = {"workers": "WLP"}
    """Levels of the method of the first matrix."""
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
    """Return one row per entry of each matrix, or one with the reason of a missing matrix.

    Raises `UserError` where levels do not pick one method, or a clip can have several classes.
    """
    sides = [options.matrix, *(side for pair in options.differences for side in pair.values())]
    varying = tuple(dict.fromkeys(factor for side in sides for factor in side))
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(
        [method for method in evidence.methods if not method.floor], varying=varying
    ).items():
        matrices: list[tuple[Mapping[str, str | int], Mapping[str, str | int] | None]] = [(options.matrix, None)]
        matrices += [(pair["of"], pair["over"]) for pair in options.differences]
        for of, over in matrices:
            where = f"study {study.name}, {label}: figure"
            pair = [select_method(methods, side, where=where) for side in (of, over) if side is not None]
            names = [_label(of), _label(over) if over is not None else ""]
            shared = {
                "study": study.name,
                "panel": label,
                "matrix": f" {number_format.MINUS} ".join(filter(None, names)),
            }
            shared |= {"unit": DIFFERENCE if over is not None else RATES, "of": names[0], "over": names[1]}
            rows += [shared | row for row in _matrix(pair, evidence)]
    return as_table(rows, COLUMNS)


def _label(levels: Mapping[str, str | int]) -> str:
    return ", ".join(labels.name(str(level)) for level in levels.values())


def _matrix(methods: Sequence[Method], evidence: Evidence) -> list[dict[str, object]]:
    """Return the entries of one method's matrix, or of the difference of two."""
    for method in methods:
        if not method.cells:
            return [{"status": MISSING, "reason": method.reason}]
    classes, rates = _rates(methods[0], evidence)
    if len(methods) == 1:
        replicate = "trials" if len(rates) == 1 else "pretraining seeds"
        values = rates[0] if len(rates) == 1 else np.stack([of_seed.mean(axis=0) for of_seed in rates])
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
    intervals = mean_matrix(values, within=ValueRange(largest=100, difference=len(methods) > 1))
    return [
        shared
        | {"true": true, "predicted": predicted, "value": entry.mean, "ci_low": entry.ci.low, "ci_high": entry.ci.high}
        for true, row in zip(classes, intervals, strict=True)
        for predicted, entry in zip(classes, row, strict=True)
    ]


def _rates(method: Method, evidence: Evidence) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Return the classes and the rates of each measured cell (trials, true, predicted) in percent."""
    predictions_of_cells = evidence.predictions_of(method)
    if any(predictions.confusion.ndim != 3 for predictions in predictions_of_cells):
        raise UserError(
            f"study {evidence.study.name}: figure confusions needs one class a clip, and clips of "
            f"{method.levels['dataset']} have several; choose another data set"
        )
    return predictions_of_cells[0].classes, [row_percent(predictions.confusion) for predictions in predictions_of_cells]


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    matrices = plotting.subgroups(numbers, "panel", "matrix")
    classes = max((rows["true"].nunique() for _, _, rows in matrices), default=1)
    side = CELL * max(classes, 4)
    rows, columns = plotting.grid_shape(len(matrices), width=side + MARGIN)
    names = plotting.measured_rows(numbers)["true"].map(len).max() if len(plotting.measured_rows(numbers)) else 8
    labels_height = LABEL_POINTS / 72 * 0.62 * names + 0.25
    width = columns * (side + MARGIN) + labels_height + SCALE
    figure = plotting.new_figure(width, rows * (side + labels_height + TITLES))
    axes = plotting.add_panels(figure, rows, columns, len(matrices))
    differences = plotting.measured_rows(numbers[numbers["unit"] == DIFFERENCE])["value"].abs()
    largest = max(float(differences.max()), 1.0) if differences.notna().any() else 1.0  # of a point: no division by 0
    for number, (panel, (label, name, within)) in enumerate(zip(axes, matrices, strict=True)):
        title = plotting.panel_title(label, within)
        lines = title if number % columns == 0 else label + "\n" * (title.count("\n") - label.count("\n"))
        panel.set_title(f"{name} ({next(iter(within['unit']))})\n{lines}")
        if plotting.measured_rows(within).empty:
            panel.set_title(f"{name}\n{label}\n{in_short(next(iter(within['reason'])))}")
            plotting.hide_scales(panel)
        else:
            _cells(panel, within, largest=largest, labelled=number % columns == 0)
    if differences.notna().any():
        _add_scale(figure, axes, largest)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _add_scale(figure: Figure, axes: Sequence[Axes], largest: float) -> None:
    """Add the scale of the differences beside the matrices."""
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415  (planning needs no matplotlib)

    colours, norm = scale_changes(largest)
    ends = (-largest, 0, largest)
    scale = figure.colorbar(ScalarMappable(norm, colours), ax=list(axes), shrink=0.6, aspect=30, pad=0.01)
    scale.set_ticks(ends, labels=[number_format.signed_number(end, 0) for end in ends])
    scale.set_label("change (points)")


def _cells(panel: Axes, rows: pd.DataFrame, *, largest: float, labelled: bool) -> None:
    classes = list(dict.fromkeys(rows["true"]))
    values = rows["value"].to_numpy(float).reshape(len(classes), len(classes))
    differs = next(iter(rows["unit"])) == DIFFERENCE
    colours, norm = scale_changes(largest) if differs else scale_rates()
    panel.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=norm, edgecolors="white", linewidth=0.5)
    certain = ((rows["ci_low"] > 0) | (rows["ci_high"] < 0)).to_numpy().reshape(values.shape)
    for (row, column), value in np.ndenumerate(values):
        text = _number(panel, value, x=column + 0.5, y=row + 0.5, differs=differs, colours=colours, norm=norm)
        if differs and certain[row, column]:
            text.set_fontweight("bold")
    panel.invert_yaxis()
    middles = np.arange(len(classes)) + 0.5
    panel.set_xticks(middles, classes, rotation=90, fontsize=LABEL_POINTS)
    panel.set_yticks(middles, classes if labelled else [""] * len(classes), fontsize=LABEL_POINTS)
    panel.set_xlabel("predicted", fontsize=LABEL_POINTS)
    panel.set_ylabel("true" if labelled else "", fontsize=LABEL_POINTS)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


def scale_changes(largest: float) -> tuple[Colormap, Normalize]:
    """Return the colours of changes from -`largest` to `largest` points."""
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm  # noqa: PLC0415  (planning needs no matplotlib)

    return LinearSegmentedColormap.from_list("changes", CHANGES), TwoSlopeNorm(0, -largest, largest)


def scale_rates() -> tuple[Colormap, Normalize]:
    """Return the colours of rates from 0 to 100 %."""
    from matplotlib import colormaps, colors  # noqa: PLC0415  (planning needs no matplotlib)

    return colormaps["Greys"], colors.Normalize(0, 100)


def _number(
    panel: Axes, value: float, *, x: float, y: float, differs: bool, colours: Colormap, norm: Normalize
) -> Text:
    """Print an entry: signed if it is a difference, white on dark cells, pale if it rounds to 0."""
    if not np.isfinite(value):
        none = "no clips" if x == 0.5 else ""
        return panel.text(x, y, none, ha="left", va="center", fontsize=6, color=plotting.GREY)
    text = number_format.signed_number(value, 0) if differs else number_format.number(value, 0)
    red, green, blue, _ = colours(norm(value))
    dark = (
        0.299 * red + 0.587 * green + 0.114 * blue < 0.55
    )  # luma of ITU-R BT.601: where white reads better than black
    colour = "white" if dark else plotting.GREY if text == "0" else plotting.BLACK
    return panel.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe each matrix: the mean of its diagonal and the three largest absolute entries off the diagonal."""

    def sentences(label: str, rows: pd.DataFrame) -> list[str]:
        return [_sentence(f"{label}, {name}", matrix) for name, matrix in plotting.groups(rows, "matrix")]

    return plotting.describe_panels("Confusion matrices", numbers, sentences)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows).dropna(subset="value")
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    unit = next(iter(rows["unit"]))
    differs = unit == DIFFERENCE
    text = number_format.signed_number if differs else number_format.number
    diagonal = measured[measured["true"] == measured["predicted"]]["value"].mean()
    mistakes = measured[measured["true"] != measured["predicted"]]
    mistakes = mistakes.loc[mistakes["value"].abs().sort_values(ascending=False, kind="stable").index].head(3)
    largest = "; ".join(f"{row.true} as {row.predicted} {text(row.value, 1)}" for row in plotting.records(mistakes))
    correct = "change of the share of correct predictions" if differs else "share of correct predictions"
    return (
        f"{label}: mean {correct} {text(diagonal, 1)} {unit}; "
        f"largest {'changes of mistakes' if differs else 'mistakes'}: {largest}"
    )
