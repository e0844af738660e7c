"""What of source separation, and of heads on its maps, could only fail in a job: told before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry


def check_separation(grid: Mapping[str, Sequence[Any]], config: Mapping[str, Any], *, where: str) -> None:
    """Every pre-training of a grid that separates sources has their stems and as many masks; `UserError` where not.

    A worker set has at most one worker that separates: those with `mix(options)`, whose sources they separate. Encoders
    state by `separates` how many sources they have masks for.
    """
    if not any(registry.load("scenario", scenario).PRETRAINED for scenario in grid["scenario"]):
        return
    for workers in grid["workers"]:
        separating = [name for name in config["worker_sets"][workers] if _separates(config, name)]
        if not separating:
            continue
        worker = separating[0]
        entry = registry.entry(config["workers"], worker)
        level = registry.load("worker", entry.level)
        sources = len(level.mix(registry.options(level, entry.options)).sources)
        for corpus in grid["corpus"]:
            if not _has_stems(config, corpus):
                raise UserError(
                    f"{where}: grid.corpus: {corpus} has no stems for {worker} to separate; "
                    f"allowed: {_listed(name for name in config['datasets'] if _has_stems(config, name))}"
                )
        for encoder in grid["encoder"]:
            able = sorted(name for name in config["encoders"] if _masks(config, name) == sources)
            if encoder not in able:
                raise UserError(f"{where}: grid.encoder: {encoder} has no masks for {worker}; allowed: {_listed(able)}")


def check_heads_on_maps(
    grid: Mapping[str, Sequence[Any]], floors: Sequence[str], config: Mapping[str, Any], *, where: str
) -> None:
    """Heads that read maps are trained with an encoder, by windows of their own; `UserError` where they cannot be."""
    for head in grid["head"]:
        chosen = registry.entry(config["heads"], head)
        level, options = chosen.level, chosen.options
        if registry.load("head", level).READS != "maps":
            continue
        if floors:
            raise UserError(
                f"{where}: floors: {floors[0]} is evaluated frozen, and {head} reads maps: have none, or another head"
            )
        if "three_stage" in grid["scenario"] and options.get("adaptation", "sum") != "sum" and level != "ast":
            raise UserError(
                f"{where}: grid.head: {head} cannot learn in three stages: adaptation {options['adaptation']} gives "
                "its blocks other channels than alone; allowed: sum"
            )
        for scenario in grid["scenario"]:
            if _settings(config["evaluation"], head=head, scenario=scenario).get("crops") == "pool":
                raise UserError(
                    f"{where}: grid.head: {head} has no embeddings to pool: set evaluation.crops to average"
                )


def check_files_of_heads(grid: Mapping[str, Sequence[Any]], config: Mapping[str, Any], *, where: str) -> None:
    """The files whose weights the heads of a grid start from are there; `UserError` where one is not.

    They are no inputs of a rule, and the jobs that read them come last, after all pre-training.
    """
    for head in grid["head"]:
        path = registry.entry(config["heads"], head).options.get("checkpoint")
        if path is not None and not Path(path).is_file():
            wrong = "is a folder" if Path(path).is_dir() else "there is no such file"
            raise UserError(
                f"{where}: grid.head: {head} starts from {path}: {wrong}; name the file of weights in "
                f"heads.{head}.checkpoint"
            )


def _settings(evaluation: Mapping[str, Any], *, head: str, scenario: str) -> dict[str, Any]:
    """Numbers of downstream training, those of the head and the scenario over the others."""
    return {
        **evaluation,
        **evaluation.get("heads", {}).get(head, {}),
        **evaluation.get("scenarios", {}).get(scenario, {}),
    }


def _separates(config: Mapping[str, Any], worker: str) -> bool:
    return hasattr(registry.load("worker", registry.entry(config["workers"], worker).level), "mix")


def _masks(config: Mapping[str, Any], encoder: str) -> int:
    """Return how many sources an encoder that can be trained has masks for."""
    chosen = registry.entry(config["encoders"], encoder)
    level = registry.load("encoder", chosen.level)
    if not (chosen.trained and hasattr(level, "separates")):
        return 0
    return int(level.separates(registry.options(level, chosen.options)))


def _has_stems(config: Mapping[str, Any], dataset: str) -> bool:
    return hasattr(registry.load("dataset", config["datasets"][dataset]["loader"]), "STEMS")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
