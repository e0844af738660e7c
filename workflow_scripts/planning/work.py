"""Work of planned jobs, in a unit that the seconds of their stage are proportional to.

The unit is seconds of audio, or clips where only a head is trained. An amount is not-a-number where it cannot be known
before the run. Trials that may stop early count with all epochs that they may take.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.levels.fractions import parse_fraction
from workflow_scripts.planning.plan import Plan
from workflow_scripts.planning.runs import CellKey, Run

#: properties that change the cost of a unit of work, from the general to the particular
Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Work:
    """Work of one planned job, or of one of several cells that it evaluates."""

    stage: str
    key: Key
    amount: float
    job: object = field(default_factory=object)  # the same for all cells of a job


@dataclass(frozen=True, kw_only=True)
class DatasetSize:
    """Clips of a data set, and the seconds of each; not-a-number where unknown."""

    clips: float = math.nan
    clip_seconds: float = math.nan

    @property
    def seconds(self) -> float:
        """Seconds of all clips."""
        return self.clips * self.clip_seconds


def estimate_work(plan: Plan) -> Iterator[Work]:
    """Yield the work of every job between the data and the trials, in the order of the stages."""
    for dataset, rate in plan.corpora:
        yield Work(stage="prepare", key=preparation_key(rate), amount=dataset_size(plan, dataset).seconds)
    for corpus, _, worker in plan.features:
        yield Work(stage="extract", key=(worker,), amount=dataset_size(plan, corpus).seconds)
    for run in plan.pretrained_runs:
        yield from _pretraining(plan, run)
    for run in plan.separation_runs:  # only the songs of one split, but of every corpus about the same share
        seconds = dataset_size(plan, run.corpus).seconds
        yield Work(stage="evaluate_separation", key=encoder_key(plan.levels.encoder(run).model_dump()), amount=seconds)
    for run, dataset in plan.embedding_jobs:
        seconds = dataset_size(plan, dataset).seconds
        yield Work(stage="embed", key=encoder_key(plan.levels.encoder(run).model_dump()), amount=seconds)
    for run, cell in plan.cells:
        yield _evaluation(plan, run, cell)


def dataset_size(plan: Plan, dataset: str) -> DatasetSize:
    """Return the size of a data set: that of its twin, or that of the published set, cut to the config's limits."""
    entry, level = plan.config.datasets[dataset], plan.config.level("dataset", dataset)
    size = dataset_facts.size(level.module, level.options)
    if entry.twin and entry.source == "twin":
        size = {"clips": entry.twin.clips, "seconds": entry.twin.clip_seconds}
    if size is None:
        return DatasetSize()
    clips = level.explicit_options.get("clips") or size["clips"]
    return DatasetSize(clips=clips, clip_seconds=min(size["seconds"], entry.clip_seconds or size["seconds"]))


def preparation_key(sample_rate: int) -> Key:
    """Return the key of a preparation: resampling to another rate costs another time."""
    return ("decoding", str(sample_rate))


def encoder_key(encoder: object) -> Key:
    """Return the key of a job that runs an encoder (level and options)."""
    return (_as_text(encoder),)


def pretraining_key(config: Mapping[str, Any]) -> Key:
    """Return the key of a pre-training with this job config."""
    return (_as_text(config["encoder"]), _as_text(config["workers"]))


def evaluation_key(config: Mapping[str, Any]) -> Key:
    """Return the key of an evaluation with this job config.

    Where the encoder is trained, a head on embeddings costs next to nothing, but a head on spectrogram maps much.
    """
    head = config["head"]
    if config["encoder"] is None:
        return (head["name"],)
    trained = [config["encoder"]]
    if _reads_maps(config):
        free = registry.fact(registry.load("head", head["name"]), "INITIAL_WEIGHTS")
        options = {name: value for name, value in head["options"].items() if name not in free}
        trained.append({"name": head["name"], "options": options})
    return (_as_text(trained), config["scenario"])


def trained_clips(config: Mapping[str, Any], clips: float) -> float:
    """Return the clips of a fraction of a data set of `clips`, in all trials of a cell and at all learning rates."""
    rates = max(1, len(config["training"].get("learning_rates") or ()))
    return float(clips * config["trials"] * rates * parse_fraction(config["fraction"]))


def crop_seconds(config: Mapping[str, Any], clip_seconds: float) -> float:
    """Return the seconds of a clip that an epoch of an evaluation uses.

    This is the window of a head that reads maps, the crop of the protocol, or the whole clip.
    """
    if not _reads_maps(config):
        return float(config["training"].get("crop_seconds") or clip_seconds)
    head = registry.load("head", config["head"]["name"])
    encoder = registry.load("encoder", config["encoder"]["name"])
    rate = encoder.sample_rate(registry.options(encoder, config["encoder"]["options"]))
    return float(head.window(registry.options(head, config["head"]["options"])) / rate)


def embedding_size(plan: Plan, run: Run) -> float:
    """Return the length of a clip's embedding; not-a-number if it depends on the clip's crops or on other options."""
    encoder = plan.levels.encoder(run)
    default = registry.fact(registry.load("encoder", encoder.name), "EMBEDDING")
    size = encoder.options.get("embedding", default)
    return math.nan if size is None else float(size)


def _pretraining(plan: Plan, run: Run) -> Iterator[Work]:
    key, seconds = pretraining_key(json.loads(plan.jobs.pretrain(run).config)), _pretraining_seconds(plan, run)
    source = plan.levels.weights_source(run)
    if source:
        # The source resumes from these epochs, so they cost nothing more if it is planned as well.
        share = 0.0 if source in plan.pretrained_runs else _share_for_weights(plan, run)
        yield Work(stage="weigh", key=key, amount=seconds * share)
    yield Work(stage="pretrain", key=key, amount=seconds)


def _pretraining_seconds(plan: Plan, run: Run) -> float:
    """Return the seconds of audio of all epochs; not-a-number if an epoch is one of songs: their number is unknown."""
    recipe, size = plan.config.recipes[run.recipe], dataset_size(plan, run.corpus)
    if recipe.steps_per_epoch:
        seconds = recipe.steps_per_epoch * recipe.batch * recipe.chunk_seconds
    elif recipe.epoch_of == "clips":
        seconds = math.nan if recipe.join_songs else size.clips * recipe.chunk_seconds
    else:
        seconds = size.seconds  # an epoch uses about as much audio as the corpus has
    return float(recipe.epochs * seconds)


def _share_for_weights(plan: Plan, run: Run) -> float:
    """Return the share of a pre-training's epochs after which the losses determine the weights."""
    epochs = plan.config.recipes[run.recipe].epochs
    return min(plan.config.level("weighting", run.weighting).explicit_options.get("epochs", epochs), epochs) / epochs


def _evaluation(plan: Plan, run: Run, cell: CellKey) -> Work:
    config, size = json.loads(plan.jobs.evaluate(run, cell).config), dataset_size(plan, cell.dataset)
    clips = trained_clips(config, size.clips)
    if config["encoder"] is None:
        group = plan.cell_groups[run, cell]
        return Work(stage="evaluate_embeddings", key=evaluation_key(config), amount=clips, job=group)
    seconds = clips * crop_seconds(config, size.clip_seconds) * _most_epochs(config)
    return Work(stage="evaluate_encoder", key=evaluation_key(config), amount=seconds)


def _most_epochs(config: Mapping[str, Any]) -> float:
    """Return the epochs that a trial may take: those of all phases up to the limit, in each of its trainings."""
    training = config["training"]
    limits = [phase.get("max_epochs") for phase in training.get("phases") or ()]
    most = training["max_epochs"]
    if limits and None not in limits:
        most = min(most, sum(limits))
    return float(most * registry.fact(registry.load("scenario", config["scenario"]), "TRAININGS"))


def _reads_maps(config: Mapping[str, Any]) -> bool:
    return bool(registry.load("head", config["head"]["name"]).READS == "maps")


def _as_text(content: object) -> str:
    return json.dumps(content, sort_keys=True)
