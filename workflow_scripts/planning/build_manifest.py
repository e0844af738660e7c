"""Construction of the manifest from a plan."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.configuration.study import FILTERS
from workflow_scripts.core.provenance import digest
from workflow_scripts.core.validation import validate
from workflow_scripts.levels import registry
from workflow_scripts.planning.jobs import JobSpec
from workflow_scripts.planning.labels import label_levels
from workflow_scripts.planning.manifest import (
    DatasetFacts,
    Manifest,
    PlannedCell,
    PlannedJob,
    PretrainedRun,
    Program,
    Study,
    Training,
    TrainingData,
)
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import CellKey, Run, path_of

STUDY = TypeAdapter(Study)
ONE_DRAW = (
    "Random weights are one draw: results of an untrained network, and differences from it, hold for this draw; "
    "another draw may give others."
)


def build_manifest(
    plan: Plan, *, configfiles: Sequence[str] = (), program: Program | None = None, unfinished: bool = False
) -> Manifest:
    """Return the manifest of a plan: each expected evaluation, and the studies.

    `configfiles` are the files over the default config, `program` is this version of Prelude; `unfinished` states that
    the run failed.
    """
    places = {pair: place for place, pair in enumerate(plan.cells)}
    upstream = functools.cache(functools.partial(_upstream_jobs, plan))  # cells share them
    return Manifest(
        scale=plan.config.scale,
        cells=tuple(
            _planned_cell(plan, run, cell, names, upstream=upstream(run, cell.dataset))
            for (run, cell), names in plan.cells.items()
        ),
        studies=tuple(_study(plan, name, places) for name in plan.studies),
        records=tuple((stage, Path(path)) for stage, path in _records(plan)),
        corpora=tuple(Path(plan.layout.corpus_folder(*corpus)) for corpus in plan.corpora),
        audits=tuple(Path(plan.layout.audit(dataset)) for dataset in plan.audits),
        pretrained_runs=tuple(_pretrained_run(plan, run) for run in plan.pretrained_runs),
        audit_jobs=tuple(_audit_jobs(plan)),
        sample_rates={run.encoder: plan.levels.sample_rate(run) for run, _ in plan.cells},
        training_data=dict(_training_data(plan)),
        labels=label_levels(plan),
        datasets=dict(_datasets(plan)),
        configfiles=tuple(configfiles),
        config=plan.config.model_dump(mode="json", exclude_unset=True),
        program=program or Program(),
        journal=Path(plan.layout.journal),
        unfinished=unfinished,
    )


def figure_inputs(manifest: Manifest) -> list[str]:
    """Return the first outputs of the jobs that figures read themselves, beside the statistics, sorted."""
    outputs: set[str] = set()
    for study in manifest.studies:
        stages = registry.fact(registry.load("figure", study.figure.kind), "READS") if study.figure else ()
        for cell in manifest.cells_of(study) if stages else []:
            outputs |= {str(job.output) for job in cell.jobs if job.stage in stages}
    return sorted(outputs)


def _upstream_jobs(plan: Plan, run: Run, dataset: str) -> tuple[PlannedJob, ...]:
    """Return the jobs of the corpora and of the encoder file that the cells of a run and a data set need."""
    return *_corpus_jobs(plan, run, dataset), *_encoder_jobs(plan, run)


def _corpus_jobs(plan: Plan, run: Run, dataset: str) -> Iterator[PlannedJob]:
    layout, jobs, rate = plan.layout, plan.jobs, plan.levels.sample_rate(run)
    pretraining_corpus = [run.corpus] if run.is_trained_here and run.corpus != dataset else []
    for name in [dataset, *pretraining_corpus]:
        acquired = layout.acquisition_record(name)
        yield _job("acquire", jobs.acquire(name), acquired, acquired, layout.log("acquire", name))
        corpus, record = layout.corpus(name, rate), layout.corpus_record(name, rate)
        yield _job("prepare", jobs.prepare(name, rate), corpus, record, layout.log("prepare", name, rate))


def _own_jobs(plan: Plan, run: Run, cell: CellKey) -> Iterator[PlannedJob]:
    """Yield the jobs of a cell after its encoder, in the order they run, then those that only figures read."""
    layout, jobs = plan.layout, plan.jobs
    if not cell.trains_encoder:
        embeddings, record = layout.embeddings(run, cell.dataset), layout.embeddings_record(run, cell.dataset)
        log = layout.log("embed", path_of(run), cell.dataset)
        yield _job("embed", jobs.embed(run, cell.dataset), embeddings, record, log)
    trials, record = layout.trials(run, cell), layout.evaluation_record(run, cell)
    log = layout.log("evaluate", path_of(run, cell))
    if group := plan.cell_groups.get((run, cell)):
        log = layout.log("evaluate_embeddings", path_of(run), cell.dataset, group.number)
    yield _job("evaluate", jobs.evaluate(run, cell), trials, record, log)
    if (run, cell) in plan.filter_jobs:
        spectra, record = layout.spectra(run, cell), layout.spectra_record(run, cell)
        log = layout.log(FILTERS, path_of(run, cell))
        yield _job(FILTERS, jobs.visualise_filters(run, cell), spectra, record, log)


def _encoder_jobs(plan: Plan, run: Run) -> Iterator[PlannedJob]:
    """Yield the jobs between the corpora and the encoder file of a run; an untrained run has none."""
    layout, jobs, path = plan.layout, plan.jobs, path_of(run)
    if run.is_trained_here:
        rate = plan.levels.sample_rate(run)
        for worker in plan.levels.precomputed_workers(run):
            targets, record = (place(run.corpus, rate, worker) for place in (layout.features, layout.features_record))
            log = layout.log("extract", run.corpus, rate, worker)
            yield _job("extract", jobs.extract(run.corpus, rate, worker), targets, record, log)
    if plan.levels.weights_source(run):
        weights, record = layout.loss_weights(run), layout.loss_weights_record(run)
        yield _job("weigh", jobs.weigh(run), weights, record, layout.log("weigh", path))
    if run.has_encoder_file:
        stage = "pretrain" if run.is_trained_here else "import_checkpoint"
        spec = jobs.pretrain(run) if run.is_trained_here else jobs.import_checkpoint(run)
        yield _job(stage, spec, layout.encoder(run), layout.encoder_record(run), layout.log(stage, path))


def _job(stage: str, spec: JobSpec, output: str, record: str, log: str) -> PlannedJob:
    return PlannedJob(stage, Path(output), Path(record), Path(log), code=spec.code, config=_digest_config(spec.config))


@functools.cache
def _digest_config(config: str) -> str:
    """Return the digest of a job's config, as its record has it; jobs are listed once for each cell."""
    return digest(json.loads(config))


def _planned_cell(
    plan: Plan, run: Run, cell: CellKey, studies: Sequence[str], *, upstream: tuple[PlannedJob, ...]
) -> PlannedCell:
    job = plan.jobs.evaluate(run, cell)
    return PlannedCell(
        path=Path(plan.layout.trials(run, cell)),
        code=job.code,
        config=_digest_config(job.config),
        factors={factor: str(level) for factor, level in {**asdict(run), **asdict(cell)}.items()},
        studies=tuple(studies),
        training=_training(json.dumps(json.loads(job.config)["training"])),
        jobs=(*upstream, *_own_jobs(plan, run, cell)),
    )


@functools.cache
def _training(stated: str) -> Training:
    """Return what readers learn of an evaluation protocol, given as JSON; thousands of cells share one."""
    protocol = validate(EvaluationProtocol, json.loads(stated))
    limits = [phase.max_epochs or protocol.max_epochs for phase in protocol.phases]
    return Training(
        learning_rates=tuple(phase.learning_rate for phase in protocol.phases) or protocol.candidates,
        max_epochs=min(protocol.max_epochs, sum(limits)) if limits else protocol.max_epochs,
        n_learning_rates=len(protocol.candidates),
    )


def _study(plan: Plan, name: str, places: Mapping[tuple[Run, CellKey], int]) -> Study:
    """Return a study with the places of its cells in its own order, and all notes for its reader."""
    study = plan.studies[name]
    untrained = not all(plan.config.level("encoder", floor).trained for floor in study.floors)
    notes = [study.notes.strip(), ONE_DRAW if untrained else "", plan.config.note.strip()]
    cells = [places[pair] for pair in plan.cells_by_study[name]]
    return STUDY.validate_python(
        {
            **study.to_plain(),
            "name": name,
            "notes": " ".join(filter(None, notes)),
            "statements": plan.statements.get(name, ()),
            "cells": cells,
        }
    )


def _pretrained_run(plan: Plan, run: Run) -> PretrainedRun:
    separates = plan.levels.separation_worker(run) is not None
    return PretrainedRun(
        folder=Path(plan.layout.run_folder(run)),
        factors={factor: str(level) for factor, level in asdict(run).items()},
        separation_code=plan.jobs.evaluate_separation(run).code if separates else "",
    )


def _training_data(plan: Plan) -> Iterator[tuple[str, TrainingData]]:
    """Yield the data that each imported checkpoint states to be trained on, and which evaluated sets are such."""
    evaluated = list(dict.fromkeys(cell.dataset for _, cell in plan.cells))
    for name in dict.fromkeys(run.corpus for run in plan.imported_runs):
        if names := plan.config.checkpoints[name].trained_on:
            recordings = {known for stated in names for known in plan.levels.recordings_of(stated)}
            yield (
                name,
                TrainingData(
                    names=names,
                    evaluated=tuple(
                        dataset
                        for dataset in evaluated
                        if not recordings.isdisjoint(plan.levels.recordings_of(dataset))
                    ),
                ),
            )


def _datasets(plan: Plan) -> Iterator[tuple[str, DatasetFacts]]:
    for name in dict.fromkeys(name for name, _ in plan.corpora):
        plays = plan.config.report.audio and plan.jobs.includes_audio(name, None)
        yield name, DatasetFacts(license=str(plan.config.level("dataset", name).module.LICENSE), audio=plays)


def _audit_jobs(plan: Plan) -> Iterator[PlannedJob]:
    layout = plan.layout
    for dataset, corpora in plan.audits.items():
        numbers = layout.audit(dataset)
        yield _job("audit", plan.jobs.audit(corpora), numbers, numbers, layout.log("audit", dataset))


def _records(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield stage and record of every job between the data and the cells, stage by stage."""
    layout = plan.layout
    yield from (("prepare", layout.corpus_record(*corpus)) for corpus in plan.corpora)
    yield from (("extract", layout.features_record(*features)) for features in plan.features)
    yield from (
        ("weigh", layout.loss_weights_record(run)) for run in plan.pretrained_runs if plan.levels.weights_source(run)
    )
    yield from (("pretrain", layout.encoder_record(run)) for run in plan.pretrained_runs)
    yield from (("evaluate_separation", layout.separation(run)) for run in plan.separation_runs)
    yield from (("import_checkpoint", layout.encoder_record(run)) for run in plan.imported_runs)
    yield from (("embed", layout.embeddings_record(*embeddings)) for embeddings in plan.embedding_jobs)
    yield from ((FILTERS, layout.spectra_record(*pair)) for pair in plan.filter_jobs)
