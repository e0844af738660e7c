"""Overlaps of a labelled data set between its splits, and with the corpora that encoders are pre-trained on."""

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
#: splits used by pre-training: it learns from the first and weights workers by its loss on the second
PRETRAINING_SPLITS = ("train", "valid")
UNSHIFTED = SHIFTS.index(0)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Catalogue of tracks that several data sets take clips from, and how a clip id names its track."""

    name: str
    pattern: str  # regular expression whose first group, at the start of a clip id, is the track's number


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two clips with a common recording, track or group.

    `clip` belongs to the data set. `similarity` is 1 for equal codes, see `search.Match`; `other_clip` is `semitones`
    higher and begins `seconds` after it. `name` is the common track or group; each group in two splits gives one
    overlap. `leak` marks an overlap that invalidates a test: see `Audit.find_within` and `Audit.find_across`.
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
    """A prepared corpus with the digests, fingerprints and track numbers of its clips."""

    def __init__(self, corpus: Corpus, *, catalogue: Catalogue | None = None) -> None:
        """Take a corpus and, if known, the catalogue its clips come from."""
        self.corpus, self.catalogue = corpus, catalogue
        self.name = corpus.facts.dataset
        self.clips, self.splits, self.groups = (
            corpus.clips[column].astype(str).to_list() for column in ("clip", "split", "group")
        )
        self._fingerprinter = Fingerprinter(corpus.facts.sample_rate)

    def fingerprint(self, row: int) -> Fingerprint:
        """Compute the fingerprint of a clip."""
        start = self.corpus.offsets[row]
        return self._fingerprinter(self.corpus.samples[start : start + self.corpus.lengths[row]])

    @cached_property
    def digests(self) -> list[bytes]:
        """Digest of each clip's audio."""
        return exact.digest_clips(self.corpus)

    @cached_property
    def tracks(self) -> list[str]:
        """Track of each clip, empty if its id does not name one."""
        matches = [re.match(self.catalogue.pattern, clip) if self.catalogue else None for clip in self.clips]
        return [match[1] if match else "" for match in matches]


class Audit:
    """Search for the clips of a data set in itself and in other corpora."""

    def __init__(self, dataset: AuditedCorpus, *, threads: int) -> None:
        """Fingerprint every clip of `dataset`."""
        self.dataset, self.threads = dataset, threads
        codes = self._map_rows(
            lambda row: dataset.fingerprint(row).codes[UNSHIFTED],
            range(len(dataset.clips)),
            description=f"fingerprints of {dataset.name}",
        )
        self.index = FingerprintIndex(list(codes))

    def find_within(self) -> list[Overlap]:
        """Find overlaps of the data set with itself; those of clips in different splits are leaks."""
        dataset = self.dataset
        rows = list(range(len(dataset.clips)))
        return self._find_overlaps(dataset, rows, leaks=lambda split, other: split != other) + _find_divided_groups(
            dataset
        )

    def find_across(self, corpus: AuditedCorpus) -> list[Overlap]:
        """Find overlaps with the clips of `corpus` that pre-training uses; those of test clips are leaks."""
        rows = [row for row, split in enumerate(corpus.splits) if split in PRETRAINING_SPLITS]
        return self._find_overlaps(corpus, rows, leaks=lambda split, other: split == "test")  # noqa: ARG005

    def _find_overlaps(
        self, other: AuditedCorpus, rows: list[int], *, leaks: Callable[[str, str], bool]
    ) -> list[Overlap]:
        """Find overlaps with some rows of `other`, each pair once, with the strongest kind."""
        overlaps: dict[tuple[int, int], Overlap] = {}
        for kind, row, other_row, facts in itertools.chain(
            self._find_exact(other, rows), self._find_near(other, rows), self._find_same_track(other, rows)
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
            overlaps.setdefault((row, other_row), overlap)
        return list(overlaps.values())

    def _find_exact(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        for row, other_row in self._match_values(
            self.dataset.digests, other, [other.digests[row] for row in rows], rows
        ):
            yield "exact", row, other_row, {}

    def _find_same_track(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        catalogue = self.dataset.catalogue
        if catalogue is None or other.catalogue is None or catalogue.name != other.catalogue.name:
            return
        for row, other_row in self._match_values(self.dataset.tracks, other, [other.tracks[row] for row in rows], rows):
            yield "track", row, other_row, {"name": f"{catalogue.name} {self.dataset.tracks[row]}"}

    def _match_values(
        self, values: Sequence[Hashable], other: AuditedCorpus, other_values: Sequence[Hashable], rows: list[int]
    ) -> Iterator[tuple[int, int]]:
        """Yield pairs of rows with equal values that are not empty.

        Each of `rows` is paired with the data set's first row in every split: enough to report each clip and every
        split with the same value, and few pairs if one clip occurs everywhere.
        """
        first: dict[Hashable, dict[str, int]] = {}
        for row, value in enumerate(values):
            if value:
                first.setdefault(value, {}).setdefault(self.dataset.splits[row], row)
        for row, value in zip(rows, other_values, strict=True):
            for match in first.get(value, {}).values():
                if other is not self.dataset or match < row:
                    yield match, row

    def _find_near(self, other: AuditedCorpus, rows: list[int]) -> Iterator[Pair]:
        matches_by_row = self._map_rows(
            lambda row: self.index.search(other.fingerprint(row)),
            rows,
            description=f"looking for {self.dataset.name} in {other.name}",
        )
        for row, matches in zip(rows, matches_by_row, strict=True):
            for match in matches:
                if other is not self.dataset or match.row < row:
                    facts = {
                        "similarity": match.similarity,
                        "semitones": match.semitones,
                        "seconds": match.seconds,
                    }
                    yield "near", match.row, row, facts

    def _map_rows(
        self, function: Callable[[int], Result], rows: Sequence[int], *, description: str
    ) -> Iterator[Result]:
        """Yield the results of `function` in order. Threads suffice: numpy releases the GIL in its long operations."""
        with ThreadPoolExecutor(self.threads) as pool:
            yield from track(pool.map(function, rows), description=description, total=len(rows))


def _find_divided_groups(dataset: AuditedCorpus) -> list[Overlap]:
    """Find the groups in several splits: one overlap for each pair of splits, between the group's first clips there."""
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
