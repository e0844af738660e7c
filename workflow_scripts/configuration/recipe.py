"""Numbers of pre-training that are not factors."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from workflow_scripts.configuration.field_types import Rate, WeightDecay
from workflow_scripts.core.validation import StrictModel

MIN_BATCH_FOR_LARS = 96  # clips a batch, not views (Spijkervet 2021, section 5.3)


class Recipe(StrictModel):
    """Numbers of one pre-training.

    Wu et al. 2021 state none; the defaults are the PASE+ README's unless a reason is given. Those of CLMR (Spijkervet
    2021, section 5.3): optimiser auto, both learning rates 0.0003, weight_decay 1e-6, schedule cosine with 30 warm-up
    epochs.
    """

    epochs: int = Field(ge=1)
    """epochs"""
    steps_per_epoch: int | None = Field(None, ge=1)
    """steps per epoch; null: as many as `epoch_of` takes"""
    epoch_of: Literal["audio", "clips"] = "audio"
    """count of an epoch: audio (samples // chunk // batch steps, as PASE) or clips (one chunk of each clip or song, as
    CLMR)"""
    batch: int = Field(ge=2)
    """chunks per step, over all processes and all parts of `accumulate`; at least 2, since batch normalisation compares
    them"""
    chunk_seconds: float = Field(ge=0.1)
    """length of a chunk of audio; at least 0.1 s, ten frames"""
    join_songs: bool = False
    """join all clips of a song, and cut chunks anywhere in it; a song then counts as a clip"""
    encoder_learning_rate: Rate
    """Adam's learning rate for the encoder"""
    worker_learning_rate: Rate
    """Adam's learning rate for each worker"""
    optimiser: Literal["adam", "lars", "auto"] = "adam"
    """optimiser; auto: LARS from a batch of 96 on, else Adam (Spijkervet 2021, section 5.3)"""
    lars_learning_rate: Rate = 0.075
    """LARS: times the root of the batch, the learning rate of encoder and workers (Spijkervet 2021, equation 5.1)"""
    lars_excludes_vectors: bool = False
    """LARS: exclude biases and normalisation parameters from decay and LARS scaling, as the official code intends"""
    adam_epsilon: Rate = 1e-8
    """Adam: added to the root of the second moment (torch: 1e-8; Keras, and so the MSSPT code: 1e-7)"""
    weight_decay: WeightDecay = 0.0
    """weight decay of the optimiser"""
    warmup_epochs: int = Field(0, ge=0)
    """epochs in which the rates rise in equal steps before the schedule begins"""
    schedule: Literal["poly", "step", "staircase", "cosine", "constant"]
    """how the rates fall: poly (to zero, with `schedule_power`), step (by `schedule_factor` after each
    `schedule_epochs`), staircase (the same after each `schedule_steps`), cosine (to zero) or constant"""
    schedule_power: float = Field(0.9, gt=0)
    """poly: rate x (1 - step / steps) ** power (PASE+ authors: 0.9)"""
    schedule_epochs: int = Field(30, ge=1)
    """step: epochs between two falls of the rates (PASE authors: 30)"""
    schedule_steps: int = Field(15000, ge=1)
    """staircase: steps between two falls of the rates (MSSPT authors: 15000)"""
    schedule_factor: float = Field(0.1, gt=0)
    """step and staircase: factor of each fall (PASE code: 0.1, which ignores the 0.5 of its README; MSSPT authors: 0.9)
    """
    # 8 x 32 x 2 s: a third of an hour an epoch would cost more than it shows
    validation_batches: int = Field(8, ge=0)
    """batches of the validation split after each epoch"""
    with_validation: bool = False
    """train on the validation split too, for a corpus that is only pre-trained on; validation_batches is then 0"""
    calibration_batches: int = Field(20, ge=1)
    """training batches for the targets' statistics (PASE code, make_trainset_statistics.py: 20)"""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """precision; auto: bf16 on GPUs that have it, else float32; on CPUs with instructions for bf16 the log names it"""
    accumulate: int = Field(1, ge=1)
    """parts of a batch that are computed one after the other, to need less memory; batch normalisation sees one part
    (of all processes), and workers that compare clips take their negatives from it"""
    compile: bool | Literal["auto"] = "auto"
    """compile the encoder with torch.compile; auto: on GPUs, where it pays"""
    # at most so much work is lost by a kill; one state of full PASE is 240 MB
    save_state_seconds: float = Field(300.0, ge=0)
    """seconds between two saved training states; 0: after each step"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse numbers that contradict each other."""
        if self.batch % self.accumulate or self.batch // self.accumulate < 2:
            raise ValueError(
                f"accumulate must divide the batch of {self.batch} into parts of at least 2, "
                f"which {self.accumulate} does not"
            )
        if self.with_validation and self.validation_batches:
            raise ValueError("with_validation trains on the validation split: set validation_batches to 0")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be from 0 to below {self.epochs}, not {self.warmup_epochs}")
        return self

    @property
    def training_splits(self) -> tuple[Literal["train", "valid"], ...]:
        """Splits that are trained on."""
        return ("train", "valid") if self.with_validation else ("train",)

    @property
    def chosen_optimiser(self) -> Literal["adam", "lars"]:
        """The optimiser, `auto` decided by the batch."""
        if self.optimiser == "auto":
            return "lars" if self.batch >= MIN_BATCH_FOR_LARS else "adam"
        return self.optimiser

    def learning_rate(self, *, encoder: bool) -> float:
        """Return the full learning rate of the encoder, or of each worker."""
        if self.chosen_optimiser == "lars":
            return self.lars_learning_rate * math.sqrt(self.batch)
        return self.encoder_learning_rate if encoder else self.worker_learning_rate

    def rate_factor(self, step: int, *, steps_per_epoch: int) -> float:
        """Return the factor on all learning rates in step `step` (from 0)."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        step -= warmup
        progress = step / (self.epochs * steps_per_epoch - warmup)
        if self.schedule == "poly":
            return (1 - progress) ** self.schedule_power
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        if self.schedule == "step":
            return self.schedule_factor ** (step // steps_per_epoch // self.schedule_epochs)
        if self.schedule == "staircase":
            return self.schedule_factor ** (step // self.schedule_steps)
        return 1.0
