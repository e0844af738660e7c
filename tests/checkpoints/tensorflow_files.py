"""Checkpoints in TensorFlow's format, written by hand: an index table of blocks of keys, and one file of data."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from workflow_scripts.checkpoints.crc32c import masked_crc32c

MAGIC = 0xDB4775248B80FB57
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}
TEXT = 7
RESTART = 16  # entries after which a key is written in full


def write(path: Path, tensors: Mapping[str, np.ndarray], *, texts: tuple[str, ...] = (), per_block: int = 40) -> Path:
    """Write the checkpoint `path`.index and `path`.data-00000-of-00001; return the index."""
    data, entries = b"", {b"": _varint_field(1, 1)}
    for name, values in sorted([*tensors.items(), *((text, None) for text in texts)]):
        content = b"\x04text" if values is None else values.astype(values.dtype.newbyteorder("<")).tobytes()
        kind = TEXT if values is None else TYPES[values.dtype.name]
        shape = b"".join(_bytes_field(2, _varint_field(1, size)) for size in (() if values is None else values.shape))
        place = (
            _varint_field(4, len(data))
            + _varint_field(5, len(content))
            + b"\x35"
            + struct.pack("<I", masked_crc32c(content))
        )
        entries[name.encode()] = _varint_field(1, kind) + _bytes_field(2, shape) + place
        data += content
    path.with_name(path.name + ".data-00000-of-00001").write_bytes(data)
    index = path.with_name(path.name + ".index")
    index.write_bytes(table(sorted(entries.items()), per_block))
    return index


def table(entries: list[tuple[bytes, bytes]], per_block: int, *, restart: int = RESTART) -> bytes:
    """Return an index of these entries, in blocks of `per_block`."""
    table, handles = b"", []
    blocks = [entries[first : first + per_block] for first in range(0, len(entries), per_block)]
    for block in blocks:
        content = _block(block, restart)
        handles.append((block[-1][0], _varint(len(table)) + _varint(len(content))))
        table += content + _trailer(content)
    places = []
    for content in (_block([]), _block(handles)):
        places.append(_varint(len(table)) + _varint(len(content)))
        table += content + _trailer(content)
    return table + b"".join(places).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def _trailer(content: bytes) -> bytes:
    return b"\0" + struct.pack("<I", masked_crc32c(content + b"\0"))


def _block(entries: list[tuple[bytes, bytes]], restart: int = RESTART) -> bytes:
    content, before, restarts = b"", b"", [0]
    for number, (key, value) in enumerate(entries):
        if number and number % restart == 0:
            restarts.append(len(content))
            before = b""
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        content += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        before = key
    return content + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
    return encoded + bytes([value])


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value) if value else b""


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value
