"""How many examples are worked on at once."""

from __future__ import annotations

from torch import Tensor

#: examples of 3 s on a CPU: with more, what is computed on the way is so large that its memory is fetched anew each
#: time; with fewer, the many small steps of the pitch shift are shared by too few
AT_ONCE = 16


def slice_length(audio: Tensor) -> int:
    """Examples of `audio` (batch, samples) that its device is quickest with at once; at least 1."""
    return AT_ONCE if audio.device.type == "cpu" else max(1, len(audio))
