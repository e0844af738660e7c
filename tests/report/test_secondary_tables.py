from pathlib import Path

import numpy as np
import pytest

from tests.report.aggregated_study import build_table
from tests.synthetic_results import Results, factors, full
from workflow_scripts.report.secondary_tables import SecondaryTable

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def by_title(results: Results) -> dict[str, SecondaryTable]:
    return {secondary.title: secondary for secondary in build_table(results).secondary}


def cells(secondary: SecondaryTable, column: str) -> list[str]:
    return [row[secondary.headings.index(column)] for row in secondary.rows]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SecondaryTable]:
    return by_title(full(tmp_path_factory.mktemp("results")))


def test_each_row_has_a_cell_for_each_heading(tables: dict[str, SecondaryTable]) -> None:
    for secondary in tables.values():
        assert {len(row) for row in secondary.rows} <= {len(secondary.headings)}
    assert list(tables) == [
        "Across data sets",
        "Ranks over data sets",
        "Performance profiles",
        "Where the variation comes from",
        "Seeds needed",
    ]


def test_comparisons_across_data_sets_are_sentences(tables: dict[str, SecondaryTable]) -> None:
    secondary = tables["Across data sets"]
    assert cells(secondary, "Data sets") == ["OpenMIC and FMA small"] * 2
    assert cells(secondary, "Verdict") == ["better"] * 2
    assert secondary.sentences[0].startswith(
        "Mean over OpenMIC and FMA small (twin): frozen PASE beats random weights by "
    )
    assert secondary.sentences[0].endswith("] on these test clips; 10 trials of one pre-training seed per data set.")
    assert secondary.sentences[-1].endswith(
        "p (Holm) is adjusted over 2 tests, separately from the tests on single data sets."
    )


def test_a_missing_cell_leaves_its_reason_across_data_sets(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.manifest["cells"][1]["path"]).unlink()
    tables = by_title(results)
    assert cells(tables["Across data sets"], "Verdict") == ["missing: not run (OpenMIC)"] * 2
    assert "not compared (missing: not run (OpenMIC))" in tables["Across data sets"].sentences[0]
    assert cells(tables["Ranks over data sets"], "Evidence")[-1] == "missing: not run (OpenMIC)"


def test_ranks_come_best_first_with_their_ties(tables: dict[str, SecondaryTable]) -> None:
    secondary = tables["Ranks over data sets"]
    assert cells(secondary, "Rank") == ["1", "2", "3", "4", "5"]
    assert cells(secondary, "Encoder")[0] == "PASE"
    means = [float(mean) for mean in cells(secondary, "Mean (%)")]
    assert means == sorted(means, reverse=True)
    assert cells(secondary, "Evidence")[0] == "10 trials of one pre-training seed per data set"
    assert "methods that share a letter are not significantly different" in secondary.sentences[0]


def test_profiles_show_where_methods_differ_and_are_collapsible(tables: dict[str, SecondaryTable]) -> None:
    secondary = tables["Performance profiles"]
    assert secondary.collapsible
    assert secondary.headings[:3] == ("Encoder", "Scenario", "> 40")  # all trials of all methods are above smaller ones
    assert all(0 <= int(share) <= 100 for row in secondary.rows for share in row[2:])


def test_a_source_that_was_not_varied_is_not_identified(tables: dict[str, SecondaryTable]) -> None:
    secondary = tables["Where the variation comes from"]
    by_source = {row[0]: row[1:] for row in secondary.rows}
    assert by_source["Pre-training seed"] == ("not identified",) * 2
    assert by_source["Trial"][0].endswith(" (100 %)")
    assert "Pre-training seed: not identified (one pre-training seed: not varied)." in secondary.sentences


def test_one_pretraining_seed_leaves_one_sentence_about_seeds(tables: dict[str, SecondaryTable]) -> None:
    secondary = tables["Seeds needed"]
    assert not secondary.rows
    (sentence,) = secondary.sentences
    assert sentence == (
        "Unknown: one pre-training seed does not show how much seeds differ; run at least three pre-training seeds."
    )


def test_several_pretraining_seeds_give_variance_components_and_the_number_of_seeds_needed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.manifest["studies"]["fig2"]
    study["comparisons"], study["detect"] = study["comparisons"][:1], 5.0
    for seed, mean in enumerate((0.50, 0.55, 0.60)):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    tables = by_title(results)
    by_source = {row[0]: row[1] for row in tables["Where the variation comes from"].rows}
    assert by_source["Pre-training seed"] == "5.0 (91 %)"
    assert by_source["Trial"] == "1.6 (9 %)"
    secondary = tables["Seeds needed"]
    assert cells(secondary, "Difference") == ["5.0 points (declared)"]
    assert cells(secondary, "Standard deviation between seeds") == ["5.0 points"]
    assert cells(secondary, "Seeds needed")[0].startswith("10 (")
    assert "Across data sets" not in tables
    assert "Ranks over data sets" not in tables


def test_variance_components_are_those_of_the_methods_with_several_pretraining_seeds(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.manifest["studies"]["fig2"]
    study |= {"rows": ["encoder", "workers"], "comparisons": []}
    for seed, mean in enumerate((0.50, 0.55, 0.60)):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("pase", "frozen", "openmic", workers="WLP"), 0.5 + 3 * NOISE)
    secondary = by_title(results)["Where the variation comes from"]
    by_source = {row[0]: row[1] for row in secondary.rows}
    assert (by_source["Pre-training seed"], by_source["Trial"]) == ("5.0 (91 %)", "1.6 (9 %)")
    assert "mean over the methods with several pre-training seeds." in secondary.sentences[0]


def test_fractions_are_not_ranked_as_if_they_were_data_sets(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"columns": ["dataset", "fraction"], "comparisons": []}
    for fraction in ("1pct", "100pct"):
        for dataset in ("openmic", "fma_small"):
            results.add(factors("pase", "frozen", dataset, fraction=fraction), 0.5 + NOISE)
            results.add(factors("random", "frozen", dataset, fraction=fraction), 0.4 - NOISE)
    secondary = by_title(results)["Ranks over data sets"]
    assert cells(secondary, "Label fraction") == ["1 %", "1 %", "100 %", "100 %"]
    assert secondary.sentences[-1].startswith("Fraction as blocks: fractions of one data set share its clips")


def test_one_factor_is_enough_for_the_rows(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"rows": ["encoder"], "comparisons": []}
    for dataset in ("openmic", "fma_small"):
        results.add(factors("pase", "frozen", dataset), 0.5 + NOISE)
        results.add(factors("random", "frozen", dataset), 0.4 + NOISE)
    tables = by_title(results)
    assert [row[0] for row in tables["Performance profiles"].rows] == ["PASE", "random weights"]
    assert {len(row) for secondary in tables.values() for row in secondary.rows} <= {
        len(secondary.headings) for secondary in tables.values()
    }
