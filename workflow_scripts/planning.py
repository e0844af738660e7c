"""From a config and its studies to jobs: which runs and cells, what each job reads, and the digest of its code.

The Snakefile asks this module everything; it imports no torch, so planning stays fast.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workflow_scripts import levels
from workflow_scripts.factors import NONE, PRETRAINING
from workflow_scripts.provenance import code_digest, digest

FLOOR_SCENARIO = "frozen"  # floors are never trained


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pre-trained (or untrained) encoder: a level for each pre-training factor."""

    corpus: str
    encoder: str
    workers: str
    weighting: str
    augmentation: str
    recipe: str
    pretrain_seed: int

    @classmethod
    def untrained(cls, encoder: str, *, pretrain_seed: int = 0) -> Run:
        """Return the run of an encoder as it is before any training."""
        return cls(
            corpus=NONE,
            encoder=encoder,
            workers=NONE,
            weighting=NONE,
            augmentation=NONE,
            recipe=NONE,
            pretrain_seed=pretrain_seed,
        )

    @property
    def pretrained(self) -> bool:
        """Whether a checkpoint belongs to this run."""
        return self.workers != NONE


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One downstream evaluation of a run: a level for each downstream factor; it holds all trials."""

    dataset: str
    head: str
    scenario: str
    fraction: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """What decides whether a job must run again: what it reads from the config, and what its code means.

    `code` also covers everything upstream, so a result states its whole descent in one digest.
    """

    config: str  # one JSON string
    code: str


class Plan:
    """All jobs of a config."""

    def __init__(self, config: Mapping[str, Any], studies: Mapping[str, Mapping[str, Any]]) -> None:
        """Take a validated config and its studies (by name, trimmed)."""
        self.config = config
        self.studies = studies

    @functools.cached_property
    def evaluations(self) -> dict[tuple[Run, Cell], list[str]]:
        """Every run and cell that a study needs, with the names of these studies."""
        needed: dict[tuple[Run, Cell], list[str]] = {}
        for name, study in self.studies.items():
            for pair in expand(study):
                needed.setdefault(pair, []).append(name)
        return needed

    def sample_rate(self, encoder: str) -> int:
        """Sample rate in Hz at which an encoder hears corpora."""
        rate = levels.fact("encoder", encoder, "SAMPLE_RATE")
        assert isinstance(rate, int)
        return rate

    def precomputed_workers(self, run: Run) -> list[str]:
        """Workers of a run whose targets the `extract` rule stores."""
        return [name for name in self.workers(run) if levels.fact("worker", name, "PRECOMPUTED")]

    def workers(self, run: Run) -> list[str]:
        """Names of the workers in a run's worker set."""
        return list(self.config["worker_sets"][run.workers]) if run.pretrained else []

    @functools.cache  # noqa: B019  (a plan lives as long as the process)
    def acquire(self, dataset: str) -> Job:
        """Bring a data set's files, from one of its three sources."""
        entry = self.config["datasets"][dataset]
        source, loader = entry["source"], entry["loader"]
        reads = {
            "dataset": dataset,
            "loader": loader,
            "source": source,
            "path": entry.get("path") if source == "local" else None,
            "twin": entry.get("twin") if source == "twin" else None,
        }
        # Checksums decide what a download is, the owner what a local copy is: mending our downloader changes neither.
        files = {
            "twin": lambda: code_digest(f"twins.{loader}"),
            "download": lambda: digest(levels.declared("dataset", loader, "REMOTES")),
            "local": lambda: digest(loader),
        }
        return Job(config=json.dumps(reads, sort_keys=True), code=files[source]())

    @functools.cache  # noqa: B019
    def prepare(self, dataset: str, sample_rate: int) -> Job:
        """Decode and resample a data set into a corpus."""
        entry = self.config["datasets"][dataset]
        return self._job(
            "prepare",
            chosen=[("dataset", entry["loader"])],
            upstream=[self.acquire(dataset)],
            reads={
                "dataset": dataset,
                "loader": entry["loader"],
                "options": entry.get("options", {}),
                "sample_rate": sample_rate,
                "clip_seconds": entry.get("clip_seconds"),
                "source": entry["source"],
            },
        )

    @functools.cache  # noqa: B019
    def extract(self, corpus: str, sample_rate: int, worker: str) -> Job:
        """Store a worker's targets for a corpus."""
        return self._job(
            "extract",
            chosen=[("worker", worker)],
            upstream=[self.prepare(corpus, sample_rate)],
            reads={"worker": worker, "options": self._options("workers", worker), "sample_rate": sample_rate},
        )

    @functools.cache  # noqa: B019
    def pretrain(self, run: Run) -> Job:
        """Pre-train an encoder."""
        rate = self.sample_rate(run.encoder)
        workers = self.workers(run)
        return self._job(
            "pretrain",
            chosen=[
                ("encoder", run.encoder),
                ("weighting", run.weighting),
                ("augmentation", run.augmentation),
                *(("worker", name) for name in workers),
            ],
            upstream=[
                self.prepare(run.corpus, rate),
                *(self.extract(run.corpus, rate, name) for name in self.precomputed_workers(run)),
            ],
            reads={
                "corpus": run.corpus,
                "encoder": self._level("encoders", run.encoder),
                "workers": {name: self._options("workers", name) for name in workers},
                "weighting": self._level("weightings", run.weighting),
                "augmentation": self._level("augmentations", run.augmentation),
                "recipe": self.config["recipes"][run.recipe],
                "seed": run.pretrain_seed,
            },
        )

    @functools.cache  # noqa: B019
    def embed(self, run: Run, dataset: str) -> Job:
        """Encode each clip of a data set once."""
        return self._job(
            "embed",
            chosen=[("encoder", run.encoder)],
            upstream=[self.prepare(dataset, self.sample_rate(run.encoder)), *self._checkpoint(run)],
            reads={
                "encoder": self._level("encoders", run.encoder),
                "seed": run.pretrain_seed,
                "dataset": dataset,
            },
        )

    @functools.cache  # noqa: B019
    def evaluate(self, run: Run, cell: Cell) -> Job:
        """Run the trials of a cell."""
        trains = bool(levels.fact("scenario", cell.scenario, "TRAINS_ENCODER"))
        corpus = self.prepare(cell.dataset, self.sample_rate(run.encoder))
        settings = dict(self.config["evaluation"])
        settings |= settings.pop("scenarios", {}).get(cell.scenario, {})
        if not trains:
            settings.pop("crop_seconds", None)  # only an encoder that learns hears crops
        return self._job(
            "evaluate",
            chosen=[
                ("head", cell.head),
                ("scenario", cell.scenario),
                *([("encoder", run.encoder)] if trains else []),
            ],
            upstream=[corpus, *self._checkpoint(run)] if trains else [corpus, self.embed(run, cell.dataset)],
            reads={
                "encoder": self._level("encoders", run.encoder) if trains else None,
                "head": self._level("heads", cell.head),
                "scenario": cell.scenario,
                "fraction": cell.fraction,
                "trials": settings.pop("trials"),
                "training": settings,
                "factors": {**asdict(run), **asdict(cell)},
            },
        )

    def summary(self) -> dict[str, Any]:
        """What statistics, tables and the report need to know: each expected evaluation, and the studies."""
        return {
            "scale": self.config["scale"],
            "studies": {name: self._with_note(study) for name, study in self.studies.items()},
            "evaluations": [
                {
                    "path": f"{self.config['results']}/evaluations/{path_of(run, cell)}/trials.csv",
                    "code": self.evaluate(run, cell).code,
                    "config": digest(json.loads(self.evaluate(run, cell).config)),
                    "factors": {**asdict(run), **asdict(cell)},
                    "studies": names,
                }
                for (run, cell), names in self.evaluations.items()
            ],
            "records": self._records(),
            "corpora": [f"{self.config['results']}/corpora/{dataset}/{rate}" for dataset, rate in self._corpora()],
        }

    def _with_note(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Return a study whose notes end with what its reader must know about the scale."""
        notes = [study.get("notes", "").strip(), self.config.get("note", "").strip()]
        return {**study, "notes": " ".join(filter(None, notes))}

    def _corpora(self) -> list[tuple[str, int]]:
        """Data set and sample rate of every corpus that the evaluations need, sorted."""
        needed = {(cell.dataset, self.sample_rate(run.encoder)) for run, cell in self.evaluations}
        needed |= {(run.corpus, self.sample_rate(run.encoder)) for run, _ in self.evaluations if run.pretrained}
        return sorted(needed)

    def _records(self) -> list[tuple[str, str]]:
        """Stage and record file of every job between the data and the evaluations, by stage."""
        results = self.config["results"]
        pretrained = list(dict.fromkeys(run for run, _ in self.evaluations if run.pretrained))
        embedded = dict.fromkeys(
            (run, cell.dataset)
            for run, cell in self.evaluations
            if not levels.fact("scenario", cell.scenario, "TRAINS_ENCODER")
        )
        return [
            *(("prepare", f"{results}/corpora/{dataset}/{rate}/record.json") for dataset, rate in self._corpora()),
            *(
                ("extract", f"{results}/features/{run.corpus}/{self.sample_rate(run.encoder)}/{worker}.json")
                for run in pretrained
                for worker in self.precomputed_workers(run)
            ),
            *(("pretrain", f"{results}/pretrained/{path_of(run)}/record.json") for run in pretrained),
            *(("embed", f"{results}/embeddings/{path_of(run)}/{dataset}.json") for run, dataset in embedded),
        ]

    def _checkpoint(self, run: Run) -> list[Job]:
        return [self.pretrain(run)] if run.pretrained else []

    def _options(self, section: str, name: str) -> dict[str, Any]:
        return dict(self.config[section].get(name) or {})

    def _level(self, section: str, name: str) -> dict[str, Any]:
        return {"name": name, "options": self._options(section, name)}

    def _job(
        self,
        verb: str,
        *,
        chosen: list[tuple[str, str]],
        reads: dict[str, Any],
        upstream: list[Job] | None = None,
    ) -> Job:
        descent = [[job.code, job.config] for job in upstream or []]
        return Job(config=json.dumps(reads, sort_keys=True), code=digest([code_digest(verb, chosen=chosen), descent]))


def path_of(run: Run, cell: Cell | None = None) -> str:
    """Path segments of a run, or of a cell of a run, as the design lays them out."""
    parts = [
        run.corpus,
        run.encoder,
        run.workers,
        run.weighting,
        run.augmentation,
        run.recipe,
        f"seed{run.pretrain_seed}",
    ]
    return "/".join(parts + ([cell.dataset, cell.head, cell.scenario, cell.fraction] if cell else []))


def expand(study: Mapping[str, Any]) -> Iterator[tuple[Run, Cell]]:
    """Every run and cell of a study's grid, then its floors."""
    grid = study["grid"]
    downstream = list(itertools.product(grid["dataset"], grid["head"], grid["fraction"]))
    for chosen in itertools.product(*(grid[factor] for factor in PRETRAINING)):
        pretrained = Run(**dict(zip(PRETRAINING, chosen, strict=True)))
        for scenario, (dataset, head, fraction) in itertools.product(grid["scenario"], downstream):
            run = pretrained if levels.fact("scenario", scenario, "PRETRAINED") else Run.untrained(pretrained.encoder)
            yield run, Cell(dataset=dataset, head=head, scenario=scenario, fraction=fraction)
    for encoder, (dataset, head, fraction) in itertools.product(study["floors"], downstream):
        cell = Cell(dataset=dataset, head=head, scenario=FLOOR_SCENARIO, fraction=fraction)
        yield Run.untrained(encoder), cell
