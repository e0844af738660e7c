"""Deltas: derivatives of features over time, equal to `librosa.feature.delta` 0.11 with its defaults."""

from __future__ import annotations

import torch
from scipy.signal import savgol_coeffs
from torch import Tensor

from workflow_scripts.core.errors import UserError
from workflow_scripts.features.precision import without_autocast

FRAMES = 9  # librosa's default width, also used by the PASE code


@without_autocast
def append_deltas(features: Tensor, *, orders: int) -> Tensor:
    """Append deltas of order 1 to `orders` to features (..., channels, frames): (..., channels x (1 + orders), frames).

    The delta of order n is the nth derivative, per frame, of the polynomial of degree n fitted to the nine frames
    around each frame; the first and last four frames share that of the nine frames at the edge. With `orders` 0 the
    features are returned unchanged. Raises `UserError` for fewer than nine frames, unless there are no orders.
    """
    if not orders:
        return features
    if features.shape[-1] < FRAMES:
        raise UserError(f"deltas need at least {FRAMES} frames, not {features.shape[-1]}: take longer chunks")
    return torch.cat([features, *(_compute_delta(features, order) for order in range(1, orders + 1))], dim=-2)


def _compute_delta(features: Tensor, order: int) -> Tensor:
    frames = features.shape[-1]
    inner = frames - FRAMES + 1  # frames with a whole window around them
    weights = savgol_coeffs(FRAMES, polyorder=order, deriv=order, use="dot")
    # a sum of shifted copies: a convolution on a GPU may round to TF32
    deltas = torch.zeros_like(features[..., :inner])
    for shift, weight in enumerate(weights.tolist()):
        deltas.add_(features[..., shift : shift + inner], alpha=weight)
    # the nth derivative of a polynomial of degree n is constant, so an edge has that of its window's centre
    nearest = (torch.arange(frames, device=features.device) - FRAMES // 2).clamp(0, inner - 1)
    return deltas[..., nearest]
