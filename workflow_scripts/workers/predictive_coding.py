"""Predictive coding: identification of the frame k steps later among random ones (Spijkervet 2021, section 5.2).

Contrastive predictive coding as in the CLMR code's first version: the context of the frames so far, from the encoder
`cpc`, predicts each of the next 20 frames, which lie within 435 ms (the thesis states 100 ms, from a hop that its
strides do not give).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from workflow_scripts.configuration import compatibility
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.networks.sizes.cpc import CONTEXT

if TYPE_CHECKING:
    from workflow_scripts.workers._predictive_coding import PredictiveCodingWorker

LABEL = "predictive coding"
PRECOMPUTED = False


class Options(LevelOptions):
    """Options of predictive coding."""

    steps: int = Field(default=20, ge=1)
    """Later frames that are predicted."""
    negatives: int = Field(default=15, ge=1)
    """Random frames from which each of these is distinguished."""
    window: int = 81
    """Frames of a chunk that take part, from a random one on, to save time (81 in the code; negatives come from
    everywhere)."""
    context: int = Field(default=CONTEXT, ge=1)
    """Channels of the context, which must be the encoder's (256 of `cpc`)."""
    own_context: bool = False
    """Put a recurrent layer of that size on an encoder that has no context, and discard it after training."""

    @model_validator(mode="after")
    def _require_prediction_span(self) -> Self:
        """Raise `ValueError` for a window that is too short to predict in."""
        if self.window <= self.steps:
            raise ValueError(
                f"predictive_coding: a window of {self.window} frames has none {self.steps} steps ahead: "
                "choose fewer steps"
            )
        return self


def require_chunk(options: Options, *, frames: int) -> None:
    """Raise `UserError` if no frame of a chunk has one `steps` later."""
    compatibility.require_prediction_span(frames, steps=options.steps)


def build(options: Options, *, embedding_size: int) -> PredictiveCodingWorker:
    """Build the worker for an encoder with `embedding_size` channels, those of its context included."""
    from workflow_scripts.workers._predictive_coding import PredictiveCodingWorker

    return PredictiveCodingWorker(
        steps=options.steps,
        negatives=options.negatives,
        window=options.window,
        context=options.context,
        own_context=options.own_context,
        embedding_size=embedding_size,
    )
