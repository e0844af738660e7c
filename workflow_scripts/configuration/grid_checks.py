"""Checks of the levels of a grid against each other: mistakes that otherwise only a job would find."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.configuration import compatibility
from workflow_scripts.configuration.config import Config, Level
from workflow_scripts.configuration.origin import StudyOrigin
from workflow_scripts.configuration.study import Grid, StudyConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry


@dataclass(frozen=True)
class Draft:
    """A study that is checked, the config it belongs to, and where its keys are stated."""

    study: StudyConfig
    config: Config
    origin: StudyOrigin

    def where(self, *path: str) -> str:
        """Return file and key of a key of the study."""
        return self.origin.at(*path)

    def trim_key(self, *path: str) -> str:
        """Return the key of a config that replaces a key of the study."""
        return ".".join(("trim", self.origin.name, *(path[1:] if path[0] == "grid" else path)))


#: sections of the config with the levels of pre-training that are checked against each other
SECTIONS = {"encoder": "encoders", "workers": "worker_sets", "augmentation": "augmentations", "recipe": "recipes"}

GridCheck = Callable[[Grid, Draft], None]


def _check_scenarios(grid: Grid, draft: Draft) -> None:
    """Raise unless every scenario can train every head."""
    for head, scenario in itertools.product(grid.head, grid.scenario):
        reads = draft.config.level("head", head).module.READS
        input_kind = registry.fact(registry.load("scenario", scenario), "HEAD_INPUT") or reads
        if input_kind != reads:
            where = draft.where("grid", "scenario")
            raise UserError(f"{where}: {scenario} is for heads that read {input_kind}, and {head} reads {reads}")


def _check_maps(grid: Grid, draft: Draft) -> None:
    """Raise unless heads that read maps get them, from an encoder that is trained with them."""
    for head in _heads_on_maps(grid, draft.config):
        for encoder in grid.encoder:
            if not _has_maps(draft.config, encoder):
                allowed = _join_names(sorted(name for name in draft.config.encoders if _has_maps(draft.config, name)))
                raise UserError(
                    f"{draft.where('grid', 'encoder')}: {encoder} has no maps for head {head}; allowed: {allowed}"
                )
        if draft.study.floors:
            raise UserError(
                f"{draft.where('floors')}: floors are evaluated frozen and head {head} reads maps: remove the floors "
                "or choose another head"
            )
        adaptation = getattr(draft.config.level("head", head).options, "adaptation", "sum")
        if "three_stage" in grid.scenario and adaptation != "sum" and draft.config.level("head", head).file != "ast":
            raise UserError(
                f"{draft.where('grid', 'head')}: {head} cannot learn in three stages: adaptation {adaptation} gives "
                "its blocks other channels than alone; allowed: sum"
            )
        for scenario, protocol in itertools.product(grid.scenario, grid.protocol):
            numbers = draft.config.protocols[protocol].resolve(head=head, scenario=scenario)
            if numbers.get("crops") == "pool":
                raise UserError(
                    f"{draft.where('grid', 'head')}: {head} has no embeddings to pool: set crops to average in "
                    f"protocols.{protocol}, where it may also stand in heads.{head} and scenarios.{scenario}"
                )


def _check_files_of_heads(grid: Grid, draft: Draft) -> None:
    """Raise unless the files whose weights the heads start from are there.

    No rule has them as input, and the jobs that read them come last, after all pre-training.
    """
    for head in grid.head:
        path = getattr(draft.config.level("head", head).options, "checkpoint", None)
        if path is not None and not Path(path).is_file():
            problem = "is a folder" if Path(path).is_dir() else "there is no such file"
            raise UserError(
                f"{draft.where('grid', 'head')}: {head} starts from {path}: {problem}; name the file of weights in "
                f"heads.{head}.checkpoint"
            )


def _check_trainable(grid: Grid, draft: Draft) -> None:
    """Raise unless encoders can be trained; only heads on maps, from scratch, may learn on one that cannot."""
    alone = len(_heads_on_maps(grid, draft.config)) == len(grid.head) and not _pretrains(grid)
    for encoder in grid.encoder if not alone else ():
        if not draft.config.is_trainable(encoder):
            raise UserError(
                f"{draft.where('grid', 'encoder')}: {encoder} cannot be trained, make it a floor; "
                f"allowed: {_join_names(draft.config.trainable_encoders())}"
            )


def _check_networks(grid: Grid, draft: Draft) -> None:
    """Raise unless the networks of all encoders are part of Prelude; no digest covers the files of others."""
    for encoder in grid.encoder:
        if registry.fact(draft.config.level("encoder", encoder).module, "EXTERNAL"):
            raise UserError(
                f"{draft.where('grid', 'encoder')}: the network of {encoder} is not part of Prelude: make it an entry "
                f"of the config's checkpoints, and name that in {draft.trim_key('checkpoints')}"
            )


def _check_pretraining(grid: Grid, draft: Draft) -> None:
    """Raise unless every encoder, worker set, augmentation and recipe go together, if the grid pre-trains."""
    for names in itertools.product(*(grid.levels(factor) for factor in SECTIONS)) if _pretrains(grid) else ():
        levels = dict(zip(SECTIONS, map(str, names), strict=True))
        try:
            _check_pretraining_levels(draft.config, **levels)
        except UserError as error:
            levels_text = " with ".join(f"{factor} {name}" for factor, name in levels.items())
            raise UserError(f"{draft.origin.files}: grid: {levels_text}: {error}{_origins(draft, levels)}") from error


def _origins(draft: Draft, levels: Mapping[str, str]) -> str:
    """Return which of these levels of pre-training the user's own configs state, or choose by trim."""
    entries = [(SECTIONS[factor], name) for factor, name in levels.items()]
    entries += [("workers", name) for name in draft.config.worker_sets[levels["workers"]]]
    chosen = [("trim", draft.origin.name, factor) for factor in levels]
    return draft.origin.config.overrides(*chosen, *entries)


def _check_pretraining_levels(config: Config, *, encoder: str, workers: str, augmentation: str, recipe: str) -> None:
    """Raise unless these levels can pre-train; the message lacks file and key."""
    tasks, numbers = config.workers_of(workers), config.recipes[recipe]
    effects, network = config.level("augmentation", augmentation).options, config.level("encoder", encoder)
    views = max((registry.fact(task.module, "VIEWS") for task in tasks.values()), default=1)
    compatibility.require_views(views, augmentation=augmentation, one_sided=getattr(effects, "one_sided", False))
    compatibility.require_compatible_crops(
        joined=numbers.join_songs,
        stored=[name for name, task in tasks.items() if task.module.PRECOMPUTED],
        mixing=[name for name, task in tasks.items() if hasattr(task.module, "mix")],
        views=views,
    )
    if hasattr(effects, "require_rate"):
        effects.require_rate(network.module.sample_rate(network.options))
    for task in tasks.values():
        _check_task(task, network=network, seconds=numbers.chunk_seconds)


def _check_task(task: Level, *, network: Level, seconds: float) -> None:
    """Raise unless an encoder has the frames and the context that a worker needs."""
    if every := registry.fact(task.module, "FRAME_EVERY"):
        compatibility.require_frames(network.module.hop(network.options), every=every)
    if hasattr(task.module, "require_chunk"):
        rate, hop = network.module.sample_rate(network.options), network.module.hop(network.options)
        frames = compatibility.max_frames(seconds, sample_rate=rate, hop=hop)
        task.module.require_chunk(task.options, frames=frames)
    if not getattr(task.options, "own_context", True):  # it reads the encoder's
        size = network.module.context_size(network.options) if hasattr(network.module, "context_size") else 0
        compatibility.require_context(size, expected=task.options.context)


def _check_separation(grid: Grid, draft: Draft) -> None:
    """Raise unless a grid that pre-trains by separation has stems to separate, and encoders with as many masks.

    Workers that separate are those with a `mix`, whose sources they separate. Encoders state by `separates` how many
    masks they have.
    """
    for workers in grid.workers if _pretrains(grid) else ():
        for name in draft.config.worker_sets[workers]:
            task = draft.config.level("worker", name)
            if hasattr(task.module, "mix"):
                _check_stems(grid, draft, worker=name)
                _check_masks(grid, draft, worker=name, sources=len(task.module.mix(task.options).sources))


def _check_stems(grid: Grid, draft: Draft, *, worker: str) -> None:
    """Raise unless every corpus has stems that a worker can separate."""
    for corpus in grid.corpus:
        if not _has_stems(draft.config, corpus):
            allowed = _join_names(dataset for dataset in draft.config.datasets if _has_stems(draft.config, dataset))
            raise UserError(
                f"{draft.where('grid', 'corpus')}: {corpus} has no stems for {worker} to separate; allowed: {allowed}"
            )


def _check_masks(grid: Grid, draft: Draft, *, worker: str, sources: int) -> None:
    """Raise unless every encoder has a mask for each of a worker's sources."""
    allowed = sorted(encoder for encoder in draft.config.encoders if _masks(draft.config, encoder) == sources)
    for encoder in grid.encoder:
        if encoder not in allowed:
            where = draft.where("grid", "encoder")
            raise UserError(f"{where}: {encoder} has no masks for {worker}; allowed: {_join_names(allowed)}")


def _check_weightings(grid: Grid, draft: Draft) -> None:
    """Raise unless weightings that weigh by validation losses get some."""
    for weighting, recipe in itertools.product(grid.weighting, grid.recipe):
        weighed = draft.config.level("weighting", weighting).module.WEIGHTS_SOURCE
        if weighed and draft.config.recipes[recipe].validation_batches == 0:
            raise UserError(
                f"{draft.where('grid', 'weighting')}: {weighting} needs validation losses: "
                f"set recipes.{recipe}.validation_batches above 0"
            )


def _check_validation_split(grid: Grid, draft: Draft) -> None:
    """Raise unless recipes that train on the validation split are for corpora that are not evaluated on too."""
    for recipe in grid.recipe if _pretrains(grid) else ():
        shared = [corpus for corpus in grid.corpus if corpus in grid.dataset]
        if shared and draft.config.recipes[recipe].with_validation:
            raise UserError(
                f"{draft.where('grid', 'recipe')}: {recipe} trains on the validation split (with_validation), by which "
                f"heads on {_join_names(shared)} stop: choose another recipe or corpus"
            )


def _pretrains(grid: Grid) -> bool:
    return any(registry.load("scenario", scenario).PRETRAINED for scenario in grid.scenario)


def _heads_on_maps(grid: Grid, config: Config) -> list[str]:
    return [head for head in grid.head if config.level("head", head).module.READS == "maps"]


def _has_maps(config: Config, encoder: str) -> bool:
    """Return whether heads may read maps of an encoder; one that stays untrained is evaluated without them."""
    level = config.level("encoder", encoder)
    return level.trained and bool(registry.fact(level.module, "MAPS"))


def _masks(config: Config, encoder: str) -> int:
    """Return how many sources an encoder that can be trained has masks for."""
    level = config.level("encoder", encoder)
    return int(level.module.separates(level.options)) if level.trained and hasattr(level.module, "separates") else 0


def _has_stems(config: Config, dataset: str) -> bool:
    return bool(registry.fact(config.level("dataset", dataset).module, "STEMS"))


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


#: in the order in which mistakes are reported
GRID_CHECKS: tuple[GridCheck, ...] = (
    _check_scenarios,
    _check_maps,
    _check_files_of_heads,
    _check_networks,
    _check_trainable,
    _check_pretraining,
    _check_separation,
    _check_weightings,
    _check_validation_split,
)
