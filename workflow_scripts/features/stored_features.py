"""Stored features of a corpus: one float32 array (channels, frames of all clips), `frame_count(length)` per clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import array_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.frames import HOP


def frame_offsets(corpus: Corpus) -> np.ndarray:
    """Compute the first frame of each clip and, last, the number of all frames: int64 (clips + 1,)."""
    return np.concatenate([[0], np.cumsum(1 + corpus.lengths // HOP)])


class StoredFeature:
    """Read access to the stored features of one worker; they are read from disk on demand."""

    def __init__(self, path: Path, corpus: Corpus) -> None:
        """Open `path`, written by `extract` for `corpus`. Raises `UserError` if it is changed or of another one."""
        require_unchanged(path)
        self.values = array_files.map_matrix(path, remedy="extract these features again")
        self.offsets = frame_offsets(corpus)
        if self.values.shape[1] != self.offsets[-1]:
            raise UserError(f"{path} does not belong to the corpus in {corpus.folder}: extract its features again")

    def cut(self, row: int, first_frame: int, frames: int) -> np.ndarray:
        """Return `frames` frames of the clip `row`, float32 (channels, frames), with zeros where the clip has ended."""
        first = int(self.offsets[row]) + first_frame
        piece = self.values[:, first : max(first, min(first + frames, int(self.offsets[row + 1])))]
        result = np.zeros((len(self.values), frames), np.float32)
        result[:, : piece.shape[1]] = piece
        return result

    def cut_rows(self, rows: np.ndarray, first_frames: np.ndarray, frames: int) -> np.ndarray:
        """Return one cut per row, float32 (rows, channels, frames)."""
        return np.stack([self.cut(int(row), int(first), frames) for row, first in zip(rows, first_frames, strict=True)])
