"""Curves on the page of a study: losses of its pre-trainings by epoch, and scores by share of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.levels.fractions import parse_fraction
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, line_charts, number_format, plotting, printed_figure
from workflow_scripts.report.figure_inputs import Evidence
from workflow_scripts.report.line_charts import Axes2D
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.printed_figure import METHOD_OF_PRETRAINING, PrintedFigure
from workflow_scripts.statistics.tables.schema import MEASURED

MAX_PANELS = 12  # pre-trainings whose losses are drawn, data sets whose scores are: more take seconds and a megabyte
VALID, TRAIN = "valid", "train"
LOSSES_READING = (
    "Loss of each worker by epoch of pre-training, without weights, on a logarithmic scale where losses differ by a "
    "factor of ten; mean over pre-training seeds. Solid: validation clips; dashed: training clips."
)
FRACTIONS_READING = (
    f"Mean with the {CONFIDENCE} interval of the table, by the share of the training labels (logarithmic); points of "
    "one share are side by side."
)


def loss_curves(study: Study, evidence: Evidence) -> PrintedFigure | None:
    """Return the losses of the study's pre-trainings; None if none was run here or its figure shows them."""
    if study.figure is not None and study.figure.kind == "losses":
        return None
    losses = evidence.losses()
    losses = losses[losses["worker"] != ""]
    if losses.empty:
        return None
    keys = losses[list(METHOD_OF_PRETRAINING)].drop_duplicates()
    varying = [factor for factor in METHOD_OF_PRETRAINING if keys[factor].nunique() > 1] or ["encoder", "corpus"]
    parts, rows = [], []
    for key, runs in list(losses.groupby(list(METHOD_OF_PRETRAINING), sort=False))[:MAX_PANELS]:
        levels = dict(zip(METHOD_OF_PRETRAINING, map(str, key), strict=True))
        panel = plotting.level_names(levels, varying)
        means = runs.groupby(["worker", "split", "epoch"], sort=False)["loss"].mean().reset_index()
        for (worker, split), curve in means.groupby(["worker", "split"], sort=False):
            name = labels.name(str(worker))
            parts.append(
                line_charts.thin(curve.sort_values("epoch")).assign(
                    panel=panel,
                    curve=name,
                    style="dashed" if split == TRAIN and (means["split"] == VALID).any() else "",
                    x=lambda rows: rows["epoch"].astype(float),
                    value=lambda rows: rows["loss"],
                )
            )
            rows.append((panel, name, "validation" if split == VALID else "training", *_ends(curve)))
    numbers = _as_numbers(parts)
    omitted = f"{len(keys) - MAX_PANELS} further pre-trainings" if len(keys) > MAX_PANELS else ""
    return printed_figure.draw_inline(
        study,
        numbers,
        name="losses",
        draw=lambda study, numbers: line_charts.draw(study, numbers, Axes2D(x="epoch", y="loss", log_y=True)),
        describe=lambda study, numbers: _describe("Loss of each worker by epoch", numbers),  # noqa: ARG005
        reading=LOSSES_READING,
        headings=("Pre-training", "Worker", "Clips", "Epochs", "First loss", "Last loss", "Lowest loss"),
        rows=rows,
        texts=3,
        omitted=omitted,
    )


def _ends(curve: pd.DataFrame) -> tuple[str, ...]:
    losses = curve.sort_values("epoch")["loss"]
    return (
        f"{int(curve['epoch'].max()):,}",
        *(number_format.significant(value) for value in (losses.iloc[0], losses.iloc[-1], losses.min())),
    )


def fraction_curves(study: Study, evidence: Evidence) -> PrintedFigure | None:
    """Return the scores by share of the labels; None if the study has one share, or a figure that shows them."""
    if study.figure is not None and study.figure.kind == "training_sizes":
        return None
    entries = evidence.entries
    entries = entries[entries["status"] == MEASURED]
    if entries["fraction"].nunique() < 2:
        return None
    panel_factors = [factor for factor in study.columns if factor != "fraction"]
    curve_factors = [factor for factor in study.rows if factor != "fraction"]
    rows: list[Mapping[str, Any]] = [
        {
            "panel": plotting.level_names(entry, panel_factors),
            "curve": plotting.level_names(entry, curve_factors),
            "style": "",
            "x": 100 * parse_fraction(entry["fraction"]),
            "value": entry["mean"],
            "ci_low": entry["ci_low"],
            "ci_high": entry["ci_high"],
        }
        for entry in plotting.dicts(entries)
    ]
    numbers = pd.DataFrame(rows, columns=list(line_charts.COLUMNS))
    panels = list(dict.fromkeys(numbers["panel"]))
    numbers = numbers[numbers["panel"].isin(panels[:MAX_PANELS])].sort_values("x", kind="stable")
    measure = evidence.measure
    axes = Axes2D(x="% of the training labels", y=measure.heading, log_x=True, measure=measure)
    return printed_figure.draw_inline(
        study,
        numbers,
        name="fractions",
        draw=lambda study, numbers: line_charts.draw(study, numbers, axes),
        describe=lambda study, numbers: _describe(f"{labels.capital(measure.heading)} by labels", numbers),  # noqa: ARG005
        reading=FRACTIONS_READING,
        omitted=f"{len(panels) - MAX_PANELS} further data sets" if len(panels) > MAX_PANELS else "",
    )


def _as_numbers(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return (
        pd.concat(parts, ignore_index=True)
        .reindex(columns=list(line_charts.COLUMNS))
        .astype(dict.fromkeys(("x", "value", "ci_low", "ci_high"), "float64"))
    )


def _describe(subject: str, numbers: pd.DataFrame) -> str:
    """Describe the first and the last value of each curve, panel by panel."""

    def sentence(label: str, rows: pd.DataFrame) -> str:
        solid = rows[rows["style"] == ""]
        ends = [
            f"{curve} {number_format.significant(points['value'].iloc[0])} to "
            f"{number_format.significant(points['value'].iloc[-1])}"
            for curve, points in plotting.groups(solid, "curve")
        ]
        return f"{label}: {'; '.join(ends)}"

    return plotting.describe_panels(subject, numbers, sentence)
