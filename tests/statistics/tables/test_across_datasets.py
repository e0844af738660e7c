from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.statistics.tables.study_tables import NOISE, tables
from tests.synthetic_results import Results, factors, full
from workflow_scripts.statistics.inference.confidence_intervals import satterthwaite

DATASETS = ("openmic", "fma_small")
OTHER = np.array([0.02, 0.0, -0.01, 0.01, -0.02])


def answer(results: Results) -> pd.Series:
    """The one comparison that is left in the study, over all data sets."""
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    averaged = tables(results)["across"]
    assert len(averaged) == 1
    return averaged.iloc[0]


def two_sets(folder: Path, gains: dict[str, float]) -> Results:
    results = Results(folder)
    for (dataset, gain), noise in zip(gains.items(), (NOISE, OTHER), strict=True):
        results.add(factors("pase", "frozen", dataset), 0.5 + gain + noise)
        results.add(factors("random", "frozen", dataset), 0.5 - noise / 2)
    return results


def test_data_sets_count_the_same_and_their_errors_add(tmp_path: Path) -> None:
    row = answer(two_sets(tmp_path, {"openmic": 0.1, "fma_small": 0.02}))
    errors = np.array([stats.sem(1.5 * NOISE), stats.sem(1.5 * OTHER)]) / 2
    error, df = np.sqrt((errors**2).sum()), satterthwaite(errors**2, [4, 4])
    assert row["mean"] == pytest.approx(0.06)
    assert row["p"] == pytest.approx(2 * stats.t.sf(0.06 / error, df), abs=1e-10)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(stats.t.interval(0.95, df, 0.06, error), abs=1e-10)
    assert (row["n_datasets"], row["datasets"], row["variance_sources"], row["verdict"]) == (
        2,
        "openmic fma_small",
        "trials",
        "better",
    )
    assert row["caveat"].startswith("about this run")
    assert (row["replicate"], row["n"], row["n_pretraining_seeds"]) == ("trials", 5, 1)


def test_other_test_clips_of_every_set_widen_it(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for place, dataset in enumerate(DATASETS):
        results.predict(factors("pase", "frozen", dataset), 1.5, seed=place)
        results.predict(factors("random", "frozen", dataset), 1.0, seed=place + 2)
    row = answer(results)
    singles = tables(results)["comparisons"]
    parts = (singles["se_trial"] ** 2 + singles["se_test_set"] ** 2).sum() / 4
    assert row["variance_sources"] == "trials and test set"
    assert row["std_error"] == pytest.approx(np.sqrt(parts))
    first = Path(results.manifest["cells"][0]["path"]).with_name("predictions.npz")
    first.unlink()  # nothing is known of other clips of one set
    assert answer(results)["variance_sources"] == "trials"


def test_a_set_without_results_leaves_no_mean_over_the_others(tmp_path: Path) -> None:
    results = two_sets(tmp_path, {"openmic": 0.1, "fma_small": 0.02})
    Path(results.manifest["cells"][2]["path"]).unlink()
    row = answer(results)
    assert (row["status"], row["reason"]) == ("missing", "not run (fma_small)")
    assert np.isnan(row["mean"])


def test_a_refusal_on_one_set_refuses_the_mean(tmp_path: Path) -> None:
    results = two_sets(tmp_path, {"openmic": 0.1, "fma_small": 0.02})
    path = Path(results.manifest["cells"][3]["path"])
    path.write_text(path.read_text().replace("datafma_small", "other"))
    row = answer(results)
    assert row["status"] == "refused"
    assert row["reason"].endswith("(fma_small)")


def test_pretraining_seeds_that_the_sets_share_are_counted_once(tmp_path: Path) -> None:
    results = Results(tmp_path)
    good = [0.00, 0.02, 0.07]  # a pre-training seed that is good on one set is good on the other
    for dataset in DATASETS:
        for seed, gain in enumerate(good):
            results.add(factors("pase", "frozen", dataset, seed=seed), 0.5 + gain + NOISE)
        results.add(factors("random", "frozen", dataset), 0.5 + NOISE)
    row = answer(results)
    expected = stats.ttest_1samp(good, 0)
    assert row["p"] == pytest.approx(expected.pvalue, abs=1e-10)
    assert row["variance_sources"] == "pretraining seeds and trials"
    assert (row["replicate"], row["n"], row["n_pretraining_seeds"]) == ("pretraining seeds", 3, 3)


def test_sets_with_different_pretraining_seeds_are_not_averaged_whichever_comes_first(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for dataset, seeds in (("openmic", 1), ("fma_small", 3)):
        for seed in range(seeds):
            results.add(factors("pase", "frozen", dataset, seed=seed), 0.5 + seed / 50 + NOISE)
        results.add(factors("random", "frozen", dataset), 0.5 - NOISE)
    row = answer(results)
    assert (row["status"], row["reason"]) == ("refused", "not the same pre-training seeds on every data set")


def test_holm_is_over_the_comparisons_across_sets(tmp_path: Path) -> None:
    averaged = tables(full(tmp_path))["across"]
    assert len(averaged) == 2
    assert set(averaged["family_size"]) == {2}
    assert averaged["p_holm"].to_numpy() == pytest.approx(multipletests(averaged["p"], method="holm")[1], abs=1e-12)


def test_one_data_set_has_nothing_across(tmp_path: Path) -> None:
    assert tables(full(tmp_path, datasets=["openmic"]))["across"].empty
