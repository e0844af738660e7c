"""Acquire the files of a data set in its official layout.

    python -m workflow_scripts.acquire --config JSON --code DIGEST --output DIR

DIR/acquired.json is written last. A twin is written to DIR/twin; a download to the folder downloads/<loader> beside
DIR, which data sets of one loader share; a local copy stays in its own folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.core import provenance, result_files
from workflow_scripts.core.cli import job_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.files import (
    expand_home,
    hold_lock,
    make_scratch_folder,
    read_note,
    refuse_links,
    write_json,
)
from workflow_scripts.core.validation import parse
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.sources.acquisition import LOCK, Acquisition, write_acquisition
from workflow_scripts.sources.inventory import take_inventory
from workflow_scripts.sources.remotes import Remote
from workflow_scripts.sources.shared_downloads import FOLDER, fetch_files, read_settings


def main(argv: list[str] | None = None) -> None:
    """Acquire one data set."""
    arguments = _parser().parse_args(argv)
    config: AcquireConfig = arguments.config
    record = provenance.Record(config=config.to_plain(), code=arguments.code)
    root: Path = arguments.output
    root.mkdir(parents=True, exist_ok=True)
    with hold_lock(root / LOCK, name=str(root)):
        (root / result_files.ACQUIRED).unlink(missing_ok=True)
        for leftover in root.glob(".*.partial*"):  # of killed jobs
            leftover.unlink(missing_ok=True)
        acquisition = acquire(config, root=root, code=arguments.code)
        seconds = record.content(data={}, device="cpu")["seconds"]
        write_acquisition(
            root / result_files.ACQUIRED, acquisition, code=arguments.code, config=record.config, seconds=seconds
        )


def acquire(config: AcquireConfig, *, root: Path, code: str) -> Acquisition:
    """Acquire the data set of `config` in `root`, except files that are complete and unchanged. Raises `UserError`."""
    inventory = None
    if config.source == "twin":
        folder, digest = _write_twin(config, root=root, code=code)
    elif config.source == "local":
        inventory = take_inventory(config)
        folder, digest = expand_home(str(config.path)), inventory.digest
    else:
        folder, digest = _download(config, root=root)
    return Acquisition(dataset=config.dataset, source=config.source, root=folder, digest=digest, inventory=inventory)


def _write_twin(config: AcquireConfig, *, root: Path, code: str) -> tuple[Path, str]:
    """Render the twin in a temporary folder and rename it; a twin with the same options and code is kept."""
    loader, size = config.loader, config.twin or parse(TwinOptions, {}, where=f"twin of {config.loader}")
    twin = size.model_dump(mode="json", exclude_unset=True)
    digest = provenance.digest({"loader": loader, "options": config.options, "twin": twin, "code": code})
    folder, note = root / "twin", root / "twin.json"
    refuse_links(folder, below=root)
    if folder.is_dir() and _read_note(note) == digest:
        return folder, digest
    note.unlink(missing_ok=True)
    with make_scratch_folder(root / ".twin") as fresh:
        registry.load("twin", loader).write(fresh, size, **config.options)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
    write_json(note, {"digest": digest})
    return folder, digest


def _download(config: AcquireConfig, *, root: Path) -> tuple[Path, str]:
    """Download and unpack the remote files of a loader, into the folder that all its data sets share."""
    loader = registry.load("dataset", config.loader)
    options = registry.options(loader, config.options)
    remotes: Mapping[str, Remote] = dataset_facts.remotes(loader, options)
    if not remotes or not registry.fact(loader, "AUDIO_PUBLIC"):
        raise UserError(
            f"{config.dataset}: its audio cannot be downloaded: get a copy in a layout that docs/data.md "
            "describes, then set `source: local` and `path: <your folder>`"
        )
    size = dataset_facts.size(loader, options)
    folder = root.absolute().parent / FOLDER / config.loader
    settings = read_settings(config.loader)
    fetch_files(remotes, folder, settings=settings, clips=size["clips"] if size else None)
    return folder, provenance.digest([[name, remote.identity] for name, remote in sorted(remotes.items())])


def _read_note(note: Path) -> str | None:
    """Return the digest in a note of finished work; None without a readable note."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return json.loads(read_note(note) or "")["digest"]
    return None


def _parser() -> argparse.ArgumentParser:
    return job_parser("acquire", __doc__, config=AcquireConfig.from_json, output="folder of the data set")


if __name__ == "__main__":
    run_command(main)
