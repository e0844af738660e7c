"""Changes of users' own copies of data sets since they were read, reported at the start of a run and by `status`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse_json
from workflow_scripts.planning.jobs import JobSpec
from workflow_scripts.planning.plan import Plan
from workflow_scripts.sources.inventory import describe_difference, take_inventory

SECONDS_AT_START = 5.0  # that a run waits for the comparison: 100,000 files on a slow file system

DRY_RUN = ("--dry-run", "--dryrun")
FORCE = ("--forcerun", "-R")
FORCE_ALL = ("--forceall", "-F")
ACQUIRE = "acquire"  # the rule that reads data sets
SHORT_FLAGS = re.compile("-([nptkfFlSDa]+)(.*)")  # Snakemake's without a value may share a hyphen, also with another
STATUS = (".venv/bin/python", "-m", "workflow_scripts.status")


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
        if plan.config.datasets[dataset].source == "local" and acquired not in forced:
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
    except (UserError, OSError, ValueError, KeyError, TypeError):  # of no copy, or no acquisition: reported elsewhere
        return ""
    return describe_difference(content, now)
