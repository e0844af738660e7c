"""How sure two methods are of a tag, window by window of two test clips (Garoufis et al. 2024, qualitative analysis).

The clips are found by a rule, since any two methods have clips that speak for either. It is about the first trial,
whose head's answers to each window are stored.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Evaluation, Study
from workflow_scripts.report import labels as words
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import (
    NOT_RUN,
    Evidence,
    Method,
    Predictions,
    Windows,
    as_table,
    group_by_panel,
    select_methods,
)
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.samples import why_not_comparable
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS, MISSING

READING = (
    "Probability of the tag in each window of the clip, drawn at the window's middle; windows overlap by half. First "
    "trial. Each clip is the one that its rule picks among all test clips: examples, not evidence of how often this "
    "happens."
)
COLUMNS = (
    "study",
    "metric",
    "panel",
    "case",
    "rule",
    "tag",
    "clip",
    "candidates",
    "method",
    *METHOD_FACTORS,
    "status",
    "reason",
    "start",
    "seconds",
    "confidence",
    "trials",
    "n_pretraining_seeds",
    "test_clips",
    "source",
    "data",
)
WITHOUT, WITH = "without", "with"
PERCENT = 100
PANEL_WIDTH, HEIGHT = 4.6, 2.9  # inches: two panels fit a page
ROOM = 4  # percent beyond either end, so that a dot there is whole
LINE = 62  # characters of a rule over a panel
DASHED = ("-", "--")


class Options(LevelOptions):
    """Options of the two methods that are compared, and of the tag."""

    of: Mapping[str, str | int]
    """Levels of the method in question."""
    over: Mapping[str, str | int]
    """Levels of the method with which it is compared."""
    tag: str
    """Tag whose probability is shown."""
    alike: tuple[str, ...] = ()
    """Further tags that a clip must not have to count as one without the tag, such as its other spellings."""


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A method, what it is called, and what it heard."""

    method: Method
    name: str
    windows: Windows


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """One row per panel, case, method and window, the confidence in percent, or one that says why there is none.

    `case` is `without` or `with` the tag. Of several checkpoints the first is looked at. `UserError` for a tag that the
    data set does not have.
    """
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, drawn=(*PRETRAINING, "scenario")).items():
        sides = [select_methods(methods, levels) for levels in (options.of, options.over)]
        shared = {"study": study.name, "metric": study.metric, "panel": label, "tag": options.tag}
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
    objected = why_not_comparable([cell for method in methods for cell in method.cells])
    if objected:
        return [{"status": MISSING, "reason": f"refused: {objected}"}]
    found: list[_Side] = []
    for method in methods:
        windows = evidence.windows(_first(method))
        if windows is None:
            return [{"status": MISSING, "reason": "no windows stored: the head hears clips as a whole"}]
        name = plotting.level_names(method.levels, evidence.study.rows)
        found.append(_Side(method=method, name=name, windows=windows))
    predictions = evidence.predictions(_first(methods[0]))
    return [row for case in (WITHOUT, WITH) for row in _case(case, predictions, found, options, evidence.study)]


def _first(method: Method) -> Evaluation:
    """The first evaluation of a method that was measured."""
    keys = {cell.key for cell in method.cells}
    return next(each for each in method.evaluations if each.key in keys)


def _case(
    case: str, predictions: Predictions, sides: Sequence[_Side], options: Options, study: Study
) -> list[dict[str, object]]:
    place, labels = _place(options.tag, predictions, study), predictions.labels
    of, over = (_means(side.windows, place, clips=len(labels)) for side in sides)
    if case == WITHOUT:
        places = [place, *(_place(tag, predictions, study) for tag in options.alike)]
        candidates, preferred = (labels[:, places] == 0).all(axis=1), over
        meant = f"without {options.tag}" + (" or a tag like it" if options.alike else "")
        rule = f"Of the clips {meant} the one of which {sides[1].name} is surest"
    else:
        candidates, preferred = labels[:, place] == 1, of - over
        leads = (preferred[candidates] > 0).any()
        where = f"ahead of {sides[1].name} most" if leads else f"behind {sides[1].name} least, ahead nowhere"
        rule = f"Of the clips with {options.tag} the one where {sides[0].name} is {where}"
    shared: dict[str, object] = {"case": case, "rule": rule, "candidates": int(candidates.sum())}
    if not candidates.any():
        return [side.method.facts | shared | {"status": MISSING, "reason": "no such test clip"} for side in sides]
    clip = int(np.argmax(np.where(candidates, preferred, -np.inf)))
    shared |= {"clip": predictions.clips[clip], "status": MEASURED}
    return [
        side.method.facts
        | shared
        | {"method": side.name, "start": float(start), "seconds": side.windows.seconds, "confidence": PERCENT * sure}
        for side in sides
        for start, sure in _along(side.windows, clip, place)
    ]


def _along(windows: Windows, clip: int, place: int) -> list[tuple[float, float]]:
    """Start and confidence of each window of a clip."""
    mine = windows.clips == clip
    return list(zip(windows.starts[mine].tolist(), windows.scores[mine, place].tolist(), strict=True))


def _place(tag: str, predictions: Predictions, study: Study) -> int:
    if tag not in predictions.classes:
        raise UserError(
            f"study {study.name}: figure: there is no tag {tag!r}; allowed: {', '.join(predictions.classes)}"
        )
    return predictions.classes.index(tag)


def _means(windows: Windows, place: int, *, clips: int) -> np.ndarray:
    """Mean confidence in each clip, (clips,)."""
    sums = np.bincount(windows.clips, weights=windows.scores[:, place], minlength=clips)
    return sums / np.maximum(np.bincount(windows.clips, minlength=clips), 1)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    names = [name for name in dict.fromkeys(numbers["method"]) if name]
    styles: dict[str, dict[str, Any]] = {
        name: {
            **plotting.distinct_style(place),
            "markersize": 4,
            "linewidth": 1.4,
            "linestyle": DASHED[place % len(DASHED)],
        }
        for place, name in enumerate(names)
    }
    grouped = [
        (label, rows)
        for label, within in plotting.groups(numbers, "panel")
        for _, rows in plotting.groups(within, "case")
    ]
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH, most=2)
    figure = plotting.new_figure(PANEL_WIDTH * columns, HEIGHT * rows + plotting.LEGEND_HEIGHT)
    axes = plotting.add_panels(figure, rows, columns, len(grouped))
    for panel, (label, within) in zip(axes, grouped, strict=True):
        _panel(panel, label, within, styles=styles)
    handles = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    plotting.add_legend(figure, handles, columns=plotting.legend_columns(handles, width=PANEL_WIDTH * columns))
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, styles: Mapping[str, Mapping[str, Any]]) -> None:
    found = plotting.measured_rows(rows)
    first = rows.iloc[0]
    if found.empty:
        said = [*textwrap.wrap(first["rule"], LINE), f"{label}: {in_short(first['reason'])}"]
        panel.set_title("\n".join(said))
        plotting.hide_scales(panel)
        return
    about = f"clip {first['clip']}, one of {int(first['candidates']):,} such ({first['source']}), {label}"
    panel.set_title("\n".join([*textwrap.wrap(f"{first['rule']}:", LINE), *textwrap.wrap(about, LINE)]))
    plotting.add_grid(panel, lines="y")
    for name, mine in plotting.groups(found, "method"):
        panel.plot(mine["start"] + mine["seconds"] / 2, mine["confidence"], **styles[name])
    panel.set_xlim(0, float((found["start"] + found["seconds"]).max()))
    panel.set_ylim(-ROOM, PERCENT + ROOM)
    panel.set_xlabel("seconds into the clip")
    panel.set_ylabel(f"probability of {first['tag']} (%)")


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Each rule, the clip it picks, and how sure either method is of it."""
    said = []
    for label, within in plotting.groups(numbers, "panel"):
        for _, rows in plotting.groups(within, "case"):
            found, first = plotting.measured_rows(rows), rows.iloc[0]
            if found.empty:
                said.append(f"{label}: {first['reason']}")
                continue
            means = [
                f"{name} {number_format.number(mine['confidence'].mean(), 0)} %"
                for name, mine in plotting.groups(found, "method")
            ]
            said.append(f"{label}: {first['rule']} is {first['clip']}; mean probability {words.join(means)}")
    return f"Probability of a tag along test clips. {'. '.join(said)}."
