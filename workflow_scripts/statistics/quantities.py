"""What is computed from our results to be held against a published number, in the unit of that number.

A quantity is measured (it has an interval over trials or checkpoints), counted (a property of a data set or a network)
or chosen (a setting, equal to the published one by construction). `QUANTITIES` lists them by name.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from workflow_scripts import levels
from workflow_scripts.errors import UserError
from workflow_scripts.factors import FACTORS, PRETRAINING
from workflow_scripts.features.frames import HOP, N_FFT
from workflow_scripts.statistics.cells import Cell, Cells, Refused, match, one_method
from workflow_scripts.statistics.crossing import crossing
from workflow_scripts.statistics.equivalence import ERROR
from workflow_scripts.statistics.intervals import mean_interval
from workflow_scripts.statistics.plan import Evaluation, Plan, Pretrained, Statement
from workflow_scripts.statistics.relative import relative_improvement

Kind = Literal["measured", "counted", "chosen"]

PERCENT = 100  # metrics are stored from 0 to 1, the papers print percent
THOUSAND, MILLION = 1_000, 1_000_000
SECONDS_PER_HOUR = 3600
NARROW = 1 - 2 * ERROR  # level of the interval that decides equivalence
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

    def __init__(self, plan: Plan, cells: Cells, trials: pd.DataFrame) -> None:
        """Take the plan, and its trials as cells and as tidy table."""
        self.plan, self.cells = plan, cells
        sizes = trials.drop_duplicates([*FACTORS, "trial"]).groupby(list(FACTORS), sort=False)["train_clips"].mean()
        keys = (tuple(str(level) for level in key) for key in sizes.index)
        self.train_clips = dict(zip(keys, sizes.to_list(), strict=True))

    @functools.cached_property
    def corpora(self) -> dict[str, dict[str, Any]]:
        """What each prepared corpus states of itself, by data set."""
        read = (_read(folder / "corpus.json") for folder in self.plan.corpora)
        return {facts["dataset"]: facts for facts in read if facts}

    @functools.cached_property
    def loaders(self) -> dict[str, str]:
        """Level that read each prepared corpus, by data set."""
        configs = (_read(folder / "record.json").get("config", {}) for folder in self.plan.corpora)
        return {config["dataset"]: config["loader"] for config in configs if "loader" in config}

    def runs(self, evaluations: Iterable[Evaluation]) -> list[Pretrained]:
        """Pre-trained runs that the cells belong to, in planned order."""
        wanted = {tuple(each.factors[factor] for factor in PRETRAINING) for each in evaluations}
        return [run for run in self.plan.pretrained if tuple(run.factors[f] for f in PRETRAINING) in wanted]

    def sources(self, cells: Iterable[Cell]) -> tuple[str, ...]:
        """Where the clips of the cells come from, and those their encoders were pre-trained on."""
        found: set[str] = set()
        for cell in cells:
            corpus = cell.key[FACTORS.index("corpus")]
            found |= {cell.source, *self.corpus_sources([corpus])}
        return tuple(sorted(found))

    def corpus_sources(self, names: Iterable[str]) -> set[str]:
        """Where the clips of data sets come from; nothing for one that was not prepared here."""
        return {self.corpora[name]["source"] for name in names if name in self.corpora}


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """How a quantity is computed; `within` are the settings it is asked in separately, unless a statement names them.

    `compares` says whether it needs cells to compare with, `averages` whether it takes lists of levels in step, `needs`
    what a statement must state besides: its two workers, or the data set or corpus it is about.
    """

    kind: Kind
    compute: Callable[[Selection, Results], Estimate | Missing]
    within: tuple[str, ...] = ()
    compares: bool = False
    averages: bool = False
    needs: Literal["", "losses", "corpus"] = ""


# --- measured -------------------------------------------------------------------------------------------------------


def mean(selection: Selection, results: Results) -> Estimate | Missing:
    """Mean of the metric in percent, over the trials of one checkpoint or the means of several."""
    cells = _cells(selection.of[0], selection.metric, results)
    if isinstance(cells, Missing):
        return cells
    if len(cells) == 1:
        return _of_sample(PERCENT * cells[0].values, replicate="trials", sides=[cells], results=results)
    means = np.array([cell.values.mean() for cell in cells])
    return _of_sample(PERCENT * means, replicate="checkpoints", sides=[cells], results=results)


def difference(selection: Selection, results: Results) -> Estimate | Missing:
    """Mean paired difference of the metric in points (percent minus percent), averaged over the steps."""
    pairs = _paired(selection, results)
    if isinstance(pairs, Missing):
        return pairs
    values = PERCENT * (pairs.of - pairs.over)
    return _of_sample(values, replicate=pairs.replicate, sides=pairs.sides, results=results)


def relative(selection: Selection, results: Results) -> Estimate | Missing:
    """Relative improvement of the mean metric in percent, over pairs; both sides averaged over the steps first."""
    pairs = _paired(selection, results)
    if isinstance(pairs, Missing):
        return pairs
    wide = relative_improvement(pairs.of, pairs.over)
    narrow = relative_improvement(pairs.of, pairs.over, level=NARROW)
    return Estimate(
        value=wide.percent,
        low=wide.low,
        high=wide.high,
        narrow=(narrow.low, narrow.high),
        replicate=pairs.replicate,
        n=wide.n,
        checkpoints=_checkpoints(pairs.sides),
        sources=results.sources(cell for side in pairs.sides for cell in side),
    )


def crossing_size(selection: Selection, results: Results) -> Estimate | Missing:
    """Thousands of training samples from which on `of` beats `over`, over the fractions that both have.

    0 says that it is better at every size measured, infinity that it is not at the largest. A crossing at sizes not
    measured may be anywhere there, and so far the interval that decides equivalence reaches.
    """
    sizes, rows, sides, names = [], [], [], set()
    for fraction in dict.fromkeys(each.factors["fraction"] for each in selection.of[0]):
        of, over = (
            tuple(each for each in side if each.factors["fraction"] == fraction)
            for side in (selection.of[0], selection.over[0])
        )
        pairs = _paired(replace(selection, of=(of,), over=(over,)), results)
        if isinstance(pairs, Missing):
            return Missing(reason=f"{fraction}: {pairs.reason}")
        sizes.append(np.mean([results.train_clips[each.key] for each in of]) / THOUSAND)
        rows.append(pairs.of - pairs.over)
        sides += pairs.sides
        names.add((pairs.replicate, pairs.names))
    if len(names) > 1:
        return Missing(reason="the training sizes were not measured with the same trials")
    order = np.argsort(sizes)
    if len(set(sizes)) < max(2, len(sizes)):
        return Missing(reason="fewer than two training sizes, or the same one twice")
    ascending, differences = np.array(sizes)[order], np.array(rows)[order]
    wide, narrow = crossing(ascending, differences), crossing(ascending, differences, level=NARROW)
    return Estimate(
        value=wide.size,
        low=wide.low,
        high=wide.high,
        # of no interval both ends stay not-a-number
        narrow=(float(np.minimum(narrow.low, ascending[-1])), float(np.maximum(narrow.high, ascending[0]))),
        replicate=names.pop()[0],
        n=wide.n,
        checkpoints=_checkpoints(sides),
        sources=results.sources(cell for side in sides for cell in side),
        sizes=(float(ascending[0]), float(ascending[-1])),
    )


def loss_ratio(selection: Selection, results: Results) -> Estimate | Missing:
    """Orders of magnitude between the validation losses of the two workers in `losses`, the first over the second.

    One value per checkpoint: the mean over its epochs of the logarithm (base 10) of the ratio of the unweighted losses.
    """
    runs = results.runs(selection.chosen)
    values = [_log_ratio(run.folder / "losses.csv", selection.statement.losses) for run in runs]
    if not runs or None in values:
        return Missing(reason="no validation losses of " + " and ".join(selection.statement.losses))
    sample = np.array(values, np.float64)
    estimate = _interval(sample, replicate="checkpoints")
    sources = results.corpus_sources(run.factors["corpus"] for run in runs)
    return replace(estimate, checkpoints=len(runs), sources=tuple(sorted(sources)))


def _log_ratio(path: Path, workers: Sequence[str]) -> float | None:
    if not path.is_file():
        return None
    losses = pd.read_csv(path)
    table = losses[losses["split"] == "valid"].pivot_table(index="epoch", columns="worker", values="loss")
    if not {*workers} <= {*table.columns}:
        return None
    return float(np.log10(table[workers[0]] / table[workers[1]]).mean())


# --- counted --------------------------------------------------------------------------------------------------------


def clips(selection: Selection, results: Results) -> Estimate | Missing:
    """Clips of the data set (or else the corpus) that `of` names, in thousands, quarantined ones included."""
    return _of_corpus(selection, results, lambda facts: (facts["clips"] + facts["quarantined"]) / THOUSAND)


def hours(selection: Selection, results: Results) -> Estimate | Missing:
    """Hours of audio in the data set (or else the corpus) that `of` names."""
    return _of_corpus(selection, results, lambda facts: facts["seconds"] / SECONDS_PER_HOUR)


def classes(selection: Selection, results: Results) -> Estimate | Missing:
    """Classes of the data set that `of` names."""
    return _of_corpus(selection, results, lambda facts: len(facts["classes"]))


def classes_removed(selection: Selection, results: Results) -> Estimate | Missing:
    """Classes that the data set named by `of` has as published (`ALL_CLASSES` of its level) but not here."""
    name = _named(selection)
    loader = results.loaders.get(name)
    published = getattr(levels.load("dataset", loader), "ALL_CLASSES", None) if loader else None
    if published is None:
        return Missing(reason=f"nothing states all classes of {name}" if loader else f"{name} not prepared")
    return _of_corpus(selection, results, lambda facts: len({*published} - {*facts["classes"]}))


def train_clips(selection: Selection, results: Results) -> Estimate | Missing:
    """Training samples of the cells, in thousands."""
    cells = _measured(selection, results)
    if not cells:
        return Missing(reason="not run")
    sizes = [results.train_clips[cell.key] / THOUSAND for cell in cells]
    sources = tuple(sorted({cell.source for cell in cells}))  # whatever their encoders were pre-trained on
    return _exact(sizes, replicate="cells", sources=sources)


def parameters(selection: Selection, results: Results) -> Estimate | Missing:
    """Trainable parameters of the encoder in millions, from the records of pre-training."""
    counted = _recorded_by_runs(selection, results, "parameters", "encoder")
    if isinstance(counted, Missing):
        return counted
    return _exact([number / MILLION for number in counted], replicate="networks", sources=(CONFIGURATION,))


def _named(selection: Selection) -> str:
    """The data set that `of` names, or else the corpus."""
    stated = selection.statement.of[0]
    return stated.get("dataset") or stated["corpus"]


def _of_corpus(
    selection: Selection, results: Results, count: Callable[[Mapping[str, Any]], float]
) -> Estimate | Missing:
    name = _named(selection)
    facts = results.corpora.get(name)
    if facts is None:
        return Missing(reason=f"{name} not prepared")
    return _exact([count(facts)], replicate="data sets", sources=(facts["source"],))


# --- chosen ---------------------------------------------------------------------------------------------------------


def hop(_: Selection, __: Results) -> Estimate:
    """Samples between two frames of a feature."""
    return _chosen([HOP])


def fft_length(_: Selection, __: Results) -> Estimate:
    """Samples in the window of a feature."""
    return _chosen([N_FFT])


def prosody_features(_: Selection, __: Results) -> Estimate:
    """Features that the prosody worker regresses."""
    return _chosen([_number(levels.fact("worker", "prosody", "CHANNELS"))])


def sample_rate(selection: Selection, _: Results) -> Estimate:
    """Sample rate in Hz at which the encoders hear the clips."""
    encoders = dict.fromkeys(each.factors["encoder"] for each in selection.chosen)
    return _chosen([_number(levels.fact("encoder", encoder, "SAMPLE_RATE")) for encoder in encoders])


def embedding_size(selection: Selection, results: Results) -> Estimate | Missing:
    """Dimensions of the encoders' embedding."""
    return _settings(_recorded_by_runs(selection, results, "config", "encoder", "options", "embedding"))


def epochs(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs of pre-training."""
    return _settings(_recorded_by_runs(selection, results, "config", "recipe", "epochs"))


def weighing_epochs(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs of the equal-weighted run whose losses made the weights."""
    return _settings(_recorded_by_runs(selection, results, "epochs", file="weigh.json"))


def trials(selection: Selection, results: Results) -> Estimate | Missing:
    """Trials of each cell."""
    cells = _measured(selection, results)
    return _chosen([len(cell.values) for cell in cells]) if cells else Missing(reason="not run")


def learning_rate(selection: Selection, results: Results) -> Estimate | Missing:
    """Learning rate of the head (and of the encoder, where it learns) in the trials."""
    return _settings(_recorded_by_cells(selection, results, "config", "training", "learning_rate"))


def patience(selection: Selection, results: Results) -> Estimate | Missing:
    """Epochs without a better validation loss after which a trial stops."""
    return _settings(_recorded_by_cells(selection, results, "config", "training", "patience"))


QUANTITIES: dict[str, Quantity] = {
    "mean": Quantity(kind="measured", compute=mean, within=("dataset", "head", "fraction")),
    "difference": Quantity(
        kind="measured", compute=difference, within=("dataset", "head", "fraction"), compares=True, averages=True
    ),
    "relative": Quantity(
        kind="measured", compute=relative, within=("dataset", "head", "fraction"), compares=True, averages=True
    ),
    "crossing": Quantity(kind="measured", compute=crossing_size, within=("dataset", "head"), compares=True),
    "loss_ratio": Quantity(kind="measured", compute=loss_ratio, needs="losses"),
    "clips": Quantity(kind="counted", compute=clips, needs="corpus"),
    "hours": Quantity(kind="counted", compute=hours, needs="corpus"),
    "classes": Quantity(kind="counted", compute=classes, needs="corpus"),
    "classes_removed": Quantity(kind="counted", compute=classes_removed, needs="corpus"),
    "train_clips": Quantity(kind="counted", compute=train_clips, within=("dataset",)),
    "parameters": Quantity(kind="counted", compute=parameters),
    "hop": Quantity(kind="chosen", compute=hop),
    "fft_length": Quantity(kind="chosen", compute=fft_length),
    "prosody_features": Quantity(kind="chosen", compute=prosody_features),
    "sample_rate": Quantity(kind="chosen", compute=sample_rate),
    "embedding_size": Quantity(kind="chosen", compute=embedding_size),
    "epochs": Quantity(kind="chosen", compute=epochs),
    "weighing_epochs": Quantity(kind="chosen", compute=weighing_epochs),
    "trials": Quantity(kind="chosen", compute=trials),
    "learning_rate": Quantity(kind="chosen", compute=learning_rate),
    "patience": Quantity(kind="chosen", compute=patience),
}


# --- shared ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Values of either side (pairs,), averaged over the steps, and the cells they come from."""

    of: np.ndarray
    over: np.ndarray
    names: tuple[str, ...]
    replicate: str
    sides: list[list[Cell]]


def _paired(selection: Selection, results: Results) -> _Pairs | Missing:
    lefts, rights, sides, names, replicates = [], [], [], set(), set()
    for step in zip(selection.of, selection.over, strict=True):
        found = [_cells(side, selection.metric, results) for side in step]
        for cells in found:
            if isinstance(cells, Missing):
                return cells
        left, right = (cells for cells in found if not isinstance(cells, Missing))
        matching = match(left, right)
        if isinstance(matching, Refused):
            return Missing(reason=matching.reason)
        values = matching.values([cell.values for cell in left], [cell.values for cell in right])
        lefts.append(values[0])
        rights.append(values[1])
        sides += [left, right]
        names.add(matching.names)
        replicates.add(matching.replicate)
    if len(names) > 1:
        return Missing(reason="what is averaged was not measured with the same trials")
    return _Pairs(
        of=np.mean(lefts, axis=0),
        over=np.mean(rights, axis=0),
        names=names.pop(),
        replicate=replicates.pop(),
        sides=sides,
    )


def _cells(evaluations: Sequence[Evaluation], metric: str, results: Results) -> list[Cell] | Missing:
    """The measured cells of one method's checkpoints, or why one of them is missing."""
    if not evaluations:
        return Missing(reason="the study has no such cell")
    differing = one_method(evaluations)
    if differing:
        raise UserError(f"published: `of` and `over` do not tell apart cells that differ in {', '.join(differing)}")
    reasons = [results.cells.reason_missing(each, metric) for each in evaluations]
    if any(reasons):
        return Missing(reason="; ".join(dict.fromkeys(filter(None, reasons))))
    return [cell for each in evaluations if (cell := results.cells.get(each, metric)) is not None]


def _measured(selection: Selection, results: Results) -> list[Cell]:
    """The selected cells that were run, whatever their method."""
    found = (results.cells.get(each, selection.metric) for each in selection.of[0])
    return [cell for cell in found if cell is not None]


def _of_sample(values: np.ndarray, *, replicate: str, sides: Sequence[Sequence[Cell]], results: Results) -> Estimate:
    return replace(
        _interval(values, replicate=replicate),
        checkpoints=_checkpoints(sides),
        sources=results.sources(cell for side in sides for cell in side),
    )


def _interval(values: np.ndarray, *, replicate: str) -> Estimate:
    wide, narrow = mean_interval(values), mean_interval(values, level=NARROW)
    return Estimate(
        value=wide.mean,
        low=wide.low,
        high=wide.high,
        narrow=(narrow.low, narrow.high),
        replicate=replicate,
        n=wide.n,
        checkpoints=0,
        sources=(),
    )


def _exact(values: Sequence[float], *, replicate: str, sources: tuple[str, ...]) -> Estimate:
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


def _chosen(values: Sequence[float]) -> Estimate:
    return replace(_exact(values, replicate="", sources=(CONFIGURATION,)), n=0)


def _settings(values: list[float] | Missing) -> Estimate | Missing:
    return values if isinstance(values, Missing) else _chosen(values)


def _checkpoints(sides: Sequence[Sequence[Cell]]) -> int:
    return max(sum(cell.pretrained for cell in side) for side in sides)


def _recorded_by_runs(
    selection: Selection, results: Results, *keys: str, file: str = "record.json"
) -> list[float] | Missing:
    runs = results.runs(selection.chosen)
    return _recorded([run.folder / file for run in runs], keys)


def _recorded_by_cells(selection: Selection, results: Results, *keys: str) -> list[float] | Missing:
    """What the records of the cells that were run state under nested `keys`."""
    run = [each for each in selection.chosen if results.cells.metrics(each)]
    return _recorded([each.path.with_name("record.json") for each in run], keys)


def _recorded(paths: Sequence[Path], keys: Sequence[str]) -> list[float] | Missing:
    values = []
    for path in paths:
        found: Any = _read(path)
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, int | float):
            values.append(float(found))
    return values or Missing(reason="no record states it")


def _read(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty where there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _number(fact: object) -> float:
    assert isinstance(fact, int)  # a level states its facts as literals of the right type
    return float(fact)
