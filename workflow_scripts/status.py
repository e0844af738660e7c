"""Print which jobs of a config are missing, and why.

    python -m workflow_scripts.status [--configfile FILE ...]

Start it where the workflow was started. The reasons are the last lines of the jobs' logs, what Snakemake's logs tell of
attempts, and, on a cluster, what SLURM says of jobs in its queue and of those it refuses. Ends with code 1 while
something is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from workflow_scripts.configuration.load import load
from workflow_scripts.core.errors import run_command
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan
from workflow_scripts.report import status
from workflow_scripts.submit import REFUSED

CONFIG_FOLDER = Path(__file__).parent.parent / "config"
SLURM_LOGS = Path("logs") / "slurm"  # as the profile says
EXIT_MISSING = 1
PLAIN_WIDTH = 160  # in a log file
PATIENCE = 30  # seconds for the controller to answer


def main(argv: list[str] | None = None) -> None:
    """Print the state of a config's jobs."""
    parser = argparse.ArgumentParser(
        prog="status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="files that go over config/config.yaml")
    files = [CONFIG_FOLDER / "config.yaml", *parser.parse_args(argv).configfile]
    plan = Plan(*load(files, folder=CONFIG_FOLDER))
    found = status.statuses(build_manifest(plan), status.tries(status.SNAKEMAKE_LOGS))
    console = Console()
    _show(found, queue(), console if console.is_terminal else Console(width=PLAIN_WIDTH))
    if any(each.state != status.DONE for each in found):
        sys.exit(EXIT_MISSING)


def queue() -> dict[str, str]:
    """What SLURM says of the user's jobs, by their numbers; nothing where there is no SLURM that answers."""
    question = ["squeue", "--me", "--noheader", "--format=%i|%T|%M|%r"]
    try:
        told = subprocess.run(question, capture_output=True, text=True, check=False, timeout=PATIENCE).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split("|") for line in told.splitlines() if line.count("|") == 3]
    return {
        number: f"runs as SLURM job {number} for {elapsed}"
        if state == "RUNNING"
        else f"is SLURM job {number}, {state.lower()} ({reason})"
        for number, state, elapsed, reason in rows
    }


def _show(found: list[status.JobStatus], queued: Mapping[str, str], console: Console) -> None:
    summary = Table()
    for heading in status.HEADINGS:
        summary.add_column(heading, justify="left" if heading == status.HEADINGS[0] else "right")
    for row in status.by_stage(found):
        summary.add_row(*row)
    console.print(summary)
    missing = [each for each in found if each.state != status.DONE]
    for each in (each for each in missing if each.state != status.WAITS):
        tried = f" [{each.failures} of {each.attempts} attempts failed]" if each.failures else ""
        why = queued.get(each.slurm) or f"{each.state}: {each.why}"
        console.print(f"{each.name}: {why}{tried}", markup=False, highlight=False, soft_wrap=True)
        if each.state in (status.FAILED, status.UNFINISHED):
            console.print(f"    {each.job.log}", markup=False, highlight=False, soft_wrap=True)
    for why, jobs in Counter(each.why for each in missing if each.state == status.WAITS).most_common():
        console.print(f"{jobs:,} more: {why}", markup=False, highlight=False, soft_wrap=True)
    for log in sorted(SLURM_LOGS.rglob(REFUSED)):
        last = log.read_text(encoding="utf-8").splitlines()[-1:]
        console.print(f"SLURM refuses {log.parent}: {''.join(last)}", markup=False, highlight=False, soft_wrap=True)
    done = len(found) - len(missing)
    console.print(f"{done:,} of {len(found):,} jobs before the statistics are done.", highlight=False)


if __name__ == "__main__":
    run_command(main)
