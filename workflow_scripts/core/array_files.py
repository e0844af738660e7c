"""Arrays in files of numpy (npy, npz): read with no more memory than the file takes on disk.

A header states how long its array is. numpy reserves that memory before it reads, so here the statement is compared
with the file first. Arrays of objects, which are pickled programs, are refused.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np

from workflow_scripts.core.errors import name_damage

MAX_HEADER_BYTES = 1 << 14  # numpy reads no header of more than 10,000 letters
PLAIN_KINDS = "biufSU"  # of numbers and texts, as numpy calls them


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """Header of an array in a file: the type and shape that it states, and the place of the first value."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: Literal["C", "F"]
    offset: int

    @classmethod
    def read(cls, file: IO[bytes]) -> ArrayHeader:
        """Read the header at the start of a file; `ValueError` if there is none."""
        start = io.BytesIO(file.read(MAX_HEADER_BYTES))
        try:
            version = np.lib.format.read_magic(start)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(start)
        except (TypeError, SyntaxError, RecursionError, MemoryError) as error:  # of a header that is no plain literal
            raise ValueError("its header is no array's") from error
        return cls(shape=shape, dtype=dtype, order="F" if fortran else "C", offset=start.tell())

    def require_bytes(self, size: int) -> None:
        """Raise `ValueError` unless a file of `size` bytes holds exactly this array, of numbers or texts."""
        if self.dtype.kind not in PLAIN_KINDS or not self.dtype.itemsize:
            raise ValueError(f"it holds {self.dtype}, neither numbers nor texts")
        if min(self.shape, default=0) < 0 or math.prod(self.shape) * self.dtype.itemsize != size - self.offset:
            raise ValueError(f"{size - self.offset} bytes are no {self.dtype} of shape {self.shape}")


def read_matrix(path: Path, *, remedy: str) -> np.ndarray:
    """Read a file of floating-point numbers (rows, columns).

    Raises `UserError`, which ends with `remedy`, for a file that is missing, damaged or holds anything else.
    """
    with name_damage(path, remedy=remedy):
        _require_matrix(path)
        matrix: np.ndarray = np.load(path, allow_pickle=False)
        return matrix


def map_matrix(path: Path, *, remedy: str) -> np.ndarray:
    """Map a file of floating-point numbers (rows, columns) into memory, to be read only; `UserError` as above."""
    with name_damage(path, remedy=remedy):
        _require_matrix(path)
        matrix: np.ndarray = np.load(path, allow_pickle=False, mmap_mode="r")
        return matrix


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file of `numpy.savez` by name. Raises within `name_damage`, where its parts are taken too.

    Compressed files are refused: this project writes none, and their length on disk is no limit.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("it states more bytes than it has")
        return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}


def _require_matrix(path: Path) -> None:
    with path.open("rb") as file:
        header = ArrayHeader.read(file)
        header.require_bytes(path.stat().st_size)
    if header.dtype.kind != "f" or len(header.shape) != 2:
        raise ValueError(f"it holds {header.dtype} of shape {header.shape}, no matrix of floating-point numbers")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    content = bytearray(archive.read(member))  # arrays of bytes, unlike bytes, can be changed
    header = ArrayHeader.read(io.BytesIO(content))
    header.require_bytes(len(content))
    return np.frombuffer(content, header.dtype, offset=header.offset).reshape(header.shape, order=header.order)
