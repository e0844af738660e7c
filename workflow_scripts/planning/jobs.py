"""Jobs of the heavy rules: the part of the config that each one reads, and the digest of its code."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVarTuple

from workflow_scripts.configuration.compatibility import SEPARATION_TEST_SPLIT
from workflow_scripts.configuration.config import Config
from workflow_scripts.configuration.jobs._base import JobConfig, LevelChoice
from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.configuration.jobs.audit import AuditConfig
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.configuration.jobs.evaluate_embeddings import EvaluateEmbeddingsConfig, PlannedEvaluation
from workflow_scripts.configuration.jobs.evaluate_separation import EvaluateSeparationConfig
from workflow_scripts.configuration.jobs.extract import ExtractConfig
from workflow_scripts.configuration.jobs.fetch_package import FetchPackageConfig
from workflow_scripts.configuration.jobs.fetch_weights import FetchWeightsConfig
from workflow_scripts.configuration.jobs.import_checkpoint import ImportCheckpointConfig
from workflow_scripts.configuration.jobs.prepare import PrepareConfig
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig
from workflow_scripts.configuration.jobs.visualise_filters import VisualiseFiltersConfig
from workflow_scripts.configuration.jobs.weigh import WeighConfig
from workflow_scripts.configuration.jobs.write_listening_page import WriteListeningPageConfig
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core.checkpoint_files import digest_checkpoint
from workflow_scripts.core.file_digests import digest_files
from workflow_scripts.core.provenance import code_digest, digest, job_digest
from workflow_scripts.core.validation import validate
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.planning.cell_lists import CellGroup
from workflow_scripts.planning.levels import Levels
from workflow_scripts.planning.runs import CellKey, ListeningPlan, Run, audio_of

Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """Everything that decides whether a job must run again.

    `code` also covers all jobs upstream, so the digest of a result covers its whole provenance.
    """

    config: str  # one JSON string: Snakemake compares params as a set of values
    code: str


def _cached(method: Callable[[Jobs, *Arguments], JobSpec]) -> Callable[[Jobs, *Arguments], JobSpec]:
    """Compute a job once; arguments are given by position."""

    @functools.wraps(method)
    def job(jobs: Jobs, *arguments: *Arguments) -> JobSpec:
        key = (method.__name__, *arguments)
        if key not in jobs._computed:
            jobs._computed[key] = method(jobs, *arguments)
        return jobs._computed[key]

    return job


class Jobs:
    """One method for each heavy rule, which returns the job of given levels."""

    def __init__(self, config: Config, levels: Levels) -> None:
        """Take a checked config and its levels."""
        self.config, self.levels = config, levels
        self._computed: dict[tuple[object, ...], JobSpec] = {}

    @_cached
    def acquire(self, dataset: str) -> JobSpec:
        """Bring the files of a data set from its source: a download, a local copy, or its twin."""
        entry, level = self.config.datasets[dataset], self.config.level("dataset", dataset)
        config = AcquireConfig(
            dataset=dataset,
            loader=entry.loader,
            options=dataset_facts.file_options(level.module, level.options),
            source=entry.source,
            path=entry.path if entry.source == "local" else None,
            twin=entry.twin if entry.source == "twin" else None,
        )
        # A download is identified by its checksums and a local copy by its owner, so that a change of the downloader
        # does not run anything again.
        files = {
            "twin": lambda: code_digest(f"twins.{entry.loader}"),
            "download": lambda: digest(_remote_files(dataset_facts.remotes(level.module, level.options))),
            "local": lambda: digest(entry.loader),
        }
        return JobSpec(config=config.to_json(), code=files[entry.source]())

    @_cached
    def prepare(self, dataset: str, sample_rate: int) -> JobSpec:
        """Decode and resample a data set into a corpus."""
        entry, acquire = self.config.datasets[dataset], self.acquire(dataset)
        config = PrepareConfig(
            dataset=dataset,
            loader=entry.loader,
            options=entry.options or {},
            sample_rate=sample_rate,
            clip_seconds=entry.clip_seconds,
            source=entry.source,
            acquisition_digest=digest([acquire.code, json.loads(acquire.config)]),
        )
        return _job("prepare", config, upstream=[acquire])

    @_cached
    def extract(self, corpus: str, sample_rate: int, worker: str) -> JobSpec:
        """Store a worker's targets for a corpus."""
        options = self.config.level("worker", worker).explicit_options
        config = ExtractConfig(worker=worker, options=options, sample_rate=sample_rate)
        return _job("extract", config, upstream=[self.prepare(corpus, sample_rate)])

    @_cached
    def weigh(self, run: Run) -> JobSpec:
        """Compute the loss weights of a run from the first losses of another run."""
        source = self.levels.weights_source(run)
        assert source is not None, "only runs whose weights come from another run have this job"
        pretrain, weighting = self.pretrain(source), self.levels.choice("weighting", run.weighting)
        config = WeighConfig(weighting=weighting, run=PretrainConfig.from_json(pretrain.config), code=pretrain.code)
        return _job("weigh", config, upstream=[pretrain])

    @_cached
    def pretrain(self, run: Run) -> JobSpec:
        """Pre-train an encoder."""
        rate, workers = self.levels.sample_rate(run), self.levels.workers(run)
        config = PretrainConfig(
            corpus=run.corpus,
            encoder=self.levels.encoder(run),
            workers={name: worker.explicit_options for name, worker in workers.items()},
            weighting=self.levels.choice("weighting", run.weighting),
            augmentation=self.levels.choice("augmentation", run.augmentation),
            recipe=self.config.recipes[run.recipe],
            seed=run.pretrain_seed,
        )
        return _job(
            "pretrain",
            config,
            upstream=[
                self.prepare(run.corpus, rate),
                *(self.extract(run.corpus, rate, name) for name in self.levels.precomputed_workers(run)),
                *([self.weigh(run)] if self.levels.weights_source(run) else []),
            ],
        )

    @_cached
    def evaluate_separation(self, run: Run) -> JobSpec:
        """Measure how well a run separates the sources of songs that it was not trained on."""
        name = self.levels.separation_worker(run)
        assert name is not None, "only runs that learn to separate sources have this job"
        encoder, worker = self.levels.encoder(run), self.levels.workers(run)[name]
        return _job(
            "evaluate_separation",
            EvaluateSeparationConfig(
                encoder=encoder,
                worker=LevelChoice(name=name, options=worker.explicit_options),
                split=SEPARATION_TEST_SPLIT,
            ),
            upstream=[self.prepare(run.corpus, self.levels.sample_rate(run)), self.pretrain(run)],
        )

    @_cached
    def import_checkpoint(self, run: Run) -> JobSpec:
        """Convert a published checkpoint to an encoder file."""
        entry = self.config.checkpoints[run.corpus]
        source: dict[str, str | None]
        if entry.package is not None:
            source = {"file": entry.package.sha256, "member": entry.package.file}
        elif (files := self.levels.external_files(run)) is not None:
            source = {"file": digest_files(files)}
        else:
            source = {"file": _file_digest(Path(entry.path)) if entry.path else None}
        config = ImportCheckpointConfig(encoder=self.levels.encoder(run), checkpoint=run.corpus, **source)
        return _job("import_checkpoint", config)

    @_cached
    def fetch_package(self, archive: str) -> JobSpec:
        """Fetch an archive, a name and a version of a package; it is identified by its checksum, not by code."""
        stated = (entry.package for entry in self.config.checkpoints.values() if entry.package)
        package = next(package for package in stated if package.archive == archive)
        config = FetchPackageConfig(package=package.name, version=package.version, sha256=package.sha256)
        return JobSpec(config=config.to_json(), code=digest(config.to_plain()))

    @_cached
    def fetch_weights(self, model: str) -> JobSpec:
        """Fetch the weights of a model of timm; evaluations record the digest of what they read."""
        config = FetchWeightsConfig(model=model)
        return JobSpec(config=config.to_json(), code=digest(config.to_plain()))

    @_cached
    def embed(self, run: Run, dataset: str) -> JobSpec:
        """Encode each clip of a data set once."""
        encoder = self.levels.encoder(run)
        return _job(
            "embed",
            EmbedConfig(encoder=encoder, seed=run.pretrain_seed, dataset=dataset),
            upstream=[self.prepare(dataset, self.levels.sample_rate(run)), *self._encoder_file(run)],
        )

    @_cached
    def evaluate(self, run: Run, cell: CellKey) -> JobSpec:
        """Run the trials of a cell."""
        corpus = self.prepare(cell.dataset, self.levels.sample_rate(run))
        encoder = self.levels.encoder(run) if cell.trains_encoder else None
        head = self.levels.choice("head", cell.head)
        numbers = self._protocol(cell)
        config = EvaluateConfig(
            encoder=encoder,
            head=head,
            scenario=cell.scenario,
            fraction=cell.fraction,
            trials=numbers.pop("trials"),
            **{"keep": kept} if (kept := numbers.pop("keep", None)) else {},
            training=validate(EvaluationProtocol, numbers),
            factors={**asdict(run), **asdict(cell)},
            **self._subset(cell.fraction),
            **self._file_of_head(cell.head),
        )
        upstream = self._encoder_file(run) if encoder else [self.embed(run, cell.dataset)]
        return _job("evaluate", config, upstream=[corpus, *upstream])

    @_cached
    def evaluate_embeddings(self, group: CellGroup) -> JobSpec:
        """Run the trials of all cells of a group; their own digests decide which of them are computed."""
        jobs = {cell.folder: self.evaluate(group.run, cell) for cell in group.cells}
        config = EvaluateEmbeddingsConfig(
            cells=tuple(
                PlannedEvaluation(folder=folder, code=job.code, config=EvaluateConfig.from_json(job.config))
                for folder, job in jobs.items()
            )
        )
        return _job("evaluate_embeddings", config)

    def _protocol(self, cell: CellKey) -> dict[str, Any]:
        """Return the numbers of its protocol that a cell reads."""
        numbers = self.config.protocols[cell.protocol].resolve(head=cell.head, scenario=cell.scenario)
        # embeddings are those of whole clips, and there is nothing to unfreeze; an encoder serves all classes
        unread = {"classifiers"} if cell.trains_encoder else {"crop_seconds", "phases"}
        if not (cell.trains_encoder and registry.load("scenario", cell.scenario).PRETRAINED):
            unread.add("encoder_learning_rate")
        read = {name: value for name, value in numbers.items() if name not in unread}
        if "phases" in read:
            read["phases"] = [{key: phase[key] for key in phase if key not in unread} for phase in read["phases"]]
        return read

    @_cached
    def visualise_filters(self, run: Run, cell: CellKey) -> JobSpec:
        """Compute the spectra of the filters of a cell's encoder: of its run, or as its first trial trained it."""
        audio = self.prepare(audio_of(run, cell), self.levels.sample_rate(run))
        encoder = [self.evaluate(run, cell)] if cell.trains_encoder else self._encoder_file(run)
        config = VisualiseFiltersConfig(encoder=self.levels.encoder(run), seed=run.pretrain_seed)
        return _job("visualise_filters", config, upstream=[audio, *encoder])

    @_cached
    def write_listening_page(self, page: ListeningPlan) -> JobSpec:
        """Write the page to listen to the filters of an encoder."""
        rate = self.levels.sample_rate(page.run)
        config = WriteListeningPageConfig(
            study=page.study,
            title=page.title,
            encoder=self.config.level("encoder", page.run.encoder).label or page.run.encoder,
            rows=page.rows,
            datasets={
                cell.dataset: self.config.level("dataset", cell.dataset).label or cell.dataset for cell in page.cells
            },
            heads={cell.dataset: self.levels.choice("head", cell.head).name for cell in page.cells},
            audio=tuple(cell.dataset for cell in page.cells if self.includes_audio(cell.dataset, page.audio)),
        )
        upstream = [self.prepare(cell.dataset, rate) for cell in page.cells]
        for cell in page.cells:
            upstream += [self.embed(page.run, cell.dataset), self.evaluate(page.run, cell)]
        return _job("write_listening_page", config, upstream=upstream)

    def includes_audio(self, dataset: str, stated: bool | None) -> bool:
        """Return whether a page includes the audio of a data set: as stated, or by its source and licence."""
        entry = self.config.datasets[dataset]
        allowed = entry.source == "twin" or registry.fact(
            self.config.level("dataset", dataset).module, "COPIES_ALLOWED"
        )
        return bool(allowed) if stated is None else stated

    @_cached
    def audit(self, corpora: tuple[tuple[str, int], ...]) -> JobSpec:
        """Search an evaluated data set for test clips that also occur in training or pre-training data.

        `corpora` are data sets with sample rates in Hz: the evaluated one, then those of pre-training.
        """
        names = [name for name, _ in corpora]
        modules = {name: self.config.level("dataset", name).module for name in names}
        config = AuditConfig(
            dataset=names[0],
            pretraining=names[1:],
            catalogues={name: registry.fact(module, "CATALOGUE") for name, module in modules.items()},
        )
        return _job("audit", config, upstream=[self.prepare(*corpus) for corpus in corpora])

    def require_clean(self, corpora: tuple[tuple[str, int], ...]) -> str:
        """Return the digest of the job that fails if the audit of these corpora found a leak."""
        audit = self.audit(corpora)
        return job_digest(code_digest("require_clean"), [(audit.code, audit.config)])

    def _file_of_head(self, head: str) -> dict[str, Any]:
        """Return the digest of the file with a head's initial weights, if it has one: another file is another head."""
        checkpoint = getattr(self.config.level("head", head).options, "checkpoint", None)
        return {} if checkpoint is None else {"head_file_digest": _file_digest(Path(checkpoint))}

    def _subset(self, fraction: str) -> dict[str, Any]:
        """Return the rule of a fraction, if its entry states one."""
        entry = self.config.fractions.get(fraction)
        return {} if entry is None else {"subset": entry.subset}

    def _encoder_file(self, run: Run) -> list[JobSpec]:
        """Return the job that writes the encoder file of a run, as a list: empty for an untrained run."""
        if run.is_imported:
            return [self.import_checkpoint(run)]
        return [self.pretrain(run)] if run.has_encoder_file else []


def _job(
    stage: str,
    config: JobConfig,
    *,
    upstream: Sequence[JobSpec] = (),
) -> JobSpec:
    own = code_digest(stage, chosen=config.modules())
    return JobSpec(config=config.to_json(), code=job_digest(own, [(job.code, job.config) for job in upstream]))


def _remote_files(remotes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies files to be downloaded, wherever they come from."""
    return {name: remote.identity for name, remote in remotes.items()}


@functools.cache
def _file_digest(path: Path) -> str | None:
    """Return the digest of a user's file, or None if it does not exist.

    A missing file is reported elsewhere: a checkpoint by Snakemake, whose input it is, the file of a head by the
    checks of the config.
    """
    return digest_checkpoint(path)
