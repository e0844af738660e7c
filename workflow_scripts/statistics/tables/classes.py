"""The table of classes: the clips of each class of the labelled data sets, by split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import result_files
from workflow_scripts.levels.dataset_facts import SPLITS
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.tables.schema import CLASS_COLUMNS, to_frame


def class_table(manifest: Manifest) -> pd.DataFrame:
    """Build one row per class of each prepared data set (columns `CLASS_COLUMNS`).

    `..._clips` have label 1; `observed_test_clips` have label 1 or 0. A data set prepared at several sample rates is
    listed once. `UserError` for a corpus that is not as `prepare` wrote it.
    """
    labelled: dict[str, Path] = {}
    for folder in manifest.corpora:
        facts = manifest.find_record(folder / result_files.CORPUS_FACTS)
        if facts and facts["classes"]:
            labelled.setdefault(facts["dataset"], folder)
    return to_frame([row for folder in labelled.values() for row in _rows(Corpus(folder))], CLASS_COLUMNS)


def _rows(corpus: Corpus) -> Iterator[dict[str, object]]:
    labels = {split: corpus.labels[corpus.rows(split)] for split in SPLITS}
    for number, name in enumerate(corpus.facts.classes):
        yield {
            "dataset": corpus.facts.dataset,
            "class": name,
            "task": corpus.facts.task,
            **{f"{split}_clips": int((of_split[:, number] == 1).sum()) for split, of_split in labels.items()},
            "observed_test_clips": int((labels["test"][:, number] >= 0).sum()),
        }
