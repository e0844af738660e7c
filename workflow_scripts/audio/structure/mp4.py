"""Lengths of the sound tracks of an mp4 file (ISO/IEC 14496-12): of their samples, and of what its edits play."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

import numpy as np

from workflow_scripts.audio.structure.facts import StreamFacts

BOX, LARGE_BOX = struct.Struct(">I4s"), struct.Struct(">I4sQ")  # size, name, and the size of a large box
#: behind the version: dates, then ticks in a second and length; of a track its number and four bytes come between
TIMES = (struct.Struct(">4x8xII"), struct.Struct(">4x16xIQ"))
TRACK_LENGTH = (struct.Struct(">4x8x8xI"), struct.Struct(">4x16x8xQ"))
#: length in ticks of the whole file, position in the samples (negative: silence), speed
EDIT = (struct.Struct(">Iii"), struct.Struct(">Qqi"))
COUNT = struct.Struct(">4xI")
KIND, SOUND = slice(8, 12), b"soun"  # in the box `hdlr`
#: what encoders put before and behind the sound, which edits leave out, at most: of HE-AAC at 8 kHz half a second
PADDING_SAMPLES, MAX_PADDING_SECONDS = 4608, 0.6
#: ticks in a second are the rate of a track or divide by this, as 600, 1000 and 90000; no changed bit gives another
ROUND_TICKS = 25


@dataclass(frozen=True, kw_only=True)
class Track:
    """A track: ticks in a second of its samples, and their length in ticks; `edits` in ticks of the whole file."""

    is_sound: bool
    ticks: int
    length: int
    stated_length: int  # of the whole track, in ticks of the file
    edits: list[tuple[int, int]]  # length, position


def read_facts(data: mmap, start: int, *, stream: int) -> StreamFacts:
    """Read the length of a sound track; nothing is known of files in fragments, and of those without a table."""
    movie = next((content for name, content in _list_boxes(memoryview(data)[start:]) if name == b"moov"), None)
    if movie is None:
        return StreamFacts()
    boxes = list(_list_boxes(movie))
    header = next((content for name, content in boxes if name == b"mvhd"), None)
    tracks = [_read_track(content) for name, content in boxes if name == b"trak"]
    sounds = [track for track in tracks if track is not None and track.is_sound]
    if header is None or any(name == b"mvex" for name, _ in boxes) or stream >= len(sounds):
        return StreamFacts()
    track = sounds[stream]
    if not track.ticks or not track.length:
        return StreamFacts()
    ticks, _ = _unpack(TIMES, header) or (0, 0)
    seconds, padding = track.length / track.ticks, min(PADDING_SAMPLES / track.ticks, MAX_PADDING_SECONDS)
    if ticks and track.edits:
        played = sum(length for length, position in track.edits if position >= 0) / ticks
        is_consistent = sum(length for length, _ in track.edits) == track.stated_length
        is_usual = not ticks % ROUND_TICKS or ticks in {other.ticks for other in tracks if other is not None}
        if 0 < played < seconds - padding and is_consistent and is_usual:  # cut by a program that kept all samples
            return StreamFacts(seconds=played, padding_seconds=padding, faults={"incomplete": math.inf})
    return StreamFacts(seconds=seconds, padding_seconds=padding)


def _list_boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of the boxes that follow each other."""
    position = 0
    while position + BOX.size <= len(data):
        size, name = BOX.unpack_from(data, position)
        header = BOX.size
        if size == 1 and position + LARGE_BOX.size <= len(data):
            _, _, size = LARGE_BOX.unpack_from(data, position)
            header = LARGE_BOX.size
        if size == 0:  # to the end
            size = len(data) - position
        if size < header:
            return
        yield name, data[position + header : position + size]
        position += size


def _find(data: memoryview | None, *path: bytes) -> memoryview | None:
    """Return the content of the first box at a path of names."""
    for name in path:
        data = next((content for other, content in _list_boxes(data) if other == name), None) if data else None
    return data


def _unpack(forms: tuple[struct.Struct, struct.Struct], data: memoryview, position: int = 0) -> tuple[int, ...] | None:
    """Unpack a field whose form depends on the version with which a box begins."""
    form = forms[min(1, data[0])] if len(data) else forms[0]
    return form.unpack_from(data, position) if position + form.size <= len(data) else None


def _read_track(data: memoryview) -> Track | None:
    """Read a track; None if a part of it is missing."""
    media = _find(data, b"mdia")
    header, kind = _find(media, b"mdhd"), _find(media, b"hdlr")
    table, track = _find(media, b"minf", b"stbl", b"stts"), _find(data, b"tkhd")
    if not header or not kind or not table or not track:
        return None
    ticks, stated = _unpack(TIMES, header) or (0, 0)
    rows = np.frombuffer(table[COUNT.size :][: (len(table) - COUNT.size) // 8 * 8], ">u4").reshape(-1, 2)
    rows = rows[: COUNT.unpack_from(table)[0] if len(table) >= COUNT.size else 0].astype(np.float64)
    length = int(rows.prod(axis=1).sum())  # repeat, ticks
    is_stated = stated not in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return Track(
        is_sound=kind[KIND] == SOUND,
        ticks=ticks,
        length=max(length, stated) if is_stated and length else length,
        stated_length=(_unpack(TRACK_LENGTH, track) or (0,))[0],
        edits=list(_list_edits(_find(data, b"edts", b"elst"))),
    )


def _list_edits(data: memoryview | None) -> Iterator[tuple[int, int]]:
    if not data or len(data) < COUNT.size:
        return
    size = EDIT[min(1, data[0])].size
    for index in range(min(COUNT.unpack_from(data)[0], (len(data) - COUNT.size) // size)):
        length, position, _ = _unpack(EDIT, data, COUNT.size + index * size) or (0, 0, 0)
        yield length, position
