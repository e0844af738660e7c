"""The study's metric of every tag by itself, a dot per method (Spijkervet 2021, Fig. 6.2).

Computed again from the stored predictions, since trials state the mean over the tags alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, Method, as_table, group_by_panel
from workflow_scripts.statistics.class_metrics import metric_of_classes
from workflow_scripts.statistics.inference.confidence_intervals import mean_intervals
from workflow_scripts.statistics.tables.schema import METHOD_FACTORS, MISSING

READING = (
    "Dots: mean over the trials, or over the checkpoints where there are several; bars: one standard deviation to each "
    "side. In brackets: test clips with the tag. Sorted by the mean over the methods; floors are grey. The largest of "
    "many gaps is larger than most by chance alone, and the more so the fewer clips a tag has."
)
COLUMNS = (
    "study",
    "metric",
    "unit",
    "panel",
    "method",
    "role",
    *METHOD_FACTORS,
    "status",
    "reason",
    "tag",
    "positives",
    "mean",
    "std",
    "n",
    "replicate",
    "trials",
    "n_pretraining_seeds",
    "test_clips",
    "source",
    "data",
)
POINT, FLOOR = "method", "floor"
PANEL_WIDTH, ROW_HEIGHT = 5.0, 0.185  # inches: fifty tags on a page, three dots with bars in a row
MARGIN_HEIGHT = 0.9  # inches: panel title and axis
LABEL_POINTS = 8
BESIDE = 0.55  # share of a row that the dots of one tag spread over
STRIPE = "#f3f4f6"


class Options(LevelOptions):
    """No options: rows and columns of the study decide."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """One row per panel, method and tag, or one that says why a method is missing; the mean in the printed unit.

    A tag that is in all test clips that somebody looked at, or in none, has no areas under curves: its mean is missing.
    `UserError` where a clip has one class alone, or for a metric that is no mean over tags.
    """
    drawn = tuple({*study.rows, *PRETRAINING, "scenario"})
    rows: list[dict[str, object]] = []
    for label, methods in group_by_panel(evidence.methods, drawn=drawn).items():
        shared = {"study": study.name, "metric": study.metric, "unit": evidence.measure.unit, "panel": label}
        rows += [shared | row for method in methods for row in _tags(method, evidence)]
    return as_table(rows, COLUMNS)


def _tags(method: Method, evidence: Evidence) -> list[dict[str, object]]:
    row = method.facts | {"method": plotting.level_names(method.levels, evidence.study.rows)}
    row["role"] = FLOOR if method.floor else POINT
    if not method.cells:
        return [row]
    found = evidence.predictions_of(method)
    if any(predictions.confusion.ndim != 4 for predictions in found):
        raise UserError(
            f"study {evidence.study.name}: figure per_tag needs clips with several classes, and those of "
            f"{method.levels['dataset']} have one; choose another data set, or figure confusions"
        )
    values = [metric_of_classes(evidence.study.metric, labels=each.labels, scores=each.scores) for each in found]
    replicate, replicates = ("trials", values[0]) if len(values) == 1 else ("pretraining seeds", _means(values))
    intervals = mean_intervals(replicates.T * evidence.measure.scale)
    positives = (found[0].labels == 1).sum(axis=0)
    row |= {"replicate": replicate, "n": intervals.n}
    values_of_tags = zip(found[0].classes, positives, intervals.mean, intervals.std, strict=True)
    return [
        row | {"tag": tag, "positives": int(clips), "mean": float(mean), "std": float(std)}
        for tag, clips, mean, std in values_of_tags
    ]


def _means(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the trials of each checkpoint, (checkpoints, tags)."""
    return np.stack([of_checkpoint.mean(axis=0) for of_checkpoint in values])


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw what `numbers` returned."""
    styles = _styles(numbers)
    grouped = plotting.groups(numbers, "panel")
    rows, columns = plotting.grid_shape(len(grouped), width=PANEL_WIDTH, most=2)
    most = max((plotting.measured_rows(within)["tag"].nunique() for _, within in grouped), default=0)
    handles = [Line2D([], [], linestyle="none", label=name, **style) for name, style in styles.items()]
    legend_columns = plotting.legend_columns(handles, width=PANEL_WIDTH * columns)
    legend_rows = -(-len(handles) // legend_columns)
    height = rows * (MARGIN_HEIGHT + ROW_HEIGHT * max(most, 5)) + plotting.LEGEND_HEIGHT * legend_rows
    figure = plotting.new_figure(PANEL_WIDTH * columns, height)
    axes = plotting.add_panels(figure, rows, columns, len(grouped))
    for panel, (label, within) in zip(axes, grouped, strict=True):
        _panel(panel, label, within, study=study, styles=styles)
    plotting.add_legend(figure, handles, columns=legend_columns)
    plotting.add_heading(figure, study.title, numbers["source"])
    return figure


def _styles(numbers: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Methods differ in colour and marker; floors are grey and differ in their markers."""
    styles: dict[str, dict[str, Any]] = {}
    for role in (POINT, FLOOR):
        for place, name in enumerate(dict.fromkeys(numbers.loc[numbers["role"] == role, "method"])):
            colour = {"color": plotting.SOFT} if role == FLOOR else {}
            styles[name] = {**plotting.distinct_style(place), **colour, "markersize": 4}
    return styles


def _panel(panel: Axes, label: str, rows: pd.DataFrame, *, study: Study, styles: dict[str, dict[str, Any]]) -> None:
    found = plotting.measured_rows(rows)
    absent = rows[rows["status"] == MISSING]
    said = [f"{row.method}: {row.reason.partition(':')[0]}" for row in plotting.records(absent)]
    panel.set_title("\n".join([plotting.panel_title(label, rows), *said]))
    if found.empty:
        plotting.hide_scales(panel)
        return
    plotting.add_grid(panel, lines="x")
    tags = _sorted(found)
    for height in range(0, len(tags), 2):  # so that a dot is seen to belong to its row
        panel.axhspan(height - 0.5, height + 0.5, color=STRIPE, linewidth=0, zorder=0)
    heights = {tag: height for height, tag in enumerate(tags)}
    methods = [name for name in styles if name in set(found["method"])]
    for place, name in enumerate(methods):
        beside = (place - (len(methods) - 1) / 2) * BESIDE / max(len(methods) - 1, 1)
        mine = found[(found["method"] == name) & found["mean"].notna()]
        panel.errorbar(
            mine["mean"],
            [heights[tag] + beside for tag in mine["tag"]],
            xerr=mine["std"].fillna(0),
            linestyle="none",
            elinewidth=0.9,
            zorder=3,
            **styles[name],
        )
    positives = found.drop_duplicates("tag").set_index("tag")["positives"]
    panel.set_yticks(range(len(tags)), [f"{tag} ({positives[tag]:,})" for tag in tags], fontsize=LABEL_POINTS)
    panel.set_ylim(len(tags) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(f"{number_format.measure(study.metric).heading} of the tag")


def _sorted(rows: pd.DataFrame) -> list[str]:
    """Tags by the mean over the methods, best first; those without a value come last."""
    means = rows.groupby("tag", sort=False)["mean"].mean()
    return [str(tag) for tag in means.sort_values(ascending=False, kind="stable", na_position="last").index]


def describe(study: Study, numbers: pd.DataFrame) -> str:
    """The best and worst tags of each method, and the largest gap between methods at one tag, panel by panel."""
    measure = number_format.measure(study.metric)
    said = []
    for label, rows in plotting.groups(numbers, "panel"):
        found = plotting.measured_rows(rows).dropna(subset="mean")
        title = plotting.panel_title(label, rows).splitlines()[0]
        ends = [_ends(name, mine, measure) for name, mine in plotting.groups(found, "method")]
        said.append(f"{title}: {'; '.join([*ends, *_gap(found, measure)]) or 'nothing measured'}")
    return f"{labels.capital(measure.heading)} of each tag. {'. '.join(said)}."


def _ends(name: str, rows: pd.DataFrame, measure: number_format.Measure) -> str:
    best, worst = (rows.loc[getattr(rows["mean"], end)()] for end in ("idxmax", "idxmin"))
    values = [f"{row['tag']} {number_format.number(row['mean'], measure.decimals)}" for row in (best, worst)]
    return f"{name} from {values[1]} to {values[0]}"


def _gap(rows: pd.DataFrame, measure: number_format.Measure) -> list[str]:
    """The tag at which two methods lie furthest apart; nothing where there are no two. Floors do not count."""
    methods = rows[rows["role"] == POINT]
    if methods["method"].nunique() < 2:
        return []
    ends = methods.groupby("tag", sort=False)["mean"].agg(["min", "max"])
    tag = (ends["max"] - ends["min"]).idxmax()
    here = methods[methods["tag"] == tag].sort_values("mean", kind="stable")
    low, high = here.iloc[0], here.iloc[-1]
    values = [number_format.number(row["mean"], measure.decimals) for row in (high, low)]
    apart = number_format.number(high["mean"] - low["mean"], measure.decimals)
    unit = f" {measure.difference_unit}" if measure.difference_unit else ""
    clips = number_format.count(int(high["positives"]), "test clips")
    return [
        f"largest gap between methods at one tag: {tag} ({clips}), {high['method']} {values[0]} and {low['method']} "
        f"{values[1]}, {apart}{unit} apart"
    ]
