"""Put a data set on the disk in its official layout: `python -m workflow_scripts.acquire`.

`<root>/acquired.json` is written last. A twin lies in `<root>/twin`, a download in `<root>/download`, so that the
two never mix; a local copy stays where it is.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core import provenance
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import hold_lock, write_json
from workflow_scripts.core.validation import parse
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.sources.acquisition import LOCK, Acquisition, write_acquisition
from workflow_scripts.sources.download import download
from workflow_scripts.sources.remotes import Remote
from workflow_scripts.sources.unpack import unpack

SOURCES = ("twin", "local", "download")


def main(argv: list[str] | None = None) -> None:
    """Acquire one data set.

    The config states `dataset`, `loader`, `source` and, as needed, `options`, `path` or `twin`.
    """
    arguments = _arguments(argv)
    config: dict[str, Any] = json.loads(arguments.config)
    record = provenance.Record(config=config, code=arguments.code)
    root: Path = arguments.root
    root.mkdir(parents=True, exist_ok=True)
    with hold_lock(root / LOCK, what=str(root)):
        (root / "acquired.json").unlink(missing_ok=True)
        acquired = acquire(config, root=root, code=arguments.code)
        seconds = record.content(data={}, device="cpu")["seconds"]
        write_acquisition(root / "acquired.json", acquired, code=arguments.code, config=config, seconds=seconds)


def acquire(config: Mapping[str, Any], *, root: Path, code: str) -> Acquisition:
    """Bring the data set of `config` to `root`; what is there already and unchanged is kept. Raises `UserError`."""
    dataset, loader, source = config["dataset"], config["loader"], config["source"]
    options = config.get("options") or {}
    if source == "twin":
        folder, digest = _write_twin(loader, config.get("twin") or {}, options=options, root=root, code=code)
    elif source == "local":
        folder, digest = _find_local(dataset, config.get("path"))
    elif source == "download":
        folder, digest = _download(dataset, registry.load("dataset", loader), options=options, root=root)
    else:
        raise UserError(f"{dataset}: unknown source {source!r}; allowed: {', '.join(SOURCES)}")
    return Acquisition(dataset=dataset, source=source, root=folder, digest=digest)


def _write_twin(
    loader: str, given: Mapping[str, Any], *, options: Mapping[str, Any], root: Path, code: str
) -> tuple[Path, str]:
    """Render the twin into a temporary folder and rename it; one with the same options and code is kept.

    `options` are those of the loader on which the data set's files depend.
    """
    size = parse(TwinOptions, given, where=f"twin of {loader}")
    digest = provenance.digest({"loader": loader, "options": dict(options), "twin": dict(given), "code": code})
    folder, note = root / "twin", root / "twin.json"
    if folder.is_dir() and _noted(note) == digest:
        return folder, digest
    note.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".twin-") as temporary:
        fresh = Path(temporary) / "twin"
        fresh.mkdir()
        registry.load("twin", loader).write(fresh, size, **options)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
    write_json(note, {"digest": digest})
    return folder, digest


def _find_local(dataset: str, path: str | None) -> tuple[Path, str]:
    """Folder of the user's copy; its digest covers relative file names and sizes: the content may be terabytes."""
    if not path:
        raise UserError(f"{dataset}: source local needs `path`, the folder that holds your copy")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{dataset}: {folder} is {'no folder' if folder.exists() else 'missing'}: correct its `path`")
    digest, files = hashlib.sha256(), 0
    for name, size in _listing(folder):
        digest.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
        files += 1
    if not files:
        raise UserError(f"{dataset}: {folder} is empty: correct its `path`")
    return folder, digest.hexdigest()[: provenance.DIGEST_LENGTH]


def _listing(folder: Path) -> Iterator[tuple[str, int]]:
    """Relative name and size of every file, sorted within each folder; links to folders are followed once."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back up
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file():
                yield str(path.relative_to(folder)), path.stat().st_size


def _download(dataset: str, loader: ModuleType, *, options: Mapping[str, Any], root: Path) -> tuple[Path, str]:
    """Fetch and unpack all remote files of a loader; those done before are left alone."""
    remotes: Mapping[str, Remote] = dataset_facts.remotes(loader, registry.options(loader, options))
    if not remotes or not getattr(loader, "AUDIO_PUBLIC", True):
        raise UserError(
            f"{dataset}: its audio cannot be downloaded: get a copy in the layout that datasets/"
            f"{loader.__name__.rpartition('.')[2]}.py describes, then set `source: local` and `path: <your folder>`"
        )
    folder, archives = root / "download", root / ".archives"
    folder.mkdir(exist_ok=True)
    for name, remote in remotes.items():
        note, wanted = archives / f"{name}.json", _identity(remote)
        if _noted(note) == wanted:
            continue
        target = folder / remote.destination
        if remote.unpack:
            archive = download(remote, archives)
            unpack(archive, target)
            write_json(note, {"digest": wanted})
            archive.unlink()
        else:
            download(remote, target)
            write_json(note, {"digest": wanted})
    return folder, provenance.digest([[name, _identity(remote)] for name, remote in sorted(remotes.items())])


def _identity(remote: Remote) -> str:
    """Stands for a remote file's content: its checksum, or its address and length where the owner publishes none."""
    return provenance.digest([remote.checksum or [remote.url, remote.bytes], remote.name, remote.destination])


def _noted(note: Path) -> str | None:
    """Digest in a note of finished work; None if there is no readable note."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads(note.read_text(encoding="utf-8"))["digest"]
    return None


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="workflow_scripts.acquire", description=__doc__)
    parser.add_argument("--config", required=True, help="what this job reads, as JSON")
    parser.add_argument("--code", required=True, help="digest of this job's code, for its record")
    parser.add_argument("--root", required=True, type=Path, help="folder of the data set")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_command(main)
