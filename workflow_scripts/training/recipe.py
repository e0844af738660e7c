"""The numbers of a pre-training that are not factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workflow_scripts.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Pre-training numbers. Wu et al. 2021 state none; the defaults are the PASE+ README's unless a reason is given.

    `batch` is what one step sees, over all processes and all parts of `accumulate`. Batch normalisation sees a part at
    a time, of all processes, so accumulating changes what it learns; other layers do not notice.
    """

    epochs: int = 20  # as many as Wu et al.'s Fig. 4 shows
    steps_per_epoch: int | None = None  # None: samples in the train split // chunk // batch, as in the PASE code
    batch: int = 32
    chunk_seconds: float = 2.0
    encoder_learning_rate: float = 0.001
    worker_learning_rate: float = 0.0005
    schedule: Literal["poly", "step", "constant"] = "poly"
    schedule_power: float = 0.9  # poly: rate x (1 - step / steps) ** power
    schedule_epochs: int = 30  # step: the rate is multiplied by `schedule_factor` after each so many epochs
    schedule_factor: float = 0.1  # what the PASE code does; the 0.5 its README passes is ignored there
    validation_batches: int = 8  # 8 x 32 x 2 s: a third of an hour an epoch would cost more than it tells
    calibration_batches: int = 20  # default of the PASE code's make_trainset_statistics.py
    precision: Literal["auto", "float32", "bf16"] = "auto"  # auto: bf16 on GPUs that have it, else float32
    accumulate: int = 1  # parts of a batch that are computed one after the other, for a GPU that cannot hold it whole
    compile: bool | Literal["auto"] = "auto"  # compile the encoder; auto: on GPUs, where it pays
    checkpoint_seconds: float = 300.0  # at most so much work is lost by a kill; one state of full PASE is 240 MB

    def __post_init__(self) -> None:
        """Raise `UserError` for numbers with which nothing can be trained."""
        counts = (self.epochs, self.schedule_epochs, 1 if self.steps_per_epoch is None else self.steps_per_epoch)
        if min(counts) < 1:
            raise UserError("recipe: epochs, steps_per_epoch and schedule_epochs must be at least 1")
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
        if self.schedule not in ("poly", "step", "constant"):
            raise UserError(f"recipe: schedule must be poly, step or constant, not {self.schedule!r}")
        if self.precision not in ("auto", "float32", "bf16"):
            raise UserError(f"recipe: precision must be auto, float32 or bf16, not {self.precision!r}")
        if self.compile not in (True, False, "auto"):
            raise UserError(f"recipe: compile must be true, false or auto, not {self.compile!r}")

    def rate_factor(self, step: int, *, steps_per_epoch: int) -> float:
        """Factor on both learning rates in step `step` (from 0)."""
        if self.schedule == "poly":
            return (1 - step / (self.epochs * steps_per_epoch)) ** self.schedule_power
        if self.schedule == "step":
            return self.schedule_factor ** (step // steps_per_epoch // self.schedule_epochs)
        return 1.0


Options = Recipe  # the name under which `levels.options` looks for it
