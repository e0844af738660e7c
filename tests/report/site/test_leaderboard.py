import copy
import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from tests.report.aggregated_study import statistics
from tests.report.site.composed_site import compose_site
from tests.synthetic_results import METHODS, STUDY, Results, factors, full
from workflow_scripts import compose
from workflow_scripts.report.number_format import mean_with_interval


def overview(results: Results) -> str:
    """Compose the site; return its first page."""
    return (compose_site(results) / "index.html").read_text(encoding="utf-8")


def board_of(page: str) -> list[list[str]]:
    """Return the leaderboard of a page, the headings first, then each row's cells as text."""
    table = re.search(r'<table id="leaderboard">(.*?)<tfoot>', page, re.DOTALL)
    assert table
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table[1], re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def text_of(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup)).strip()


def filters_of(page: str) -> dict[str, list[str]]:
    """Return the options of each filter, by its name."""
    choices = re.findall(r'<select name="(\w+)">(.*?)</select>', page)
    return {
        name: [text_of(option) for option in re.findall(r"<option.*?</option>", options)] for name, options in choices
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("leaderboard"))
    Path(results.manifest["cells"][0]["path"]).unlink()
    study = results.manifest["studies"]["fig2"]
    results.manifest["studies"]["wu2021_other"] = copy.deepcopy(study) | {"comparisons": []}
    return results


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return overview(results)


def test_each_method_has_one_row_with_its_number_on_each_data_set(page: str) -> None:
    headings, *rows = board_of(page)
    assert headings[:3] == ["Encoder", "Pre-training", "Scenario"]
    assert headings[-2:] == ["OpenMIC (twin), macro F1 (%)", "FMA small (twin), macro F1 (%)"]
    assert len(rows) == len(METHODS), "two studies have the same cells"
    assert ["PASE", "WLPMCT", "fine-tuned"] in [row[:3] for row in rows]
    assert "handcrafted features (floor)" in [row[0] for row in rows]


def test_the_numbers_are_those_of_the_entries_and_lead_to_their_cells(results: Results, page: str) -> None:
    entries = pd.read_csv(results.folder / "statistics" / "entries.csv").query(
        "study == 'fig2' and metric == 'macro_f1'"
    )
    measured = entries[entries["status"] == "measured"]
    expected = sorted(
        mean_with_interval(100 * mean, 100 * low, 100 * high, 1)
        for mean, low, high in measured[["mean", "ci_low", "ci_high"]].to_numpy()
    )
    shown = [re.sub(" [★†]$", "", cell) for row in board_of(page)[1:] for cell in row[-2:] if cell != "not run"]
    assert sorted(shown) == expected
    paths = re.findall(r'style="--a:\d+;--m:\d+;--b:\d+"><a href="(cells/[^"]+)">', page)
    assert len(set(paths)) == len(expected)
    assert all((results.folder / "report" / path).is_file() for path in paths)
    keys = [float(key) for key in re.findall(r'<td class="number" data-order="(\d[^"]*)"', page)]
    assert sorted(keys) == pytest.approx(sorted(100 * measured["mean"]), rel=1e-5)


def test_the_highest_mean_stands_first_and_what_is_missing_states_its_reason(page: str) -> None:
    _, *rows = board_of(page)
    assert rows[0][:3] == ["PASE", "WLPMCT", "fine-tuned"]
    assert rows[0][-1].endswith("★")
    means = [float(row[-1].split()[0]) for row in rows]
    assert means == sorted(means, reverse=True)
    assert re.search(r'<td class="number missing" data-order="" title="not run[^"]*"><a href="cells/', page)


def test_numbers_on_training_data_are_marked_and_the_mark_is_explained(page: str, tmp_path: Path) -> None:
    explained = "‡ is on data that others trained the encoder on"
    assert explained not in page
    results = full(tmp_path, count=3)
    results.manifest["training_data"] = {"audioset_music": {"names": ["openmic"], "evaluated": ["openmic"]}}
    page = overview(results)
    assert explained in page
    assert {row[-2].count("‡") for row in board_of(page)[1:] if row[1] == "WLPMCT"} == {1}
    assert not any("‡" in row[-1] for row in board_of(page)[1:])


def test_filters_offer_what_differs(page: str) -> None:
    filters = filters_of(page)
    assert set(filters) == {"system", "encoder", "scenario", "dataset"}
    assert filters["system"] == ["all", "Across systems", "System A: Wu et al. 2021"]
    assert filters["dataset"] == ["all", "OpenMIC", "FMA small"]
    assert re.search(r'<form id="board-filters" class="filters" hidden>', page), (
        "without a script they would do nothing"
    )


def test_one_data_set_of_own_recordings_has_one_column_and_no_choice_of_system(tmp_path: Path) -> None:
    page = overview(full(tmp_path, datasets=["my_library"], count=3))
    headings, *rows = board_of(page)
    assert headings[-1] == "my library (twin), macro F1 (%)"
    assert len(rows) == len(METHODS)
    assert set(filters_of(page)) == {"encoder", "scenario"}


def test_numbers_of_other_content_or_another_metric_have_columns_of_their_own(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"], count=3)
    results.add(factors("samplecnn", "frozen", "openmic"), [0.4, 0.5, 0.6], data_digest="other")
    results.manifest["studies"]["accuracy"] = copy.deepcopy(STUDY) | {"metric": "accuracy", "comparisons": []}
    results.manifest["studies"]["accuracy"]["cells"] = [len(results.manifest["cells"])]
    results.add(factors("cpc", "frozen", "openmic"), [0.4, 0.5, 0.6])
    results.manifest["studies"]["fig2"]["cells"].pop()
    results.manifest["cells"][-1]["studies"] = ["accuracy"]
    headings, *rows = board_of(overview(results))
    assert headings[3:] == [
        "OpenMIC (twin) (dataopenmic), macro F1 (%)",
        "OpenMIC (twin) (dataopenmic), accuracy (%)",
        "OpenMIC (twin) (other), macro F1 (%)",
    ]
    numbers = {row[0]: [bool(cell) for cell in row[3:]] for row in rows if row[2] == "frozen"}
    assert numbers["SampleCNN"] == [False, False, True]
    assert numbers["CPC"] == [False, True, False]


def test_the_number_of_the_most_pretraining_seeds_is_shown(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"], count=3)
    one = copy.deepcopy(results.manifest["studies"]["fig2"])
    results.add(factors("pase", "frozen", "openmic", seed=1), [0.1, 0.1, 0.1])
    results.manifest["studies"]["one_seed"] = one
    rows = board_of(overview(results))[1:]
    (number,) = [row[-1] for row in rows if row[0] == "PASE" and row[2] == "frozen"]
    assert number.startswith("31."), "the mean of 52 and 10"


def test_a_study_whose_table_fails_adds_no_method(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"], count=3)
    other = copy.deepcopy(results.manifest["studies"]["fig2"]) | {"comparisons": []}
    results.manifest["studies"]["other"] = other | {"cells": other["cells"][:2]}
    statistics(results)
    results.manifest["studies"]["fig2"]["comparisons"][0]["name"] = "renamed"
    arguments = ["--statistics", str(tmp_path / "statistics"), "--figures", str(tmp_path / "figures")]
    compose.main(["--manifest", results.manifest_file(), *arguments, "--output", str(tmp_path / "report")])
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert len(board_of(page)) == 1 + 2
    assert "The table could not be produced: no comparison" in page


def test_names_are_text_and_a_spreadsheet_computes_none(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"], count=3)
    formula, script = "=cmd()|' /C calc'!A0", '<script>alert("x")</script>'
    results.manifest["labels"]["encoder"] |= {"pase": formula, "random": script}
    results.manifest["labels"]["dataset"]["openmic"] = "+SUM(1)"
    page = overview(results)
    assert "<script>alert" not in page
    names = {unescape(value) for value in re.findall(r'data-csv="([^"]*)"', page)}
    assert {f"'{formula}", f"{script} (floor)", "'+SUM(1) (twin), macro F1 (%)"} <= names
    assert {formula, f"{script} (floor)"} <= {row[0] for row in board_of(page)}


def test_a_page_of_3000_cells_stays_below_3_mb(tmp_path: Path) -> None:
    sizes = []
    for number in (10, 40):
        results = Results(tmp_path / str(number))
        results.manifest["studies"]["fig2"] |= {"rows": ["encoder", "workers", "scenario"], "comparisons": []}
        for place in range(number):
            results.add(factors("pase", "frozen", "openmic", workers=f"workers number {place}"), [0.4, 0.5, 0.6])
        sizes.append(len(overview(results).encode()))
    row = (sizes[1] - sizes[0]) / 30
    assert sizes[0] + 3000 * row < 3_000_000
