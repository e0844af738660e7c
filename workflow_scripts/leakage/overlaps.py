"""What a labelled data set shares between its splits, and with a corpus that encoders are pre-trained on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.progress import track
from workflow_scripts.leakage import exact
from workflow_scripts.leakage.fingerprint import SHIFTS, Fingerprint, Fingerprinter
from workflow_scripts.leakage.search import FingerprintIndex

Result = TypeVar("Result")
Kind = Literal["exact", "near", "track", "group"]
Pair = tuple[Kind, int, int, dict[str, Any]]  # row of the data set, row of the other corpus, facts of the overlap
KINDS: dict[Kind, str] = {
    "exact": "same samples, but for digital silence around them",
    "near": "same recording, perhaps shifted in pitch, cropped, re-encoded or with noise",
    "track": "parts of one track of a catalogue that both take clips from",
    "group": "one artist, song or repetition in two splits",
}
#: splits that pre-training hears: it learns from the first and weighs workers by its loss on the second
PRETRAINING_SPLITS = ("train", "valid")
UNSHIFTED = SHIFTS.index(0)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Where the clips of a data set come from, if others take theirs there too, and how a clip names its track."""

    name: str
    pattern: str  # regular expression whose first group, at the start of a clip id, is the track's number


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two clips that share something.

    `clip` belongs to the data set. `similarity` is 1 for equal codes, see `search.Match`; `other_clip` is `semitones`
    higher and begins `seconds` after it. `name` is the track or group they share; of each group that is in two splits
    there is one overlap. `leak` says whether a test is no longer one: see `Audit.find_within` and `Audit.find_across`.
    """

    kind: Kind
    leak: bool
    clip: str
    split: str
    other_corpus: str
    other_clip: str
    other_split: str
    similarity: float | None = None
    semitones: float | None = None
    seconds: float | None = None
    name: str = ""


class AuditedCorpus:
    """A prepared corpus and what its clips are recognised by."""

    def __init__(self, corpus: Corpus, *, catalogue: Catalogue | None = None) -> None:
        """Take a corpus and, where one is known, the catalogue its clips come from."""
        self.corpus, self.catalogue = corpus, catalogue
        self.name = corpus.facts.dataset
        self.clips, self.splits, self.groups = (
            corpus.clips[column].astype(str).to_list() for column in ("clip", "split", "group")
        )
        self._fingerprinter = Fingerprinter(corpus.facts.sample_rate)

    def fingerprint(self, row: int) -> Fingerprint:
        """Fingerprint of a clip."""
        start = self.corpus.offsets[row]
        return self._fingerprinter(self.corpus.samples[start : start + self.corpus.lengths[row]])

    @cached_property
    def digests(self) -> list[bytes]:
        """Digest of each clip's audio."""
        return exact.digest_clips(self.corpus)

    @cached_property
    def tracks(self) -> list[str]:
        """Track of each clip, empty where its id does not say."""
        found = [re.match(self.catalogue.pattern, clip) if self.catalogue else None for clip in self.clips]
        return [match[1] if match else "" for match in found]


class Audit:
    """Looks for a data set's clips in itself and in other corpora."""

    def __init__(self, dataset: AuditedCorpus, *, threads: int) -> None:
        """Fingerprint every clip of `dataset`."""
        self.dataset, self.threads = dataset, threads
        codes = self._of_each(
            lambda row: dataset.fingerprint(row).codes[UNSHIFTED],
            range(len(dataset.clips)),
            description=f"fingerprints of {dataset.name}",
        )
        self.index = FingerprintIndex(list(codes))

    def find_within(self) -> list[Overlap]:
        """Overlaps of the data set with itself; those of clips in different splits are leaks."""
        dataset = self.dataset
        rows = list(range(len(dataset.clips)))
        return self._overlaps(dataset, rows, leaks=lambda split, other: split != other) + _find_divided_groups(dataset)

    def find_across(self, corpus: AuditedCorpus) -> list[Overlap]:
        """Overlaps with the clips of `corpus` that pre-training hears; those of test clips are leaks."""
        heard = [row for row, split in enumerate(corpus.splits) if split in PRETRAINING_SPLITS]
        return self._overlaps(corpus, heard, leaks=lambda split, other: split == "test")  # noqa: ARG005

    def _overlaps(self, other: AuditedCorpus, rows: list[int], *, leaks: Callable[[str, str], bool]) -> list[Overlap]:
        """Overlaps with some rows of `other`, each pair once, by the strongest kind."""
        found: dict[tuple[int, int], Overlap] = {}
        for kind, row, other_row, facts in itertools.chain(
            self._exact(other, rows), self._near(other, rows), self._same_track(other, rows)
        ):
            split, other_split = self.dataset.splits[row], other.splits[other_row]
            overlap = Overlap(
                kind=kind,
                leak=leaks(split, other_split),
                clip=self.dataset.clips[row],
                split=split,
                other_corpus=other.name,
                other_clip=other.clips[other_row],
                other_split=other_split,
                **facts,
            )
            found.setdefault((row, other_row), overlap)
        return list(found.values())

    def _exact(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        for row, other_row in self._equal(self.dataset.digests, other, [other.digests[row] for row in rows], rows):
            yield "exact", row, other_row, {}

    def _same_track(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        mine, theirs = self.dataset.catalogue, other.catalogue
        if mine is None or theirs is None or mine.name != theirs.name:
            return
        for row, other_row in self._equal(self.dataset.tracks, other, [other.tracks[row] for row in rows], rows):
            yield "track", row, other_row, {"name": f"{mine.name} {self.dataset.tracks[row]}"}

    def _equal(
        self, known: Sequence[Hashable], other: AuditedCorpus, asked: Sequence[Hashable], rows: list[int]
    ) -> Iterator[tuple[int, int]]:
        """Pairs of rows with equal values, except empty ones: each asked row with the first known row of every split.

        That is enough to see each asked clip and each split that it is in, and few pairs where one clip is everywhere.
        """
        first: dict[Hashable, dict[str, int]] = {}
        for row, value in enumerate(known):
            if value:
                first.setdefault(value, {}).setdefault(self.dataset.splits[row], row)
        for row, value in zip(rows, asked, strict=True):
            for match in first.get(value, {}).values():
                if other is not self.dataset or match < row:
                    yield match, row

    def _near(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        matches = self._of_each(
            lambda row: self.index.search(other.fingerprint(row)),
            rows,
            description=f"looking for {self.dataset.name} in {other.name}",
        )
        for row, found in zip(rows, matches, strict=True):
            for match in found:
                if other is not self.dataset or match.indexed < row:
                    facts = {
                        "similarity": match.similarity,
                        "semitones": match.semitones,
                        "seconds": match.seconds,
                    }
                    yield "near", match.indexed, row, facts

    def _of_each(self, function: Callable[[int], Result], rows: Sequence[int], *, description: str) -> Iterator[Result]:
        """Results of `function`, in order. Threads do: numpy's long operations let each other run."""
        with ThreadPoolExecutor(self.threads) as pool:
            yield from track(pool.map(function, rows), description=description, total=len(rows))


def _find_divided_groups(dataset: AuditedCorpus) -> list[Overlap]:
    """One overlap for each group and pair of splits it is in, between its first clips there."""
    first: dict[str, dict[str, int]] = {}
    for row, (group, split) in enumerate(zip(dataset.groups, dataset.splits, strict=True)):
        first.setdefault(group, {}).setdefault(split, row)
    return [
        Overlap(
            kind="group",
            leak=True,
            clip=dataset.clips[row],
            split=split,
            other_corpus=dataset.name,
            other_clip=dataset.clips[other_row],
            other_split=other,
            name=group,
        )
        for group, rows in first.items()
        for (split, row), (other, other_row) in itertools.combinations(rows.items(), 2)
    ]
