"""Synthetic results in the format of evaluations, and the manifest that lists them."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tests.records import seal_all
from workflow_scripts.configuration.config import LEVEL_SECTIONS, Config
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core import checksums
from workflow_scripts.core.validation import validate
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.labels import LABELLED, label_of
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.metrics import confusion, metrics
from workflow_scripts.statistics.trials import COLUMNS

CODE, CONFIG = "00001234e5678901", "1234567890123456"  # digests that look like numbers

STUDY: dict = {
    "title": "Encoders & scenarios (Fig. 2)",
    "question": "Does pre-training help?",
    "metric": "macro_f1",
    "rows": ["encoder", "scenario"],
    "columns": ["dataset"],
    "floors": ["random", "handcrafted"],
    "comparisons": [
        {
            "name": "frozen PASE against the same network untrained",
            "better": {"encoder": "pase", "scenario": "frozen"},
            "than": {"encoder": "random", "scenario": "frozen"},
        },
        {
            "name": "frozen PASE against handcrafted features",
            "better": {"encoder": "pase", "scenario": "frozen"},
            "than": {"encoder": "handcrafted", "scenario": "frozen"},
        },
    ],
    "figure": {"kind": "dots"},
    "notes": "",
}
METHODS = (
    ("pase", "supervised"),
    ("pase", "frozen"),
    ("pase", "fine_tuned"),
    ("random", "frozen"),
    ("handcrafted", "frozen"),
)
MEANS = {
    ("pase", "supervised"): 0.45,
    ("pase", "frozen"): 0.52,
    ("pase", "fine_tuned"): 0.55,
    ("random", "frozen"): 0.38,
    ("handcrafted", "frozen"): 0.50,
}


def level_labels() -> dict[str, dict[str, str]]:
    """Return the labels of all levels of the default config, by factor and level; a test may change them."""
    return copy.deepcopy(_level_labels())


@functools.cache
def _level_labels() -> dict[str, dict[str, str]]:
    config = validate(Config, read_yaml(Path(__file__).parents[1] / "config" / "config.yaml"))
    levels = {factor: getattr(config, LEVEL_SECTIONS.get(factor, "datasets")) for factor in LABELLED}
    levels |= {"scenario": registry.names("scenario"), "workers": config.worker_sets}
    labels = {
        factor: {level: label for level in names if (label := label_of(config, factor, level))}
        for factor, names in levels.items()
    }
    return labels | {"workers": {"mfcc": "MFCC", "lps": "LPS"} | labels["workers"]}


def factors(encoder: str, scenario: str, dataset: str, *, seed: int = 0, **more: object) -> dict[str, object]:
    """Return the levels of a cell; untrained runs have "none" for the factors of pre-training."""
    trained = encoder not in STUDY["floors"] and scenario != "supervised"
    run = {
        "corpus": "audioset_music",
        "encoder": encoder,
        "workers": "WLPMCT",
        "weighting": "equal",
        "augmentation": "none",
        "recipe": "wu2021",
        "pretrain_seed": seed,
    }
    if not trained:
        run |= dict.fromkeys(("corpus", "workers", "weighting", "augmentation", "recipe"), "none") | {
            "pretrain_seed": 0
        }
    return (
        run
        | {"dataset": dataset, "head": "linear", "scenario": scenario, "fraction": "100pct", "protocol": "wu2021"}
        | more
    )


def trials(cell: Mapping[str, object], values: Sequence[float], **more: object) -> pd.DataFrame:
    """Build the rows of a trials file: macro F1 of the given values, and an accuracy slightly above."""
    rows = [
        {
            **cell,
            "trial": trial,
            "seed": 1000 + trial,
            "metric": metric,
            "value": value + extra,
            "train_clips": 200,
            "valid_clips": 40,
            "test_clips": 90,
            "quarantined": 2,
            "source": "twin",
            "code": CODE,
            "config": CONFIG,
            "data_digest": f"data{cell['dataset']}",
            "device": "cpu",
            "seconds": 1.25,
            "epochs": 30,
            "learning_rate": 0.001,
            **more,
        }
        for trial, value in enumerate(values)
        for metric, extra in (("macro_f1", 0.0), ("accuracy", 0.02))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Results:
    """Results folder under construction, with its manifest."""

    def __init__(self, folder: Path) -> None:
        """Start with the study "fig2" and no evaluation."""
        self.folder = folder
        study = copy.deepcopy(STUDY) | {"cells": []}
        self.manifest: dict = {"scale": "demo", "cells": [], "studies": {"fig2": study}, "labels": level_labels()}

    def expect(self, cell: Mapping[str, object]) -> Path:
        """Plan a cell; return the path of its trials."""
        path = self.folder.joinpath("evaluations", *(str(cell[factor]) for factor in FACTORS), "trials.csv")
        entry = {"path": str(path), "code": CODE, "config": CONFIG, "factors": dict(cell), "studies": ["fig2"]}
        self.manifest["studies"]["fig2"]["cells"].append(len(self.manifest["cells"]))
        self.manifest["cells"].append(entry)
        return path

    def add(self, cell: Mapping[str, object], values: Sequence[float], **more: object) -> Path:
        """Plan a cell and write its trials."""
        path = self.expect(cell)
        path.parent.mkdir(parents=True)
        trials(cell, values, **more).to_csv(path, index=False)
        return path

    def predict(
        self,
        cell: Mapping[str, object],
        skill: float,
        *,
        trials: int = 10,
        clips: int = 120,
        groups: int = 40,
        seed: int = 0,
        **more: object,
    ) -> Path:
        """Plan a cell, and write predictions of four classes and the trials computed from them.

        The score of the true class is `skill` above the others, plus noise per clip that trials share and noise that
        they do not share. Labels, clusters and the difficulty of clips are the same in every cell of a data set.
        """
        dataset_rng = np.random.default_rng(len(str(cell["dataset"])))
        labels = np.eye(4, dtype=np.float32)[dataset_rng.integers(4, size=clips)]
        group = dataset_rng.integers(groups, size=clips)
        difficulty = dataset_rng.normal(0, 0.5, (groups, 4))[group]
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.5, (clips, 4)) + rng.normal(0, 0.5, (trials, clips, 4))
        scores = (skill * labels + difficulty + noise).astype(np.float32)
        values = [metrics("multiclass", labels=labels, scores=trial) for trial in scores]
        path = self.add(cell, [by_metric["macro_f1"] for by_metric in values], **{"test_clips": clips} | more)
        np.savez(
            path.with_name("predictions.npz"),
            clips=np.arange(clips).astype(str),
            groups=group.astype(str),
            classes=np.array(list("abcd")),
            labels=labels,
            scores=scores,
            confusion=np.stack([confusion("multiclass", labels=labels, scores=trial) for trial in scores]),
        )
        return path

    def read(self) -> Manifest:
        """Return the manifest, and write the checksums of results that a test wrote or edited by hand."""
        seal_all(self.folder)
        return Manifest.from_json(json.loads(json.dumps(self.manifest)))

    def manifest_file(self, folder: Path | None = None) -> str:
        """Write the manifest, and the checksums of results that a test wrote or edited by hand; return its path."""
        seal_all(self.folder)
        path = (folder or self.folder) / "plan.json"
        path.write_text(json.dumps(checksums.add_checksums(self.manifest, {})))
        return str(path)


def full(folder: Path, *, datasets: Sequence[str] = ("openmic", "fma_small"), count: int = 10) -> Results:
    """Write results of every method on every data set; trials share a part of their noise, as paired trials do."""
    results = Results(folder)
    rng = np.random.default_rng(0)
    for dataset in datasets:
        shared = rng.normal(0, 0.01, count)
        for encoder, scenario in METHODS:
            noise = shared + rng.normal(0, 0.01, count)
            results.add(factors(encoder, scenario, dataset), MEANS[encoder, scenario] + noise)
    return results
