"""All statistics and tables of 4,500 cells with ten trials and six metrics each: seconds and memory.

The cells are shown in 30 studies of 50 methods on three data sets as large as the test sets of OpenMIC, FMA small and
Extended Ballroom, 49 comparisons each. Ten files of predictions for each data set stand for those of all its cells, so
they are read from the system's cache.

python -m tests.benchmarks.bench_statistics [--studies N] [--methods N]
"""

from __future__ import annotations

import argparse
import json
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

from tests.synthetic_results import CODE, CONFIG, STUDY, factors
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.metrics import confusion, metrics
from workflow_scripts.statistics.trials import COLUMNS

LIMIT_SECONDS, LIMIT_GIBIBYTES = 60, 2.0
TRIALS = 10
METRICS = ("macro_f1", "macro_f1_positive", "accuracy", "roc_auc", "pr_auc", "classes_skipped")
FILES = 10


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Test clips of a data set, in groups of one artist or song, as published."""

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
    """Make the results, then time the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--methods", type=int, default=50, help="methods of a study, on three data sets each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = make(folder, studies=arguments.studies, methods=arguments.methods)
        threads = ["--threads", str(len(os.sched_getaffinity(0)))]
        plan = ["--plan", str(folder / "plan.json")]
        statistics, tables = str(folder / "statistics"), str(folder / "tables")
        taken = [
            measured("aggregate", *plan, *threads, "--output", statistics),
            measured("tabulate", *plan, "--statistics", statistics, "--output", tables),
        ]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{cells * TRIALS:,} trials x {len(METRICS)} metrics: aggregate {taken[0]:.1f} s, tabulate {taken[1]:.1f} s, "
        f"together {sum(taken):.1f} s (limit {LIMIT_SECONDS}), {used.ru_utime + used.ru_stime:.1f} s of them on a "
        f"processor; largest process {used.ru_maxrss / 2**20:.2f} GiB (limit {LIMIT_GIBIBYTES})"
    )


def measured(verb: str, *arguments: str) -> float:
    """Seconds that a command takes."""
    clock = time.perf_counter()
    command = [sys.executable, "-m", f"workflow_scripts.{verb}", *arguments]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.perf_counter() - clock


def make(folder: Path, *, studies: int, methods: int) -> int:
    """Write trials, predictions and the plan; return the number of cells."""
    random = np.random.default_rng(0)
    kept = {each.dataset: [predicted(folder, each, number, random) for number in range(FILES)] for each in TEST_SETS}
    plan: dict = {"scale": "bench", "evaluations": [], "studies": {}}
    for study in range(studies):
        name = f"study{study}"
        sets = [f"set{study}_{method}" for method in range(methods)]
        described = STUDY | {"rows": ["workers"], "floors": [], "figure": None, "evaluations": []}
        described["comparisons"] = [
            {"name": f"{other} against {sets[0]}", "better": {"workers": other}, "than": {"workers": sets[0]}}
            for other in sets[1:]
        ]
        for number, workers in enumerate(sets):
            for each in TEST_SETS:
                described["evaluations"].append(len(plan["evaluations"]))
                cell = factors("pase", "frozen", each.dataset, workers=workers)
                predictions, values = kept[each.dataset][number % FILES]
                path = folder / "evaluations" / workers / each.dataset / "trials.csv"
                path.parent.mkdir(parents=True)
                path.with_name("predictions.npz").symlink_to(predictions)
                write_trials(path, cell, values, clips=each.clips)
                entry = {"path": str(path), "code": CODE, "config": CONFIG, "factors": cell, "studies": [name]}
                plan["evaluations"].append(entry)
        plan["studies"][name] = described
    (folder / "plan.json").write_text(json.dumps(plan))
    return len(plan["evaluations"])


def predicted(folder: Path, of: TestSet, number: int, random: np.random.Generator) -> tuple[Path, list[dict]]:
    """A file of predictions, and the metrics of its trials."""
    same_clips = np.random.default_rng(1)  # for every method
    true = same_clips.integers(2 if of.task == "multilabel" else of.classes, size=(of.clips, of.classes))
    if of.task == "multilabel":
        looked_at = same_clips.random(true.shape) < 0.1  # one entry in ten, as in OpenMIC
        labels = np.where(looked_at, true, np.nan).astype(np.float32)
        signal = np.nan_to_num(labels, nan=0.5) - 0.5
    else:
        labels = np.eye(of.classes, dtype=np.float32)[true[:, 0]]
        signal = labels
    noise = random.normal(0, 0.5 + 0.02 * number, (TRIALS, of.clips, of.classes))
    scores = (1 / (1 + np.exp(-(signal + noise)))).astype(np.float32)
    path = folder / f"{of.dataset}{number}.npz"
    groups = np.sort(same_clips.integers(of.groups, size=of.clips)).astype(str)
    counts = np.stack([confusion(of.task, labels=labels, scores=each) for each in scores])
    names = np.arange(of.classes).astype(str)
    np.savez(path, clips=groups, groups=groups, classes=names, labels=labels, scores=scores, confusion=counts)
    return path, [metrics(of.task, labels=labels, scores=each) for each in scores]


def write_trials(path: Path, cell: dict, values: list[dict], *, clips: int) -> None:
    """Write one cell's trials; metrics that its task lacks are 0."""
    rows = [
        {
            **cell,
            **{"trial": trial, "seed": 1000 + trial, "metric": metric, "value": found.get(metric, 0.0)},
            **{"train_clips": 4000, "valid_clips": 500, "test_clips": clips, "quarantined": 0, "source": "twin"},
            **{"code": CODE, "config": CONFIG, "data": f"data{cell['dataset']}", "device": "cpu", "seconds": 1.25},
            "epochs": 30,
        }
        for trial, found in enumerate(values)
        for metric in METRICS
    ]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False)


if __name__ == "__main__":
    main()
