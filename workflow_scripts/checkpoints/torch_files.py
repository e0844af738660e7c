"""Files of `torch.save`: plain data and tensors, read with no more memory than the file takes on disk."""

from __future__ import annotations

import mmap
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ZIP = b"PK\x03\x04"  # begins the files of torch since 2020; older ones are a row of pickles
RESERVATION = b"bytearray\n"  # the one name in a pickle that torch calls with a length of the file's choice
#: types of the numbers of a network; others (float8, packed or unsigned ones) cannot be computed with
NUMBERS = frozenset(
    {
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool),
    }
)


def read_torch(path: Path, *, device: torch.device, ignored: tuple[str, ...] = ()) -> Any:
    """Return the content of a file, tensors on `device`; code in it is not run.

    Objects of classes whose names begin as one of `ignored` are read as empty. Raises nearly anything for damaged
    bytes, `pickle.UnpicklingError` for code.
    """
    _require_whole(path)
    # without torch's remarks on a pickle's age
    with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_placeholders(path, ignored)):
        return torch.load(path, map_location=device, weights_only=True)


def require_plain(tensor: Tensor) -> None:
    """Raise `ValueError` unless a tensor holds real numbers, each of them stored."""
    if tensor.layout != torch.strided or tensor.dtype not in NUMBERS or tensor.is_meta:
        raise ValueError("is no plain tensor of real numbers: save the network in float32")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError("states more numbers than it stores: save the network after `contiguous()`")


def _require_whole(path: Path) -> None:
    """Raise `ValueError` for a byte that differs from its checksum, and for content longer than the file."""
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(RESERVATION) >= 0:
                raise ValueError("it reserves memory of a length that it states")
            is_zip = content[: len(ZIP)] == ZIP
        if not is_zip:
            return
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            if packed or sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("it states more bytes than it has")
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} differs from its checksum")


class _Empty:
    """Placeholder for an object of a class that is not imported."""

    def __new__(cls, *_: object, **__: object) -> _Empty:
        """Ignore all arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        """Ignore all arguments."""


def _placeholders(path: Path, ignored: tuple[str, ...]) -> list[Any]:
    """Return placeholders for the `ignored` classes that a file names, for torch's reader."""
    # torch lists the names of no other files
    if not ignored or not zipfile.is_zipfile(path):
        return []
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [(type("Empty", (_Empty,), {}), name) for name in names if name.startswith(ignored)]
