"""Factor analysis of filters with varimax rotation (Spijkervet 2021, Fig. 7.6).

The strongest filters of each factor as the thesis shows them, and, since a figure cannot be listened to, the classes of
the clips that activate these filters most. The thesis heard "loud, techno/(hard-)rock music" in every factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.figures._encoders import (
    FrozenEncoder,
    add_row_title,
    clip_fields,
    frozen_encoders,
    interval_fields,
)
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import Evidence, as_table
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.filters import class_counts, factors
from workflow_scripts.statistics.filters.responses import Responses
from workflow_scripts.statistics.filters.strongest import usable_top
from workflow_scripts.statistics.kept_heads import read_head
from workflow_scripts.statistics.tables.schema import MEASURED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = ("prepare", "embed")
READING = (
    "Images: loadings of the strongest filters of each factor, in descending order, on all factors; red is positive, "
    "blue negative, and each encoder has its own scale, which its title states. The order and the signs of factors are "
    "arbitrary: here the first explains most variance, and the largest loading of each is positive. Dots: by how much "
    "more often clips with a class are among those that activate these filters most than in the test set, with "
    f"{CONFIDENCE} confidence intervals over clusters of test clips. The untrained network shows what needs no "
    "training. Each panel of dots has its own scale."
)
LOADING, EXCESS = "loading", "class"
COLUMNS = (
    *"study panel dataset corpus encoder status reason part component place filter of_component tag value".split(),
    *"ci_low ci_high explained top variance_sources clusters test_clips source data_digest".split(),
)
CLASSES = ("techno", "rock", "loud", "beat", "dance", "metal")  # of "loud, techno/(hard-)rock music"
COLUMN_WIDTH, MARGIN_WIDTH = 2.1, 0.9  # inches: an image with its filters' numbers; names of classes
PLACE_HEIGHT, DOTS_HEIGHT = 0.145, 0.19  # inches: a row of 7 and one of 8 points
TITLE_HEIGHT, AXIS_HEIGHT = 0.9, 0.6  # inches: two titles; an axis with its label
SMALL = 7  # points


class Options(LevelOptions):
    """Options of the analysis."""

    of: Literal["activations", "head"] = "activations"
    """Matrix that is analysed: the encoder's activations by test clips, as the thesis' code has it, or the weights of
    the trained head by class, as its text has it (the first trial's, which the protocol keeps)."""
    components: int = Field(default=factors.COMPONENTS, ge=1, le=9)
    """Number of factors (the thesis' 3)."""
    strongest: int = Field(default=factors.STRONGEST, ge=1)
    """Number of filters of each factor (the thesis' 20)."""
    absolute: bool = False
    """Whether the strongest loadings are the largest by size; else the largest, as in the thesis' code."""
    classes: tuple[str, ...] = CLASSES
    """Classes that are looked for; those that the data set lacks are left out."""
    top: int = Field(default=factors.TOP, ge=1)
    """Clips of each filter, those that activate it most; at most a tenth of the test clips."""


def reads_heads(options: Options) -> bool:
    """Return whether it reads the heads that frozen cells keep."""
    return options.of == "head"


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return the loadings of each component's strongest filters, and the excess of each class among their clips."""
    rows: list[dict[str, object]] = []
    for encoder in frozen_encoders(study, evidence):
        responses, shared = encoder.read(), {"study": study.name, **encoder.fields}
        if responses is None:
            rows.append(shared | encoder.missing())
            continue
        matrix = _matrix(encoder, responses, options)
        if min(matrix.shape) <= options.components:
            values, filters = matrix.shape
            reason = f"too few numbers for {options.components} factors: {values} of each of {filters} filters"
            rows.append(shared | encoder.missing(reason))
            continue
        shared |= {"status": MEASURED, **clip_fields(responses)}
        rows += [shared | row for row in _analyse(responses, matrix, options)]
    return as_table(rows, COLUMNS)


def _matrix(encoder: FrozenEncoder, responses: Responses, options: Options) -> np.ndarray:
    """Return what is analysed, (observations, filters); `UserError` for a head that was not kept or has no filters."""
    if not reads_heads(options):
        return responses.values
    path = encoder.cell.path.with_name(result_files.HEAD)
    filters = responses.values.shape[1]
    layers = [weight for weight in read_head(path).weights.values() if weight.ndim == 2 and len(weight) == filters]
    if not layers:
        raise UserError(f"{path} has no layer of {filters} inputs")
    return layers[0].T


def _analyse(responses: Responses, matrix: np.ndarray, options: Options) -> Iterator[dict[str, object]]:
    analysis = factors.analyse_factors(matrix, components=options.components)
    strongest = [
        analysis.strongest(component, most=options.strongest, absolute=options.absolute)
        for component in range(options.components)
    ]
    for component, filters in enumerate(strongest):
        for place, number in enumerate(filters):
            for other in range(options.components):
                yield {
                    "part": LOADING,
                    "component": component + 1,
                    "place": place + 1,
                    "filter": int(number),
                    "of_component": other + 1,
                    "value": analysis.loadings[number, other],
                    "explained": analysis.explained[component],
                }
    classes = [name for name in options.classes if name in responses.facts.classes]
    if not classes:
        return
    estimates = class_counts.estimate_excess(
        [responses.values[:, filters] for filters in strongest],
        responses.tags[:, responses.columns(classes)],
        clusters=responses.clusters,
        top=options.top,
    )
    for place, (component, name) in enumerate(
        (component, name) for component in range(options.components) for name in classes
    ):
        yield {
            "part": EXCESS,
            "component": component + 1,
            "tag": name,
            "value": estimates.values[place],
            **interval_fields(class_counts.excess_interval(estimates, place), estimates),
            "explained": analysis.explained[component],
            "top": usable_top(options.top, len(responses.values)),
        }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`."""
    panels = plotting.groups(numbers, "panel")
    measured = plotting.measured_rows(numbers)
    places = int(measured["place"].max()) if len(measured) else 1
    classes = measured.loc[measured["tag"] != "", "tag"].nunique()
    heights = [PLACE_HEIGHT * places + TITLE_HEIGHT, DOTS_HEIGHT * max(classes, 1) + AXIS_HEIGHT] * len(panels)
    columns = options.components
    figure = plotting.new_figure(COLUMN_WIDTH * columns + MARGIN_WIDTH, sum(heights))
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for row, (label, within) in enumerate(panels):
        axes = [[figure.add_subplot(grid[2 * row + line, column]) for column in range(columns)] for line in range(2)]
        _panels(axes, label, within)
    plotting.add_heading(figure, study.title, numbers)
    plotting.fix_panels(figure)
    return figure


def _panels(axes: Sequence[Sequence[Axes]], label: str, rows: pd.DataFrame) -> None:
    measured = plotting.measured_rows(rows)
    largest = _largest_loading(measured)
    for column, (image, dots) in enumerate(zip(*axes, strict=True)):
        of_component = measured[measured["component"] == column + 1]
        if of_component.empty:
            plotting.hide_scales(image)
            dots.remove()
            continue
        _image(image, of_component[of_component["part"] == LOADING], largest=largest)
        excess = of_component[of_component["part"] == EXCESS]
        if excess.empty:
            dots.remove()
        else:
            _dots(dots, excess, labelled=column == 0)
    add_row_title(axes[0], _title(label, rows))


def _title(label: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"{label}: {in_short(next(iter(rows['reason'])))}"
    return f"{label} ({measured['source'].iloc[0]}), loadings within ±{_largest_loading(measured):.2g}"


def _largest_loading(measured: pd.DataFrame) -> float:
    """Return the largest loading by size: encoders differ in it by magnitudes, untrained ones hardly respond."""
    return float(measured.loc[measured["part"] == LOADING, "value"].abs().max()) if len(measured) else 1.0


def _image(panel: Axes, rows: pd.DataFrame, *, largest: float) -> None:
    loadings = rows.pivot_table(index="place", columns="of_component", values="value")
    panel.imshow(loadings, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    filters = rows.drop_duplicates("place").sort_values("place")["filter"]
    panel.set_yticks(range(len(filters)), [str(number) for number in filters], fontsize=SMALL)
    panel.set_xticks(range(len(loadings.columns)), [f"factor {number}" for number in loadings.columns], fontsize=SMALL)
    panel.tick_params(length=0)
    explained = number_format.number(rows["explained"].iloc[0], 0)
    panel.set_title(f"factor {int(rows['component'].iloc[0])} ({explained} % of the variance)")
    panel.set_ylabel("filter")


def _dots(panel: Axes, rows: pd.DataFrame, *, labelled: bool) -> None:
    plotting.mark_zero(panel)
    plotting.add_dots(panel, rows, range(len(rows)), **plotting.distinct_style(0))
    plotting.label_rows(panel, list(rows["tag"]) if labelled else [""] * len(rows), fontsize=8)
    panel.set_xlabel("excess, percent", fontsize=8)
    panel.locator_params(axis="x", nbins=4)


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the strongest filters of each factor and the excess of each class."""
    return plotting.describe_panels("Factors of the filters, by varimax rotation", numbers, _sentences)


def _sentences(label: str, rows: pd.DataFrame) -> list[str]:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return [f"{label}: {next(iter(rows['reason']))}"]
    return [f"{label}, factor {component}: {_component(within)}" for component, within in measured.groupby("component")]


def _component(rows: pd.DataFrame) -> str:
    filters = rows[rows["part"] == LOADING].drop_duplicates("place")["filter"]
    text = f"filters {', '.join(str(number) for number in filters.head(5))} and others"
    excess = rows[rows["part"] == EXCESS]
    if excess.empty:
        return text
    values = [
        f"{row.tag} {number_format.value_with_interval(row.value, row.ci_low, row.ci_high, 0)}"
        for row in plotting.records(excess)
    ]
    return (
        f"{text}; percent more often among the clips that activate them most than in the test set: {'; '.join(values)}"
    )
