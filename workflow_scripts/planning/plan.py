"""From a config and its studies to jobs: which runs and cells, what each job reads, and the digest of its code.

The Snakefile asks this module everything; it imports no torch, so planning stays fast.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workflow_scripts.configuration.compatibility import JUDGED_SPLIT
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.provenance import code_digest, digest
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.levels.factors import NONE, PRETRAINING

ONE_DRAW = (
    "Random weights are those of one untrained network: what is said of it, and of others against it, is true of this "
    "draw of weights; another may give another result."
)
FLOOR_SCENARIO = "frozen"  # floors are never trained


@dataclass(frozen=True, kw_only=True)
class Run:
    """One encoder: a level for each pre-training factor.

    It was trained here, or imported (its corpus is then the name of a checkpoint and the other factors are `NONE`), or
    never trained (the corpus is `NONE` too).
    """

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

    @classmethod
    def of_checkpoint(cls, checkpoint: str, *, encoder: str) -> Run:
        """Return the run of an encoder that somebody else trained."""
        return replace(cls.untrained(encoder), corpus=checkpoint)

    @property
    def pretrained(self) -> bool:
        """Whether a checkpoint belongs to this run."""
        return self.corpus != NONE

    @property
    def imported(self) -> bool:
        """Whether that checkpoint was not made here."""
        return self.pretrained and self.workers == NONE

    @property
    def weighed_by(self) -> Run | None:
        """The run whose first losses give this run its weights; None where they are all 1."""
        weighting = registry.fact("weighting", self.weighting, "WEIGHED_BY") if self.weighting != NONE else None
        return replace(self, weighting=str(weighting)) if weighting else None


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
            for pair in expand(study, self.encoders_of_checkpoints):
                needed.setdefault(pair, []).append(name)
        return needed

    @property
    def encoders_of_checkpoints(self) -> dict[str, str]:
        """Encoder of each checkpoint that can be imported."""
        return {name: entry["encoder"] for name, entry in self.config.get("checkpoints", {}).items()}

    @functools.cached_property
    def pretrained(self) -> list[Run]:
        """Every run trained here that the evaluations need, in planned order."""
        return list(dict.fromkeys(run for run, _ in self.evaluations if run.pretrained and not run.imported))

    @functools.cached_property
    def imported(self) -> list[Run]:
        """Every imported run that the evaluations need, in planned order."""
        return list(dict.fromkeys(run for run, _ in self.evaluations if run.imported))

    def sample_rate(self, encoder: str) -> int:
        """Sample rate in Hz at which an encoder hears corpora."""
        chosen = registry.entry(self.config["encoders"], encoder)
        level = registry.load("encoder", chosen.level)
        rate: int = level.sample_rate(registry.options(level, chosen.options))
        return rate

    def precomputed_workers(self, run: Run) -> list[str]:
        """Workers of a run whose targets the `extract` rule stores."""
        return [name for name in self.workers(run) if registry.load("worker", name).PRECOMPUTED]

    def workers(self, run: Run) -> dict[str, dict[str, Any]]:
        """Workers in a run's worker set, with their options."""
        return {} if run.workers == NONE else workers_of(self.config, run.workers)

    @functools.cached_property
    def stems(self) -> dict[str, tuple[str, ...]]:
        """Stems of every data set of the config that has any; `UserError` unless all such sets have the same."""
        found: dict[str, tuple[str, ...]] = {}
        for name, entry in self.config["datasets"].items():
            stems = getattr(registry.load("dataset", entry["loader"]), "STEMS", None)
            if stems is not None:
                found[name] = stems
        if len(set(found.values())) > 1:
            raise UserError(f"datasets {', '.join(found)} have different stems, which rules/data.smk cannot name yet")
        return found

    def separation_worker(self, run: Run) -> str | None:
        """The worker by which a run learns to separate sources; None if it has none. Several have the same mixtures."""
        return next((name for name in self.workers(run) if hasattr(registry.load("worker", name), "mix")), None)

    @functools.cached_property
    def judged(self) -> list[Run]:
        """Every run trained here that learns to separate sources, in planned order."""
        return [run for run in self.pretrained if self.separation_worker(run)]

    @functools.cache  # noqa: B019  (a plan lives as long as the process)
    def acquire(self, dataset: str) -> Job:
        """Bring a data set's files, from one of its three sources."""
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
        # Checksums decide what a download is, the owner what a local copy is: mending our downloader changes neither.
        files = {
            "twin": lambda: code_digest(f"twins.{loader}"),
            "download": lambda: digest(_remote_files(dataset_facts.remotes(level, options))),
            "local": lambda: digest(loader),
        }
        return Job(config=json.dumps(reads, sort_keys=True), code=files[source]())

    @functools.cache  # noqa: B019
    def prepare(self, dataset: str, sample_rate: int) -> Job:
        """Decode and resample a data set into a corpus."""
        entry = self.config["datasets"][dataset]
        acquire = self.acquire(dataset)
        return self._job(
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

    @functools.cache  # noqa: B019
    def extract(self, corpus: str, sample_rate: int, worker: str) -> Job:
        """Store a worker's targets for a corpus."""
        return self._job(
            "extract",
            chosen=[("worker", worker)],
            upstream=[self.prepare(corpus, sample_rate)],
            reads={
                "worker": worker,
                "options": dict(self.config["workers"].get(worker) or {}),
                "sample_rate": sample_rate,
            },
        )

    @functools.cache  # noqa: B019
    def weigh(self, run: Run) -> Job:
        """Weigh the workers of a run by the first losses of the run it is weighed by."""
        source = run.weighed_by
        assert source is not None, "only runs that are weighed by another have weights"
        trained = self.pretrain(source)
        return self._job(
            "weigh",
            chosen=[("weighting", self._level("weightings", run.weighting)["name"])],
            upstream=[trained],
            reads={
                "weighting": self._level("weightings", run.weighting),
                "run": json.loads(trained.config),
                "code": trained.code,
            },
        )

    @functools.cache  # noqa: B019
    def pretrain(self, run: Run) -> Job:
        """Pre-train an encoder."""
        rate = self.sample_rate(run.encoder)
        workers, augmentation = self.workers(run), self._level("augmentations", run.augmentation)
        weighting = self._level("weightings", run.weighting)
        return self._job(
            "pretrain",
            chosen=[
                ("encoder", self.encoder(run)["name"]),
                ("weighting", weighting["name"]),
                ("augmentation", augmentation["name"]),
                *(("worker", name) for name in workers),
            ],
            upstream=[
                self.prepare(run.corpus, rate),
                *(self.extract(run.corpus, rate, name) for name in self.precomputed_workers(run)),
                *([self.weigh(run)] if run.weighed_by else []),
            ],
            reads={
                "corpus": run.corpus,
                "encoder": self.encoder(run),
                "workers": workers,
                "weighting": weighting,
                "augmentation": augmentation,
                "recipe": self.config["recipes"][run.recipe],
                "seed": run.pretrain_seed,
            },
        )

    @functools.cache  # noqa: B019
    def evaluate_separation(self, run: Run) -> Job:
        """Judge how well a run that learned to separate sources does so."""
        worker = self.separation_worker(run)
        assert worker is not None, "only runs that learn to separate are judged by it"
        return self._job(
            "evaluate_separation",
            chosen=[("encoder", self.encoder(run)["name"]), ("worker", worker)],
            upstream=[self.prepare(run.corpus, self.sample_rate(run.encoder)), self.pretrain(run)],
            reads={
                "encoder": self.encoder(run),
                "worker": {"name": worker, "options": self.workers(run)[worker]},
                "split": JUDGED_SPLIT,
            },
        )

    @functools.cache  # noqa: B019
    def import_checkpoint(self, run: Run) -> Job:
        """Bring a published checkpoint into our format."""
        return self._job(
            "import_checkpoint",
            chosen=[("encoder", self.encoder(run)["name"])],
            reads={
                "encoder": self.encoder(run),
                "checkpoint": run.corpus,
                "file": _digest_of_file(Path(self.config["checkpoints"][run.corpus]["path"])),
            },
        )

    @functools.cache  # noqa: B019
    def embed(self, run: Run, dataset: str) -> Job:
        """Encode each clip of a data set once."""
        return self._job(
            "embed",
            chosen=[("encoder", self.encoder(run)["name"])],
            upstream=[self.prepare(dataset, self.sample_rate(run.encoder)), *self._checkpoint(run)],
            reads={
                "encoder": self.encoder(run),
                "seed": run.pretrain_seed,
                "dataset": dataset,
            },
        )

    @functools.cache  # noqa: B019
    def evaluate(self, run: Run, cell: Cell) -> Job:
        """Run the trials of a cell."""
        trains = bool(registry.fact("scenario", cell.scenario, "TRAINS_ENCODER"))
        corpus = self.prepare(cell.dataset, self.sample_rate(run.encoder))
        head = self._level("heads", cell.head)
        settings = dict(self.config["evaluation"])
        heads, scenarios = settings.pop("heads", {}), settings.pop("scenarios", {})
        settings |= heads.get(cell.head, {}) | scenarios.get(cell.scenario, {})
        if not trains:
            settings.pop("crop_seconds", None)  # only an encoder that learns hears crops
            settings.pop("phases", None)
        return self._job(
            "evaluate",
            chosen=[
                ("head", head["name"]),
                ("scenario", cell.scenario),
                *([("encoder", self.encoder(run)["name"])] if trains else []),
            ],
            upstream=[corpus, *self._checkpoint(run)] if trains else [corpus, self.embed(run, cell.dataset)],
            reads={
                "encoder": self.encoder(run) if trains else None,
                "head": head,
                "scenario": cell.scenario,
                "fraction": cell.fraction,
                "trials": settings.pop("trials"),
                "training": settings,
                "factors": {**asdict(run), **asdict(cell)},
                **_file_of(head),
            },
        )

    @functools.cache  # noqa: B019
    def audit(self, dataset: str) -> Job:
        """Look for clips of an evaluated data set that are not new where it tests on them."""
        compared = self.audited[dataset]
        return self._job(
            "audit",
            chosen=[],
            upstream=[self.prepare(*corpus) for corpus in compared],
            reads={
                "dataset": dataset,
                "pretraining": [name for name, _ in compared[1:]],
                "catalogues": {name: self._catalogue(name) for name, _ in compared},
            },
        )

    @functools.cached_property
    def audited(self) -> dict[str, list[tuple[str, int]]]:
        """For each evaluated data set: its corpus, then those of the sets its encoders are pre-trained on.

        A corpus is a data set and a sample rate in Hz. Of several rates the lowest does: it takes the least time.
        """
        rates: dict[str, int] = {}
        for name, rate in self.corpora:
            rates[name] = min(rate, rates.get(name, rate))
        trained_on: dict[str, set[str]] = {}
        for run, cell in self.evaluations:
            heard = trained_on.setdefault(cell.dataset, set())
            if run.pretrained and not run.imported and run.corpus != cell.dataset:
                heard.add(run.corpus)
        return {
            dataset: [(name, rates[name]) for name in [dataset, *sorted(heard)]]
            for dataset, heard in sorted(trained_on.items())
        }

    @property
    def must_be_clean(self) -> dict[str, list[str]]:
        """Evaluated data sets whose audit must find no leak, with the studies that demand it."""
        demanding: dict[str, list[str]] = {}
        for name, study in self.studies.items():
            for dataset in levels_of(study, "dataset") if study.get("audit") == "clean" else []:
                demanding.setdefault(dataset, []).append(name)
        return demanding

    def _catalogue(self, dataset: str) -> object:
        loader = self.config["datasets"][dataset]["loader"]
        return getattr(registry.load("dataset", loader), "CATALOGUE", None)

    def summary(self) -> dict[str, Any]:
        """What statistics, tables and the report need to know: each expected evaluation, and the studies."""
        jobs: dict[tuple[str, str, str, str], int] = {}
        return {
            "scale": self.config["scale"],
            "sample_rates": {run.encoder: self.sample_rate(run.encoder) for run, _ in self.evaluations},
            "studies": {name: self._described(study) for name, study in self.studies.items()},
            "evaluations": [
                {
                    "path": f"{self.config['results']}/evaluations/{path_of(run, cell)}/trials.csv",
                    "code": self.evaluate(run, cell).code,
                    "config": digest(json.loads(self.evaluate(run, cell).config)),
                    "factors": {**asdict(run), **asdict(cell)},
                    "studies": names,
                    "jobs": [jobs.setdefault(job, len(jobs)) for job in self._chain(run, cell)],
                }
                for (run, cell), names in self.evaluations.items()
            ],
            "pretrained": [
                {
                    "folder": f"{self.config['results']}/pretrained/{path_of(run)}",
                    "factors": asdict(run),
                    "judged": self.evaluate_separation(run).code if self.separation_worker(run) else "",
                }
                for run in self.pretrained
            ],
            "jobs": [list(job) for job in jobs],
            "records": self._records(),
            "corpora": [f"{self.config['results']}/corpora/{dataset}/{rate}" for dataset, rate in self.corpora],
            "audits": [f"{self.config['results']}/audits/{dataset}.json" for dataset in self.audited],
        }

    @property
    def drawn_from(self) -> list[str]:
        """First outputs of the jobs that figures look at themselves, beside the statistics, sorted."""
        found: set[str] = set()
        for study in self.studies.values():
            kind = (study.get("figure") or {}).get("kind")
            verbs = getattr(registry.load("figure", kind), "READS", ()) if kind else ()
            if not verbs:
                continue
            for run, cell in expand(study, self.encoders_of_checkpoints):
                found |= {output for verb, output, _, _ in self._chain(run, cell) if verb in verbs}
        return sorted(found)

    def _described(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Return a study with the places of its evaluations in its own order, and all notes its reader needs."""
        untrained = not all(registry.entry(self.config["encoders"], floor).trained for floor in study["floors"])
        notes = [study.get("notes", "").strip(), ONE_DRAW if untrained else "", self.config.get("note", "").strip()]
        pairs = dict.fromkeys(expand(study, self.encoders_of_checkpoints))
        return {**study, "notes": " ".join(filter(None, notes)), "evaluations": [self._places[pair] for pair in pairs]}

    @functools.cached_property
    def _places(self) -> dict[tuple[Run, Cell], int]:
        return {pair: place for place, pair in enumerate(self.evaluations)}

    @functools.cached_property
    def corpora(self) -> list[tuple[str, int]]:
        """Data set and sample rate of every corpus that the evaluations need, sorted."""
        needed = {(cell.dataset, self.sample_rate(run.encoder)) for run, cell in self.evaluations}
        needed |= {(run.corpus, self.sample_rate(run.encoder)) for run in self.pretrained}
        return sorted(needed)

    @functools.cached_property
    def largest_shares(self) -> dict[str, float]:
        """Largest share of quarantined clips by data set: the least that a study which uses it tolerates."""
        shares: dict[str, float] = {}
        for name, study in self.studies.items():
            if "quarantine" not in study:
                continue
            pairs = [pair for pair, names in self.evaluations.items() if name in names]
            used = {cell.dataset for _, cell in pairs}
            used |= {run.corpus for run, _ in pairs if run.pretrained and not run.imported}
            share = study["quarantine"]["largest_share"]
            shares |= {dataset: min(share, shares.get(dataset, share)) for dataset in used}
        return dict(sorted(shares.items()))

    @functools.cached_property
    def embedded(self) -> list[tuple[Run, str]]:
        """Run and data set of every `embed` job that the evaluations need, in planned order."""
        return list(
            dict.fromkeys(
                (run, cell.dataset)
                for run, cell in self.evaluations
                if not registry.fact("scenario", cell.scenario, "TRAINS_ENCODER")
            )
        )

    def _records(self) -> list[tuple[str, str]]:
        """Stage and record file of every job between the data and the evaluations, by stage."""
        results = self.config["results"]
        return [
            *(("prepare", f"{results}/corpora/{dataset}/{rate}/record.json") for dataset, rate in self.corpora),
            *(
                ("extract", f"{results}/features/{run.corpus}/{self.sample_rate(run.encoder)}/{worker}.json")
                for run in self.pretrained
                for worker in self.precomputed_workers(run)
            ),
            *(
                ("weigh", f"{results}/pretrained/{path_of(run)}/weigh.json")
                for run in self.pretrained
                if run.weighed_by
            ),
            *(("pretrain", f"{results}/pretrained/{path_of(run)}/record.json") for run in self.pretrained),
            *(("evaluate_separation", f"{results}/pretrained/{path_of(run)}/separation.json") for run in self.judged),
            *(("import", f"{results}/pretrained/{path_of(run)}/record.json") for run in self.imported),
            *(("embed", f"{results}/embeddings/{path_of(run)}/{dataset}.json") for run, dataset in self.embedded),
        ]

    def _chain(self, run: Run, cell: Cell) -> Iterator[tuple[str, str, str, str]]:
        """Verb, first output, record and log of every job that a cell needs, in the order they run."""
        results, rate = self.config["results"], self.sample_rate(run.encoder)
        logs, path, whole = f"{results}/logs", path_of(run), path_of(run, cell)
        trained = run.pretrained and not run.imported
        for name in [cell.dataset, *([run.corpus] if trained and run.corpus != cell.dataset else [])]:
            acquired = f"{self.config['data']}/{name}/acquired.json"
            yield "acquire", acquired, acquired, f"{logs}/acquire/{name}.log"
            corpus = f"{results}/corpora/{name}/{rate}"
            yield "prepare", f"{corpus}/corpus.json", f"{corpus}/record.json", f"{logs}/prepare/{name}/{rate}.log"
        for worker in self.precomputed_workers(run) if trained else []:
            stored = f"{run.corpus}/{rate}/{worker}"
            features = f"{results}/features/{stored}"
            yield "extract", f"{features}.npy", f"{features}.json", f"{logs}/extract/{stored}.log"
        checkpoint = f"{results}/pretrained/{path}"
        if run.weighed_by:
            yield "weigh", f"{checkpoint}/weights.json", f"{checkpoint}/weigh.json", f"{logs}/weigh/{path}.log"
        if run.pretrained:
            verb = "pretrain" if trained else "import_checkpoint"
            yield verb, f"{checkpoint}/encoder.safetensors", f"{checkpoint}/record.json", f"{logs}/{verb}/{path}.log"
        if not registry.fact("scenario", cell.scenario, "TRAINS_ENCODER"):
            embedded = f"{results}/embeddings/{path}/{cell.dataset}"
            yield "embed", f"{embedded}.npy", f"{embedded}.json", f"{logs}/embed/{path}/{cell.dataset}.log"
        evaluated = f"{results}/evaluations/{whole}"
        yield "evaluate", f"{evaluated}/trials.csv", f"{evaluated}/record.json", f"{logs}/evaluate/{whole}.log"

    def _checkpoint(self, run: Run) -> list[Job]:
        if run.imported:
            return [self.import_checkpoint(run)]
        return [self.pretrain(run)] if run.pretrained else []

    def encoder(self, run: Run) -> dict[str, Any]:
        """Return file and options of a run's encoder.

        A checkpoint brings its own options; of the encoder's entry it takes those that make a variant of the file.
        """
        encoder = self._level("encoders", run.encoder)
        if not run.imported:
            return encoder
        fixed = getattr(registry.load("encoder", encoder["name"]), "VARIANT_OPTIONS", ())
        variant = {name: value for name, value in encoder["options"].items() if name in fixed}
        return encoder | {"options": variant | (self.config["checkpoints"][run.corpus].get("options") or {})}

    def _level(self, section: str, name: str) -> dict[str, Any]:
        entry = registry.entry(self.config[section], name)
        return {"name": entry.level, "options": entry.options}

    def _job(
        self,
        verb: str,
        *,
        chosen: list[tuple[str, str]],
        reads: dict[str, Any],
        upstream: list[Job] | None = None,
    ) -> Job:
        descent = [[job.code, job.config] for job in upstream or []]
        levels = [registry.module_name(factor, name) for factor, name in chosen]
        return Job(
            config=json.dumps(reads, sort_keys=True),
            code=digest([code_digest(verb, chosen=levels), descent]),
        )


def _remote_files(remotes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies files to be downloaded, as JSON."""
    return {name: asdict(remote) for name, remote in remotes.items()}


def _file_of(head: Mapping[str, Any]) -> dict[str, str | None]:
    """Digest of the file whose weights a head starts from, where it states one: another file is another head."""
    checkpoint = head["options"].get("checkpoint")
    return {} if checkpoint is None else {"head_file": _digest_of_file(Path(checkpoint))}


@functools.cache
def _digest_of_file(path: Path) -> str | None:
    """Digest of a user's file, which decides what hangs off it; None if it is not there.

    That is told elsewhere: of a checkpoint by Snakemake, whose input it is, of a head's file by the checks of a config.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def workers_of(config: Mapping[str, Any], worker_set: str) -> dict[str, dict[str, Any]]:
    """Return the workers of a set by the names of their files, with their options."""
    entries = (registry.entry(config["workers"], name) for name in config["worker_sets"][worker_set])
    return {entry.level: entry.options for entry in entries}


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


def grids(study: Mapping[str, Any]) -> list[dict[str, list[Any]]]:
    """Return the grids a study runs: its own, or that with the levels of each entry of `grids` over it."""
    return [{**study["grid"], **over} for over in study.get("grids", {"": {}}).values()]


def levels_of(study: Mapping[str, Any], factor: str) -> list[Any]:
    """Return every level of a factor in a study's grids, each once."""
    return list(dict.fromkeys(level for grid in grids(study) for level in grid[factor]))


def expand(study: Mapping[str, Any], checkpoints: Mapping[str, str]) -> Iterator[tuple[Run, Cell]]:
    """Every run and cell of a study's grids, then its imported checkpoints and its floors.

    `checkpoints` maps the name of each to its encoder.
    """
    for grid in grids(study):
        for chosen in itertools.product(*(grid[factor] for factor in PRETRAINING)):
            pretrained = Run(**dict(zip(PRETRAINING, chosen, strict=True)))
            for scenario, cell in itertools.product(grid["scenario"], _downstream(grid)):
                starts_pretrained = registry.fact("scenario", scenario, "PRETRAINED")
                run = pretrained if starts_pretrained else Run.untrained(pretrained.encoder)
                yield run, replace(cell, scenario=scenario)
    for grid in grids(study):
        started = [name for name in grid["scenario"] if registry.fact("scenario", name, "PRETRAINED")]
        for name, scenario, cell in itertools.product(study.get("checkpoints", []), started, _downstream(grid)):
            yield Run.of_checkpoint(name, encoder=checkpoints[name]), replace(cell, scenario=scenario)
        for floor, cell in itertools.product(study["floors"], _downstream(grid)):
            yield Run.untrained(floor), cell


def _downstream(grid: Mapping[str, list[Any]]) -> list[Cell]:
    """Cells of a grid, in the scenario of floors."""
    chosen = itertools.product(grid["dataset"], grid["head"], grid["fraction"])
    return [
        Cell(dataset=dataset, head=head, scenario=FLOOR_SCENARIO, fraction=fraction)
        for dataset, head, fraction in chosen
    ]
