"""What is known of a mean or a def compare_methods(how it would vary with other trials, checkpoints and test clips.

Two statements are made of each difference. On *these* test clips: would other trials (or checkpoints) show it again?
That is the paired t test, or what stands in for it. On *other* test clips: would another test set of the same size,
whose clusters of clips are drawn as these were, show it too? The second is what a reader wants of a benchmark and makes
the headline; the first is given beside it, because a published test set may be all that matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workflow_scripts.statistics.guards import Objection, too_few
from workflow_scripts.statistics.inference import cluster_bootstrap
from workflow_scripts.statistics.inference.cluster_bootstrap import UNDEFINED_AT_MOST, Bootstrap, shared_variance
from workflow_scripts.statistics.inference.confidence_intervals import (
    CONFIDENCE_LEVEL,
    MIN_REPLICATES,
    mean_interval,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.inference.hypothesis_tests import ZERO_VARIANCE, p_of_mean, paired, sign_flip, welch
from workflow_scripts.statistics.inference.random_effects import compare_checkpoints, summarise_checkpoints
from workflow_scripts.statistics.samples import NotComparable, Replicate, TrialSample, match, why_not_comparable
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

Design = Literal["paired", "unpaired"]
TEST_SET = "test set"


@dataclass(frozen=True, kw_only=True)
class ConfidenceInterval:
    """An interval with the standard error and degrees of freedom behind it; not-a-number where there is none."""

    low: float
    high: float
    std_error: float
    df: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


UNKNOWN = ConfidenceInterval(low=math.nan, high=math.nan, std_error=math.nan, df=math.nan)


@dataclass(frozen=True, kw_only=True)
class StandardErrors:
    """Standard errors of a mean or difference by what causes them; not-a-number where that is not a part of it."""

    pretraining_seed: float = math.nan
    trial: float = math.nan
    test_set: float = math.nan

    @property
    def variance_sources(self) -> tuple[str, ...]:
        """What an interval made of them covers, in words."""
        parts = (("pretraining seeds", self.pretraining_seed), ("trials", self.trial), (TEST_SET, self.test_set))
        return tuple(name for name, error in parts if math.isfinite(error))


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A method's mean; `spread` is for other trials, checkpoints and test clips as far as `errors` know them."""

    replicate: Replicate
    n: int
    mean: float
    spread: ConfidenceInterval
    errors: StandardErrors
    clusters: int  # of test clips that were drawn; 0 if they were not


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference between two methods.

    `sizes` count the replicates of both sides (equal for pairs). `same_clips` and `same_clips_p` are about these test
    clips; `spread` and `p` about others too, unless `errors.covers` has no test clips: then they are the same. `effect`
    is the difference in units of the deviation between pairs (d_z), or of either side's where nothing is paired.
    """

    design: Design
    replicate: Replicate
    sizes: tuple[int, int]
    mean: float
    fixed_test_set: ConfidenceInterval
    fixed_test_set_p: float
    sign_flip_p: float
    spread: ConfidenceInterval
    p: float
    effect: float
    errors: StandardErrors
    clusters: int
    reason: str  # why there is no interval or no test


def estimate_mean(samples: Sequence[TrialSample], replicates: BootstrapReplicates) -> Mean:
    """Mean of a method, given by the cells of its checkpoints (at least one).

    One checkpoint: over its trials. Several: for other checkpoints and other trials (`checkpoints`).
    """
    made = _mean_of_trials(samples[0]) if len(samples) == 1 else _mean_of_checkpoints(samples)
    drawn = replicates.all_of(samples)
    error = _test_set_error([_replicates(drawn)], clusters=drawn[0].clusters) if drawn else math.nan
    if not (drawn and made.spread.known and math.isfinite(error)):
        return made
    clusters = drawn[0].clusters
    return replace(
        made,
        spread=add_test_set_variance(made.mean, made.spread, [(error, clusters)]),
        errors=replace(made.errors, test_set=error),
        clusters=clusters,
    )


def _mean_of_trials(sample: TrialSample) -> Mean:
    interval = mean_interval(sample.values)
    error = interval.std / math.sqrt(interval.n) if interval.known else math.nan
    return Mean(
        replicate="trials",
        n=interval.n,
        mean=interval.mean,
        spread=ConfidenceInterval(low=interval.low, high=interval.high, std_error=error, df=interval.n - 1),
        errors=StandardErrors(trial=error),
        clusters=0,
    )


def _mean_of_checkpoints(samples: Sequence[TrialSample]) -> Mean:
    several = summarise_checkpoints(as_matrix(samples))
    of_checkpoints = several.std / math.sqrt(several.checkpoints)
    of_trials = math.sqrt(max(0.0, several.std_error**2 - of_checkpoints**2)) if several.known else math.nan
    return Mean(
        replicate="pretraining seeds",
        n=len(samples),
        mean=several.mean,
        spread=ConfidenceInterval(low=several.low, high=several.high, std_error=several.std_error, df=several.df),
        errors=StandardErrors(pretraining_seed=of_checkpoints, trial=of_trials),
        clusters=0,
    )


def compare_methods(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample], replicates: BootstrapReplicates
) -> Difference | NotComparable:
    """Compare two methods, each given by the cells of its checkpoints (neither is empty): `better` minus `than`.

    One checkpoint on each side: in pairs of trials, or by Welch's test where they are not pairs. Several on a side: the
    checkpoint is the unit (`compare_checkpoints`), in pairs where the seeds are the same and so is the encoder, since
    other networks do not start from like weights.
    """
    refused = why_not_comparable([*treatment, *reference])
    if refused:
        return NotComparable(reason=refused)
    made = (
        _of_trials(treatment[0], reference[0])
        if len(treatment) == len(reference) == 1
        else _of_checkpoints(treatment, reference)
    )
    if isinstance(made, NotComparable):
        return made
    error, clusters = _drawn_difference(treatment, reference, replicates)
    if not made.fixed_test_set.known or not math.isfinite(error):
        return made
    spread = add_test_set_variance(made.mean, made.fixed_test_set, [(error, clusters)])
    p = p_value(made.mean, spread, at_least=made.fixed_test_set_p)
    return replace(
        made,
        spread=spread,
        p=p,
        reason="" if math.isfinite(p) else made.reason,
        errors=replace(made.errors, test_set=error),
        clusters=clusters,
    )


def as_matrix(samples: Sequence[TrialSample], *, trials: Sequence[int] = ()) -> np.ndarray:
    """Values as (checkpoints, trials), NaN where a checkpoint lacks a trial; all trials unless some are given."""
    columns = np.array(trials or sorted({int(trial) for sample in samples for trial in sample.trials}))
    table = np.full((len(samples), len(columns)), np.nan)
    for row, sample in zip(table, samples, strict=True):
        _, to, of = np.intersect1d(columns, sample.trials, assume_unique=True, return_indices=True)
        row[to] = sample.values[of]
    return table


def common_trials(samples: Sequence[TrialSample]) -> list[int] | NotComparable:
    """Trials that all cells have, ascending; refused where there is none or where equal trials have different seeds."""
    common = sorted(set.intersection(*({int(trial) for trial in sample.trials} for sample in samples)))
    if not common:
        return NotComparable(reason="no trial in common")
    seeds = {tuple(sample.seeds[np.isin(sample.trials, common)].tolist()) for sample in samples}
    if len(seeds) > 1:
        return NotComparable(reason="equal trials have different seeds, so they are not pairs")
    return common


def _of_trials(treatment: TrialSample, reference: TrialSample) -> Difference | NotComparable:
    """One checkpoint on each side, on these test clips."""
    matching = match([treatment], [reference])
    if isinstance(matching, NotComparable):
        return _unpaired(treatment, reference) if matching.unpaired else matching
    left, right = matching.values([treatment.values], [reference.values])
    result = paired(left, right)
    n = result.difference.n
    error = result.difference.std / math.sqrt(n) if result.difference.known else math.nan
    return _on_these_clips(
        design="paired",
        replicate="trials",
        sizes=(n, n),
        mean=result.difference.mean,
        spread=ConfidenceInterval(low=result.difference.low, high=result.difference.high, std_error=error, df=n - 1),
        p=result.p,
        sign_flip_p=result.p_sign_flip,
        effect=result.effect,
        errors=StandardErrors(trial=error),
        why=too_few(n, of="trials"),
    )


def _unpaired(treatment: TrialSample, reference: TrialSample) -> Difference:
    result = welch(treatment.values, reference.values)
    known = result.difference.known
    error = (
        math.sqrt(sum(sample.values.var(ddof=1) / len(sample.values) for sample in (treatment, reference)))
        if known
        else math.nan
    )
    df = result.df if math.isfinite(result.df) else float(sum(result.n) - 2)  # both sides without spread
    return _on_these_clips(
        design="unpaired",
        replicate="trials",
        sizes=result.n,
        mean=result.difference.mean,
        spread=ConfidenceInterval(low=result.difference.low, high=result.difference.high, std_error=error, df=df),
        p=result.p,
        sign_flip_p=math.nan,
        effect=result.effect,
        errors=StandardErrors(trial=error),
        why=too_few(min(result.n), of="trials"),
    )


def _of_checkpoints(treatment: Sequence[TrialSample], reference: Sequence[TrialSample]) -> Difference | NotComparable:
    """Several checkpoints on a side, on these test clips."""
    trials = common_trials([*treatment, *reference])
    if isinstance(trials, NotComparable):
        return trials
    pairs, left, right = pair_by_seed(treatment, reference)
    tables = [as_matrix(side, trials=trials) for side in (left, right)]
    result = compare_checkpoints(*tables, pairs=pairs)
    means = [table.mean(axis=1) for table in tables]
    one_against_several = min(result.checkpoints) == 1
    few = too_few(min(size for size in result.checkpoints if size > 1), of="pretraining seeds")
    return _on_these_clips(
        design="paired" if pairs else "unpaired",
        replicate="pretraining seeds",
        sizes=result.checkpoints,
        mean=result.mean,
        spread=ConfidenceInterval(low=result.low, high=result.high, std_error=result.std_error, df=result.df),
        p=result.p,
        sign_flip_p=sign_flip(means[0] - means[1]) if pairs or one_against_several else math.nan,
        effect=result.effect,
        errors=StandardErrors(pretraining_seed=result.se_pretraining_seed, trial=result.se_trial),
        why=few or too_few(len(trials), of="trials"),
    )


def _on_these_clips(
    *,
    design: Design,
    replicate: Replicate,
    sizes: tuple[int, int],
    mean: float,
    spread: ConfidenceInterval,
    p: float,
    sign_flip_p: float,
    effect: float,
    errors: StandardErrors,
    why: Objection | None,
) -> Difference:
    untested = "" if math.isfinite(p) else f"the difference is the same in all {replicate}: no test"
    return Difference(
        design=design,
        replicate=replicate,
        sizes=sizes,
        mean=mean,
        fixed_test_set=spread,
        fixed_test_set_p=p,
        sign_flip_p=sign_flip_p,
        spread=spread,
        p=p,
        effect=effect,
        errors=errors,
        clusters=0,
        reason=why.reason if why else untested,
    )


def pair_by_seed(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample]
) -> tuple[bool, list[TrialSample], list[TrialSample]]:
    """Whether the checkpoints of two methods are pairs, and both sides with their pairs in step."""
    left, right = (sorted(side, key=lambda sample: int(sample.pretrain_seed)) for side in (treatment, reference))
    seeds = [[sample.pretrain_seed for sample in side] for side in (left, right)]
    encoders = {sample.encoder for sample in (*left, *right)}
    return seeds[0] == seeds[1] and len(left) > 1 and len(encoders) == 1, left, right


# --- other test clips -----------------------------------------------------------------------------------------------


def _drawn_difference(
    treatment: Sequence[TrialSample], reference: Sequence[TrialSample], replicates: BootstrapReplicates
) -> tuple[float, int]:
    """Standard error of a difference due to the test clips, and the number of their clusters; NaN where not known."""
    pairs, *sides = pair_by_seed(treatment, reference)
    left, right = (replicates.all_of(side) for side in sides)
    if left is None or right is None or len({made.resample_id for side in (left, right) for made in side}) > 1:
        return math.nan, 0
    clusters = left[0].clusters
    if len(left) == len(right) == 1:
        matching = match(*sides)
        if not isinstance(matching, NotComparable):
            (pair,) = matching.pairs
            of_pairs = cluster_bootstrap.difference(
                _of_rows(left[0], pair.left_rows), _of_rows(right[0], pair.right_rows)
            )
            return cluster_bootstrap.combine(of_pairs).se_test_set, clusters
    rows = [_replicates(side) for side in (left, right)]
    if pairs:  # what a clip does to both of a pair alike cancels in each pair
        rows = [rows[0] - rows[1]]
    return _test_set_error(rows, clusters=clusters), clusters


def _of_rows(made: Bootstrap, rows: np.ndarray) -> Bootstrap:
    return replace(made, values=made.values[rows], replicates=made.replicates[rows])


def _replicates(checkpoints: Sequence[Bootstrap]) -> np.ndarray:
    """On each resample, the trials of one checkpoint or the means of several: (replicates, resamples)."""
    if len(checkpoints) == 1:
        return checkpoints[0].replicates
    return np.stack([each.replicates.mean(axis=0) for each in checkpoints])


def _test_set_error(rows: Sequence[np.ndarray], *, clusters: int) -> float:
    """Standard error, due to the test clips, of a mean (one side) or of a difference of two that are no pairs.

    The replicates of a side, (replicates, resamples) each, share what the clips do to it. What a clip does to one of
    them alone is in the spread between them already.
    """
    defined = np.isfinite(np.concatenate(rows)).all(axis=0)
    if clusters < MIN_REPLICATES or min(map(len, rows)) < 2 or (~defined).mean() > UNDEFINED_AT_MOST:
        return math.nan
    kept = [each[:, defined] for each in rows]
    variance = sum(shared_variance(each) for each in kept)
    if len(kept) > 1:
        variance -= 2 * float(np.cov(kept[0].mean(axis=0), kept[1].mean(axis=0))[0, 1])
    return math.sqrt(max(0.0, variance) * clusters / (clusters - 1))


def add_test_set_variance(
    mean: float, fixed_test_set: ConfidenceInterval, test_sets: Sequence[tuple[float, int]]
) -> ConfidenceInterval:
    """Interval for other test clips too; each test set adds its standard error, known from a number of clusters.

    Variances add, degrees of freedom by Satterthwaite. The interval is never narrower than the one on the same clips,
    which with three or four trials Satterthwaite's degrees of freedom would allow.
    """
    variances = [fixed_test_set.std_error**2, *(error**2 for error, _ in test_sets)]
    error = math.sqrt(sum(variances))
    df = satterthwaite(variances, [fixed_test_set.df, *(clusters - 1 for _, clusters in test_sets)])
    half_width = t_quantile(df, CONFIDENCE_LEVEL) * error if error else 0.0
    return ConfidenceInterval(
        low=min(mean - half_width, fixed_test_set.low),
        high=max(mean + half_width, fixed_test_set.high),
        std_error=error,
        df=df,
    )


def p_value(mean: float, spread: ConfidenceInterval, *, at_least: float) -> float:
    """Two-sided p of a t test, not below that on the same clips, for the same reason as the interval's."""
    if spread.std_error <= ZERO_VARIANCE:
        return at_least
    p = p_of_mean(mean, error=spread.std_error, df=spread.df)
    return max(p, at_least) if math.isfinite(at_least) else p
