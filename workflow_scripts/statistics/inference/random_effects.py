"""Crossed random effects: a method with several pre-training seeds, as opposed to one run of it.

The trials of a method form a table, one row per pre-training seed and one column per trial. Seeds and trials are both
random and crossed, since trial k fixes the same label subset, initial values and order for every seed:

    value of seed s in trial k = mean + seed_s + trial_k + residual_sk

Treating all values as one sample ("pooled seeds") takes ten trials of one seed for ten pieces of evidence about the
method. With three seeds that differ a third as much as trials do, or just as much, it calls equal methods different in
13 % or 44 % of cases; the estimates below keep to 5 %.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    ConfidenceInterval,
    satterthwaite,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE, t_test_p

SEED, TRIAL, SUBSET, TEST_SET, RESIDUAL = "pre-training seed", "trial", "label subset", "test set", "residual"


@dataclass(frozen=True, kw_only=True)
class CrossedMean:
    """Mean of a method over its pre-training seeds and trials, and its variance components, in the unit of the metric.

    `pretraining_seed_std`, `trial_std` and `residual_std` are the standard deviations of the three random parts; `std`
    is that of the mean of one seed over the trials, the number that `seeds_needed` asks for. NaN where this is unknown.
    """

    pretraining_seeds: int
    trials: int
    mean: float
    ci: ConfidenceInterval
    pretraining_seed_std: float
    trial_std: float
    residual_std: float
    std: float


@dataclass(frozen=True, kw_only=True)
class CrossedDifference:
    """Difference of two methods, the pre-training seed being the unit of replication.

    `pretraining_seeds` are those of both sides: a side with one makes this a claim about that seed. `trials` is the
    number that all seeds have. `se_pretraining_seed` and `se_trial` are the two parts of the standard error; `effect`
    is the difference in units of the standard deviation between seeds (NaN with one on each side).
    """

    pretraining_seeds: tuple[int, int]
    trials: int
    mean: float
    ci: ConfidenceInterval
    se_pretraining_seed: float
    se_trial: float
    effect: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Component:
    """One source of variance: its standard deviation, or NaN and the `reason` why this design does not identify it."""

    name: str
    std: float
    reason: str

    @property
    def is_identified(self) -> bool:
        """Whether the design separates this source from the others."""
        return not self.reason


def estimate_crossed_mean(values: np.ndarray, *, level: float = CONFIDENCE_LEVEL) -> CrossedMean:
    """Estimate the mean of one method, with its interval for other pre-training seeds *and* other trials.

    `values` (seeds, trials), NaN where a trial is missing; rows and columns without any value do not count. Complete
    tables have an exact solution: the mean squares of the two-way table, which is also what REML gives where no part is
    zero; t with Satterthwaite's degrees of freedom. Incomplete ones are fitted by statsmodels' `MixedLM`. Where that
    fit does not converge or a part is on its boundary of zero, its errors are not to be trusted, and the trials that
    all seeds have are solved exactly instead.

    Fewer than three seeds or common trials give no interval.
    """
    table = np.asarray(values, np.float64)
    present = np.isfinite(table)
    table = np.ascontiguousarray(table[present.any(axis=1)][:, present.any(axis=0)])
    missing = ~np.isfinite(table)
    if not missing.any():
        return _solve_balanced(table, level=level)
    fitted = _fit_mixed_model(table, level=level) if min(table.shape) >= MIN_REPLICATES else None
    return fitted or _solve_balanced(table[:, ~missing.any(axis=0)], level=level)


def compare_crossed(
    treatment: np.ndarray, reference: np.ndarray, *, pairs: bool = False, level: float = CONFIDENCE_LEVEL
) -> CrossedDifference:
    """Compare two methods, `treatment` minus `reference`, both (seeds, trials) with the same trials as columns.

    The standard error has two parts. Seeds: the variance between the means of each side's seeds, as in Welch's test;
    with `pairs`, that between the differences of equal seeds, worth its fewer degrees of freedom only where pairs do
    resemble one another (the same encoder under two weightings, say). Trials: how much the difference changes from
    trial to trial beyond what the first part contains; the effect of a trial on both sides alike cancels. Student's t
    with Satterthwaite's degrees of freedom.

    A side with one seed (or without pre-training) has no variance between seeds: the result is about that seed. One on
    each side gives the paired t test over trials. Two seeds on a side, or fewer than three common trials, give no
    interval and no p; trials that any seed lacks are left out.

    `UserError` if the trials, or with `pairs` the seeds, do not match.
    """
    sides = [np.asarray(side, np.float64) for side in (treatment, reference)]
    left, right = sides
    if left.shape[1] != right.shape[1] or (pairs and len(left) != len(right)):
        raise UserError(
            f"pre-training seeds and trials {left.shape} and {right.shape} do not match; compare equal trials"
        )
    # trials that all seeds of both sides have
    common = np.isfinite(np.concatenate(sides)).all(axis=0)
    sides = [left[:, common], right[:, common]]
    counts, trials = (len(left), len(right)), int(common.sum())
    mean = float(sides[0].mean() - sides[1].mean()) if trials and min(counts) else math.nan
    # the variance of the difference, by its sources
    tables = [sides[0] - sides[1]] if pairs else sides
    enough = trials >= MIN_REPLICATES and not any(len(table) in (0, 2) for table in tables)
    variance = _difference_variance(tables) if enough else None
    if variance is None:
        return CrossedDifference(
            pretraining_seeds=counts,
            trials=trials,
            mean=mean,
            ci=ConfidenceInterval.unknown(),
            se_pretraining_seed=math.nan,
            se_trial=math.nan,
            effect=math.nan,
            p=math.nan,
        )
    # effect size: difference over the root mean square of the standard deviations between seeds
    between_seeds = [table.mean(axis=1).var(ddof=1) for table in tables if len(table) > 1]
    std = math.sqrt(float(np.mean(between_seeds))) if between_seeds else math.nan
    return CrossedDifference(
        pretraining_seeds=counts,
        trials=trials,
        mean=mean,
        ci=ConfidenceInterval.from_estimate(mean, std_error=variance.std_error, df=variance.df, level=level),
        se_pretraining_seed=math.sqrt(variance.of_seeds),
        se_trial=math.sqrt(variance.of_trials),
        effect=mean / std if std > ZERO_VARIANCE else math.nan,
        p=t_test_p(mean, std_error=variance.std_error, df=variance.df),
    )


def decompose(
    values: np.ndarray, *, subsets: Sequence[object] | None = None, se_test_set: float | None = None
) -> tuple[Component, ...]:
    """Decompose the variance by source: pre-training seed, trial, label subset, test set and the residual.

    `values` (seeds, trials) is complete; `subsets` (trials,) names the label subset of each trial (None: all labels);
    `se_test_set` is the standard error of `test_set_std_error`. A source is given only if the design identifies it;
    otherwise its reason names the source that contains it. Estimates below zero are zero.
    """
    # mean squares, where both factors vary
    table = np.asarray(values, np.float64)
    seeds, trials = table.shape
    squares = _MeanSquares.of(table) if seeds > 1 and trials > 1 else None

    # factors that do not vary
    one_seed = "one pre-training seed: not varied" if seeds < 2 else ""
    one_trial = "one trial: not varied" if trials < 2 else ""
    of_one_seed = math.sqrt(table[0].var(ddof=1)) if seeds == 1 and trials > 1 else math.nan

    # one component for each source
    return (
        Component(
            name=SEED,
            std=squares.pretraining_seed_std if squares else math.nan,
            reason=one_seed or ("one trial: confounded with the residual" if one_trial else ""),
        ),
        Component(name=TRIAL, std=squares.trial_std if squares else of_one_seed, reason=one_trial),
        Component(name=SUBSET, std=math.nan, reason=_why_no_subset(subsets)),
        Component(
            name=TEST_SET,
            std=math.nan if se_test_set is None else se_test_set,
            reason="" if se_test_set is not None and math.isfinite(se_test_set) else "no bootstrap of the test set",
        ),
        Component(
            name=RESIDUAL,
            std=squares.residual_std if squares else math.nan,
            reason="" if squares else "needs two pre-training seeds and two trials; contained in the others",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _MeanSquares:
    """Mean squares of a complete two-way table, (seeds, trials)."""

    seeds: int
    trials: int
    of_seeds: float
    of_trials: float
    of_residual: float

    @classmethod
    def of(cls, table: np.ndarray) -> _MeanSquares:
        seeds, trials = table.shape
        rows, columns = table.mean(axis=1), table.mean(axis=0)
        residual = table - rows[:, None] - columns + table.mean()
        return cls(
            seeds=seeds,
            trials=trials,
            of_seeds=trials * float(rows.var(ddof=1)),
            of_trials=seeds * float(columns.var(ddof=1)),
            of_residual=float((residual**2).sum()) / ((seeds - 1) * (trials - 1)),
        )

    @property
    def pretraining_seed_std(self) -> float:
        return math.sqrt(max(0.0, self.of_seeds - self.of_residual) / self.trials)

    @property
    def trial_std(self) -> float:
        return math.sqrt(max(0.0, self.of_trials - self.of_residual) / self.seeds)

    @property
    def residual_std(self) -> float:
        return math.sqrt(self.of_residual)


@dataclass(frozen=True, kw_only=True)
class _Variance:
    """Variance of a mean due to pre-training seeds and due to trials, with the degrees of freedom of the sum."""

    of_seeds: float
    of_trials: float
    df: float

    @property
    def std_error(self) -> float:
        return math.sqrt(self.of_seeds + self.of_trials)


def _difference_variance(tables: Sequence[np.ndarray]) -> _Variance:
    """Split the variance of the difference of the tables' means; each has one row, or three and more."""
    trials = tables[0].shape[1]
    several = [table for table in tables if len(table) > 1]
    seed_df = [len(table) - 1 for table in several]
    # seeds, as in Welch's test: sum of var(means of seeds) / seeds
    of_seeds = [float(table.mean(axis=1).var(ddof=1)) / len(table) for table in several]
    # trials: var(difference by trial) / trials, less the residual that the first part already contains
    contained = [-_MeanSquares.of(table).of_residual / len(table) / trials for table in several]
    by_trial = tables[0].mean(axis=0) - (tables[1].mean(axis=0) if len(tables) > 1 else 0.0)
    of_trials = [float(by_trial.var(ddof=1)) / trials, *contained]
    if sum(of_trials) <= 0:
        return _Variance(of_seeds=sum(of_seeds), of_trials=0.0, df=satterthwaite(of_seeds, seed_df))
    # degrees of freedom of the sum, the subtracted residuals with their sign
    residual_df = [(len(table) - 1) * (trials - 1) for table in several]
    estimated = satterthwaite([*of_seeds, *of_trials], [*seed_df, trials - 1, *residual_df])
    return _Variance(
        of_seeds=sum(of_seeds),
        of_trials=sum(of_trials),
        df=max(estimated, min([*seed_df, trials - 1])),  # a sum is known no worse than its least known part
    )


def _solve_balanced(table: np.ndarray, *, level: float) -> CrossedMean:
    if min(table.shape) < MIN_REPLICATES:
        return CrossedMean(
            pretraining_seeds=len(table),
            trials=table.shape[1],
            mean=float(table.mean()) if table.size else math.nan,
            ci=ConfidenceInterval.unknown(),
            pretraining_seed_std=math.nan,
            trial_std=math.nan,
            residual_std=math.nan,
            std=math.nan,
        )
    squares = _MeanSquares.of(table)
    return _crossed_mean(
        table,
        _difference_variance([table]),
        mean=float(table.mean()),
        stds=(squares.pretraining_seed_std, squares.trial_std, squares.residual_std),
        level=level,
    )


def _crossed_mean(
    table: np.ndarray, variance: _Variance, *, mean: float, stds: tuple[float, float, float], level: float
) -> CrossedMean:
    seeds, trials = table.shape
    return CrossedMean(
        pretraining_seeds=seeds,
        trials=trials,
        mean=mean,
        ci=ConfidenceInterval.from_estimate(mean, std_error=variance.std_error, df=variance.df, level=level),
        pretraining_seed_std=stds[0],
        trial_std=stds[1],
        residual_std=stds[2],
        std=math.sqrt(variance.of_seeds * seeds),
    )


def _fit_mixed_model(table: np.ndarray, *, level: float) -> CrossedMean | None:
    """Fit an incomplete table by REML; None if the fit is not to be trusted."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec  # noqa: PLC0415  (takes a second)

    # standardise the values that are there
    rows, columns = np.nonzero(np.isfinite(table))
    values = table[rows, columns]
    centre, scale = float(values.mean()), float(values.std())
    if scale <= ZERO_VARIANCE:
        return None
    # one group with two crossed variance components
    indicators = [np.eye(size)[numbers] for size, numbers in zip(table.shape, (rows, columns), strict=True)]
    names = [[[str(number) for number in range(size)]] for size in table.shape]
    components = VCSpec(["seed", "trial"], names, [[indicators[0]], [indicators[1]]])
    intercept, one_group = np.ones((len(values), 1)), np.zeros(len(values))
    model = MixedLM((values - centre) / scale, intercept, groups=one_group, exog_vc=components)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning means: not converged, on the boundary or singular
        try:
            fit = model.fit(reml=True)
        except (Warning, np.linalg.LinAlgError):
            return None
    variances = [*(float(component) for component in fit.vcomp), float(fit.scale)]
    if not fit.converged or not all(variance > 0 for variance in variances):
        return None
    of_seed, of_trial, of_residual = (variance * scale**2 for variance in variances)
    return _summarise_fit(
        table,
        mean=centre + scale * float(fit.fe_params[0]),
        std_error=scale * float(fit.bse_fe[0]),
        variances=(of_seed, of_trial, of_residual),
        level=level,
    )


def _summarise_fit(
    table: np.ndarray, *, mean: float, std_error: float, variances: tuple[float, float, float], level: float
) -> CrossedMean:
    """Share the fit's error among seeds and trials, for the degrees of freedom, as a complete table would."""
    seeds, trials = table.shape
    of_seed, of_trial, of_residual = variances
    mean_trials = np.isfinite(table).sum() / seeds
    shares = np.array([(of_seed + of_residual / mean_trials) / seeds, of_trial / trials])
    shares *= std_error**2 / shares.sum()
    variance = _Variance(
        of_seeds=float(shares[0]),
        of_trials=float(shares[1]),
        df=satterthwaite(shares, [seeds - 1, trials - 1]),
    )
    stds = (math.sqrt(of_seed), math.sqrt(of_trial), math.sqrt(of_residual))
    return _crossed_mean(table, variance, mean=mean, stds=stds, level=level)


def _why_no_subset(subsets: Sequence[object] | None) -> str:
    if subsets is None or len(set(subsets)) == 1:
        return "all trials have the same labels: not varied"
    return "a trial fixes its label subset: contained in trial"
