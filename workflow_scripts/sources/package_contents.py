"""Files in archives of Python packages, which are opened without being installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file
from workflow_scripts.sources.unpack import unpack


@contextmanager
def open_member(archive: Path, *, sha256: str, member: str) -> Iterator[Path]:
    """Unpack the archive of a package into a temporary folder, and yield the path of a file in it.

    Raises `UserError` if the archive is not the one with this SHA-256, or has no such file.
    """
    if digest_file(archive) != sha256:
        raise UserError(f"{archive} has changed since it was fetched: delete it and run the workflow again")
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder) / "content"
        unpack(archive, content)
        path = content / member
        if not path.is_file():
            raise UserError(f"{archive} holds no file {member}: correct `file` of the checkpoint")
        yield path
