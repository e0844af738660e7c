"""Files of published checkpoints: one file, or the index and the data of TensorFlow, and the digest of their bytes."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file

INDEX = ".index"


def find_index(path: Path) -> Path | None:
    """Return the index of the TensorFlow checkpoint that `path` names, by one of its files or by the common beginning
    of their names; None if there is none.
    """
    name = path.name.partition(".data-")[0].removesuffix(INDEX)
    index = path.with_name(name + INDEX)
    return index if index.is_file() else None


def prefix_of(index: Path) -> str:
    """Return the common beginning of the names of a checkpoint's files; empty for an index of the name `.index`."""
    return index.name.removesuffix(INDEX)


def digest_checkpoint(path: Path) -> str | None:
    """Return the SHA-256 of a checkpoint; None if it does not exist."""
    if (index := find_index(path)) is not None:
        return digest_index(index)
    return digest_file(path) if path.is_file() else None


def digest_index(index: Path) -> str:
    """Return the SHA-256 of a TensorFlow checkpoint: of its index and its data."""
    sha256 = hashlib.sha256()
    for part in [index, *sorted(index.parent.glob(f"{glob.escape(prefix_of(index))}.data-*-of-*"))]:
        sha256.update(bytes.fromhex(digest_file(part)))
    return sha256.hexdigest()


def require_planned_checkpoint(path: Path, planned: str | None) -> None:
    """Raise `UserError` if a checkpoint is not the one with the digest that was planned."""
    if digest_checkpoint(path) != planned:
        raise UserError(f"{path} was replaced after this job was planned: nothing was written; run the workflow again")
