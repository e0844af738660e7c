"""What is known of a mean or a difference: how it would vary with other trials, checkpoints and test clips.

Two statements are made of each difference. On *these* test clips: would other trials (or checkpoints) show it again?
That is the paired t test, or what stands in for it. On *other* test clips: would another test set of the same size,
whose groups of clips are drawn as these were, show it too? The second is what a reader wants of a benchmark and makes
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
    FEWEST,
    LEVEL,
    mean_interval,
    satterthwaite,
    t_quantile,
)
from workflow_scripts.statistics.inference.hypothesis_tests import NO_SPREAD, p_of_mean, paired, sign_flip, welch
from workflow_scripts.statistics.inference.random_effects import compare_checkpoints, summarise_checkpoints
from workflow_scripts.statistics.samples import Cell, Refused, Replicate, match, objection
from workflow_scripts.statistics.test_set_bootstrap import Redrawn

Design = Literal["paired", "unpaired"]
TEST_CLIPS = "test clips"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """An interval with the standard error and degrees of freedom behind it; not-a-number where there is none."""

    low: float
    high: float
    error: float
    degrees: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)


UNKNOWN = Spread(low=math.nan, high=math.nan, error=math.nan, degrees=math.nan)


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Standard errors of a mean or difference by what causes them; not-a-number where that is not a part of it."""

    checkpoints: float = math.nan
    trials: float = math.nan
    test_clips: float = math.nan

    @property
    def covers(self) -> tuple[str, ...]:
        """What an interval made of them covers, in words."""
        parts = (("checkpoints", self.checkpoints), ("trials", self.trials), (TEST_CLIPS, self.test_clips))
        return tuple(name for name, error in parts if math.isfinite(error))


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A method's mean; `spread` is for other trials, checkpoints and test clips as far as `errors` know them."""

    replicate: Replicate
    n: int
    mean: float
    spread: Spread
    errors: Errors
    groups: int  # of test clips that were drawn; 0 if they were not


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
    same_clips: Spread
    same_clips_p: float
    sign_flip_p: float
    spread: Spread
    p: float
    effect: float
    errors: Errors
    groups: int
    reason: str  # why there is no interval or no test


def mean_of(cells: Sequence[Cell], redrawn: Redrawn) -> Mean:
    """Mean of a method, given by the cells of its checkpoints (at least one).

    One checkpoint: over its trials. Several: for other checkpoints and other trials (`checkpoints`).
    """
    made = _mean_of_trials(cells[0]) if len(cells) == 1 else _mean_of_checkpoints(cells)
    drawn = redrawn.all_of(cells)
    error = _test_set_error([_replicates(drawn)], groups=drawn[0].groups) if drawn else math.nan
    if not (drawn and made.spread.known and math.isfinite(error)):
        return made
    groups = drawn[0].groups
    return replace(
        made,
        spread=widened(made.mean, made.spread, [(error, groups)]),
        errors=replace(made.errors, test_clips=error),
        groups=groups,
    )


def _mean_of_trials(cell: Cell) -> Mean:
    interval = mean_interval(cell.values)
    error = interval.sd / math.sqrt(interval.n) if interval.known else math.nan
    return Mean(
        replicate="trials",
        n=interval.n,
        mean=interval.mean,
        spread=Spread(low=interval.low, high=interval.high, error=error, degrees=interval.n - 1),
        errors=Errors(trials=error),
        groups=0,
    )


def _mean_of_checkpoints(cells: Sequence[Cell]) -> Mean:
    several = summarise_checkpoints(table_of(cells))
    of_checkpoints = several.deviation / math.sqrt(several.checkpoints)
    of_trials = math.sqrt(max(0.0, several.error**2 - of_checkpoints**2)) if several.known else math.nan
    return Mean(
        replicate="checkpoints",
        n=len(cells),
        mean=several.mean,
        spread=Spread(low=several.low, high=several.high, error=several.error, degrees=several.degrees),
        errors=Errors(checkpoints=of_checkpoints, trials=of_trials),
        groups=0,
    )


def difference(better: Sequence[Cell], than: Sequence[Cell], redrawn: Redrawn) -> Difference | Refused:
    """Compare two methods, each given by the cells of its checkpoints (neither is empty): `better` minus `than`.

    One checkpoint on each side: in pairs of trials, or by Welch's test where they are not pairs. Several on a side: the
    checkpoint is the unit (`compare_checkpoints`), in pairs where the seeds are the same and so is the encoder, since
    other networks do not start from like weights.
    """
    refused = objection([*better, *than])
    if refused:
        return Refused(reason=refused)
    made = _of_trials(better[0], than[0]) if len(better) == len(than) == 1 else _of_checkpoints(better, than)
    if isinstance(made, Refused):
        return made
    error, groups = _drawn_difference(better, than, redrawn)
    if not made.same_clips.known or not math.isfinite(error):
        return made
    spread = widened(made.mean, made.same_clips, [(error, groups)])
    p = p_of(made.mean, spread, at_least=made.same_clips_p)
    return replace(
        made,
        spread=spread,
        p=p,
        reason="" if math.isfinite(p) else made.reason,
        errors=replace(made.errors, test_clips=error),
        groups=groups,
    )


def table_of(cells: Sequence[Cell], *, trials: Sequence[int] = ()) -> np.ndarray:
    """Values as (checkpoints, trials), NaN where a checkpoint lacks a trial; all trials unless some are given."""
    columns = np.array(trials or sorted({int(trial) for cell in cells for trial in cell.trials}))
    table = np.full((len(cells), len(columns)), np.nan)
    for row, cell in zip(table, cells, strict=True):
        _, to, of = np.intersect1d(columns, cell.trials, assume_unique=True, return_indices=True)
        row[to] = cell.values[of]
    return table


def common_trials(cells: Sequence[Cell]) -> list[int] | Refused:
    """Trials that all cells have, ascending; refused where there is none or where equal trials have different seeds."""
    common = sorted(set.intersection(*({int(trial) for trial in cell.trials} for cell in cells)))
    if not common:
        return Refused(reason="no trial in common")
    seeds = {tuple(cell.seeds[np.isin(cell.trials, common)].tolist()) for cell in cells}
    if len(seeds) > 1:
        return Refused(reason="equal trials have different seeds, so they are not pairs")
    return common


def _of_trials(better: Cell, than: Cell) -> Difference | Refused:
    """One checkpoint on each side, on these test clips."""
    matching = match([better], [than])
    if isinstance(matching, Refused):
        return _unpaired(better, than) if matching.unpaired else matching
    left, right = matching.values([better.values], [than.values])
    result = paired(left, right)
    n = result.difference.n
    error = result.difference.sd / math.sqrt(n) if result.difference.known else math.nan
    return _on_these_clips(
        design="paired",
        replicate="trials",
        sizes=(n, n),
        mean=result.difference.mean,
        spread=Spread(low=result.difference.low, high=result.difference.high, error=error, degrees=n - 1),
        p=result.p,
        sign_flip_p=result.p_sign_flip,
        effect=result.effect,
        errors=Errors(trials=error),
        why=too_few(n, of="trials"),
    )


def _unpaired(better: Cell, than: Cell) -> Difference:
    result = welch(better.values, than.values)
    known = result.difference.known
    error = math.sqrt(sum(cell.values.var(ddof=1) / len(cell.values) for cell in (better, than))) if known else math.nan
    degrees = result.degrees if math.isfinite(result.degrees) else float(sum(result.n) - 2)  # both sides without spread
    return _on_these_clips(
        design="unpaired",
        replicate="trials",
        sizes=result.n,
        mean=result.difference.mean,
        spread=Spread(low=result.difference.low, high=result.difference.high, error=error, degrees=degrees),
        p=result.p,
        sign_flip_p=math.nan,
        effect=result.effect,
        errors=Errors(trials=error),
        why=too_few(min(result.n), of="trials"),
    )


def _of_checkpoints(better: Sequence[Cell], than: Sequence[Cell]) -> Difference | Refused:
    """Several checkpoints on a side, on these test clips."""
    trials = common_trials([*better, *than])
    if isinstance(trials, Refused):
        return trials
    pairs, left, right = in_pairs(better, than)
    tables = [table_of(side, trials=trials) for side in (left, right)]
    result = compare_checkpoints(*tables, pairs=pairs)
    means = [table.mean(axis=1) for table in tables]
    one_against_several = min(result.checkpoints) == 1
    few = too_few(min(size for size in result.checkpoints if size > 1), of="checkpoints")
    return _on_these_clips(
        design="paired" if pairs else "unpaired",
        replicate="checkpoints",
        sizes=result.checkpoints,
        mean=result.mean,
        spread=Spread(low=result.low, high=result.high, error=result.error, degrees=result.degrees),
        p=result.p,
        sign_flip_p=sign_flip(means[0] - means[1]) if pairs or one_against_several else math.nan,
        effect=result.effect,
        errors=Errors(checkpoints=result.checkpoint_error, trials=result.trial_error),
        why=few or too_few(len(trials), of="trials"),
    )


def _on_these_clips(
    *,
    design: Design,
    replicate: Replicate,
    sizes: tuple[int, int],
    mean: float,
    spread: Spread,
    p: float,
    sign_flip_p: float,
    effect: float,
    errors: Errors,
    why: Objection | None,
) -> Difference:
    untested = "" if math.isfinite(p) else f"the difference is the same in all {replicate}: no test"
    return Difference(
        design=design,
        replicate=replicate,
        sizes=sizes,
        mean=mean,
        same_clips=spread,
        same_clips_p=p,
        sign_flip_p=sign_flip_p,
        spread=spread,
        p=p,
        effect=effect,
        errors=errors,
        groups=0,
        reason=why.reason if why else untested,
    )


def in_pairs(better: Sequence[Cell], than: Sequence[Cell]) -> tuple[bool, list[Cell], list[Cell]]:
    """Whether the checkpoints of two methods are pairs, and both sides with their pairs in step."""
    left, right = (sorted(side, key=lambda cell: int(cell.pretrain_seed)) for side in (better, than))
    seeds = [[cell.pretrain_seed for cell in side] for side in (left, right)]
    encoders = {cell.encoder for cell in (*left, *right)}
    return seeds[0] == seeds[1] and len(left) > 1 and len(encoders) == 1, left, right


# --- other test clips -----------------------------------------------------------------------------------------------


def _drawn_difference(better: Sequence[Cell], than: Sequence[Cell], redrawn: Redrawn) -> tuple[float, int]:
    """Standard error of a difference due to the test clips, and the number of their groups; NaN where not known."""
    pairs, *sides = in_pairs(better, than)
    left, right = (redrawn.all_of(side) for side in sides)
    if left is None or right is None or len({made.drawn for side in (left, right) for made in side}) > 1:
        return math.nan, 0
    groups = left[0].groups
    if len(left) == len(right) == 1:
        matching = match(*sides)
        if not isinstance(matching, Refused):
            (pair,) = matching.pairs
            of_pairs = cluster_bootstrap.difference(
                _of_rows(left[0], pair.left_rows), _of_rows(right[0], pair.right_rows)
            )
            return cluster_bootstrap.combine(of_pairs).test_set_error, groups
    replicates = [_replicates(side) for side in (left, right)]
    if pairs:  # what a clip does to both of a pair alike cancels in each pair
        replicates = [replicates[0] - replicates[1]]
    return _test_set_error(replicates, groups=groups), groups


def _of_rows(made: Bootstrap, rows: np.ndarray) -> Bootstrap:
    return replace(made, values=made.values[rows], resampled=made.resampled[rows])


def _replicates(checkpoints: Sequence[Bootstrap]) -> np.ndarray:
    """On each resample, the trials of one checkpoint or the means of several: (replicates, resamples)."""
    if len(checkpoints) == 1:
        return checkpoints[0].resampled
    return np.stack([each.resampled.mean(axis=0) for each in checkpoints])


def _test_set_error(rows: Sequence[np.ndarray], *, groups: int) -> float:
    """Standard error, due to the test clips, of a mean (one side) or of a difference of two that are no pairs.

    The replicates of a side, (replicates, resamples) each, share what the clips do to it. What a clip does to one of
    them alone is in the spread between them already.
    """
    defined = np.isfinite(np.concatenate(rows)).all(axis=0)
    if groups < FEWEST or min(map(len, rows)) < 2 or (~defined).mean() > UNDEFINED_AT_MOST:
        return math.nan
    kept = [each[:, defined] for each in rows]
    variance = sum(shared_variance(each) for each in kept)
    if len(kept) > 1:
        variance -= 2 * float(np.cov(kept[0].mean(axis=0), kept[1].mean(axis=0))[0, 1])
    return math.sqrt(max(0.0, variance) * groups / (groups - 1))


def widened(mean: float, same_clips: Spread, test_sets: Sequence[tuple[float, int]]) -> Spread:
    """Interval for other test clips too; each test set adds its standard error, known from a number of groups.

    Variances add, degrees of freedom by Satterthwaite. The interval is never narrower than the one on the same clips,
    which with three or four trials Satterthwaite's degrees of freedom would allow.
    """
    variances = [same_clips.error**2, *(error**2 for error, _ in test_sets)]
    error = math.sqrt(sum(variances))
    degrees = satterthwaite(variances, [same_clips.degrees, *(groups - 1 for _, groups in test_sets)])
    half_width = t_quantile(degrees, LEVEL) * error if error else 0.0
    return Spread(
        low=min(mean - half_width, same_clips.low),
        high=max(mean + half_width, same_clips.high),
        error=error,
        degrees=degrees,
    )


def p_of(mean: float, spread: Spread, *, at_least: float) -> float:
    """Two-sided p of a t test, not below that on the same clips, for the same reason as the interval's."""
    if spread.error <= NO_SPREAD:
        return at_least
    p = p_of_mean(mean, error=spread.error, degrees=spread.degrees)
    return max(p, at_least) if math.isfinite(at_least) else p
