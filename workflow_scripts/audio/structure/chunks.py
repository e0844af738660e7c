"""Sizes that the headers of wav, AIFF, W64, au, CAF, mp4, ASF and Matroska files state: lengths, and what follows."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from mmap import mmap
from typing import Any, NamedTuple

from workflow_scripts.audio.structure import mp4, mpeg
from workflow_scripts.audio.structure.facts import MIN_SHARE, StreamFacts
from workflow_scripts.audio.structure.formats import begins_file, contains_file, read_tail
from workflow_scripts.audio.structure.tags import skip_tags

#: of streams whose writer could not seek back to state it, and of files beyond it
UNKNOWN_SIZE = 0x7FFF0000
#: the same of sizes of 64 bits
UNKNOWN_LARGE_SIZE = 0x7FFF_FFFF_0000_0000
#: size of the whole file by the magic it begins with: format and position of the size, and bytes it does not count
SIZES = {b"RIFF": ("<I", 4, 8), b"FORM": (">I", 4, 8), b"RF64": ("<Q", 20, 8), b"riff": ("<Q", 16, 0)}
W64_MAGIC, WAV_MAGIC, RF64_MAGIC = b"riff", b"RIFF", b"RF64"
#: size of the audio and its place in the first chunk of an RF64 file: the chunk of the audio has no room for it
RF64_AUDIO_SIZE, RF64_AUDIO_POSITION = struct.Struct("<Q"), 28
#: format tags of MPEG audio in wav, whose headers state a length that follows from the mean bit rate
MPEG_TAGS = (0x50, 0x55)
#: of integers, floats, logarithms and the extensible header; tag, channels, rate, bytes in a second and for each frame
#: of all channels, bits per sample
PLAIN_TAGS, FORMAT = (1, 3, 6, 7, 0xFFFE), struct.Struct("<2H2I2H")
#: format of AIFF without compression, whose chunk is not longer: channels, frames, bits; some programs pad the audio
AIFF_COMMON, AIFF_COMMON_SIZES, AIFF_FORMAT, AIFF_SLACK = b"COMM", (18,), struct.Struct(">HIH"), 0.01
AU_MAGIC, AU_HEADER = b".snd", struct.Struct(">4s2I")  # magic, offset and size of the data
TAIL_BYTES = 1 << 16  # of what follows the audio are looked at
CHUNK_HEADER = struct.Struct("<4sI")
#: by the magic of a file: header of a chunk (name and size), position of the first one, name of the audio, alignment
CHUNKS = {
    WAV_MAGIC: (CHUNK_HEADER, 12, b"data", 2),
    RF64_MAGIC: (CHUNK_HEADER, 12, b"data", 2),
    b"FORM": (struct.Struct(">4sI"), 12, b"SSND", 2),
    W64_MAGIC: (struct.Struct("<16sQ"), 40, b"data", 8),  # its sizes count the header
}

MP4_MAGIC = b"ftyp"
ASF_MAGIC = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_OBJECT = struct.Struct("<16sQ")  # name, size
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
#: within the properties: duration (100 ns) with the preroll, the preroll (ms), flags (1: a broadcast of no length)
ASF_LENGTH, ASF_BROADCAST = struct.Struct("<64xQ8xQI"), 1
ASF_PADDING_SECONDS = 0.2  # the last frames of WMA, of up to 4096 samples
#: names of the two elements of a file; a size has up to eight bytes, the first of which states how many
MATROSKA_MAGIC, MATROSKA_SEGMENT, MATROSKA_SIZE_BYTES = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", 8
CAF_MAGIC, CAF_HEADER_BYTES, CAF_CHUNK = b"caff", 8, struct.Struct(">4sq")  # name, size
#: sample rate, format, bytes and frames in a packet (0: they vary), channels, bits per sample
CAF_DESCRIPTION, CAF_PLAIN = struct.Struct(">d4s4x4I"), b"lpcm"
CAF_EDIT_COUNT_BYTES = 4  # at the start of the audio data


def read_facts(data: mmap, start: int, *, stream: int) -> StreamFacts | None:
    """Read what the headers from `start` on state about an audio stream; None for another format."""
    magic = data[start : start + 4]
    if magic in SIZES:
        return _read_riff(data, start)
    if magic == AU_MAGIC:
        _, offset, size = _unpack(AU_HEADER, data, start) or (magic, 0, UNKNOWN_SIZE)
        share = _AudioChunk(start + offset, min(size, UNKNOWN_SIZE), 0).present_share(data)
        return replace(_check_tail(data, start, offset + size), present_share=share)
    if data[start + 4 : start + 8] == MP4_MAGIC:
        facts, boxes = mp4.read_facts(data, start, stream=stream), _follow_boxes(data, start)
        return replace(facts, faults=facts.faults | boxes.faults)
    if data[start : start + len(ASF_MAGIC)] == ASF_MAGIC:
        return _follow_objects(data, start)
    if magic == MATROSKA_MAGIC:
        return _follow_elements(data, start)
    return _follow_chunks(data, start) if magic == CAF_MAGIC else None


class _AudioChunk(NamedTuple):
    """Audio of a wav, AIFF, RF64 or W64 file: its position and stated size; of a wav, format tag and contradictions."""

    position: int
    size: int
    tag: int
    is_contradictory: bool = False

    def present_share(self, data: mmap) -> float:
        """Return how much of the stated size is there; 1 where a writer could not state it."""
        present = len(data) - self.position
        return (
            present / self.size if 0 < present < self.size < UNKNOWN_LARGE_SIZE and self.size != UNKNOWN_SIZE else 1.0
        )


def _find_audio(data: mmap, start: int) -> _AudioChunk | None:
    """Find the chunk of the audio; None if there is none."""
    magic = data[start : start + 4]
    header, offset, audio, alignment = CHUNKS[magic]
    position, tag, is_contradictory = start + offset, 0, False
    aiff: tuple[Any, ...] | None = None
    while (chunk := _unpack(header, data, position)) is not None:
        name, size = chunk
        if magic == W64_MAGIC:  # its sizes count the header
            size = max(0, size - header.size)
        position += header.size
        if name.startswith(b"fmt "):
            tag = int.from_bytes(data[position : position + 2], "little")
            is_contradictory = _contradicts_itself(data[position : position + FORMAT.size])
        if name == AIFF_COMMON and size in AIFF_COMMON_SIZES:
            aiff = _unpack(AIFF_FORMAT, data, position)
        if name[: len(audio)] == audio:
            if magic == RF64_MAGIC and size >= UNKNOWN_SIZE:
                (size,) = _unpack(RF64_AUDIO_SIZE, data, start + RF64_AUDIO_POSITION) or (size,)
            elif magic != W64_MAGIC:
                size = min(size, UNKNOWN_SIZE)
            if aiff is not None and size < UNKNOWN_SIZE:
                channels, frames, bits = aiff
                stated = frames * channels * ((bits + 7) // 8)
                is_contradictory = abs(stated - size) > AIFF_SLACK * size and frames > 0
            return _AudioChunk(position, size, tag, is_contradictory)
        position += size + -size % alignment
    return None


def _contradicts_itself(content: bytes) -> bool:
    """Return whether the format of samples without compression states other sizes than follow from it."""
    if len(content) < FORMAT.size:
        return False
    tag, channels, rate, bytes_per_second, block, bits = FORMAT.unpack(content)
    if tag not in PLAIN_TAGS:
        return False
    # some programs do not state how many bytes a second has
    return not _fits(block, channels, bits) or bytes_per_second not in (0, rate * block)


def _fits(size: int, samples: int, bits: int) -> bool:
    """Return whether so many samples have this size in bytes; some programs store 24 bits in four."""
    return size in {samples * width for width in ((bits + 7) // 8, *((4,) if bits == 24 else ()))}


def _read_mpeg_wav(data: mmap, audio: _AudioChunk) -> StreamFacts | None:
    """Read the facts about MPEG audio in a wav file; None for other wav files."""
    if audio.tag not in MPEG_TAGS:
        return None
    facts = mpeg.read_facts(data, part=slice(audio.position, min(len(data), audio.position + audio.size)))
    if facts is None:
        return None
    share = audio.present_share(data)
    faults = {"truncated": math.inf} if share < MIN_SHARE else {"incomplete": math.inf} if share < 1 else {}
    return replace(facts, start_byte=0, faults={**facts.faults, **faults})


def _read_riff(data: mmap, start: int) -> StreamFacts:
    """Read how much of the audio of a wav, AIFF, RF64 or W64 file is there, and what follows it."""
    magic = data[start : start + 4]
    form, offset, uncounted = SIZES[magic]
    (size,) = _unpack(struct.Struct(form), data, start + offset) or (0,)
    tail, audio = _check_tail(data, start, size + uncounted), _find_audio(data, start)
    if audio is None:
        return tail
    if (mpeg_facts := _read_mpeg_wav(data, audio)) is not None:
        return replace(mpeg_facts, faults={**tail.faults, **mpeg_facts.faults})
    end = min(len(data), start + size + uncounted)
    faults = {} if magic == W64_MAGIC or _is_followed_by_chunk(data, audio, end=end) else {"stray_bytes": math.inf}
    if audio.is_contradictory:
        faults["header"] = 0.0
    return replace(tail, present_share=audio.present_share(data), faults={**tail.faults, **faults})


def _is_followed_by_chunk(data: mmap, audio: _AudioChunk, *, end: int) -> bool:
    """Return whether another chunk, zeros or nothing come between the audio and the end of the file."""
    behind = audio.position + audio.size
    if not audio.size or behind + CHUNK_HEADER.size >= end:
        return True
    # not all writers fill up to an even size
    places = (behind, behind + audio.size % 2)
    return any(_is_name(data[place : place + 4]) for place in places) or not any(data[behind : behind + TAIL_BYTES])


def _unpack(form: struct.Struct, data: mmap, position: int) -> tuple[Any, ...] | None:
    return form.unpack_from(data, position) if position + form.size <= len(data) else None


def _check_tail(data: mmap, start: int, size: int) -> StreamFacts:
    """Look at what follows a file of `size` bytes: tags, zeros and chunks are harmless."""
    if not CHUNK_HEADER.size < size < UNKNOWN_SIZE:
        return _search_file(data, start + CHUNK_HEADER.size)
    fault = read_tail(data, start + size)
    if data[start : start + 4] == W64_MAGIC and start + size < len(data):  # libsndfile takes any bytes for audio
        return _list_fault(fault or "stray_bytes")
    position = skip_tags(data, start + size)
    tail = data[position : position + TAIL_BYTES].lstrip(b"\0")
    if fault == "stray_bytes" and len(tail) > CHUNK_HEADER.size:
        name, length = CHUNK_HEADER.unpack_from(tail)
        if _is_name(name) and length <= len(data) - position:
            return StreamFacts()
    return _list_fault(fault)


def _list_fault(fault: str | None) -> StreamFacts:
    return StreamFacts(faults={} if fault is None else {fault: math.inf})


def _search_file(data: mmap, position: int) -> StreamFacts:
    """Look for another file behind audio whose end is not stated."""
    return _list_fault("joined" if contains_file(data, position) else None)


def _is_name(name: bytes) -> bool:
    return name.isascii() and name.decode().isprintable()


def _follow_boxes(data: mmap, position: int) -> StreamFacts:
    """Follow the boxes of an mp4 file; a second file type begins another file."""
    first = True
    while (box := _unpack(mp4.BOX, data, position)) is not None:
        size, name = box
        if name == MP4_MAGIC and not first:
            return StreamFacts(faults={"joined": math.inf})
        if size == 1:  # the size follows the name, in 64 bits
            _, _, size = _unpack(mp4.LARGE_BOX, data, position) or (0, name, 0)
        if size == 0 and _is_name(name):  # to the end
            return _search_file(data, position + mp4.BOX.size)
        if size < mp4.BOX.size or not _is_name(name):
            return _list_fault(read_tail(data, position))
        position, first = position + size, False
    return _list_fault(read_tail(data, position))


def _follow_elements(data: mmap, position: int) -> StreamFacts:
    """Follow the header and the content of a Matroska file; the content of a live stream states no size."""
    for name in (MATROSKA_MAGIC, MATROSKA_SEGMENT):
        if data[position : position + len(name)] != name:
            break
        position += len(name)
        size = data[position : position + MATROSKA_SIZE_BYTES]
        length = MATROSKA_SIZE_BYTES + 1 - (size[0] if size else 0).bit_length()
        unknown = (1 << 7 * length) - 1
        value = int.from_bytes(size[:length], "big") & unknown
        if value == unknown or length > MATROSKA_SIZE_BYTES:
            return _search_file(data, position)
        position += length + value
    return _list_fault(read_tail(data, position))


def _follow_objects(data: mmap, start: int) -> StreamFacts:
    """Follow the objects of an asf file; a second header begins another file."""
    faults: dict[str, float] = {}
    position = start
    while (entry := _unpack(ASF_OBJECT, data, position)) is not None and entry[1] >= ASF_OBJECT.size:
        if position > start and begins_file(data, skip_tags(data, position)):
            break
        position += entry[1]
    if (fault := read_tail(data, position)) is not None:
        faults[fault] = math.inf
    properties = data.find(ASF_PROPERTIES, start, start + TAIL_BYTES)
    lengths = _unpack(ASF_LENGTH, data, properties) if properties >= 0 else None
    if lengths is None or lengths[2] & ASF_BROADCAST:
        return StreamFacts(faults=faults)
    seconds = lengths[0] / 1e7 - lengths[1] / 1e3
    return StreamFacts(seconds=max(0.0, seconds) or None, padding_seconds=ASF_PADDING_SECONDS, faults=faults)


def _follow_chunks(data: mmap, start: int) -> StreamFacts:
    """Follow the chunks of a caf file; a second magic begins another file."""
    position = start + CAF_HEADER_BYTES
    description: tuple[Any, ...] = (0.0, b"", 0, 0, 0, 0)
    seconds, faults = None, {}
    while (chunk := _unpack(CAF_CHUNK, data, position)) is not None:
        name, size = chunk
        if begins_file(data, skip_tags(data, position)) or not _is_name(name):
            break
        position += CAF_CHUNK.size
        if name == b"desc":
            description = _unpack(CAF_DESCRIPTION, data, position) or description
            _, kind, packet_bytes, packet_frames, channels, bits = description
            if kind == CAF_PLAIN and not _fits(packet_bytes, channels * packet_frames, bits):
                faults["header"] = 0.0
        if size < 0:  # -1: to the end
            return StreamFacts(seconds=seconds, faults=faults | _search_file(data, position).faults)
        rate, _, packet_bytes, packet_frames, *_ = description
        if name == b"data" and rate > 0 and packet_bytes:
            seconds = (size - CAF_EDIT_COUNT_BYTES) // packet_bytes * packet_frames / rate or None
        position += size
    return StreamFacts(seconds=seconds, faults=faults | _list_fault(read_tail(data, position)).faults)
