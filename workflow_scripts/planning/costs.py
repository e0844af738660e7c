"""What a plan will cost, from the records of jobs that were run: hours of a device and bytes on the disk.

Work is counted in a unit that a stage's seconds grow with; the rate of the most alike records does the rest, and long
jobs count for more in it than short ones, whose start is most of their time. Nothing is guessed: what no record speaks
of is reported as not measured. Where trials may stop early, all epochs they may take are counted.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import CellKey, Run

FRAMES_PER_SECOND = 100  # of stored features: hop 160 at 16 kHz
BYTES_OF_SAMPLE, BYTES_OF_FLOAT = 2, 4

STAGES = (
    *("prepare", "extract", "weigh", "pretrain", "evaluate_separation", "embed"),
    *("evaluate_embeddings", "evaluate_encoder"),
)
MEASURED_AS = {"weigh": "pretrain"}  # the same work

Corpora = Mapping[str, Mapping[str, float]]  # seconds and clips of each corpus, by its digest
Key = tuple[str, ...]  # what makes the cost of a unit of work differ, from the general to the particular


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job that will run: `amount` is in seconds of audio, or in clips where only a head learns; None: unknown."""

    rule: str
    key: Key
    amount: float | None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A job that was run: its work, its time in seconds, and where."""

    rule: str
    key: Key
    amount: float
    seconds: float
    device: str

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU did it."""
        return self.device.startswith("cuda")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One rule's jobs: `hours` of `device` for those that records speak of, `unknown` is the number of the others."""

    rule: str
    jobs: int
    hours: float
    device: str
    records: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class Space:
    """Bytes that a stage leaves on the disk."""

    what: str
    size: float
    unknown: int  # files whose size is not known


def estimate(plan: Plan, records: Sequence[Measured]) -> list[Estimate]:
    """Cost of each rule, in the order of the stages. Records of a GPU are preferred to those of a CPU."""
    by_rule: dict[str, list[Work]] = {rule: [] for rule in STAGES}
    for work in _work(plan):
        by_rule[work.rule].append(work)
    return [
        _estimate(rule, works, [each for each in records if each.rule == MEASURED_AS.get(rule, rule)])
        for rule, works in by_rule.items()
        if works
    ]


def space(plan: Plan) -> list[Space]:
    """Disk space of what a plan writes, without the downloads themselves."""
    corpora, features, embeddings = plan.corpora, plan.features, plan.embedded
    return [
        _space(
            "corpora",
            (_times(_seconds(plan, name), rate * BYTES_OF_SAMPLE * _tracks(plan, name)) for name, rate in corpora),
        ),
        _space(
            "features",
            (
                _times(
                    _seconds(plan, corpus),
                    registry.load("worker", worker).CHANNELS * FRAMES_PER_SECOND * BYTES_OF_FLOAT,
                )
                for corpus, _, worker in features
            ),
        ),
        _space(
            "embeddings",
            (
                _times(_times(_clips(plan, dataset), _embedding(plan, run)), BYTES_OF_FLOAT)
                for run, dataset in embeddings
            ),
        ),
    ]


def read_records(folders: Iterable[Path]) -> tuple[list[Measured], list[Path]]:
    """All records below results folders, and the files that should be records but cannot be read as such."""
    odd: list[Path] = []
    return [measured for folder in folders for measured in _records_in(folder, odd)], odd


def _estimate(rule: str, works: Sequence[Work], records: Sequence[Measured]) -> Estimate:
    used: set[Measured] = set()
    hours, unknown = 0.0, 0
    for work in works:
        alike = _most_alike(work, records)
        if work.amount is None or not alike:
            unknown += 1
            continue
        used.update(alike)
        rate = sum(each.seconds for each in alike) / sum(each.amount for each in alike)
        hours += work.amount * rate / 3600
    device = ", ".join(sorted({each.device for each in used}))
    return Estimate(rule=rule, jobs=len(works), hours=hours, device=device, records=len(used), unknown=unknown)


def _most_alike(work: Work, records: Sequence[Measured]) -> list[Measured]:
    """Records that share the longest beginning of the key; encoders of other options say nothing."""
    for length in range(len(work.key), 0, -1):
        alike = [each for each in records if each.key[:length] == work.key[:length] and each.amount > 0]
        if alike:
            return [each for each in alike if each.on_gpu] or alike
    return []


def _work(plan: Plan) -> Iterator[Work]:
    """Every job between the data and the trials, in the order of the stages."""
    for dataset, rate in plan.corpora:
        yield Work(rule="prepare", key=("decoding", str(rate)), amount=_seconds(plan, dataset))
    for corpus, _, worker in plan.features:
        yield Work(rule="extract", key=(worker,), amount=_seconds(plan, corpus))
    planned = set(plan.pretrained)
    for run in plan.pretrained:
        heard = _heard(plan, run)
        if source := plan.levels.weights_source(run):
            # the other run goes on from these epochs, so they cost nothing more where it is planned as well
            share = 0.0 if source in planned else _weighed_share(plan, run)
            yield Work(rule="weigh", key=_trained_key(plan, run), amount=_times(heard, share))
        yield Work(rule="pretrain", key=_trained_key(plan, run), amount=heard)
    for run in plan.separating:  # by the songs of one split, but as great a share of each corpus
        yield Work(
            rule="evaluate_separation", key=(_text(plan.levels.encoder(run)),), amount=_seconds(plan, run.corpus)
        )
    for run, dataset in plan.embedded:
        yield Work(rule="embed", key=(_text(plan.levels.encoder(run)),), amount=_seconds(plan, dataset))
    for run, cell in plan.evaluations:
        yield _evaluation(plan, run, cell)


def _evaluation(plan: Plan, run: Run, cell: CellKey) -> Work:
    config = json.loads(plan.jobs.evaluate(run, cell).config)
    clips = _times(_clips(plan, cell.dataset), config["trials"] * float(cell.fraction.removesuffix("pct")) / 100)
    if config["encoder"] is None:
        return Work(rule="evaluate_embeddings", key=(config["head"]["name"],), amount=clips)
    heard = _times(_crop_seconds(config) or _clip_seconds(plan, cell.dataset), _most_epochs(config))
    return Work(rule="evaluate_encoder", key=_evaluated_key(config), amount=_times(clips, heard))


def _most_epochs(config: Mapping[str, Any]) -> float:
    """Epochs that a trial may take: in each of its trainings those of all phases, up to the limit of the whole."""
    training, scenario = config["training"], config["scenario"]
    limits = [phase.get("max_epochs") for phase in training.get("phases") or ()]
    most = training["max_epochs"]
    if limits and None not in limits:
        most = min(most, sum(limits))
    return float(most * getattr(registry.load("scenario", scenario), "TRAININGS", 1))


def _crop_seconds(config: Mapping[str, Any]) -> float | None:
    """Seconds of a clip that an epoch hears, the window of a head that reads maps; None: the whole clip."""
    if not _reads_maps(config):
        seconds: float | None = config["training"].get("crop_seconds")
        return seconds
    head = registry.load("head", config["head"]["name"])
    encoder = registry.load("encoder", config["encoder"]["name"])
    rate = encoder.sample_rate(registry.options(encoder, config["encoder"]["options"]))
    return float(head.window(registry.options(head, config["head"]["options"])) / rate)


def _evaluated_key(config: Mapping[str, Any]) -> Key:
    """What learns, then how; a head on an embedding costs next to nothing beside the encoder, one on maps much."""
    head = config["head"]
    learning = [config["encoder"]]
    if _reads_maps(config):
        free = getattr(registry.load("head", head["name"]), "INITIAL_WEIGHTS", ())
        options = {name: value for name, value in head["options"].items() if name not in free}
        learning.append({"name": head["name"], "options": options})
    return (_text(learning), config["scenario"])


def _reads_maps(config: Mapping[str, Any]) -> bool:
    return bool(registry.load("head", config["head"]["name"]).READS == "maps")


def _trained_key(plan: Plan, run: Run) -> Key:
    return (_text(plan.levels.encoder(run)), _text(json.loads(plan.jobs.pretrain(run).config)["workers"]))


def _embedding(plan: Plan, run: Run) -> float | None:
    """Length of a clip's embedding; None where it depends on the crops of a clip or the width of the network."""
    encoder = plan.levels.encoder(run)
    stated = encoder["options"].get("embedding", getattr(registry.load("encoder", encoder["name"]), "EMBEDDING", None))
    return None if stated is None else float(stated)


def _heard(plan: Plan, run: Run) -> float | None:
    """Seconds of audio that a pre-training hears; None where an epoch is of songs, whose number no plan knows."""
    recipe = plan.config["recipes"][run.recipe]
    if recipe.get("steps_per_epoch"):
        return float(recipe["epochs"] * recipe["steps_per_epoch"] * recipe["batch"] * recipe["chunk_seconds"])
    if recipe.get("epoch_of") == "clips":
        songs = recipe.get("join_songs", False)
        return None if songs else _times(_clips(plan, run.corpus), recipe["epochs"] * recipe["chunk_seconds"])
    return _times(_seconds(plan, run.corpus), recipe["epochs"])  # an epoch hears about as much as there is


def _weighed_share(plan: Plan, run: Run) -> float:
    epochs = plan.config["recipes"][run.recipe]["epochs"]
    return min(plan.levels.named("weightings", run.weighting)["options"].get("epochs", epochs), epochs) / epochs


def _size(plan: Plan, dataset: str) -> dict[str, float] | None:
    """Clips of a data set and the seconds of each, from its twin's options or from what is known of the set."""
    entry = plan.config["datasets"][dataset]
    loader, known = registry.load("dataset", entry["loader"]), entry.get("twin")
    if entry["source"] != "twin":
        known = dataset_facts.size(loader, registry.options(loader, entry.get("options") or {}))
    if known is None:
        return None
    clips = (entry.get("options") or {}).get("clips") or known["clips"]
    seconds = known.get("clip_seconds") or known["seconds"]
    return {"clips": clips, "seconds": min(seconds, entry.get("clip_seconds") or seconds)}


def _tracks(plan: Plan, dataset: str) -> int:
    """Recordings of each clip in a corpus: the clip, and the stems that a data set has."""
    return 1 + len(plan.levels.stems.get(dataset, ()))


def _clips(plan: Plan, dataset: str) -> float | None:
    size = _size(plan, dataset)
    return None if size is None else size["clips"]


def _clip_seconds(plan: Plan, dataset: str) -> float | None:
    size = _size(plan, dataset)
    return None if size is None else size["seconds"]


def _seconds(plan: Plan, dataset: str) -> float | None:
    return _times(_clips(plan, dataset), _clip_seconds(plan, dataset))


def _times(amount: float | None, factor: float | None) -> float | None:
    return None if amount is None or factor is None else amount * factor


def _space(what: str, sizes: Iterable[float | None]) -> Space:
    listed = list(sizes)
    return Space(what=what, size=sum(size for size in listed if size is not None), unknown=listed.count(None))


def _text(content: object) -> str:
    return json.dumps(content, sort_keys=True)


def _prepared(path: Path, corpora: Corpora) -> Measured:  # noqa: ARG001 - as all readers
    facts = _read(path.with_name("corpus.json"))
    key = ("decoding", str(facts["sample_rate"]))
    return _measured(_read(path), rule="prepare", key=key, amount=facts["seconds"])


def _extracted(path: Path, corpora: Corpora) -> Measured:
    record = _read(path)
    return _measured(
        record, rule="extract", key=(record["config"]["worker"],), amount=_amount(corpora, "seconds", record)
    )


def _pretrained(path: Path, corpora: Corpora) -> Measured | None:  # noqa: ARG001 - as all readers
    record = _read(path)
    if "steps" not in record:  # that of an imported checkpoint
        return None
    recipe = record["config"]["recipe"]
    return _measured(
        record,
        rule="pretrain",
        key=(_text(record["config"]["encoder"]), _text(record["config"]["workers"])),
        amount=record["steps"] * recipe["batch"] * recipe["chunk_seconds"],
        seconds=record["training_seconds"],
    )


def _judged(path: Path, corpora: Corpora) -> Measured:
    record = _read(path)
    key = (_text(record["config"]["encoder"]),)
    return _measured(record, rule="evaluate_separation", key=key, amount=_amount(corpora, "seconds", record))


def _embedded(path: Path, corpora: Corpora) -> Measured:
    record = _read(path)
    key = (_text(record["config"]["encoder"]),)
    return _measured(record, rule="embed", key=key, amount=_amount(corpora, "seconds", record))


def _evaluated(path: Path, corpora: Corpora) -> Measured:
    record = _read(path)
    config = record["config"]
    clips = _amount(corpora, "clips", record) * config["trials"] * float(config["fraction"].removesuffix("pct")) / 100
    if config["encoder"] is None:
        return _measured(record, rule="evaluate_embeddings", key=(config["head"]["name"],), amount=clips)
    length = _amount(corpora, "seconds", record) / max(1, _amount(corpora, "clips", record))
    heard = clips * (_crop_seconds(config) or length) * _mean_epochs(path.with_name("trials.csv"))
    return _measured(record, rule="evaluate_encoder", key=_evaluated_key(config), amount=heard)


#: where records lie in a results folder, and what is read from each; None: nothing that is measured
READERS: tuple[tuple[str, Callable[[Path, Corpora], Measured | None]], ...] = (
    ("corpora/*/*/record.json", _prepared),
    ("features/*/*/*.json", _extracted),
    ("pretrained/**/record.json", _pretrained),
    ("pretrained/**/separation.json", _judged),
    ("embeddings/**/*.json", _embedded),
    ("evaluations/**/record.json", _evaluated),
)


def _records_in(folder: Path, odd: list[Path]) -> Iterator[Measured]:
    corpora: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("corpora/*/*/corpus.json")):
        with _noted_if_odd(path, odd):
            facts = _read(path)
            corpora[facts["digest"]] = {"seconds": float(facts["seconds"]), "clips": float(facts["clips"])}
    for pattern, measured in READERS:
        for path in sorted(folder.glob(pattern)):
            found = None
            with _noted_if_odd(path, odd):
                found = measured(path, corpora)
            if found is not None:
                yield found


@contextmanager
def _noted_if_odd(path: Path, odd: list[Path]) -> Iterator[None]:
    try:
        yield
    except Exception:  # what is damaged, or of another version, can be wrong in any way
        odd.append(path)


def _mean_epochs(trials: Path) -> float:
    """Epochs that a trial took."""
    with trials.open(encoding="utf-8", newline="") as file:
        return fmean(float(row["epochs"]) for row in csv.DictReader(file))


def _amount(corpora: Corpora, what: str, record: Mapping[str, Any]) -> float:
    return float(sum(corpora.get(digest, {}).get(what, 0) for digest in record["data"].values()))


def _measured(
    record: Mapping[str, Any], *, rule: str, key: Key, amount: float, seconds: float | None = None
) -> Measured:
    taken = float(record["seconds"] if seconds is None else seconds)
    if not (0 <= amount < math.inf and 0 <= taken < math.inf and all(isinstance(part, str) for part in key)):
        raise ValueError(f"{amount} in {taken} s of {key}")
    return Measured(rule=rule, key=key, amount=amount, seconds=taken, device=str(record["device"]))


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
