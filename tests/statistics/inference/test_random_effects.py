import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from statsmodels.stats.anova import anova_lm

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.hypothesis_tests import paired_test, welch_test
from workflow_scripts.statistics.inference.random_effects import compare_crossed, decompose, estimate_crossed_mean


def table(seed: int, pretraining_seeds: int = 5, trials: int = 10, *, between: float = 0.03) -> np.ndarray:
    """Values with clear parts of pre-training seed, trial and rest."""
    random = np.random.default_rng(seed)
    return (
        0.6
        + between * random.normal(size=(pretraining_seeds, 1))
        + 0.02 * random.normal(size=(1, trials))
        + 0.01 * random.normal(size=(pretraining_seeds, trials))
    )


def crossed(values: np.ndarray) -> MixedLM:
    """statsmodels' own model of a complete table."""
    rows, columns = (index.ravel() for index in np.indices(values.shape))
    indicators = [np.eye(size)[numbers] for size, numbers in zip(values.shape, (rows, columns), strict=True)]
    names = [[[str(number) for number in range(size)]] for size in values.shape]
    parts = VCSpec(["seed", "trial"], names, [[indicator] for indicator in indicators])
    return MixedLM(values.ravel(), np.ones((values.size, 1)), groups=np.zeros(values.size), exog_vc=parts)


@pytest.mark.parametrize("seed", range(3))
def test_the_deviations_are_those_of_the_analysis_of_variance(seed: int) -> None:
    values = table(seed, 4, 6)
    rows, columns = (index.ravel() for index in np.indices(values.shape))
    frame = pd.DataFrame({"value": values.ravel(), "pretraining_seed": rows, "trial": columns})
    squares = anova_lm(ols("value ~ C(pretraining_seed) + C(trial)", frame).fit())["mean_sq"]
    estimate = estimate_crossed_mean(values)
    assert (estimate.pretraining_seeds, estimate.trials) == (4, 6)
    assert estimate.residual_std**2 == pytest.approx(squares["Residual"], rel=1e-10)
    assert estimate.pretraining_seed_std**2 == pytest.approx(
        (squares["C(pretraining_seed)"] - squares["Residual"]) / 6, rel=1e-10
    )
    assert estimate.trial_std**2 == pytest.approx((squares["C(trial)"] - squares["Residual"]) / 4, rel=1e-10)
    assert estimate.ci.std_error**2 == pytest.approx(
        (squares["C(pretraining_seed)"] + squares["C(trial)"] - squares["Residual"]) / 24, rel=1e-10
    )
    assert estimate.mean == pytest.approx(values.mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_solution_is_where_the_mixed_model_of_statsmodels_ends(seed: int) -> None:
    values = table(seed)
    scale = values.std()
    estimate, fit = estimate_crossed_mean(values), crossed((values - values.mean()) / scale).fit(reml=True)
    # its optimiser stops within 1e-4 of the maximum
    assert scale * fit.bse_fe[0] == pytest.approx(estimate.ci.std_error, rel=1e-3)
    expected = np.array([estimate.pretraining_seed_std**2, estimate.trial_std**2, estimate.residual_std**2])
    assert scale**2 * np.array([*fit.vcomp, fit.scale]) == pytest.approx(expected, rel=1e-3)
    assert estimate.std**2 == pytest.approx(values.mean(axis=1).var(ddof=1), rel=1e-10)


def test_an_incomplete_table_is_fitted_and_comes_near_the_complete_one() -> None:
    values = table(1)
    holes = values.copy()
    holes[0, 3] = holes[2, 5] = math.nan
    whole, estimate = estimate_crossed_mean(values), estimate_crossed_mean(holes)
    assert whole.trials == estimate.trials == 10  # a solution of the common trials would leave out two
    assert estimate.mean == pytest.approx(whole.mean, abs=0.002)
    assert estimate.ci.std_error == pytest.approx(whole.ci.std_error, rel=0.1)
    assert estimate.ci.df == pytest.approx(whole.ci.df, rel=0.1)
    assert estimate.pretraining_seed_std == pytest.approx(whole.pretraining_seed_std, rel=0.1)


def test_a_fit_of_a_nearly_complete_table_is_nearly_the_exact_solution() -> None:
    values = table(2, 6, 40)
    holes = values.copy()
    holes[0, 3] = math.nan
    whole, estimate = estimate_crossed_mean(values), estimate_crossed_mean(holes)
    assert estimate.trials == 40  # a solution of the common trials would leave out one
    assert (estimate.ci.low, estimate.ci.high) == pytest.approx((whole.ci.low, whole.ci.high), abs=1e-3)


@pytest.mark.parametrize("values", [np.full((4, 8), 0.5), table(3, between=0.0)])
def test_a_fit_on_its_boundary_is_not_trusted(values: np.ndarray) -> None:
    values = values.copy()
    values[0] += values[1:].mean(axis=0) - values[0]  # even less between pre-training seeds than within
    values[1, 0] = math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate = estimate_crossed_mean(values)
    assert estimate.trials == values.shape[1] - 1
    assert estimate.ci.low == estimate_crossed_mean(values[:, 1:]).ci.low


@pytest.mark.parametrize("shape", [(2, 10), (5, 2), (1, 10), (0, 0)])
def test_too_few_pretraining_seeds_or_trials_give_no_interval(shape: tuple[int, int]) -> None:
    estimate = estimate_crossed_mean(table(0, *shape))
    assert not estimate.ci.is_known
    assert (estimate.pretraining_seeds, estimate.trials) == shape


def test_pretraining_seeds_and_trials_without_any_value_do_not_count() -> None:
    values = table(0)
    values[0] = values[:, 3] = math.nan
    estimate = estimate_crossed_mean(values)
    assert estimate == estimate_crossed_mean(np.delete(values[1:], 3, axis=1))
    assert (estimate.pretraining_seeds, estimate.trials) == (4, 9)


def test_more_trials_do_not_make_up_for_few_pretraining_seeds() -> None:
    random = np.random.default_rng(0)
    pretraining_seed = 0.05 * np.array([[-1], [0.2], [0.8]])
    few, many = (0.5 + pretraining_seed + 0.001 * random.normal(size=(3, trials)) for trials in (10, 1000))
    assert estimate_crossed_mean(many).ci.std_error == pytest.approx(estimate_crossed_mean(few).ci.std_error, rel=0.02)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), trials=st.integers(3, 12))
def test_one_pretraining_seed_on_each_side_is_the_paired_test_of_trials(seed: int, trials: int) -> None:
    treatment, reference = table(seed, 1, trials), table(seed + 1, 1, trials)
    estimate, expected = compare_crossed(treatment, reference), paired_test(treatment[0], reference[0])
    assert estimate.p == pytest.approx(expected.p, abs=1e-10)
    assert (estimate.ci.low, estimate.ci.high) == pytest.approx(
        (expected.difference.ci.low, expected.difference.ci.high), abs=1e-10
    )
    assert math.isnan(estimate.effect)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_methods_that_differ_alike_in_every_trial_are_compared_by_welch_on_pretraining_seeds(seed: int) -> None:
    random = np.random.default_rng(seed)
    trial = random.normal(size=(1, 8))
    treatment, reference = (random.normal(size=(size, 1)) + trial for size in (3, 5))
    estimate, expected = (
        compare_crossed(treatment, reference),
        welch_test(treatment.mean(axis=1), reference.mean(axis=1)),
    )
    assert estimate.p == pytest.approx(expected.p, abs=1e-10)
    assert estimate.ci.low == pytest.approx(expected.ci.low, abs=1e-9)
    assert estimate.effect == pytest.approx(expected.effect)
    assert estimate.se_trial == pytest.approx(0, abs=1e-8)


def test_pairs_of_pretraining_seeds_that_resemble_one_another_are_worth_pairing() -> None:
    random = np.random.default_rng(0)
    seed, trial = random.normal(size=(5, 1)), random.normal(size=(1, 10))
    treatment = seed + trial + 0.5 + 0.1 * random.normal(size=(5, 1))
    reference = seed + trial + 0.1 * random.normal(size=(5, 1))
    estimate, unpaired = compare_crossed(treatment, reference, pairs=True), compare_crossed(treatment, reference)
    expected = stats.ttest_rel(treatment.mean(axis=1), reference.mean(axis=1))
    assert estimate.p == pytest.approx(expected.pvalue, abs=1e-8)
    assert estimate.p < 0.01 < unpaired.p


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), sizes=st.sampled_from([(3, 3), (5, 1), (4, 6)]))
def test_swapping_the_sides_changes_only_the_sign(seed: int, sizes: tuple[int, int]) -> None:
    treatment, reference = (table(seed + number, size) for number, size in enumerate(sizes))
    forth, back = compare_crossed(treatment, reference), compare_crossed(reference, treatment)
    assert back.p == pytest.approx(forth.p, abs=1e-12)
    assert (back.ci.low, back.ci.high) == pytest.approx((-forth.ci.high, -forth.ci.low))
    assert forth.ci.std_error**2 == pytest.approx(forth.se_pretraining_seed**2 + forth.se_trial**2)


def test_a_trial_that_one_pretraining_seed_lacks_is_left_out_of_a_comparison() -> None:
    treatment, reference = table(0), table(1)
    treatment[2, 4] = math.nan
    estimate = compare_crossed(treatment, reference)
    common = np.delete(np.arange(10), 4)
    assert estimate == compare_crossed(treatment[:, common], reference[:, common])
    assert estimate.trials == 9


@pytest.mark.parametrize("sizes", [(2, 5), (1, 2), (2, 2), (0, 5)])
def test_two_pretraining_seeds_or_none_on_a_side_are_not_compared(sizes: tuple[int, int]) -> None:
    estimate = compare_crossed(*(table(number, size) for number, size in enumerate(sizes)))
    assert not estimate.ci.is_known
    assert math.isnan(estimate.p)
    assert estimate.pretraining_seeds == sizes


def test_two_trials_are_not_compared() -> None:
    assert math.isnan(compare_crossed(table(0, 5, 2), table(1, 5, 2)).p)


def test_equal_values_are_no_evidence_of_a_difference() -> None:
    assert compare_crossed(np.full((3, 4), 0.5), np.full((3, 4), 0.5)).p == 1
    assert math.isnan(compare_crossed(np.full((3, 4), 0.5), np.full((3, 4), 0.25)).p)


def test_tables_that_do_not_match_are_refused() -> None:
    with pytest.raises(UserError, match="do not match"):
        compare_crossed(table(0), table(0, trials=9))
    with pytest.raises(UserError, match="do not match"):
        compare_crossed(table(0), table(0, 4), pairs=True)


def test_a_decomposition_says_what_it_cannot_tell() -> None:
    parts = {component.name: component for component in decompose(table(0), subsets=range(10), se_test_set=0.01)}
    estimate = estimate_crossed_mean(table(0))
    assert (parts["pre-training seed"].std, parts["trial"].std, parts["residual"].std) == (
        estimate.pretraining_seed_std,
        estimate.trial_std,
        estimate.residual_std,
    )
    assert parts["test set"].std == 0.01
    assert parts["label subset"].reason == "a trial fixes its label subset: contained in trial"
    assert [name for name, component in parts.items() if not component.is_identified] == ["label subset"]


@pytest.mark.parametrize("subsets", [None, ["all"] * 10])
def test_one_pretraining_seed_on_all_labels_shows_only_the_spread_of_its_trials(subsets: list[str] | None) -> None:
    values = table(0, 1)
    parts = {component.name: component for component in decompose(values, subsets=subsets)}
    assert parts["trial"].std == pytest.approx(values.std(ddof=1))
    assert [name for name, component in parts.items() if component.is_identified] == ["trial"]
    assert "one pre-training seed" in parts["pre-training seed"].reason
    assert "not varied" in parts["label subset"].reason
    assert all(math.isnan(component.std) for component in parts.values() if not component.is_identified)


def test_one_trial_of_several_pretraining_seeds_decomposes_nothing() -> None:
    assert not any(component.is_identified for component in decompose(table(0, 5, 1)))
