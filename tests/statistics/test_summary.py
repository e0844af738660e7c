from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.results import Results, factors, full
from workflow_scripts.errors import UserError
from workflow_scripts.statistics.cells import Cells
from workflow_scripts.statistics.plan import parse_plan
from workflow_scripts.statistics.summary import cell_table, comparison_table, entry_table
from workflow_scripts.statistics.trials import gather

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def tables(results: Results) -> dict[str, pd.DataFrame]:
    plan = parse_plan(results.plan)
    cells = Cells(gather(plan).trials)
    return {
        "cells": cell_table(plan, cells),
        "entries": entry_table(plan, cells),
        "comparisons": comparison_table(plan, cells),
    }


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
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), abs=1e-10)
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
    trials = gather(parse_plan(results.plan)).trials
    trials = trials[(trials["metric"] == "macro_f1") & (trials["scenario"] == "frozen")]
    for _, row in compared.iterrows():
        sides = [
            trials[(trials["dataset"] == row["dataset"]) & (trials["encoder"] == encoder)].sort_values("trial")["value"]
            for encoder in ("pase", row["than"].split()[0].removeprefix("encoder="))
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
    assert (row["verdict"], row["reason"]) == ("", "fewer than three trials: no interval, no test")
    assert row["mean"] == pytest.approx(0.3)
    assert np.isnan(row["low"])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"data": "other"}, "different data"), ({"seed": 7}, "different seeds"), ({"trial": 99}, "no trial in common")],
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
    assert set(tables(results)["entries"]["rank"]) == {""}


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
    ranks = tables(results)["entries"].set_index(["encoder", "scenario"])["rank"].to_dict()
    assert ranks["pase", "fine_tuned"] == "best"
    assert ranks["pase", "frozen"] == "tied"
    assert ranks["random", "frozen"] == ""


def test_checkpoints_not_trials_are_counted_where_there_are_several(tmp_path: Path) -> None:
    results = Results(tmp_path)
    means = [0.50, 0.60, 0.70]
    for seed, mean in enumerate(means):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    row = against_random(results)
    made = entry(tables(results)["entries"], encoder="pase")
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert (made["low"], made["high"]) == pytest.approx((expected.low, expected.high), abs=1e-10)
    assert (made["replicate"], made["checkpoints"], made["trials"]) == ("checkpoints", 3, 5)
    assert (row["replicate"], row["n"], row["checkpoints"]) == ("checkpoints", 3, 3)
    assert row["p"] == pytest.approx(stats.ttest_1samp(np.array(means) - 0.4, 0).pvalue, abs=1e-10)


def test_many_trials_of_two_checkpoints_are_no_evidence_about_the_method(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for seed, mean in enumerate([0.5, 0.6]):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    assert against_random(results)["reason"] == "fewer than three checkpoints: no interval, no test"


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
