"""SampleCNN, the encoder of CLMR, at four sample rates (Lee et al. 2018; Spijkervet 2021, sections 3.3 and 5.1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.samplecnn import window

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.networks.samplecnn import SampleCnn

LABEL = "SampleCNN"
TRAINABLE = True
CONVOLUTIONS = True
VARIANT_OPTIONS = ("sample_rate",)


class Options(LevelOptions):
    """Options of SampleCNN."""

    sample_rate: Literal[8000, 12000, 16000, 22050] = 22050
    """Sample rate in Hz; each has a network of its own, and reads corpora of its rate."""
    width: float = Field(default=1.0, gt=0)
    """Factor on the channels of the blocks."""
    supervised_dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the output that is dropped while the network learns from labels alone (thesis, Table 2.4). It is not
    part of the pre-trained network."""


def sample_rate(options: Options) -> int:
    """Return the sample rate in Hz."""
    return options.sample_rate


def hop(options: Options) -> int:
    """Return the samples between two frames: those of a window."""
    return window(options.sample_rate)


def build(options: Options) -> SampleCnn:
    """Build an untrained SampleCNN."""
    from workflow_scripts.networks.samplecnn import SampleCnn

    return SampleCnn(
        sample_rate=options.sample_rate, width=options.width, supervised_dropout=options.supervised_dropout
    )


def official_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's weights among those of a file of the CLMR code."""
    from workflow_scripts.networks import clmr

    return clmr.select_samplecnn_weights(state)


def options_of(shapes: Mapping[str, Sequence[int]]) -> Options:
    """Return the options of the network whose state dict has these shapes.

    Raises `UserError` if it is another network, `LookupError` where a tensor is missing or has too few axes.
    """
    from workflow_scripts.networks import samplecnn

    rate, width = samplecnn.read_sample_rate(shapes), samplecnn.read_width(shapes)
    return Options.model_validate({"sample_rate": rate, "width": width})
