"""Submit a job to SLURM, and try again while the controller refuses or does not answer.

    python -m workflow_scripts.submit sbatch ARGUMENT ...

Snakemake submits jobs by this command (see `slurm.plugin_patch`), which prints the output of sbatch. A permanent error,
such as a partition that does not exist, ends the command at once with the message and exit code of sbatch. While a job
is refused, the message is in refused.log in the folder of the job's log, because the plugin does not show this output.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

#: messages of sbatch after which waiting helps: no controller, a busy one, a closed partition, a limit per user
TEMPORARY = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted|Connection (refused|reset)"
    r"|temporarily unable|temporarily unavailable|in standby mode|partition not available \(inactive or drain\)"
    r"|Job violates accounting/QOS policy|MaxSubmitJob|authentication (credential|error)|munged? .*not running",
    re.IGNORECASE,
)
#: limits that the job itself exceeds, reported beside those of a policy: waiting does not help
OWN_LIMIT = re.compile(r"PerJob|QOSMin|TimeLimit")
AS_ARGUMENTS: Any = {"encoding": sys.getfilesystemencoding(), "errors": "surrogateescape"}  # as Python decodes argv
REFUSED = "refused.log"
PATIENCE = 1800.0  # seconds: controllers are restarted and partitions drained for longer than an attempt should cost
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds: short after a glitch, long enough to spare a busy controller


def main(argv: Sequence[str] | None = None) -> None:
    """Run the given sbatch command until it is accepted or fails permanently."""
    command = list(sys.argv[1:] if argv is None else argv)
    if not command or command[0] in ("-h", "--help"):
        print(__doc__)
        return
    script = None if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    refused = Path(_option(command, "--output") or REFUSED).with_name(REFUSED)
    done = _submit(command, script)
    for pause in _pauses():
        if done.returncode == 0 or not _is_temporary(done.stderr):
            break
        with refused.open("a", encoding="utf-8") as log:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), " ".join(done.stderr.split()), file=log)
        time.sleep(pause)
        answered, number = _find_job(command)
        if number is not None:
            done = subprocess.CompletedProcess(command, 0, stdout=f"{number}\n", stderr="")
        elif answered:
            done = _submit(command, script)
    if done.returncode == 0:
        refused.unlink(missing_ok=True)
    print(done.stdout, end="", flush=True)
    print(done.stderr, end="", file=sys.stderr, flush=True)
    sys.exit(done.returncode)


def _is_temporary(message: str) -> bool:
    """Whether waiting can help after this message of sbatch."""
    return TEMPORARY.search(message) is not None and OWN_LIMIT.search(message) is None


def _submit(command: Sequence[str], script: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=script, capture_output=True, **AS_ARGUMENTS, check=False)


def _find_job(command: Sequence[str]) -> tuple[bool, str | None]:
    """Return whether the controller answers, and the number of the job if an earlier submission was accepted after all.

    The name, which is unique to a workflow run, and the comment (rule and wildcards, or the number of an array)
    identify the job.
    """
    name, comment = (_option(command, flag) for flag in ("--job-name", "--comment"))
    question = ["squeue", "--noheader", f"--name={name}", "--states=PENDING,CONFIGURING,RUNNING", "--format=%F|%k"]
    answer = subprocess.run(question, capture_output=True, **AS_ARGUMENTS, check=False)
    jobs = dict(line.split("|", 1) for line in answer.stdout.splitlines() if "|" in line)
    return answer.returncode == 0, next((number for number, other in jobs.items() if other == comment), None)


def _option(command: Sequence[str], flag: str) -> str:
    return command[command.index(flag) + 1] if flag in command[:-1] else ""


def _pauses() -> Iterator[float]:
    """Yield the seconds to wait before each further submission."""
    pause, ends = FIRST_PAUSE, time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


if __name__ == "__main__":
    main()
