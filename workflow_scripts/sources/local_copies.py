"""Users' own copies of data sets: what is in them, and whether that changed since they were read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.core import provenance
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import expand_home
from workflow_scripts.core.validation import parse_json
from workflow_scripts.planning.jobs import JobSpec
from workflow_scripts.planning.plan import Plan
from workflow_scripts.sources.listing import is_file

LOCAL = "local"
SECONDS_AT_START = 5.0  # that a run waits for the comparison: 100,000 files on a slow file system

DRY_RUN = ("--dry-run", "--dryrun")
FORCE = ("--forcerun", "-R")
FORCE_ALL = ("--forceall", "-F")
ACQUIRE = "acquire"  # the rule that reads data sets
SHORT_FLAGS = re.compile("-([nptkfFlSDa]+)(.*)")  # Snakemake's without a value may share a hyphen, also with another
STATUS = (".venv/bin/python", "-m", "workflow_scripts.status")


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Content of a copy: a digest of file names and sizes, as the audio may be terabytes, and of files of labels.

    `places` is a digest of each file's place on the disk and time of modification, which betrays a file that changed
    and kept its size, and files that exchanged their names.
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
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return Inventory(digest=_shorten(digest), files=files, places=_shorten(places))


def _shorten(digest: hashlib._Hash) -> str:
    return digest.hexdigest()[: provenance.DIGEST_LENGTH]


def _list_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield relative name and status of every file, sorted within each folder; links to folders are followed once.

    Hidden files and folders do not count, which file managers write and no data set has.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back up
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(parent) / name
            if path.is_file():
                yield str(path.relative_to(folder)), path.stat()


def _files_of_options(options: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield the files that options name, such as a csv of labels, from the folder or the working directory."""
    for value in options.values():
        if isinstance(value, str) and value:
            yield from [path for path in (folder / value, Path(value)) if is_file(path)][:1]


def describe_changes(
    plan: Plan, *, command: Sequence[str], configs: Sequence[Path], patience: float = float("inf")
) -> list[str]:
    """Return a line on the local copies that changed since they were read, and one on those too large to compare now.

    The first ends with `command`, a call of Snakemake, and the arguments that read only these again. Those that the
    command reads again itself are left out. The second names the command that compares them, which takes `configs`.
    `patience`: seconds to wait for each copy.
    """
    words, forced = _split_forced(command)
    if ACQUIRE in forced or any(word in FORCE_ALL for word in words):
        return []
    changes: dict[str, str] = {}
    unknown: list[str] = []
    for dataset in dict(plan.corpora):
        acquired = plan.layout.acquisition_record(dataset)
        if plan.config.datasets[dataset].source == LOCAL and acquired not in forced:
            try:
                change = _describe_change(Path(acquired), plan.jobs.acquire(dataset), patience)
            except TimeoutError:
                unknown.append(dataset)
            else:
                changes |= {acquired: f"{dataset} ({change})"} if change else {}
    lines = []
    if changes:
        again = shlex.join([*words, FORCE[0], *changes])
        lines.append(
            f"your files have changed since they were read: {', '.join(changes.values())}; "
            f"to read only these again: {again}"
        )
    if unknown:
        status = shlex.join([*STATUS, *(["--configfile", *map(str, configs)] if configs else [])])
        lines.append(f"not compared within {patience:g} s: {', '.join(unknown)}; {status} says whether they changed")
    return lines


def _split_forced(command: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of a command without those of a dry run and of forced targets, and these targets.

    Short flags that share a hyphen are separated.
    """
    words: list[str] = []
    forced: list[str] = []
    is_forced = False
    for word in _separate_flags(command):
        if word.startswith("-"):
            is_forced = word in FORCE
        if is_forced:
            forced += [] if word.startswith("-") else [word]
        elif word not in DRY_RUN:
            words.append(word)
    return words, forced


def _separate_flags(command: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command, short flags one by one and without that of a dry run."""
    for word in command:
        if match := SHORT_FLAGS.fullmatch(word):
            yield from [f"-{letter}" for letter in match[1] if letter != "n"]
            yield from [f"-{match[2]}"] if match[2] else []
        elif word.startswith(f"{FORCE[0]}="):
            yield from word.split("=", 1)
        else:
            yield word


def _describe_change(acquired: Path, job: JobSpec, patience: float) -> str:
    """Return how a copy differs from what was read; empty if it does not, or if it will be read again anyway.

    Raises `TimeoutError` after `patience` seconds.
    """
    try:
        content = parse_json(acquired.read_text(encoding="utf-8"))
        if (content["code"], content["config"]) != (job.code, json.loads(job.config)):
            return ""
        now = take_inventory(AcquireConfig.from_json(job.config), patience=patience)
    except TimeoutError:  # an OSError, but not of a copy that is not there
        raise
    except (UserError, OSError, ValueError, KeyError, TypeError):  # of no copy, or no acquisition: told elsewhere
        return ""
    then = content.get("files", now.files)
    if then != now.files:
        return f"{then:,} files then, {now.files:,} now"
    if now.digest != content["digest"]:
        return "other names, sizes or labels"
    return "files were written again, or exchanged" if now.places != content.get("places") else ""
