"""Networks of the published shape with fewer channels, and what a published file tells of its width."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST_CHANNELS = 4  # below this a narrowed network has too few filters to tell low from high
MOST_DIGITS = 6  # of a width that is read from channels; two networks of these sizes differ long before


def narrowed(channels: Sequence[int], width: float) -> list[int]:
    """Channels of a network's layers at a factor of `width`."""
    return [max(FEWEST_CHANNELS, round(size * width)) for size in channels]


def width_giving(found: Sequence[int], *, channels: Sequence[int]) -> float | None:
    """Width, a short decimal, at which layers of `channels` have the channels `found`; None if there is none."""
    sized = list(zip(found, channels, strict=True))
    least = max((count - 0.5) / size if count > FEWEST_CHANNELS else 0 for count, size in sized)
    most = min((count + 0.5) / size for count, size in sized)
    for digits in range(MOST_DIGITS + 1):
        width = round((least + most) / 2, digits)
        if width > 0 and narrowed(channels, width) == list(found):
            return width
    return None
