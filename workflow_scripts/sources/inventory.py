"""Content of users' own copies of data sets."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.core import provenance
from workflow_scripts.core.checksums import read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file
from workflow_scripts.core.files import expand_home
from workflow_scripts.core.validation import parse
from workflow_scripts.sources.listing import is_file, walk_files


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Content of a copy: a digest of file names and sizes, as the audio may be terabytes, and of files of labels.

    `places` is a digest of each file's place on the disk and time of modification, which differ for a file that
    changed and kept its size, and for files that exchanged their names.
    """

    digest: str
    files: int
    places: str


def take_inventory(config: AcquireConfig, *, patience: float = float("inf")) -> Inventory:
    """Return the inventory of a data set's local copy.

    Raises `UserError` if there is none, and `TimeoutError` after `patience` seconds.
    """
    if not config.path:
        raise UserError(f"{config.dataset}: source local needs `path`, the folder that holds your copy")
    folder, latest = expand_home(config.path), time.monotonic() + patience
    if not folder.is_dir():
        state = "no folder" if folder.exists() else "missing"
        raise UserError(f"{config.dataset}: {folder} is {state}: correct its `path`")
    digest, places, files = hashlib.sha256(), hashlib.sha256(), 0
    for name, status in _list_files(folder):
        digest.update(f"{name}\0{status.st_size}\0".encode(errors="surrogateescape"))
        places.update(f"{name}\0{status.st_ino}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
        files += 1
        if time.monotonic() > latest:
            raise TimeoutError(folder)
    if not files:
        raise UserError(f"{config.dataset}: {folder} is empty: correct its `path`")
    for path in _files_of_options(config.options, folder):
        digest.update(bytes.fromhex(digest_file(path)))
    return Inventory(digest=_shorten(digest), files=files, places=_shorten(places))


def _shorten(digest: hashlib._Hash) -> str:
    return digest.hexdigest()[: provenance.DIGEST_LENGTH]


def _list_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative name and status of every file as `walk_files` does.

    Hidden files and folders do not count, which file managers write and no data set has.
    """
    for prefix, name in walk_files(folder):
        path = f"{folder}/{prefix}{name}"
        if not name.startswith(".") and is_file(path):
            yield prefix + name, os.stat(path)  # noqa: PTH116 - a Path per file is slow


def _files_of_options(options: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield the files that options name, such as a csv of labels, from the folder or the working directory."""
    for value in options.values():
        if isinstance(value, str) and value:
            yield from [path for path in (folder / value, Path(value)) if is_file(path)][:1]


def describe_difference(acquired: Mapping[str, Any], now: Inventory) -> str:
    """Return how a copy differs from the one that a record of its acquisition describes; empty if it does not."""
    if acquired["files"] != now.files:
        return f"{acquired['files']:,} files then, {now.files:,} now"
    if now.digest != acquired["digest"]:
        return "other names, sizes or labels"
    return "files were written again, or exchanged" if now.places != acquired["places"] else ""


def require_unchanged_copy(acquired: Path, *, root: Path) -> None:
    """Raise `UserError` if the local copy in `root` is no longer as the record `acquired` describes it.

    Data sets of other sources are not compared.
    """
    content = read_record(acquired)
    if content["source"] != "local":
        return
    config = parse(AcquireConfig, content["config"], where=str(acquired))
    now = take_inventory(config.model_copy(update={"path": str(root)}))  # the config's may count from another folder
    if difference := describe_difference(content, now):
        raise UserError(
            f"{content['dataset']}: your files have changed since they were read ({difference}); read them again with "
            f"--forcerun {acquired}"
        )
