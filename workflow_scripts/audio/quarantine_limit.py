"""The largest share of quarantined clips that the studies of a run tolerate.

It decides whether jobs may use a corpus, not what they make of it. So it is told to them beside their config, in the
environment, and another share makes nothing again.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from pathlib import Path

from workflow_scripts.core.errors import UserError

ENVIRONMENT_VARIABLE = "PRELUDE_LARGEST_SHARES"  # JSON: data set -> share; one that is not named may have any
REASONS_SHOWN = 3  # reasons in the message; the file has all


def read_limits() -> dict[str, float]:
    """Largest share by data set, as the workflow set it."""
    return dict(json.loads(os.environ.get(ENVIRONMENT_VARIABLE) or "{}"))


def require_within_limit(folder: Path, *, dataset: str, clips: int, quarantined: int) -> None:
    """Raise `UserError` with the list if more of the corpus in `folder` is quarantined than the studies tolerate.

    `clips` are those that were kept.
    """
    largest, indexed = read_limits().get(dataset), clips + quarantined
    if largest is None or quarantined <= largest * indexed:
        return
    path = folder / "quarantine.csv"
    raise UserError(
        f"{dataset}: {quarantined} of {indexed} clips ({quarantined / indexed:.1%}) are quarantined and a study "
        f"tolerates {largest:.1%} ({_summarise_reasons(path)}): repair the files listed in {path} and run with "
        "--forcerun acquire, or raise quarantine.largest_share in the study"
    )


def _summarise_reasons(path: Path) -> str:
    """The commonest reasons, each with a clip."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["clip"], row["reason"]) for row in csv.DictReader(file)]
    example = {reason: clip for clip, reason in reversed(rows)}  # the first clip of each
    counts = Counter(reason for _, reason in rows).most_common()
    shown = [f"{count} {reason} such as {example[reason]}" for reason, count in counts[:REASONS_SHOWN]]
    return ", ".join(shown + ([f"{len(counts) - REASONS_SHOWN} more reasons"] if len(counts) > REASONS_SHOWN else []))
