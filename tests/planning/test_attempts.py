"""The journal of attempts, and the reasons of jobs that could not state them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
from tests.snakemake_events import RecordedRun
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.job_logs import read_end

SNAKEFILE = """\
from pathlib import Path
from workflow_scripts.planning.attempts import Journal

onstart:
    logger.handlers.insert(0, Journal(Path("my results/journal")))

rule all:
    input: "my results/killed", "my results/whole"

rule killed:
    output: "my results/killed"
    log: "my results/killed.log"
    retries: 1
    shell: "(kill -KILL $BASHPID; true) &> {log:q}"

rule whole:
    output: "my results/whole"
    log: "my results/whole.log"
    shell: "touch {output:q}"
"""
REFUSED = """\
SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nosuch
sbatch: error: Batch job submission failed: Invalid partition name specified'.
    sbatch call:
        sbatch --parsable -p nosuch --wrap="snakemake"
For further error details see the cluster/cloud log and the log files of the involved rule(s)."""
KILLED = """\
RuleException:
Command 'set -euo pipefail;  python -m x &> kill.log' returned non-zero exit status 137.
srun: error: node7: task 0: Exited with exit code 1
WorkflowError:
"""


def slurm_state(state: str) -> str:
    return f"SLURM-job '11' failed, SLURM status is: '{state}'. Detailed failure reason unavailable."


def test_attempts_are_known_whatever_snakemake_prints_and_whatever_paths_contain(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores=1", "--keep-going", "--quiet", "rules"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    attempts = read_attempts(tmp_path / "my results/journal")
    killed, whole = (attempts[f"my results/{name}"] for name in ("killed", "whole"))
    assert (len(killed.all), len(killed.failures), len(whole.all), len(whole.failures)) == (2, 2, 1, 0)
    reason = "killed by SIGKILL, probably because memory ran out: lower `batch`, or free memory, and run again"
    assert killed.failures[-1].reason == reason
    assert f"prelude: {reason}\n" in (tmp_path / "my results/killed.log").read_text()


@pytest.mark.parametrize(
    ("message", "slurm_log", "reason"),
    [
        (
            slurm_state("FAILED"),
            "slurmstepd-vm: error: StepId=4.batch exceeded memory limit (130068480 > 104857600), being killed\n"
            "slurmstepd-vm: error: *** JOB 4 ON vm CANCELLED AT 2026-11-30T12:50:11 ***\n",
            "ran out of memory (SLURM: StepId=4.batch exceeded memory limit (130068480 > 104857600), being killed): ",
        ),
        (
            slurm_state("FAILED"),
            "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=4.0. Some step tasks have been OOM Killed.",
            "ran out of memory (SLURM: Detected 1 oom-kill event(s) in StepId=4.0.",
        ),
        (slurm_state("OUT_OF_MEMORY"), "", "ran out of memory (SLURM: OUT_OF_MEMORY): lower `batch`, or raise mem_mb"),
        (
            slurm_state("FAILED"),
            "slurmstepd: error: *** JOB 4 ON vm CANCELLED AT 2026-11-30T12:50:11 DUE TO TIME LIMIT ***",
            "ran out of time (SLURM: *** JOB 4 ON vm CANCELLED AT 2026-11-30T12:50:11 DUE TO TIME LIMIT ***): raise",
        ),
        (
            slurm_state("FAILED"),
            "slurmstepd: error: *** JOB 4 ON vm CANCELLED AT 2026-11-30T12:50:11 DUE TO PREEMPTION ***",
            "preempted (SLURM: *** JOB 4",
        ),
        (slurm_state("CANCELLED"), "", "cancelled (SLURM: CANCELLED): run again to go on"),
        (slurm_state("FAILED"), KILLED, "killed by SIGKILL, probably because memory ran out"),
        (slurm_state("FAILED"), "returned non-zero exit status 3.", "ended with exit code 3 and no message"),
        (slurm_state("FAILED"), "", "ended by SLURM (FAILED)"),
        (REFUSED, "", "SLURM refused it (sbatch: error: invalid partition specified: nosuch sbatch: error: Batch job"),
        ("Job submission failed with exception: no disk", "", "Job submission failed with exception: no disk"),
        ("", "", "ended without a message"),
    ],
)
def test_a_job_that_the_scheduler_ended_says_so_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, slurm_log: str, reason: str
) -> None:
    journal, log, slurm = tmp_path / "journal", tmp_path / "logs" / "a.log", tmp_path / "4.log"
    slurm.write_text(slurm_log)
    run = RecordedRun(journal, monkeypatch, at=1.8e9)
    run.start("a.json", log=str(log))
    run.fail("a.json", log=str(log), message=message, slurm_log=[str(slurm)])
    assert read_attempts(journal)["a.json"].failures[-1].reason.startswith(reason)
    assert f"prelude: {reason}" in log.read_text()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("invalid partition specified: nosuch", "slurm_partition"),
        ("Invalid account or account/partition combination specified", "slurm_account or slurm_partition"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "runtime"),
        ("Invalid qos specification", "qos"),
        ("Requested reservation is invalid", "slurm-reservation"),
        ("Invalid feature specification", "constraint"),
        ("Invalid generic resource (gres) specification", "gres"),
        ("Memory specification can not be satisfied", "mem_mb, threads or gres, which no node has"),
        ("Requested node configuration is not available", "mem_mb, threads or gres, which no node has"),
        ("a plugin of this site says no", "what these words name"),
    ],
)
def test_a_refusal_of_slurm_says_what_to_correct_in_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, key: str
) -> None:
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(tmp_path / "a.log"))
    refusal = f"SLURM sbatch failed. The error message was 'sbatch: error: {words}'.\n    sbatch call:\n    sbatch --x"
    run.fail("a.json", log=str(tmp_path / "a.log"), message=refusal)
    reason = read_attempts(tmp_path / "journal")["a.json"].failures[-1].reason
    assert reason == f"SLURM refused it (sbatch: error: {words}): correct {key} in the profile"


@pytest.mark.parametrize("is_written", [True, False])
def test_the_log_of_an_attempt_before_gives_no_reason_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """As when a job is cancelled while it waits, or dies before its script starts."""
    log = tmp_path / "a.log"
    log.write_text("prelude: the disk is full\n")
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(log))
    if is_written:
        log.write_text("prelude: the disk is full\n")
    run.fail("a.json", log=str(log), message=slurm_state("CANCELLED"))
    reason = "the disk is full" if is_written else "cancelled (SLURM: CANCELLED): run again to go on"
    assert read_attempts(tmp_path / "journal")["a.json"].failures[-1].reason == reason
    assert read_end(log) == (True, reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("died with <Signals.SIGKILL: 9>", "killed by SIGKILL, probably because memory ran out"),
        ("returned non-zero exit status 137", "killed by SIGKILL, probably because memory ran out"),
        ("returned non-zero exit status 139", "killed by SIGSEGV"),
        ("died with <Signals.SIGINT: 2>", "interrupted by SIGINT: run again to go on"),
        ("returned non-zero exit status 127", "ended with exit code 127 and no message"),
    ],
)
def test_a_job_that_a_signal_ended_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, reason: str
) -> None:
    log = tmp_path / "a.log"
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(log))
    log.write_text("epoch 1: 4/30")  # in the middle of a line
    run.fail("a.json", log=str(log), error=error)
    assert read_attempts(tmp_path / "journal")["a.json"].failures[-1].reason.startswith(reason)
    assert f"epoch 1: 4/30\nprelude: {reason}" in log.read_text()


def test_a_note_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(log))
    log.write_text("prelude: note: a file is damaged: the trial is computed again\n")
    run.fail("a.json", log=str(log), error="died with <Signals.SIGKILL: 9>")
    assert read_attempts(tmp_path / "journal")["a.json"].failures[-1].reason.startswith("killed by SIGKILL")


def test_the_reason_that_a_job_states_itself_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(log))
    log.write_text("epoch 1\nprelude: the disk is full\n")
    run.fail("a.json", log=str(log), error="returned non-zero exit status 2")
    assert read_attempts(tmp_path / "journal")["a.json"].failures[-1].reason == "the disk is full"
    assert log.read_text() == "epoch 1\nprelude: the disk is full\n"


def test_a_journal_is_continued_behind_damaged_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal"
    run = RecordedRun(journal, monkeypatch, at=1.8e9)
    run.start("a.json", log="a.log")
    with journal.open("ab") as file:
        file.write(b'{"event": "suc\n[1]\n\xff\n"text"\n')
    run.finish("a.json")
    assert read_attempts(journal)["a.json"].all[-1].succeeded


def test_a_second_workflow_does_not_end_the_jobs_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal"
    first = RecordedRun(journal, monkeypatch, at=1.7e9)
    first.start("a.json", log="a.log")
    with monkeypatch.context() as other_process:
        other_process.setattr(os, "getpid", os.getppid)
        second = RecordedRun(journal, monkeypatch, at=1.7e9)
        second.start("b.json", log="b.log")
        attempts = read_attempts(journal)
        assert attempts["a.json"].running
        assert attempts["b.json"].running
        second.stop()
    attempts = read_attempts(journal)
    assert attempts["a.json"].running
    assert attempts["b.json"].failures[-1].reason == "interrupted: Snakemake was stopped"
    first.finish("a.json")
    assert read_attempts(journal)["a.json"].all[-1].succeeded


def test_neither_journal_nor_log_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.write_text("mine")
    for name in ("journal", "a.log"):
        (tmp_path / name).symlink_to(private)
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    run.start("a.json", log=str(tmp_path / "a.log"))
    run.fail("a.json", log=str(tmp_path / "a.log"), error="died with <Signals.SIGKILL: 9>")
    assert private.read_text() == "mine"


def test_each_job_of_an_array_has_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RecordedRun(tmp_path / "journal", monkeypatch, at=1.8e9)
    for name in "abc":
        run.start(name, log=f"{name}.log")
    run.submit_array("bc", slurm="7")
    attempts = read_attempts(tmp_path / "journal")
    assert [attempts[name].slurm for name in "abc"] == ["", "7_1", "7_2"]


def test_damaged_lines_of_a_journal_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, log = tmp_path / "attempts.jsonl", str(tmp_path / "a.log")
    run = RecordedRun(journal, monkeypatch, at=1.8e9)
    run.start("a.json", log=log, resources={"gpu": 1})
    run.submit("a.json", "11")
    run.fail("a.json", log=log, error="died with <Signals.SIGKILL: 9>")
    run.start("b.json", log=log)
    run.finish("b.json")
    whole = journal.read_bytes()
    misfits = [
        b'{"event": "run", "at": 1.0}',
        b'{"event": "run", "at": 1.0, "host": "h", "pid": 1' + b"0" * 30 + b"}",
        b'{"event": "run", "at": 1.0, "host": "h", "pid": ' + b"1" * 5000 + b"}",
        b'{"event": "start", "at": 1.0, "files": null}',
        b'{"event": "start", "at": 1.0, "files": [["a.json"]]}',
        b'{"event": "start", "at": 1e300, "files": ["a.json"]}',
        b'{"event": "start", "at": NaN, "files": ["a.json"]}',
        b'{"event": "failure", "at": 1.0, "file": "a.json", "reason": ["x"]}',
        b'{"event": "failure", "at": 1.0, "file": "a.json", "began": "x"}',
        b'{"event": "submission", "at": 1.0, "file": "a.json"}',
        b'{"event": ["start"], "at": 1.0}',
        b"[" * 100_000,
        b"null",
        b"\xff\x00",
    ]
    expected = read_attempts(journal)
    journal.write_bytes(b"\n".join([*misfits, whole, *misfits]))
    assert read_attempts(journal) == expected
    for bit in range(0, 8 * len(whole), 11):  # any bit of any field in turn, at a tenth of the time
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        journal.write_bytes(damaged)
        for job in read_attempts(journal).values():
            assert isinstance(job.all[-1].seconds, float)
            assert isinstance(job.slurm + job.rule + job.all[-1].reason, str)
            time.localtime(job.all[-1].started)
