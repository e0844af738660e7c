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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workflow_scripts.core.array_files import ArrayHeader
from workflow_scripts.core.errors import UserError, name_damage

REMEDY = "get the original"
MAX_BYTES = 1 << 30  # ten times the largest label table of a data set; a larger file is a decompression bomb
MAX_RATIO = 100  # unpacked to packed bytes of tables; zeros alone shrink to a thousandth
ALWAYS_ALLOWED_BYTES = 10 << 20  # whatever the size of a file: they do no harm
BYTES_PER_ITEM = 8  # of a list
EXPANSION = 16  # a list of references, of a byte or two each in the file, takes eight times as much
#: opcodes that reserve memory, ask others for objects, or call classes in ways that no data set needs
UNUSED = frozenset({pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ})
#: numbers, booleans and strings of a fixed size; an array of objects ("O") is stored as a list
PLAIN_TYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU]\d{1,6}|O8?)")
#: encoding in which Python 3 reads byte strings of Python 2, with which the pickles of 2010 to 2018 were written
BYTE_STRING_ENCODING = "latin1"


def read_pickle(path: Path) -> Any:
    """Read a pickle of any protocol as plain data and arrays. Raises `UserError` if it contains anything else."""
    with name_damage(path, remedy=REMEDY):
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(str(path))
        return _unpickle(path.read_bytes(), where=str(path))


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays of a npz by name, also arrays of objects. Raises `UserError` if one is missing or no plain data."""
    with name_damage(path, remedy=REMEDY), zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if missing := [name for name in names if f"{name}.npy" not in members]:
            raise UserError(f"{path} lacks {missing[0]}: {REMEDY}")
        return {
            name: _read_array(_read_member(archive, members[f"{name}.npy"], path), where=f"{path}: {name}")
            for name in names
        }


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> bytes:
    """Read a member; `UserError`, before any of it is unpacked, if it states more than a label table has."""
    if member.file_size > min(MAX_BYTES, max(ALWAYS_ALLOWED_BYTES, MAX_RATIO * path.stat().st_size)):
        raise _too_large(f"{path}: {member.filename}")
    return archive.read(member)


def _read_array(content: bytes, *, where: str) -> np.ndarray:
    header = ArrayHeader.read(io.BytesIO(content))
    if header.dtype.hasobject:
        array = _unpickle(content[header.offset :], where=where)
        if not isinstance(array, np.ndarray) or array.size != math.prod(header.shape):
            raise ValueError(f"{where} is no array of shape {header.shape}")
        return array.reshape(header.shape)
    header.require_bytes(len(content))
    return np.frombuffer(content, header.dtype, offset=header.offset).reshape(header.shape, order=header.order)


def _array_from_bytes(data: bytes, *, shape: tuple[int, ...], dtype: np.dtype, fortran: bool) -> np.ndarray:
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _too_large(where: str) -> UserError:
    return UserError(f"{where} states more than any label table has: {REMEDY}")


def _unpickle(data: bytes, *, where: str) -> Any:
    try:
        return _PlainDataUnpickler(data, where=where).load()
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        raise UserError(f"{where} is damaged or no pickle of plain data: {REMEDY}") from error


class _Budget:
    """Bytes that may be made of a file beyond the bytes that it holds, by copies of what it holds once."""

    def __init__(self, size: int) -> None:
        self._left = ALWAYS_ALLOWED_BYTES + EXPANSION * size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError("it copies what it holds again and again")


KEYS = (bool, int, float, complex, str, bytes)


class _PlainDataUnpickler(pickle._Unpickler):  # the C implementation reserves memory by numbers stated in the file
    dispatch: ClassVar = {
        opcode: load for opcode, load in pickle._Unpickler.dispatch.items() if bytes([opcode]) not in UNUSED
    }

    def __init__(self, data: bytes, *, where: str) -> None:
        super().__init__(io.BytesIO(data), encoding=BYTE_STRING_ENCODING)
        self._where, self._budget = where, _Budget(len(data))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UserError(f"{self._where} asks for {module}.{name}, which is no plain data: {REMEDY}")
        kind = ALLOWED[module, name]
        return kind if kind in DESCRIPTIONS else lambda *content: self._build(kind, *content)

    def load(self) -> Any:
        return _Resolver(self._budget).resolve(super().load())

    def _build(self, kind: Callable[..., Any], *content: Any) -> Any:
        """Build a container, or bytes of a text, of something in the file."""
        self._budget.spend(BYTES_PER_ITEM * sum(len(part) for part in content))
        if kind in (set, frozenset):
            _require_keys(*content)
        if kind is dict and content:
            _require_keys([key for key, _ in content[0]])
        return kind(*content)


def _require_keys(keys: Iterable[Any]) -> None:
    """Raise `ValueError` for keys that are no plain values: a nest of tuples may take for ever to compare."""
    if not all(key is None or isinstance(key, KEYS) for key in keys):
        raise ValueError("a key is no plain value")


def _check_keys(opcode: bytes, keys: Callable[[list[Any]], list[Any]]) -> None:
    """Have the unpickler look at the keys on its stack before it enters them."""
    load = pickle._Unpickler.dispatch[opcode[0]]

    def check_and_load(unpickler: Any) -> None:
        _require_keys(keys(unpickler.stack))
        load(unpickler)

    _PlainDataUnpickler.dispatch[opcode[0]] = check_and_load


_check_keys(pickle.SETITEM, lambda stack: stack[-2:-1])
for _opcode in (pickle.SETITEMS, pickle.DICT):
    _check_keys(_opcode, lambda stack: stack[::2])
for _opcode in (pickle.ADDITEMS, pickle.FROZENSET):
    _check_keys(_opcode, lambda stack: stack)


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

    def build(self, resolver: _Resolver) -> np.ndarray:
        _, shape, kind, fortran, content = self.state
        dtype = kind.build()
        resolver.budget.spend(BYTES_PER_ITEM * len(content))
        if dtype.hasobject:
            items = [resolver.resolve(item) for item in content]
            array = np.empty(len(items), object)
            for position, item in enumerate(items):  # one by one: numpy would take lists in it for a second axis
                array[position] = item
            return array.reshape(shape, order="F" if fortran else "C")
        data = content.encode(BYTE_STRING_ENCODING) if isinstance(content, str) else bytes(content)
        return _array_from_bytes(data, shape=tuple(shape), dtype=dtype, fortran=bool(fortran))


class _ScalarDescription:
    """Description of a numpy scalar in a pickle."""

    def __init__(self, kind: _DtypeDescription, content: Any = b"") -> None:
        self.kind, self.content = kind, content

    def build(self) -> Any:
        data = self.content.encode(BYTE_STRING_ENCODING) if isinstance(self.content, str) else bytes(self.content)
        dtype = self.kind.build()
        if dtype.hasobject:
            raise ValueError("an object is no number")
        return _array_from_bytes(data, shape=(1,), dtype=dtype, fortran=False)[0]


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


#: they make no copies
DESCRIPTIONS = (_ArrayDescription, _DtypeDescription, _ScalarDescription)


class _Resolver:
    """Copies of unpickled content with arrays in place of their descriptions; what occurs twice is copied once."""

    def __init__(self, budget: _Budget) -> None:
        self.budget = budget
        self._copies: dict[int, Any] = {}

    def resolve(self, content: Any) -> Any:
        """Return the copy of some content."""
        if content is None or isinstance(content, bool | int | float | complex | str | bytes | bytearray):
            return content
        if id(content) in self._copies:
            return self._copies[id(content)]
        copy: Any
        match content:
            # descriptions of arrays, scalars and types
            case _ArrayDescription():
                copy = content.build(self)
            case _ScalarDescription() | _DtypeDescription():
                copy = content.build()
            # containers that may hold themselves are entered in `copies` before their items
            case dict():
                self._copies[id(content)] = copy = {}
                copy.update((key, self.resolve(value)) for key, value in content.items())
            case list():
                self._copies[id(content)] = copy = []
                copy.extend(self.resolve(item) for item in content)
            # immutable and unordered containers
            case tuple() | set() | frozenset():
                copy = type(content)(self.resolve(item) for item in content)
            case _:
                raise ValueError(f"{content!r} is no data")
        self._copies[id(content)] = copy
        return copy
