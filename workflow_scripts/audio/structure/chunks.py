"""Sizes that the headers of wav, aiff, w64, au, caf, mp4 and asf files state: lengths, and what follows the audio."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from mmap import mmap
from typing import Any

from workflow_scripts.audio.structure import mpeg
from workflow_scripts.audio.structure.facts import MIN_SHARE, StreamFacts
from workflow_scripts.audio.structure.tags import skip_tags

#: of streams whose writer could not seek back to state it, and of files beyond it
UNKNOWN_SIZE = 0x7FFF0000
#: size of the whole file by the magic it begins with: format and position of the size, and bytes it does not count
SIZES = {b"RIFF": ("<I", 4, 8), b"FORM": (">I", 4, 8), b"RF64": ("<Q", 20, 8), b"riff": ("<Q", 16, 0)}
W64_MAGIC = b"riff"
WAV_MAGIC, WAV_HEADER_BYTES = b"RIFF", 12
#: format tags of MPEG audio in wav, whose headers state a length that follows from the mean bit rate
MPEG_TAGS = (0x50, 0x55)
AU_MAGIC, AU_HEADER = b".snd", struct.Struct(">4s2I")  # magic, offset and size of the data
TAIL_BYTES = 1 << 16  # of what follows the audio are looked at
CHUNK_HEADER = struct.Struct("<4sI")

MP4_MAGIC, MP4_BOX = b"ftyp", struct.Struct(">I4s")  # size, name
ASF_MAGIC = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_OBJECT = struct.Struct("<16sQ")  # name, size
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
#: within the properties: duration (100 ns) with the preroll, the preroll (ms), flags (1: a broadcast of no length)
ASF_LENGTH, ASF_BROADCAST = struct.Struct("<64xQ8xQI"), 1
ASF_PADDING_SECONDS = 0.2  # the last frames of WMA, of up to 4096 samples
#: start of a file, and the name of a field of its header, which is not longer
MATROSKA_MAGIC, MATROSKA_TYPE, MATROSKA_HEADER_BYTES = b"\x1a\x45\xdf\xa3", b"\x42\x82", 64
CAF_MAGIC, CAF_HEADER_BYTES, CAF_CHUNK = b"caff", 8, struct.Struct(">4sq")  # name, size
CAF_DESCRIPTION = struct.Struct(">d8x2I")  # sample rate, bytes and frames in a packet (0: they vary)
CAF_EDIT_COUNT_BYTES = 4  # at the start of the audio data


def read_facts(data: mmap, start: int) -> StreamFacts | None:
    """Read what the headers from `start` on state; None for another format."""
    magic = data[start : start + 4]
    if magic in SIZES:
        form, offset, uncounted = SIZES[magic]
        (size,) = _unpack(struct.Struct(form), data, start + offset) or (0,)
        tail = _check_tail(data, start, size + uncounted)
        mpeg_facts = _read_mpeg_wav(data, start) if magic == WAV_MAGIC else None
        return tail if mpeg_facts is None else replace(mpeg_facts, faults={**tail.faults, **mpeg_facts.faults})
    if magic == AU_MAGIC:
        _, offset, size = _unpack(AU_HEADER, data, start) or (magic, 0, UNKNOWN_SIZE)
        return _check_tail(data, start, offset + size)
    if data[start + 4 : start + 8] == MP4_MAGIC:
        return _follow_boxes(data, start)
    if data[start : start + len(ASF_MAGIC)] == ASF_MAGIC:
        return _follow_objects(data, start)
    if magic == MATROSKA_MAGIC:
        is_second = (MATROSKA_TYPE in data[at : at + MATROSKA_HEADER_BYTES] for at in _find_all(data, magic, start + 4))
        return StreamFacts(faults={"joined": math.inf} if any(is_second) else {})
    return _follow_chunks(data, start) if magic == CAF_MAGIC else None


def _find_all(data: mmap, magic: bytes, position: int) -> Iterator[int]:
    while (position := data.find(magic, position)) >= 0:
        yield position
        position += len(magic)


def _read_mpeg_wav(data: mmap, start: int) -> StreamFacts | None:
    """Read the facts about MPEG audio in a wav file; None for other wav files."""
    position, tag = start + WAV_HEADER_BYTES, 0
    while (chunk := _unpack(CHUNK_HEADER, data, position)) is not None:
        name, size = chunk
        position += CHUNK_HEADER.size
        if name == b"fmt ":
            tag = int.from_bytes(data[position : position + 2], "little")
        if name == b"data":
            break
        position += size + size % 2
    if chunk is None or tag not in MPEG_TAGS:
        return None
    facts = mpeg.read_facts(data, part=slice(position, min(len(data), position + size)))
    if facts is None:
        return None
    share = (len(data) - position) / max(1, size)
    faults = {"truncated": math.inf} if share < MIN_SHARE else {"incomplete": math.inf} if share < 1 else {}
    return replace(facts, start_byte=0, faults={**facts.faults, **faults})


def _unpack(form: struct.Struct, data: mmap, position: int) -> tuple[Any, ...] | None:
    return form.unpack_from(data, position) if position + form.size <= len(data) else None


def _check_tail(data: mmap, start: int, size: int) -> StreamFacts:
    """Look at what follows a file of `size` bytes: tags, zeros and chunks are harmless."""
    if not CHUNK_HEADER.size < size < UNKNOWN_SIZE or start + size >= len(data):
        return StreamFacts()
    if data[start : start + 4] == W64_MAGIC:  # libsndfile takes any bytes behind it for audio
        return StreamFacts(faults={"stray_bytes": math.inf})
    position = skip_tags(data, start + size)
    tail = data[position : position + TAIL_BYTES].lstrip(b"\0")
    if not tail:
        return StreamFacts()
    if tail.startswith(data[start : start + 4]):
        return StreamFacts(faults={"joined": math.inf})
    if len(tail) > CHUNK_HEADER.size:
        name, length = CHUNK_HEADER.unpack_from(tail)
        if _is_name(name) and length <= len(data) - position:
            return StreamFacts()
    return StreamFacts(faults={"stray_bytes": math.inf})


def _is_name(name: bytes) -> bool:
    return name.isascii() and name.decode().isprintable()


def _follow_boxes(data: mmap, position: int) -> StreamFacts:
    """Follow the boxes of an mp4 file; a second file type begins another file."""
    first = True
    while (box := _unpack(MP4_BOX, data, position)) is not None:
        size, name = box
        if name == MP4_MAGIC and not first:
            return StreamFacts(faults={"joined": math.inf})
        if size == 1:  # the size follows the name, in 64 bits
            (size,) = _unpack(struct.Struct(">Q"), data, position + MP4_BOX.size) or (0,)
        if size < MP4_BOX.size or not _is_name(name):  # 0: to the end
            is_blank = not any(data[position : position + TAIL_BYTES])
            return StreamFacts(faults={} if is_blank or (size == 0 and _is_name(name)) else {"stray_bytes": math.inf})
        position, first = position + size, False
    return StreamFacts()


def _follow_objects(data: mmap, start: int) -> StreamFacts:
    """Follow the objects of an asf file; a second header begins another file."""
    faults: dict[str, float] = {}
    position = start
    while (entry := _unpack(ASF_OBJECT, data, position)) is not None and entry[1] >= ASF_OBJECT.size:
        if entry[0] == ASF_MAGIC and position > start:
            faults["joined"] = math.inf
            break
        position += entry[1]
    properties = data.find(ASF_PROPERTIES, start, start + TAIL_BYTES)
    lengths = _unpack(ASF_LENGTH, data, properties) if properties >= 0 else None
    if lengths is None or lengths[2] & ASF_BROADCAST:
        return StreamFacts(faults=faults)
    seconds = lengths[0] / 1e7 - lengths[1] / 1e3
    return StreamFacts(seconds=max(0.0, seconds) or None, padding_seconds=ASF_PADDING_SECONDS, faults=faults)


def _follow_chunks(data: mmap, start: int) -> StreamFacts:
    """Follow the chunks of a caf file; a second magic begins another file."""
    position = start + CAF_HEADER_BYTES
    description: tuple[float, int, int] = (0.0, 0, 0)
    seconds = None
    while (chunk := _unpack(CAF_CHUNK, data, position)) is not None:
        name, size = chunk
        if name.startswith(CAF_MAGIC):
            return StreamFacts(seconds=seconds, faults={"joined": math.inf})
        if not _is_name(name):
            return StreamFacts(seconds=seconds, faults={"stray_bytes": math.inf} if any(name) else {})
        position += CAF_CHUNK.size
        if name == b"desc":
            description = _unpack(CAF_DESCRIPTION, data, position) or description
        if size < 0:  # -1: to the end
            break
        rate, packet_bytes, packet_frames = description
        if name == b"data" and rate > 0 and packet_bytes:
            seconds = (size - CAF_EDIT_COUNT_BYTES) // packet_bytes * packet_frames / rate or None
        position += size
    return StreamFacts(seconds=seconds)
