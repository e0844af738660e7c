"""Mixtures of the stems of several songs, to learn source separation (the MSSPT code).

A training example is the sum of short crops of different songs, so that sources cannot be recognised by what usually
accompanies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Composition of a training example: `pieces`, each of another song, by the name of a stem.

    None denotes the accompaniment, which is the mixture of a song without its `sources`, the stems to be separated.
    """

    sources: tuple[str, ...]
    pieces: tuple[str | None, ...]

    @property
    def size(self) -> int:
        """Number of pieces."""
        return len(self.pieces)


class Mixer:
    """Reader of mixtures and their sources from a corpus with stems; samples are float32 on the scale of int16."""

    def __init__(self, corpus: Corpus, mix: Mix) -> None:
        """Open the stems of the corpus; `UserError` if one is missing."""
        missing = [name for name in mix.sources if name not in corpus.facts.stems]
        if missing:
            raise UserError(
                f"{corpus.folder} has no stem {missing[0]}: separation is learned from a corpus with stems, such as "
                "musdb18"
            )
        self.corpus, self.mix = corpus, mix

    def read(self, rows: np.ndarray, *, starts: np.ndarray, length: int, pieces: int) -> tuple[np.ndarray, np.ndarray]:
        """Read mixtures (batch, length) and sources (batch, sources, length) of crops, int64 (pieces * batch,).

        The first piece of every example comes first, then the second of every example in the same order. With a single
        piece, an example is the mixture of the song itself, with its stems as sources.
        """
        if pieces == 1:
            crops = list(zip(rows.tolist(), starts.tolist(), strict=True))
            mixtures = np.stack([self._read_stem(None, row, start, length) for row, start in crops])
            sources = [[self._read_stem(name, row, start, length) for name in self.mix.sources] for row, start in crops]
            return mixtures, np.array(sources)
        assert pieces == self.mix.size, "an example needs a crop for each of its pieces"
        return self._mix_songs(rows.reshape(pieces, -1), starts.reshape(pieces, -1), length)

    def _mix_songs(self, rows: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        examples = rows.shape[1]
        sources = np.zeros((examples, len(self.mix.sources), length), np.float32)
        accompaniment = np.zeros((examples, length), np.float32)
        for name, piece_rows, piece_starts in zip(self.mix.pieces, rows.tolist(), starts.tolist(), strict=True):
            read = self._read_accompaniment if name is None else partial(self._read_stem, name)
            crops = np.stack([read(row, start, length) for row, start in zip(piece_rows, piece_starts, strict=True)])
            total = accompaniment if name is None else sources[:, self.mix.sources.index(name)]
            total += crops
        return sources.sum(axis=1) + accompaniment, sources

    def _read_accompaniment(self, row: int, start: int, length: int) -> np.ndarray:
        """Subtract the sources from the mixture, because published mixtures are not exactly the sum of their stems."""
        stems = [self._read_stem(name, row, start, length) for name in self.mix.sources]
        return self._read_stem(None, row, start, length) - np.sum(stems, axis=0)

    def _read_stem(self, stem: str | None, row: int, start: int, length: int) -> np.ndarray:
        samples = np.zeros(length, np.int16)
        self.corpus.fill(samples, row=row, start=start, stem=stem)
        return samples.astype(np.float32)
