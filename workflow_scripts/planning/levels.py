"""Levels of a config: the facts and options of data sets, encoders and workers that planning needs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.runs import Run


class Levels:
    """Facts and options of the levels that a config names."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Take a validated config."""
        self.config = config
        self._sample_rates: dict[str, int] = {}

    def named(self, section: str, name: str) -> dict[str, Any]:
        """Return the level and the options of an entry of a section."""
        entry = registry.entry(self.config[section], name)
        return {"name": entry.level, "options": entry.options}

    def encoder(self, run: Run) -> dict[str, Any]:
        """Return the level and the options of a run's encoder.

        A checkpoint has options of its own; of the encoder's entry it takes those that make a variant.
        """
        encoder = self.named("encoders", run.encoder)
        if not run.imported:
            return encoder
        fixed = getattr(registry.load("encoder", encoder["name"]), "VARIANT_OPTIONS", ())
        variant = {name: value for name, value in encoder["options"].items() if name in fixed}
        return encoder | {"options": variant | (self.config["checkpoints"][run.corpus].get("options") or {})}

    def sample_rate(self, encoder: str) -> int:
        """Return the sample rate in Hz of an encoder's input."""
        if encoder not in self._sample_rates:
            entry = registry.entry(self.config["encoders"], encoder)
            level = registry.load("encoder", entry.level)
            self._sample_rates[encoder] = level.sample_rate(registry.options(level, entry.options))
        return self._sample_rates[encoder]

    def workers(self, run: Run) -> dict[str, dict[str, Any]]:
        """Return the workers in a run's worker set, with their options."""
        return {} if run.workers == NONE else workers_of(self.config, run.workers)

    def precomputed_workers(self, run: Run) -> list[str]:
        """Return the workers of a run whose targets the `extract` rule stores."""
        return [name for name in self.workers(run) if registry.load("worker", name).PRECOMPUTED]

    def separation_worker(self, run: Run) -> str | None:
        """Return a worker that trains a run to separate sources, or None; several workers share their mixtures."""
        return next((name for name in self.workers(run) if hasattr(registry.load("worker", name), "mix")), None)

    def weights_source(self, run: Run) -> Run | None:
        """Return the run whose first losses determine the loss weights of a run; None where all weights are 1."""
        if run.weighting == NONE:
            return None
        level = registry.load("weighting", self.named("weightings", run.weighting)["name"])
        return replace(run, weighting=level.WEIGHED_BY) if level.WEIGHED_BY else None

    @functools.cached_property
    def encoders_of_checkpoints(self) -> dict[str, str]:
        """Encoder of each checkpoint that can be imported."""
        return {name: entry["encoder"] for name, entry in self.config.get("checkpoints", {}).items()}

    @functools.cached_property
    def stems(self) -> dict[str, tuple[str, ...]]:
        """Stems of every data set that has any; `UserError` unless all such sets have the same."""
        stems: dict[str, tuple[str, ...]] = {}
        for name, entry in self.config["datasets"].items():
            names = getattr(registry.load("dataset", entry["loader"]), "STEMS", None)
            if names is not None:
                stems[name] = names
        if len(set(stems.values())) > 1:
            raise UserError(
                f"datasets {', '.join(stems)} have different stems: use sets with the same stems in one config"
            )
        return stems

    def catalogue(self, dataset: str) -> object:
        """Return the catalogue that numbers a data set's recordings, with the pattern of a number, or None."""
        loader = self.config["datasets"][dataset]["loader"]
        return getattr(registry.load("dataset", loader), "CATALOGUE", None)


def workers_of(config: Mapping[str, Any], worker_set: str) -> dict[str, dict[str, Any]]:
    """Return the options of each worker of a set, by the name of the worker's level."""
    entries = (registry.entry(config["workers"], name) for name in config["worker_sets"][worker_set])
    return {entry.level: entry.options for entry in entries}
