"""A pre-training built from its config: encoder, workers, weights, data and trainer in one place."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_rate, save_encoder
from workflow_scripts.configuration import compatibility
from workflow_scripts.core import files, provenance
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.stored import StoredFeature
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Augmentation, Encoder, Worker
from workflow_scripts.pretraining import distributed
from workflow_scripts.pretraining import recipe as recipes
from workflow_scripts.pretraining.concatenated_songs import Songs
from workflow_scripts.pretraining.recipe import Recipe
from workflow_scripts.pretraining.sampling import BatchLoader, Cutter, Purpose, Recordings, seed_for
from workflow_scripts.pretraining.stem_mixtures import Mixer
from workflow_scripts.pretraining.trainer import Outcome, Trainer
from workflow_scripts.pretraining.training_state import StateFile


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What a pre-training is made of, built from its config."""

    config: Mapping[str, Any]
    corpus: Corpus
    features: Mapping[str, Path]
    output: Path
    code: str
    device: torch.device
    weights: Mapping[str, float] | None = None  # of each worker's loss; None: all 1

    @property
    def recipe(self) -> Recipe:
        """The recipe's numbers."""
        return registry.options(recipes, self.config["recipe"])

    def encoder(self) -> Encoder:
        """Build the encoder; its weights depend on the seed alone, so runs with other workers start equal."""
        level, _ = self._level("encoder")
        if not level.TRAINABLE:
            raise UserError(f"encoder {self.config['encoder']['name']} cannot be pre-trained: choose another")
        encoder = build_encoder(self.config["encoder"], seed=self.config["seed"], checkpoint=None)
        check_rate(encoder, self.corpus)
        return encoder

    def workers(self, embedding_size: int) -> dict[str, Worker]:
        """Build the workers in order of their names; first weights depend on the seed and the worker's name alone."""
        built: dict[str, Worker] = {}
        for name in sorted(self.config["workers"]):
            level = registry.load("worker", name)
            options = registry.options(level, self.config["workers"][name])
            if level.PRECOMPUTED and name not in self.features:
                raise UserError(f"worker {name} needs stored targets: give --features {name}=FILE, written by extract")
            torch.manual_seed(seed_for(self.config["seed"], Purpose.WORKER, *name.encode()))
            built[name] = level.build(options, embedding_size=embedding_size)
        if not built:
            raise UserError("a pre-training needs at least one worker")
        return built

    def trainer(self) -> Trainer:
        """Put everything together."""
        recipe, encoder = self.recipe, self.encoder()
        workers = self.workers(encoder.embedding_size)
        for worker in workers.values():
            worker.check(encoder)
        weighting, _ = self._level("weighting")
        if weighting.WEIGHED_BY and self.weights is None:
            raise UserError(f"weighting {self.config['weighting']['name']} needs --weights, written by weigh")
        length = encoder.chunk_length(recipe.chunk_seconds)
        mixer, recordings = self._mixer(), self._recordings()
        return Trainer(
            encoder=encoder,
            workers=workers,
            weigh=weighting.weigh,
            weights=self._weights(workers),
            cutter=Cutter(
                recordings,
                batch=recipe.batch,
                length=length,
                seed=self.config["seed"],
                views=self.views if mixer is None else mixer.mix.size,
                mixed=mixer is not None,
            ),
            loader=BatchLoader(
                corpus=recordings,
                features={
                    name: StoredFeature(path, self.corpus) for name, path in self.features.items() if name in workers
                },
                augmentation=self._augmentation(encoder.sample_rate),
                length=length,
                device=self.device,
                mixer=mixer,
            ),
            recipe=recipe,
            seed=self.config["seed"],
            state=self.state,
        )

    @property
    def views(self) -> int:
        """Pieces of each clip in a batch: as many as the worker needs that needs most."""
        return max(getattr(registry.load("worker", name), "VIEWS", 1) for name in self.config["workers"])

    def _recordings(self) -> Recordings:
        """What pieces are cut from."""
        return Songs(self.corpus) if self.recipe.join_songs else self.corpus

    def _mixer(self) -> Mixer | None:
        """What makes mixtures, where a worker asks for them.

        `UserError` where no piece can serve all workers, or where no song is left to judge by what was learned.
        """
        workers = {name: registry.load("worker", name) for name in self.config["workers"]}
        mixes = {name: level.MIX for name, level in sorted(workers.items()) if hasattr(level, "MIX")}
        compatibility.require_pieces(
            joined=self.recipe.join_songs, stored=[*self.features], mixing=[*mixes], views=self.views
        )
        if not mixes:
            return None
        mixer = Mixer(self.corpus, *mixes.values())
        tested = self.corpus.rows(compatibility.JUDGED_SPLIT)
        compatibility.require_songs_to_judge(len(tested), corpus=self.corpus.folder)
        return mixer

    def _augmentation(self, sample_rate: int) -> Augmentation:
        level, options = self._level("augmentation")
        built: Augmentation = level.build(options, sample_rate=sample_rate)
        name = self.config["augmentation"]["name"]
        compatibility.require_views(self.views, augmentation=name, one_sided=built.one_sided)
        return built

    @property
    def state(self) -> StateFile:
        """The file from which the run goes on."""
        return StateFile(self.output, self.digest())

    def digest(self) -> str:
        """Digest of everything the result depends on."""
        features = {name: _origin(path) for name, path in self.features.items()}
        weights = dict(self.weights) if self.weights is not None else None
        return provenance.digest([self.config, self.code, self.corpus.facts.digest, features, weights])

    def write(self, trainer: Trainer, outcome: Outcome) -> dict[str, object]:
        """Write weights and losses; return what the record says of the run."""
        _, options = self._level("encoder")
        name = self.config["encoder"]["name"]
        save_encoder(self.output / "encoder.safetensors", trainer.encoder, name=name, options=options, code=self.code)
        files.write_text(self.output / "losses.csv", outcome.history.as_csv())
        chunk_seconds = trainer.loader.length / trainer.encoder.sample_rate
        audio_seconds = outcome.steps * self.recipe.batch * self.views * chunk_seconds
        precision = trainer.autocast_type or torch.float32
        return {
            "seed": self.config["seed"],
            "steps": outcome.steps,
            "steps_per_second": outcome.steps / outcome.seconds,
            "audio_seconds_per_second": audio_seconds / outcome.seconds,
            "training_seconds": round(outcome.seconds, 3),
            "resumed": outcome.resumed,
            "precision": str(precision).removeprefix("torch."),
            "compiled": trainer.compiled,
            **outcome.throughput.as_record(device=self.device, precision=precision, processes=distributed.size()),
            "parameters": {
                "encoder": _parameters(trainer.encoder),
                "workers": {worker: _parameters(module) for worker, module in trainer.workers.items()},
            },
            "clips_too_short": trainer.cutter.too_short,
        }

    def _weights(self, workers: Mapping[str, Worker]) -> dict[str, float]:
        if self.weights is None:
            return dict.fromkeys(workers, 1.0)
        if set(self.weights) != set(workers):
            raise UserError(
                f"the weights are those of {', '.join(sorted(self.weights))}, not of {', '.join(workers)}: weigh again"
            )
        return {name: self.weights[name] for name in workers}

    def _level(self, factor: str) -> tuple[Any, Any]:
        chosen = self.config[factor]
        level = registry.load(factor, chosen["name"])
        return level, registry.options(level, chosen.get("options", {}))


def _origin(path: Path) -> object:
    """Return what identifies stored features: the digests in their record, which `extract` writes beside them."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path.with_suffix('.json')} is missing or damaged: extract {path.name} again") from error
    return {key: record.get(key) for key in ("code", "config_digest", "data")}


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def named_file(text: str) -> tuple[str, Path]:
    """Split WORKER=FILE as command lines give stored targets; argparse's error for anything else."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} must be WORKER=FILE")
    return name, Path(path)
