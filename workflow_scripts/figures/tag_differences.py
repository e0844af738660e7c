"""Difference between methods at each tag (Garoufis et al. 2024, per-tag differential).

Computed from the stored predictions, since trials hold only the mean over the tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import (
    NOT_RUN,
    Evidence,
    Method,
    Predictions,
    as_table,
    group_by_panel,
    method_columns,
    select_methods,
)
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.class_metrics import metric_of_classes
from workflow_scripts.statistics.estimation import ValueRange, mean_intervals
from workflow_scripts.statistics.samples import NotComparable, match
from workflow_scripts.statistics.tables.schema import MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    f"Dots: mean paired difference from the method named below the axis, with its {CONFIDENCE} t interval over trials "
    "(pre-training seeds where there are several), for the fixed test set. In brackets: test clips with the tag. The "
    "intervals are not adjusted for the number of tags: without any difference, one in twenty excludes zero by "
    "chance."
)
COLUMNS = method_columns("method over", "tag positives mean ci_low ci_high n replicate")
PANEL_WIDTH = 5.0  # inches: two panels fit a page
ROW_HEIGHT = 0.075  # inches for each dot of a tag
GAP = 0.14  # inches between tags
MARGIN_HEIGHT = 1.0  # inches: panel title and axis
SPREAD = 0.7  # share of a row that the dots of one tag spread over


class Options(LevelOptions):
    """Options of the reference method and of the tags."""

    over: Mapping[str, str | int]
    """Levels of the method with which the others are compared."""
    tags: tuple[str, ...] = ()
    """Tags that are drawn (default: all)."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, method and tag with the difference in the printed unit, or one with the missing reason.

    Raises `UserError` for a tag that the data set does not have, or where a clip has only one class.
    """
    varying = tuple({*study.rows, *PRETRAINING, "scenario"})
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, varying=varying).items():
        references = select_methods(methods, options.over)
        shared = {"study": study.name, "metric": study.metric, "panel": label}
        shared |= {"unit": evidence.measure.difference_unit, "over": plotting.level_names(options.over, options.over)}
        for method in methods:
            if method not in references:
                facts = method.facts | {"method": plotting.level_names(method.levels, study.rows)}
                rows += [shared | facts | row for row in _tags(method, references, evidence, options)]
    return as_table(rows, COLUMNS)


def _tags(
    method: Method, references: Sequence[Method], evidence: Evidence, options: Options
) -> list[dict[str, object]]:
    if len(references) != 1:
        return [{"status": MISSING, "reason": f"{len(references)} methods to compare with, not one"}]
    (reference,) = references
    if not (method.cells and reference.cells):
        return [{"status": MISSING, "reason": method.reason or reference.reason or NOT_RUN}]
    matching = match(method.cells, reference.cells)
    if isinstance(matching, NotComparable):
        return [{"status": MISSING, "reason": f"not comparable: {matching.reason}"}]
    sides = [evidence.predictions_of(side) for side in (method, reference)]
    first = sides[0][0]
    columns = _columns(first, options, evidence.study)
    values = matching.values(*([_values(predictions, evidence.study) for predictions in side] for side in sides))
    scale = evidence.measure.scale
    differences = ValueRange(largest=scale, difference=True)
    intervals = mean_intervals((values[0] - values[1]).T * scale, within=differences)
    return [
        {
            "tag": first.classes[column],
            "positives": int((first.labels[:, column] == 1).sum()),
            "mean": float(intervals.mean[column]),
            "ci_low": float(intervals.ci.low[column]),
            "ci_high": float(intervals.ci.high[column]),
            "n": intervals.n,
            "replicate": matching.replicate,
        }
        for column in columns
    ]


def _columns(predictions: Predictions, options: Options, study: Study) -> list[int]:
    unknown = [tag for tag in options.tags if tag not in predictions.classes]
    if unknown:
        allowed = ", ".join(predictions.classes)
        raise UserError(f"study {study.name}: figure.tags: there is no {', '.join(unknown)}; allowed: {allowed}")
    return [predictions.classes.index(tag) for tag in options.tags or predictions.classes]


def _values(predictions: Predictions, study: Study) -> np.ndarray:
    if predictions.confusion.ndim != 4:
        raise UserError(
            f"study {study.name}: figure tag_differences needs clips with several classes; choose another data set, or "
            "figure confusions"
        )
    return metric_of_classes(study.metric, labels=predictions.labels, scores=predictions.scores)


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    names = list(dict.fromkeys(numbers["method"]))
    styles = {name: {**plotting.distinct_style(index), "markersize": 4} for index, name in enumerate(names)}
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=2)
    tags = max((plotting.measured_rows(within)["tag"].nunique() for _, within in panels), default=0)
    handles = [plotting.legend_handle(name, linestyle="none", **style) for name, style in styles.items()]
    legend_columns = plotting.legend_columns(handles, width=PANEL_WIDTH * columns)
    height = MARGIN_HEIGHT + max(tags, 5) * (GAP + ROW_HEIGHT * len(names))
    legend_height = plotting.LEGEND_HEIGHT * -(-len(handles) // legend_columns)
    figure = plotting.new_figure(PANEL_WIDTH * columns, rows * height + legend_height)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, study=study, styles=styles)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _panel(
    panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, styles: Mapping[str, Mapping[str, Any]]
) -> None:
    measured = plotting.measured_rows(rows)
    absent = plotting.records(rows[rows["status"] == MISSING])
    reasons = [f"{row.method}: {row.reason.partition(':')[0]}" for row in absent]
    panel.set_title("\n".join([plotting.panel_title(label, rows), *reasons]))
    if measured.empty:
        plotting.hide_scales(panel)
        return
    plotting.add_grid(panel, lines="x")
    positives = measured.drop_duplicates("tag").set_index("tag")["positives"]
    tags = [str(tag) for tag in positives.index]
    plotting.add_stripes(panel, len(tags))
    panel.axvline(0, color=plotting.BLACK, linewidth=0.9, zorder=1)
    methods = [name for name in styles if name in set(measured["method"])]
    for index, name in enumerate(methods):
        offset = plotting.spread(index, len(methods), SPREAD)
        dots = measured[(measured["method"] == name) & measured["mean"].notna()]
        bars = plotting.error_bars(dots)
        heights = [tags.index(str(tag)) + offset for tag in dots["tag"]]
        panel.errorbar(dots["mean"], heights, xerr=bars, linestyle="none", elinewidth=0.9, zorder=3, **styles[name])
    plotting.label_rows(panel, [f"{tag} ({positives[tag]:,})" for tag in tags])
    measure = number_format.measure(study.metric)
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    panel.set_xlabel(f"change in {measure.name} over {next(iter(rows['over']))}{unit}")


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe each method's largest gain and loss and its number of intervals without zero, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        measured = plotting.measured_rows(rows).dropna(subset="mean")
        ends = [_ends(name, tags, measure) for name, tags in plotting.groups(measured, "method")]
        return plotting.panel_sentence(label, rows, ends)

    over = next(iter(numbers["over"]), "another")
    subject = f"{labels.capital(measure.name)} of each tag against {over}"
    return plotting.describe_panels(subject, numbers, sentence)


def _ends(name: str, rows: pd.DataFrame, measure: number_format.Measure) -> str:
    best, worst = (rows.loc[getattr(rows["mean"], end)()] for end in ("idxmax", "idxmin"))
    ends = [f"{number_format.signed_number(row['mean'], measure.decimals)} at {row['tag']}" for row in (worst, best)]
    without_zero = int(((rows["ci_low"] > 0) | (rows["ci_high"] < 0)).sum())
    unit = f", in {measure.difference_unit}" if measure.difference_unit else ""
    return f"{name} from {ends[0]} to {ends[1]}{unit}, {without_zero} of {len(rows)} intervals without zero"
