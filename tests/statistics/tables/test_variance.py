from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.statistics.tables.study_tables import NOISE, tables
from tests.synthetic_results import Results, factors, full
from workflow_scripts.statistics.inference.power import seeds_needed
from workflow_scripts.statistics.inference.random_effects import decompose


def several(folder: Path, means: list[float], **more: object) -> Results:
    """PASE with a pre-training seed for each mean, against random weights."""
    results = Results(folder)
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    results.manifest["studies"]["fig2"] |= more
    random = np.random.default_rng(0)
    for seed, mean in enumerate(means):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE + random.normal(0, 0.005, 5))
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    return results


def components(results: Results, encoder: str) -> pd.DataFrame:
    parts = tables(results)["variance"]
    return parts[parts["encoder"] == encoder].set_index("component")


def test_sources_are_identified_as_far_as_the_design_allows(tmp_path: Path) -> None:
    results = several(tmp_path, [0.5, 0.55, 0.6])
    parts = components(results, "pase")
    table = [pd.read_csv(cell["path"]).query("metric == 'macro_f1'")["value"] for cell in results.manifest["cells"][:3]]
    expected = {part.name: part for part in decompose(np.array(table))}
    for name in ("pre-training seed", "trial", "residual"):
        assert parts.loc[name, "std"] == pytest.approx(expected[name].std)
    assert parts["share"].sum() == pytest.approx(1)
    assert parts.loc["label subset", "reason"] == "all trials have the same labels: not varied"
    assert parts.loc["test set", "reason"] == "no bootstrap of the test set"
    floor = components(results, "random")
    assert floor.loc["pre-training seed", "reason"] == "nothing was pre-trained"
    assert floor.loc["trial", "share"] == 1


def test_test_clips_are_a_source_where_there_are_predictions(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.predict(factors("pase", "frozen", "openmic", fraction="1pct"), 1.5, seed=1)
    parts = components(results, "pase")
    entry = tables(results)["entries"].iloc[0]
    assert parts.loc["test set", "std"] == pytest.approx(entry["se_test_set"])
    assert parts.loc["trial", "std"] == pytest.approx(entry["se_trial"] * np.sqrt(10))
    assert parts.loc["label subset", "reason"] == "a trial fixes its label subset: contained in trial"


def test_seeds_needed_for_the_difference_a_study_states_or_else_the_observed_one(tmp_path: Path) -> None:
    means = [0.5, 0.55, 0.6]
    results = several(tmp_path / "stated", means, detect=2.0)
    row = tables(results)["seeds"].iloc[0]
    table = [
        pd.read_csv(cell["path"]).query("metric == 'macro_f1'")["value"].mean()
        for cell in results.manifest["cells"][:3]
    ]
    expected = seeds_needed(0.02, std=float(np.std(table, ddof=1)), df=2, sides=1)
    assert (row["seeds"], row["seeds_low"], row["seeds_high"]) == (expected.seeds, expected.low, expected.high)
    assert (row["target_difference"], row["target_origin"], row["n_pretraining_seeds"]) == (0.02, "declared", 3)
    observed = tables(several(tmp_path / "observed", means))["seeds"].iloc[0]
    assert observed["target_origin"] == "observed"
    assert observed["target_difference"] == pytest.approx(np.mean(table) - 0.4, abs=1e-10)
    assert observed["seeds"] < row["seeds"]


@pytest.mark.parametrize(
    ("means", "reason"),
    [
        ([0.5], "one pre-training seed does not show how much seeds differ; run at least three pre-training seeds"),
        ([0.5, 0.6], "2 pre-training seeds: no interval from fewer than three; run at least three pre-training seeds"),
    ],
)
def test_too_few_pretraining_seeds_do_not_tell(tmp_path: Path, means: list[float], reason: str) -> None:
    row = tables(several(tmp_path, means))["seeds"].iloc[0]
    assert (row["status"], row["reason"]) == ("refused", reason)
    assert pd.isna(row["seeds"])


def test_comparisons_between_floors_need_no_seeds(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.manifest["studies"]["fig2"]["comparisons"] = [
        {"name": "floors", "better": {"encoder": "random"}, "than": {"encoder": "handcrafted"}}
    ]
    assert tables(results)["seeds"].empty
