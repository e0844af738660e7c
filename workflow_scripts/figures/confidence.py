"""Probability of a tag by two methods in each window of two test clips (Garoufis et al. 2024, qualitative analysis).

A rule selects the clips, since any two methods have clips in favour of either. The windows are those of the first
trial, the only one whose predictions for each window are stored.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import PlannedCell, Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    NOT_RUN,
    Evidence,
    Method,
    Predictions,
    Windows,
    as_table,
    group_by_panel,
    method_columns,
    select_methods,
)
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.samples import incomparability_reason
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Probability of the tag in each window of the clip, drawn at the window's middle; windows overlap by half. First "
    "trial only, without intervals. The rule above each panel selects one of all test clips: an example, which does "
    "not show how often this happens."
)
COLUMNS = method_columns("case rule tag clip candidates method", "start seconds confidence")
WITHOUT, WITH = "without", "with"
PERCENT = 100
PANEL_WIDTH, HEIGHT = 4.6, 2.9  # inches: two panels fit a page
MARGIN = 4  # percent beyond either end, so that a dot there is whole
LINE = 62  # characters of a rule over a panel
DASHED = ("-", "--")


class Options(LevelOptions):
    """Options of the two compared methods and of the tag."""

    of: Mapping[str, str | int]
    """Levels of the method in question."""
    over: Mapping[str, str | int]
    """Levels of the method with which it is compared."""
    tag: str
    """Tag whose probability is shown."""
    with_tag: str | None = None
    """Tag of the clip with a tag, whose probability is shown there; `tag` if absent."""
    alike: tuple[str, ...] = ()
    """Further tags that a clip must not have to count as one without the tag, such as its other spellings."""


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A method with its label and its predictions for each window."""

    method: Method
    name: str
    windows: Windows


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, case, method and window with the confidence in percent, or one with the missing reason.

    `case` is `without` or `with` the tag. Of several pre-training seeds the first is used. Raises `UserError` for a tag
    that the data set does not have.
    """
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, varying=(*PRETRAINING, "scenario")).items():
        sides = [select_methods(methods, levels) for levels in (options.of, options.over)]
        shared = {"study": study.name, "metric": study.metric, "unit": "%", "panel": label, "tag": options.tag}
        rows += [shared | row for row in _cases(sides, evidence, options)]
    return as_table(rows, COLUMNS)


def _cases(sides: Sequence[Sequence[Method]], evidence: Evidence, options: Options) -> list[dict[str, object]]:
    if any(len(side) != 1 for side in sides):
        counts = " and ".join(str(len(side)) for side in sides)
        return [{"status": MISSING, "reason": f"{counts} methods, not one and one"}]
    methods = [side[0] for side in sides]
    lacking = [method for method in methods if not method.cells]
    if lacking:
        return [{"status": MISSING, "reason": lacking[0].reason or NOT_RUN}]
    objection = incomparability_reason([cell for method in methods for cell in method.cells])
    if objection:
        return [{"status": MISSING, "reason": f"not comparable: {objection}"}]
    pair: list[_Side] = []
    for method in methods:
        windows = evidence.windows(_first(method))
        if windows is None:
            return [{"status": MISSING, "reason": "no windows stored: the head reads whole clips"}]
        name = plotting.level_names(method.levels, evidence.study.rows)
        pair.append(_Side(method=method, name=name, windows=windows))
    predictions = evidence.predictions(_first(methods[0]))
    return [row for case in (WITHOUT, WITH) for row in _case(case, predictions, pair, options, evidence.study)]


def _first(method: Method) -> PlannedCell:
    """Return the first measured cell of a method."""
    keys = {cell.key for cell in method.cells}
    return next(cell for cell in method.planned_cells if cell.key in keys)


def _case(
    case: str, predictions: Predictions, sides: Sequence[_Side], options: Options, study: Study
) -> list[dict[str, object]]:
    tag = options.tag if case == WITHOUT else options.with_tag or options.tag
    column, clip_labels = _column(tag, predictions, study), predictions.labels
    of, over = (_mean_confidence(side.windows, column, clips=len(clip_labels)) for side in sides)
    if case == WITHOUT:
        columns = [column, *(_column(tag, predictions, study) for tag in options.alike)]
        candidates, preferred = (clip_labels[:, columns] == 0).all(axis=1), over
        tags = f"{tag} or a similar tag" if options.alike else tag
        rule = f"False alarm: the clip without {tags} that {sides[1].name} is most sure of"
    else:
        candidates, preferred = clip_labels[:, column] == 1, of - over
        leads = (preferred[candidates] > 0).any()
        clip_with_tag = f"the clip with {tag} where {sides[0].name}"
        largest = f"Largest gain: {clip_with_tag} exceeds {sides[1].name} most"
        smallest = f"Smallest loss: {clip_with_tag}, ahead in no clip, is least behind {sides[1].name}"
        rule = largest if leads else smallest
    shared: dict[str, object] = {"case": case, "rule": rule, "tag": tag, "candidates": int(candidates.sum())}
    if not candidates.any():
        return [side.method.facts | shared | {"status": MISSING, "reason": "no such test clip"} for side in sides]
    clip = int(np.argmax(np.where(candidates, preferred, -np.inf)))
    shared |= {"clip": predictions.clips[clip], "status": MEASURED}
    return [
        side.method.facts
        | shared
        | {
            "method": side.name,
            "start": float(start),
            "seconds": side.windows.seconds,
            "confidence": PERCENT * confidence,
        }
        for side in sides
        for start, confidence in _windows_of(side.windows, clip, column)
    ]


def _windows_of(windows: Windows, clip: int, column: int) -> list[tuple[float, float]]:
    """Return start and confidence of each window of a clip."""
    inside = windows.clips == clip
    return list(zip(windows.starts[inside].tolist(), windows.scores[inside, column].tolist(), strict=True))


def _column(tag: str, predictions: Predictions, study: Study) -> int:
    if tag not in predictions.classes:
        raise UserError(
            f"study {study.name}: figure: there is no tag {tag!r}; allowed: {', '.join(predictions.classes)}"
        )
    return predictions.classes.index(tag)


def _mean_confidence(windows: Windows, column: int, *, clips: int) -> np.ndarray:
    """Return the mean confidence in each clip, (clips,)."""
    sums = np.bincount(windows.clips, weights=windows.scores[:, column], minlength=clips)
    return sums / np.maximum(np.bincount(windows.clips, minlength=clips), 1)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    names = [name for name in dict.fromkeys(numbers["method"]) if name]
    styles: dict[str, dict[str, Any]] = {
        name: {
            **plotting.distinct_style(index),
            "markersize": 4,
            "linewidth": 1.4,
            "linestyle": DASHED[index % len(DASHED)],
        }
        for index, name in enumerate(names)
    }
    panels = [(label, rows) for label, _, rows in plotting.subgroups(numbers, "panel", "case")]
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=2)
    figure = plotting.new_figure(PANEL_WIDTH * columns, HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, styles=styles)
    handles = [plotting.legend_handle(name, **style) for name, style in styles.items()]
    plotting.add_legend(figure, handles, columns=plotting.legend_columns(handles, width=PANEL_WIDTH * columns))
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, styles: Mapping[str, Mapping[str, Any]]) -> None:
    measured = plotting.measured_rows(rows)
    first = rows.iloc[0]
    if measured.empty:
        title = [*textwrap.wrap(first["rule"], LINE), f"{label}: {in_short(first['reason'])}"]
        panel.set_title("\n".join(title))
        plotting.hide_scales(panel)
        return
    about = f"clip {first['clip']}, one of {int(first['candidates']):,} such ({first['source']}), {label}"
    panel.set_title("\n".join([*textwrap.wrap(f"{first['rule']}:", LINE), *textwrap.wrap(about, LINE)]))
    plotting.add_grid(panel, lines="y")
    for name, windows in plotting.groups(measured, "method"):
        panel.plot(windows["start"] + windows["seconds"] / 2, windows["confidence"], **styles[name])
    panel.set_xlim(0, float((measured["start"] + measured["seconds"]).max()))
    panel.set_ylim(-MARGIN, PERCENT + MARGIN)
    panel.set_xlabel("seconds into the clip")
    panel.set_ylabel(f"probability of {first['tag']} (%)")


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the clip that each rule selects and both methods' mean probability."""

    def sentences(label: str, rows: pd.DataFrame) -> list[str]:
        return [_sentence(label, of_case) for _, of_case in plotting.groups(rows, "case")]

    return plotting.describe_panels("Probability of a tag along test clips", numbers, sentences)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured, first = plotting.measured_rows(rows), rows.iloc[0]
    if measured.empty:
        return f"{label}: {first['reason']}"
    means = [
        f"{name} {number_format.number(windows['confidence'].mean(), 0)} %"
        for name, windows in plotting.groups(measured, "method")
    ]
    return f"{label}: {first['rule']}: clip {first['clip']}; mean probability {labels.join(means)}"
