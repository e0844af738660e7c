"""Predictions of a cell on the test split: `predictions.npz`, written and read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.core import array_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError, name_damage
from workflow_scripts.core.files import write_atomically
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.metrics import require_finite

REMEDY = "delete its folder and evaluate again"


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Predictions of the trials of one cell.

    `scores` (trials, clips, classes) are probabilities, `labels` (clips, classes) are NaN where unobserved, `confusion`
    counts (trials, true, predicted), or (trials, classes, 2, 2) where a clip can have several classes. `clusters`
    (clips,) names the clips that belong together, by values that compare equal within a cluster; None in files without
    them. `UserError` when the shapes do not fit, since files then belong to different runs, or scores are not finite.
    """

    task: Task
    clips: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    confusion: np.ndarray
    clusters: np.ndarray | None

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        fitting = self.scores.ndim == 3 and self.scores.shape[1:] == self.labels.shape
        fitting = fitting and self.labels.shape == (len(self.clips), len(self.classes))
        if not fitting or (self.clusters is not None and len(self.clusters) != len(self.labels)):
            clusters = "no" if self.clusters is None else self.clusters.shape
            raise UserError(
                f"predictions {self.scores.shape}, labels {self.labels.shape} and {clusters} groups of clips "
                "do not belong together; run evaluate again"
            )
        require_finite(self.scores)


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Probabilities that a head gives for the test clips window by window: (windows, classes), float16 to stay small.

    `clips` (windows,) are positions among the test clips, `starts` (windows,) seconds into them; all last `seconds`.
    """

    scores: np.ndarray
    clips: np.ndarray
    starts: np.ndarray
    seconds: float

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays to store, by names that begin with `windows_`."""
        return {f"windows_{name}": np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, np.ndarray]) -> Windows | None:
        """Return the windows among stored arrays, or None where there are none."""
        if "windows_scores" not in stored:
            return None
        return cls(
            scores=stored["windows_scores"],
            clips=stored["windows_clips"],
            starts=stored["windows_starts"],
            seconds=float(stored["windows_seconds"]),
        )


def write_predictions(path: Path, predictions: Predictions, *, windows: Windows | None) -> None:
    """Write predictions, and the first trial's predictions by windows.

    The same predictions give the same bytes, since numpy dates its zip entries 1980.
    """
    assert predictions.clusters is not None
    with write_atomically(path) as temporary:
        np.savez(
            temporary,
            allow_pickle=False,
            clips=np.array(predictions.clips, dtype=str),
            groups=predictions.clusters,
            classes=np.array(predictions.classes),
            labels=predictions.labels,
            scores=predictions.scores,
            confusion=predictions.confusion,
            **(windows.to_arrays() if windows else {}),
        )


def read_predictions(path: Path) -> Predictions:
    """Read predictions back; `UserError` names a file that is missing, damaged or of parts that do not fit."""
    require_unchanged(path)
    with name_damage(path, remedy=REMEDY):
        stored = array_files.read_npz(path)
        # of a clip with several classes, the counts are kept for each class: (trials, classes, 2, 2)
        task: Task = "multilabel" if stored["confusion"].ndim == 4 else "multiclass"
        try:
            return Predictions(
                task=task,
                clips=tuple(stored["clips"].tolist()),
                classes=tuple(stored["classes"].tolist()),
                labels=stored["labels"],
                scores=stored["scores"],
                confusion=stored["confusion"],
                clusters=stored.get("groups"),
            )
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def read_windows(path: Path) -> Windows | None:
    """Read the windows of the first trial, or None where its head does not read windows; `UserError` as above."""
    require_unchanged(path)
    with name_damage(path, remedy=REMEDY):
        return Windows.from_arrays(array_files.read_npz(path))
