"""Numbers of downstream training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workflow_scripts.configuration.field_types import LARGEST, Rate, WeightDecay, unique
from workflow_scripts.core.validation import StrictModel

LearningRates = Annotated[tuple[Rate, ...], AfterValidator(unique)]


class Phase(StrictModel):
    """A part of a trial's training: a new optimiser that continues from the best weights so far.

    It ends when the patience is exhausted, or after `max_epochs`; plain SGD has no momentum (the MSSPT code).
    """

    optimiser: Literal["adam", "sgd"]
    """adam, or plain sgd"""
    learning_rate: Rate
    """learning rate of the phase"""
    encoder_learning_rate: float | None = Field(None, gt=0, le=LARGEST)
    """learning rate of a pre-trained encoder in the phase; null: that of the head"""
    max_epochs: int | None = Field(None, ge=1)
    """most epochs of the phase; max_epochs of the trial counts all of them"""


class EvaluationProtocol(StrictModel):
    """Numbers of one trial's training, the same for every run."""

    optimiser: Literal["adam", "sgd"] = "adam"
    """adam, or plain sgd"""
    learning_rate: Rate = 0.001
    """learning rate of the optimiser"""
    learning_rates: LearningRates = ()
    """learning rates that each trial tries instead of `learning_rate`: its result is that of the rate with the lowest
    validation loss, at the epoch that is kept; a rate at which a loss is not finite is passed over"""
    encoder_learning_rate: float | None = Field(None, gt=0, le=LARGEST)
    """learning rate of a pre-trained encoder that is trained further; null: that of the head"""
    weight_decay: WeightDecay = 0.0
    """weight decay of the optimiser"""
    criterion: Literal["loss", "scores"] = "loss"
    """an epoch is an improvement if the validation loss is lower than in any before (loss), or if one of the validation
    scores ROC-AUC and PR-AUC, means over classes, is higher than in any before (scores)"""
    patience: int = Field(10, ge=1)
    """epochs without improvement before a trial stops; the weights of the last improvement are kept"""
    # a limit for safety: patience ends nearly every trial before
    max_epochs: int = Field(200, ge=1)
    """most epochs of a trial"""
    batch: int = Field(64, ge=1)
    """clips per step"""
    crop_seconds: float | None = Field(None, gt=0)
    """length of the random crop per clip and epoch while the encoder trains; null: one of the encoder's own crops, or
    the whole clip"""
    crops: Literal["average", "pool"] = "average"
    """of an encoder evaluated by crops: average the probabilities of a clip's crops, or pool their embeddings"""
    classifiers: Literal["joint", "binary"] = "joint"
    """of a multi-label data set: one classifier of all classes, or a binary classifier for each class, with a loss and
    an early stopping of its own, if the encoder stays frozen and the head shares nothing between classes (linear)"""
    phases: tuple[Phase, ...] = ()
    """while the encoder trains, optimisers one after the other instead of one at `learning_rate`; each continues from
    the best weights"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse numbers that contradict each other."""
        if self.phases and self.learning_rates:
            raise ValueError("phases have learning rates of their own: set learning_rates: []")
        if self.phases and self.encoder_learning_rate is not None:
            raise ValueError(
                "phases have learning rates of their own: set encoder_learning_rate in each phase, and here to null"
            )
        if self.classifiers == "binary" and self.criterion == "scores":
            raise ValueError("binary classifiers stop by their losses: set criterion: loss, or classifiers: joint")
        return self

    @property
    def candidates(self) -> tuple[float, ...]:
        """Learning rates that each trial tries."""
        return self.learning_rates or (self.learning_rate,)

    def at_rate(self, rate: float) -> Self:
        """Return the protocol with one of its candidates for the learning rate."""
        return self.model_copy(update={"learning_rate": rate, "learning_rates": ()})


class CellProtocol(EvaluationProtocol):
    """Numbers of one cell: how many trials, and the training of each."""

    trials: int = Field(10, ge=1)
    """trials per cell; trial k fixes head, label subset and data order for every run"""
    keep: Literal["first_trial"] | None = None
    """first_trial: keep the trained head of the first trial (`head.safetensors`) and, where the encoder learns, that
    encoder (`encoder.safetensors`), beside `trials.csv`; null: keep results alone"""


class ProtocolEntry(CellProtocol):
    """A downstream protocol: numbers of every cell, with what differs for single heads and scenarios."""

    heads: dict[str, CellProtocol] = Field(default_factory=dict)
    """head -> numbers that differ for it, under the same keys; those of a scenario go over them"""
    scenarios: dict[str, CellProtocol] = Field(default_factory=dict)
    """scenario -> numbers that differ there, under the same keys"""

    def resolve(self, *, head: str, scenario: str) -> dict[str, Any]:
        """Return the stated numbers of a cell as plain data: the common ones, then those of head and scenario."""
        common = self.model_dump(mode="json", exclude_unset=True, exclude={"heads", "scenarios"})
        for change in (self.heads.get(head), self.scenarios.get(scenario)):
            common |= change.model_dump(mode="json", exclude_unset=True) if change else {}
        return common
