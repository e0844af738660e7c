"""Rows of published.csv, and the notes on open choices."""

from __future__ import annotations

import re

import numpy as np

from tests.checkout import REPOSITORY, SHARED, needs_shared
from workflow_scripts.statistics.reproduction.published_rows import PUBLISHED, read_published

NOTES = REPOSITORY / "docs" / "reproduction-notes.md"
TAGS = re.findall(r"^### ([ABC]\d+)$", NOTES.read_text(encoding="utf-8"), re.MULTILINE)


@needs_shared
def test_published_data_have_the_shared_ones_in_order_with_ids() -> None:
    remaining = (line.partition(b",")[2] for line in PUBLISHED.read_bytes().splitlines())
    shared = (SHARED / "reference" / "published.csv").read_bytes().splitlines()
    assert all(line in remaining for line in shared), "a shared line is missing, was edited or is not in order"


def test_ids_are_unique_and_begin_with_their_system() -> None:
    published = read_published()
    assert len(published) == len(PUBLISHED.read_text(encoding="utf-8").splitlines()) - 1
    for row in published.values():
        assert re.fullmatch(rf"{row['system']}(\.[a-z0-9_]+){{2,}}", row["id"]), row["id"]


def test_published_rows_have_a_number_or_a_claim() -> None:
    published = read_published()
    for row in published.values():
        assert bool(row["mean"]) != row["metric"].startswith("ordinal claim")
        assert row["mean"] or row["notes"]
        assert np.isfinite(float(row["mean"] or 0))
        assert np.isfinite(float(row["std"] or 0))


def test_the_notes_have_each_tag_once_with_choice_and_bearing() -> None:
    assert sorted(set(TAGS), key=lambda tag: (tag[0], int(tag[1:]))) == TAGS
    for section in re.split(r"^### ", NOTES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        assert re.search(r"\bBears\s+(\w+\s+)?on\b", section), section
