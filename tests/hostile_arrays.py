"""Bytes of npy files that are not what they state."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np


def npy(header: str, content: bytes = bytes(64), *, version: int = 1, stated: int | None = None) -> bytes:
    """Return a file of this header; `stated` is the header's length as the file states it."""
    length = struct.pack("<H" if version == 1 else "<I", len(header) if stated is None else stated)
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + content


def stated(**changes: Any) -> str:
    """Return the header of a matrix of eight by two float32, with changes."""
    return repr({"descr": "<f4", "fortran_order": False, "shape": (8, 2), **changes})


def objects() -> bytes:
    """Return an array of objects: a pickle."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}, None], object), allow_pickle=True)
    return buffer.getvalue()


HOSTILE_ARRAYS = {
    "empty": b"",
    "cut": npy(stated(), bytes(63)),
    "too long": npy(stated(), bytes(65)),
    "only a header": npy(stated(), b""),
    "4e9 values": npy(stated(shape=(4_000_000_000, 1))),
    "1e18 values": npy(stated(shape=(10**9, 10**9))),
    "more values than a number holds": npy(stated(shape=(10**300, 2))),
    "negative": npy(stated(shape=(-8, -2))),
    "objects": objects(),
    "long texts": npy(stated(descr="<U500000000")),
    "texts of no letters": npy(stated(descr="<U0", shape=(10**12, 1)), b""),
    "records": npy(stated(descr=[("a", "<f4"), ("b", "O")])),
    "records in records": npy(stated(descr=[("a", [("b", [("c", "<f4")])])])),
    "nested header": npy("(" * 5000 + ")" * 5000),
    "code in the header": npy("__import__('os').abort()"),
    "no literal": npy("{'descr': '<f4', 'fortran_order': False, 'shape': 1 .bit_length()}"),
    "unknown type": npy(stated(descr="<q9")),
    "header of 4 GB": npy(stated(), version=2, stated=(1 << 32) - 1),
    "long header": npy(stated() + " " * 60_000),
    "unknown version": b"\x93NUMPY\x09\x00" + npy(stated())[8:],
    "a web page": b"<!doctype html><title>Sign in</title>",
}
