from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.statistics.synthetic_samples import score_interval
from tests.statistics.tables.study_tables import NOISE, against_random, entry, tables
from tests.synthetic_results import Results, factors, full
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.random_effects import estimate_crossed_mean


def test_a_metric_nobody_measured_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.manifest["studies"]["fig2"]["metric"] = "roc_auc"
    assert set(tables(results)["entries"]["reason"]) == {"roc_auc not measured"}


def test_a_column_measured_on_different_data_is_not_ranked(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE, data_digest="other")
    assert set(tables(results)["entries"]["rank_mark"]) == {""}


def test_the_best_of_a_column_is_marked_and_so_is_what_does_not_differ_from_it(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for encoder, scenario, values in (
        ("pase", "frozen", 0.5 + NOISE),
        ("pase", "fine_tuned", 0.501 - NOISE),
        ("random", "frozen", 0.4 + NOISE),
        ("handcrafted", "frozen", 0.49 + NOISE * 1.1),  # lower by little, but in every pair
    ):
        results.add(factors(encoder, scenario, "openmic"), values)
    marks = tables(results)["entries"].set_index(["encoder", "scenario"])["rank_mark"].to_dict()
    assert marks["pase", "fine_tuned"] == "best"
    assert marks["pase", "frozen"] == "tied"
    assert marks["random", "frozen"] == ""


@pytest.mark.parametrize(
    ("of_pase", "of_pase_plus", "marks"),
    [
        ([0.6, 0.61], [0.3, 0.31], {""}),  # no interval: nothing is shown of either
        ([0.6, 0.61], [0.3, 0.31, 0.32], {""}),  # nor of what is compared with the highest
        ([0.6, 0.61, 0.62], [0.3, 0.31], {"best", ""}),
        ([0.1, 0.15], [0.125, 0.125], {""}),
        ([0.6, 0.61, 0.62], [0.62, 0.6, 0.61], {""}),  # none of two equal means is the highest
        ([0.125] * 3, [0.125] * 3, {""}),
    ],
)
def test_there_are_no_marks_without_an_interval_or_a_highest_mean(
    tmp_path: Path, of_pase: list[float], of_pase_plus: list[float], marks: set[str]
) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for encoder, values in (("pase", of_pase), ("pase_plus", of_pase_plus)):
        results.add(factors(encoder, "frozen", "openmic"), values)
    assert set(tables(results)["entries"]["rank_mark"]) == marks


def test_the_more_rows_the_best_was_picked_from_the_more_it_takes_to_differ_from_it(tmp_path: Path) -> None:
    marks = {}
    for others in (1, 9):
        results = Results(tmp_path / str(others))
        results.manifest["studies"]["fig2"]["comparisons"] = []
        results.add(factors("pase", "frozen", "openmic"), 0.54 + NOISE)
        for number in range(others):
            results.add(factors(f"cpc{number}", "frozen", "openmic"), 0.5 - number / 10 - NOISE / 2)
        marks[others] = tables(results)["entries"]["rank_mark"].to_list()[:2]
    assert marks == {1: ["best", ""], 9: ["best", "tied"]}  # p is 0.02


def test_pretraining_seeds_measured_on_different_data_have_no_mean(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic", seed=0), 0.5 + NOISE)
    results.add(factors("pase", "frozen", "openmic", seed=1), 0.6 + NOISE, data_digest="other")
    by_name = tables(results)
    row = entry(by_name["entries"], encoder="pase")
    assert (row["status"], row["rank_mark"]) == ("missing", "")
    assert row["reason"] == "not comparable: measured on different data (digests dataopenmic and other)"
    assert np.isnan(row["mean"])
    assert by_name["variance"].empty


def test_pretraining_seeds_not_trials_are_counted_where_there_are_several(tmp_path: Path) -> None:
    results = Results(tmp_path)
    means = [0.50, 0.60, 0.70]
    for seed, mean in enumerate(means):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    row = against_random(results)
    by_name = entry(tables(results)["entries"], encoder="pase")
    expected = estimate_crossed_mean(np.array(means)[:, None] + NOISE)
    ends = score_interval(expected.mean, expected.ci.std_error, expected.ci.df)
    assert (by_name["ci_low"], by_name["ci_high"]) == pytest.approx(ends, abs=1e-10)
    assert (by_name["replicate"], by_name["n_pretraining_seeds"], by_name["n_trials"]) == ("pretraining seeds", 3, 5)
    assert by_name["variance_sources"] == "pretraining seeds and trials"
    assert (row["replicate"], row["n"], row["n_reference"], row["n_pretraining_seeds"]) == (
        "pretraining seeds",
        3,
        1,
        3,
    )
    assert row["p"] == pytest.approx(stats.ttest_1samp(np.array(means) - 0.4, 0).pvalue, abs=1e-10)


def test_an_ambiguous_table_or_comparison_is_refused(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.manifest["studies"]["fig2"]["rows"] = ["encoder"]
    with pytest.raises(UserError, match=r"rows.*do not identify cells uniquely: they differ in corpus"):
        tables(results)
    results.manifest["studies"]["fig2"]["rows"] = ["encoder", "scenario"]
    results.manifest["studies"]["fig2"]["comparisons"][0]["better"] = {"encoder": "pase"}
    with pytest.raises(UserError, match="does not identify cells uniquely"):
        tables(results)


def test_other_test_clips_widen_every_interval_and_the_parts_are_shown(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 1.2, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    by_name = entry(tables(results)["entries"], encoder="pase")
    row = against_random(results)
    values = pd.read_csv(results.manifest["cells"][0]["path"]).query("metric == 'macro_f1'")["value"]
    assert by_name["variance_sources"] == row["variance_sources"] == "trials and test set"
    assert by_name["se_trial"] == pytest.approx(values.std() / np.sqrt(10))
    assert by_name["std_error"] ** 2 == pytest.approx(by_name["se_trial"] ** 2 + by_name["se_test_set"] ** 2)
    assert by_name["se_test_set"] > by_name["se_trial"] > 0
    assert by_name["clusters"] == row["clusters"] == 39  # of 40 that were drawn from, those that have a clip
    assert row["ci_low"] < row["fixed_test_set_ci_low"] < row["mean"] < row["fixed_test_set_ci_high"] < row["ci_high"]
    assert row["p"] > row["fixed_test_set_p"]
    sides = [pd.read_csv(cell["path"]).query("metric == 'macro_f1'")["value"] for cell in results.manifest["cells"]]
    assert row["fixed_test_set_p"] == pytest.approx(stats.ttest_rel(*sides).pvalue, abs=1e-10)


def test_a_great_difference_stands_on_other_test_clips_too(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 3, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1, seed=2)
    row = against_random(results)
    assert (row["fixed_test_set_verdict"], row["verdict"]) == ("better", "better")
    assert set(tables(results)["entries"]["rank_mark"]) == {"best", ""}


def test_a_number_from_one_pretraining_seed_is_marked(tmp_path: Path) -> None:
    row = tables(full(tmp_path, datasets=["openmic"]))
    marked = row["entries"].set_index(["encoder", "scenario"])["caveat"]
    assert marked["pase", "frozen"] == "about this run, not the method: one pre-training seed"
    assert marked["random", "frozen"] == ""
    assert set(row["comparisons"]["caveat"]) == {marked["pase", "frozen"]}
