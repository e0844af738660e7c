"""Mixtures made of the stems of several songs, for learning to separate sources (the MSSPT code).

What is heard in training is the sum of short pieces of different songs, so that sources are not told apart by what they
play together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What an example is mixed of: `pieces`, each of another song, by the name of a stem.

    None stands for the accompaniment: the song's mixture without its `sources`, which are those to be separated.
    """

    sources: tuple[str, ...]
    pieces: tuple[str | None, ...]

    @property
    def size(self) -> int:
        """Number of pieces."""
        return len(self.pieces)


class Mixer:
    """Reads mixtures and their sources from a corpus with stems; all samples are float32 on the scale of int16."""

    def __init__(self, corpus: Corpus, mix: Mix) -> None:
        """Open the corpus's stems; `UserError` if one is missing."""
        missing = [name for name in mix.sources if name not in corpus.facts.stems]
        if missing:
            raise UserError(
                f"{corpus.folder} has no stem {missing[0]}: separation is learned from a corpus with stems, such as "
                "musdb18"
            )
        self.corpus, self.mix = corpus, mix

    def read(self, rows: np.ndarray, *, starts: np.ndarray, length: int, pieces: int) -> tuple[np.ndarray, np.ndarray]:
        """Mixtures (batch, length) and their sources (batch, sources, length) from cuts, int64 (pieces * batch,).

        The first piece of every example comes first, then the second of every example in the same order. With one
        piece an example is the song's own mixture, with its stems as sources.
        """
        if pieces == 1:
            cuts = list(zip(rows.tolist(), starts.tolist(), strict=True))
            mixtures = np.stack([self._cut(None, row, start, length) for row, start in cuts])
            sources = [[self._cut(name, row, start, length) for name in self.mix.sources] for row, start in cuts]
            return mixtures, np.array(sources)
        assert pieces == self.mix.size, "an example needs a cut for each of its pieces"
        return self._mixed(rows.reshape(pieces, -1), starts.reshape(pieces, -1), length)

    def _mixed(self, rows: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        examples = rows.shape[1]
        sources = np.zeros((examples, len(self.mix.sources), length), np.float32)
        accompaniment = np.zeros((examples, length), np.float32)
        for name, its_rows, its_starts in zip(self.mix.pieces, rows.tolist(), starts.tolist(), strict=True):
            read = self._accompaniment if name is None else partial(self._cut, name)
            pieces = np.stack([read(row, start, length) for row, start in zip(its_rows, its_starts, strict=True)])
            into = accompaniment if name is None else sources[:, self.mix.sources.index(name)]
            into += pieces
        return sources.sum(axis=1) + accompaniment, sources

    def _accompaniment(self, row: int, start: int, length: int) -> np.ndarray:
        """Mixture without the sources: published mixtures are not quite the sum of their stems."""
        stems = [self._cut(name, row, start, length) for name in self.mix.sources]
        return self._cut(None, row, start, length) - np.sum(stems, axis=0)

    def _cut(self, stem: str | None, row: int, start: int, length: int) -> np.ndarray:
        piece = np.zeros(length, np.int16)
        self.corpus.fill(piece, row=row, start=start, stem=stem)
        return piece.astype(np.float32)
