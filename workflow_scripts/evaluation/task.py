"""Input and output of a scenario: the contract of `scenarios/<name>.py`.

Besides the facts PRETRAINED and TRAINS_ENCODER, a scenario defines `run(cell: EvaluationTask) -> list[TrialResult]`,
with one result per trial.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core import array_files, files
from workflow_scripts.core.errors import NOTE, UserError, format_message, name_damage
from workflow_scripts.evaluation.label_subsets import LabelSubset, choose_label_subset, choose_segments
from workflow_scripts.levels.dataset_facts import SPLITS
from workflow_scripts.levels.fractions import Subset
from workflow_scripts.networks.head_interfaces import Head, MapsHead
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.statistics.predictions import Windows

#: fields of the result of a trial that are numbers
NUMBERS = ("trial", "epochs", "train_clips", "seconds", "learning_rate", "validation_loss")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialWeights:
    """Weights of a trained trial by name: its head, as `KeptHead` has them, and its encoder's, if that learned too."""

    head: Mapping[str, np.ndarray]
    encoder: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays to store, by names that begin with their part."""
        return {f"{part}/{name}": value for part, weights in vars(self).items() for name, value in weights.items()}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, np.ndarray]) -> TrialWeights | None:
        """Return the weights among stored arrays, or None where there are none."""
        parts: dict[str, dict[str, np.ndarray]] = {"head": {}, "encoder": {}}
        for name, value in stored.items():
            part, slash, key = name.partition("/")
            if slash:
                parts[part][key] = value
        return cls(**parts) if parts["head"] else None


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Probabilities (test clips, classes) of a trial, float32, and its cost.

    `windows` are given for the first trial, if the head evaluates clips by windows, and `weights`, if they are kept.
    """

    trial: int
    scores: np.ndarray
    epochs: int
    train_clips: int  # clips whose labels were used
    seconds: float
    learning_rate: float = math.nan  # that the trial took; NaN if it had phases
    validation_loss: float = math.nan  # at the epoch that was kept
    validation: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.float32))  # of `validation_curve`
    windows: Windows | None = None
    weights: TrialWeights | None = None


class TrialStore:
    """Store of the finished trials of a job on disk, so that a killed job resumes with the next trial.

    The files are beside the output of the job, not in it, because the workflow deletes declared outputs before it
    restarts a job. Each file holds the digest of the job; trials of another digest (other code, config or data) are
    ignored.
    """

    def __init__(self, folder: Path, *, digest: str) -> None:
        """Use `folder` for the job identified by `digest`."""
        self.folder, self.digest = folder, digest

    def load(self, trial: int) -> TrialResult | None:
        """Load the result of this trial, or return None; of a damaged file it says that the trial is computed again."""
        path = self._path(trial)
        if not path.is_file():
            return None
        try:
            return self._read(path, trial)
        except UserError as error:
            print(format_message(f"{NOTE}{error}"), file=sys.stderr, flush=True)
            return None

    def _read(self, path: Path, trial: int) -> TrialResult | None:
        with name_damage(path, remedy="the trial is computed again"):
            stored = array_files.read_npz(path)
            if str(stored["digest"]) != self.digest:
                return None
            numbers = {name: stored[name].item() for name in NUMBERS}
            if numbers["trial"] != trial:
                raise ValueError("it holds another trial")
            return TrialResult(
                scores=stored["scores"],
                **numbers,
                validation=stored["validation"],
                windows=Windows.from_arrays(stored),
                weights=TrialWeights.from_arrays(stored),
            )

    def save(self, result: TrialResult) -> None:
        """Save the result of a trial."""
        numbers = {name: value for name, value in vars(result).items() if name not in ("windows", "weights")}
        with files.write_atomically(self._path(result.trial)) as temporary:
            np.savez(
                temporary,
                allow_pickle=False,
                digest=np.array(self.digest),
                **numbers,
                **(result.windows.to_arrays() if result.windows else {}),
                **(result.weights.to_arrays() if result.weights else {}),
            )

    def clear(self) -> None:
        """Delete all stored trials; called when the outputs of the job are written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, trial: int) -> Path:
        return self.folder / f"trial{trial}.npz"


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """An evaluation cell as input of a scenario, with everything needed to train and test its trials.

    `embeddings` (crops, size), float32 in clip order, are given if the encoder stays frozen, with `crop_length` in
    samples (None: each clip is a single crop). `build_encoder` is given if the encoder is trained; it returns the
    initial encoder of a trial by its seed. `build_maps_head` is given if the head reads maps; `build_head` then raises.
    `keeps_first` asks for the weights of the first trial.
    """

    corpus: Corpus
    build_head: Callable[[int], Head]  # argument: number of inputs
    fraction: float
    trials: int
    settings: EvaluationProtocol
    device: torch.device
    store: TrialStore
    subset: Subset = "clips"
    embeddings: np.ndarray | None = None
    crop_length: int | None = None
    build_encoder: Callable[[int], Encoder] | None = None
    #: arguments: number of sources the encoder separates, and channels of the maps of its decoder, coarse to fine
    build_maps_head: Callable[[int, Sequence[int]], MapsHead] | None = None
    keeps_first: bool = False

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of all clips of a split; `UserError` if there are none."""
        rows = self.corpus.rows(split)  # type: ignore[arg-type]
        if not len(rows):
            raise UserError(
                f"{self.corpus.folder} has no clips in its {split} split: evaluation needs {', '.join(SPLITS)}"
            )
        return rows

    def label_subset(self, trial: int, *, segments: np.ndarray) -> LabelSubset:
        """Return the training examples whose labels the trial may use, the same for every run with such segments.

        `segments` (clips,) are the numbers of crops by which each clip of the corpus is evaluated; a subset of clips
        does not depend on them. Validation and test splits are never reduced.
        """
        rows = self.rows("train")
        clips, labels = self.corpus.clips["clip"].to_numpy()[rows].tolist(), self.corpus.labels[rows]
        if self.subset == "segments_powerset" and self.fraction < 1:
            return choose_segments(
                rows, clips=clips, labels=labels, counts=segments[rows], fraction=self.fraction, trial=trial
            )
        task = self.corpus.facts.task
        return LabelSubset(
            choose_label_subset(rows, clips=clips, labels=labels, task=task, fraction=self.fraction, trial=trial)
        )
