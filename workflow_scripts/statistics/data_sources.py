"""Sources of the audio of the prepared corpora, and how much of it pre-training left out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow_scripts.core import result_files
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import PretrainedRun


def sources_of(folders: Iterable[Path]) -> dict[str, str]:
    """Return the source (twin, local or download) of each prepared corpus by its data set, from its `corpus.json`."""
    files = (folder / result_files.CORPUS_FACTS for folder in folders)
    facts = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    return {corpus["dataset"]: corpus["source"] for corpus in facts}


def short_clips(runs: Iterable[PretrainedRun]) -> dict[tuple[str, ...], str]:
    """Return the training clips that were shorter than a chunk, such as "20 of 106", by the factors of the method.

    Runs without such clips, and those without a record, are left out.
    """
    counts = {}
    for run in runs:
        with contextlib.suppress(OSError, ValueError, KeyError):
            record = json.loads((run.folder / result_files.RECORD).read_text(encoding="utf-8"))
            if short := record["clips_too_short"]:
                counts[method_of(run.factors)] = f"{short:,} of {short + record['training_clips']:,}"
    return counts


def method_of(levels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the levels of the factors of pre-training, whatever the seed."""
    return tuple(levels[factor] for factor in PRETRAINING if factor != "pretrain_seed")
