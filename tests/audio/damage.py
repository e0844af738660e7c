"""Damage done to the bytes of sound files, and tags put before and behind them."""

from __future__ import annotations

import struct


def flip_bit(data: bytes, place: float) -> bytes:
    """Flip a bit at a share of the length."""
    changed = bytearray(data)
    changed[int(place * len(data))] ^= 4
    return bytes(changed)


def blank(data: bytes, place: float, count: int = 4096) -> bytes:
    """Set bytes from a share of the length on to zero."""
    first = int(place * len(data))
    count = min(count, len(data) - first)
    return data[:first] + bytes(count) + data[first + count :]


def add_id3(data: bytes, content: int = 300_000) -> bytes:
    """Put an ID3v2 tag with a large private frame before the audio."""
    frame = b"PRIV" + struct.pack(">IH", content, 0) + b"\xff\xfb\x90\x64" * (content // 4)
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + data


def make_ape_tag(content: int = 200_000) -> bytes:
    """Make an APEv2 tag with header and footer."""
    item = struct.pack("<2I", content, 0) + b"Lyrics\0" + b"la " * (content // 3) + b"l" * (content % 3)
    size = len(item) + 32
    header, footer = (b"APETAGEX" + struct.pack("<4I8x", 2000, size, 1, flags) for flags in (0xA0000000, 0x80000000))
    return header + item + footer


def make_id3v1_tag() -> bytes:
    """Make an ID3v1 tag."""
    return b"TAG" + b"title".ljust(125, b"\0")
