"""CRC-16 of bytes (polynomial 0x8005, reflected, from zero), of which Python's library has only another polynomial."""

from __future__ import annotations

import functools

import numpy as np

POLYNOMIAL = 0xA001  # 0x8005 with its bits reversed
WORD_BITS = 16
ROW_WORDS_LOG2 = 8
ROW_WORDS = 1 << ROW_WORDS_LOG2  # rows are computed side by side: as many steps as words, each on a thousand rows


def crc16(data: bytes) -> int:
    """Compute the CRC of `data`: of rows of it side by side, then of their sequence."""
    padding = -len(data) % (2 * ROW_WORDS)  # zeros before the first byte leave the state at zero
    words = np.frombuffer(bytes(padding) + data, "<u2").reshape(-1, ROW_WORDS)
    table, skip_row = _tables()
    states = np.zeros(len(words), np.uint16)
    for column in np.ascontiguousarray(words.T):
        states = table[states ^ column]
    state = 0
    for of_row in states.tolist():
        state = skip_row[state] ^ of_row
    return state


@functools.cache
def _tables() -> tuple[np.ndarray, list[int]]:
    """Return the state after a word by state before it, uint16 (65536,), and the state after a row of zeros."""
    table = np.arange(1 << WORD_BITS, dtype=np.uint16)
    for _ in range(WORD_BITS):
        table = np.where(table & 1, table >> 1 ^ POLYNOMIAL, table >> 1).astype(np.uint16)
    skip_row = table
    for _ in range(ROW_WORDS_LOG2):
        skip_row = skip_row[skip_row]
    return table, skip_row.tolist()
