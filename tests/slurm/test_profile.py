"""The profile of a SLURM cluster."""

from __future__ import annotations

import re
from types import SimpleNamespace

import yaml
from snakemake_executor_plugin_slurm.submit_string import get_submit_command

from tests.checkout import REPOSITORY
from tests.cluster import slurm
from workflow_scripts.planning import queue

LONGEST = 2880  # minutes: what many partitions allow


def test_no_attempt_asks_for_more_than_a_partition_allows() -> None:
    profile = yaml.safe_load((REPOSITORY / "config/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    expressions = [
        str(resources[name])
        for resources in (profile["default-resources"], *profile["set-resources"].values())
        for name in ("runtime", "mem_mb")
        if name in resources
    ]
    assert len(expressions) == 7
    for attempt in range(1, profile["retries"] + 2):
        for expression in expressions:
            most = LONGEST if str(LONGEST) in expression else 64000
            assert 0 < eval(expression, {"attempt": attempt, "min": min}) <= most, expression
    assert eval(profile["set-resources"]["pretrain"]["runtime"], {"attempt": 4, "min": min}) == LONGEST


def test_rules_without_a_gpu_have_a_partition_of_their_own() -> None:
    profile = yaml.safe_load((REPOSITORY / "config/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    rules = {}
    for path in (REPOSITORY / "rules").glob("*.smk"):
        _, *blocks = re.split(r"^(?:use rule \w+ as|rule) (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        rules |= dict(zip(blocks[::2], blocks[1::2], strict=True))
    submitted = {rule for rule, text in rules.items() if "localrule: True" not in text}
    partitions = {
        rule: resources.get("slurm_partition", profile["default-resources"]["slurm_partition"])
        for rule, resources in profile["set-resources"].items()
    }
    with_gpu = {rule for rule, resources in profile["set-resources"].items() if "gres" in resources}
    assert with_gpu == queue.GPU_RULES
    same_work = {"evaluate_embeddings_again", "evaluate_cell"}  # they take those of evaluate_embeddings
    assert set(partitions) == submitted - same_work
    assert {partition for rule, partition in partitions.items() if rule in with_gpu} == {slurm.PARTITION}
    assert {partition for rule, partition in partitions.items() if rule not in with_gpu} == {slurm.WITHOUT_GPU}


def test_a_plan_counts_arrays_as_large_as_the_profile_allows() -> None:
    profile = yaml.safe_load((REPOSITORY / "config/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert profile["jobs"] == queue.MAX_TASKS


class Resources(dict):
    __getattr__ = dict.__getitem__


def test_lines_of_the_profile_that_the_documentation_names_reach_sbatch() -> None:
    profile = yaml.safe_load((REPOSITORY / "config/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    lines = {"qos": "long", "constraint": "a100", "slurm_extra": "--exclusive"}
    job = SimpleNamespace(threads=1, resources=Resources(lines, gres="gpu:1", runtime=60))
    params = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "x")
    settings = SimpleNamespace(requeue=profile["slurm-requeue"], no_requeue=False, qos=None, reservation="mine")
    command = get_submit_command(job, params, settings=settings)
    for flag in ("--requeue", "--qos=long", "-C a100", "--reservation=mine", "--exclusive"):
        assert flag in command
