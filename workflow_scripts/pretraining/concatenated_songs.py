"""Songs concatenated from the clips of a corpus, for data sets whose clips are parts of songs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.levels.dataset_index import Split


class ConcatenatedSongs:
    """The clips of a corpus concatenated to songs, which are cropped like clips.

    A song consists of the clips of one group in one split, in corpus order, and is identified by the row of its first
    clip. CLMR pre-trains in this way: a crop of MagnaTagATune may start anywhere in a song and extend across the
    borders of its clips (Spijkervet 2021, section 3.1).
    """

    def __init__(self, corpus: Corpus) -> None:
        """Concatenate the clips of `corpus`."""
        self.corpus, self.folder = corpus, corpus.folder
        clips = corpus.clips[["split", "group"]].reset_index(drop=True)
        self._clips: Mapping[int, np.ndarray] = {
            int(rows[0]): rows
            for rows in map(np.asarray, clips.groupby(["split", "group"], sort=False).indices.values())
        }
        self._lengths = np.zeros(len(corpus), np.int64)
        for first, rows in self._clips.items():
            self._lengths[first] = corpus.lengths[rows].sum()

    @property
    def lengths(self) -> np.ndarray:
        """Samples in each song, int64 (clips,), by the row of its first clip; 0 for the other clips."""
        return self._lengths

    def rows(self, split: Split) -> np.ndarray:
        """Return the row of the first clip of each song of a split, int64, ascending."""
        return np.array([row for row in self.corpus.rows(split) if row in self._clips], np.int64)

    def fill(self, piece: np.ndarray, *, row: int, start: int) -> None:
        """Copy samples of song `row` from `start` into `piece`, int16; values beyond the song's end stay unchanged."""
        filled = 0
        for clip in self._clips[row]:
            length = int(self.corpus.lengths[clip])
            if start < length and filled < len(piece):
                self.corpus.fill(piece[filled:], row=clip, start=start)
                filled += length - start
            start = max(0, start - length)
