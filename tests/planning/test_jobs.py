"""Configs of jobs, as planning writes them and commands read them."""

from __future__ import annotations

import pytest

from tests.checkout import REPOSITORY
from tests.planning.test_plan import plan_of
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.jobs import CONFIGS


@pytest.mark.parametrize("name", ["config", "smoke"])
def test_a_command_reads_the_config_that_was_planned(name: str) -> None:
    """Otherwise the digest of a result would differ from the expected one, and each result would be stale."""
    files = [REPOSITORY / "config" / f"{file}.yaml" for file in dict.fromkeys(("config", name))]
    plan = plan_of(merge([read_yaml(file) for file in files]))
    build_manifest(plan)
    for dataset in plan.audited:
        plan.audit(dataset)
    planned = {stage for stage, *_ in plan.jobs.computed}
    assert planned == {*CONFIGS, *(["import_checkpoint"] if plan.imported else [])}
    for (stage, *_), job in plan.jobs.computed.items():
        if stage in CONFIGS:
            assert CONFIGS[stage].from_json(job.config).to_json() == job.config
