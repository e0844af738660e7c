"""Corpora and data sets as printed: their clips, quarantine and digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import FindRecord, find_record, require_unchanged
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.levels.dataset_facts import SPLITS
from workflow_scripts.report import labels, number_format

HEADINGS = (
    *("Data set", "Source"),
    *("Clips", *(labels.capital(split) for split in SPLITS), "Quarantined", "Scaled", "Defective"),
)
TEXTS = 2  # columns of text before those of numbers


@dataclass(frozen=True, kw_only=True)
class DataRow:
    """One corpus or data set as printed, with its clips by split, and those quarantined, scaled or with a defect."""

    dataset: str
    source: str
    clips: str
    splits: tuple[str, ...]
    quarantined: str
    scaled: str
    defective: str
    reasons: tuple[tuple[str, str], ...]  # for quarantine, with the number of clips
    notes: tuple[str, ...]
    digest: str

    @property
    def cells(self) -> tuple[str, ...]:
        """Cells in the order of `HEADINGS`."""
        numbers = (self.clips, *self.splits, self.quarantined, self.scaled, self.defective)
        return (self.dataset, self.source, *numbers)


def data_rows(cells: pd.DataFrame, *, corpora: Sequence[Path], find: FindRecord = find_record) -> list[DataRow]:
    """Return one row per prepared corpus (`corpus.json`), then one per evaluated data set not among them.

    `find` reads facts; it raises `UserError` for those that are not as `prepare` wrote them, or leaves them out.
    """
    files = {folder: folder / result_files.CORPUS_FACTS for folder in sorted(corpora)}
    facts = {folder: find(path) for folder, path in files.items()}
    rows = [_corpus(folder, of_corpus) for folder, of_corpus in facts.items() if of_corpus]
    known = {row.digest for row in rows}
    measured = cells[cells["data_digest"] != ""].drop_duplicates(["dataset", "data_digest"])
    rows += [
        DataRow(
            dataset=labels.name(record["dataset"]),
            source=record["source"],
            clips="",
            splits=("", "", f"{record['test_clips']:,}"),
            quarantined=f"{record['quarantined']:,}",
            scaled="",
            defective="",
            reasons=(),
            notes=(),
            digest=record["data_digest"],
        )
        for record in measured.to_dict("records")
        if record["data_digest"] not in known
    ]
    return rows


def _corpus(folder: Path, facts: Mapping[str, Any]) -> DataRow:
    require_unchanged(folder / result_files.QUARANTINE)
    reasons = Counter(row["reason"] for row in read_rows(folder / result_files.QUARANTINE, ["reason"]))
    return DataRow(
        dataset=f"{labels.name(facts['dataset'])}, {facts['sample_rate']:,} Hz",
        source=facts["source"],
        clips=f"{facts['clips']:,} ({number_format.duration(facts['seconds'])})",
        splits=_splits(folder / result_files.CLIPS),
        quarantined=f"{facts['quarantined']:,}",
        scaled=f"{facts['scaled']:,}",
        defective=f"{facts['defective']:,}",
        reasons=tuple((reason, f"{number:,}") for reason, number in reasons.most_common()),
        notes=tuple(facts.get("notes", ())),
        digest=facts["content"],  # which results carry, whatever sample rate they were measured at
    )


def _splits(path: Path) -> tuple[str, ...]:
    """Return the number of clips of each split; empty texts where a corpus lies elsewhere, but for its facts."""
    if not path.is_file():
        return ("",) * len(SPLITS)
    require_unchanged(path)
    numbers = pd.read_parquet(path, columns=["split"])["split"].value_counts()
    return tuple(f"{numbers.get(split, 0):,}" for split in SPLITS)
