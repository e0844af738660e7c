"""Submit a job to SLURM, and try again while the controller refuses or does not answer.

    python -m workflow_scripts.submit sbatch ARGUMENT ...

Snakemake submits through this (see `slurm`). Prints what sbatch prints. What cannot mend itself, such as a partition
that does not exist, ends at once with sbatch's own message and code. While a job is refused, the message stands in
refused.log where the job's own log will be: the plugin shows nobody what is printed here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

#: what sbatch says when waiting helps: no controller, a busy one, a closed partition, a limit of jobs per user
TEMPORARY = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted|Connection (refused|reset)"
    r"|temporarily unable|temporarily unavailable|in standby mode|partition not available \(inactive or drain\)"
    r"|Job violates accounting/QOS policy|MaxSubmitJob|authentication (credential|error)|munged? .*not running",
    re.IGNORECASE,
)
#: limits that the job itself breaks, which are told beside a policy's other ones: no waiting helps
OWN_LIMIT = re.compile(r"PerJob|QOSMin|TimeLimit")
REFUSED = "refused.log"
PATIENCE = 1800.0  # seconds: controllers are restarted and partitions drained for longer than an attempt should cost
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds: soon after a hiccup, and not often enough to hinder a busy controller


def main(argv: Sequence[str] | None = None) -> None:
    """Run the given sbatch until it is not refused for the moment."""
    command = list(sys.argv[1:] if argv is None else argv)
    script = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    refused = Path(_option(command, "--output")).with_name(REFUSED)
    done = _submitted(command, script)
    for pause in _pauses():
        if done.returncode == 0 or not _passes(done.stderr):
            break
        with refused.open("a", encoding="utf-8") as log:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), " ".join(done.stderr.split()), file=log)
        time.sleep(pause)
        answered, number = _accepted(command)
        if number is not None:
            done = subprocess.CompletedProcess(command, 0, stdout=f"{number}\n", stderr="")
        elif answered:
            done = _submitted(command, script)
    if done.returncode == 0:
        refused.unlink(missing_ok=True)
    print(done.stdout, end="", flush=True)
    print(done.stderr, end="", file=sys.stderr, flush=True)
    sys.exit(done.returncode)


def _passes(message: str) -> bool:
    """Whether what sbatch says may be different later."""
    return TEMPORARY.search(message) is not None and OWN_LIMIT.search(message) is None


def _submitted(command: Sequence[str], script: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False)


def _accepted(command: Sequence[str]) -> tuple[bool, str | None]:
    """Whether the controller answers, and the number of the job if an earlier try went through but its answer was lost.

    Name and comment tell: a run's name is its own, and a job's comment names its rule and wildcards.
    """
    name, comment = (_option(command, flag) for flag in ("--job-name", "--comment"))
    question = ["squeue", "--noheader", f"--name={name}", "--states=PENDING,CONFIGURING,RUNNING", "--format=%i|%k"]
    told = subprocess.run(question, capture_output=True, text=True, check=False)
    jobs = dict(line.split("|", 1) for line in told.stdout.splitlines() if "|" in line)
    return told.returncode == 0, next((number for number, other in jobs.items() if other == comment), None)


def _option(command: Sequence[str], flag: str) -> str:
    return command[command.index(flag) + 1] if flag in command[:-1] else ""


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further try."""
    pause, ends = FIRST_PAUSE, time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


if __name__ == "__main__":
    main()
