"""Do the rates hold that the statistics promise: seeded simulations through the public entry points."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.statistics.synthetic_samples import (
    difference_of_bootstraps,
    mean_of_bootstrap,
    predictions,
    sample,
)
from tests.synthetic_results import Results, factors
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.manifest import Manifest, Study
from workflow_scripts.statistics.contrasts import TableEntry
from workflow_scripts.statistics.estimation import Difference, compare_methods, estimate_mean
from workflow_scripts.statistics.inference.cluster_bootstrap import Bootstrap
from workflow_scripts.statistics.inference.confidence_intervals import ValueRange, mean_interval, mean_intervals
from workflow_scripts.statistics.inference.equivalence import EQUIVALENCE_LEVEL, Verdict, decide
from workflow_scripts.statistics.inference.hypothesis_tests import (
    adjust_by_holm,
    paired_tests,
    sign_flip_tests,
    welch_test,
)
from workflow_scripts.statistics.inference.multi_dataset import DatasetEstimate, mean_over_datasets
from workflow_scripts.statistics.inference.power import seeds_needed
from workflow_scripts.statistics.inference.random_effects import compare_crossed, estimate_crossed_mean
from workflow_scripts.statistics.inference.ranking import DatasetValues, rank_methods
from workflow_scripts.statistics.metric_bootstrap import bootstrap_metrics
from workflow_scripts.statistics.predictions import Predictions
from workflow_scripts.statistics.samples import TrialSample
from workflow_scripts.statistics.tables.entries import entry_table
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates

pytestmark = pytest.mark.slow
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

#: the noise of trials: mean 0, deviation 1
NORMAL: Noise = lambda rng, shape: rng.normal(size=shape)  # noqa: E731
SKEWED: Noise = lambda rng, shape: rng.gamma(4, size=shape) / 2 - 2  # noqa: E731  (skewness 1)
VERY_SKEWED: Noise = lambda rng, shape: rng.exponential(size=shape) - 1  # noqa: E731  (skewness 2)


def coverage(low: np.ndarray | float, high: np.ndarray | float, truth: float) -> float:
    return float(np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high))))


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("noise", [NORMAL, SKEWED])
def test_an_interval_of_a_mean_covers_it(n: int, noise: Noise) -> None:
    results = mean_intervals(0.5 + 0.02 * noise(np.random.default_rng(n), (40_000, n)))
    assert 0.93 <= coverage(results.ci.low, results.ci.high, 0.5) <= 0.97


@pytest.mark.parametrize("n", [3, 5, 10])
def test_an_interval_of_one_very_skewed_sample_is_not_claimed(n: int) -> None:
    results = mean_intervals(VERY_SKEWED(np.random.default_rng(n), (40_000, n)))
    assert 0.87 <= coverage(results.ci.low, results.ci.high, 0) <= 0.91


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.1), (0.9, 0.03), (0.1, 0.08), (0.97, 0.01), (0.97, 0.03)])
def test_an_interval_of_a_rate_near_an_end_of_its_range_covers_it(n: int, mean: float, std: float) -> None:
    size = mean * (1 - mean) / std**2 - 1
    values = np.random.default_rng(n).beta(mean * size, (1 - mean) * size, (40_000, n))
    results = mean_intervals(values, within=ValueRange(largest=1))
    assert 0.92 <= coverage(results.ci.low, results.ci.high, mean) <= 0.97
    plain = mean_intervals(values)
    assert (
        abs(coverage(plain.ci.low, plain.ci.high, mean) - 0.95)
        >= abs(coverage(results.ci.low, results.ci.high, mean) - 0.95) - 0.005
    )


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("noise", [NORMAL, SKEWED, VERY_SKEWED])
def test_an_interval_of_a_paired_difference_covers_it(n: int, noise: Noise) -> None:
    treatment, reference = noise(np.random.default_rng(n), (2, 40_000, n))
    results = paired_tests(treatment + 0.3, reference).difference
    assert 0.93 <= coverage(results.ci.low, results.ci.high, 0.3) <= 0.97


@pytest.mark.parametrize("noise", [NORMAL, VERY_SKEWED])
@pytest.mark.parametrize("sizes", [(3, 3), (5, 10), (10, 10)])
def test_welch_keeps_its_level(sizes: tuple[int, int], noise: Noise) -> None:
    rng = np.random.default_rng(sum(sizes))
    p = [welch_test(noise(rng, (sizes[0],)), noise(rng, (sizes[1],))).p for _ in range(4000)]
    assert np.mean(np.array(p) < 0.05) <= 0.06  # 5 % and three binomial deviations; with few values it is cautious


@pytest.mark.parametrize("noise", [NORMAL, SKEWED])
def test_the_family_wise_error_is_as_declared(noise: Noise) -> None:
    treatment, reference = noise(np.random.default_rng(7), (2, 6 * 6000, 10))
    families = paired_tests(treatment, reference).p.reshape(6000, 6)
    assert 0.03 <= np.mean([min(adjust_by_holm(family)) < 0.05 for family in families]) <= 0.06


@pytest.mark.parametrize("noise", [NORMAL, VERY_SKEWED])
def test_sign_flips_keep_their_level(noise: Noise) -> None:
    treatment, reference = noise(np.random.default_rng(8), (2, 20_000, 10))
    assert 0.04 <= np.mean(sign_flip_tests(treatment - reference) < 0.05) <= 0.054


def judge(values: np.ndarray, published: float, *, margin: float) -> Verdict:
    """Return the verdict on a mean beside a published number, from the interval of the tables."""
    ci = estimate_mean([sample(values)], BootstrapReplicates(), level=EQUIVALENCE_LEVEL).ci
    return decide(ci.low - published, ci.high - published, margin=margin)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_difference_as_large_as_the_margin_is_seldom_called_equivalent_or_different(n: int) -> None:
    rng = np.random.default_rng(n)
    verdicts = [judge(values, 0.5, margin=0.05) for values in 0.55 + 0.02 * rng.normal(size=(6000, n))]
    assert verdicts.count("equivalent") / 6000 <= 0.06
    assert verdicts.count("different") / 6000 <= 0.06


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_difference_of_two_samples_as_large_as_the_margin_is_seldom_called_either(n: int) -> None:
    rng = np.random.default_rng(n)
    verdicts = []
    for values in 0.55 + 0.02 * rng.normal(size=(6000, n)):
        ci = welch_test(values, 0.5 + 0.03 * rng.normal(size=5), level=EQUIVALENCE_LEVEL).ci
        verdicts.append(decide(ci.low, ci.high, margin=0.05))
    assert verdicts.count("equivalent") / 6000 <= 0.06
    assert verdicts.count("different") / 6000 <= 0.06


def test_a_difference_well_within_the_margin_is_called_equivalent() -> None:
    values = 0.5 + 0.02 * np.random.default_rng(0).normal(size=(500, 10))
    verdicts = [judge(row, 0.5, margin=0.03) for row in values]
    assert verdicts.count("equivalent") / 500 > 0.95


GROUPS, ALIKE, TRIALS = 40, 8, 5


def clustered_hits(rng: np.random.Generator, shared: np.ndarray, own: float = 0.6) -> np.ndarray:
    """Correctness of predictions, (trials, clips): groups are easy or hard, trials good or bad, on the probit scale."""
    trial = 0.1 * rng.normal(size=(TRIALS, 1, 1))
    clip = rng.normal(size=(TRIALS, GROUPS, ALIKE)) * math.sqrt(1 - own**2) + shared * own
    group = rng.normal(size=(GROUPS, 1))
    return (0.5 + trial + 0.8 * group + clip > 0).reshape(TRIALS, -1)


def accurate(hits: np.ndarray, groups: np.ndarray) -> Predictions:
    """Two classes, all clips of the first, predicted correctly where `hits` is true."""
    labels = np.tile(np.array([1, 0], np.float32), (hits.shape[1], 1))
    scores = np.stack([hits, ~hits], axis=-1).astype(np.float32)
    return predictions(task="multiclass", scores=scores, labels=labels, clusters=groups)


def test_the_clustered_bootstrap_covers_where_the_plain_one_and_trials_alone_do_not() -> None:
    rng = np.random.default_rng(11)
    groups, single = np.repeat(np.arange(GROUPS), ALIKE), np.arange(GROUPS * ALIKE)
    truth = stats.norm.cdf(0.5 / math.sqrt(1 + 0.8**2 + 0.1**2))
    covered = {"clustered": 0, "plain": 0, "trials alone": 0}
    draws = 1200
    for _ in range(draws):
        hits = clustered_hits(rng, rng.normal(size=(GROUPS, ALIKE)))
        results = {
            name: mean_of_bootstrap(bootstrap_metrics(accurate(hits, by), resamples=400)["accuracy"])
            for name, by in (("clustered", groups), ("plain", single))
        }
        alone = mean_intervals(hits.mean(axis=1)[None])[0]
        for name, estimate in (*results.items(), ("trials alone", alone)):
            covered[name] += estimate.ci.low <= truth <= estimate.ci.high
    assert 0.93 <= covered["clustered"] / draws <= 0.97
    assert covered["plain"] / draws < 0.85
    assert covered["trials alone"] / draws < 0.75


@pytest.mark.parametrize(("groups", "alike"), [(40, 8), (10, 4)])
def test_the_clustered_bootstrap_covers_where_nearly_all_clips_are_predicted_correctly(groups: int, alike: int) -> None:
    rng = np.random.default_rng(11)
    names, ease, draws = np.repeat(np.arange(groups), alike), 2.2, 600
    truth = stats.norm.cdf(ease / math.sqrt(1 + 0.8**2 + 0.1**2))  # 95.7 %
    covered, plain = 0, 0
    for _ in range(draws):
        trial, group = 0.1 * rng.normal(size=(TRIALS, 1, 1)), 0.8 * rng.normal(size=(groups, 1))
        clip = 0.8 * rng.normal(size=(TRIALS, groups, alike)) + 0.6 * rng.normal(size=(groups, alike))
        hits = (ease + trial + group + clip > 0).reshape(TRIALS, -1)
        result = mean_of_bootstrap(bootstrap_metrics(accurate(hits, names), resamples=300)["accuracy"])
        ci, half = result.ci, 0.0
        if ci.std_error:
            half = stats.t.ppf(0.975, ci.df) * ci.std_error
        covered += ci.low <= truth <= ci.high
        plain += abs(result.mean - truth) <= half
    assert 0.9 <= covered / draws <= 0.97  # 92 and 95 %, and two binomial deviations
    assert plain / draws < covered / draws - 0.015  # the plain t interval covers less


def test_the_difference_of_two_equal_methods_on_one_test_set_keeps_its_level() -> None:
    rng = np.random.default_rng(12)
    groups = np.repeat(np.arange(GROUPS), ALIKE)
    apart, draws = 0, 800
    for _ in range(draws):
        group = rng.normal(size=(GROUPS, 1))
        hits = [
            0.5
            + 0.8 * group
            + 0.5 * rng.normal(size=(GROUPS, 1))
            + 0.1 * rng.normal(size=(TRIALS, 1, 1))
            + rng.normal(size=(TRIALS, GROUPS, ALIKE))
            > 0
            for _ in range(2)
        ]
        sides = [
            bootstrap_metrics(accurate(of_side.reshape(TRIALS, -1), groups), resamples=400)["accuracy"]
            for of_side in hits
        ]
        results = difference_of_bootstraps(*sides)
        apart += not results.ci.low <= 0 <= results.ci.high
    assert 0.03 <= apart / draws <= 0.07


def test_the_clustered_bootstrap_covers_an_area_under_a_curve() -> None:
    rng = np.random.default_rng(13)
    groups = np.repeat(np.arange(GROUPS), ALIKE)
    truth = stats.norm.cdf(1 / math.sqrt(2 * (1 + 0.7**2)))
    covered, draws = {"clustered": 0, "plain": 0}, 600
    for _ in range(draws):
        # the groups of one artist lean to one label and to high or low scores
        label = (rng.random((GROUPS, ALIKE)) < np.where(rng.random((GROUPS, 1)) < 0.5, 0.9, 0.1)).ravel()
        group = np.repeat(0.7 * rng.normal(size=GROUPS), ALIKE)
        scores = label + group + rng.normal(size=(3, GROUPS * ALIKE))
        for name, by in (("clustered", groups), ("plain", np.arange(GROUPS * ALIKE))):
            results = bootstrap_metrics(
                predictions(
                    task="multilabel",
                    scores=1 / (1 + np.exp(-scores[..., None])),
                    labels=label[:, None].astype(np.float32),
                    clusters=by,
                ),
                resamples=400,
            )
            interval = mean_of_bootstrap(results["roc_auc"]).ci
            covered[name] += interval.low <= truth <= interval.high
    assert 0.93 <= covered["clustered"] / draws <= 0.97
    assert covered["plain"] / draws < 0.85


def crossed_tables(
    rng: np.random.Generator, sizes: tuple[int, int], *, between: float, differing: float = 0.0
) -> list[np.ndarray]:
    """Two equal methods: pre-training seeds x 10 trials, alike for both methods but for `differing`."""
    trial = rng.normal(size=(1, 10))
    return [
        trial
        + differing * rng.normal(size=(1, 10))
        + (between * rng.normal(size=(size, 1)) if size > 1 else 0.0)
        + rng.normal(size=(size, 10))
        for size in sizes
    ]


@pytest.mark.parametrize("between", [0.3, 0.5, 1.0])
def test_pretraining_seeds_as_units_keep_the_level_that_pooled_seeds_lose(between: float) -> None:
    rng = np.random.default_rng(14)
    tables = [crossed_tables(rng, (3, 3), between=between) for _ in range(2500)]
    proper = np.mean([compare_crossed(*pair).p < 0.05 for pair in tables])
    pooled = paired_tests(*(np.array([pair[side].ravel() for pair in tables]) for side in (0, 1))).p
    assert proper <= 0.06
    assert 0.11 <= np.mean(pooled < 0.05) <= 0.54


@pytest.mark.parametrize(
    ("sizes", "between", "differing"), [((5, 5), 1.0, 0.0), ((5, 5), 0.5, 1.0), ((5, 1), 0.5, 0.5), ((10, 3), 0.3, 0.0)]
)
def test_pretraining_seeds_as_units_keep_their_level(sizes: tuple[int, int], between: float, differing: float) -> None:
    rng = np.random.default_rng(15)
    tables = [crossed_tables(rng, sizes, between=between, differing=differing) for _ in range(2500)]
    assert 0.01 <= np.mean([compare_crossed(*pair).p < 0.05 for pair in tables]) <= 0.06


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_interval_of_a_method_covers_its_mean_over_pretraining_seeds_and_trials(seeds: int) -> None:
    rng = np.random.default_rng(16)
    results = [
        estimate_crossed_mean(
            rng.normal(size=(seeds, 1)) + 0.7 * rng.normal(size=(1, 10)) + rng.normal(size=(seeds, 10))
        )
        for _ in range(2500)
    ]
    assert 0.93 <= np.mean([average.ci.low <= 0 <= average.ci.high for average in results]) <= 0.975


def test_an_interval_of_an_incomplete_table_covers() -> None:
    rng = np.random.default_rng(17)
    covered = []
    for _ in range(800):
        table = rng.normal(size=(5, 1)) + 0.5 * rng.normal(size=(1, 10)) + rng.normal(size=(5, 10))
        table[rng.integers(5, size=4), rng.integers(10, size=4)] = np.nan
        results = estimate_crossed_mean(table)
        covered.append(results.ci.low <= 0 <= results.ci.high)
    assert 0.93 <= np.mean(covered) <= 0.975


def test_the_seeds_needed_show_the_difference_with_the_stated_power() -> None:
    rng = np.random.default_rng(18)
    seeds = seeds_needed(1.0, std=1.0, power=0.8).seeds
    assert seeds is not None
    shown = [welch_test(1 + rng.normal(size=seeds), rng.normal(size=seeds)).p < 0.05 for _ in range(4000)]
    assert 0.78 <= np.mean(shown) <= 0.83


def estimate(values: np.ndarray) -> DatasetEstimate:
    mean = mean_interval(values)
    return DatasetEstimate(mean=mean.mean, std_error=mean.ci.std_error, df=mean.ci.df)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_mean_over_data_sets_covers(n: int) -> None:
    rng = np.random.default_rng(19)
    results = [
        mean_over_datasets({str(size): estimate(size * rng.normal(size=n)) for size in (1.0, 2.0, 4.0)})
        for _ in range(3000)
    ]
    # with three values on each of unequal sets Satterthwaite's degrees of freedom are a little cautious
    assert 0.93 <= np.mean([average.ci.low <= 0 <= average.ci.high for average in results]) <= 0.975


def entry(study: Study, levels: dict[str, str], values: np.ndarray, data: str) -> TableEntry:
    """A number of a study's table, from the trials of one cell."""
    sample = TrialSample(
        key=tuple(levels[factor] for factor in FACTORS),
        metric=study.metric,
        trials=np.arange(len(values)),
        seeds=np.arange(len(values)),
        values=values,
        **{"test_clips": 90, "quarantined": 0, "source": "twin", "data_digest": data},
    )
    row, column = (levels["workers"],), (levels["dataset"],)
    return TableEntry(study=study, row=row, column=column, levels=levels, floor=False, samples=(sample,), reason="")


@pytest.mark.parametrize("methods", [2, 5, 20])
def test_equal_methods_are_seldom_left_unmarked_beside_the_highest(methods: int) -> None:
    rng = np.random.default_rng(21)
    (study,) = Manifest.from_json(Results(Path("nowhere")).manifest).studies
    columns = 300
    listed = [
        entry(study, levels, rng.normal(size=10), data=levels["dataset"])
        for column, method in itertools.product(range(columns), range(methods))
        for levels in [
            {
                factor: str(level)
                for factor, level in factors("pase", "frozen", f"set{column}", workers=f"W{method}").items()
            }
        ]
    ]
    results = entry_table(listed, BootstrapReplicates())
    unmarked = results.loc[results["rank_mark"] == "", "dataset"].nunique()
    assert unmarked / columns <= 0.08  # 5 % and two and a half binomial deviations


def group_means(weights: np.ndarray, of_groups: np.ndarray) -> Bootstrap:
    """A metric that is the mean over groups, and what it is on resamples that weigh them (groups, resamples)."""
    values, resampled = of_groups.mean(axis=1), of_groups @ weights / len(weights)
    return Bootstrap(metric="macro_f1", values=values, replicates=resampled, clusters=len(weights), resample_id="")


def test_what_test_clips_do_to_pairs_of_pretraining_seeds_is_known_without_bias() -> None:
    rng = np.random.default_rng(22)
    (study,) = Manifest.from_json(Results(Path("nowhere")).manifest).studies
    groups, seeds, observed = 60, 3, []
    for _ in range(300):
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=300).T
        of_method, of_seed = rng.normal(size=(2, groups)), rng.normal(size=(seeds, groups))
        sides, bootstraps = [], {}
        for workers, own in zip(("WLPMCT", "WLP"), of_method, strict=True):
            samples = []
            for seed in range(seeds):  # encoders of one pre-training seed find the same clips hard
                of_trials = own + of_seed[seed] + 0.3 * rng.normal(size=(3, groups))
                levels = factors("pase", "frozen", "openmic", seed=seed, workers=workers)
                levels = {factor: str(level) for factor, level in levels.items()}
                samples += entry(study, levels, of_trials.mean(axis=1), data="").samples
                bootstraps[samples[-1].key, study.metric] = group_means(weights, of_trials)
            sides.append(samples)
        results = compare_methods(*sides, BootstrapReplicates(bootstraps))
        assert isinstance(results, Difference)
        observed.append(results.std_errors.test_set**2)
    assert np.mean(observed) == pytest.approx(2 / groups, rel=0.08)  # what the seeds have in common is not in it


@pytest.mark.parametrize("noise", [NORMAL, VERY_SKEWED])
@pytest.mark.parametrize(("sets", "trials"), [(1, 3), (1, 10), (3, 3), (3, 10)])
def test_equal_methods_are_seldom_ranked_apart(sets: int, trials: int, noise: Noise) -> None:
    rng = np.random.default_rng(20)
    wrong = []
    for number in range(800):
        results = rank_methods(
            list("abcde"),
            [DatasetValues(trials=size * noise(rng, (5, trials))) for size in range(1, sets + 1)],
            resamples=500,
            seed=number,
        )
        wrong.append(results.distinguishable.any())
    assert np.mean(wrong) <= 0.07  # 5 % and three binomial deviations
