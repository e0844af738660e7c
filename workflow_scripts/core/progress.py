"""Progress of long work: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 15  # shows that a job is alive without flooding its log


def track(items: Iterable[Item], *, description: str, total: int) -> Iterator[Item]:
    """Yield `items` and show how many of `total` are done."""
    if sys.stderr.isatty():
        from rich.progress import track as rich_track  # noqa: PLC0415  (jobs write logs)

        yield from rich_track(items, description=description, total=total)
        return
    last = time.monotonic()
    for done, item in enumerate(items):
        yield item
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{description}: {done + 1}/{total}", file=sys.stderr, flush=True)
