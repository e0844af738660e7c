"""Log-mel spectrograms as the back ends of Garoufis et al. (2024) hear them (`models.py` of the MSSPT code)."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from workflow_scripts.networks.spectrogram import SMALLEST, mel_matrix

LN_10 = 2.3025  # as the code rounds it here


def log_mel(magnitude: Tensor) -> Tensor:
    """Logarithm, to base 10, of the mel bands (batch, channels, frames, 128) of magnitudes (..., 256), in float32."""
    with torch.autocast(magnitude.device.type, enabled=False):
        return back_end_log10(magnitude.float() @ _matrix(magnitude.device))


def mel_of_log(magnitude: Tensor) -> Tensor:
    """Mel bands of the logarithm instead, as the code's first version has it for the mixture; same shapes."""
    with torch.autocast(magnitude.device.type, enabled=False):
        return back_end_log10(magnitude.float()) @ _matrix(magnitude.device)


def back_end_log10(values: Tensor) -> Tensor:
    """Logarithm to base 10 of magnitudes of any shape, as the back ends and the joint network hear it."""
    return torch.log(values + SMALLEST) / LN_10


@functools.cache
def _matrix(device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # or the first to ask would decide whether gradients may pass
        return mel_matrix().clone().to(device)
