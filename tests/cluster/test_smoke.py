"""The smoke DAG, each rule of it, through the profile that users have."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from tests.cluster.prelude import copied, on_the_cluster
from tests.cluster.workflow import Job, Workflow

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

CONFIG = ("--configfile", "config/smoke.yaml", "tests/cluster/smoke.yaml")
ON_A_GPU = {"weigh", "pretrain", "evaluate_separation", "embed", "evaluate_encoder"}
ON_CPUS = {"acquire", "prepare", "prepare_with_stems", "extract", "audit", "evaluate_embeddings"}
AT_HOME = {"plan", "aggregate", "tabulate", "draw", "compose"}


def rule_of(job: Job) -> str:
    return re.sub(r"^rule_(\w+?)(_wildcards_.*)?$", r"\1", job.comment)


def watched(workflow: Workflow) -> list[Job]:
    """Run a workflow to its end; return all jobs that the controller had, as it saw them."""
    seen: dict[str, Job] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            seen.update({job.number: job for job in workflow.jobs})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert workflow.start().ends(seconds=500), workflow.log[-8000:]
    finally:
        over.set()
        watcher.join()
    return list(seen.values())


def test_each_rule_asks_for_what_it_needs_and_the_dag_ends(tmp_path: Path) -> None:
    folder = copied(tmp_path / "prelude")
    workflow = on_the_cluster(folder, *CONFIG)
    jobs = watched(workflow)
    asked = {rule_of(job): job.gres for job in jobs}
    assert {rule for rule, gres in asked.items() if "gpu" in gres} == ON_A_GPU
    assert {rule for rule, gres in asked.items() if "gpu" not in gres} == ON_CPUS
    assert set(re.findall(r"^localrule (\w+):", workflow.log, re.M)) - {"all"} == AT_HOME
    assert (folder / "results/smoke/report/index.html").stat().st_size > 10_000
