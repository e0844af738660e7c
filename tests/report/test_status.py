import json
import os
import time
from pathlib import Path

import pytest

from tests.synthetic_results import Results, full
from workflow_scripts.planning.manifest import Manifest, read_manifest
from workflow_scripts.report import status

#: Snakemake's log of a job that was cancelled once; {log} is the job's own log
SNAKEMAKE_LOG = """\
Using profile somewhere for setting default command line arguments.
[Sat Nov 21 07:00:00 2026]
rule pretrain:
    output: encoder.safetensors
    log: {log}
    jobid: 4
    reason: Missing output files
Job 4 has been submitted with SLURM jobid 11 (log: logs/slurm/rule_pretrain/11.log).
[Sat Nov 21 07:01:00 2026]
Error in rule pretrain:
    message: SLURM-job '11' failed, SLURM status is: 'CANCELLED'.
    jobid: 4
    output: encoder.safetensors
    log: {log} (check log file(s) for error details)
Trying to restart job 4.
[Sat Nov 21 07:02:00 2026]
rule pretrain:
    output: encoder.safetensors
    log: {log}
    jobid: 4
    reason: Missing output files
Job 4 has been submitted with SLURM jobid 12 (log: logs/slurm/rule_pretrain/12.log).
"""
STARTED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.mktime((2026, 11, 21, 7, 2, 45, 0, 0, -1))))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """Return results whose first evaluation needs a pretrain and an embed job; Snakemake's log lists the first."""
    monkeypatch.chdir(tmp_path)
    results = full(tmp_path / "results")
    results.manifest["jobs"] = [
        [stage, f"{stage}.out", f"{stage}.json", f"logs/{stage}/audioset_music/seed0.log"]
        for stage in ("pretrain", "embed", "evaluate")
    ]
    results.manifest["cells"][0]["jobs"] = [0, 1, 2]
    logs = tmp_path / status.SNAKEMAKE_LOGS
    logs.mkdir(parents=True)
    text = SNAKEMAKE_LOG.format(log="logs/pretrain/audioset_music/seed0.log")
    (logs / "2026-11-21T070000.1.snakemake.log").write_text(text)
    return results


def finish(stage: str, **record: object) -> None:
    Path(f"{stage}.out").touch()
    Path(f"{stage}.json").write_text(json.dumps({"seconds": 60.0, "device": "cpu", "started": STARTED, **record}))


def log(stage: str, text: str) -> None:
    path = Path(f"logs/{stage}/audioset_music/seed0.log")
    path.parent.mkdir(parents=True)
    path.write_text(text)


def manifest(results: Results) -> Manifest:
    return read_manifest(results.manifest_file())


def job_statuses(results: Results) -> list[status.JobStatus]:
    return status.list_statuses(manifest(results), status.read_attempts(status.SNAKEMAKE_LOGS))


def test_a_retried_job_is_counted_with_its_time_and_its_wait(results):
    finish("pretrain", device="cuda:0 (some GPU)", seconds=7200)
    job = job_statuses(results)[0]
    assert (job.state, job.attempts, job.failures, job.slurm) == (status.DONE, 2, 1, "12")
    assert job.wait_seconds == 45, "from its last submission"
    assert (job.seconds, job.gpu_seconds) == (7200, 7200)
    row = dict(zip(status.HEADINGS, status.read_statuses(manifest(results)).stages[0], strict=True))
    expected = {"Jobs": "1", "Done": "1", "Retried": "1", "Failed": "0", "Attempts": "2", "Time": "2 h 00 min"}
    assert expected.items() <= row.items()
    assert (row["GPU hours"], row["Waited (median)"]) == ("2.00", "45.0 s")


def test_what_is_missing_says_why_or_what_it_waits_for(results):
    finish("pretrain")
    log("embed", "embed 10%\nprelude: the disk is full: free some space\n")
    states = [(job.name, job.state, job.reason) for job in job_statuses(results)]
    assert states == [
        ("pretrain audioset_music/seed0", status.DONE, ""),
        ("embed audioset_music/seed0", status.FAILED, "the disk is full: free some space"),
        ("evaluate audioset_music/seed0", status.WAITS, "waits for embed audioset_music/seed0"),
    ]


def test_a_killed_job_differs_from_a_failed_one(results):
    log("pretrain", "epoch 3/20: 0.1 s/step\n")
    job = job_statuses(results)[0]
    assert job.state == status.UNFINISHED
    assert job.reason.endswith("epoch 3/20: 0.1 s/step")


def test_training_does_not_wait_for_the_data_that_are_evaluated_on(results):
    stages = ["acquire", "prepare", "acquire", "prepare", "pretrain", "embed"]
    results.manifest["jobs"] = [
        [stage, f"{place}.out", f"{place}.json", f"logs/{stage}/{place}.log"] for place, stage in enumerate(stages)
    ]
    results.manifest["cells"][0]["jobs"] = list(range(len(stages)))
    for place in (2, 3):
        finish(str(place))
    states = {job.name: (job.state, job.reason) for job in job_statuses(results)}
    assert states["acquire 0"] == (status.NOT_RUN, "was not started")
    assert states["pretrain 4"] == (status.NOT_RUN, "was not started")
    assert states["embed 5"] == (status.WAITS, "waits for acquire 0")


def test_a_truncated_record_is_no_result(results):
    finish("pretrain")
    Path("pretrain.json").write_text('{"seconds": 6')
    assert job_statuses(results)[0].state == status.NOT_RUN


def test_several_invocations_are_added_up(results):
    logs = status.SNAKEMAKE_LOGS
    before = next(logs.iterdir())
    (logs / "2026-11-21T080000.1.snakemake.log").write_text(before.read_text())
    assert (job_statuses(results)[0].attempts, job_statuses(results)[0].failures) == (4, 2)


def test_without_snakemakes_logs_attempts_are_unknown(results):
    for path in status.SNAKEMAKE_LOGS.iterdir():
        path.unlink()
    finish("pretrain")
    job = job_statuses(results)[0]
    assert (job.state, job.attempts, job.wait_seconds) == (status.DONE, None, None)


def test_the_zone_of_the_machine_does_not_matter(results, monkeypatch):
    """Snakemake writes local time, records universal time."""
    finish("pretrain")
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        moment = time.mktime((2026, 11, 21, 7, 2, 45, 0, 0, -1))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
        finish("pretrain", started=stamp)
        assert job_statuses(results)[0].wait_seconds == 45
    finally:
        os.environ.pop("TZ", None)
        monkeypatch.undo()
        time.tzset()


def test_only_troubled_jobs_are_listed(results):
    finish("pretrain")
    finish("embed")
    (trouble,) = status.read_statuses(manifest(results)).troubles
    assert trouble == ("pretrain audioset_music/seed0", status.DONE, "", "2")
