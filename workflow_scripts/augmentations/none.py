"""No augmentation: the encoder hears the audio as recorded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_scripts.networks.interfaces import Augmentation


@dataclass(frozen=True, kw_only=True)
class Options:
    """No options."""


class Unchanged(Augmentation):
    """Returns its input."""

    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - one shape for all
        """Return `audio` itself."""
        return audio


def build(options: Options, *, sample_rate: int) -> Unchanged:  # noqa: ARG001 - one shape for all augmentations
    """Build it."""
    return Unchanged()
