"""Jobs of a plan in the queue of a cluster, and the arrays by which they can be submitted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from workflow_scripts.planning.plan import Plan

MAX_TASKS = 100  # of an array: as many jobs as the SLURM profile lets into the queue at once
#: rules that ask for a GPU
GPU_RULES = frozenset({"weigh", "pretrain", "evaluate_separation", "embed", "visualise_filters", "evaluate_encoder"})


@dataclass(frozen=True, kw_only=True)
class QueuedJobs:
    """Jobs of a rule, and the number of arrays if those that wait for the same job are one."""

    rule: str
    jobs: int
    arrays: int

    @property
    def on_gpu(self) -> bool:
        """Whether they ask for a GPU."""
        return self.rule in GPU_RULES


def count_jobs(plan: Plan) -> list[QueuedJobs]:
    """Count the jobs of each rule that is submitted; jobs that run where Snakemake runs are not."""
    batches = Counter(_list_jobs(plan))
    rules = dict.fromkeys(rule for rule, _ in batches)
    return [
        QueuedJobs(
            rule=rule,
            jobs=sum(size for (name, _), size in batches.items() if name == rule),
            arrays=sum(math.ceil(size / MAX_TASKS) for (name, _), size in batches.items() if name == rule),
        )
        for rule in rules
    ]


def _list_jobs(plan: Plan) -> Iterator[tuple[str, Hashable]]:
    """Yield the rule of each job, and the corpus or run whose job it waits for last; None: it is ready with all others.

    Jobs that wait for the same are ready at once, and so in one array.
    """
    for _ in dict(plan.corpora):
        yield "acquire", None
    for dataset, _ in plan.corpora:
        yield "prepare_with_stems" if dataset in plan.levels.stems else "prepare", None
    for _ in plan.audits:
        yield "audit", None
    for corpus, rate, _ in plan.features:
        yield "extract", (corpus, rate)
    for run in plan.pretrained_runs:
        source = (run.corpus, plan.levels.sample_rate(run))
        if plan.levels.weights_source(run):
            yield "weigh", source
        yield "pretrain", run if plan.levels.weights_source(run) else source
    for run in plan.separation_runs:
        yield "evaluate_separation", run
    for run, _ in plan.embedding_jobs:
        yield "embed", run
    yield from (("evaluate_embeddings", group.run) for group in dict.fromkeys(plan.cell_groups.values()))
    yield from (("evaluate_encoder", run) for run, cell in plan.cells if cell.trains_encoder)
    for run, _ in plan.filter_jobs:
        yield "visualise_filters", run
    for _ in plan.listening_pages:
        yield "write_listening_page", None
