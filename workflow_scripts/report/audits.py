"""Results of the leakage audits as printed: test clips whose recording is also in training or pre-training data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.core.checksums import FindRecord, find_record, require_unchanged
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.report import labels, number_format

MAX_LEAKS = 20  # of each data set on the page; the csv beside the audit has all of them
KINDS = {"exact": "same samples", "near": "same recording", "track": "same track", "group": "group in two splits"}
HEADINGS = ("Data set", "Compared with", "Source", *(labels.capital(kind) for kind in KINDS.values()), "Leaks")
LEAK_HEADINGS = ("Clip", "Split", "Same recording as", "In", "Evidence", "Similarity")
NOTES = (
    "Two clips count as the same recording if most bits of their fingerprints are equal, even if one is up to a "
    "semitone higher or lower, cropped, re-encoded or noisy. Single sustained notes can match without being the same.",
    "A leak within a data set is a recording in two of its splits, not two clips of one split; a leak with a "
    "pre-training corpus is a test clip that was also used in pre-training.",
    "results/audits/ lists every overlap.",
)


@dataclass(frozen=True, kw_only=True)
class AuditTables:
    """Tables of the section: a row per data set and corpus compared with it, and a row per leak, up to `MAX_LEAKS`."""

    rows: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = NOTES
    headings: tuple[str, ...] = HEADINGS
    leak_headings: tuple[str, ...] = LEAK_HEADINGS


def read_audits(paths: Sequence[Path], *, find: FindRecord = find_record) -> AuditTables:
    """Read the numbers that `audit` wrote and the overlaps beside them; missing files are left out.

    `find` reads numbers; it raises `UserError` for files that are not as `audit` wrote them, or leaves them out.
    """
    records = {path: find(path) for path in paths}
    audits = {path: audit for path, audit in records.items() if audit}
    return AuditTables(
        rows=tuple(row for audit in audits.values() for row in _rows(audit)),
        leaks=tuple(row for path in audits for row in _leaks(path)),
        notes=(*NOTES, *_too_short(audits.values())),
    )


def _rows(audit: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for comparison in audit["comparisons"]:
        within = comparison["corpus"] == audit["dataset"]
        yield (
            labels.name(audit["dataset"]),
            "itself" if within else labels.name(comparison["corpus"]),
            comparison["source"],
            *(f"{comparison['overlaps'][kind]:,}" if within or kind != "group" else "" for kind in KINDS),
            f"{sum(comparison['leaks'].values()):,}",
        )


def _leaks(record: Path) -> list[tuple[str, ...]]:
    path = record.with_suffix(".csv")
    require_unchanged(path, record=record)
    leaks = [row for row in read_rows(path, ["leak"]) if row["leak"] == "True"]
    return [
        (
            row["clip"],
            row["split"],
            row["other_clip"],
            f"{labels.name(row['other_corpus'])}, {row['other_split']}",
            f"{KINDS[row['kind']]}{': ' if row['name'] else ''}{row['name']}",
            f"{float(row['similarity']):.2f}" if row["similarity"] else "",
        )
        for row in leaks[:MAX_LEAKS]
    ]


def _too_short(audits: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Return a note for each data set with clips that are too short for a fingerprint."""
    for audit in audits:
        if audit["too_short"]:
            clips = number_format.count(audit["too_short"], "clips")
            dataset = labels.name(audit["dataset"])
            yield f"{dataset}: {clips} with less than 1.4 s of sound; only their samples were compared."
