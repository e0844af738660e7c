from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.synthetic_results import Results, factors, full
from workflow_scripts.aggregate import summaries
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.estimation import ConfidenceInterval, add_test_set_variance, p_value
from workflow_scripts.statistics.inference.random_effects import summarise_checkpoints
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.tables.summary import cell_table
from workflow_scripts.statistics.test_set_bootstrap import bootstrap_cells
from workflow_scripts.statistics.trials import gather

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def tables(results: Results) -> dict[str, pd.DataFrame]:
    plan = Manifest.from_json(results.plan)
    samples = TrialSamples(gather(plan).trials)
    return {"cells": cell_table(plan, samples), **summaries(plan, samples, bootstrap_cells(plan, samples))}


def entry(frame: pd.DataFrame, **levels: str) -> pd.Series:
    for factor, level in levels.items():
        frame = frame[frame[factor] == level]
    assert len(frame) == 1
    return frame.iloc[0]


def against_random(results: Results) -> pd.Series:
    """The outcome of the one comparison that is left in the study."""
    results.plan["studies"]["fig2"]["comparisons"] = results.plan["studies"]["fig2"]["comparisons"][:1]
    compared = tables(results)["comparisons"]
    assert len(compared) == 1
    return compared.iloc[0]


def test_a_cell_has_each_metric_with_its_interval(tmp_path: Path) -> None:
    values = 0.5 + NOISE
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), values)
    row = entry(tables(results)["cells"], metric="macro_f1")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high), abs=1e-10)
    assert (row["trials"], row["test_clips"], row["quarantined"], row["source"]) == (5, 90, 2, "twin")


def test_a_cell_that_was_not_run_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.plan["evaluations"][0]["path"]).unlink()
    made = tables(results)
    for name in ("cells", "entries"):
        missing = made[name][made[name]["status"] == "missing"]
        assert missing["reason"].tolist() == ["not run"]
        assert missing["mean"].isna().all()


def test_an_undefined_metric_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), [0.5, float("nan"), 0.6])
    results.add(factors("random", "frozen", "openmic"), [0.5, 0.4, 0.6])
    row = against_random(results)
    assert (row["status"], row["reason"]) == ("missing", "macro_f1 undefined in 1 of 3 trials")


def test_a_metric_nobody_measured_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.plan["studies"]["fig2"]["metric"] = "roc_auc"
    assert set(tables(results)["entries"]["reason"]) == {"roc_auc not measured"}


def test_comparisons_are_paired_by_trial_and_adjusted_over_the_study(tmp_path: Path) -> None:
    results = full(tmp_path)
    compared = tables(results)["comparisons"]
    trials = gather(Manifest.from_json(results.plan)).trials
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
    assert set(compared["family"]) == {4}
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
        ({"data": "other"}, "measured on different data"),
        ({"source": "local", "data": "other"}, "different sources of data (twin and local)"),
        ({"quarantined": 3, "data": "other"}, "different quarantine (2 and 3 clips left out)"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, changed: dict, reason: str) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic"), [0.5])
    results.add(factors("random", "frozen", "openmic"), [0.4], **changed)
    row = against_random(results)
    assert row["status"] == "refused"
    assert reason in row["reason"]


def test_a_column_measured_on_different_data_is_not_ranked(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE, data="other")
    assert set(tables(results)["entries"]["best_or_tied"]) == {""}


def test_the_best_of_a_column_is_marked_and_so_is_what_does_not_differ_from_it(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = []
    for encoder, scenario, values in (
        ("pase", "frozen", 0.5 + NOISE),
        ("pase", "fine_tuned", 0.501 - NOISE),
        ("random", "frozen", 0.4 + NOISE),
        ("handcrafted", "frozen", 0.49 + NOISE * 1.1),  # lower by little, but in every pair
    ):
        results.add(factors(encoder, scenario, "openmic"), values)
    ranks = tables(results)["entries"].set_index(["encoder", "scenario"])["best_or_tied"].to_dict()
    assert ranks["pase", "fine_tuned"] == "best"
    assert ranks["pase", "frozen"] == "tied"
    assert ranks["random", "frozen"] == ""


def test_two_trials_show_no_difference_from_the_best(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = []
    for encoder, mean in (("pase", 0.6), ("random", 0.3)):
        results.add(factors(encoder, "frozen", "openmic"), [mean, mean + 0.01])
    assert tables(results)["entries"]["best_or_tied"].to_list() == ["best", "tied"]


def test_the_more_rows_the_best_was_picked_from_the_more_it_takes_to_differ_from_it(tmp_path: Path) -> None:
    ranks = {}
    for others in (1, 9):
        results = Results(tmp_path / str(others))
        results.plan["studies"]["fig2"]["comparisons"] = []
        results.add(factors("pase", "frozen", "openmic"), 0.54 + NOISE)
        for number in range(others):
            results.add(factors(f"cpc{number}", "frozen", "openmic"), 0.5 - number / 10 - NOISE / 2)
        ranks[others] = tables(results)["entries"]["best_or_tied"].to_list()[:2]
    assert ranks == {1: ["best", ""], 9: ["best", "tied"]}  # p is 0.02


def test_checkpoints_measured_on_different_data_have_no_mean(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.add(factors("pase", "frozen", "openmic", seed=0), 0.5 + NOISE)
    results.add(factors("pase", "frozen", "openmic", seed=1), 0.6 + NOISE, data="other")
    made = tables(results)
    row = entry(made["entries"], encoder="pase")
    assert (row["status"], row["best_or_tied"]) == ("missing", "")
    assert row["reason"] == "refused: measured on different data (digests dataopenmic and other)"
    assert np.isnan(row["mean"])
    assert made["variance"].empty


def test_a_comparison_with_a_single_checkpoint_is_marked_however_many_the_other_side_has(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.plan["studies"]["fig2"]
    study["comparisons"] = [{"name": "q", "better": {"workers": "WLPMCT"}, "than": {"workers": "WLP"}}]
    study |= {"rows": ["workers"], "floors": []}
    for dataset in ("openmic", "fma_small"):
        for seed, mean in enumerate([0.50, 0.53, 0.55]):
            results.add(factors("pase", "frozen", dataset, seed=seed), mean + NOISE)
        results.add(factors("pase", "frozen", dataset, workers="WLP"), 0.4 + NOISE)
    made = tables(results)
    for name in ("comparisons", "across"):
        assert made[name]["n_pretraining_seeds"].to_list() == [1] * len(made[name])
        assert made[name]["mark"].str.startswith("about this checkpoint").all()


def test_a_comparison_of_cells_with_themselves_is_not_answered(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    comparison = results.plan["studies"]["fig2"]["comparisons"][0]
    comparison["than"] = {"workers": "WLPMCT"} | comparison["better"]
    row = tables(results)["comparisons"].iloc[0]
    assert (row["status"], row["reason"]) == ("missing", "both sides name the same cells")


def test_checkpoints_not_trials_are_counted_where_there_are_several(tmp_path: Path) -> None:
    results = Results(tmp_path)
    means = [0.50, 0.60, 0.70]
    for seed, mean in enumerate(means):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    row = against_random(results)
    made = entry(tables(results)["entries"], encoder="pase")
    expected = summarise_checkpoints(np.array(means)[:, None] + NOISE)
    assert (made["ci_low"], made["ci_high"]) == pytest.approx((expected.low, expected.high), abs=1e-10)
    assert (made["replicate"], made["n_pretraining_seeds"], made["trials"]) == ("pretraining seeds", 3, 5)
    assert made["variance_sources"] == "pretraining seeds and trials"
    assert (row["replicate"], row["n"], row["n_reference"], row["n_pretraining_seeds"]) == (
        "pretraining seeds",
        3,
        1,
        3,
    )
    assert row["p"] == pytest.approx(stats.ttest_1samp(np.array(means) - 0.4, 0).pvalue, abs=1e-10)


def test_many_trials_of_two_checkpoints_are_no_evidence_about_the_method(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for seed, mean in enumerate([0.5, 0.6]):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    assert against_random(results)["reason"] == "2 pre-training seeds: no interval from fewer than three"


def test_an_ambiguous_table_or_comparison_is_refused(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.plan["studies"]["fig2"]["rows"] = ["encoder"]
    with pytest.raises(UserError, match=r"rows.*do not tell apart cells that differ in corpus"):
        tables(results)
    results.plan["studies"]["fig2"]["rows"] = ["encoder", "scenario"]
    results.plan["studies"]["fig2"]["comparisons"][0]["better"] = {"encoder": "pase"}
    with pytest.raises(UserError, match="does not tell apart"):
        tables(results)


def test_a_comparison_of_what_the_study_lacks_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.plan["studies"]["fig2"]["comparisons"][0]["than"] = {"encoder": "cpc"}
    results.plan["studies"]["fig2"]["comparisons"][1]["better"] = {"encoder": "clmr"}
    results.plan["studies"]["fig2"]["comparisons"][1]["than"] = {"encoder": "cpc"}
    compared = tables(results)["comparisons"]
    assert compared["reason"].tolist() == [
        "the study has no cell with encoder=cpc",
        "the study has no cell with encoder=clmr",
    ]
    assert compared["family"].tolist() == [0, 0]


def test_fractions_are_compared_each_for_itself(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["columns"] = ["dataset", "fraction"]
    results.plan["studies"]["fig2"]["comparisons"] = results.plan["studies"]["fig2"]["comparisons"][:1]
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


def test_other_test_clips_widen_every_interval_and_the_parts_are_shown(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 1.2, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    made = entry(tables(results)["entries"], encoder="pase")
    row = against_random(results)
    values = pd.read_csv(results.plan["evaluations"][0]["path"]).query("metric == 'macro_f1'")["value"]
    assert made["variance_sources"] == row["variance_sources"] == "trials and test set"
    assert made["se_trial"] == pytest.approx(values.std() / np.sqrt(10))
    assert made["std_error"] ** 2 == pytest.approx(made["se_trial"] ** 2 + made["se_test_set"] ** 2)
    assert made["se_test_set"] > made["se_trial"] > 0
    assert made["clusters"] == row["clusters"] == 39  # of 40 that were drawn from, those that have a clip
    assert row["ci_low"] < row["fixed_test_set_ci_low"] < row["mean"] < row["fixed_test_set_ci_high"] < row["ci_high"]
    assert row["p"] > row["fixed_test_set_p"]
    sides = [pd.read_csv(each["path"]).query("metric == 'macro_f1'")["value"] for each in results.plan["evaluations"]]
    assert row["fixed_test_set_p"] == pytest.approx(stats.ttest_rel(*sides).pvalue, abs=1e-10)


def test_a_difference_that_only_these_test_clips_show_is_no_headline(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 1.1, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    row = against_random(results)
    assert (row["fixed_test_set_verdict"], row["verdict"]) == ("better", "no difference shown")
    assert row["ci_low"] < 0 < row["fixed_test_set_ci_low"]


def test_a_great_difference_stands_on_other_test_clips_too(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.predict(factors("pase", "frozen", "openmic"), 3, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1, seed=2)
    row = against_random(results)
    assert (row["fixed_test_set_verdict"], row["verdict"]) == ("better", "better")
    assert set(tables(results)["entries"]["best_or_tied"]) == {"best", ""}


@settings(deadline=None, max_examples=25)
@given(
    left=st.lists(st.integers(0, 1000), min_size=3, max_size=6),
    shift=st.integers(-300, 300),
    spread=st.integers(0, 3),
)
def test_other_test_clips_never_make_an_interval_narrower(left: list[int], shift: int, spread: int) -> None:
    treatment, reference = np.array(left) / 1000, (np.array(left)[::-1] + shift) / 1000
    for drawn in (0.0, 0.003, 0.1 * spread):
        same = ConfidenceInterval(
            low=-0.1, high=0.2, std_error=abs(treatment - reference).std() + 1e-3, df=len(left) - 1
        )
        wide = add_test_set_variance(0.05, same, [(drawn, 30)])
        assert wide.low <= same.low
        assert wide.high >= same.high
        assert p_value(0.05, wide, at_least=0.2) >= 0.2


def test_a_number_from_one_checkpoint_is_marked(tmp_path: Path) -> None:
    made = tables(full(tmp_path, datasets=["openmic"]))
    marked = made["entries"].set_index(["encoder", "scenario"])["mark"]
    assert marked["pase", "frozen"] == "about this checkpoint, not the method: one pre-training seed"
    assert marked["random", "frozen"] == ""
    assert set(made["comparisons"]["mark"]) == {marked["pase", "frozen"]}


def test_checkpoints_with_other_seeds_are_compared_unpaired(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.plan["studies"]["fig2"]
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
