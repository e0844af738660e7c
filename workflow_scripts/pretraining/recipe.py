"""The numbers of a pre-training that are not factors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workflow_scripts.core.errors import UserError

FEWEST_FOR_LARS = 96  # clips a batch, not views (Spijkervet 2021, section 5.3)
CHOICES: dict[str, tuple[object, ...]] = {
    "epoch_of": ("audio", "clips"),
    "optimiser": ("adam", "lars", "auto"),
    "schedule": ("poly", "step", "staircase", "cosine", "constant"),
    "precision": ("auto", "float32", "bf16"),
    "compile": (True, False, "auto"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Pre-training numbers. Wu et al. 2021 state none; the defaults are the PASE+ README's unless a reason is given.

    Those of CLMR (Spijkervet 2021, section 5.3): optimiser auto, both learning rates 0.0003, weight_decay 1e-6,
    schedule cosine with 30 warm-up epochs.

    `batch` is what one step sees, over all processes and all parts of `accumulate`. Batch normalisation sees a part at
    a time, of all processes, so accumulating changes what it learns, and so do the workers that compare clips: contrast
    and predictive coding take their negatives from a part. Other layers do not notice.
    """

    epochs: int = 20  # as many as Wu et al.'s Fig. 4 shows
    steps_per_epoch: int | None = None  # None: as many as `epoch_of` takes
    epoch_of: Literal["audio", "clips"] = "audio"  # samples // chunk // batch, as PASE counts; each clip once: CLMR
    batch: int = 32
    chunk_seconds: float = 2.0
    join_songs: bool = False  # cut pieces from songs joined from the clips of one group, which then count as clips
    encoder_learning_rate: float = 0.001
    worker_learning_rate: float = 0.0005
    optimiser: Literal["adam", "lars", "auto"] = "adam"  # auto: LARS from a batch of 96 on, else Adam (thesis, 5.3)
    lars_learning_rate: float = 0.075  # LARS: x sqrt(batch) is the rate of all modules (thesis, equation 5.1)
    lars_spares_vectors: bool = False  # LARS: not on biases and norms, as the official code means to but does not do
    adam_epsilon: float = 1e-8  # torch's; Keras, and so the MSSPT code, has 1e-7
    weight_decay: float = 0.0
    warmup_epochs: int = 0  # before the schedule begins, rates rise to their full size in equal steps
    schedule: Literal["poly", "step", "staircase", "cosine", "constant"] = "poly"
    schedule_power: float = 0.9  # poly: rate x (1 - step / steps) ** power
    schedule_epochs: int = 30  # step: the rate is multiplied by `schedule_factor` after each so many epochs
    schedule_steps: int = 15000  # staircase: the same after each so many steps (MSSPT code, with a factor of 0.9)
    schedule_factor: float = 0.1  # what the PASE code does; the 0.5 its README passes is ignored there
    validation_batches: int = 8  # 8 x 32 x 2 s: a third of an hour an epoch would cost more than it tells
    calibration_batches: int = 20  # default of the PASE code's make_trainset_statistics.py
    precision: Literal["auto", "float32", "bf16"] = "auto"  # auto: bf16 on GPUs that have it, else float32
    accumulate: int = 1  # parts of a batch that are computed one after the other, for a GPU that cannot hold it whole
    compile: bool | Literal["auto"] = "auto"  # compile the encoder; auto: on GPUs, where it pays
    checkpoint_seconds: float = 300.0  # at most so much work is lost by a kill; one state of full PASE is 240 MB

    def __post_init__(self) -> None:
        """Raise `UserError` for numbers with which nothing can be trained."""
        steps = 1 if self.steps_per_epoch is None else self.steps_per_epoch
        if min(self.epochs, self.schedule_epochs, self.schedule_steps, steps) < 1:
            raise UserError("recipe: epochs, steps_per_epoch, schedule_epochs and schedule_steps must be at least 1")
        if self.batch < 2:
            raise UserError("recipe: batch must be at least 2, since batch normalisation compares clips")
        if self.accumulate < 1 or self.batch % self.accumulate or self.batch // self.accumulate < 2:
            raise UserError(
                f"recipe: accumulate must divide the batch of {self.batch} into parts of at least 2, "
                f"which {self.accumulate} does not"
            )
        if not self.chunk_seconds > 0:
            raise UserError(f"recipe: chunk_seconds must be above 0, not {self.chunk_seconds}")
        if not (self.encoder_learning_rate >= 0 and self.worker_learning_rate >= 0):
            raise UserError("recipe: encoder_learning_rate and worker_learning_rate must be at least 0")
        if min(self.validation_batches, self.calibration_batches) < 0:
            raise UserError("recipe: validation_batches and calibration_batches must be at least 0")
        if min(self.lars_learning_rate, self.weight_decay) < 0:
            raise UserError("recipe: lars_learning_rate and weight_decay must be at least 0")
        if not self.adam_epsilon > 0:
            raise UserError(f"recipe: adam_epsilon must be above 0, not {self.adam_epsilon}")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise UserError(f"recipe: warmup_epochs must be from 0 to below {self.epochs}, not {self.warmup_epochs}")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(str(word).lower() for word in allowed)
                raise UserError(f"recipe: {name} must be one of {words}, not {getattr(self, name)!r}")

    @property
    def chosen_optimiser(self) -> Literal["adam", "lars"]:
        """The optimiser, `auto` decided by the batch."""
        if self.optimiser == "auto":
            return "lars" if self.batch >= FEWEST_FOR_LARS else "adam"
        return self.optimiser

    def learning_rate(self, *, encoder: bool) -> float:
        """Full learning rate of the encoder, or of each worker."""
        if self.chosen_optimiser == "lars":
            return self.lars_learning_rate * math.sqrt(self.batch)
        return self.encoder_learning_rate if encoder else self.worker_learning_rate

    def rate_factor(self, step: int, *, steps_per_epoch: int) -> float:
        """Factor on all learning rates in step `step` (from 0)."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        step -= warmup
        done = step / (self.epochs * steps_per_epoch - warmup)
        if self.schedule == "poly":
            return (1 - done) ** self.schedule_power
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "step":
            return self.schedule_factor ** (step // steps_per_epoch // self.schedule_epochs)
        if self.schedule == "staircase":
            return self.schedule_factor ** (step // self.schedule_steps)
        return 1.0


Options = Recipe  # the name under which `levels.options` looks for it
