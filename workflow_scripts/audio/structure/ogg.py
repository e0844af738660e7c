"""Pages of Ogg (RFC 3533): checksums, page numbers, the end-of-stream flag, and the lengths of chained streams."""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from workflow_scripts.audio.structure.facts import StreamFacts
from workflow_scripts.audio.structure.formats import read_tail

MAGIC = b"OggS"
#: magic, version, flags, granule position, serial number, page number, checksum, segments
HEADER = struct.Struct("<4sBBqIIIB")
CHECKSUM = slice(22, 26)
FIRST_PAGE, LAST_PAGE = 2, 4  # flags
NO_GRANULE = -1  # of a page on which no packet ends
#: start of the first packet of audio codecs, and where in it the sample rate stands; Opus counts at 48 kHz always
VORBIS, OPUS, SPEEX, FLAC = b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC"
RATE_FIELDS = {VORBIS: (12, "<I"), SPEEX: (36, "<I")}
OPUS_RATE = 48_000  # Hz
FLAC_RATE_OFFSET, FLAC_RATE_SHIFT = 27, 12  # 20 bits of big-endian 32
#: where in the first packet codec, rate and channels stand; behind it are bit rates, which joined files may differ in
KIND_ENDS = {VORBIS: 16, OPUS: 10, SPEEX: 52, FLAC: 30}
#: what Opus and Speex decoders leave out at the start and end, at most
PADDING_SECONDS = 0.1
#: first position from which on a stream is the later part of another, as of a broadcast: no page is as long
MAX_PAGE_SECONDS = 10.0
REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Header of a page, and its content."""

    flags: int
    granule: int
    serial: int
    number: int
    content: bytes


@dataclass(kw_only=True)
class _Link:
    """An audio stream, while its pages are read."""

    rate: int
    kind: bytes  # codec, rate and channels
    number: int = 0  # of the last page
    start: int = -1  # samples before it, which belong to no page
    granule: int = 0
    last_page: int = 0  # granule position at its start
    ended: bool = False

    @property
    def seconds(self) -> float:
        return max(0, self.granule - max(0, self.start)) / self.rate


def checksum(data: bytes) -> int:
    """Compute the checksum of a page whose own checksum is zero: zlib's polynomial, with the bits of bytes reversed."""
    reversed_checksum = zlib.crc32(data.translate(REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reversed_checksum:032b}"[::-1], 2)


def read_facts(data: mmap, start: int) -> StreamFacts:
    """Add up the lengths of the audio streams that follow each other from `start` on, and check all their pages."""
    walk = _Walk()
    for position, page in _read_pages(data, start):
        if page is not None:
            walk.add(page)
        else:
            walk.skip(data, position)
    return walk.facts()


def _read_pages(data: mmap, position: int) -> Iterator[tuple[int, Page | None]]:
    """Yield the pages from `position` on, and None for bytes that are no page or not as they were written."""
    while position < len(data):
        page, length = _read_page(data, position)
        yield position, page
        if page is None:
            position = data.find(MAGIC, position + 1)
            if position < 0:
                return
        else:
            position += length


def _read_page(data: mmap, position: int) -> tuple[Page | None, int]:
    header = data[position : position + HEADER.size]
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        return None, 0
    _, _, flags, granule, serial, number, expected, segments = HEADER.unpack(header)
    lacing = data[position + HEADER.size : position + HEADER.size + segments]
    length = HEADER.size + segments + sum(lacing)
    page = bytearray(data[position : position + length])
    page[CHECKSUM] = bytes(4)
    if len(lacing) < segments or len(page) < length or checksum(bytes(page)) != expected:
        return None, 0
    content = bytes(page[HEADER.size + segments :])
    return Page(flags=flags, granule=granule, serial=serial, number=number, content=content), length


def _read_rate(packet: bytes) -> int | None:
    """Read the sample rate in the first packet of an audio stream; None for other streams, such as pictures."""
    if packet.startswith(OPUS):
        return OPUS_RATE
    if packet.startswith(FLAC):
        return int.from_bytes(packet[FLAC_RATE_OFFSET : FLAC_RATE_OFFSET + 4].ljust(4, b"\0"), "big") >> FLAC_RATE_SHIFT
    for magic, (offset, form) in RATE_FIELDS.items():
        if packet.startswith(magic) and len(packet) >= offset + struct.calcsize(form):
            return int(struct.unpack_from(form, packet, offset)[0])
    return None


def _read_kind(packet: bytes) -> bytes:
    """Return codec, sample rate and channels as they stand in the first packet of an audio stream."""
    return next((packet[:end] for magic, end in KIND_ENDS.items() if packet.startswith(magic)), b"")


class _Walk:
    """Walk along the pages of a file."""

    def __init__(self) -> None:
        self._links: list[_Link] = []
        self._others: set[int] = set()  # serial numbers of streams without audio
        self._beside: list[_Link] = []
        self._by_serial: dict[int, _Link] = {}
        self._faults: dict[str, float] = {}

    def skip(self, data: mmap, position: int) -> None:
        """Judge bytes that are no page: damage, or what follows the audio."""
        if not self._links or not self._links[-1].ended:
            self._add_damage()
        elif (fault := read_tail(data, position)) is not None:
            self._faults.setdefault(fault, math.inf)

    def add(self, page: Page) -> None:
        if page.flags & FIRST_PAGE:
            self._begin(page)
        elif (link := self._by_serial.get(page.serial)) is not None:
            self._continue(link, page)
        elif page.serial not in self._others:
            self._add_damage()  # its first page is lost

    def _begin(self, page: Page) -> None:
        rate = _read_rate(page.content)
        if not rate:
            self._others.add(page.serial)
            return
        link = _Link(rate=rate, kind=_read_kind(page.content), number=page.number)
        if self._links and not self._links[-1].ended and self._links[-1].number == 0:
            self._beside.append(link)  # another of several stems
            self._by_serial[page.serial] = link
            return
        if self._links and not self._links[-1].ended:
            self._add_damage()  # the one before is cut off
        self._others.discard(page.serial)
        self._links.append(link)
        self._by_serial[page.serial] = link

    def _continue(self, link: _Link, page: Page) -> None:
        if page.number != link.number + 1:
            self._add_damage()
        link.number = page.number
        if page.granule > 0:
            if link.start < 0:
                link.start = page.granule if page.granule > MAX_PAGE_SECONDS * link.rate else 0
            link.last_page, link.granule = link.granule, page.granule
        link.ended = link.ended or bool(page.flags & LAST_PAGE)

    def _add_damage(self) -> None:
        self._faults.setdefault("damaged", self._seconds)

    @property
    def _seconds(self) -> float:
        return sum(link.seconds for link in self._links)

    def facts(self) -> StreamFacts:
        if not self._links:
            return StreamFacts(faults=self._faults)
        if not self._links[-1].ended:
            self._faults.setdefault("truncated", self._seconds)
        # decoders end where rate, channels or codec change
        links = list(itertools.takewhile(lambda link: link.kind == self._links[0].kind, self._links))
        seconds, last = sum(link.seconds for link in links), links[-1]
        is_longer = any(link.seconds > seconds + PADDING_SECONDS for link in self._beside)
        if len(links) < len(self._links) or is_longer:
            self._faults.setdefault("joined", math.inf)
        return StreamFacts(
            seconds=seconds,
            padding_seconds=PADDING_SECONDS,
            faults=self._faults,
            is_verified=True,
            last_page_seconds=max(0, last.last_page - last.start) / last.rate,
        )
