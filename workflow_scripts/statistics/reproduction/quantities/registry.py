"""Quantities computed from our results for comparison with a published number, in its unit.

A quantity is measured (with an interval over trials or pre-training seeds), counted (a property of a data set or a
network) or chosen (a setting, equal to the published one by construction). `QUANTITIES` lists them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from workflow_scripts.statistics.reproduction.context import Estimate, NoValue, Results, Selection
from workflow_scripts.statistics.reproduction.quantities import architecture, dataset_facts, performance, settings

Kind = Literal["measured", "counted", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """Definition of a quantity.

    `within` are the factors for each of whose levels it is computed separately, unless a statement names the factor.
    `compares`: it needs cells to compare with. `averages`: it takes lists of levels in step. `needs`: what else a
    statement must give, namely two workers, a data set or corpus in `of`, or a tolerance.
    """

    kind: Kind
    compute: Callable[[Selection, Results], Estimate | NoValue]
    within: tuple[str, ...] = ()
    compares: bool = False
    averages: bool = False
    needs: Literal["", "losses", "corpus", "tolerance"] = ""


QUANTITIES: dict[str, Quantity] = {
    "mean": Quantity(kind="measured", compute=performance.mean, within=("dataset", "head", "fraction")),
    "difference": Quantity(
        kind="measured",
        compute=performance.difference,
        within=("dataset", "head", "fraction"),
        compares=True,
        averages=True,
    ),
    "relative": Quantity(
        kind="measured",
        compute=performance.relative,
        within=("dataset", "head", "fraction"),
        compares=True,
        averages=True,
    ),
    "crossing": Quantity(kind="measured", compute=performance.crossing_size, within=("dataset", "head"), compares=True),
    "crossing_share": Quantity(
        kind="measured", compute=performance.crossing_share, within=("dataset", "head"), compares=True
    ),
    "label_saving": Quantity(
        kind="measured",
        compute=performance.label_saving,
        within=("dataset", "head"),
        compares=True,
        needs="tolerance",
    ),
    "best_probability": Quantity(
        kind="measured", compute=performance.best_probability, within=("dataset", "head", "fraction"), averages=True
    ),
    "largest_class_gap": Quantity(
        kind="measured", compute=performance.largest_class_gap, within=("dataset", "head", "fraction"), compares=True
    ),
    "loss_ratio": Quantity(kind="measured", compute=performance.loss_ratio, needs="losses"),
    "clips": Quantity(kind="counted", compute=dataset_facts.clips, needs="corpus"),
    "songs": Quantity(kind="counted", compute=dataset_facts.songs, needs="corpus"),
    "pretraining_songs": Quantity(kind="counted", compute=dataset_facts.pretraining_songs, needs="corpus"),
    "clip_seconds": Quantity(kind="counted", compute=dataset_facts.clip_seconds, needs="corpus"),
    "hours": Quantity(kind="counted", compute=dataset_facts.hours, needs="corpus"),
    "classes": Quantity(kind="counted", compute=dataset_facts.classes, needs="corpus"),
    "n_excluded_classes": Quantity(kind="counted", compute=dataset_facts.n_excluded_classes, needs="corpus"),
    "train_clips": Quantity(kind="counted", compute=dataset_facts.train_clips, within=("dataset",)),
    "train_songs": Quantity(kind="counted", compute=dataset_facts.train_songs, within=("dataset",)),
    "parameters": Quantity(kind="counted", compute=dataset_facts.parameters),
    "hop": Quantity(kind="chosen", compute=settings.hop),
    "fft_length": Quantity(kind="chosen", compute=settings.fft_length),
    "prosody_features": Quantity(kind="chosen", compute=settings.prosody_features),
    "sample_rate": Quantity(kind="chosen", compute=settings.sample_rate),
    "embedding_size": Quantity(kind="chosen", compute=settings.embedding_size),
    "pooled_size": Quantity(kind="chosen", compute=settings.pooled_size),
    "input_samples": Quantity(kind="chosen", compute=settings.input_samples),
    "input_milliseconds": Quantity(kind="chosen", compute=settings.input_milliseconds),
    "cpc_layers": Quantity(kind="chosen", compute=settings.cpc_layers),
    "cpc_filters": Quantity(kind="chosen", compute=settings.cpc_filters),
    "cpc_hop": Quantity(kind="chosen", compute=settings.cpc_hop),
    "cpc_hop_milliseconds": Quantity(kind="chosen", compute=settings.cpc_hop_milliseconds),
    "prediction_steps": Quantity(kind="chosen", compute=settings.prediction_steps),
    "prediction_milliseconds": Quantity(kind="chosen", compute=settings.prediction_milliseconds),
    "negatives": Quantity(kind="chosen", compute=settings.negatives),
    "batch": Quantity(kind="chosen", compute=settings.batch),
    "chunks_per_step": Quantity(kind="chosen", compute=settings.chunks_per_step),
    "adam_rate": Quantity(kind="chosen", compute=settings.adam_rate),
    "lars_factor": Quantity(kind="chosen", compute=settings.lars_factor),
    "lars_rate": Quantity(kind="chosen", compute=settings.lars_rate),
    "epochs": Quantity(kind="chosen", compute=settings.epochs),
    "weighing_epochs": Quantity(kind="chosen", compute=settings.weighing_epochs),
    "trials": Quantity(kind="chosen", compute=settings.trials),
    "learning_rate": Quantity(kind="chosen", compute=settings.learning_rate),
    "patience": Quantity(kind="chosen", compute=settings.patience),
    "sample_rate_khz": Quantity(kind="chosen", compute=settings.sample_rate_khz),
    "native_rate_khz": Quantity(kind="chosen", compute=settings.native_rate_khz, needs="corpus"),
    "spectrogram_window": Quantity(kind="chosen", compute=architecture.spectrogram_window),
    "spectrogram_hop": Quantity(kind="chosen", compute=architecture.spectrogram_hop),
    "mel_bands": Quantity(kind="chosen", compute=architecture.mel_bands),
    "unet_blocks": Quantity(kind="chosen", compute=architecture.unet_blocks),
    "unet_convolutions": Quantity(kind="chosen", compute=architecture.unet_convolutions),
    "short_chunk_blocks": Quantity(kind="chosen", compute=architecture.short_chunk_blocks),
    "short_chunk_convolutions": Quantity(kind="chosen", compute=architecture.short_chunk_convolutions),
    "short_chunk_layers": Quantity(kind="chosen", compute=architecture.short_chunk_layers),
    "patch_side": Quantity(kind="chosen", compute=architecture.patch_side),
    "patch_columns": Quantity(kind="chosen", compute=architecture.patch_columns),
    "patch_rows": Quantity(kind="chosen", compute=architecture.patch_rows),
    "transformer_blocks": Quantity(kind="chosen", compute=architecture.transformer_blocks),
    "insertion_spacing": Quantity(kind="chosen", compute=architecture.insertion_spacing),
}
