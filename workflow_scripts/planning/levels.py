"""Facts and options of data sets, encoders and workers that planning needs."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_scripts.configuration.config import Config, Level
from workflow_scripts.configuration.jobs._base import LevelChoice
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.levels.factors import NONE
from workflow_scripts.planning.runs import Run


class Levels:
    """Facts and options of the levels that a config names."""

    def __init__(self, config: Config) -> None:
        """Take a checked config."""
        self.config = config
        self._sample_rates: dict[tuple[str, str], int] = {}

    def choice(self, factor: str, name: str) -> LevelChoice:
        """Return the level of an entry and the options that it states."""
        level = self.config.level(factor, name)
        return LevelChoice(name=level.file, options=level.explicit_options)

    def encoder(self, run: Run) -> LevelChoice:
        """Return the level and the options of a run's encoder.

        A checkpoint has options of its own; of the encoder's entry it takes those that make a variant.
        """
        if not run.is_imported:
            return self.choice("encoder", run.encoder)
        level = self.config.level("encoder", run.encoder)
        fixed = registry.fact(level.module, "VARIANT_OPTIONS")
        variant = {name: value for name, value in level.explicit_options.items() if name in fixed}
        is_external = registry.fact(level.module, "EXTERNAL")
        own = self.config.checkpoints[run.corpus].options_of_encoder(is_external=is_external)
        return LevelChoice(name=level.file, options=variant | own)

    def external_files(self, run: Run) -> list[Path] | None:
        """Return the files of an imported run's network if it is not part of Prelude; None for all others.

        Raises `UserError`, which names the checkpoint, if they cannot be found out.
        """
        module = self.config.level("encoder", run.encoder).module
        if not registry.fact(module, "EXTERNAL"):
            return None
        try:
            return [Path(path) for path in module.content(registry.options(module, self.encoder(run).options))]
        except UserError as error:
            raise UserError(f"checkpoints.{run.corpus}: {error}") from error

    def sample_rate(self, run: Run) -> int:
        """Return the sample rate in Hz of the input of a run's encoder, on which its options may decide."""
        key = run.encoder, run.corpus if run.is_imported else ""
        if key not in self._sample_rates:
            module = self.config.level("encoder", run.encoder).module
            self._sample_rates[key] = module.sample_rate(registry.options(module, self.encoder(run).options))
        return self._sample_rates[key]

    def workers(self, run: Run) -> dict[str, Level]:
        """Return the workers in a run's worker set, by the files of their levels."""
        return {} if run.workers == NONE else self.config.workers_of(run.workers)

    def precomputed_workers(self, run: Run) -> list[str]:
        """Return the workers of a run whose targets the `extract` rule stores."""
        return [name for name, worker in self.workers(run).items() if worker.module.PRECOMPUTED]

    def separation_worker(self, run: Run) -> str | None:
        """Return a worker that trains a run to separate sources, or None; several workers share their mixtures."""
        return next((name for name, worker in self.workers(run).items() if hasattr(worker.module, "mix")), None)

    def fetched_weights(self, head: str) -> str | None:
        """Return the model of timm whose weights a head starts from; None if it draws them or has a file of them."""
        level = self.config.level("head", head)
        options: Any = level.options
        if not getattr(options, "imagenet", False) or options.checkpoint is not None:
            return None
        return str(level.module.SIZES[options.size].deit)

    def weights_source(self, run: Run) -> Run | None:
        """Return the run whose first losses determine the loss weights of a run; None where all weights are 1."""
        if run.weighting == NONE:
            return None
        source = self.config.level("weighting", run.weighting).module.WEIGHTS_SOURCE
        return replace(run, weighting=source) if source else None

    def recordings_of(self, dataset: str) -> set[str]:
        """Return names of the recordings of a data set: its own and, of a published set, that of its loader.

        Two data sets with a name in common share recordings. Any name may be given, also of a set not in the config.
        """
        names = {dataset.lower()}
        if dataset in self.config.datasets:
            level = self.config.level("dataset", dataset)
            if dataset_facts.size(level.module, level.options) is not None:
                names.add(level.file)
        return names

    @functools.cached_property
    def encoders_of_checkpoints(self) -> dict[str, str]:
        """Encoder of each checkpoint that can be imported."""
        return {name: entry.encoder for name, entry in self.config.checkpoints.items()}

    @functools.cached_property
    def stems(self) -> dict[str, tuple[str, ...]]:
        """Stems of every data set that has any; `UserError` unless all such sets have the same."""
        modules = {name: self.config.level("dataset", name).module for name in self.config.datasets}
        stems = {name: names for name, module in modules.items() if (names := registry.fact(module, "STEMS"))}
        if len(set(stems.values())) > 1:
            raise UserError(
                f"datasets {', '.join(stems)} have different stems: use sets with the same stems in one config"
            )
        return stems
