"""Tags before, between and behind audio: ID3, APE and Lyrics3, which belong to no audio format."""

from __future__ import annotations

import struct
from mmap import mmap

APE_HEADER = struct.Struct("<8s4I8x")  # magic, version, bytes without the header, items, flags
APE_IS_HEADER, APE_HAS_HEADER = 1 << 29, 1 << 31
ID3_HEADER_BYTES, ID3V1_BYTES = 10, 128
ID3_HAS_FOOTER = 0x10
#: Lyrics3 ends with six digits, its length without them, and this
LYRICS_END = b"LYRICS200"


def skip_tags(data: mmap, position: int) -> int:
    """Return the position behind all tags that begin at `position`; the same where none begins."""
    while (length := _leading_length(data, position)) > 0:
        position = min(position + length, len(data))
    return position


def strip_tags(data: mmap) -> int:
    """Return the position at which the tags at the end of a file begin."""
    end = len(data)
    while (length := _trailing_length(data, end)) > 0:
        end = max(0, end - length)
    return end


def _leading_length(data: mmap, position: int) -> int:
    start = data[position : position + APE_HEADER.size]
    if start.startswith(b"ID3") and len(start) >= ID3_HEADER_BYTES:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
        return ID3_HEADER_BYTES * (2 if start[5] & ID3_HAS_FOOTER else 1) + size
    if start.startswith(b"APETAGEX") and len(start) == APE_HEADER.size:
        _, _, size, _, flags = APE_HEADER.unpack(start)
        return APE_HEADER.size + (size if flags & APE_IS_HEADER else 0)
    if start.startswith(b"TAG") and len(data) >= position + ID3V1_BYTES:
        return ID3V1_BYTES
    if start.startswith(b"LYRICSBEGIN") and (end := data.find(LYRICS_END, position)) >= 0:
        return end + len(LYRICS_END) - position
    return 0


def _trailing_length(data: mmap, end: int) -> int:
    if end >= ID3V1_BYTES and data[end - ID3V1_BYTES : end - ID3V1_BYTES + 3] == b"TAG":
        return ID3V1_BYTES
    footer = data[max(0, end - APE_HEADER.size) : end]
    if footer.startswith(b"APETAGEX"):
        _, _, size, _, flags = APE_HEADER.unpack(footer)
        return size + (APE_HEADER.size if flags & APE_HAS_HEADER else 0)
    if footer.endswith(LYRICS_END) and (digits := footer[-len(LYRICS_END) - 6 : -len(LYRICS_END)]).isdigit():
        return int(digits) + 6 + len(LYRICS_END)
    return 0
