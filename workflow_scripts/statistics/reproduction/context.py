"""What published numbers are held against: our results as quantities look at them, and the values they give."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.manifest import Evaluation, Manifest, PretrainedRun, Statement
from workflow_scripts.statistics.samples import TrialSample, TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

PERCENT = 100  # metrics are stored from 0 to 1, the papers print percent
THOUSAND, MILLION = 1_000, 1_000_000
CONFIGURATION = "configuration"  # source of what no data decide


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Our value with its 95 % interval, and the 90 % one (`narrow`) that decides equivalence.

    Not-a-number stands where there is no interval. A counted value has both intervals at the value; a chosen one has in
    them the smallest and largest setting. `n` counts `replicate`; `checkpoints` is 0 where nothing was pre-trained.
    A crossing has in `sizes` the smallest and largest training size measured, in the unit of its value.
    """

    value: float
    low: float
    high: float
    narrow: tuple[float, float]
    replicate: str
    n: int
    checkpoints: int
    sources: tuple[str, ...]
    sizes: tuple[float, float] = (math.nan, math.nan)


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Why there is no value."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The cells a statement is about, and those it compares them with: one list for each step."""

    statement: Statement
    metric: str
    of: tuple[tuple[Evaluation, ...], ...]
    over: tuple[tuple[Evaluation, ...], ...]

    @property
    def chosen(self) -> list[Evaluation]:
        """Every selected cell."""
        return [evaluation for side in (self.of, self.over) for step in side for evaluation in step]


class Results:
    """What quantities may look at: the plan, the trials, and the records beside them."""

    def __init__(
        self, plan: Manifest, cells: TrialSamples, trials: pd.DataFrame, replicates: BootstrapReplicates
    ) -> None:
        """Take the plan, its trials as cells and as tidy table, and the bootstrap replicates of the cells."""
        self.plan, self.cells, self.replicates = plan, cells, replicates
        sizes = trials.drop_duplicates([*FACTORS, "trial"]).groupby(list(FACTORS), sort=False)["train_clips"].mean()
        keys = (tuple(str(level) for level in key) for key in sizes.index)
        self.train_clips = dict(zip(keys, sizes.to_list(), strict=True))

    @functools.cached_property
    def corpora(self) -> dict[str, dict[str, Any]]:
        """What each prepared corpus states of itself, by data set."""
        read = (read_json(folder / "corpus.json") for folder in self.plan.corpora)
        return {facts["dataset"]: facts for facts in read if facts}

    @functools.cached_property
    def folders(self) -> dict[str, Path]:
        """A prepared corpus of each data set; those of other sample rates hold the same clips."""
        read = ((read_json(folder / "corpus.json"), folder) for folder in self.plan.corpora)
        return {facts["dataset"]: folder for facts, folder in read if facts}

    @functools.cached_property
    def loaders(self) -> dict[str, str]:
        """Level that read each prepared corpus, by data set."""
        configs = (read_json(folder / "record.json").get("config", {}) for folder in self.plan.corpora)
        return {config["dataset"]: config["loader"] for config in configs if "loader" in config}

    def runs(self, evaluations: Iterable[Evaluation]) -> list[PretrainedRun]:
        """Pre-trained runs that the cells belong to, in planned order."""
        wanted = {tuple(each.factors[factor] for factor in PRETRAINING) for each in evaluations}
        return [run for run in self.plan.pretrained if tuple(run.factors[f] for f in PRETRAINING) in wanted]

    def sources(self, cells: Iterable[TrialSample]) -> tuple[str, ...]:
        """Where the clips of the cells come from, and those their encoders were pre-trained on."""
        found: set[str] = set()
        for cell in cells:
            corpus = cell.key[FACTORS.index("corpus")]
            found |= {cell.source, *self.corpus_sources([corpus])}
        return tuple(sorted(found))

    def corpus_sources(self, names: Iterable[str]) -> set[str]:
        """Where the clips of data sets come from; nothing for one that was not prepared here."""
        return {self.corpora[name]["source"] for name in names if name in self.corpora}


def run_cells(selection: Selection, results: Results) -> list[TrialSample]:
    """The selected cells that were run, whatever their method."""
    found = (results.cells.get(each, selection.metric) for each in selection.of[0])
    return [cell for cell in found if cell is not None]


def exact(values: Sequence[float], *, replicate: str, sources: tuple[str, ...]) -> Estimate:
    """A counted value: the mean of several, with the smallest and the largest as its interval."""
    low, high = float(min(values)), float(max(values))
    return Estimate(
        value=low if low == high else float(np.mean(values)),  # a mean of equal numbers may be off by rounding
        low=low,
        high=high,
        narrow=(low, high),
        replicate=replicate,
        n=len(values),
        checkpoints=0,
        sources=sources,
    )


def recorded_by_runs(
    selection: Selection, results: Results, *keys: str, file: str = "record.json"
) -> list[float] | Missing:
    """What the records of the pre-trained runs state under nested `keys`."""
    runs = results.runs(selection.chosen)
    return recorded([run.folder / file for run in runs], keys)


def recorded_by_cells(selection: Selection, results: Results, *keys: str) -> list[float] | Missing:
    """What the records of the cells that were run state under nested `keys`."""
    run = [each for each in selection.chosen if results.cells.metrics(each)]
    return recorded([each.path.with_name("record.json") for each in run], keys)


def recorded_by_embeddings(selection: Selection, results: Results, *keys: str) -> list[float] | Missing:
    """What the records of the embeddings that the cells were run on state under nested `keys`."""
    run = [each for each in selection.chosen if results.cells.metrics(each)]
    return recorded([job.record for each in run for job in each.jobs if job.stage == "embed"], keys)


def recorded(paths: Sequence[Path], keys: Sequence[str]) -> list[float] | Missing:
    """Numbers that JSON files state under nested `keys`."""
    values = []
    for path in paths:
        found: Any = read_json(path)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, int | float):
            values.append(float(found))
    return values or Missing(reason="no record states it")


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty where there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def number(fact: object) -> float:
    """A fact of a level as number."""
    assert isinstance(fact, int)  # a level states its facts as literals of the right type
    return float(fact)
