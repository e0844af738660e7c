"""Spectra of an encoder's filters, an image per layer, with untrained encoders beside (Spijkervet 2021, Figs. 7.1 to
7.3).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from workflow_scripts.configuration.study import FILTERS
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import number_format, plotting
from workflow_scripts.report.figure_inputs import NOT_RUN, Evidence, Method, as_table
from workflow_scripts.statistics.failure_reasons import in_short
from workflow_scripts.statistics.filter_spectra import Layer, LayerSpectra, Objective, read_spectra
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS, MISSING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READS = (FILTERS,)
READING = (
    "Each vertical line is the power spectrum of the wave that one filter responds to most, by gradient ascent, "
    "over its own maximum: dark is strong. Filters are sorted by the frequency of their peak. Orange marks: multiples "
    "of the sample rate over the stride of the first convolution. The mean of a strided convolution over positions has "
    "a gradient that repeats after a stride, so bands there are an artefact of the method, and untrained encoders have "
    "them too; percentages count the filters that peak within one bin of a mark. With objective centre only one "
    "position counts, and the artefact is gone. One pre-training seed, without intervals."
)
COLUMNS = (
    *"study panel".split(),
    *METHOD_FACTORS,
    *"status reason layer objective bin_hz line_hz on_line line_chance linear_fit log_fit source".split(),
    *"place filter peak_hz spectrum".split(),
)
WIDTH, LABEL_WIDTH, HEIGHT = 1.6, 0.9, 2.1  # inches: six panels of a row fit a page
LINE = 28  # characters of the label beside a row


class Options(LevelOptions):
    """Options of the images."""

    layers: tuple[Layer, ...] = Field(default=(1, 4, 6), min_length=1)
    """Convolutions that are drawn, counted from 1, at most 6 (the thesis's 1, 4 and 6)."""
    objective: Objective = "mean"
    """Response that the waves climb: mean over all positions, as in the thesis, or centre, the position in the middle,
    which is free of the artefact at multiples of the sample rate over the stride."""


def numbers(study: Study, evidence: Evidence, options: Options) -> pd.DataFrame:
    """Return one row per panel, layer and filter, in the order of their peaks; one for a layer without spectra.

    Encoders of one network, trained and untrained, follow each other. Of several pre-training seeds the first is drawn.
    """
    rows: list[dict[str, object]] = []
    columns = [name for name in study.columns if len({method.levels[name] for method in evidence.methods}) > 1]
    for method in evidence.methods:
        factors = [*(["encoder"] if method.floor else study.rows), *columns]
        shared = {"study": study.name, "panel": plotting.level_names(method.levels, factors), **method.levels}
        shared |= {"objective": options.objective, "source": _sources(method, evidence)}
        for layer in options.layers:
            rows += [shared | {"layer": layer} | row for row in _layer(method, layer, options)]
    order: dict[object, int] = {}
    rows.sort(key=lambda row: order.setdefault(row.get("line_hz"), len(order)))
    return as_table(rows, COLUMNS)


def _sources(method: Method, evidence: Evidence) -> str:
    """Return the source of the audio that gave the weights, or the scale of the waves."""
    corpus = method.levels["corpus"] if method.levels["workers"] != plotting.NOTHING else method.levels["dataset"]
    return evidence.sources.get(corpus, "")


def _layer(method: Method, layer: int, options: Options) -> list[dict[str, object]]:
    job = method.planned_cells[0].job(FILTERS)
    if job is None or not job.output.is_file():
        return [{"status": MISSING, "reason": method.reason or NOT_RUN}]
    spectra = read_spectra(job.output, layer=layer, objective=options.objective)
    if spectra is None:
        return [{"status": MISSING, "reason": f"no layer {layer}: the encoder has fewer"}]
    order = np.argsort(spectra.peaks, kind="stable")
    shared = {"status": MEASURED, **summarise(spectra)}
    scaled = spectra.power / np.maximum(spectra.power.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return [
        shared
        | {
            "place": place,
            "filter": int(number),
            "peak_hz": float(spectra.peaks[number]),
            "spectrum": " ".join(f"{value:.3g}" for value in scaled[number]),
        }
        for place, number in enumerate(order, start=1)
    ]


def summarise(spectra: LayerSpectra) -> dict[str, float]:
    """Return the share of filters on the lines of the stride, that by chance, and how straight the peaks rise."""
    fits = spectra.fits
    return {
        "bin_hz": spectra.bin_width,
        "line_hz": spectra.sample_rate / spectra.stride,
        "on_line": 100 * float(spectra.on_line.mean()),
        "line_chance": 100 * spectra.line_chance,
        "linear_fit": fits.linear,
        "log_fit": fits.logarithmic,
    }


def draw(study: Study, numbers: pd.DataFrame, options: Options) -> Figure:
    """Draw the figure of the table `numbers`: a row of images per panel, a column per layer."""
    panels = plotting.groups(numbers, "panel")
    columns = len(options.layers)
    figure = plotting.new_figure(max(LABEL_WIDTH + WIDTH * columns, 4.5), HEIGHT * len(panels))
    axes = plotting.add_panels(figure, len(panels), columns, len(panels) * columns)
    for row, (label, within) in enumerate(panels):
        for column, layer in enumerate(options.layers):
            panel = axes[row * columns + column]
            _image(panel, within[within["layer"] == layer], layer=layer)
            if column == 0:
                panel.set_ylabel("\n".join([*textwrap.wrap(label, LINE), "frequency (kHz)"]))
            else:
                panel.tick_params(labelleft=False)
            if row == len(panels) - 1:
                panel.set_xlabel("filters by peak")
    plotting.add_heading(figure, study.title, numbers)
    return figure


def _image(panel: Axes, rows: pd.DataFrame, *, layer: int) -> None:
    measured = plotting.measured_rows(rows).sort_values("place")
    if measured.empty:
        plotting.hide_scales(panel)
        panel.set_title(f"layer {layer}\n{in_short(next(iter(rows['reason'])))}")
        return
    image = np.array([text.split() for text in measured["spectrum"]], dtype=float).T
    first = measured.iloc[0]
    highest = first["bin_hz"] * (len(image) - 1) / 1000
    extent = (0.5, len(measured) + 0.5, 0.0, highest)
    panel.imshow(image, aspect="auto", origin="lower", cmap="Greys", vmin=0, vmax=1, extent=extent)
    for line in np.arange(first["line_hz"] / 1000, highest, first["line_hz"] / 1000):
        for low, high in ((0, 0.06), (0.94, 1)):
            panel.axhline(line, low, high, color=plotting.COLOURS[1], linewidth=1.6)
    panel.locator_params(axis="x", integer=True, nbins=4)
    panel.set_title(f"layer {layer}\n{number_format.number(first['on_line'], 0)} % at the marks")


def describe(study: Study, numbers: pd.DataFrame) -> str:  # noqa: ARG001
    """Describe the layers of every panel: filters, those on the marks, and how straight the peaks rise."""
    return plotting.describe_panels("Spectra of filters sorted by peak", numbers, _sentence)


def _sentence(label: str, rows: pd.DataFrame) -> str:
    layers = [_layer_words(str(layer), within) for layer, within in rows.groupby("layer", sort=False)]
    return f"{label}: {'; '.join(layers)}"


def _layer_words(layer: str, rows: pd.DataFrame) -> str:
    measured = plotting.measured_rows(rows)
    if measured.empty:
        return f"layer {layer} {in_short(next(iter(rows['reason'])))}"
    first: Any = measured.iloc[0]
    shares = [number_format.number(first[name], 0) for name in ("on_line", "line_chance")]
    fits = [number_format.number(first[name], 2) for name in ("linear_fit", "log_fit") if pd.notna(first[name])]
    straight = f", fit of a straight line {fits[0]}, of a logarithmic one {fits[1]}" if fits else ""
    return (
        f"layer {layer} of {len(measured)} filters, {shares[0]} % peak at multiples of {first['line_hz']:,.0f} Hz "
        f"(by chance {shares[1]} %), median peak {measured['peak_hz'].median():,.0f} Hz{straight}"
    )
