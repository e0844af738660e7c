"""Frames of MPEG audio (layers 1 to 3, and AAC in ADTS), which state their own length.

ISO/IEC 11172-3, 13818-3 and 13818-7.
"""

from __future__ import annotations

import functools
import re
import struct
from dataclasses import dataclass, replace
from mmap import mmap

from workflow_scripts.audio.structure.crc16 import crc16
from workflow_scripts.audio.structure.facts import StreamFacts
from workflow_scripts.audio.structure.tags import skip_tags, strip_tags

HEADER_BYTES, ADTS_BYTES = 4, 7
#: the first bytes of a frame: versions, layers and bit rates that exist, or AAC
FRAME_START = re.compile(rb"\xff(?=[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]|[\xf0\xf1\xf8\xf9])", re.DOTALL)
#: the same without what frames of FLAC begin with too
UNLIKE_FLAC = re.compile(rb"\xff(?![\xf8\xf9])" + FRAME_START.pattern[len(rb"\xff") :], re.DOTALL)
AAC = 4  # number of the layer whose bits are zero
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
AAC_SAMPLES = 1024  # of each block in a frame
#: bits of an ADTS header behind the first byte that all frames of a stream share
AAC_SHARED_BITS = 0xFF_FD_C0
#: kbit/s by bit rate index, from 1: of MPEG 1 layers 1 to 3, of MPEG 2 layer 1, of MPEG 2 layers 2 and 3
BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
SAMPLE_RATES = (44_100, 48_000, 32_000)  # of MPEG 1; MPEG 2 has half, MPEG 2.5 a quarter
RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by version bits
#: samples that encoder delay, decoder delay and the padding of the last frames make at most, in all known encoders
PADDING_SAMPLES = 4608
#: header of a length (frames) in the first frame: offset of the flags behind the magic, and of the count
XING_MAGICS, XING_HAS_FRAMES = (b"Xing", b"Info"), 1
XING_END = 44  # end of the magic at the latest: behind header, checksum and side information
VBRI_OFFSET, VBRI_COUNT = 36, 14
#: part of that frame by LAME and ffmpeg (Lavf, Lavc), present if all four Xing fields are; by distance from the magic:
#: name of the encoder; length of the music in bytes, with this frame, and CRC of the music
XING_ALL_FIELDS, ENCODER_OFFSET, MUSIC_OFFSET = 15, 120, 148
ENCODERS, MUSIC_FIELDS = (b"LAME", b"Lav"), struct.Struct(">IH")
MIN_FRAMES = 3  # in a row, to take bytes for MPEG audio


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Header of a frame."""

    version: int  # bits of the header
    layer: int
    rate: int  # Hz
    length: int  # bytes
    samples: int

    def is_like(self, other: Frame | None) -> bool:
        """Return whether both can be frames of one stream."""
        return other is not None and (self.version, self.layer, self.rate) == (other.version, other.layer, other.rate)


def _parse_frame(data: mmap, position: int) -> Frame | None:
    """Parse the header of the frame at `position`; None if there is none."""
    header = data[position : position + ADTS_BYTES]
    is_aac = len(header) > 1 and header[1] & 0xF6 == 0xF0  # no layer
    return _parse_adts(header) if is_aac else parse_header(header[:HEADER_BYTES])


def _parse_adts(header: bytes) -> Frame | None:
    if len(header) < ADTS_BYTES or header[0] != 0xFF:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    rate_index = header[2] >> 2 & 15
    if length < ADTS_BYTES or rate_index >= len(AAC_RATES):
        return None
    version = int.from_bytes(header[1:4], "big") & AAC_SHARED_BITS
    samples = AAC_SAMPLES * (1 + (header[6] & 3))
    return Frame(version=version, layer=AAC, rate=AAC_RATES[rate_index], length=length, samples=samples)


@functools.lru_cache(maxsize=4096)
def parse_header(header: bytes) -> Frame | None:
    """Parse the four bytes at the start of a frame; None if they are none, or state no length (free format)."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bit_rate, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate_index == 3:
        return None
    generation = 1 if version == 3 else 2
    rate = SAMPLE_RATES[rate_index] // RATE_DIVISORS[version]
    bits_per_second = 1000 * BIT_RATES[generation, layer][bit_rate - 1]
    samples = 384 if layer == 1 else 576 if (generation, layer) == (2, 3) else 1152
    slot = 4 if layer == 1 else 1  # bytes
    length = (samples // 8 // slot * bits_per_second // rate + padding) * slot
    return Frame(version=version, layer=layer, rate=rate, length=length, samples=samples)


def read_facts(data: mmap, *, search: bool = False, part: slice | None = None) -> StreamFacts | None:
    """Count the frames of an MPEG file, or of a part of another file; None if there are none.

    `search` looks for the first frame behind other bytes, which are a fault: frames may have been there.
    """
    start, end, faults = (part.start, part.stop, {}) if part else (0, strip_tags(data), {})
    if not part:
        start, is_exact = _skip_exact_tags(data, 0, end)
        faults = {} if is_exact else {"stray_bytes": 0.0}
    if search and not starts_stream(data, start, end):
        # fewer frames are there by chance
        start, faults = _find_stream(data, start, end, is_short=False), {"stray_bytes": 0.0}
    if not starts_stream(data, start, end):
        return None
    facts = _Walk(data, end).facts(start)
    return replace(facts, faults=faults | facts.faults)


def starts_stream(data: mmap, position: int, end: int, *, is_short: bool = True) -> bool:
    """Return whether `MIN_FRAMES` of one stream follow each other at `position`; fewer up to the end if `is_short`."""
    first = frame = _parse_frame(data, position)
    for _ in range(MIN_FRAMES - 1):
        if frame is None:
            return False
        position += frame.length
        if position >= end or skip_tags(data, position) > position:
            return is_short
        frame = _parse_frame(data, position)
        if frame is not None and not frame.is_like(first):
            return False
    return frame is not None


def _find_stream(data: mmap, position: int, end: int, *, is_short: bool = True) -> int:
    """Return the first position from `position` on at which frames follow each other; `end` if there is none."""
    places = (match.start() for match in FRAME_START.finditer(data, position, end))
    return next((place for place in places if starts_stream(data, place, end, is_short=is_short)), end)


def _skip_exact_tags(data: mmap, position: int, end: int) -> tuple[int, bool]:
    """Return the position behind the tags at `position`, and whether their sizes are right.

    Where frames begin inside the tags and go on across their end, a size is wrong, and the position is the first frame.
    """
    behind = skip_tags(data, position)
    inside = _find_last_frames(data, position, min(behind, end))
    return (behind, True) if inside is None else (inside, False)


def ends_with_frames(data: mmap, position: int, end: int, *, pattern: re.Pattern[bytes] = FRAME_START) -> bool:
    """Return whether frames between `position` and `end`, the first of which fits a pattern, go on to `end`."""
    return _find_last_frames(data, position, end, pattern) is not None


def _find_last_frames(data: mmap, position: int, end: int, pattern: re.Pattern[bytes] = FRAME_START) -> int | None:
    """Return the first position from `position` on from which frames follow each other up to `end`, or across it."""
    places = (match.start() for match in pattern.finditer(data, position, end))
    return next((place for place in places if _has_frames_up_to(data, place, end)), None)


def _has_frames_up_to(data: mmap, position: int, end: int) -> bool:
    """Return whether frames of one stream, `MIN_FRAMES` at least, follow each other from `position` to `end`."""
    first = frame = _parse_frame(data, position)
    count = 0
    while frame is not None and frame.is_like(first):
        position, count = position + frame.length, count + 1
        if position >= end and count >= MIN_FRAMES:
            return True
        frame = _parse_frame(data, position)
    return False


class _Walk:
    """Walk along the frames of a file up to `end`."""

    def __init__(self, data: mmap, end: int) -> None:
        self._data, self._end = data, end
        self._seconds = 0.0
        self._faults: dict[str, float] = {}

    def facts(self, position: int) -> StreamFacts:
        """Follow the frames from `position` on."""
        data, end = self._data, self._end
        first = current = _parse_frame(data, position)
        assert first is not None
        start, header = position, data[position : position + first.length]
        stated = _read_stated_frames(header)
        if stated is not None:
            position += first.length
        while position < end:
            frame = _parse_frame(data, position)
            if frame is not None and (
                frame.is_like(current)
                or ((frame.layer == AAC) == (first.layer == AAC) and starts_stream(data, position, end))
            ):
                if position + frame.length > end:
                    self._add_fault("incomplete")
                    break
                self._seconds += frame.samples / frame.rate
                position, current = position + frame.length, frame
            elif skip_tags(data, position) > position:
                position, is_exact = _skip_exact_tags(data, position, end)
                if not is_exact:
                    self._add_fault("stray_bytes")
            else:
                self._add_fault("stray_bytes")
                position = _find_stream(data, position + 1, end)
        frame_seconds = first.samples / first.rate
        seconds = self._seconds if stated is None else max(self._seconds, stated * frame_seconds)
        if seconds > self._seconds + 1.5 * frame_seconds:  # some encoders count the frame of the header too
            self._add_fault("incomplete")
        if stated is not None and not self._faults and _has_changed(data, start, position, header):
            self._faults["checksum"] = 0.0
        return StreamFacts(
            seconds=seconds,
            padding_seconds=PADDING_SAMPLES / first.rate,
            start_byte=start,
            faults=self._faults,
        )

    def _add_fault(self, name: str) -> None:
        self._faults.setdefault(name, self._seconds)


def _read_stated_frames(frame: bytes) -> int | None:
    """Read the number of frames stated in a first frame without audio; None for a frame of audio."""
    for magic in XING_MAGICS:
        at = frame.find(magic, HEADER_BYTES, XING_END)
        if at > 0:
            flags = int.from_bytes(frame[at + 4 : at + 8], "big")
            return int.from_bytes(frame[at + 8 : at + 12], "big") if flags & XING_HAS_FRAMES else 0
    if frame[VBRI_OFFSET : VBRI_OFFSET + 4] == b"VBRI":
        return int.from_bytes(frame[VBRI_OFFSET + VBRI_COUNT :][:4], "big")
    return None


def _has_changed(data: mmap, start: int, end: int, header: bytes) -> bool:
    """Return whether the checksum in the first frame is not that of the frames behind it, up to `end`."""
    magic = max(header.find(name, HEADER_BYTES, XING_END) for name in XING_MAGICS)
    if magic < 0 or len(header) < magic + MUSIC_OFFSET + MUSIC_FIELDS.size:
        return False
    flags = int.from_bytes(header[magic + 4 : magic + 8], "big")
    length, checksum = MUSIC_FIELDS.unpack_from(header, magic + MUSIC_OFFSET)
    if flags != XING_ALL_FIELDS or not header.startswith(ENCODERS, magic + ENCODER_OFFSET) or length != end - start:
        return False  # another encoder's, or the file was cut or joined, which other faults tell
    return crc16(data[start + len(header) : end]) != checksum
