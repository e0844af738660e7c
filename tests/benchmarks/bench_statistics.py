"""Time and memory of all statistics and tables of 4,500 cells with ten trials and six metrics each.

The cells are shown in 30 studies of 50 methods on three data sets as large as the test sets of OpenMIC, FMA small and
Extended Ballroom, with 49 comparisons each. The cells of a data set share ten predictions files, which are therefore
read from the file cache.

python -m tests.benchmarks.bench_statistics [--studies N] [--methods N]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tests.records import seal
from tests.synthetic_results import CODE, CONFIG, STUDY, factors
from workflow_scripts.core.checksums import write_record
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.metrics import confusion, metrics
from workflow_scripts.statistics.trials import COLUMNS

LIMIT_SECONDS, LIMIT_GIBIBYTES = 60, 2.0
TRIALS = 10
METRICS = ("macro_f1", "macro_f1_positive", "accuracy", "roc_auc", "pr_auc", "classes_skipped")
FILES = 10


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Size of the published test set of a data set; clips of one artist or song form a cluster."""

    dataset: str
    task: Task
    clips: int
    groups: int
    classes: int


TEST_SETS = (
    TestSet(dataset="openmic", task="multilabel", clips=5085, groups=1900, classes=20),
    TestSet(dataset="fma_small", task="multiclass", clips=800, groups=250, classes=8),
    TestSet(dataset="extended_ballroom", task="multiclass", clips=590, groups=550, classes=9),
)


def main() -> None:
    """Write synthetic results, then time the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--methods", type=int, default=50, help="methods of a study, on three data sets each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = write_results(folder, studies=arguments.studies, methods=arguments.methods)
        threads = ["--threads", str(len(os.sched_getaffinity(0)))]
        manifest = ["--manifest", str(folder / "plan.json")]
        statistics, tables = str(folder / "statistics"), str(folder / "tables")
        durations = [
            measure_seconds("aggregate", *manifest, *threads, "--output", statistics),
            measure_seconds("tabulate", *manifest, "--statistics", statistics, "--output", tables),
        ]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{cells * TRIALS:,} trials x {len(METRICS)} metrics: aggregate {durations[0]:.1f} s, "
        f"tabulate {durations[1]:.1f} s, together {sum(durations):.1f} s (limit {LIMIT_SECONDS}), "
        f"{used.ru_utime + used.ru_stime:.1f} s of them on a "
        f"processor; largest process {used.ru_maxrss / 2**20:.2f} GiB (limit {LIMIT_GIBIBYTES})"
    )


def measure_seconds(verb: str, *arguments: str) -> float:
    """Measure the seconds of a command."""
    started = time.perf_counter()
    command = [sys.executable, "-m", f"workflow_scripts.{verb}", *arguments]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.perf_counter() - started


def write_results(folder: Path, *, studies: int, methods: int) -> int:
    """Write trials, predictions and the plan; return the number of cells."""
    rng = np.random.default_rng(0)
    predictions_of = {
        test_set.dataset: [write_predictions(folder, test_set, number, rng) for number in range(FILES)]
        for test_set in TEST_SETS
    }
    manifest: dict = {"scale": "bench", "cells": [], "studies": {}}
    for study in range(studies):
        name = f"study{study}"
        worker_sets = [f"set{study}_{method}" for method in range(methods)]
        study_entry = STUDY | {"rows": ["workers"], "floors": [], "figure": None, "cells": []}
        study_entry["comparisons"] = [
            {
                "name": f"{other} against {worker_sets[0]}",
                "better": {"workers": other},
                "than": {"workers": worker_sets[0]},
            }
            for other in worker_sets[1:]
        ]
        for number, workers in enumerate(worker_sets):
            for test_set in TEST_SETS:
                study_entry["cells"].append(len(manifest["cells"]))
                cell = factors("pase", "frozen", test_set.dataset, workers=workers)
                predictions, values = predictions_of[test_set.dataset][number % FILES]
                path = folder / "evaluations" / workers / test_set.dataset / "trials.csv"
                path.parent.mkdir(parents=True)
                path.with_name("predictions.npz").symlink_to(predictions)
                write_trials(path, cell, values, clips=test_set.clips)
                seal(path, path.with_name("predictions.npz"))
                entry = {"path": str(path), "code": CODE, "config": CONFIG, "factors": cell, "studies": [name]}
                manifest["cells"].append(entry)
        manifest["studies"][name] = study_entry
    write_record(folder / "plan.json", manifest, files={})
    return len(manifest["cells"])


def write_predictions(
    folder: Path, test_set: TestSet, number: int, rng: np.random.Generator
) -> tuple[Path, list[dict]]:
    """Write a predictions file; return its path and the metrics of its trials."""
    label_rng = np.random.default_rng(1)  # the same test clips for every method
    classes = label_rng.integers(
        2 if test_set.task == "multilabel" else test_set.classes, size=(test_set.clips, test_set.classes)
    )
    if test_set.task == "multilabel":
        observed = label_rng.random(classes.shape) < 0.1  # one entry in ten, as in OpenMIC
        labels = np.where(observed, classes, np.nan).astype(np.float32)
        signal = np.nan_to_num(labels, nan=0.5) - 0.5
    else:
        labels = np.eye(test_set.classes, dtype=np.float32)[classes[:, 0]]
        signal = labels
    noise = rng.normal(0, 0.5 + 0.02 * number, (TRIALS, test_set.clips, test_set.classes))
    scores = (1 / (1 + np.exp(-(signal + noise)))).astype(np.float32)
    path = folder / f"{test_set.dataset}{number}.npz"
    groups = np.sort(label_rng.integers(test_set.groups, size=test_set.clips)).astype(str)
    counts = np.stack([confusion(test_set.task, labels=labels, scores=trial) for trial in scores])
    names = np.arange(test_set.classes).astype(str)
    np.savez(path, clips=groups, groups=groups, classes=names, labels=labels, scores=scores, confusion=counts)
    return path, [metrics(test_set.task, labels=labels, scores=trial) for trial in scores]


def write_trials(path: Path, cell: dict, values: list[dict], *, clips: int) -> None:
    """Write the trials of a cell; metrics that its task lacks are 0."""
    rows = [
        {
            **cell,
            "trial": trial,
            "seed": 1000 + trial,
            "metric": metric,
            "value": by_metric.get(metric, 0.0),
            "train_clips": 4000,
            "valid_clips": 500,
            "test_clips": clips,
            "quarantined": 0,
            "source": "twin",
            "code": CODE,
            "config": CONFIG,
            "data_digest": f"data{cell['dataset']}",
            "device": "cpu",
            "seconds": 1.25,
            "epochs": 30,
        }
        for trial, by_metric in enumerate(values)
        for metric in METRICS
    ]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False)


if __name__ == "__main__":
    main()
