"""Every rule of the smoke DAG through the profile for users: acquired here, the rest in arrays without a network."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cluster.repository_copy import copy_repository, make_workflow, run_locally
from tests.cluster.workflow import ARRAYS, Job, Workflow
from workflow_scripts import status
from workflow_scripts.configuration.load import load
from workflow_scripts.planning.attempts import read_attempts
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.queue import count_jobs
from workflow_scripts.statistics.reproduction.statements import load_statements

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]

CONFIG = ("--configfile", "config/smoke.yaml", "tests/cluster/smoke.yaml")
GPU_RULES = {"weigh", "pretrain", "evaluate_separation", "embed", "evaluate_encoder"}
CPU_RULES = {"prepare", "prepare_with_stems", "extract", "audit", "evaluate_embeddings"}
LOCAL_RULES = {"plan", "aggregate", "tabulate", "draw", "compose"}

#: shell of Snakemake; in a job of SLURM it has no network, and the first evaluation that trains the encoder fails
SHELL = """\
#!/bin/bash
[ -n "$SLURM_JOB_ID" ] || exec /bin/bash "$@"
case "$*" in *" evaluate --config"*fine_tuned*) rm {folder}/failure 2> /dev/null && exit 1 ;; esac
exec unshare --net /bin/bash -c 'grep -c : /proc/net/dev >> {folder}/interfaces; exec /bin/bash "$@"' bash "$@"
"""


@pytest.fixture
def cut_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cut the network of jobs; return a file to which each job adds the number of its network interfaces."""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody leave its network")
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / "failure").touch()
    (folder / "bash").write_text(SHELL.format(folder=folder))
    (folder / "bash").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder / "interfaces"


def plan_of_smoke(folder: Path) -> Plan:
    files = [folder / "config/config.yaml", *(folder / name for name in CONFIG[1:])]
    config, studies = load(files, folder=folder / "config")
    return Plan(config, studies, load_statements(studies, config, folder=folder / "config"))


def parse_rule(job: Job) -> str:
    return re.sub(r"^rule_(\w+?)(_wildcards_.*|_array_\d+)?$", r"\1", job.comment)


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
        assert workflow.start().finish(seconds=900), workflow.log[-8000:]
    finally:
        finished.set()
        watcher.join()
    return list(jobs.values())


def test_each_rule_requests_its_resources_and_the_dag_ends_in_arrays_without_a_network(
    tmp_path: Path, cut_network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, node = copy_repository(tmp_path / "prelude"), tmp_path / "node"
    node.mkdir()
    monkeypatch.setenv("TMPDIR", str(node))
    run_locally(folder, "--until", "acquire", *CONFIG)  # on the login node
    workflow = make_workflow(folder, *CONFIG, *ARRAYS)
    jobs = run_and_watch(workflow)
    resources = {parse_rule(job): job.gres for job in jobs}
    assert {rule for rule, gres in resources.items() if "gpu" in gres} == GPU_RULES
    assert {rule for rule, gres in resources.items() if "gpu" not in gres} == CPU_RULES
    assert set(re.findall(r"^localrule (\w+):", workflow.log, re.M)) - {"all"} - GPU_RULES == LOCAL_RULES
    assert (folder / "results/smoke/report/index.html").stat().st_size > 1_000
    assert set(cut_network.read_text().split()) == {"1"}, "the loopback alone"

    attempts = read_attempts(folder / "results/smoke/logs/attempts.jsonl")
    failed = {id(job): job for job in attempts.values() if job.failures}
    (failure,) = (attempt for job in failed.values() for attempt in job.failures)
    assert failure.reason == "ended with exit code 1 and no message"
    assert "_" in failure.slurm, "the number of a task"
    submitted = [len(numbers.split(",")) for numbers in re.findall("with Snakemake IDs ([0-9,]+)", workflow.log)]
    alone = workflow.log.count("has been submitted with SLURM jobid")
    planned = [jobs for jobs in count_jobs(plan_of_smoke(folder)) if jobs.rule != "acquire"]
    print(f"{sum(submitted) + alone} jobs in {len(submitted)} arrays and {alone} alone; planned: {planned}")
    assert sum(submitted) + alone == sum(jobs.jobs for jobs in planned) + 1, "one job twice"
    assert len(submitted) >= 2
    assert len(list(node.glob("prelude-*/*/corpus.json"))) == 3, "copies of corpora"

    monkeypatch.chdir(folder)
    status.main([*CONFIG[:1], *(str(folder / name) for name in CONFIG[1:])])
    assert re.search(r"evaluate +\S+ +\d+ +\S+ +\d+ +\S+ +\d+ +\S+ +\d+ +\S+ +1 ", capsys.readouterr().out)
