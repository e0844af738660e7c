"""The separation loss is the mean absolute error of what the masks let through."""

from __future__ import annotations

import pytest
import torch

from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import magnitude, unet
from workflow_scripts.levels import registry
from workflow_scripts.networks import spectrogram
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.networks.sizes.spectrogram import SAMPLE_RATE, sample_count
from workflow_scripts.workers._separation import separate
from workflow_scripts.workers.separation import SOURCES

SAMPLES = sample_count(64)


def worker(source: str):
    level = registry.load("worker", "separation")
    return level.build(registry.options(level, {"source": source}), embedding_size=3000)


def frames(masks: torch.Tensor) -> torch.Tensor:
    """An encoder's frames that end in these masks (batch, sources, frames, 256)."""
    return torch.cat([torch.randn(len(masks), 5, masks.shape[2]), masks.transpose(2, 3).flatten(1, 2)], dim=1)


def batch_of(sources: torch.Tensor) -> Batch:
    mixture = sources.sum(dim=1)
    return Batch(clean=mixture, audio=mixture, sources=sources)


def tones() -> torch.Tensor:
    """Two examples of four sources, each in bins of its own."""
    time = torch.arange(SAMPLES) / SAMPLE_RATE
    return (
        torch.stack(
            [
                torch.stack([torch.sin(6.2832 * time * hertz * factor) for hertz in (500, 1500, 3000, 5000)])
                for factor in (1.0, 1.1)
            ]
        )
        * 0.1
    )


def test_masks_that_let_each_source_through_have_little_loss():
    sources = tones()
    magnitudes = spectrogram.compute_stft(sources.flatten(0, 1)).abs()[..., :-1].unflatten(0, (2, 4))
    oracle = magnitudes / magnitudes.sum(dim=1, keepdim=True)
    good = worker("all").loss(frames(oracle), batch_of(sources))
    open_ = worker("all").loss(frames(torch.ones_like(oracle)), batch_of(sources))
    assert good < 0.1 * open_


def test_the_loss_is_the_mean_absolute_error_of_the_estimates():
    sources, masks = tones(), torch.rand(2, 4, 64, 256)
    estimates = separate(frames(masks), sources.sum(dim=1), sources=4)
    expected = (estimates - sources).abs().mean()
    torch.testing.assert_close(worker("all").loss(frames(masks), batch_of(sources)), expected)
    (one,) = separate(frames(masks[:1, :1]), sources.sum(dim=1)[:1], sources=1)
    torch.testing.assert_close(one[0], estimates[0, 0])


def test_open_masks_give_the_mixture_back_but_for_its_ends():
    sources = tones()
    estimate = separate(frames(torch.ones(2, 1, 64, 256)), sources.sum(dim=1), sources=1)[:, 0]
    inside = slice(352, -352)
    torch.testing.assert_close(estimate[:, inside], sources.sum(dim=1)[:, inside], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SOURCES)
def test_a_task_needs_an_encoder_with_its_masks(name):
    worker(name).check(unet.build(unet.Options(width=0.25)))
    with pytest.raises(UserError, match=f"separation of {name} needs an encoder with 1 masks and this one has 0"):
        worker(name).check(magnitude.build(magnitude.Options()))


def test_the_task_has_no_parameters():
    assert not list(worker("vocals").parameters())
