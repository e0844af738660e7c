"""Jobs in the queue of a cluster; the smoke run of tests/cluster compares them with those that are submitted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.planning.test_costs import CPU, GPU, SMOKE, write
from tests.planning.test_plan import WHOLE, plan_of
from workflow_scripts import plan as plan_command
from workflow_scripts.configuration.load import load
from workflow_scripts.planning import queue
from workflow_scripts.planning.plan import Plan

CONFIG = SMOKE.parent


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(WHOLE)


def test_jobs_that_wait_for_the_same_encoder_are_one_array(plan: Plan) -> None:
    by_rule = {jobs.rule: jobs for jobs in queue.count_jobs(plan)}
    assert by_rule["embed"].jobs == len(plan.embedding_jobs)
    assert by_rule["embed"].arrays == len({run for run, _ in plan.embedding_jobs}) < by_rule["embed"].jobs
    assert by_rule["evaluate_embeddings"].jobs == by_rule["embed"].jobs, "one for all cells of a data set"
    assert (by_rule["acquire"].jobs, by_rule["acquire"].arrays) == (len(dict(plan.corpora)), 1)
    weighted = by_rule["weigh"].jobs
    assert by_rule["pretrain"].arrays < by_rule["pretrain"].jobs, "those of equal weights wait for their corpus alone"
    assert by_rule["pretrain"].arrays > weighted > 0, "the others for their own weights"


def test_an_array_has_no_more_tasks_than_the_queue_takes(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_TASKS", 1)
    assert all(jobs.arrays == jobs.jobs for jobs in queue.count_jobs(plan))


@pytest.mark.parametrize(
    ("device", "hours"),
    [
        (GPU, r"[1-9][\d,]+ GPU hours, \d+ jobs not measured"),
        (CPU, "GPU hours not measured"),
        (None, "GPU hours not measured"),
    ],
)
def test_a_plan_prints_jobs_gpu_hours_and_submissions(tmp_path: Path, monkeypatch, capsys, device, hours) -> None:
    monkeypatch.chdir(tmp_path)
    records = tmp_path / "records"
    records.mkdir()
    if device:
        config, studies = load([CONFIG / "config.yaml", SMOKE], folder=CONFIG)
        smoke = Plan(config, studies)
        content = json.loads(smoke.jobs.pretrain(smoke.pretrained_runs[0]).config)
        record = {"config": content, "steps": 1, "training_seconds": 1e6, "seconds": 1.0, "device": device, "data": {}}
        write(records / "pretrained/run", record=record)
    plan_command.main(["--configfile", str(SMOKE), "--records", str(records)])
    line = r"On a cluster: (\d+) jobs, (\d+) of them on a GPU \((.*)\); (\d+) submissions, .* about (\d+)"
    match = re.search(line, capsys.readouterr().out)
    assert match
    jobs, with_gpu, described, submissions, arrays = match.groups()
    assert jobs == submissions
    assert int(arrays) < int(jobs) > int(with_gpu) > 0
    assert re.fullmatch(hours, described)
