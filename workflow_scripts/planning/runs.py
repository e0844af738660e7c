"""Runs and cells: the levels of each factor, and the paths they are stored under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import NONE


@dataclass(frozen=True, kw_only=True)
class Run:
    """One encoder: a level for each pre-training factor.

    A run is trained here, or imported (its corpus is then the name of a checkpoint and the other factors are `NONE`),
    or untrained (the corpus is `NONE` too).
    """

    corpus: str
    encoder: str
    workers: str
    weighting: str
    augmentation: str
    recipe: str
    pretrain_seed: int

    @classmethod
    def untrained(cls, encoder: str, *, pretrain_seed: int = 0) -> Run:
        """Return the run of an encoder before any training."""
        return cls(
            corpus=NONE,
            encoder=encoder,
            workers=NONE,
            weighting=NONE,
            augmentation=NONE,
            recipe=NONE,
            pretrain_seed=pretrain_seed,
        )

    @classmethod
    def of_checkpoint(cls, checkpoint: str, *, encoder: str) -> Run:
        """Return the run of an encoder that others trained."""
        return replace(cls.untrained(encoder), corpus=checkpoint)

    @property
    def has_encoder_file(self) -> bool:
        """Whether the run has an encoder file."""
        return self.corpus != NONE

    @property
    def is_imported(self) -> bool:
        """Whether the encoder file comes from a published checkpoint."""
        return self.has_encoder_file and self.workers == NONE

    @property
    def is_trained_here(self) -> bool:
        """Whether the encoder is pre-trained by this workflow."""
        return self.has_encoder_file and not self.is_imported


@dataclass(frozen=True, kw_only=True)
class CellKey:
    """One evaluation of a run: a level for each downstream factor. A cell holds all trials."""

    dataset: str
    head: str
    scenario: str
    fraction: str
    protocol: str

    @property
    def trains_encoder(self) -> bool:
        """Whether the scenario trains the encoder, so that the cell reads audio instead of embeddings."""
        return bool(registry.load("scenario", self.scenario).TRAINS_ENCODER)

    @property
    def folder(self) -> str:
        """Its folder below that of the data set."""
        return f"{self.head}/{self.scenario}/{self.fraction}/{self.protocol}"


@dataclass(frozen=True, kw_only=True)
class ListeningPlan:
    """A study's listening page: its encoder and cells, one for each data set, and what the study states.

    `audio` is whether it includes audio, None where licences decide.
    """

    study: str
    title: str
    rows: Literal["clips", "crops"]
    audio: bool | None
    run: Run
    cells: tuple[CellKey, ...]


def audio_of(run: Run, cell: CellKey) -> str:
    """Return the data set that a run's encoder learned from, or that of the cell if nothing was pre-trained here."""
    return run.corpus if run.is_trained_here else cell.dataset


def path_of(run: Run, cell: CellKey | None = None) -> str:
    """Return the path segments of a run, or of a cell of a run."""
    levels = [
        run.corpus,
        run.encoder,
        run.workers,
        run.weighting,
        run.augmentation,
        run.recipe,
        f"seed{run.pretrain_seed}",
    ]
    if cell is not None:
        levels += [cell.dataset, cell.folder]
    return "/".join(levels)
