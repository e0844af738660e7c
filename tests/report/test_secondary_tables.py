from pathlib import Path

import numpy as np
import pytest

from tests.report.aggregated_study import table
from tests.synthetic_results import Results, factors, full
from workflow_scripts.report.secondary_tables import Part

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def parts(results: Results) -> dict[str, Part]:
    return {part.title: part for part in table(results).parts}


def cells(part: Part, column: str) -> list[str]:
    return [row[part.headings.index(column)] for row in part.rows]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    return parts(full(tmp_path_factory.mktemp("results")))


def test_each_row_has_a_cell_for_each_heading(made: dict[str, Part]) -> None:
    for part in made.values():
        assert {len(row) for row in part.rows} <= {len(part.headings)}
    assert list(made) == [
        *("Across data sets", "Ranks over data sets", "Performance profiles"),
        *("Where the variation comes from", "Seeds needed"),
    ]


def test_comparisons_across_data_sets_are_sentences(made: dict[str, Part]) -> None:
    part = made["Across data sets"]
    assert cells(part, "Data sets") == ["OpenMIC and FMA small"] * 2
    assert cells(part, "Verdict") == ["better"] * 2
    assert part.sentences[0].startswith("Mean over OpenMIC and FMA small (twin): frozen PASE beats random weights by ")
    assert part.sentences[0].endswith("] on these test clips; 10 trials of one checkpoint a set.")
    assert part.sentences[-1].endswith("p is adjusted over 2 tests, a family apart from that of the single data sets.")


def test_what_is_missing_across_data_sets_is_said(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.plan["evaluations"][1]["path"]).unlink()
    made = parts(results)
    assert cells(made["Across data sets"], "Verdict") == ["missing: not run (openmic)"] * 2
    assert "not compared (missing: not run (openmic))" in made["Across data sets"].sentences[0]
    assert cells(made["Ranks over data sets"], "Evidence")[-1] == "missing: not run (openmic)"


def test_ranks_come_best_first_with_their_ties(made: dict[str, Part]) -> None:
    part = made["Ranks over data sets"]
    assert cells(part, "Place") == ["1", "2", "3", "4", "5"]
    assert cells(part, "Encoder")[0] == "PASE"
    means = [float(mean) for mean in cells(part, "Mean (%)")]
    assert means == sorted(means, reverse=True)
    assert cells(part, "Evidence")[0] == "10 trials of one checkpoint a set"
    assert "methods that share a letter were not told apart" in part.sentences[0]


def test_profiles_show_where_methods_differ_and_are_folded(made: dict[str, Part]) -> None:
    part = made["Performance profiles"]
    assert part.folded
    assert part.headings[:3] == ("Encoder", "Scenario", "> 40")  # below, all trials of all methods lie above
    assert all(0 <= int(share) <= 100 for row in part.rows for share in row[2:])


def test_a_source_that_the_design_does_not_tell_apart_is_not_identified(made: dict[str, Part]) -> None:
    part = made["Where the variation comes from"]
    by_source = {row[0]: row[1:] for row in part.rows}
    assert by_source["Pre-training seed"] == ("not identified",) * 2
    assert by_source["Trial"][0].endswith(" (100 %)")
    assert "Pre-training seed: not identified (one pre-training seed: not varied)." in part.sentences


def test_one_checkpoint_leaves_one_sentence_about_seeds(made: dict[str, Part]) -> None:
    part = made["Seeds needed"]
    assert not part.rows
    (said,) = part.sentences
    assert said == (
        "Not known: one pre-training seed does not tell how much seeds differ; run at least three pre-training seeds."
    )


def test_several_checkpoints_tell_where_the_variation_comes_from_and_how_many_seeds_are_needed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.plan["studies"]["fig2"]
    study["comparisons"], study["detect"] = study["comparisons"][:1], 5.0
    for seed, mean in enumerate((0.50, 0.55, 0.60)):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE)
    made = parts(results)
    by_source = {row[0]: row[1] for row in made["Where the variation comes from"].rows}
    assert by_source["Pre-training seed"] == "5.0 (91 %)"
    assert by_source["Trial"] == "1.6 (9 %)"
    part = made["Seeds needed"]
    assert cells(part, "Difference") == ["5.0 points (stated)"]
    assert cells(part, "Deviation of seeds") == ["5.0 points"]
    assert cells(part, "Seeds needed")[0].startswith("10 (")
    assert "Across data sets" not in made
    assert "Ranks over data sets" not in made


def test_the_variation_is_told_by_the_methods_with_several_checkpoints(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.plan["studies"]["fig2"]
    study |= {"rows": ["encoder", "workers"], "comparisons": []}
    for seed, mean in enumerate((0.50, 0.55, 0.60)):
        results.add(factors("pase", "frozen", "openmic", seed=seed), mean + NOISE)
    results.add(factors("pase", "frozen", "openmic", workers="WLP"), 0.5 + 3 * NOISE)
    part = parts(results)["Where the variation comes from"]
    by_source = {row[0]: row[1] for row in part.rows}
    assert (by_source["Pre-training seed"], by_source["Trial"]) == ("5.0 (91 %)", "1.6 (9 %)")
    assert "mean over the methods with several pre-training seeds." in part.sentences[0]


def test_fractions_are_not_ranked_as_if_they_were_data_sets(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"] |= {"columns": ["dataset", "fraction"], "comparisons": []}
    for fraction in ("1pct", "100pct"):
        for dataset in ("openmic", "fma_small"):
            results.add(factors("pase", "frozen", dataset, fraction=fraction), 0.5 + NOISE)
            results.add(factors("random", "frozen", dataset, fraction=fraction), 0.4 - NOISE)
    part = parts(results)["Ranks over data sets"]
    assert cells(part, "Fraction") == ["1pct", "1pct", "100pct", "100pct"]
    assert part.sentences[-1].startswith("Fraction as blocks: fractions of one data set share its clips")


def test_one_factor_is_enough_for_the_rows(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"] |= {"rows": ["encoder"], "comparisons": []}
    for dataset in ("openmic", "fma_small"):
        results.add(factors("pase", "frozen", dataset), 0.5 + NOISE)
        results.add(factors("random", "frozen", dataset), 0.4 + NOISE)
    made = parts(results)
    assert [row[0] for row in made["Performance profiles"].rows] == ["PASE", "random weights"]
    assert {len(row) for part in made.values() for row in part.rows} <= {len(part.headings) for part in made.values()}
