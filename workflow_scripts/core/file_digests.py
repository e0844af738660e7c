"""Digests of files, by which a job finds out that a file is another than before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.core.provenance import digest


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """Return the digest of the names and contents of files; an absent one counts as such."""
    return digest([[path.name, digest_file(path) if path.is_file() else None] for path in paths])
