"""Limits on the quarantine, as set by the studies of a run: the largest share of clips, and splits that need some.

The limits decide whether jobs may use a corpus, not what they compute from it. They are therefore passed in the
environment and not in their config, so that changing them does not re-run any job.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.core.csv_files import read_rows
from workflow_scripts.core.errors import UserError

SHARES_VARIABLE = "PRELUDE_LARGEST_SHARES"  # JSON: data set -> share; a data set not named has no limit
SPLITS_VARIABLE = "PRELUDE_NEEDED_SPLITS"  # JSON: data set -> splits in which its uses need clips
REASONS_SHOWN = 3  # reasons listed in the message; the file lists all


def read_limits() -> dict[str, float]:
    """Return the largest tolerated share by data set, as set by the workflow."""
    return dict(json.loads(os.environ.get(SHARES_VARIABLE) or "{}"))


def require_within_limit(folder: Path, *, dataset: str, clips: int, quarantined: int) -> None:
    """Raise `UserError` with the commonest reasons if more of a corpus is quarantined than the studies tolerate.

    `clips` is the number of clips kept in `folder`.
    """
    largest, indexed = read_limits().get(dataset), clips + quarantined
    if largest is None or quarantined <= largest * indexed:
        return
    path = folder / result_files.QUARANTINE
    raise UserError(
        f"{dataset}: {quarantined} of {indexed} clips ({quarantined / indexed:.1%}) are quarantined and a study "
        f"tolerates {largest:.1%} ({_summarise_reasons(path)}): repair the files listed in {path} and run with "
        f"--forcerun <data>/{dataset}/{result_files.ACQUIRED}, or raise quarantine.largest_share in the study"
    )


def read_needed_splits(dataset: str) -> list[str]:
    """Return the splits in which the studies need clips, as set by the workflow."""
    return list(json.loads(os.environ.get(SPLITS_VARIABLE) or "{}").get(dataset, ()))


def require_splits(dataset: str, *, splits: Mapping[str, str], reasons: Mapping[str, str]) -> None:
    """Raise `UserError` if a split that the studies need has no clip, or only clips that are quarantined.

    `splits` has the split of every clip, `reasons` why clips are quarantined.
    """
    for split in read_needed_splits(dataset):
        clips = [clip for clip, own in splits.items() if own == split]
        if any(clip not in reasons for clip in clips):
            continue
        lost = f", since {_summarise({clip: reasons[clip] for clip in clips})} are quarantined" if clips else ""
        raise UserError(
            f"{dataset}: no clips in its {split} split{lost}: studies of this config need some; repair the files or "
            f"correct the splits, and run with --forcerun <data>/{dataset}/{result_files.ACQUIRED}"
        )


def _summarise_reasons(path: Path) -> str:
    require_unchanged(path)
    return _summarise({row["clip"]: row["reason"] for row in read_rows(path, ["clip", "reason"])})


def _summarise(reasons: Mapping[str, str]) -> str:
    """Describe the commonest reasons, each with its number of clips and an example."""
    example = {reason: clip for clip, reason in reversed(list(reasons.items()))}  # the first clip of each reason
    counts = Counter(reasons.values()).most_common()
    parts = [f"{count} {reason} such as {example[reason]}" for reason, count in counts[:REASONS_SHOWN]]
    return ", ".join(parts + ([f"{len(counts) - REASONS_SHOWN} more reasons"] if len(counts) > REASONS_SHOWN else []))
