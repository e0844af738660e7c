"""Cluster-bootstrap replicates of every cell shown in a study. Each predictions file is read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.progress import track
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics import predictions
from workflow_scripts.statistics.inference.cluster_bootstrap import Bootstrap
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics
from workflow_scripts.statistics.samples import TrialSample, TrialSamples

ROUNDING = 1e-9  # a metric computed again from the same predictions


@dataclass(frozen=True)
class BootstrapReplicates:
    """Bootstraps by cell and metric; without any, nothing is known about other test sets."""

    bootstraps: Mapping[tuple[tuple[str, ...], str], Bootstrap] = field(default_factory=dict)

    def of(self, sample: TrialSample) -> Bootstrap | None:
        """Return the bootstrap of a sample, trials in the same order; None without predictions."""
        return self.bootstraps.get((sample.key, sample.metric))

    def all_of(self, samples: Iterable[TrialSample]) -> list[Bootstrap] | None:
        """Return the bootstraps of all samples, or None if one has none."""
        bootstraps = [self.of(sample) for sample in samples]
        present = [bootstrap for bootstrap in bootstraps if bootstrap is not None]
        return present if len(present) == len(bootstraps) else None


def bootstrap_cells(manifest: Manifest, samples: TrialSamples, *, threads: int = 1) -> BootstrapReplicates:
    """Bootstrap the test set of every measured cell, in each metric that a study shows of it.

    Cells without `predictions.npz`, or whose file lacks the clusters of clips, are left out. `UserError` names
    a file that is damaged or does not give the values of the trials beside it. The result does not depend on `threads`.
    """
    samples_by_file: dict[Path, dict[str, TrialSample]] = {}
    for study in manifest.studies:
        for cell in manifest.cells_of(study):
            path = cell.path.with_name(result_files.PREDICTIONS)
            for of_metric in study.per_metric(cell.factors["dataset"]):
                sample = samples.get(cell, of_metric.metric)
                if sample is not None and np.isfinite(sample.values).all():
                    samples_by_file.setdefault(path, {})[sample.metric] = sample
    with ThreadPoolExecutor(threads) as pool:
        samples_by_file = {path: of_file for path, of_file in samples_by_file.items() if manifest.is_recorded(path)}
        bootstraps = pool.map(_bootstrap_file, samples_by_file, samples_by_file.values())
        of_files = track(bootstraps, description="Bootstrapping test sets", total=len(samples_by_file))
        return BootstrapReplicates(
            {(sample.key, sample.metric): bootstrap for of_file in of_files for sample, bootstrap in of_file}
        )


def _bootstrap_file(path: Path, samples: Mapping[str, TrialSample]) -> list[tuple[TrialSample, Bootstrap]]:
    stored = predictions.read_predictions(path)
    if stored.clusters is None:
        return []
    bootstraps = bootstrap_metrics(stored, names=samples)
    for metric, sample in samples.items():
        values = bootstraps[metric].values if metric in bootstraps else np.empty(0)
        if values.shape != sample.values.shape or not np.allclose(values, sample.values, rtol=0, atol=ROUNDING):
            raise UserError(f"{path} does not give the {metric} of its trials: delete its folder and evaluate again")
    # as stored in trials.csv, to the last digit
    return [(sample, replace(bootstraps[metric], values=sample.values)) for metric, sample in samples.items()]
