"""Trend of an improvement with the number of labels (Wu et al. 2021, Sec. 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from workflow_scripts.core.validation import StrictModel
from workflow_scripts.statistics.estimation import UNLIMITED
from workflow_scripts.statistics.reproduction.context import PERCENT, Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.measurement import estimate_values, pair_steps
from workflow_scripts.statistics.reproduction.quantity import Quantity


class TrendOptions(StrictModel):
    """Options of `label_trend`."""

    statistic: Literal["improvement", "deviation"]
    """the improvement itself, or its absolute deviation from its mean over trials (or pre-training seeds)"""


def label_trend(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return by how many points the improvement of `of` over `over` changes with ten times as many labels.

    The least-squares slope over the steps (data sets or label fractions), against the logarithm of the training clips,
    in each pair of trials (or pre-training seeds). It is negative where fewer labels gain more.
    """
    sizes, improvements, sides, names = [], [], [], set()
    for of, over in zip(selection.of, selection.over, strict=True):
        pairs = pair_steps(replace(selection, of=(of,), over=(over,)), results)
        if isinstance(pairs, NoValue):
            return pairs
        sizes.append(np.log10(np.mean([results.train_clips[cell.key] for cell in of])))
        improvements.append(PERCENT * (pairs.of - pairs.over))
        sides += pairs.sides
        names.add((pairs.replicate, pairs.names))
    if len(names) > 1:
        return NoValue(reason="the training sizes were not measured with the same trials")
    if len(set(sizes)) < 2:
        return NoValue(reason="fewer than two training sizes")
    values = np.array(improvements)  # (steps, pairs)
    if selection.options.statistic == "deviation":
        values = np.abs(values - values.mean(axis=1, keepdims=True))
    centred = np.array(sizes) - np.mean(sizes)
    slopes = centred @ values / (centred @ centred)
    return estimate_values(slopes, UNLIMITED, replicate=names.pop()[0], sides=sides, results=results)


QUANTITIES = {
    "label_trend": Quantity(
        kind="measured",
        compute=label_trend,
        phrase="{statistic} in {metric}, {of} minus {over}: change with ten times the labels, points",
        within=("head",),
        compares=True,
        averages=True,
        options=TrendOptions,
    ),
}
