"""Configs of jobs, as planning writes them and commands read them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from tests.checkout import REPOSITORY
from tests.planning.test_plan import plan_of
from workflow_scripts.configuration import jobs
from workflow_scripts.configuration.jobs._base import JobConfig
from workflow_scripts.configuration.yaml_files import merge, read_yaml
from workflow_scripts.planning.jobs import JobSpec
from workflow_scripts.planning.plan import Plan


def model_of(stage: str) -> type[JobConfig]:
    """Model of a stage's job configs: the one that its module defines."""
    module = importlib.import_module(f"{jobs.__name__}.{stage}")
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    (model,) = [value for value in own if issubclass(value, JobConfig)]
    return model


def list_jobs(plan: Plan) -> Iterator[tuple[str, JobSpec]]:
    for dataset, rate in plan.corpora:
        yield "acquire", plan.jobs.acquire(dataset)
        yield "prepare", plan.jobs.prepare(dataset, rate)
    for features in plan.features:
        yield "extract", plan.jobs.extract(*features)
    for run in plan.pretrained_runs:
        yield "pretrain", plan.jobs.pretrain(run)
        if plan.levels.weights_source(run):
            yield "weigh", plan.jobs.weigh(run)
    for run in plan.separation_runs:
        yield "evaluate_separation", plan.jobs.evaluate_separation(run)
    for run in plan.imported_runs:
        yield "import_checkpoint", plan.jobs.import_checkpoint(run)
    yield from (("fetch_package", plan.jobs.fetch_package(archive)) for archive in plan.packages)
    yield from (("fetch_weights", plan.jobs.fetch_weights(model)) for model in plan.fetched_weights or ["deit"])
    for run, dataset in plan.embedding_jobs:
        yield "embed", plan.jobs.embed(run, dataset)
    for run, cell in plan.cells:
        yield "evaluate", plan.jobs.evaluate(run, cell)
    for group in dict.fromkeys(plan.cell_groups.values()):
        yield "evaluate_embeddings", plan.jobs.evaluate_embeddings(group)
    for run, cell in plan.filter_jobs:
        yield "visualise_filters", plan.jobs.visualise_filters(run, cell)
    for page in plan.listening_pages.values():
        yield "write_listening_page", plan.jobs.write_listening_page(page)
    for corpora in plan.audits.values():
        yield "audit", plan.jobs.audit(corpora)


@pytest.mark.parametrize("name", ["config", "smoke"])
def test_a_command_reads_the_config_that_was_planned(name: str) -> None:
    """Otherwise the digest of a result would differ from the expected one, and each result would be stale."""
    files = [REPOSITORY / "config" / f"{file}.yaml" for file in dict.fromkeys(("config", name))]
    config = merge([read_yaml(file) for file in files])
    official = {"encoder": "pase_plus", "path": "official.ckpt"}
    trim = {**config["trim"].get("wu2021_fig2", {}), "checkpoints": ["official", "musicnn_msd"]}
    checkpoints = config["checkpoints"] | {"official": official}
    plan = plan_of(config | {"checkpoints": checkpoints, "trim": config["trim"] | {"wu2021_fig2": trim}})
    stages = set()
    for stage, job in list_jobs(plan):
        stages.add(stage)
        assert model_of(stage).from_json(job.config).to_json() == job.config
    assert stages == {module.name for module in pkgutil.iter_modules(jobs.__path__)} - {"_base"}
