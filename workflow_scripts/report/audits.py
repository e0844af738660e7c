"""What the audits found, as printed: clips that are not new where they are tested on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.report import labels, number_format

LISTED = 20  # leaks of each data set on the page; the csv beside the audit has them all
KINDS = {"exact": "same samples", "near": "same recording", "track": "same track", "group": "group in two splits"}
HEADINGS = ("Data set", "Compared with", "Source", *(labels.capital(kind) for kind in KINDS.values()), "Leaks")
LEAK_HEADINGS = ("Clip", "In", "And", "In", "What", "Similarity")
NOTES = (
    "A clip counts as the same recording when most of its fingerprint's bits are equal, up to a semitone higher or "
    "lower, cropped, re-encoded or noisy. Unlike music, two single held notes can be so much alike.",
    "A leak within a data set is in two of its splits; one with a pre-training corpus is tested on and heard before.",
    "results/audits/ has every overlap.",
)


@dataclass(frozen=True, kw_only=True)
class Audits:
    """Tables of the section: a row per data set and corpus it was compared with, and a row per leak, up to `LISTED`."""

    rows: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = NOTES
    headings: tuple[str, ...] = HEADINGS
    leak_headings: tuple[str, ...] = LEAK_HEADINGS


def read(paths: Sequence[Path]) -> Audits:
    """Tables from the numbers that `audit` wrote and the overlaps beside them; missing files are left out."""
    found = [path for path in paths if path.is_file()]
    return Audits(
        rows=tuple(row for path in found for row in _rows(json.loads(path.read_text(encoding="utf-8")))),
        leaks=tuple(row for path in found for row in _leaks(path.with_suffix(".csv"))),
        notes=(*NOTES, *_too_short(json.loads(path.read_text(encoding="utf-8")) for path in found)),
    )


def _rows(audit: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in audit["comparisons"]:
        within = each["corpus"] == audit["dataset"]
        yield (
            labels.name(audit["dataset"]),
            "its other splits" if within else labels.name(each["corpus"]),
            each["source"],
            *(f"{each['overlaps'][kind]:,}" if within or kind != "group" else "" for kind in KINDS),
            f"{sum(each['leaks'].values()):,}",
        )


def _leaks(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        leaks = [row for row in csv.DictReader(file) if row["leak"] == "True"]
    return [
        (
            row["clip"],
            row["split"],
            row["other_clip"],
            f"{labels.name(row['other_corpus'])}, {row['other_split']}",
            f"{KINDS[row['kind']]}{': ' if row['name'] else ''}{row['name']}",
            f"{float(row['similarity']):.2f}" if row["similarity"] else "",
        )
        for row in leaks[:LISTED]
    ]


def _too_short(audits: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for audit in audits:
        if audit["too_short"]:
            clips = number_format.count(audit["too_short"], "clips")
            yield f"{labels.name(audit['dataset'])}: {clips} with under 1.4 s of sound compared by samples alone."
