"""Numbers of downstream training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workflow_scripts.core.validation import StrictModel


class Phase(StrictModel):
    """A part of a trial's training: a new optimiser that continues from the best weights so far.

    It ends when the patience is exhausted, or after `max_epochs`; plain SGD has neither momentum nor decay (the
    MSSPT code).
    """

    optimiser: Literal["adam", "sgd"]
    """adam, or plain sgd"""
    learning_rate: float = Field(gt=0)
    """learning rate of the phase"""
    max_epochs: int | None = Field(None, ge=1)
    """most epochs of the phase; max_epochs of the trial counts all of them"""


class EvaluationProtocol(StrictModel):
    """Numbers of one trial's training, the same for every run."""

    learning_rate: float = Field(0.001, gt=0)
    """Adam's learning rate (Wu et al. 3.4: 0.001)"""
    patience: int = Field(10, ge=1)
    """epochs without a lower validation loss before a trial stops (Wu et al. 3.4: 10)"""
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
    phases: tuple[Phase, ...] = ()
    """while the encoder trains, optimisers one after the other instead of Adam at learning_rate; each continues from
    the best weights"""


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
