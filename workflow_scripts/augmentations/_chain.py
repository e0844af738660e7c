"""Chains of random effects: what augmentations are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.effects.slices import slice_length
from workflow_scripts.networks.interfaces import Augmentation


class Effect(ABC):
    """An effect whose parameters are drawn for each example."""

    numbers: int  # random numbers an example's parameters take

    @abstractmethod
    def __call__(self, audio: Tensor, numbers: Tensor) -> Tensor:
        """Return the effect on audio (batch, samples), float32, in a new tensor.

        The parameters come from `numbers` (batch, self.numbers), float64, on the CPU, uniform from 0 to below 1.
        """


@dataclass(frozen=True, kw_only=True)
class Step:
    """An effect, and with what probability an example gets it."""

    effect: Effect
    probability: float

    def __post_init__(self) -> None:
        """Raise `UserError` for what is no probability."""
        require_probabilities(self.probability)


@dataclass(frozen=True, kw_only=True)
class Alone:
    """Options of every augmentation that is one effect.

    `probability`: that an example gets it. `one_sided`: only one of the two views may get it, which tells best what one
    effect by itself is worth (Spijkervet 2021, section 6.3).
    """

    probability: float = 1.0
    one_sided: bool = False

    def __post_init__(self) -> None:
        """Raise `UserError` for what is no probability."""
        require_probabilities(self.probability)

    def chain(self, effect: Effect) -> Chain:
        """Return the chain of this one effect."""
        return Chain([Step(effect=effect, probability=self.probability)], one_sided=self.one_sided)


class Chain(Augmentation):
    """Effects one after the other.

    All random numbers of an example are drawn together before those of the next, so what happens to it depends on the
    generator and its place in the batch alone: not on the other examples, their number, or the device.
    """

    def __init__(self, steps: Sequence[Step], *, one_sided: bool = False) -> None:
        """Chain `steps`; with none, audio stays as it is."""
        self.steps, self.one_sided = steps, one_sided

    @torch.no_grad()
    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the audio with each example's effects, in the audio's own type; `audio` itself if there are none."""
        if not self.steps:
            return audio
        counts = [1 + step.effect.numbers for step in self.steps]
        drawn = torch.rand(len(audio), sum(counts), generator=generator, dtype=torch.float64)
        heard = audio.to(torch.float32, copy=True)
        for step, numbers in zip(self.steps, drawn.split(counts, dim=1), strict=True):
            _apply(step, heard, numbers)
        return heard.to(audio.dtype)


def _apply(step: Step, audio: Tensor, numbers: Tensor) -> None:
    chosen = (numbers[:, 0] < step.probability).nonzero()[:, 0]
    for some in chosen.split(slice_length(audio)):
        if len(some):
            rows = some.to(audio.device)
            audio[rows] = step.effect(audio[rows], numbers[some, 1:])


def joined(chains: Iterable[Chain], *, one_sided: bool) -> Chain:
    """One chain after the other."""
    return Chain([step for chain in chains for step in chain.steps], one_sided=one_sided)


def between(low: float, high: float, numbers: Tensor) -> Tensor:
    """Numbers that are uniform from `low` to `high`, made of ones that are uniform from 0 to 1."""
    return low + (high - low) * numbers


def whole_between(low: int, high: int, numbers: Tensor) -> Tensor:
    """Whole numbers, int64, from `low` to `high`, both included, all with equal chance."""
    return low + (numbers * (high - low + 1)).long()


def require_probabilities(*probabilities: float) -> None:
    """Raise `UserError` for what is no probability."""
    for probability in probabilities:
        if not 0 <= probability <= 1:
            raise UserError(f"probabilities of augmentations must be from 0 to 1, not {probability}")


def require_order(where: str, low: float, high: float) -> None:
    """Raise `UserError` for a range whose end lies before its start."""
    if not low <= high:
        raise UserError(f"{where}: a range must go upwards, not from {low} to {high}")
