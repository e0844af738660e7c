"""Every rule of the smoke DAG through the profile for users."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from tests.cluster.repository_copy import copy_repository, make_workflow
from tests.cluster.workflow import Job, Workflow

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

CONFIG = ("--configfile", "config/smoke.yaml", "tests/cluster/smoke.yaml")
GPU_RULES = {"weigh", "pretrain", "evaluate_separation", "embed", "evaluate_encoder"}
CPU_RULES = {"acquire", "prepare", "prepare_with_stems", "extract", "audit", "evaluate_embeddings"}
LOCAL_RULES = {"plan", "aggregate", "tabulate", "draw", "compose"}


def parse_rule(job: Job) -> str:
    return re.sub(r"^rule_(\w+?)(_wildcards_.*)?$", r"\1", job.comment)


def run_and_watch(workflow: Workflow) -> list[Job]:
    """Run a workflow to its end; return all its jobs as listed by the controller."""
    jobs: dict[str, Job] = {}
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.5):
            jobs.update({job.number: job for job in workflow.jobs})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert workflow.start().finish(seconds=500), workflow.log[-8000:]
    finally:
        finished.set()
        watcher.join()
    return list(jobs.values())


def test_each_rule_requests_its_resources_and_the_dag_ends(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "prelude")
    workflow = make_workflow(folder, *CONFIG)
    jobs = run_and_watch(workflow)
    resources = {parse_rule(job): job.gres for job in jobs}
    assert {rule for rule, gres in resources.items() if "gpu" in gres} == GPU_RULES
    assert {rule for rule, gres in resources.items() if "gpu" not in gres} == CPU_RULES
    assert set(re.findall(r"^localrule (\w+):", workflow.log, re.M)) - {"all"} == LOCAL_RULES
    assert (folder / "results/smoke/report/index.html").stat().st_size > 1_000
