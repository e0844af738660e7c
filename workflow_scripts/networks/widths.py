"""Networks of the published shape with fewer channels, and the width of a published network from its channels."""

from __future__ import annotations

from collections.abc import Sequence

MIN_CHANNELS = 4  # below this a narrowed network has too few filters to distinguish low from high
MAX_DIGITS = 6  # of a width that is read from channels; networks of these sizes differ at fewer


def scale_channels(channels: Sequence[int], width: float) -> list[int]:
    """Multiply the channels of a network's layers by `width`, but keep at least four."""
    return [max(MIN_CHANNELS, round(size * width)) for size in channels]


def find_width(scaled: Sequence[int], *, channels: Sequence[int]) -> float | None:
    """Return the width, a short decimal, at which layers of `channels` have `scaled` channels; None if none fits."""
    # bounds on the width from rounding in each layer
    pairs = list(zip(scaled, channels, strict=True))
    least = max((count - 0.5) / size if count > MIN_CHANNELS else 0 for count, size in pairs)
    most = min((count + 0.5) / size for count, size in pairs)
    # the shortest decimal near their middle
    for digits in range(MAX_DIGITS + 1):
        width = round((least + most) / 2, digits)
        if width > 0 and scale_channels(channels, width) == list(scaled):
            return width
    return None
