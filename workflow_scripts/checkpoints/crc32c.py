"""CRC-32C, the checksum of TensorFlow's files, of arrays of any length.

An array is cut into equal parts that are processed side by side; the checksums of neighbours are then joined, since the
effect of the bytes behind a part is a linear map of its checksum (over the field of two elements).
"""

from __future__ import annotations

import numpy as np

POLYNOMIAL = 0x82F63B78  # of Castagnoli, lowest bit first
ALL_BITS = 0xFFFFFFFF
BITS = 32
BYTES_AT_LEAST = 128  # of a part: fewer cost more to join than to process
MAX_PARTS = 1 << 16  # 256 kB of checksums stay in a processor's cache


def crc32c(data: bytes | np.ndarray) -> int:
    """Return the checksum of bytes."""
    values = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    parts = 1
    while parts < MAX_PARTS and 2 * parts * BYTES_AT_LEAST <= len(values):
        parts *= 2
    length = -(-len(values) // parts)
    padded = np.zeros(parts * length, np.uint8)  # zeros in front have no effect
    padded[len(padded) - len(values) :] = values
    checksums = np.zeros(parts, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(parts, length).T):
        checksums = _add_byte(checksums ^ column)
    shift = _shift_by(length)
    while len(checksums) > 1:
        checksums = _apply(shift, checksums[::2]) ^ checksums[1::2]
        shift = _apply(shift, shift)
    start = _apply(_shift_by(len(values)), np.array([ALL_BITS], np.uint32))
    return int(checksums[0] ^ start[0]) ^ ALL_BITS


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """Return the checksum as TensorFlow and LevelDB store it: turned by 15 bits, plus a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & ALL_BITS


def _add_byte(values: np.ndarray) -> np.ndarray:
    return TABLE[values & 0xFF] ^ (values >> 8)


def _shift_by(length: int) -> np.ndarray:
    """Return the map of a checksum by `length` bytes of zero, as its values for each bit alone."""
    bits = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    result, step = bits, _add_byte(bits)
    while length:
        result = _apply(step, result) if length & 1 else result
        step, length = _apply(step, step), length >> 1
    return result


def _apply(shift: np.ndarray, values: np.ndarray) -> np.ndarray:
    result = np.zeros_like(values)
    for bit in range(BITS):
        result ^= (values >> bit & 1) * shift[bit]
    return result


def _build_table() -> np.ndarray:
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ (table & 1) * np.uint32(POLYNOMIAL)
    return table


TABLE = _build_table()
