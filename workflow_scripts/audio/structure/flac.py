"""Headers of FLAC (RFC 9639): length and md5 of the samples, of each of several joined files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from mmap import mmap

from workflow_scripts.audio.structure.facts import StreamFacts
from workflow_scripts.audio.structure.formats import contains_file

MAGIC = b"fLaC"
#: header of STREAMINFO, the first block of a file; the second form if it is the only block
BLOCK_HEADERS = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")
STREAMINFO_BYTES = 34
#: header of a block: a flag of the last one, seven bits of type, 24 of length
BLOCK_HEADER_BYTES, LAST_BLOCK = 4, 0x80
#: within STREAMINFO: 20 bits of sample rate, 3 of channels, 5 of bits per sample, 36 of length; then the md5
NUMBERS, MD5 = slice(10, 18), slice(18, 34)


def read_facts(data: mmap, start: int) -> StreamFacts:
    """Add up the lengths of the FLAC files that follow each other from `start` on."""
    headers = list(_find_headers(data, start))
    if not headers:
        return StreamFacts(has_checksums=True)
    numbers = [int.from_bytes(header[NUMBERS], "big") for header in headers]
    rates, lengths = [number >> 44 for number in numbers], [number & (1 << 36) - 1 for number in numbers]
    known = all(rates) and all(lengths)  # 0: not known
    md5 = headers[0][MD5]
    is_joined = contains_file(data, _skip_blocks(data, start + len(MAGIC)), without=MAGIC)
    return StreamFacts(
        seconds=sum(length / rate for length, rate in zip(lengths, rates, strict=True)) if known else None,
        faults={"joined": math.inf} if is_joined else {},
        has_checksums=True,
        md5=md5 if len(headers) == 1 and any(md5) else None,
        bits=1 + (numbers[0] >> 36 & 31),
    )


def _skip_blocks(data: mmap, position: int) -> int:
    """Return the position of the first frame: pictures and chunks of other formats may be in the blocks before it."""
    header = b"\0"
    while position < len(data) and not header[0] & LAST_BLOCK:
        header = data[position : position + BLOCK_HEADER_BYTES]
        position += BLOCK_HEADER_BYTES + int.from_bytes(header[1:], "big")
    return position


def _find_headers(data: mmap, position: int) -> Iterator[bytes]:
    while (position := data.find(MAGIC, position)) >= 0:
        position += len(MAGIC)
        if data[position : position + 4] in BLOCK_HEADERS:
            yield data[position + 4 : position + 4 + STREAMINFO_BYTES]
