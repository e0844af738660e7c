"""Numbers of examples that are processed at once."""

from __future__ import annotations

from torch import Tensor

#: Examples of 3 s on a CPU: with more, intermediate tensors are so large that their memory is allocated anew each time;
#: with fewer, the many small steps of the pitch shift are shared by too few examples.
CPU_EXAMPLES = 16


def slice_length(audio: Tensor) -> int:
    """Return the number of examples of `audio` (batch, samples) that its device processes fastest; at least 1."""
    return CPU_EXAMPLES if audio.device.type == "cpu" else max(1, len(audio))
