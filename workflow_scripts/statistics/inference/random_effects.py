"""Several pre-training seeds: what is said about a method, not about one checkpoint of it.

A method's trials form a table, one row per checkpoint and one column per trial. Checkpoints and trials are both random
and crossed, since trial k fixes the same label subset, first values and order for every checkpoint:

    value of checkpoint c in trial k = mean + checkpoint_c + trial_k + rest_ck

Treating all values as one sample ("pooled seeds") takes ten trials of one checkpoint for ten pieces of evidence about
the method. With three checkpoints that differ a third as much as trials do, or just as much, it calls equal methods
different in 13 % or 44 % of cases; what follows keeps to 5 %.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE, p_of_mean

Solution = Literal["balanced", "mixed model", "common trials", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """Mean of a method over its checkpoints and trials, and the deviations it is made of, in the unit of the metric.

    `solution` says how it was found (see `summarise_checkpoints`). `checkpoint_sd`, `trial_sd` and `rest_sd` are the
    three random parts; `deviation` is that of one checkpoint's mean over the trials, the number that `seeds_needed`
    asks for. NaN where there is nothing to take it from.
    """

    solution: Solution
    checkpoints: int
    trials: int
    mean: float
    low: float
    high: float
    df: float
    std_error: float
    pretraining_seed_std: float
    trial_std: float
    residual_std: float
    std: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


@dataclass(frozen=True, kw_only=True)
class CheckpointComparison:
    """Difference of two methods, the checkpoint being the unit.

    `checkpoints` are those of both sides: a side with one makes this a claim about that checkpoint. `trials` are the
    ones all checkpoints have. `checkpoint_error` and `trial_error` are the two parts of the standard error `error`;
    `effect` is the difference in units of the deviation between checkpoints (NaN with one on each side).
    """

    checkpoints: tuple[int, int]
    trials: int
    mean: float
    low: float
    high: float
    df: float
    std_error: float
    se_pretraining_seed: float
    se_trial: float
    effect: float
    p: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)

    @property
    def tested(self) -> bool:
        """Whether there is a p value."""
        return math.isfinite(self.p)


@dataclass(frozen=True, kw_only=True)
class Component:
    """One source of variance: its deviation, or in `reason` why this design does not identify it (then NaN)."""

    name: str
    std: float
    reason: str

    @property
    def identified(self) -> bool:
        """Whether the design tells this source from the others."""
        return not self.reason


def summarise_checkpoints(values: np.ndarray, *, level: float = CONFIDENCE_LEVEL) -> Checkpoints:
    """Mean and interval of one method for other checkpoints *and* other trials.

    `values` (checkpoints, trials), NaN where a trial is missing; what has no value at all does not count. Complete
    tables have an exact solution ("balanced"): the mean squares of the two-way table, which is also what REML gives
    where no part is zero; t with Satterthwaite's degrees of freedom. Incomplete ones are fitted by statsmodels'
    `MixedLM` ("mixed model"). Where that fit does not converge or a part is on its boundary of zero, its errors are
    not to be trusted, and the trials that all checkpoints have are solved exactly instead ("common trials").

    Fewer than three checkpoints or common trials give no interval.
    """
    table = np.asarray(values, np.float64)
    there = np.isfinite(table)
    table = np.ascontiguousarray(table[there.any(axis=1)][:, there.any(axis=0)])
    missing = ~np.isfinite(table)
    if not missing.any():
        return _balanced(table, solution="balanced", level=level)
    fitted = _fitted(table, level=level) if min(table.shape) >= MIN_REPLICATES else None
    return fitted or _balanced(table[:, ~missing.any(axis=0)], solution="common trials", level=level)


def compare_checkpoints(
    treatment: np.ndarray, reference: np.ndarray, *, pairs: bool = False, level: float = CONFIDENCE_LEVEL
) -> CheckpointComparison:
    """Compare two methods, `better` minus `than`, both (checkpoints, trials) with the same trials as columns.

    The error has two parts. Checkpoints: the variance between each side's checkpoint means, as in Welch's test; with
    `pairs`, that between the differences of equally seeded checkpoints, worth its fewer degrees of freedom only where
    pairs do resemble one another (the same encoder under two weightings, say). Trials: how much the difference changes
    from trial to trial beyond what the first part contains; what a trial does to both sides alike cancels. Student's t
    with Satterthwaite's degrees of freedom.

    A side with one checkpoint (or without pre-training) has no variance between checkpoints: the result is about that
    checkpoint. One on each side gives the paired t test over trials. Two checkpoints on a side, or fewer than three
    common trials, give no interval and no p; trials that any checkpoint lacks are left out.

    `UserError` if the trials, or with `pairs` the checkpoints, do not match.
    """
    sides = [np.asarray(side, np.float64) for side in (treatment, reference)]
    left, right = sides
    if left.shape[1] != right.shape[1] or (pairs and len(left) != len(right)):
        raise UserError(f"checkpoints and trials {left.shape} and {right.shape} do not match; compare equal trials")
    common = np.isfinite(np.concatenate(sides)).all(axis=0)
    sides = [left[:, common], right[:, common]]
    counts, trials = (len(left), len(right)), int(common.sum())
    mean = float(sides[0].mean() - sides[1].mean()) if trials and min(counts) else math.nan
    tables = [sides[0] - sides[1]] if pairs else sides
    parts = (
        None if trials < MIN_REPLICATES or any(len(table) in (0, 2) for table in tables) else _difference_parts(tables)
    )
    if parts is None:
        unknown = dict.fromkeys(("low", "high", "df", "std_error", "se_pretraining_seed", "se_trial"), math.nan)
        return CheckpointComparison(
            checkpoints=counts, trials=trials, mean=mean, effect=math.nan, p=math.nan, **unknown
        )
    half_width = t_quantile(parts.df, level) * parts.std_error
    stds = [table.mean(axis=1).var(ddof=1) for table in tables if len(table) > 1]
    std = math.sqrt(float(np.mean(stds))) if stds else math.nan
    return CheckpointComparison(
        checkpoints=counts,
        trials=trials,
        mean=mean,
        low=mean - half_width,
        high=mean + half_width,
        df=parts.df,
        std_error=parts.std_error,
        se_pretraining_seed=math.sqrt(parts.checkpoints),
        se_trial=math.sqrt(parts.trials),
        effect=mean / std if std > ZERO_VARIANCE else math.nan,
        p=p_of_mean(mean, error=parts.std_error, df=parts.df),
    )


def decompose(
    values: np.ndarray, *, subsets: Sequence[object] | None = None, se_test_set: float | None = None
) -> tuple[Component, ...]:
    """Where the variance comes from: checkpoint, trial, label subset, test clips and the rest.

    `values` (checkpoints, trials) is complete; `subsets` (trials,) tells which trials trained on the same labels (None:
    all on all labels); `test_set_error` is that of `clips.combine`. A source is given only if the design tells it
    apart; otherwise its reason says what holds it. Estimates below zero are zero.
    """
    table = np.asarray(values, np.float64)
    checkpoints, trials = table.shape
    parts = _Squares.of(table) if checkpoints > 1 and trials > 1 else None
    one_checkpoint = "one checkpoint: not varied" if checkpoints < 2 else ""
    one_trial = "one trial: not varied" if trials < 2 else ""
    alone = math.sqrt(table[0].var(ddof=1)) if checkpoints == 1 and trials > 1 else math.nan
    of_checkpoint = parts.pretraining_seed_std if parts else math.nan
    return (
        Component(
            name="checkpoint",
            std=of_checkpoint,
            reason=one_checkpoint or ("one trial: cannot be told from the rest" if one_trial else ""),
        ),
        Component(name="trial", std=parts.trial_std if parts else alone, reason=one_trial),
        Component(name="label subset", std=math.nan, reason=_why_no_subset(subsets)),
        Component(
            name="test clips",
            std=math.nan if se_test_set is None else se_test_set,
            reason="" if se_test_set is not None and math.isfinite(se_test_set) else "no bootstrap of the clips",
        ),
        Component(
            name="rest",
            std=parts.residual_std if parts else math.nan,
            reason="" if parts else "needs two checkpoints and two trials; held by the others",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Squares:
    """Mean squares of a complete two-way table, (checkpoints, trials)."""

    checkpoints: int
    trials: int
    of_checkpoints: float
    of_trials: float
    of_rest: float

    @classmethod
    def of(cls, table: np.ndarray) -> _Squares:
        checkpoints, trials = table.shape
        rows, columns = table.mean(axis=1), table.mean(axis=0)
        rest = table - rows[:, None] - columns + table.mean()
        return cls(
            checkpoints=checkpoints,
            trials=trials,
            of_checkpoints=trials * float(rows.var(ddof=1)),
            of_trials=checkpoints * float(columns.var(ddof=1)),
            of_rest=float((rest**2).sum()) / ((checkpoints - 1) * (trials - 1)),
        )

    @property
    def pretraining_seed_std(self) -> float:
        return math.sqrt(max(0.0, self.of_checkpoints - self.of_rest) / self.trials)

    @property
    def trial_std(self) -> float:
        return math.sqrt(max(0.0, self.of_trials - self.of_rest) / self.checkpoints)

    @property
    def residual_std(self) -> float:
        return math.sqrt(self.of_rest)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Variance of a mean due to checkpoints and due to trials, with the degrees of freedom of the sum."""

    checkpoints: float
    trials: float
    df: float

    @property
    def std_error(self) -> float:
        return math.sqrt(self.checkpoints + self.trials)


def _difference_parts(tables: Sequence[np.ndarray]) -> _Parts:
    """Split the variance of the difference of the tables' means; each has one row, or three and more."""
    trials = tables[0].shape[1]
    several = [table for table in tables if len(table) > 1]
    of_sides = [float(table.mean(axis=1).var(ddof=1)) / len(table) for table in several]
    already = [-_Squares.of(table).of_rest / len(table) / trials for table in several]  # the first part contains it
    by_trial = tables[0].mean(axis=0) - (tables[1].mean(axis=0) if len(tables) > 1 else 0.0)
    of_trials = [float(by_trial.var(ddof=1)) / trials, *already]
    df = [len(table) - 1 for table in several]
    if sum(of_trials) <= 0:
        return _Parts(checkpoints=sum(of_sides), trials=0.0, df=satterthwaite(of_sides, df))
    of_rest = [(len(table) - 1) * (trials - 1) for table in several]
    estimated = satterthwaite([*of_sides, *of_trials], [*df, trials - 1, *of_rest])
    return _Parts(
        checkpoints=sum(of_sides),
        trials=sum(of_trials),
        df=max(estimated, min([*df, trials - 1])),  # a sum knows no less than its least known part
    )


def _balanced(table: np.ndarray, *, solution: Solution, level: float) -> Checkpoints:
    checkpoints, trials = table.shape
    if min(checkpoints, trials) < MIN_REPLICATES:
        return _unknown(table)
    squares, parts = _Squares.of(table), _difference_parts([table])
    return _summary(
        table,
        parts,
        solution=solution,
        mean=float(table.mean()),
        sds=(squares.pretraining_seed_std, squares.trial_std, squares.residual_std),
        level=level,
    )


def _summary(
    table: np.ndarray,
    parts: _Parts,
    *,
    solution: Solution,
    mean: float,
    sds: tuple[float, float, float],
    level: float,
) -> Checkpoints:
    checkpoints, trials = table.shape
    half_width = t_quantile(parts.df, level) * parts.std_error
    return Checkpoints(
        solution=solution,
        checkpoints=checkpoints,
        trials=trials,
        mean=mean,
        low=mean - half_width,
        high=mean + half_width,
        df=parts.df,
        std_error=parts.std_error,
        pretraining_seed_std=sds[0],
        trial_std=sds[1],
        residual_std=sds[2],
        std=math.sqrt(parts.checkpoints * checkpoints),
    )


def _unknown(table: np.ndarray) -> Checkpoints:
    nothing = dict.fromkeys(
        ("low", "high", "df", "std_error", "pretraining_seed_std", "trial_std", "residual_std", "std"), math.nan
    )
    mean = float(table.mean()) if table.size else math.nan
    return Checkpoints(solution="unknown", checkpoints=len(table), trials=table.shape[1], mean=mean, **nothing)


def _fitted(table: np.ndarray, *, level: float) -> Checkpoints | None:
    """Fit an incomplete table by REML; None if the fit is not to be trusted."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec  # noqa: PLC0415  (takes a second)

    rows, columns = np.nonzero(np.isfinite(table))
    values = table[rows, columns]
    centre, scale = float(values.mean()), float(values.std())
    if scale <= ZERO_VARIANCE:
        return None
    indicators = [np.eye(size)[numbers] for size, numbers in zip(table.shape, (rows, columns), strict=True)]
    names = [[[str(number) for number in range(size)]] for size in table.shape]
    parts = VCSpec(["checkpoint", "trial"], names, [[indicators[0]], [indicators[1]]])
    model = MixedLM((values - centre) / scale, np.ones((len(values), 1)), groups=np.zeros(len(values)), exog_vc=parts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning says: not converged, on the boundary or singular
        try:
            fit = model.fit(reml=True)
        except (Warning, np.linalg.LinAlgError):
            return None
    variances = [*(float(part) for part in fit.vcomp), float(fit.scale)]
    if not fit.converged or not all(variance > 0 for variance in variances):
        return None
    of_checkpoint, of_trial, of_rest = (variance * scale**2 for variance in variances)
    return _fitted_summary(
        table,
        mean=centre + scale * float(fit.fe_params[0]),
        std_error=scale * float(fit.bse_fe[0]),
        variances=(of_checkpoint, of_trial, of_rest),
        level=level,
    )


def _fitted_summary(
    table: np.ndarray, *, mean: float, std_error: float, variances: tuple[float, float, float], level: float
) -> Checkpoints:
    """Share the fit's error among checkpoints and trials, for the degrees of freedom, as a complete table would."""
    checkpoints, trials = table.shape
    of_checkpoint, of_trial, of_rest = variances
    mean_trials = np.isfinite(table).sum() / checkpoints
    shares = np.array([(of_checkpoint + of_rest / mean_trials) / checkpoints, of_trial / trials])
    shares *= std_error**2 / shares.sum()
    parts = _Parts(
        checkpoints=float(shares[0]),
        trials=float(shares[1]),
        df=satterthwaite(shares, [checkpoints - 1, trials - 1]),
    )
    sds = (math.sqrt(of_checkpoint), math.sqrt(of_trial), math.sqrt(of_rest))
    return _summary(table, parts, solution="mixed model", mean=mean, sds=sds, level=level)


def _why_no_subset(subsets: Sequence[object] | None) -> str:
    if subsets is None or len(set(subsets)) == 1:
        return "all trials have the same labels: not varied"
    return "a trial fixes its label subset: held by trial"
