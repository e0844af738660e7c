"""Spectra of the filters of an encoder's first convolutions, by gradient ascent (Spijkervet 2021, sections 7.1 to 7.3).

As in the author's code, a wave of 729 samples is changed until a filter responds strongly, before normalisation and
ReLU, and the power spectrum of the wave is taken. All filters of a layer climb at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from workflow_scripts.networks import eager_optimizers
from workflow_scripts.statistics.filter_spectra import Objective

SAMPLES = 729  # 3 to the power of 6: enough for three positions of SampleCNN's layer 6
STEPS, LEARNING_RATE, WEIGHT_DECAY = 17, 0.1, 1e-6  # Adam, the author's numbers
START = 0.5  # the wave starts between this and its negative


def first_stride(blocks: Sequence[nn.Module]) -> int:
    """Return the samples between two positions of the first convolution."""
    return _convolution(blocks, 1).stride[0]


def compute_spectra(
    blocks: Sequence[nn.Module], layer: int, *, objective: Objective, mean: float, std: float, device: torch.device
) -> np.ndarray:
    """Compute power spectra (filters, 365) of the filters of layer `layer`, counted from 1, float32.

    Each of `blocks` begins with a convolution; they are in evaluation mode and on `device`. Adam changes the wave in
    units of the deviation `std` from the `mean` of the training audio. With objective mean the spectrum is that of the
    wave. With objective centre most samples do not count, so it is that of the change; weight decay, which would
    change them too, is left out.
    """
    before, convolution = nn.Sequential(*blocks[: layer - 1]), _convolution(blocks, layer)
    filters = convolution.out_channels
    generator = torch.Generator().manual_seed(layer)  # the same starts for all encoders, whatever the device
    start = START * (2 * torch.rand(filters, 1, SAMPLES, generator=generator) - 1)
    units = ((start - mean) / std).to(device).requires_grad_()
    decay = WEIGHT_DECAY if objective == "mean" else 0.0
    optimizer = eager_optimizers.Adam([units], lr=LEARNING_RATE, weight_decay=decay)
    for _ in range(STEPS):
        responses = convolution(before(units * std + mean))
        own = responses[torch.arange(filters), torch.arange(filters)]  # (filters, positions): of each wave its filter
        value = own.mean(dim=-1) if objective == "mean" else own[:, own.shape[-1] // 2]
        (units.grad,) = torch.autograd.grad(-value.sum(), units)
        optimizer.step()
    waves = units.detach().cpu() * std + mean
    return _power(waves[:, 0] if objective == "mean" else (waves - start)[:, 0])


def _power(waves: Tensor) -> np.ndarray:
    """Return the power spectrum of each wave without its mean, in one Hamming window."""
    centred = (waves - waves.mean(dim=-1, keepdim=True)).double().numpy()
    power: np.ndarray = np.abs(np.fft.rfft(centred * np.hamming(SAMPLES))) ** 2
    return power.astype(np.float32)


def _convolution(blocks: Sequence[nn.Module], layer: int) -> nn.Conv1d:
    convolution = next(iter(blocks[layer - 1].children()))
    assert isinstance(convolution, nn.Conv1d), "a block begins with its convolution"
    return convolution
