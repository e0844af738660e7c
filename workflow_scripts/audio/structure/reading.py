"""Choice of the reader for the structure of a file."""

from __future__ import annotations

import functools
import mmap
from dataclasses import replace
from pathlib import Path

from workflow_scripts.audio.structure import chunks, flac, formats, mpeg, ogg
from workflow_scripts.audio.structure.facts import StreamFacts
from workflow_scripts.audio.structure.tags import skip_tags


def read_facts(path: Path, *, stream: int = 0) -> StreamFacts:
    """Read the facts about an audio stream of a file that is not empty; none where its structure is not known here.

    Raises `OSError`.
    """
    status = path.stat()
    return _read(path, stream, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4)  # for data sets with many clips in one file
def _read(path: Path, stream: int, _size: int, _time: int) -> StreamFacts:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = skip_tags(data, 0)
        magic = data[start : start + 4]
        if magic == ogg.MAGIC:
            return ogg.read_facts(data, start)
        if magic == flac.MAGIC:
            return flac.read_facts(data, start)
        if (facts := chunks.read_facts(data, start, stream=stream)) is not None:
            return facts
        is_known = formats.START.match(data, start) is not None
        return mpeg.read_facts(data, search=not is_known) or _read_unknown(data, is_known=is_known)


def _read_unknown(data: mmap.mmap, *, is_known: bool) -> StreamFacts:
    """Read the facts about a file whose structure is not known: its beginning is lost, or the size of a tag wrong."""
    if is_known:
        return StreamFacts()
    faults = {"stray_bytes": 0.0}
    for module in (ogg, flac):
        inside = data.find(module.MAGIC)
        if inside >= 0:
            facts = module.read_facts(data, inside)
            return replace(facts, start_byte=inside, faults=faults | facts.faults)
    return StreamFacts(faults=faults)
