"""Chains of random effects, of which augmentations are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_scripts.effects.slices import slice_length
from workflow_scripts.networks.interfaces import Augmentation


class Effect(ABC):
    """An effect whose parameters are drawn for each example."""

    n_uniforms: int  # random numbers that an example's parameters take

    @abstractmethod
    def __call__(self, audio: Tensor, uniforms: Tensor) -> Tensor:
        """Return the effect on audio (batch, samples), float32, in a new tensor.

        The parameters come from `uniforms` (batch, self.n_uniforms), float64, on the CPU, uniform from 0 to below 1.
        """


@dataclass(frozen=True, kw_only=True)
class Step:
    """An effect, and the probability (0 to 1) with which it is applied to an example."""

    effect: Effect
    probability: float


class Chain(Augmentation):
    """Effects one after the other.

    All random numbers of an example are drawn together before those of the next, so its parameters depend on the
    generator and on the example's place in the batch alone: not on the other examples, their number, or the device.
    """

    def __init__(self, steps: Sequence[Step], *, one_sided: bool = False) -> None:
        """Chain `steps`; with none, audio stays as it is."""
        self.steps, self.one_sided = steps, one_sided

    @classmethod
    def of(cls, effect: Effect, *, probability: float, one_sided: bool) -> Chain:
        """Return the chain of a single effect."""
        return cls([Step(effect=effect, probability=probability)], one_sided=one_sided)

    @torch.no_grad()
    def __call__(self, audio: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the audio with each example's effects, in the audio's own type; `audio` itself if there are none."""
        if not self.steps:
            return audio
        counts = [1 + step.effect.n_uniforms for step in self.steps]
        uniforms = torch.rand(len(audio), sum(counts), generator=generator, dtype=torch.float64)
        augmented = audio.to(torch.float32, copy=True)
        for step, own_uniforms in zip(self.steps, uniforms.split(counts, dim=1), strict=True):
            _apply(step, augmented, own_uniforms)
        return augmented.to(audio.dtype)


def _apply(step: Step, audio: Tensor, uniforms: Tensor) -> None:
    """Apply a step in place to the examples whose first number is below its probability."""
    examples = (uniforms[:, 0] < step.probability).nonzero()[:, 0]
    for part in examples.split(slice_length(audio)):
        if len(part):
            rows = part.to(audio.device)
            audio[rows] = step.effect(audio[rows], uniforms[part, 1:])


def concatenate(chains: Iterable[Chain], *, one_sided: bool) -> Chain:
    """Return one chain of the steps of several, in their order."""
    return Chain([step for chain in chains for step in chain.steps], one_sided=one_sided)


def scale(numbers: Tensor, *, low: float, high: float) -> Tensor:
    """Map numbers that are uniform from 0 to 1 to numbers that are uniform from `low` to `high`."""
    return low + (high - low) * numbers


def scale_to_integers(numbers: Tensor, *, low: int, high: int) -> Tensor:
    """Map numbers that are uniform from 0 to 1 to int64 from `low` to `high`, both included, all equally likely."""
    return low + (numbers * (high - low + 1)).long()
