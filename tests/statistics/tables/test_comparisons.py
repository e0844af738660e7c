from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.statistics.tables.study_tables import NOISE, against_random, tables
from tests.synthetic_results import Results, factors, full
from workflow_scripts.statistics.trials import gather


def test_an_undefined_metric_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), [0.5, float("nan"), 0.6])
    results.add(factors("random", "frozen", "openmic"), [0.5, 0.4, 0.6])
    row = against_random(results)
    assert (row["status"], row["reason"]) == ("missing", "macro_f1 undefined in 1 of 3 trials")


def test_comparisons_are_paired_by_trial_and_adjusted_over_the_study(tmp_path: Path) -> None:
    results = full(tmp_path)
    compared = tables(results)["comparisons"]
    trials = gather(results.read()).trials
    trials = trials[(trials["metric"] == "macro_f1") & (trials["scenario"] == "frozen")]
    for _, row in compared.iterrows():
        sides = [
            trials[(trials["dataset"] == row["dataset"]) & (trials["encoder"] == encoder)].sort_values("trial")["value"]
            for encoder in ("pase", row["reference"].split()[0].removeprefix("encoder="))
        ]
        expected = stats.ttest_rel(sides[0].to_numpy(), sides[1].to_numpy())
        assert row["p"] == pytest.approx(expected.pvalue, abs=1e-10)
        assert row["mean"] == pytest.approx(sides[0].mean() - sides[1].mean(), abs=1e-10)
    adjusted = multipletests(compared["p"], method="holm")[1]
    assert compared["p_holm"].to_numpy() == pytest.approx(adjusted, abs=1e-10)
    assert set(compared["family_size"]) == {4}
    assert set(compared["verdict"]) == {"better"}


@pytest.mark.parametrize(("difference", "verdict"), [(0.1, "better"), (-0.1, "worse"), (0.0005, "no difference shown")])
def test_the_verdict_follows_the_evidence(tmp_path: Path, difference: float, verdict: str) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), 0.5 + difference + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.5 - NOISE)
    assert against_random(results)["verdict"] == verdict


def test_trials_are_matched_by_id_not_by_place(tmp_path: Path) -> None:
    results = Results(tmp_path)
    values = 0.5 + 10 * NOISE
    results.add(factors("pase", "frozen", "openmic"), values + 0.01 + NOISE / 10)
    path = results.add(factors("random", "frozen", "openmic"), values)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table[table["trial"] != "2"].iloc[::-1].to_csv(path, index=False)
    row = against_random(results)
    assert row["n"] == 4
    assert row["verdict"] == "better"


def test_two_trials_give_no_interval_and_no_verdict(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder, mean in (("pase", 0.6), ("random", 0.3)):
        results.add(factors(encoder, "frozen", "openmic"), [mean, mean + 0.01])
    row = against_random(results)
    assert (row["verdict"], row["reason"]) == ("", "2 trials: no interval from fewer than three")
    assert row["mean"] == pytest.approx(0.3)
    assert np.isnan(row["ci_low"])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"data_digest": "other"}, "measured on different data"),
        ({"source": "local", "data_digest": "other"}, "different sources of data (twin and local)"),
        ({"quarantined": 3, "data_digest": "other"}, "different quarantine (2 and 3 clips left out)"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, changed: dict, reason: str) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), [0.5])
    results.add(factors("random", "frozen", "openmic"), [0.4], **changed)
    row = against_random(results)
    assert row["status"] == "refused"
    assert reason in row["reason"]


def test_a_comparison_with_a_single_pretraining_seed_is_marked_however_many_the_other_side_has(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.manifest["studies"]["fig2"]
    study["comparisons"] = [{"name": "q", "better": {"workers": "WLPMCT"}, "than": {"workers": "WLP"}}]
    study |= {"rows": ["workers"], "floors": []}
    for dataset in ("openmic", "fma_small"):
        for seed, mean in enumerate([0.50, 0.53, 0.55]):
            results.add(factors("pase", "frozen", dataset, seed=seed), mean + NOISE)
        results.add(factors("pase", "frozen", dataset, workers="WLP"), 0.4 + NOISE)
    by_name = tables(results)
    for name in ("comparisons", "across"):
        assert by_name[name]["n_pretraining_seeds"].to_list() == [1] * len(by_name[name])
        assert by_name[name]["caveat"].str.startswith("about this run").all()


def test_a_comparison_of_cells_with_themselves_is_not_answered(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    comparison = results.manifest["studies"]["fig2"]["comparisons"][0]
    comparison["than"] = {"workers": "WLPMCT"} | comparison["better"]
    row = tables(results)["comparisons"].iloc[0]
    assert (row["status"], row["reason"]) == ("missing", "both sides name the same cells")


def test_many_trials_of_two_pretraining_seeds_are_no_evidence_about_the_method(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for seed, mean in enumerate([0.5, 0.6]):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    assert against_random(results)["reason"] == "2 pre-training seeds: no interval from fewer than three"


def test_a_comparison_of_what_the_study_lacks_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.manifest["studies"]["fig2"]["comparisons"][0]["than"] = {"encoder": "cpc"}
    results.manifest["studies"]["fig2"]["comparisons"][1]["better"] = {"encoder": "clmr"}
    results.manifest["studies"]["fig2"]["comparisons"][1]["than"] = {"encoder": "cpc"}
    compared = tables(results)["comparisons"]
    assert compared["reason"].tolist() == [
        "the study has no cell with encoder=cpc",
        "the study has no cell with encoder=clmr",
    ]
    assert compared["family_size"].tolist() == [0, 0]


def test_fractions_are_compared_each_for_itself(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["columns"] = ["dataset", "fraction"]
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    for fraction, gain in (("1pct", -0.1), ("100pct", 0.1)):
        results.add(factors("pase", "frozen", "openmic", fraction=fraction), 0.5 + gain + NOISE)
        results.add(factors("random", "frozen", "openmic", fraction=fraction), 0.5 - NOISE)
    compared = tables(results)["comparisons"].set_index("fraction")["verdict"]
    assert compared.to_dict() == {"1pct": "worse", "100pct": "better"}


@pytest.mark.parametrize("changed", [{"seed": 7}, {"trial": 99}])
def test_what_has_no_pairs_is_compared_unpaired_and_says_so(tmp_path: Path, changed: dict) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    path = results.add(factors("random", "frozen", "openmic"), 0.4 + 2 * NOISE)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column, more in changed.items():
        table[column] = [str(int(value) + more) for value in table[column]]
    table.to_csv(path, index=False)
    row = against_random(results)
    expected = stats.ttest_ind(0.5 + NOISE, 0.4 + 2 * NOISE, equal_var=False)
    assert (row["design"], row["n"], row["n_reference"]) == ("unpaired", 5, 5)
    assert row["p"] == pytest.approx(expected.pvalue, abs=1e-10)
    assert np.isnan(row["sign_flip_p"])


def test_a_difference_that_only_these_test_clips_show_is_no_headline(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 1.1, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    row = against_random(results)
    assert (row["fixed_test_set_verdict"], row["verdict"]) == ("better", "no difference shown")
    assert row["ci_low"] < 0 < row["fixed_test_set_ci_low"]


def test_differing_pretraining_seeds_are_compared_unpaired(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.manifest["studies"]["fig2"]
    study["comparisons"] = [{"name": "q", "better": {"workers": "WLPMCT"}, "than": {"workers": "WLP"}}]
    study |= {"rows": ["workers"], "floors": []}
    means = {"WLPMCT": [0.50, 0.53, 0.55], "WLP": [0.40, 0.41, 0.45, 0.42]}
    for workers, of_seeds in means.items():
        for seed, mean in enumerate(of_seeds):
            results.add(factors("pase", "frozen", "openmic", seed=seed, workers=workers), mean + NOISE)
    row = tables(results)["comparisons"].iloc[0]
    expected = stats.ttest_ind(means["WLPMCT"], means["WLP"], equal_var=False)
    assert (row["design"], row["replicate"], row["n"], row["n_reference"]) == ("unpaired", "pretraining seeds", 3, 4)
    assert row["p"] == pytest.approx(expected.pvalue, abs=1e-6)  # the noise of the trials cancels
