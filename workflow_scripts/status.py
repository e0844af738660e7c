"""Print the missing jobs of a config, with reasons.

    python -m workflow_scripts.status [--configfile FILE ...]

Run it in the folder in which the workflow was started. Reasons come from the last lines of the jobs' logs, from the
journal of attempts and, on a cluster, from SLURM: jobs in its queue and refused submissions. The exit code is
1 if a result is missing, stale or damaged, or if the report is not of these results.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from workflow_scripts.configuration.load import load
from workflow_scripts.core.cli import add_configfiles, command_parser
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.errors import run_command
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.job_logs import read_end
from workflow_scripts.planning.layout import MANIFEST
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.planning.plan import Plan
from workflow_scripts.report import status
from workflow_scripts.sources.local_copies import describe_changes
from workflow_scripts.statistics.reproduction.statements import load_statements
from workflow_scripts.submit import REFUSED

CONFIG_FOLDER = Path(__file__).parent.parent / "config"
SLURM_LOGS = Path("logs") / "slurm"  # as in the SLURM profile
EXIT_MISSING = 1
PLAIN_WIDTH = 160  # in a log file
TIMEOUT = 30  # seconds for the answer of the controller


def main(argv: list[str] | None = None) -> None:
    """Print the state of a config's jobs."""
    parser = command_parser("status", __doc__)
    add_configfiles(parser)
    files = [CONFIG_FOLDER / "config.yaml", *parser.parse_args(argv).configfile]
    config, studies = load(files, folder=CONFIG_FOLDER)
    plan = Plan(config, studies, load_statements(studies, config, folder=CONFIG_FOLDER))
    manifest = build_manifest(plan)
    attempts = read_attempts(manifest.journal)
    jobs = status.list_statuses(manifest, attempts, compare_files=True)
    others = status.list_other_failures(manifest, attempts)
    console = PlainConsole(width=PLAIN_WIDTH)
    _show(jobs, others, queue(), console)
    command = [".venv/bin/snakemake", "--profile", "config/profiles/local"]
    command += ["--configfile", *map(str, files[1:])] if files[1:] else []
    for change in describe_changes(plan, command=command, configs=files[1:]):
        console.print(f"Changed: {change}", markup=False, highlight=False, soft_wrap=True)
    missing = any(job.state != status.DONE for job in jobs)
    if not missing and not _is_reported(plan, manifest):
        console.print("Tables and report are not yet those of these jobs: run again.", highlight=False)
        missing = True
    if missing:
        sys.exit(EXIT_MISSING)


def _is_reported(plan: Plan, manifest: Manifest) -> bool:
    """Return whether the statistics are those of this plan, and there is a report that is newer than all trials."""
    planned = Path(plan.layout.manifest(manifest.digest))
    used, report = Path(plan.layout.statistics) / MANIFEST, Path(plan.layout.report)
    if not all(file.is_file() for file in (planned, used, report)) or planned.read_bytes() != used.read_bytes():
        return False
    return all(cell.path.stat().st_mtime <= report.stat().st_mtime for cell in manifest.cells)


def queue() -> dict[str, str]:
    """Return the state of the user's SLURM jobs by number; empty if there is no SLURM or it does not answer."""
    question = ["squeue", "--me", "--array", "--noheader", "--format=%i|%T|%M|%r"]
    try:
        answer = subprocess.run(
            question, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=TIMEOUT
        ).stdout
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split("|") for line in answer.splitlines() if line.count("|") == 3]
    return {
        number: f"runs as SLURM job {number} for {elapsed}"
        if state == "RUNNING"
        else f"is SLURM job {number}, {state.lower()} ({reason})"
        for number, state, elapsed, reason in rows
    }


def _show(
    jobs: Sequence[status.JobStatus], others: Sequence[str], queued: Mapping[str, str], console: PlainConsole
) -> None:
    summary = Table()
    for heading in status.HEADINGS:
        summary.add_column(heading, justify="left" if heading == status.HEADINGS[0] else "right")
    for row in status.by_stage(jobs):
        summary.add_row(*row)
    console.print(summary)
    missing = [job for job in jobs if job.state != status.DONE]
    for line in (*status.describe(missing, queued), *others):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for reason, count in Counter(job.reason for job in missing if job.state == status.WAITS).most_common():
        console.print(f"{count:,} more: {reason}", markup=False, highlight=False, soft_wrap=True)
    for log in sorted(SLURM_LOGS.rglob(REFUSED)):
        last = read_end(log)
        console.print(
            f"SLURM refuses {log.parent}: {last.line if last else ''}", markup=False, highlight=False, soft_wrap=True
        )
    done = len(jobs) - len(missing)
    console.print(f"{done:,} of {len(jobs):,} jobs before the statistics are done.", highlight=False)


if __name__ == "__main__":
    run_command(main)
