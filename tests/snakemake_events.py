"""Snakemake's log events, as its 9.27 sends them, given to a journal at chosen times."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_scripts.planning import attempts
from workflow_scripts.planning.attempts import Journal


class RecordedRun:
    """A run of Snakemake that reports its jobs, each by its record, to a journal; `at` is the clock."""

    def __init__(self, journal: Path, monkeypatch: pytest.MonkeyPatch, *, at: float) -> None:
        """Begin a run at a time, in seconds since 1970."""
        self.at = at
        self._numbers: dict[str, int] = {}
        self._journal = Journal(journal)
        clock = SimpleNamespace(**vars(attempts.time) | {"time": lambda: self.at})
        monkeypatch.setattr(attempts, "time", clock)

    def start(self, record: str, *, log: str, rule: str = "pretrain", resources: dict[str, Any] | None = None) -> None:
        """Start the job that writes a record."""
        number = self._numbers.setdefault(record, len(self._numbers) + 1)
        self._send("job_info", **self._job(number, record, log, rule), resources=resources or {})

    def submit(self, record: str, slurm: str) -> None:
        """Submit a job to SLURM."""
        self._send(None, f"Job {self._numbers[record]} has been submitted with SLURM jobid {slurm} (log: x).")

    def submit_array(self, records: Sequence[str], slurm: str) -> None:
        """Submit jobs to SLURM as one array."""
        numbers = ",".join(str(self._numbers[record]) for record in records)
        tasks = f"The individual task IDs are 1-{len(records)}."
        self._send(None, f"Submitted array job with Snakemake IDs {numbers} and SLURM job ID {slurm}. {tasks}")

    def fail(
        self, record: str, *, log: str, message: str | None = None, error: str = "", slurm_log: Sequence[str] = ()
    ) -> None:
        """Report that a job failed, by the plugin's message or by the exception of its shell command."""
        number = self._numbers[record]
        if error:
            self._send("error", f"RuleException:\nCommand 'set -euo pipefail;  run {number}' {error}.")
        self._send(
            "job_error", **self._job(number, record, log, "pretrain") | {"log": [log, *slurm_log]}, rule_msg=message
        )

    def finish(self, record: str) -> None:
        """Report that a job has its results."""
        self._send("job_finished", job_id=self._numbers[record])

    def stop(self) -> None:
        """End the run, as Snakemake does on Ctrl-C, too."""
        self._journal.close()

    def _job(self, number: int, record: str, log: str, rule: str) -> dict[str, Any]:
        return {"jobid": number, "rule_name": rule, "output": [record], "log": [log], "shellcmd": f"run {number}"}

    def _send(self, event: str | None, message: str | None = None, **content: object) -> None:
        record = logging.makeLogRecord({"msg": message, **content})
        if event:
            record.event = SimpleNamespace(value=event)
        self._journal.handle(record)
