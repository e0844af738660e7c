"""An echo."""

from __future__ import annotations

from torch import Tensor


def delayed(audio: Tensor, *, delays: Tensor, factor: float) -> Tensor:
    """Audio (batch, samples) and, after `delays` (batch,) int64 samples, once more with `factor`."""
    echoed = audio.clone()
    for delay in delays.unique().tolist():
        rows = (delays == delay).nonzero()[:, 0].to(audio.device)
        kept = max(0, audio.shape[-1] - delay)
        echo = audio.new_zeros(len(rows), audio.shape[-1])
        echo[:, audio.shape[-1] - kept :] = audio[rows, :kept] * factor
        echoed.index_add_(0, rows, echo)
    return echoed
