from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.statistics.tables.study_tables import NOISE, tables
from tests.synthetic_results import MEANS, METHODS, Results, factors, full
from workflow_scripts.statistics.tables.ranks import separate_ranking_reasons


def ranks(results: Results) -> pd.DataFrame:
    return tables(results)["ranks"].set_index(["encoder", "scenario"])


def test_methods_are_placed_by_their_mean_over_the_data_sets(tmp_path: Path) -> None:
    results = full(tmp_path)
    ranked = ranks(results)
    trials = pd.concat(pd.read_csv(cell["path"]) for cell in results.manifest["cells"])
    macro_f1 = trials[trials["metric"] == "macro_f1"]
    for method in METHODS:
        of_method = macro_f1[(macro_f1["encoder"] == method[0]) & (macro_f1["scenario"] == method[1])]
        assert ranked.loc[method, "mean"] == pytest.approx(of_method.groupby("dataset")["value"].mean().mean())
        assert ranked.loc[method, "iqm"] == pytest.approx(stats.trim_mean(of_method["value"], 0.25))
    assert ranked["rank"].to_list() == [4, 2, 1, 5, 3]  # by MEANS
    assert sorted(METHODS, key=lambda method: -MEANS[method])[0] == ranked["rank"].idxmin()
    assert (ranked["rank_low"] <= ranked["rank"]).all()
    assert (ranked["rank"] <= ranked["rank_high"]).all()
    assert set(ranked["variance_sources"]) == {"trials"}
    assert ranked["kind"].to_list() == ["method"] * 3 + ["floor"] * 2


def test_methods_that_share_a_letter_are_not_distinguishable(tmp_path: Path) -> None:
    results = Results(tmp_path)
    means = {"pase": 0.50, "random": 0.502, "handcrafted": 0.3}
    random = np.random.default_rng(0)
    for encoder, mean in means.items():
        for dataset in ("openmic", "fma_small"):
            results.add(factors(encoder, "frozen", dataset), mean + random.normal(0, 0.01, 10))
    ranked = ranks(results).droplevel("scenario")
    assert ranked["tie_groups"].to_dict() == {"pase": "a", "random": "a", "handcrafted": "b"}
    assert ranked.loc["pase", ["rank_low", "rank_high"]].to_list() == [1, 2]
    assert ranked.loc["handcrafted", ["rank_low", "rank_high"]].to_list() == [3, 3]


def test_other_test_clips_make_ties(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for place, (encoder, skill) in enumerate({"pase": 1.04, "random": 1.0}.items()):
        for dataset in ("openmic", "fma_small"):
            results.predict(factors(encoder, "frozen", dataset), skill, seed=place, trials=20)
    assert set(ranks(results)["variance_sources"]) == {"trials and test set"}
    assert ranks(results)["tie_groups"].to_list() == ["a", "a"]
    for cell in results.manifest["cells"]:
        Path(cell["path"]).with_name("predictions.npz").unlink()
    assert ranks(results)["tie_groups"].to_list() == ["a", "b"]


def test_a_method_that_lacks_a_data_set_is_not_ranked_and_the_others_are(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.manifest["cells"][1]["path"]).unlink()
    ranked = ranks(results)
    row = ranked.loc["pase", "frozen"]
    assert (row["status"], row["reason"]) == ("missing", "not run (openmic)")
    assert ranked["rank"].dropna().to_list() == [3, 1, 4, 2]


def test_different_data_or_too_few_trials_are_not_ranked(tmp_path: Path) -> None:
    results = full(tmp_path / "data")
    path = Path(results.manifest["cells"][0]["path"])
    path.write_text(path.read_text().replace("dataopenmic", "other"))
    assert ranks(results)["reason"].str.startswith("measured on different data").all()
    few = full(tmp_path / "few", count=2)
    assert set(ranks(few)["reason"]) == {"2 trials: no interval from fewer than three (openmic)"}


def test_pretraining_seeds_are_the_columns_where_there_are_several(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for dataset in ("openmic", "fma_small"):
        for seed, gain in enumerate((0.0, 0.03, 0.06)):
            results.add(factors("pase", "frozen", dataset, seed=seed), 0.5 + gain + NOISE)
        results.add(factors("random", "frozen", dataset), 0.4 + NOISE)
    ranked = ranks(results)
    assert set(ranked["replicate"]) == {"pretraining seeds"}
    assert ranked["n"].to_list() == [3, 3]
    assert ranked["rank"].to_list() == [1, 2]


def test_fractions_are_ranked_separately_with_the_reason(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"columns": ["dataset", "fraction"], "comparisons": []}
    for fraction, gain in (("1pct", -0.1), ("100pct", 0.1)):
        for dataset in ("openmic", "fma_small"):
            results.add(factors("pase", "frozen", dataset, fraction=fraction), 0.5 + gain + NOISE)
            results.add(factors("random", "frozen", dataset, fraction=fraction), 0.5 - NOISE)
    ranked = tables(results)
    places = ranked["ranks"].set_index(["fraction", "encoder"])["rank"].to_dict()
    assert places == {("1pct", "pase"): 2, ("1pct", "random"): 1, ("100pct", "pase"): 1, ("100pct", "random"): 2}
    (reason,) = separate_ranking_reasons(ranked["entries"], ["dataset", "fraction"])
    assert reason.startswith("fraction as blocks: fractions of one data set share its clips")


def test_one_data_set_is_no_ranking_over_data_sets(tmp_path: Path) -> None:
    assert tables(full(tmp_path, datasets=["openmic"]))["ranks"].empty


def test_profiles_are_shares_of_trials_above_each_threshold(tmp_path: Path) -> None:
    results = full(tmp_path)
    ranked = tables(results)["profiles"]
    of_method = ranked[(ranked["encoder"] == "pase") & (ranked["scenario"] == "frozen")].set_index("threshold")["share"]
    values = [
        pd.read_csv(cell["path"]).query("metric == 'macro_f1'")["value"]
        for cell in results.manifest["cells"]
        if (cell["factors"]["encoder"], cell["factors"]["scenario"]) == ("pase", "frozen")
    ]
    assert len(values) == 2
    for threshold in (0.5, 0.55):
        assert of_method[threshold] == pytest.approx(np.mean([(of_set > threshold).mean() for of_set in values]))
    assert (np.diff(of_method) <= 0).all()
