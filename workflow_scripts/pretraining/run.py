"""Assembly of a pre-training from its config: encoder, workers, loss weights, data and trainer."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder, check_sample_rate, save_encoder
from workflow_scripts.configuration import compatibility
from workflow_scripts.configuration.recipe import Recipe
from workflow_scripts.core import files, provenance, result_files
from workflow_scripts.core.checksums import read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import parse
from workflow_scripts.features.stored_features import StoredFeature
from workflow_scripts.levels import registry
from workflow_scripts.networks.interfaces import Augmentation, Encoder, Worker
from workflow_scripts.pretraining import distributed
from workflow_scripts.pretraining.concatenated_songs import ConcatenatedSongs
from workflow_scripts.pretraining.crop_sampler import CropSampler, Purpose, Recordings, seed_for
from workflow_scripts.pretraining.data_loader import BatchLoader
from workflow_scripts.pretraining.stem_mixtures import Mixer
from workflow_scripts.pretraining.trainer import Trainer, TrainingResult
from workflow_scripts.pretraining.training_state import StateFile


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """A pre-training as its config describes it; the `build_` methods build its parts anew at each call."""

    config: Mapping[str, Any]
    corpus: Corpus
    features: Mapping[str, Path]
    output: Path
    code: str
    device: torch.device
    weights: Mapping[str, float] | None = None  # of the workers' losses, by worker; None: all 1

    @property
    def recipe(self) -> Recipe:
        """Numbers of the recipe."""
        return parse(Recipe, self.config["recipe"], where="recipe")

    def build_encoder(self) -> Encoder:
        """Build the encoder; its weights depend on the seed only, so runs with other workers start equal.

        Raises `UserError` if the encoder cannot be pre-trained, or reads another sample rate than that of the corpus.
        """
        level, _ = self._level("encoder")
        if not level.TRAINABLE:
            raise UserError(f"encoder {self.config['encoder']['name']} cannot be pre-trained: choose another")
        encoder = build_encoder(self.config["encoder"], seed=self.config["seed"], encoder_file=None)
        check_sample_rate(encoder, self.corpus)
        return encoder

    def build_workers(self, embedding_size: int) -> dict[str, Worker]:
        """Build the workers in order of their names; initial weights depend only on the seed and the worker's name.

        Raises `UserError` if there is no worker, or if stored targets are missing.
        """
        workers: dict[str, Worker] = {}
        for name in sorted(self.config["workers"]):
            level = registry.load("worker", name)
            options = registry.options(level, self.config["workers"][name])
            if level.PRECOMPUTED and name not in self.features:
                raise UserError(f"worker {name} needs stored targets: give --features {name}=FILE, written by extract")
            torch.manual_seed(seed_for(self.config["seed"], Purpose.WORKER, *name.encode()))
            workers[name] = level.build(options, embedding_size=embedding_size)
        if not workers:
            raise UserError("a pre-training needs at least one worker")
        return workers

    def build_trainer(self) -> Trainer:
        """Build the trainer with all its parts; `UserError` if they do not fit together."""
        # networks
        recipe, encoder = self.recipe, self.build_encoder()
        workers = self.build_workers(encoder.embedding_size)
        for worker in workers.values():
            worker.check(encoder)

        # weighting of the losses
        weighting, _ = self._level("weighting")
        if weighting.WEIGHTS_SOURCE and self.weights is None:
            raise UserError(f"weighting {self.config['weighting']['name']} needs --weights, written by weigh")

        # audio: crops of recordings, mixed and augmented
        length = encoder.chunk_length(recipe.chunk_seconds)
        mixer, recordings = self._build_mixer(), self._recordings()
        return Trainer(
            encoder=encoder,
            workers=workers,
            combine_losses=weighting.weigh,
            weights=self._weights_of(workers),
            sampler=CropSampler(
                recordings,
                batch=recipe.batch,
                length=length,
                seed=self.config["seed"],
                views=self.views if mixer is None else mixer.mix.size,
                mixed=mixer is not None,
                training_splits=recipe.training_splits,
            ),
            loader=BatchLoader(
                corpus=recordings,
                features={
                    name: StoredFeature(path, self.corpus) for name, path in self.features.items() if name in workers
                },
                augmentation=self._build_augmentation(encoder.sample_rate),
                length=length,
                device=self.device,
                mixer=mixer,
            ),
            recipe=recipe,
            seed=self.config["seed"],
            state_file=self.state_file,
        )

    @property
    def views(self) -> int:
        """Crops of each clip in a batch: the largest number that a worker needs."""
        return max(registry.fact(registry.load("worker", name), "VIEWS") for name in self.config["workers"])

    def _recordings(self) -> Recordings:
        """Return the recordings to crop."""
        return ConcatenatedSongs(self.corpus) if self.recipe.join_songs else self.corpus

    def _build_mixer(self) -> Mixer | None:
        """Build the mixer, or return None if no worker separates mixtures.

        Raises `UserError` if no crop can serve all workers, or if no song is left to evaluate separation.
        """
        workers = {name: registry.load("worker", name) for name in self.config["workers"]}
        mixes = {
            name: level.mix(registry.options(level, self.config["workers"][name]))
            for name, level in sorted(workers.items())
            if hasattr(level, "mix")
        }
        compatibility.require_compatible_crops(
            joined=self.recipe.join_songs, stored=[*self.features], mixing=[*mixes], views=self.views
        )
        if not mixes:
            return None
        mixer = Mixer(self.corpus, *mixes.values())
        songs = self.corpus.rows(compatibility.SEPARATION_TEST_SPLIT)
        compatibility.require_test_songs(len(songs), corpus=self.corpus.folder)
        return mixer

    def _build_augmentation(self, sample_rate: int) -> Augmentation:
        level, options = self._level("augmentation")
        augmentation: Augmentation = level.build(options, sample_rate=sample_rate)
        name = self.config["augmentation"]["name"]
        compatibility.require_views(self.views, augmentation=name, one_sided=augmentation.one_sided)
        return augmentation

    @property
    def state_file(self) -> StateFile:
        """File from which an interrupted run resumes."""
        return StateFile(self.output, self.digest())

    def digest(self) -> str:
        """Compute the digest of everything the result depends on."""
        features = {name: _read_feature_digests(path) for name, path in self.features.items()}
        weights = dict(self.weights) if self.weights is not None else None
        return provenance.digest([self.config, self.code, self.corpus.facts.digest, features, weights])

    def write_results(self, trainer: Trainer, result: TrainingResult) -> dict[str, object]:
        """Write encoder and losses; return the entries of the record."""
        _, options = self._level("encoder")
        name = self.config["encoder"]["name"]
        save_encoder(self.output / result_files.ENCODER, trainer.encoder, name=name, options=options, code=self.code)
        files.write_text(self.output / result_files.LOSSES, result.loss_log.to_csv())
        chunk_seconds = trainer.loader.length / trainer.encoder.sample_rate
        audio_seconds = result.steps * self.recipe.batch * self.views * chunk_seconds
        precision = trainer.autocast_type or torch.float32
        return {
            "seed": self.config["seed"],
            "steps": result.steps,
            "steps_per_second": result.steps / result.seconds,
            "audio_seconds_per_second": audio_seconds / result.seconds,
            "training_seconds": round(result.seconds, 3),
            "resumed": result.resumptions,
            "precision": str(precision).removeprefix("torch."),
            "compiled": trainer.is_compiled,
            **result.throughput.to_record(device=self.device, precision=precision, processes=distributed.world_size()),
            "parameters": {
                "encoder": _count_parameters(trainer.encoder),
                "workers": {worker: _count_parameters(module) for worker, module in trainer.workers.items()},
            },
            "training_clips": len(trainer.sampler.train),
            "clips_too_short": trainer.sampler.short_clips,
        }

    def _weights_of(self, workers: Mapping[str, Worker]) -> dict[str, float]:
        if self.weights is None:
            return dict.fromkeys(workers, 1.0)
        if set(self.weights) != set(workers):
            raise UserError(
                f"the weights are those of {', '.join(sorted(self.weights))}, not of {', '.join(workers)}: weigh again"
            )
        return {name: self.weights[name] for name in workers}

    def _level(self, factor: str) -> tuple[Any, Any]:
        entry = self.config[factor]
        level = registry.load(factor, entry["name"])
        return level, registry.options(level, entry.get("options", {}))


def _read_feature_digests(path: Path) -> object:
    """Read the digests that identify stored features, from the record which `extract` writes beside them."""
    record = read_record(result_files.record_of(path))
    return {key: record.get(key) for key in ("code", "config_digest", "data")}


def _count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def parse_named_file(text: str) -> tuple[str, Path]:
    """Parse a stored target WORKER=FILE of the command line; raises the error of argparse for anything else."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} must be WORKER=FILE")
    return name, Path(path)
