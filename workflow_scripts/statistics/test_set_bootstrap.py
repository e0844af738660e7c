"""The test clips of the cells that studies show, drawn again and again: each file of predictions is read once."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.progress import track
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.inference.cluster_bootstrap import Bootstrap, Predictions, bootstrap
from workflow_scripts.statistics.samples import TrialSample, TrialSamples

ROUNDING = 1e-9  # a metric computed again from the same predictions
#: what reading an npz file of which some bytes were lost or changed raises
DAMAGED = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class BootstrapReplicates:
    """Bootstraps by cell and metric; without any, nothing is known about other test clips."""

    bootstraps: Mapping[tuple[tuple[str, ...], str], Bootstrap]

    @classmethod
    def none(cls) -> BootstrapReplicates:
        """Return that of results without predictions."""
        return cls({})

    def of(self, sample: TrialSample) -> Bootstrap | None:
        """The cell's metric on other test clips, trials in the order of the cell's; None without predictions."""
        return self.bootstraps.get((sample.key, sample.metric))

    def all_of(self, samples: Iterable[TrialSample]) -> list[Bootstrap] | None:
        """Bootstraps of all the cells, or None if one has none."""
        found = [self.of(sample) for sample in samples]
        return [each for each in found if each is not None] if None not in found else None


def bootstrap_cells(plan: Manifest, samples: TrialSamples, *, threads: int = 1) -> BootstrapReplicates:
    """Draw the test clips of every measured cell again, in each metric that a study shows of it.

    Cells without `predictions.npz`, or whose file does not tell the groups of clips, are left out. `UserError` names a
    file that is damaged or does not give the values of the trials beside it. The number of threads changes nothing.
    """
    wanted: dict[Path, dict[str, TrialSample]] = {}
    for study in plan.studies:
        for evaluation in plan.evaluations_of(study):
            for read in study.per_metric(evaluation.factors["dataset"]):
                sample = samples.get(evaluation, read.metric)
                if sample is not None and np.isfinite(sample.values).all():
                    wanted.setdefault(evaluation.path.with_name("predictions.npz"), {})[read.metric] = sample
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(_of_file, wanted, wanted.values())
        followed = track(made, description="Drawing test clips", total=len(wanted))
        return BootstrapReplicates({(sample.key, sample.metric): each for found in followed for sample, each in found})


def _of_file(path: Path, samples: Mapping[str, TrialSample]) -> list[tuple[TrialSample, Bootstrap]]:
    predictions = read_predictions(path) if path.is_file() else None
    if predictions is None:
        return []
    drawn = bootstrap(predictions, names=samples)
    for metric, sample in samples.items():
        values = drawn[metric].values if metric in drawn else np.empty(0)
        if values.shape != sample.values.shape or not np.allclose(values, sample.values, rtol=0, atol=ROUNDING):
            raise UserError(f"{path} does not give the {metric} of its trials: delete its folder and evaluate again")
    # as stored in trials.csv, to the last digit
    return [(sample, replace(drawn[metric], values=sample.values)) for metric, sample in samples.items()]


def read_predictions(path: Path) -> Predictions | None:
    """What the trials of a cell predicted, in their order; None for a file that does not tell the groups of clips."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if "groups" not in stored:
                return None
            # of a clip with several classes, the counts are kept for each class: (trials, classes, 2, 2)
            task: Task = "multilabel" if stored["confusion"].ndim == 4 else "multiclass"
            return Predictions(task=task, scores=stored["scores"], labels=stored["labels"], clusters=stored["groups"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except DAMAGED as error:
        raise UserError(f"{path} is missing or damaged: delete its folder and evaluate again") from error
