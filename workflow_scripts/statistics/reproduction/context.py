"""Our results, as input to the comparison with published numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from workflow_scripts.configuration.published import Statement
from workflow_scripts.core import result_files
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.manifest import Manifest, PlannedCell, PretrainedRun
from workflow_scripts.statistics.estimation import ConfidenceInterval
from workflow_scripts.statistics.samples import TrialSample, TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

PERCENT = 100  # metrics are stored from 0 to 1, the papers print percent
THOUSAND, MILLION = 1_000, 1_000_000
CONFIGURATION = "configuration"  # source of a value that depends on no data
Outcome = TypeVar("Outcome")
TWIN = "twin"  # source of data that stand in for real data


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Our value with its 95 % interval `ci`, and the 90 % one (`ci90`) that decides equivalence.

    Both cover the `variance_sources`; without the test set among these they are for the fixed test set. Both intervals
    of a counted value are the value itself; those of a chosen one span the smallest and the largest setting. `n` counts
    the `replicate`; `pretraining_seeds` is 0 if nothing was pre-trained. `sizes` of a crossover are the smallest and
    the largest training size measured, in its unit; `std` of a mean is the standard deviation of the replicates.
    """

    value: float
    ci: ConfidenceInterval
    ci90: ConfidenceInterval
    variance_sources: tuple[str, ...]
    replicate: str
    n: int
    pretraining_seeds: int
    sources: tuple[str, ...]
    sizes: tuple[float, float] = (math.nan, math.nan)
    std: float = math.nan


@dataclass(frozen=True, kw_only=True)
class NoValue:
    """Reason why there is no value."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Cells that a statement is about (`of`) and those they are compared with (`over`): one list for each step."""

    statement: Statement
    options: Any  # of the class that the quantity states
    metric: str
    of: tuple[tuple[PlannedCell, ...], ...]
    over: tuple[tuple[PlannedCell, ...], ...]

    @property
    def planned_cells(self) -> list[PlannedCell]:
        """Every selected cell."""
        return [cell for side in (self.of, self.over) for step in side for cell in step]


class Results:
    """Input of every quantity: the manifest, the trials, and the records beside them."""

    def __init__(
        self, manifest: Manifest, cells: TrialSamples, trials: pd.DataFrame, replicates: BootstrapReplicates
    ) -> None:
        """Store the manifest, its trials as cells and as a tidy table, and the bootstrap replicates of the cells."""
        self.manifest, self.cells, self.replicates = manifest, cells, replicates
        self._once: dict[tuple[object, ...], object] = {}
        sizes = trials.drop_duplicates([*FACTORS, "trial"]).groupby(list(FACTORS), sort=False)["train_clips"].mean()
        keys = (tuple(str(level) for level in key) for key in sizes.index)
        self.train_clips = dict(zip(keys, sizes.to_list(), strict=True))

    def compute_once(self, key: tuple[object, ...], compute: Callable[[], Outcome]) -> Outcome:
        """Return what `compute` returns, computed once for all statements that give this key."""
        if key not in self._once:
            self._once[key] = compute()
        return self._once[key]  # type: ignore[return-value]

    def record(self, path: Path) -> dict[str, Any]:
        """Return the content of a record; empty if there is none, or after a failed run if it is refused."""
        return self.manifest.find_record(path) or {}

    @functools.cached_property
    def corpora(self) -> dict[str, dict[str, Any]]:
        """Facts of each prepared corpus (`corpus.json`), by data set."""
        of_corpora = (self.record(folder / result_files.CORPUS_FACTS) for folder in self.manifest.corpora)
        return {facts["dataset"]: facts for facts in of_corpora if facts}

    @functools.cached_property
    def folders(self) -> dict[str, Path]:
        """Folder of one prepared corpus of each data set; those of other sample rates hold the same clips."""
        of_corpora = ((self.record(folder / result_files.CORPUS_FACTS), folder) for folder in self.manifest.corpora)
        return {facts["dataset"]: folder for facts, folder in of_corpora if facts}

    @functools.cached_property
    def loaders(self) -> dict[str, str]:
        """Data-set level that loaded each prepared corpus, by data set."""
        configs = (self.record(folder / result_files.RECORD).get("config", {}) for folder in self.manifest.corpora)
        return {config["dataset"]: config["loader"] for config in configs if "loader" in config}

    def runs(self, planned_cells: Iterable[PlannedCell]) -> list[PretrainedRun]:
        """Return the pre-trained runs that the cells belong to, in planned order."""
        keys = {tuple(cell.factors[factor] for factor in PRETRAINING) for cell in planned_cells}
        return [run for run in self.manifest.pretrained_runs if tuple(run.factors[f] for f in PRETRAINING) in keys]

    def sources(self, cells: Iterable[TrialSample]) -> tuple[str, ...]:
        """Return the data sources of the cells' clips and of the corpora their encoders were pre-trained on."""
        sources: set[str] = set()
        for cell in cells:
            corpus = cell.key[FACTORS.index("corpus")]
            sources |= {cell.source, *self.corpus_sources([corpus])}
        return tuple(sorted(sources))

    def corpus_sources(self, names: Iterable[str]) -> set[str]:
        """Return the data sources of data sets; none for one that was not prepared here."""
        return {self.corpora[name]["source"] for name in names if name in self.corpora}


def corpus_name(selection: Selection) -> str:
    """Return the data set in `of`, or else the corpus."""
    levels = selection.statement.of_steps[0]
    return levels.get("dataset") or levels["corpus"]


def run_cells(selection: Selection, results: Results) -> list[TrialSample]:
    """Return the selected cells that were run, whatever their method."""
    cells = (results.cells.get(cell, selection.metric) for cell in selection.of[0])
    return [cell for cell in cells if cell is not None]


def exact_estimate(values: Sequence[float], *, replicate: str, sources: tuple[str, ...]) -> Estimate:
    """Return a counted value: the mean of `values`, with the smallest and the largest as its interval."""
    low, high = float(min(values)), float(max(values))
    span = ConfidenceInterval(low=low, high=high)
    return Estimate(
        value=low if low == high else float(np.mean(values)),  # the mean of equal numbers may be off by rounding
        ci=span,
        ci90=span,
        variance_sources=(),
        replicate=replicate,
        n=len(values),
        pretraining_seeds=0,
        sources=sources,
    )


def read_from_runs(
    selection: Selection, results: Results, *keys: str, file: str = result_files.RECORD
) -> list[float] | NoValue:
    """Return the numbers that the records of the pre-trained runs state under nested `keys`."""
    runs = results.runs(selection.planned_cells)
    return collect_numbers(results, [run.folder / file for run in runs], keys)


def read_from_cells(selection: Selection, results: Results, *keys: str) -> list[float] | NoValue:
    """Return the numbers that the records of the cells that were run state under nested `keys`."""
    run = [cell for cell in selection.planned_cells if results.cells.metrics(cell)]
    return collect_numbers(results, [cell.path.with_name(result_files.RECORD) for cell in run], keys)


def read_from_embeddings(selection: Selection, results: Results, *keys: str) -> list[float] | NoValue:
    """Return the numbers that the records of the embeddings of the cells that were run state under nested `keys`."""
    run = [cell for cell in selection.planned_cells if results.cells.metrics(cell)]
    return collect_numbers(results, [job.record for cell in run for job in cell.jobs if job.stage == "embed"], keys)


def collect_numbers(results: Results, paths: Sequence[Path], keys: Sequence[str]) -> list[float] | NoValue:
    """Return the numbers that JSON files state under nested `keys`."""
    values = []
    for path in paths:
        entry: Any = results.record(path)
        for key in keys:
            entry = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(entry, int | float):
            values.append(float(entry))
    return values or NoValue(reason="no record states it")


def number(fact: object) -> float:
    """Return a fact of a level as a number."""
    assert isinstance(fact, int)  # a level states its facts as literals of the right type
    return float(fact)
