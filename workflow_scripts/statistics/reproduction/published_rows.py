"""Rows of published.csv: every number and claim that the three publications state.

One row per number or claim, transcribed by hand from the text, tables and figures of Wu et al. 2021 (A), Spijkervet
2021 (B) and Garoufis et al. 2024 (C). `id` names a row (system, table or section, subject), such as
`C.results.mtat.cnn.bass.pr_auc`. A claim in words has no number; its `notes` state the claim. `notes` also say where a
publication contradicts itself or the data it describes.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.core.errors import UserError

DATA_FILES = ("published.csv",)
PUBLISHED = Path(__file__).parent / DATA_FILES[0]
COLUMNS = tuple(
    "id system table_or_figure pretrain_data eval_data model setting scenario metric mean std notes".split()
)
NEAREST = 3  # ids suggested for one that is misspelt

#: rows that no experiment here can reproduce, by the values of their columns, and what these rows are
OBTAINED, CITED = "what the authors could obtain", "cited from other publications"
CITED_MODELS = (
    "Pons et al. (waveform)",
    "1D CNN",
    "fully supervised models (best)",
    "SimCLR",
    "ResNet-50",
    "SimCLR v2",
    "PASE+",
)
BEYOND_EXPERIMENTS = (
    ({"system": "A", "pretrain_data": "AudioSet"}, OBTAINED),
    *(({"system": "B", "model": model}, CITED) for model in CITED_MODELS),
)


#: rows by id, all values as printed, empty where there is none
PublishedRows = Mapping[str, dict[str, str]]


def read_published(path: Path = PUBLISHED) -> PublishedRows:
    """Read published.csv, which planning does for every job: pandas would take half a second."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def find_row(published: PublishedRows, row_id: str, *, where: str) -> dict[str, str]:
    """Return the row called `row_id`; `UserError` suggests the nearest ids."""
    if row_id not in published:
        nearest = difflib.get_close_matches(row_id, published, n=NEAREST, cutoff=0)
        raise UserError(f"{where}: id: published.csv has no row {row_id!r}; nearest: {', '.join(nearest)}")
    return published[row_id]


def beyond_experiments(row: dict[str, Any]) -> str:
    """Return why no experiment here can reproduce a row; empty for the others."""
    return next((reason for columns, reason in BEYOND_EXPERIMENTS if columns.items() <= row.items()), "")
