"""Spectra of the filters of an encoder, as `visualise_filters` stores them: `spectra.npz`, written and read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from workflow_scripts.core import array_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import name_damage
from workflow_scripts.core.files import write_atomically

LAYERS = 6  # the thesis draws the first six at most
Layer = Annotated[int, Field(ge=1, le=LAYERS)]
#: what the waves climb: mean of a filter's responses at all positions, or its response in the middle
Objective = Literal["mean", "centre"]
ROUNDING = 1 + 1e-9  # a line on a bin has the bins on both sides
REMEDY = "delete its folder and run again"


@dataclass(frozen=True, kw_only=True)
class PeakFits:
    """Correlation of the filters' places, sorted by peak, with peaks and their logarithms; NaN if all are equal."""

    linear: float
    logarithmic: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerSpectra:
    """Power spectra (filters, bins) of the filters of one layer, float32, from 0 Hz to half the sample rate.

    `stride` is that of the first convolution in samples. The gradient of a mean over positions repeats after so many,
    which alone gives lines at multiples of the sample rate over the stride, whatever the filters are.
    """

    power: np.ndarray
    sample_rate: int
    stride: int

    @property
    def bin_width(self) -> float:
        """Distance of two bins in Hz; the number of samples is odd, so no bin is at half the sample rate."""
        return self.sample_rate / (2 * self.power.shape[1] - 1)

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency in Hz of each bin."""
        return self.bin_width * np.arange(self.power.shape[1])

    @property
    def peaks(self) -> np.ndarray:
        """Frequency in Hz of each filter's strongest bin."""
        return self.frequencies[self.power.argmax(axis=1)]

    @property
    def lines(self) -> np.ndarray:
        """Multiples of the sample rate over the stride in Hz, up to half the sample rate."""
        first = self.sample_rate / self.stride
        return first * np.arange(1, int(self.sample_rate / 2 / first) + 1)

    @property
    def on_line(self) -> np.ndarray:
        """Whether each filter's strongest bin is within one bin of a line."""
        return self._near_line(self.peaks)

    @property
    def line_chance(self) -> float:
        """Share of all bins that are within one bin of a line."""
        return float(self._near_line(self.frequencies).mean())

    @property
    def fits(self) -> PeakFits:
        """How well the sorted peaks rise along a straight and along a logarithmic line; 1 is perfectly."""
        peaks = np.sort(self.peaks)
        places = np.arange(len(peaks))
        logarithms = np.log(np.maximum(peaks, self.bin_width))  # a peak at 0 Hz has no logarithm
        return PeakFits(linear=_correlate(places, peaks), logarithmic=_correlate(places, logarithms))

    def _near_line(self, frequencies: np.ndarray) -> np.ndarray:
        near: np.ndarray = (
            np.abs(frequencies[:, None] - self.lines).min(axis=1, initial=np.inf) <= self.bin_width * ROUNDING
        )
        return near


def write_spectra(path: Path, layers: dict[str, LayerSpectra]) -> None:
    """Write the spectra of layers by name, such as `1 mean`; equal spectra give equal bytes."""
    arrays = {
        f"{name} {field}": np.asarray(value) for name, layer in layers.items() for field, value in vars(layer).items()
    }
    with write_atomically(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_spectra(path: Path, *, layer: int, objective: Objective) -> LayerSpectra | None:
    """Read the spectra of one layer, counted from 1, or None if the encoder has fewer; `UserError` for other files."""
    require_unchanged(path)
    with name_damage(path, remedy=REMEDY):
        stored, name = array_files.read_npz(path), f"{layer} {objective}"
        if f"{name} power" not in stored:
            return None
        numbers = {field: int(stored[f"{name} {field}"]) for field in ("sample_rate", "stride")}
        return LayerSpectra(power=stored[f"{name} power"], **numbers)


def _correlate(places: np.ndarray, values: np.ndarray) -> float:
    return float(np.corrcoef(places, values)[0, 1]) if np.ptp(values) > 0 else float("nan")
