"""Choice of the reader for the structure of a file."""

from __future__ import annotations

import functools
import mmap
from dataclasses import replace
from pathlib import Path

from workflow_scripts.audio.structure import chunks, flac, mpeg, ogg
from workflow_scripts.audio.structure.facts import StreamFacts
from workflow_scripts.audio.structure.tags import skip_tags

#: names of files in which MPEG audio is looked for behind other bytes
MPEG_SUFFIXES = frozenset((".mp1", ".mp2", ".mp3", ".mpga"))

#: starts of other formats that tags are put before: frames of MPEG and AAC,
#: TTA, Musepack, Monkey's, WavPack, DSF, AC-3, DTS
TAGGED = (
    *(bytes((0xFF, 0xE0 | low)) for low in range(32)),
    *(b"TTA1", b"MPCK", b"MP+", b"MAC ", b"wvpk", b"DSD ", b"\x0b\x77", b"\x7f\xfe"),
)


def read_facts(path: Path) -> StreamFacts:
    """Read the facts about a file that is not empty; there are none where its structure is not known here.

    Raises `OSError`.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4)  # for data sets with many clips in one file
def _read(path: Path, _size: int, _time: int) -> StreamFacts:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = skip_tags(data, 0)
        magic = data[start : start + 4]
        if magic == ogg.MAGIC:
            return ogg.read_facts(data, start)
        if magic == flac.MAGIC:
            return flac.read_facts(data, start)
        if (facts := chunks.read_facts(data, start)) is not None:
            return facts
        facts = mpeg.read_facts(data, search=path.suffix.lower() in MPEG_SUFFIXES)
        return facts or _read_unknown(data, start)


def _read_unknown(data: mmap.mmap, start: int) -> StreamFacts:
    """Read the facts about a file without a known structure at the end of its tags, whose size may be wrong."""
    if not start or data[start : start + 4].startswith(TAGGED):
        return StreamFacts()
    faults = {"stray_bytes": 0.0}
    for module in (ogg, flac):
        inside = data.find(module.MAGIC, 0, start)
        if inside >= 0:
            facts = module.read_facts(data, inside)
            return replace(facts, start_byte=inside, faults=faults | facts.faults)
    return StreamFacts(faults=faults)
