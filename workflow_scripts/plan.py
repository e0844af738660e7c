"""Show the jobs of a config and their cost, or write its manifest.

    python -m workflow_scripts.plan [--configfile FILE ...] [--records FOLDER ...]
    python -m workflow_scripts.plan --config JSON --output FILE [--configfile FILE ...] [--unfinished]

The first form prints the jobs of each stage with estimates of hours and disk space. Estimates are based on the records
of finished jobs in the config's own results folder and in the folders given; `config/pilot.yaml` produces records for
the paper's networks in minutes. The second form writes the manifest: every evaluation that the studies need, with the
digests that its results must carry. It only records the names given with `--configfile`.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table

from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.origin import ConfigOrigin
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core.checksums import write_record
from workflow_scripts.core.cli import add_configfiles, command_parser
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.validation import parse_json
from workflow_scripts.planning import costs
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.cost_records import MeasuredJob, read_measured_jobs
from workflow_scripts.planning.input_checks import check_inputs
from workflow_scripts.planning.manifest import Program
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.queue import count_jobs
from workflow_scripts.statistics.reproduction.statements import load_statements

CONFIG_FOLDER = Path(__file__).parent.parent / "config"
PLAIN_WIDTH = 120  # in a log file
GIT_SECONDS = 20  # git compares all files of the checkout, which may lie on a slow network disk
GIGABYTE = 1e9
GPU = "cuda"  # begins the name of a device that is one
NO_RECORDS = (
    "No records of finished jobs, so no hours: first `make run CONFIG=config/pilot.yaml` (docs/paper-scale.md), then "
    "add --records results/pilot; results/reference/real_recordings, which ships, has a few stages on two CPU cores."
)
NOTES = (
    "Hours are those of one device, from records of similar jobs; jobs without a record are not included. Trials that "
    "train the encoder count with all epochs they may take. Disk space does not include an archive while it is "
    "unpacked, local copies, predictions, encoder files (4 bytes per parameter) and the training state of each "
    "unfinished run (12 bytes per parameter, "
    "workers included). Finished jobs are included: a dry run of the workflow lists the remaining ones."
)


def main(argv: list[str] | None = None) -> None:
    """Plan a config."""
    arguments = _parser().parse_args(argv)
    for folder in arguments.records:
        if not folder.is_dir():
            raise UserError(f"--records {folder}: no such folder: name the results folder of a run, as results/pilot")
    files = [CONFIG_FOLDER / "config.yaml", *arguments.configfile]
    merged = None if arguments.config is None else _parse_config(arguments.config)
    config, studies = load(files if merged is None else [], folder=CONFIG_FOLDER, merged=merged)
    plan = Plan(config, studies, load_statements(studies, config, folder=CONFIG_FOLDER))
    if arguments.output is not None:
        names = [str(_path_from_here(file)) for file in arguments.configfile]
        manifest = build_manifest(plan, configfiles=names, program=_find_program(), unfinished=arguments.unfinished)
        if arguments.digest not in (None, manifest.digest):
            raise UserError("code, config or checkpoints were edited after this plan was made: run the workflow again")
        write_record(arguments.output, manifest.to_json(), files={})
        return
    records, damaged = read_measured_jobs(dict.fromkeys([Path(config.results), *arguments.records]))
    console = PlainConsole(width=PLAIN_WIDTH)
    _show(plan, records, console)
    for line in check_inputs(plan, ConfigOrigin([(file, read_yaml(file)) for file in files]), memory=None).lines():
        console.print(f"prelude: {line}", markup=False, highlight=False, soft_wrap=True)
    if damaged:
        line = f"Records left out, damaged or of another version: {len(damaged):,}, the first is {damaged[0]}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _find_program() -> Program:
    """Return the version of Prelude and its commit, as far as they are known: a copy without git has none."""
    command = ["git", "-C", str(CONFIG_FOLDER), "describe", "--always", "--dirty", "--abbrev=12"]
    version = commit = ""
    with contextlib.suppress(metadata.PackageNotFoundError):
        version = metadata.version("prelude-benchmark")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        commit = subprocess.run(command, capture_output=True, check=True, text=True, timeout=GIT_SECONDS).stdout.strip()
    return Program(version=version, commit=commit)


def _path_from_here(file: Path) -> Path:
    """Return the path of a file below this folder as from here: what is published names no folder of a machine."""
    here = Path.cwd()
    return file.absolute().relative_to(here) if file.absolute().is_relative_to(here) else file


def _show(plan: Plan, records: list[MeasuredJob], console: PlainConsole) -> None:
    table = Table(title=f"Scale {plan.config.scale}: {', '.join(plan.studies)}", title_justify="left")
    for heading in ("Stage", "Jobs", "Hours", "Device", "Records", "Jobs not measured"):
        table.add_column(heading, justify="left" if heading in ("Stage", "Device") else "right")
    estimates, spaces = costs.estimate_costs(plan, records), costs.estimate_space(plan)
    for cost in estimates:
        hours = f"{cost.hours:,.{1 if cost.hours >= 10 else 2}f}" if cost.records else ""
        table.add_row(cost.stage, f"{cost.jobs:,}", hours, cost.device, f"{cost.records:,}", f"{cost.unknown or ''}")
    console.print(table)
    for space in spaces:
        unknown = f", and {space.unknown} of unknown size" if space.unknown else ""
        console.print(f"{space.kind}: {space.size / GIGABYTE:,.2f} GB{unknown}", highlight=False)
    console.print(_sum_up(estimates, spaces), highlight=False)
    console.print(_describe_queue(plan, estimates), highlight=False, soft_wrap=True)
    console.print(NOTES, style="dim")
    if not records:
        console.print(NO_RECORDS, highlight=False)


def _sum_up(estimates: Sequence[costs.CostEstimate], spaces: Sequence[costs.DiskSpace]) -> str:
    """Return one line: all jobs, their hours on each device that was measured, and the disk space."""
    hours: dict[str, float] = {}
    for cost in estimates:
        if cost.records:
            hours[cost.device] = hours.get(cost.device, 0) + cost.hours
    parts = [f"{number:,.0f} hours ({device})" for device, number in hours.items()]
    unknown = sum(cost.unknown for cost in estimates)
    parts += [f"{unknown:,} not measured"] if unknown else []
    unsized = sum(space.unknown for space in spaces)
    without = f" and {unsized:,} files of unknown size" if unsized else ""
    parts += [f"{sum(space.size for space in spaces) / GIGABYTE:,.0f} GB{without}"]
    return f"In all: {sum(cost.jobs for cost in estimates):,} jobs: {', '.join(parts)}"


def _describe_queue(plan: Plan, estimates: Sequence[costs.CostEstimate]) -> str:
    """Return one line: jobs in the queue of a cluster, GPU hours as far as a GPU was measured, and submissions."""
    queued = count_jobs(plan)
    with_gpu = {jobs.rule: jobs.jobs for jobs in queued if jobs.on_gpu}
    measured = [cost for cost in estimates if cost.stage in with_gpu and cost.device.startswith(GPU)]
    unknown = sum(with_gpu.values()) - sum(cost.jobs - cost.unknown for cost in measured)
    hours = f"{sum(cost.hours for cost in measured):,.0f} GPU hours" if measured else "GPU hours"
    total = sum(jobs.jobs for jobs in queued)
    return (
        f"On a cluster: {total:,} jobs, {sum(with_gpu.values()):,} of them on a GPU ({hours}"
        f"{f', {unknown:,} jobs not measured' if measured and unknown else '' if measured else ' not measured'}); "
        f"{total:,} submissions, with slurm-array-jobs: all about {sum(jobs.arrays for jobs in queued):,}"
    )


def _parse_config(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"--config: not JSON ({error})") from error


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("plan", __doc__)
    parser.add_argument("--config", help="the whole merged config, as JSON")
    add_configfiles(parser)
    parser.add_argument(
        "--unfinished", action="store_true", help="record that the run failed: missing and stale results are no error"
    )
    parser.add_argument("--records", type=Path, nargs="+", default=[], help="results folders whose records are used")
    parser.add_argument("--digest", help="digest that the manifest must have; another is refused")
    parser.add_argument("--output", type=Path, help="manifest to write instead of showing the plan")
    return parser


if __name__ == "__main__":
    run_command(main)
