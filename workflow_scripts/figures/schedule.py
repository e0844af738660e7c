"""Learning rate over the epochs of pre-training, a curve for each recipe (Spijkervet 2021, Fig. 5.1).

The rates follow from the recipes that the records of the runs hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core.validation import validate
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, as_table
from workflow_scripts.statistics.tables.schema import MEASURED, MISSING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READS = ("pretrain",)
READING = "Curves: learning rate of the encoder at the beginning of each epoch, by the recipe of the run. No intervals."
COLUMNS = (*"study panel".split(), *PRETRAINING, *"status reason epoch encoder_rate source".split())
SIZE = (4.6, 3.4)  # inches
MAX_POINTS = 400  # of a curve: more than the figure is wide
STEPS_PER_EPOCH = 1000  # where a recipe states none: fine enough for a warm-up of one epoch


class Options(LevelOptions):
    """No options: the study's runs decide."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:  # noqa: ARG001
    """Return one row per run and drawn epoch; rates are the same for all pre-training seeds."""
    rows: list[dict[str, object]] = []
    for run in evidence.runs:
        panel = labels.name(run.factors["recipe"])
        shared = {"study": study.name, "panel": panel, **run.factors}
        recipe = evidence.recipe_of(run)
        if recipe is None:
            rows.append({**shared, "status": MISSING, "reason": NOT_RUN})
            continue
        shared |= {"status": MEASURED, "source": evidence.sources.get(run.factors["corpus"], "")}
        rows += [shared | point for point in _curve(validate(Recipe, recipe))]
    return as_table(rows, COLUMNS)


def _curve(recipe: Recipe) -> list[dict[str, object]]:
    steps, peak = recipe.steps_per_epoch or STEPS_PER_EPOCH, recipe.learning_rate(encoder=True)
    epochs = np.unique(np.linspace(0, recipe.epochs - 1, MAX_POINTS).round().astype(int))
    return [
        {"epoch": epoch + 1, "encoder_rate": peak * recipe.rate_factor(epoch * steps, steps_per_epoch=steps)}
        for epoch in epochs.tolist()
    ]


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:  # noqa: ARG001
    """Draw the figure of the table `numbers`."""
    curves = list(dict.fromkeys(numbers["panel"]))
    figure = plotting.new_figure(SIZE[0], SIZE[1] + plotting.LEGEND_HEIGHT)
    (panel,) = plotting.add_panels(figure, 1, 1, 1)
    measured = plotting.measured_rows(numbers)
    plotting.add_grid(panel, lines="y")
    for name, runs in plotting.groups(measured, "panel"):
        curve = runs.drop_duplicates("epoch")  # all runs of a recipe have the same
        panel.plot(curve["epoch"].astype(int), curve["encoder_rate"].astype(float), **_style(name, curves))
    if measured.empty:
        panel.set_title(NOT_RUN)
        plotting.hide_scales(panel)
    panel.set_xlabel("epoch")
    panel.set_ylabel("learning rate")
    panel.set_ylim(bottom=0)
    plotting.add_legend(
        figure, [plotting.legend_handle(name, **_style(name, curves)) for name in curves], columns=min(3, len(curves))
    )
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _style(name: str, curves: list[str]) -> dict[str, Any]:
    index = curves.index(name)
    return {
        "color": plotting.COLOURS[index % len(plotting.COLOURS)],
        "linestyle": plotting.DASHES[-1 - index % len(plotting.DASHES)],
        "linewidth": 1.4,
    }


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the highest and the last rate of every recipe."""
    return plotting.describe_panels("Learning rate of the encoder", numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows).sort_values("epoch")
    if measured.empty:
        return f"{label}: {next(iter(rows['reason']))}"
    rates = measured["encoder_rate"].astype(float).reset_index(drop=True)
    at = measured["epoch"].iloc[int(rates.argmax())]
    last = measured["epoch"].max()
    return f"{label}: highest {rates.max():.3g} in epoch {at}, {rates.iloc[-1]:.3g} in epoch {last}"
