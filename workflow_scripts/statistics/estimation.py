"""The one path to an interval: every function that gives an estimate with its interval is imported from here.

`estimate_mean`, `compare_methods` and `average_over_datasets` take samples and cover other test sets where these have
bootstrap replicates. `mean_interval`, `mean_intervals`, `mean_matrix`, `relative_improvement` and `find_crossover` take
plain values (trials, means of pre-training seeds, or their paired differences) and are for the fixed test set.

Two statements are made about each number. For a *fixed test set*: would other trials (or pre-training seeds) show it
again? This is the paired t test, or its equivalent where trials are not paired. For *other test sets* of the same size,
whose clusters of clips are drawn as these were: would they show it too? The second is the question of a benchmark's
reader and makes the headline; the first is given beside it, because a published test set may be all that matters.

Intervals stay within the values that a metric or a difference of it can have (`confidence_intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workflow_scripts.statistics.guards import too_few_reason
from workflow_scripts.statistics.inference.cluster_bootstrap import (
    Bootstrap,
    paired_difference,
    statistic_std_errors,
    test_set_std_error,
)
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    UNLIMITED,
    ConfidenceInterval,
    SampleMean,
    ValueRange,
    mean_interval,
    mean_intervals,
    satterthwaite,
)
from workflow_scripts.statistics.inference.crossover import find_crossover
from workflow_scripts.statistics.inference.equivalence import EQUIVALENCE_LEVEL
from workflow_scripts.statistics.inference.hypothesis_tests import (
    ZERO_VARIANCE,
    paired_test,
    sign_flip_test,
    t_test_p,
    welch_test,
)
from workflow_scripts.statistics.inference.multi_dataset import (
    NO_VARIATION,
    DatasetEstimate,
    MultiDatasetMean,
    mean_over_datasets,
)
from workflow_scripts.statistics.inference.random_effects import compare_crossed, estimate_crossed_mean
from workflow_scripts.statistics.inference.relative_improvement import relative_improvement
from workflow_scripts.statistics.metrics import RATES
from workflow_scripts.statistics.samples import (
    NotComparable,
    Replicate,
    TrialSample,
    as_matrix,
    common_trials,
    incomparability_reason,
    match,
    pair_by_seed,
)
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

__all__ = [
    "CONFIDENCE_LEVEL",
    "EQUIVALENCE_LEVEL",
    "PRETRAINING_SEEDS",
    "TEST_SET",
    "TRIALS",
    "UNLIMITED",
    "ConfidenceInterval",
    "DatasetComparison",
    "Difference",
    "Estimates",
    "MeanDifference",
    "MeanEstimate",
    "StandardErrors",
    "ValueRange",
    "average_over_datasets",
    "compare_methods",
    "estimate_from_clips",
    "estimate_mean",
    "find_crossover",
    "mean_interval",
    "mean_intervals",
    "mean_matrix",
    "relative_improvement",
]

Design = Literal["paired", "unpaired"]
PRETRAINING_SEEDS, TRIALS, TEST_SET = "pretraining seeds", "trials", "test set"


@dataclass(frozen=True, kw_only=True)
class StandardErrors:
    """Standard errors of a mean or difference by source of variance; not-a-number where that is not a part of it."""

    pretraining_seed: float = math.nan
    trial: float = math.nan
    test_set: float = math.nan

    @property
    def variance_sources(self) -> tuple[str, ...]:
        """Names of the sources that an interval made of these errors covers."""
        parts = ((PRETRAINING_SEEDS, self.pretraining_seed), (TRIALS, self.trial), (TEST_SET, self.test_set))
        return tuple(name for name, std_error in parts if math.isfinite(std_error))


@dataclass(frozen=True, kw_only=True)
class MeanEstimate:
    """A method's mean; `std` is that of the replicates, `ci` covers the sources of variance that `std_errors` knows."""

    replicate: Replicate
    n: int
    mean: float
    std: float
    ci: ConfidenceInterval
    std_errors: StandardErrors
    clusters: int  # of test clips that were resampled; 0 if they were not


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference between two methods, treatment minus reference.

    `n` are the replicates of both sides (equal for pairs). `fixed_test_set` and `fixed_test_set_p` are about these test
    clips; `ci` and `p` about other test sets too, unless `std_errors` lacks the test set: then they are the same.
    `effect` is the difference in units of the standard deviation between pairs (d_z), or of either side's where nothing
    is paired. `reason` states why there is no interval or no test.
    """

    design: Design
    replicate: Replicate
    n: tuple[int, int]
    mean: float
    fixed_test_set: ConfidenceInterval
    fixed_test_set_p: float
    sign_flip_p: float
    ci: ConfidenceInterval
    p: float
    effect: float
    std_errors: StandardErrors
    clusters: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class DatasetComparison:
    """A comparison on one data set: the samples of both sides and their difference, which has an interval."""

    dataset: str
    treatment: Sequence[TrialSample]
    reference: Sequence[TrialSample]
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """Equal-weight mean of a difference over data sets; `ci` and `p` cover the `variance_sources`.

    `n` is the smallest number of replicates of a side that has several. `reason` states why there is no test.
    """

    replicate: Replicate
    n: int
    mean: float
    ci: ConfidenceInterval
    p: float
    variance_sources: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """Values computed from test clips, with their standard errors over the clusters of clips.

    `clusters` is their number, of the data set that has fewest. The intervals are about other test clips and these
    weights of the network.
    """

    values: np.ndarray
    std_errors: np.ndarray
    clusters: int

    def interval(
        self, number: int, *, level: float = CONFIDENCE_LEVEL, within: ValueRange = UNLIMITED
    ) -> ConfidenceInterval:
        """Return the t interval of one value; unknown without a standard error."""
        value, std_error = float(self.values[number]), float(self.std_errors[number])
        if not (math.isfinite(std_error) and math.isfinite(value)):
            return ConfidenceInterval.unknown()
        df = self.clusters - 1
        return ConfidenceInterval.from_estimate(value, std_error=std_error, df=df, level=level, within=within)


def estimate_from_clips(
    statistic: Callable[..., np.ndarray], clusters: Sequence[np.ndarray], *, value: np.ndarray | None = None
) -> Estimates:
    """Estimate values that are computed from the clips of one or more data sets, with a bootstrap of their clusters.

    `statistic` takes for each data set how often each of its clips occurs, (clips,), and returns (values,); `clusters`
    has the clusters of the clips, numbers from 0. `value` is the exact statistic where that of equal weights is not.
    """
    if value is None:
        value = statistic(*(np.ones(len(of_set)) for of_set in clusters))
    return Estimates(
        values=value,
        std_errors=statistic_std_errors(statistic, clusters),
        clusters=min(int(of_set.max()) + 1 for of_set in clusters),
    )


def estimate_mean(
    samples: Sequence[TrialSample], replicates: BootstrapReplicates, *, level: float = CONFIDENCE_LEVEL
) -> MeanEstimate:
    """Estimate the mean of a method, given by the samples of its pre-training seeds (at least one).

    One seed: over its trials. Several: for other seeds and other trials (`random_effects`). For other test sets too
    where all samples have bootstrap replicates.
    """
    on_test_set = _mean_over_trials(samples[0], level) if len(samples) == 1 else _mean_over_seeds(samples, level)
    bootstraps = replicates.all_of(samples)
    if not bootstraps or not on_test_set.ci.is_known:
        return on_test_set
    clusters = bootstraps[0].clusters
    std_error = test_set_std_error([_rows_of_replicates(bootstraps)], clusters=clusters)
    if not math.isfinite(std_error):
        return on_test_set
    return replace(
        on_test_set,
        ci=add_test_set_variance(
            on_test_set.mean, on_test_set.ci, [(std_error, clusters)], level=level, within=_value_range(samples[0])
        ),
        std_errors=replace(on_test_set.std_errors, test_set=std_error),
        clusters=clusters,
    )


def _mean_over_trials(sample: TrialSample, level: float) -> MeanEstimate:
    estimate = mean_interval(sample.values, level=level, within=_value_range(sample))
    return MeanEstimate(
        replicate="trials",
        n=estimate.n,
        mean=estimate.mean,
        std=estimate.std,
        ci=estimate.ci,
        std_errors=StandardErrors(trial=estimate.ci.std_error),
        clusters=0,
    )


def _mean_over_seeds(samples: Sequence[TrialSample], level: float) -> MeanEstimate:
    estimate = estimate_crossed_mean(as_matrix(samples), level=level)
    ci = estimate.ci
    if ci.is_known:
        ci = ConfidenceInterval.from_estimate(
            estimate.mean, std_error=ci.std_error, df=ci.df, level=level, within=_value_range(samples[0])
        )
    # squared errors add up: the trials are what the seeds leave
    of_seeds = estimate.std / math.sqrt(estimate.pretraining_seeds)
    of_trials = math.sqrt(max(0.0, ci.std_error**2 - of_seeds**2)) if ci.is_known else math.nan
    return MeanEstimate(
        replicate="pretraining seeds",
        n=len(samples),
        mean=estimate.mean,
        std=estimate.std,
        ci=ci,
        std_errors=StandardErrors(pretraining_seed=of_seeds, trial=of_trials),
        clusters=0,
    )


def compare_methods(
    treatment: Sequence[TrialSample],
    reference: Sequence[TrialSample],
    replicates: BootstrapReplicates,
    *,
    level: float = CONFIDENCE_LEVEL,
) -> Difference | NotComparable:
    """Compare two methods, each given by the samples of its pre-training seeds (neither is empty).

    One seed on each side: in pairs of trials, or by Welch's test where they are not pairs. Several on a side: the seed
    is the unit of replication (`compare_crossed`), in pairs where the seeds and the encoder are the same, because
    different architectures do not share initial weights.
    """
    difference = _compare(treatment, reference, replicates, level)
    if isinstance(difference, NotComparable):
        return difference
    within = _value_range(treatment[0], difference=True)
    return replace(
        difference,
        fixed_test_set=difference.fixed_test_set.truncate(within),
        ci=difference.ci.truncate(within),
    )


def _compare(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample], replicates: BootstrapReplicates, level: float
) -> Difference | NotComparable:
    """Compare two methods; the intervals may leave the possible differences."""
    reason = incomparability_reason([*treatment, *reference])
    if reason:
        return NotComparable(reason=reason)

    # compare on the fixed test set
    one_seed_each = len(treatment) == len(reference) == 1
    on_test_set = (
        _compare_trials(treatment[0], reference[0], level)
        if one_seed_each
        else _compare_seeds(treatment, reference, level)
    )
    if isinstance(on_test_set, NotComparable) or not on_test_set.fixed_test_set.is_known:
        return on_test_set

    # add the variance of the test set, if it is known
    std_error, clusters = _difference_test_set_std_error(treatment, reference, replicates)
    if not math.isfinite(std_error):
        return on_test_set
    ci = add_test_set_variance(on_test_set.mean, on_test_set.fixed_test_set, [(std_error, clusters)], level=level)
    p = p_value(on_test_set.mean, ci, at_least=on_test_set.fixed_test_set_p)
    return replace(
        on_test_set,
        ci=ci,
        p=p,
        reason="" if math.isfinite(p) else on_test_set.reason,
        std_errors=replace(on_test_set.std_errors, test_set=std_error),
        clusters=clusters,
    )


def average_over_datasets(comparisons: Sequence[DatasetComparison]) -> MeanDifference | NotComparable:
    """Average the differences of one comparison over data sets, each counting the same.

    For other test sets too where every difference is.
    """
    differences = [comparison.difference for comparison in comparisons]
    replicate: Replicate = differences[0].replicate
    if all(difference.replicate == "trials" for difference in differences):
        mean: MultiDatasetMean | NotComparable = _average_independent(comparisons)
    else:
        mean = _average_with_shared_seeds(comparisons)
    if isinstance(mean, NotComparable):
        return mean
    ci, p = mean.ci, mean.p
    sources = [TRIALS] if replicate == "trials" else [PRETRAINING_SEEDS, TRIALS]
    if all(difference.clusters for difference in differences):
        sources.append(TEST_SET)
        test_sets = [
            (difference.std_errors.test_set / len(differences), difference.clusters) for difference in differences
        ]
        ci = add_test_set_variance(mean.mean, ci, test_sets)
        p = p_value(mean.mean, ci, at_least=mean.p)
    return MeanDifference(
        replicate=replicate,
        n=min(n for difference in differences for n in difference.n if n > 1),
        mean=mean.mean,
        ci=ci.truncate(_value_range(comparisons[0].treatment[0], difference=True)),
        p=p,
        variance_sources=tuple(sources),
        reason="" if math.isfinite(p) else mean.reason,
    )


def mean_matrix(rates: np.ndarray, *, within: ValueRange) -> list[list[SampleMean]]:
    """Estimate the mean of each entry of (replicates, true, predicted) rates or differences of rates."""
    replicates, true, predicted = rates.shape
    means = mean_intervals(rates.reshape(replicates, true * predicted).T, within=within)
    return [[means[row * predicted + column] for column in range(predicted)] for row in range(true)]


def _value_range(sample: TrialSample, *, difference: bool = False) -> ValueRange:
    """Return the possible values of a mean of the sample's metric, or of a difference of two such means."""
    return ValueRange(largest=1.0, difference=difference) if sample.metric in RATES else UNLIMITED


# --- a fixed test set -----------------------------------------------------------------------------------------------


def _compare_trials(treatment: TrialSample, reference: TrialSample, level: float) -> Difference | NotComparable:
    """Compare one pre-training seed on each side."""
    matching = match([treatment], [reference])
    if isinstance(matching, NotComparable):
        return _compare_unpaired(treatment, reference, level) if matching.unpaired else matching
    left, right = matching.values([treatment.values], [reference.values])
    test = paired_test(left, right, level=level)
    n = test.difference.n
    return _fixed_test_set(
        design="paired",
        replicate="trials",
        n=(n, n),
        mean=test.difference.mean,
        ci=test.difference.ci,
        p=test.p,
        sign_flip_p=test.p_sign_flip,
        effect=test.effect,
        std_errors=StandardErrors(trial=test.difference.ci.std_error),
        too_few_reason=too_few_reason(n, of="trials"),
    )


def _compare_unpaired(treatment: TrialSample, reference: TrialSample, level: float) -> Difference:
    test = welch_test(treatment.values, reference.values, level=level)
    return _fixed_test_set(
        design="unpaired",
        replicate="trials",
        n=test.n,
        mean=test.mean,
        ci=test.ci,
        p=test.p,
        sign_flip_p=math.nan,
        effect=test.effect,
        std_errors=StandardErrors(trial=test.ci.std_error),
        too_few_reason=too_few_reason(min(test.n), of="trials"),
    )


def _compare_seeds(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample], level: float
) -> Difference | NotComparable:
    """Compare several pre-training seeds on at least one side."""
    trials = common_trials([*treatment, *reference])
    if isinstance(trials, NotComparable):
        return trials
    pairs, left, right = pair_by_seed(treatment, reference)
    tables = [as_matrix(side, trials=trials) for side in (left, right)]
    comparison = compare_crossed(*tables, pairs=pairs, level=level)
    # one sign per pre-training seed
    means = [table.mean(axis=1) for table in tables]
    one_against_several = min(comparison.pretraining_seeds) == 1
    too_few_seeds = too_few_reason(
        min(size for size in comparison.pretraining_seeds if size > 1), of="pretraining seeds"
    )
    return _fixed_test_set(
        design="paired" if pairs else "unpaired",
        replicate="pretraining seeds",
        n=comparison.pretraining_seeds,
        mean=comparison.mean,
        ci=comparison.ci,
        p=comparison.p,
        sign_flip_p=sign_flip_test(means[0] - means[1]) if pairs or one_against_several else math.nan,
        effect=comparison.effect,
        std_errors=StandardErrors(pretraining_seed=comparison.se_pretraining_seed, trial=comparison.se_trial),
        too_few_reason=too_few_seeds or too_few_reason(len(trials), of="trials"),
    )


def _fixed_test_set(
    *,
    design: Design,
    replicate: Replicate,
    n: tuple[int, int],
    mean: float,
    ci: ConfidenceInterval,
    p: float,
    sign_flip_p: float,
    effect: float,
    std_errors: StandardErrors,
    too_few_reason: str,
) -> Difference:
    unit = replicate.replace("pretraining", "pre-training")
    untested = "" if math.isfinite(p) else f"the difference is the same in all {unit}: no test"
    return Difference(
        design=design,
        replicate=replicate,
        n=n,
        mean=mean,
        fixed_test_set=ci,
        fixed_test_set_p=p,
        sign_flip_p=sign_flip_p,
        ci=ci,
        p=p,
        effect=effect,
        std_errors=std_errors,
        clusters=0,
        reason=too_few_reason or untested,
    )


def _average_independent(comparisons: Sequence[DatasetComparison]) -> MultiDatasetMean:
    """Average over data sets that have nothing random in common, for the fixed test sets."""
    return mean_over_datasets(
        {
            comparison.dataset: DatasetEstimate(
                mean=comparison.difference.mean,
                std_error=comparison.difference.fixed_test_set.std_error,
                df=comparison.difference.fixed_test_set.df,
            )
            for comparison in comparisons
        }
    )


def _average_with_shared_seeds(comparisons: Sequence[DatasetComparison]) -> MultiDatasetMean | NotComparable:
    """Average over data sets that share their pre-training seeds, for the fixed test sets.

    A seed that is good on one data set tends to be good on the next, so the trials of each seed are averaged over the
    data sets first.
    """
    trials = common_trials(
        [sample for comparison in comparisons for sample in (*comparison.treatment, *comparison.reference)]
    )
    if isinstance(trials, NotComparable):
        return trials
    paired = [pair_by_seed(comparison.treatment, comparison.reference) for comparison in comparisons]
    seeds = {tuple(tuple(sample.pretrain_seed for sample in side) for side in sides) for _, *sides in paired}
    if len(seeds) > 1:
        return NotComparable(reason="not the same pre-training seeds on every data set")
    left = np.mean([as_matrix(side, trials=trials) for _, side, _ in paired], axis=0)
    right = np.mean([as_matrix(side, trials=trials) for _, _, side in paired], axis=0)
    comparison = compare_crossed(left, right, pairs=paired[0][0])
    if not comparison.ci.is_known:
        fewest = max(1, min(size for size in comparison.pretraining_seeds if size > 1))
        reason = too_few_reason(fewest, of="pretraining seeds") or "no interval over the pre-training seeds"
        return NotComparable(reason=reason)
    return MultiDatasetMean(
        datasets=len(comparisons),
        mean=comparison.mean,
        ci=comparison.ci,
        p=comparison.p,
        reason="" if math.isfinite(comparison.p) else NO_VARIATION,
    )


# --- other test sets ------------------------------------------------------------------------------------------------


def _difference_test_set_std_error(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample], replicates: BootstrapReplicates
) -> tuple[float, int]:
    """Return the standard error of a difference due to the test set, and the number of clusters; NaN if unknown."""
    pairs, *sides = pair_by_seed(treatment, reference)
    left, right = (replicates.all_of(side) for side in sides)
    if left is None or right is None or len({bootstrap.resample_id for bootstrap in (*left, *right)}) > 1:
        return math.nan, 0
    clusters = left[0].clusters
    if len(left) == len(right) == 1:
        matching = match(*sides)
        if not isinstance(matching, NotComparable):
            (pair,) = matching.pairs
            of_pairs = paired_difference(
                _select_trials(left[0], pair.left_rows), _select_trials(right[0], pair.right_rows)
            )
            return test_set_std_error([of_pairs.replicates], clusters=clusters), clusters
    rows = [_rows_of_replicates(side) for side in (left, right)]
    if pairs:  # the effect of a clip on both of a pair alike cancels in each pair
        rows = [rows[0] - rows[1]]
    return test_set_std_error(rows, clusters=clusters), clusters


def _select_trials(bootstrap: Bootstrap, rows: np.ndarray) -> Bootstrap:
    return replace(bootstrap, values=bootstrap.values[rows], replicates=bootstrap.replicates[rows])


def _rows_of_replicates(bootstraps: Sequence[Bootstrap]) -> np.ndarray:
    """Return the trials of one pre-training seed, or the means of several, on each resample: (rows, resamples)."""
    if len(bootstraps) == 1:
        return bootstraps[0].replicates
    return np.stack([bootstrap.replicates.mean(axis=0) for bootstrap in bootstraps])


def add_test_set_variance(
    mean: float,
    fixed_test_set: ConfidenceInterval,
    test_sets: Sequence[tuple[float, int]],
    *,
    level: float = CONFIDENCE_LEVEL,
    within: ValueRange = UNLIMITED,
) -> ConfidenceInterval:
    """Return the interval for other test sets too; each adds its standard error, known from a number of clusters.

    Variances add, degrees of freedom by Satterthwaite. The interval is never narrower than that for the fixed test set,
    which with three or four trials Satterthwaite's degrees of freedom would allow.
    """
    variances = [fixed_test_set.std_error**2, *(std_error**2 for std_error, _ in test_sets)]
    df = satterthwaite(variances, [fixed_test_set.df, *(clusters - 1 for _, clusters in test_sets)])
    ci = ConfidenceInterval.from_estimate(mean, std_error=math.sqrt(sum(variances)), df=df, level=level, within=within)
    return replace(ci, low=min(ci.low, fixed_test_set.low), high=max(ci.high, fixed_test_set.high))


def p_value(mean: float, ci: ConfidenceInterval, *, at_least: float) -> float:
    """Return the two-sided p of a t test, not below that for the fixed test set, as the interval is not narrower."""
    if ci.std_error <= ZERO_VARIANCE:
        return at_least
    p = t_test_p(mean, std_error=ci.std_error, df=ci.df)
    return max(p, at_least) if math.isfinite(at_least) else p
