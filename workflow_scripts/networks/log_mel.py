"""Log-mel spectrograms, the input of the back ends of Garoufis et al. (2024) (`models.py` of the MSSPT code)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from workflow_scripts.networks.spectrogram import SMALLEST, mel_matrix

LN_10 = 2.3025  # as the back ends' code rounds it


def log_mel(magnitude: Tensor) -> Tensor:
    """Compute the logarithm, to base 10, of the mel bands (batch, channels, frames, 128) of magnitudes (..., 256), in
    float32.
    """
    with torch.autocast(magnitude.device.type, enabled=False):
        return back_end_log10(magnitude.float() @ _matrix(magnitude.device))


def mel_of_log(magnitude: Tensor) -> Tensor:
    """Compute mel bands of the logarithm instead, as the code's first version does for the mixture; same shapes."""
    with torch.autocast(magnitude.device.type, enabled=False):
        return back_end_log10(magnitude.float()) @ _matrix(magnitude.device)


def back_end_log10(values: Tensor) -> Tensor:
    """Compute the logarithm to base 10 of magnitudes of any shape that is the input of the back ends and the joint
    network.
    """
    return torch.log(values + SMALLEST) / LN_10


@functools.cache
def _matrix(device: torch.device) -> Tensor:
    # otherwise the first caller would decide whether gradients may pass
    with torch.inference_mode(False):
        return mel_matrix().clone().to(device)
