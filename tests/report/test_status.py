import json
import os
import time
from pathlib import Path

import pytest

from tests.records import seal
from tests.snakemake_events import RecordedRun
from tests.synthetic_results import Results, full
from workflow_scripts.core.provenance import digest
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.manifest import Manifest, read_manifest
from workflow_scripts.report import status

JOURNAL = "results/logs/attempts.jsonl"
MOMENT = time.mktime((2026, 11, 21, 7, 0, 0, 0, 0, -1))
LOG = "logs/{}/audioset_music/seed0.log"
STARTED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(MOMENT + 165))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """Return results whose first evaluation needs a pretrain and an embed job."""
    monkeypatch.chdir(tmp_path)
    results = full(tmp_path / "results")
    results.manifest["journal"] = JOURNAL
    results.manifest["jobs"] = [
        [stage, f"{stage}.out", f"{stage}.json", LOG.format(stage)] for stage in ("pretrain", "embed", "evaluate")
    ]
    results.manifest["cells"][0]["jobs"] = [0, 1, 2]
    return results


@pytest.fixture
def run(results: Results, monkeypatch: pytest.MonkeyPatch) -> RecordedRun:
    """Return a run on a GPU cluster in which pre-training waited 15 s, was cancelled after 45 s, and started again."""
    run = RecordedRun(Path(JOURNAL), monkeypatch, at=MOMENT)
    run.start("pretrain.json", log=LOG.format("pretrain"), resources={"gres": "gpu:1"})
    run.submit("pretrain.json", "11")
    slurm_log = Path("11.log")
    slurm_log.write_text(
        "[Sat Nov 21 07:00:15 2026]\nslurmstepd: error: *** JOB 11 CANCELLED AT 2026-11-21T07:01 ***\n"
    )
    run.at += 60
    message = "SLURM-job '11' failed, SLURM status is: 'CANCELLED'. "
    run.fail("pretrain.json", log=LOG.format("pretrain"), message=message, slurm_log=[str(slurm_log)])
    run.at += 60
    run.start("pretrain.json", log=LOG.format("pretrain"), resources={"gres": "gpu:1"})
    run.submit("pretrain.json", "12")
    return run


def finish(stage: str, **record: object) -> None:
    Path(f"{stage}.out").touch()
    Path(f"{stage}.json").write_text(json.dumps({"seconds": 60.0, "device": "cpu", "started": STARTED, **record}))


def log(stage: str, text: str) -> None:
    path = Path(LOG.format(stage))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def manifest(results: Results) -> Manifest:
    return read_manifest(results.manifest_file())


def job_statuses(results: Results) -> list[status.JobStatus]:
    return status.list_statuses(manifest(results), read_attempts(Path(JOURNAL)))


def test_a_retried_job_is_counted_with_all_its_time_its_wait_and_why_it_failed_before(results, run):
    run.finish("pretrain.json")
    finish("pretrain", device="cuda:0 (some GPU)", seconds=7245)
    job = job_statuses(results)[0]
    assert (job.state, job.attempts, job.failures, job.slurm) == (status.DONE, 2, 1, "12")
    assert job.reason.startswith("an attempt before: cancelled (SLURM: *** JOB 11 CANCELLED AT")
    assert job.wait_seconds == 45, "from its last submission"
    assert (job.seconds, job.gpu_seconds) == (7290, 7290), "of both attempts, without the wait of the first"
    tables = status.tabulate(job_statuses(results))
    row = dict(zip(status.HEADINGS, tables.stages[0], strict=True))
    expected = {"Jobs": "1", "Done": "1", "Retried": "1", "Failed": "0", "Attempts": "2", "Time": "2 h 01 min"}
    assert expected.items() <= row.items()
    assert (row["GPU hours"], row["Waited (median)"]) == ("2.02", "45.0 s")
    assert tables.troubles == (("pretrain audioset_music/seed0", status.DONE, job.reason, "2"),)


def test_attempts_without_a_result_count_in_gpu_hours(results, run):
    run.at += 3600
    run.stop()
    job = job_statuses(results)[0]
    assert (job.state, job.failures) == (status.FAILED, 2)
    assert (job.seconds, job.gpu_seconds) == (45, 45), "when the second began on its node is not known"


def test_seconds_of_a_resumed_training_are_those_of_all_its_steps_if_the_journal_is_lost(results):
    finish("pretrain", seconds=85.3, training_seconds=192.3, resumed=1)
    assert job_statuses(results)[0].seconds == 192.3


def test_a_result_begins_a_new_count(results, run):
    """Jobs that run again because of an edit were not retried."""
    run.finish("pretrain.json")
    run.at += 60
    run.start("pretrain.json", log=LOG.format("pretrain"))
    job = job_statuses(results)[0]
    assert (job.state, job.attempts, job.failures) == (status.RUNNING, 1, 0)


def test_a_job_runs_as_long_as_its_snakemake_does(results, run, monkeypatch):
    assert job_statuses(results)[0].state == status.RUNNING
    lines = [json.loads(line) for line in Path(JOURNAL).read_text().splitlines()]
    gone = 2**22 + 1  # above the largest process id of Linux
    Path(JOURNAL).write_text("\n".join(json.dumps(line | {"pid": gone}) for line in lines))
    job = job_statuses(results)[0]
    assert (job.state, job.failures) == (status.FAILED, 2)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"code": "c1", "config": {"epochs": 2}}, "computed with another config"),
        ({"code": "c0", "config": {"epochs": 1}}, "computed with other code, or from results that were"),
        ({"code": "c1", "config": {"epochs": 1}}, ""),
    ],
)
def test_results_of_other_code_or_config_are_stale_and_so_are_those_computed_from_them(results, record, reason):
    results.manifest["jobs"][0] += ["c1", digest({"epochs": 1})]
    for stage in ("pretrain", "embed", "evaluate"):
        finish(stage, **record)
    jobs = job_statuses(results)
    assert (jobs[0].state, jobs[0].reason) == ((status.STALE, reason) if reason else (status.DONE, ""))
    if reason:
        row = dict(zip(status.HEADINGS, next(iter(status.by_stage(jobs))), strict=True))
        assert (row["Done"], row["Stale"]) == ("0", "1")
        assert (jobs[1].state, jobs[1].reason) == (
            status.STALE,
            "computed from pretrain audioset_music/seed0, which is stale",
        )


def test_results_of_other_data_are_stale(results):
    """After `--until prepare` had read the folder of a data set again."""
    jobs = [(stage, f"{stage}.out", f"{stage}.json", LOG.format(stage)) for stage in ("acquire", "prepare", "embed")]
    results.manifest["jobs"] = jobs
    for stage, more in (("acquire", {}), ("prepare", {"acquired": "a1"}), ("embed", {"data": {"openmic": "d1"}})):
        finish(stage, **more)
    Path("acquire.out").write_text(json.dumps({"dataset": "openmic", "digest": "a1"}))
    Path("prepare.out").write_text(json.dumps({"dataset": "openmic", "digest": "d1"}))
    assert [job.state for job in job_statuses(results)] == [status.DONE] * 3
    Path("prepare.out").write_text(json.dumps({"dataset": "openmic", "digest": "d2"}))
    assert [job.state for job in job_statuses(results)] == [status.DONE, status.DONE, status.STALE]
    assert job_statuses(results)[2].reason == "the corpus on disk has another digest: prepare.out"
    Path("acquire.out").write_text(json.dumps({"dataset": "openmic", "digest": "a2"}))
    assert [job.state for job in job_statuses(results)] == [status.DONE, status.STALE, status.STALE]


def test_results_stay_when_the_files_of_a_data_set_were_removed(results, run):
    jobs = [(stage, f"{stage}.out", f"{stage}.json", LOG.format(stage)) for stage in ("acquire", "prepare", "embed")]
    results.manifest["jobs"] = jobs
    run.start("acquire.json", log=LOG.format("acquire"))
    log("acquire", "downloading: 400/400\n")
    run.finish("acquire.json")
    finish("prepare", acquired="a1")
    finish("embed", data={"openmic": "d1"})
    acquired, prepared, embedded = job_statuses(results)
    assert (acquired.state, acquired.reason) == (
        status.NOT_RUN,
        "has run, but its result is missing or cannot be read",
    )
    assert (prepared.state, embedded.state) == (status.DONE, status.DONE)


def test_damaged_results_are_told_where_files_are_compared(results):
    finish("pretrain")
    weights, other = Path("encoder.safetensors"), Path("losses.csv")
    weights.write_bytes(b"weights")
    other.write_text("step,loss\n")
    results.manifest["jobs"] = [["pretrain", str(weights), "record.json", LOG.format("pretrain")]]
    results.manifest["cells"][0]["jobs"] = [0]
    seal(weights, other, seconds=60.0)
    planned, attempts = manifest(results), read_attempts(Path(JOURNAL))
    (job,) = status.list_statuses(planned, attempts, compare_files=True)
    assert job.state == status.DONE
    moment = other.stat().st_mtime_ns
    other.write_text("step,lass\n")
    os.utime(other, ns=(moment, moment))
    (job,) = status.list_statuses(planned, attempts, compare_files=True)
    assert job.state == status.DAMAGED
    assert job.reason.startswith("losses.csv is not the file that its job wrote")
    assert status.list_statuses(planned, attempts)[0].state == status.DONE
    Path("record.json").write_text('{"seconds": 6')
    (damaged,) = status.list_statuses(planned, attempts, compare_files=True)
    assert (damaged.state, damaged.reason.partition(":")[0]) == (status.DAMAGED, "record.json is damaged")
    assert list(status.describe([job], {})) == [f"{job.name}: damaged: {job.reason}"]


def test_control_characters_of_a_log_do_not_reach_the_terminal(results):
    log("pretrain", "prelude: \x1b[2J\x1b]0;title\x07class \x9b31mred\r\n")
    assert job_statuses(results)[0].reason.isprintable()


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


@pytest.mark.parametrize(
    "content", ['{"seconds": "x"}', '{"data": null}', '{"started": 7}', '{"device": []}', "[]", "[" * 10_000]
)
def test_a_record_with_values_of_other_types_is_none(results, content):
    finish("pretrain")
    Path("pretrain.json").write_text(content)
    assert job_statuses(results)[0].state == status.NOT_RUN


def test_several_invocations_are_added_up(results, run, monkeypatch):
    run.stop()
    again = RecordedRun(Path(JOURNAL), monkeypatch, at=run.at)
    again.start("pretrain.json", log=LOG.format("pretrain"))
    job = job_statuses(results)[0]
    assert (job.attempts, job.failures) == (3, 2)


def test_without_a_journal_attempts_are_unknown(results):
    finish("pretrain")
    job = job_statuses(results)[0]
    assert (job.state, job.attempts, job.wait_seconds) == (status.DONE, None, None)


def test_only_troubled_jobs_are_listed(results, run):
    run.finish("pretrain.json")
    finish("pretrain")
    finish("embed")
    ((name, state, *_),) = status.tabulate(job_statuses(results)).troubles
    assert (name, state) == ("pretrain audioset_music/seed0", status.DONE)
