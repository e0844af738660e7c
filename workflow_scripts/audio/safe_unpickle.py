"""Safe reading of untrusted arrays and pickles: as plain data, without running code from the file.

A pickle is a program. Here it can only build numbers, strings, lists, tuples, sets and dicts, and describe numpy
arrays; this module then builds the arrays, since numpy's own unpickling trusts the memory sizes stated in the file.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from workflow_scripts.core.errors import UserError

MAX_BYTES = 1 << 30  # ten times the largest label table of a data set; a larger file is a decompression bomb
#: numbers, booleans and strings of a fixed size; an array of objects ("O") is stored as a list
PLAIN_TYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU]\d{1,6}|O8?)")
#: encoding in which Python 3 reads byte strings of Python 2, with which the pickles of 2010 to 2018 were written
BYTE_STRING_ENCODING = "latin1"


def read_pickle(path: Path) -> Any:
    """Read a pickle of any protocol as plain data and arrays. Raises `UserError` if it contains anything else."""
    with path.open("rb") as file:
        return _unpickle(file, where=str(path))


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays of a npz by name, also arrays of objects. Raises `UserError` if one is missing or no plain data."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            if missing := [name for name in names if f"{name}.npy" not in members]:
                raise UserError(f"{path} lacks {missing[0]}: get the original")
            arrays = {}
            for name in names:
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = _read_array(file, where=f"{path}: {name}")
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path} is damaged ({error}): get the original") from error


def _read_array(file: IO[bytes], *, where: str) -> np.ndarray:
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except (ValueError, TypeError, SyntaxError) as error:
        raise UserError(f"{where} is damaged ({error}): get the original") from error
    if dtype.hasobject:
        content = _unpickle(file, where=where)
        if not isinstance(content, np.ndarray) or content.size != math.prod(shape):
            raise UserError(f"{where} is no array of shape {shape}: get the original")
        return content.reshape(shape)
    return _array_from_bytes(_read_limited(file, where), shape=shape, dtype=dtype, fortran=fortran, where=where)


def _array_from_bytes(data: bytes, *, shape: tuple[int, ...], dtype: np.dtype, fortran: bool, where: str) -> np.ndarray:
    try:
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:
        raise UserError(f"{where} is damaged ({error}): get the original") from error


def _read_limited(file: IO[bytes], where: str) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(f"{where} holds more than {MAX_BYTES / 1e9:.1f} GB, more than any label table")
    return data


def _unpickle(file: IO[bytes], *, where: str) -> Any:
    data = _read_limited(file, where)
    try:
        return _PlainDataUnpickler(io.BytesIO(data), where=where).load()
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        raise UserError(f"{where} is damaged or no pickle of plain data: get the original") from error


class _PlainDataUnpickler(pickle._Unpickler):  # the C implementation reserves memory by numbers stated in the file
    def __init__(self, file: IO[bytes], *, where: str) -> None:
        super().__init__(file, encoding=BYTE_STRING_ENCODING)
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UserError(f"{self._where} asks for {module}.{name}, which is no plain data: get the original")
        return ALLOWED[module, name]

    def load(self) -> Any:
        return _resolve(super().load(), where=self._where, copies={})


class _DtypeDescription:
    """Description of a dtype in a pickle: a plain code and a byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = str(code), ""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = str(state[1])

    def build(self) -> np.dtype:
        text = self.code if self.code[:1] in "<>=|" else self.order + self.code
        if not PLAIN_TYPE.fullmatch(text):
            raise ValueError(text)
        return np.dtype(text.replace("O8", "O"))


class _ArrayDescription:
    """Description of an array in a pickle: its shape, its type, and its bytes or list."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def build(self, *, where: str, copies: dict[int, Any]) -> np.ndarray:
        _, shape, kind, fortran, content = self.state
        dtype = kind.build()
        if dtype.hasobject:
            items = [_resolve(item, where=where, copies=copies) for item in content]
            array = np.empty(len(items), object)
            for position, item in enumerate(items):  # one by one: numpy would take lists in it for a second axis
                array[position] = item
            return array.reshape(shape, order="F" if fortran else "C")
        data = content.encode(BYTE_STRING_ENCODING) if isinstance(content, str) else bytes(content)
        return _array_from_bytes(data, shape=tuple(shape), dtype=dtype, fortran=bool(fortran), where=where)


class _ScalarDescription:
    """Description of a numpy scalar in a pickle."""

    def __init__(self, kind: _DtypeDescription, content: Any = b"") -> None:
        self.kind, self.content = kind, content

    def build(self, *, where: str) -> Any:
        data = self.content.encode(BYTE_STRING_ENCODING) if isinstance(self.content, str) else bytes(self.content)
        dtype = self.kind.build()
        if dtype.hasobject:
            raise ValueError("an object is no number")
        return _array_from_bytes(data, shape=(1,), dtype=dtype, fortran=False, where=where)[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):  # what Python 3 writes for bytes in old protocols
        raise ValueError(encoding)
    return text.encode(encoding)


#: names a pickle may use, and their replacements
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ArrayDescription,
    ("numpy", "dtype"): _DtypeDescription,
    ("_codecs", "encode"): _encode,
    **{
        (f"numpy.{core}.multiarray", name): replacement
        for core in ("core", "_core")
        for name, replacement in (("_reconstruct", _ArrayDescription), ("scalar", _ScalarDescription))
    },
    **{
        (module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset, list, dict)
    },
    ("collections", "OrderedDict"): dict,
}


def _resolve(content: Any, *, where: str, copies: dict[int, Any]) -> Any:
    """Copy unpickled content with arrays in place of their descriptions; objects that occur twice are copied once."""
    if content is None or isinstance(content, bool | int | float | complex | str | bytes | bytearray):
        return content
    if id(content) in copies:
        return copies[id(content)]
    copy: Any
    match content:
        # descriptions of arrays, scalars and types
        case _ArrayDescription():
            copy = content.build(where=where, copies=copies)
        case _ScalarDescription():
            copy = content.build(where=where)
        case _DtypeDescription():
            copy = content.build()
        # containers that may hold themselves are entered in `copies` before their items
        case dict():
            copies[id(content)] = copy = {}
            copy.update(
                (_resolve(key, where=where, copies=copies), _resolve(value, where=where, copies=copies))
                for key, value in content.items()
            )
        case list():
            copies[id(content)] = copy = []
            copy.extend(_resolve(item, where=where, copies=copies) for item in content)
        # immutable and unordered containers
        case tuple() | set() | frozenset():
            copy = type(content)(_resolve(item, where=where, copies=copies) for item in content)
        case _:
            raise ValueError(f"{content!r} is no data")
    copies[id(content)] = copy
    return copy
