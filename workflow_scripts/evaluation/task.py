"""One evaluation cell as a scenario sees it, and what a scenario returns: the contract of `scenarios/<name>.py`.

Besides the literals PRETRAINED and TRAINS_ENCODER a scenario states `run(cell: Cell) -> list[TrialResult]`, one result
per trial.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.configuration.protocol import EvaluationProtocol
from workflow_scripts.core import files
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import trial_seeds as trials
from workflow_scripts.networks.head_interfaces import Head, MapsHead
from workflow_scripts.networks.interfaces import Encoder
from workflow_scripts.statistics.predictions import Windows

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Probabilities (test clips, classes) of a trial, float32, and what it took.

    `windows` are those of the first trial, where the head hears clips by windows.
    """

    trial: int
    scores: np.ndarray
    epochs: int
    train_clips: int  # whose labels were used
    seconds: float
    windows: Windows | None = None


class TrialStore:
    """Keeps finished trials of a job on disk, so that a killed job goes on with the next trial.

    The files lie beside the job's output, not in it, for the workflow clears declared outputs before it starts a job
    again. Each carries the job's digest; trials of another digest (other code, numbers or data) are not read.
    """

    def __init__(self, folder: Path, *, digest: str) -> None:
        """Use `folder` for the job that `digest` names."""
        self.folder, self.digest = folder, digest

    def load(self, trial: int) -> TrialResult | None:
        """Return the stored result of this trial, or None."""
        path = self._path(trial)
        if not path.is_file():
            return None
        with np.load(path) as stored:
            if str(stored["digest"]) != self.digest:
                return None
            numbers = {name: stored[name].item() for name in ("trial", "epochs", "train_clips", "seconds")}
            return TrialResult(scores=stored["scores"], **numbers, windows=Windows.from_arrays(stored))

    def store(self, result: TrialResult) -> None:
        """Keep a result."""
        numbers = {name: value for name, value in vars(result).items() if name != "windows"}
        with files.write_atomically(self._path(result.trial)) as temporary:
            np.savez(
                temporary,
                allow_pickle=False,
                digest=np.array(self.digest),
                **numbers,
                **(result.windows.to_arrays() if result.windows else {}),
            )

    def forget(self) -> None:
        """Remove everything stored; called when the job's outputs are written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, trial: int) -> Path:
        return self.folder / f"trial{trial}.npz"


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """Everything a scenario needs to train and test its trials.

    `embeddings` (crops, size) float32 in clip order are given where the encoder stays as it is, with `crop_length` in
    samples (None: each clip is one crop); `build_encoder`, which returns the encoder a trial of this seed starts from,
    where it is trained. `build_maps_head` is given where the head reads maps, and `build_head` then raises.
    """

    corpus: Corpus
    build_head: Callable[[int], Head]  # from the number of inputs
    fraction: float
    trials: int
    settings: EvaluationProtocol
    device: torch.device
    finished: TrialStore
    embeddings: np.ndarray | None = None
    crop_length: int | None = None
    build_encoder: Callable[[int], Encoder] | None = None
    #: from the number of sources the encoder separates and the channels of its decoder's maps, coarse to fine
    build_maps_head: Callable[[int, Sequence[int]], MapsHead] | None = None

    def rows(self, split: str) -> np.ndarray:
        """Rows of all clips of a split; `UserError` if there are none."""
        rows = self.corpus.rows(split)  # type: ignore[arg-type]
        if not len(rows):
            raise UserError(
                f"{self.corpus.folder} has no clips in its {split} split: evaluation needs {', '.join(SPLITS)}"
            )
        return rows

    def train_rows(self, trial: int) -> np.ndarray:
        """Training rows whose labels the trial may use, the same for every run and scenario. Valid and test are never
        reduced.
        """
        rows = self.rows("train")
        return trials.choose_label_subset(
            rows,
            clips=self.corpus.clips["clip"].to_numpy()[rows].tolist(),
            labels=self.corpus.labels[rows],
            task=self.corpus.facts.task,
            fraction=self.fraction,
            trial=trial,
        )
