"""Reading TensorFlow's checkpoints without TensorFlow.

A checkpoint NAME is an index, NAME.index, and files of data, NAME.data-00000-of-00001 and so on. The index is a table
as LevelDB writes it (blocks of sorted keys that leave out what they share with the key before) from the name of each
tensor to a protocol buffer that states the place of its bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.checkpoints.crc32c import masked_crc32c
from workflow_scripts.core.checkpoint_files import prefix_of
from workflow_scripts.core.errors import UserError

FOOTER_BYTES = 48
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)  # ends every LevelDB table
TRAILER_BYTES = 5  # behind a block: kind of compression, checksum
#: TensorFlow's number of a type -> numpy's type; tensors of other types (texts, the graph of objects) are left out
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
#: numbers of fields in the buffer of a tensor (BundleEntryProto); in its shape dimensions are field 2, their size 1
TYPE, SHAPE, SHARD, OFFSET, SIZE, CHECKSUM = 1, 2, 3, 4, 5, 6
SHARDS = 1  # field of the header's buffer, whose key is empty
VARINT_BITS = 64  # of the longest number
#: entries take more bytes than the index that holds them, since a key repeats the beginning of the one before; names of
#: a hundred letters that share all but a few, with buffers of thirty bytes, take about four times as many
MAX_EXPANSION = 32
DAMAGED = "its index is damaged or none of TensorFlow's: fetch it again"

Fields = dict[int, list[int | bytes]]


def read_checkpoint(index: Path) -> dict[str, Tensor]:
    """Read the tensors of numbers by name; `UserError` for files that are damaged or missing."""
    try:
        entries = dict(_entries(index.read_bytes()))
        shards = _number(_fields(entries.pop(b"")), SHARDS)
        data = [_shard(index, number, shards) for number in range(shards)]
        _require_distinct(entries.values(), sum(map(len, data)))
        tensors = {key.decode(): _tensor(_fields(value), data, key.decode()) for key, value in entries.items()}
    except (IndexError, KeyError, ValueError, struct.error, OverflowError) as error:
        raise UserError(DAMAGED) from error
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _require_distinct(entries: Iterable[bytes], stored: int) -> None:
    """Raise `UserError` if the tensors take more bytes than are stored: some are missing, or read many times."""
    if sum(_number(_fields(entry), SIZE) for entry in entries) > stored:
        raise UserError("its data is not there in full: fetch the checkpoint again")


def _shard(index: Path, number: int, shards: int) -> np.ndarray:
    """Map a file of data, one of `shards`, into memory as bytes."""
    path = index.with_name(f"{prefix_of(index)}.data-{number:05d}-of-{shards:05d}")
    if not path.is_file() or not path.stat().st_size:
        raise UserError(f"{path.name} is missing or empty: it holds the numbers and belongs beside the index")
    return np.memmap(path, dtype=np.uint8, mode="r")


def _tensor(entry: Fields, data: list[np.ndarray], name: str) -> Tensor | None:
    """Return the tensor that an entry of the index describes; None if it holds no numbers."""
    kind = TYPES.get(_number(entry, TYPE))
    if kind is None:
        return None
    sizes = _fields(b"".join(_bytes(entry, SHAPE))).get(2, [])
    shape = [_number(_fields(size), 1) for size in sizes if isinstance(size, bytes)]
    start, size = _number(entry, OFFSET), _number(entry, SIZE)
    stored = data[_number(entry, SHARD)][start : start + size]
    if size != math.prod(shape) * np.dtype(kind).itemsize or len(stored) < size:
        raise UserError(f"{name} is not there in full: fetch the checkpoint again")
    if _bytes(entry, CHECKSUM)[-1:] != [struct.pack("<I", masked_crc32c(stored))]:
        raise UserError(f"{name} differs from its checksum: fetch the checkpoint again")
    return torch.from_numpy(np.frombuffer(stored.tobytes(), kind).reshape(shape).copy())


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a LevelDB table: those of the blocks that the block named at its end lists."""
    if len(table) < FOOTER_BYTES or table[-len(MAGIC) :] != MAGIC:
        raise UserError(DAMAGED)
    position = len(table) - FOOTER_BYTES
    # place and length of the block of metadata, which holds nothing
    for _ in range(2):
        _, position = _varint(table, position)
    left = MAX_EXPANSION * len(table)
    for _, handle in _block(table, handle=table[position:]):
        for key, value in _block(table, handle=handle):
            left -= len(key) + len(value) + 1
            if left < 0:
                raise ValueError("blocks overlap or keys expand")
            yield key, value


def _block(table: bytes, *, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block, of which `handle` begins with its place and length."""
    start, position = _varint(handle, 0)
    length, _ = _varint(handle, position)
    block = table[start : start + length]
    if len(table) < start + length + TRAILER_BYTES or table[start + length]:
        raise UserError("its index is compressed or damaged: save it with a TensorFlow of version 2")
    trailer = table[start + length : start + length + TRAILER_BYTES]
    if trailer[1:] != struct.pack("<I", masked_crc32c(block + trailer[:1])):
        raise UserError(DAMAGED)
    # the block ends with offsets for binary search, and their number
    (restarts,) = struct.unpack("<I", block[-4:])
    position, end, key = 0, length - 4 * (restarts + 1), b""
    while position < end:
        # a key is the beginning of the key before, then its own bytes
        shared, position = _varint(block, position)
        fresh, position = _varint(block, position)
        size, position = _varint(block, position)
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + size]
        position += size


def _fields(message: bytes) -> Fields:
    """Return the values of a protocol buffer by the number of their field; a varint is an int, anything else bytes."""
    fields: Fields = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        value: int | bytes
        if wire == 0:
            value, position = _varint(message, position)
        else:
            if wire == 2:
                size, position = _varint(message, position)
            else:
                size = {1: 8, 5: 4}[wire]
            value, position = message[position : position + size], position + size
        fields.setdefault(number, []).append(value)
    return fields


def _number(fields: Fields, name: int) -> int:
    """Return the value of a field of whole numbers; one that is missing is 0."""
    value = fields.get(name, [0])[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {name} holds no number")
    return value


def _bytes(fields: Fields, name: int) -> list[bytes]:
    """Return the values of a field of bytes."""
    return [value for value in fields.get(name, []) if isinstance(value, bytes)]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode a number of seven bits a byte, the lowest first; also return the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
        if shift >= VARINT_BITS:
            raise ValueError("a number without end")
