"""The study's metric of every tag, a dot per method (Spijkervet 2021, Fig. 6.2).

Computed from the stored predictions, since trials hold only the mean over the tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, Method, as_table, group_by_panel, method_columns
from workflow_scripts.statistics.class_metrics import metric_of_classes
from workflow_scripts.statistics.estimation import mean_intervals
from workflow_scripts.statistics.tables.schema import MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Dots: mean. Bars: one standard deviation to each side, between trials, or between pre-training seeds where there "
    "are several; they leave out the uncertainty of the test set. In brackets: test clips with the tag. Sorted by the "
    "mean over the methods; floors are grey. The largest of many gaps is partly chance, most of all at tags with few "
    "clips. Left out: tags without a value, which the csv lists. Upright line: chance, in ROC-AUC."
)
CHANCE = {"roc_auc": 0.5}  # of metrics that have the same value by chance for every tag
COLUMNS = method_columns("method role", "tag positives mean std n replicate")
POINT, FLOOR = "method", "floor"
PANEL_WIDTH, ROW_HEIGHT = 5.0, 0.185  # inches: fifty tags on a page, three dots with bars in a row
MARGIN_HEIGHT = 0.9  # inches: panel title and axis
LABEL_POINTS = 8
SPREAD = 0.55  # share of a row that the dots of one tag spread over


class Options(LevelOptions):
    """No options: rows and columns of the study decide."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """Return one row per panel, method and tag, or one with the reason of a missing method; means in the printed unit.

    A tag of all labelled test clips, or of none, has no area under a curve: its mean is missing. Raises `UserError`
    where a clip has only one class, or for a metric that is not a mean over tags.
    """
    varying = tuple({*study.rows, *PRETRAINING, "scenario"})
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, varying=varying).items():
        shared = {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        rows += [shared | row for method in methods for row in _tags(method, evidence)]
    return as_table(rows, COLUMNS)


def _tags(method: Method, evidence: Evidence) -> list[dict[str, object]]:
    row = method.facts | {"method": plotting.level_names(method.levels, evidence.study.rows)}
    row["role"] = FLOOR if method.floor else POINT
    if not method.cells:
        return [row]
    predictions_of_cells = evidence.predictions_of(method)
    if any(predictions.confusion.ndim != 4 for predictions in predictions_of_cells):
        raise UserError(
            f"study {evidence.study.name}: figure per_tag needs clips with several classes, and those of "
            f"{method.levels['dataset']} have one; choose another data set, or figure confusions"
        )
    metric, first = evidence.study.metric, predictions_of_cells[0]
    values = [
        metric_of_classes(metric, labels=predictions.labels, scores=predictions.scores)
        for predictions in predictions_of_cells
    ]
    replicate, replicates = ("trials", values[0]) if len(values) == 1 else ("pretraining seeds", _means(values))
    intervals = mean_intervals(replicates.T * evidence.measure.scale)
    positives = (first.labels == 1).sum(axis=0)
    row |= {"replicate": replicate, "n": intervals.n}
    values_of_tags = zip(first.classes, positives, intervals.mean, intervals.std, strict=True)
    return [
        row | {"tag": tag, "positives": int(clips), "mean": float(mean), "std": float(std)}
        for tag, clips, mean, std in values_of_tags
    ]


def _means(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over the trials of each pre-training seed, (seeds, tags)."""
    return np.stack([of_seed.mean(axis=0) for of_seed in values])


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    styles = _styles(numbers)
    panels = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(panels), width=PANEL_WIDTH, max_columns=2)
    drawn = [plotting.measured_rows(within).dropna(subset="mean") for _, within in panels]
    most = max((within["tag"].nunique() for within in drawn), default=0)
    handles = [plotting.legend_handle(name, linestyle="none", **style) for name, style in styles.items()]
    legend_columns = plotting.legend_columns(handles, width=PANEL_WIDTH * columns)
    legend_rows = -(-len(handles) // legend_columns)
    height = rows * (MARGIN_HEIGHT + ROW_HEIGHT * max(most, 5)) + plotting.LEGEND_HEIGHT * legend_rows
    figure = plotting.new_figure(PANEL_WIDTH * columns, height)
    axes = plotting.add_panels(figure, rows, columns, len(panels))
    for panel, (label, within) in zip(axes, panels, strict=True):
        _panel(panel, label, within, study=study, styles=styles)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _styles(numbers: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the style of each method: colour and marker differ; floors are grey with different markers."""
    styles: dict[str, dict[str, Any]] = {}
    for role in (POINT, FLOOR):
        for index, name in enumerate(dict.fromkeys(numbers.loc[numbers["role"] == role, "method"])):
            colour = {"color": plotting.GREY} if role == FLOOR else {}
            styles[name] = {**plotting.distinct_style(index), **colour, "markersize": 4}
    return styles


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, styles: dict[str, dict[str, Any]]) -> None:
    measured = plotting.measured_rows(rows)
    absent = rows[rows["status"] == MISSING]
    reasons = [f"{row.method}: {row.reason.partition(':')[0]}" for row in plotting.records(absent)]
    panel.set_title("\n".join([plotting.panel_title(label, rows), *reasons]))
    if measured.empty:
        plotting.hide_scales(panel)
        return
    plotting.add_grid(panel, lines="x")
    measure = number_format.measure(study.metric)
    tags = _sort_tags(measured.dropna(subset="mean"))
    others = measured["tag"].nunique() - len(tags)
    if others:
        panel.set_title(f"{panel.get_title()}\n{number_format.count(others, 'tags')} without a value: left out")
    if study.metric in CHANCE:
        panel.axvline(CHANCE[study.metric] * measure.scale, color=plotting.GREY, linewidth=0.9, zorder=1)
    plotting.add_stripes(panel, len(tags))
    heights = {tag: height for height, tag in enumerate(tags)}
    methods = [name for name in styles if name in set(measured["method"])]
    for index, name in enumerate(methods):
        offset = plotting.spread(index, len(methods), SPREAD)
        dots = measured[(measured["method"] == name) & measured["mean"].notna()]
        panel.errorbar(
            dots["mean"],
            [heights[tag] + offset for tag in dots["tag"]],
            xerr=plotting.std_bars(dots["mean"], dots["std"], measure),
            linestyle="none",
            elinewidth=0.9,
            zorder=3,
            **styles[name],
        )
    positives = measured.drop_duplicates("tag").set_index("tag")["positives"]
    plotting.label_rows(panel, [f"{tag} ({positives[tag]:,})" for tag in tags], fontsize=LABEL_POINTS)
    panel.set_xlabel(f"{measure.heading} of the tag")
    plotting.limit_to_range(panel, "x", measure)


def _sort_tags(rows: pd.DataFrame) -> list[str]:
    """Return the tags by their mean over the methods, best first."""
    means = rows.groupby("tag", sort=False)["mean"].mean()
    return [str(tag) for tag in means.sort_values(ascending=False, kind="stable").index]


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """Describe each method's best and worst tag and the largest gap between methods at one tag, panel by panel."""
    measure = number_format.measure(study.metric)

    def sentence(label: str, rows: pd.DataFrame) -> str:
        measured = plotting.measured_rows(rows).dropna(subset="mean")
        ends = [_ends(name, tags, measure) for name, tags in plotting.groups(measured, "method")]
        return plotting.panel_sentence(label, rows, [*ends, *_gap(measured, measure)])

    return plotting.describe_panels(f"{labels.capital(measure.heading)} of each tag", numbers, sentence)


def _ends(name: str, rows: pd.DataFrame, measure: number_format.Measure) -> str:
    best, worst = (rows.loc[getattr(rows["mean"], end)()] for end in ("idxmax", "idxmin"))
    values = [f"{row['tag']} {number_format.number(row['mean'], measure.decimals)}" for row in (best, worst)]
    return f"{name} from {values[1]} to {values[0]}"


def _gap(rows: pd.DataFrame, measure: number_format.Measure) -> list[str]:
    """Describe the tag with the largest gap between two methods that are not floors; empty without two methods."""
    methods = rows[rows["role"] == POINT]
    if methods["method"].nunique() < 2:
        return []
    ends = methods.groupby("tag", sort=False)["mean"].agg(["min", "max"])
    tag = (ends["max"] - ends["min"]).idxmax()
    ranked = methods[methods["tag"] == tag].sort_values("mean", kind="stable")
    low, high = ranked.iloc[0], ranked.iloc[-1]
    values = [number_format.number(row["mean"], measure.decimals) for row in (high, low)]
    gap = number_format.number(high["mean"] - low["mean"], measure.decimals)
    unit = f" {measure.difference_unit}" if measure.difference_unit else ""
    clips = number_format.count(int(high["positives"]), "test clips")
    return [
        f"largest gap between methods at one tag: {tag} ({clips}), {high['method']} {values[0]} and {low['method']} "
        f"{values[1]}, {gap}{unit} apart"
    ]
