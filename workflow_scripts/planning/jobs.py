"""Jobs of the heavy rules: the part of the config that each one reads, and the digest of its code."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from workflow_scripts.configuration.compatibility import SEPARATION_TEST_SPLIT
from workflow_scripts.configuration.jobs._base import JobConfig
from workflow_scripts.configuration.jobs.acquire import AcquireConfig
from workflow_scripts.configuration.jobs.audit import AuditConfig
from workflow_scripts.configuration.jobs.embed import EmbedConfig
from workflow_scripts.configuration.jobs.evaluate import EvaluateConfig
from workflow_scripts.configuration.jobs.evaluate_separation import EvaluateSeparationConfig
from workflow_scripts.configuration.jobs.extract import ExtractConfig
from workflow_scripts.configuration.jobs.prepare import PrepareConfig
from workflow_scripts.configuration.jobs.pretrain import PretrainConfig
from workflow_scripts.configuration.jobs.weigh import WeighConfig
from workflow_scripts.core.provenance import code_digest, digest
from workflow_scripts.core.validation import parse
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.planning.levels import Levels
from workflow_scripts.planning.runs import CellKey, Run

Arguments = ParamSpec("Arguments")

#: models of job configs; `import_checkpoint`, which users call as well, has flags instead
CONFIGS: dict[str, type[JobConfig]] = {
    "acquire": AcquireConfig,
    "prepare": PrepareConfig,
    "extract": ExtractConfig,
    "weigh": WeighConfig,
    "pretrain": PretrainConfig,
    "evaluate_separation": EvaluateSeparationConfig,
    "embed": EmbedConfig,
    "evaluate": EvaluateConfig,
    "audit": AuditConfig,
}


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """Everything that decides whether a job must run again.

    `code` also covers all jobs upstream, so the digest of a result covers its whole provenance.
    """

    config: str  # one JSON string: Snakemake compares params as a set of values
    code: str


def _cached(method: Callable[Concatenate[Jobs, Arguments], JobSpec]) -> Callable[Concatenate[Jobs, Arguments], JobSpec]:
    """Compute a job once for each set of positional arguments."""

    @functools.wraps(method)
    def job(jobs: Jobs, *arguments: Arguments.args, **named: Arguments.kwargs) -> JobSpec:
        key = (method.__name__, *arguments)
        if key not in jobs.computed:
            jobs.computed[key] = method(jobs, *arguments, **named)
        return jobs.computed[key]

    return job


class Jobs:
    """One method for each heavy rule, which returns the job of given levels."""

    def __init__(self, config: Mapping[str, Any], levels: Levels) -> None:
        """Take a validated config and its levels."""
        self.config, self.levels = config, levels
        self.computed: dict[tuple[object, ...], JobSpec] = {}

    @_cached
    def acquire(self, dataset: str) -> JobSpec:
        """Bring the files of a data set from its source: a download, a local copy, or its twin."""
        entry = self.config["datasets"][dataset]
        source, loader = entry["source"], entry["loader"]
        level = registry.load("dataset", loader)
        options = registry.options(level, entry.get("options") or {})
        reads = {
            "dataset": dataset,
            "loader": loader,
            "options": dataset_facts.file_options(level, options),
            "source": source,
            "path": entry.get("path") if source == "local" else None,
            "twin": entry.get("twin") if source == "twin" else None,
        }
        # A download is identified by its checksums and a local copy by its owner, so that a change of the downloader
        # does not run anything again.
        files = {
            "twin": lambda: code_digest(f"twins.{loader}"),
            "download": lambda: digest(_remote_files(dataset_facts.remotes(level, options))),
            "local": lambda: digest(loader),
        }
        return JobSpec(config=_config("acquire", reads), code=files[source]())

    @_cached
    def prepare(self, dataset: str, sample_rate: int) -> JobSpec:
        """Decode and resample a data set into a corpus."""
        entry = self.config["datasets"][dataset]
        acquire = self.acquire(dataset)
        return _job(
            "prepare",
            chosen=[("dataset", entry["loader"])],
            upstream=[acquire],
            reads={
                "dataset": dataset,
                "loader": entry["loader"],
                "options": entry.get("options", {}),
                "sample_rate": sample_rate,
                "clip_seconds": entry.get("clip_seconds"),
                "source": entry["source"],
                "acquired": digest([acquire.code, json.loads(acquire.config)]),
            },
        )

    @_cached
    def extract(self, corpus: str, sample_rate: int, worker: str) -> JobSpec:
        """Store a worker's targets for a corpus."""
        return _job(
            "extract",
            chosen=[("worker", worker)],
            upstream=[self.prepare(corpus, sample_rate)],
            reads={
                "worker": worker,
                "options": dict(self.config["workers"].get(worker) or {}),
                "sample_rate": sample_rate,
            },
        )

    @_cached
    def weigh(self, run: Run) -> JobSpec:
        """Compute the loss weights of a run from the first losses of another run."""
        source = self.levels.weights_source(run)
        assert source is not None, "only runs whose weights come from another run have this job"
        pretrain, weighting = self.pretrain(source), self.levels.named("weightings", run.weighting)
        return _job(
            "weigh",
            chosen=[("weighting", weighting["name"])],
            upstream=[pretrain],
            reads={
                "weighting": weighting,
                "run": json.loads(pretrain.config),
                "code": pretrain.code,
            },
        )

    @_cached
    def pretrain(self, run: Run) -> JobSpec:
        """Pre-train an encoder."""
        rate = self.levels.sample_rate(run.encoder)
        workers, augmentation = self.levels.workers(run), self.levels.named("augmentations", run.augmentation)
        weighting = self.levels.named("weightings", run.weighting)
        return _job(
            "pretrain",
            chosen=[
                ("encoder", self.levels.encoder(run)["name"]),
                ("weighting", weighting["name"]),
                ("augmentation", augmentation["name"]),
                *(("worker", name) for name in workers),
            ],
            upstream=[
                self.prepare(run.corpus, rate),
                *(self.extract(run.corpus, rate, name) for name in self.levels.precomputed_workers(run)),
                *([self.weigh(run)] if self.levels.weights_source(run) else []),
            ],
            reads={
                "corpus": run.corpus,
                "encoder": self.levels.encoder(run),
                "workers": workers,
                "weighting": weighting,
                "augmentation": augmentation,
                "recipe": self.config["recipes"][run.recipe],
                "seed": run.pretrain_seed,
            },
        )

    @_cached
    def evaluate_separation(self, run: Run) -> JobSpec:
        """Measure how well a run separates the sources of songs that it was not trained on."""
        worker = self.levels.separation_worker(run)
        assert worker is not None, "only runs that learn to separate sources have this job"
        return _job(
            "evaluate_separation",
            chosen=[("encoder", self.levels.encoder(run)["name"]), ("worker", worker)],
            upstream=[self.prepare(run.corpus, self.levels.sample_rate(run.encoder)), self.pretrain(run)],
            reads={
                "encoder": self.levels.encoder(run),
                "worker": {"name": worker, "options": self.levels.workers(run)[worker]},
                "split": SEPARATION_TEST_SPLIT,
            },
        )

    @_cached
    def import_checkpoint(self, run: Run) -> JobSpec:
        """Convert a published checkpoint to an encoder file."""
        return _job(
            "import_checkpoint",
            chosen=[("encoder", self.levels.encoder(run)["name"])],
            reads={
                "encoder": self.levels.encoder(run),
                "checkpoint": run.corpus,
                "file": _file_digest(Path(self.config["checkpoints"][run.corpus]["path"])),
            },
        )

    @_cached
    def embed(self, run: Run, dataset: str) -> JobSpec:
        """Encode each clip of a data set once."""
        return _job(
            "embed",
            chosen=[("encoder", self.levels.encoder(run)["name"])],
            upstream=[self.prepare(dataset, self.levels.sample_rate(run.encoder)), *self._encoder_file(run)],
            reads={
                "encoder": self.levels.encoder(run),
                "seed": run.pretrain_seed,
                "dataset": dataset,
            },
        )

    @_cached
    def evaluate(self, run: Run, cell: CellKey) -> JobSpec:
        """Run the trials of a cell."""
        trains = cell.trains_encoder
        corpus = self.prepare(cell.dataset, self.levels.sample_rate(run.encoder))
        head = self.levels.named("heads", cell.head)
        training = self._training(cell)
        return _job(
            "evaluate",
            chosen=[
                ("head", head["name"]),
                ("scenario", cell.scenario),
                *([("encoder", self.levels.encoder(run)["name"])] if trains else []),
            ],
            upstream=[corpus, *self._encoder_file(run)] if trains else [corpus, self.embed(run, cell.dataset)],
            reads={
                "encoder": self.levels.encoder(run) if trains else None,
                "head": head,
                "scenario": cell.scenario,
                "fraction": cell.fraction,
                "trials": training.pop("trials"),
                "training": training,
                "factors": {**asdict(run), **asdict(cell)},
                **_file_of_head(head),
            },
        )

    @_cached
    def audit(self, corpora: tuple[tuple[str, int], ...]) -> JobSpec:
        """Search an evaluated data set for test clips that also occur in training or pre-training data.

        `corpora` are data sets with sample rates in Hz: the evaluated one, then those of pre-training.
        """
        names = [name for name, _ in corpora]
        return _job(
            "audit",
            chosen=[],
            upstream=[self.prepare(*corpus) for corpus in corpora],
            reads={
                "dataset": names[0],
                "pretraining": names[1:],
                "catalogues": {name: self.levels.catalogue(name) for name in names},
            },
        )

    def _training(self, cell: CellKey) -> dict[str, Any]:
        """Return the numbers of downstream training: the common ones, then those of the head and of the scenario."""
        numbers = dict(self.config["evaluation"])
        heads, scenarios = numbers.pop("heads", {}), numbers.pop("scenarios", {})
        numbers |= heads.get(cell.head, {}) | scenarios.get(cell.scenario, {})
        if not cell.trains_encoder:  # embeddings are those of whole clips, and there is nothing to unfreeze
            numbers.pop("crop_seconds", None)
            numbers.pop("phases", None)
        return numbers

    def _encoder_file(self, run: Run) -> list[JobSpec]:
        """Return the job that writes the encoder file of a run, as a list: empty for an untrained run."""
        if run.imported:
            return [self.import_checkpoint(run)]
        return [self.pretrain(run)] if run.pretrained else []


def _job(
    stage: str,
    *,
    chosen: Sequence[tuple[str, str]],
    reads: Mapping[str, Any],
    upstream: Sequence[JobSpec] = (),
) -> JobSpec:
    """Return a job: `chosen` are factors and levels whose modules its command loads, `reads` is its config."""
    modules = [registry.module_name(factor, name) for factor, name in chosen]
    provenance = [[job.code, job.config] for job in upstream]
    return JobSpec(
        config=_config(stage, reads),
        code=digest([code_digest(stage, chosen=modules), provenance]),
    )


def _config(stage: str, reads: Mapping[str, Any]) -> str:
    """Return a job's config as JSON, in the form in which its command reads and records it."""
    model = CONFIGS.get(stage)
    return json.dumps(reads, sort_keys=True) if model is None else parse(model, reads, where=stage).to_json()


def _remote_files(remotes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies files to be downloaded, as JSON."""
    return {name: asdict(remote) for name, remote in remotes.items()}


def _file_of_head(head: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the digest of the file with a head's initial weights, if it has one: another file is another head."""
    checkpoint = head["options"].get("checkpoint")
    return {} if checkpoint is None else {"head_file": _file_digest(Path(checkpoint))}


@functools.cache
def _file_digest(path: Path) -> str | None:
    """Return the digest of a user's file, or None if it does not exist.

    A missing file is reported elsewhere: a checkpoint by Snakemake, whose input it is, the file of a head by the
    checks of the config.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
