"""The page of a study."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures import figure_asserts
from tests.report.aggregated_study import build_table, statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import METHODS, Results, factors
from workflow_scripts import compose, draw, tabulate
from workflow_scripts.report.number_format import MINUS
from workflow_scripts.report.site.forest import build_forests
from workflow_scripts.report.study_table import Table

SKILL = {"supervised": 0.8, "frozen": 1.2, "fine_tuned": 1.4}


def arguments_of(results: Results) -> list[str]:
    return ["--manifest", str(results.folder / "plan.json"), "--statistics", str(results.folder / "statistics")]


def compose_page(results: Results, *, with_figure: bool = False) -> str:
    """Aggregate and compose; return the page of the study."""
    statistics(results)
    arguments = arguments_of(results)
    figures = ["--output", str(results.folder / "figures")]
    if with_figure:
        draw.main([*arguments, *figures])
    compose.main([*arguments, "--figures", figures[1], "--output", str(results.folder / "report")])
    return (results.folder / "report/studies/fig2.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return results with predictions, so that intervals cover the test set; one comparison lacks a side."""
    results = Results(tmp_path_factory.mktemp("results"))
    for dataset in ("openmic", "fma_small"):
        for place, (encoder, scenario) in enumerate(METHODS):
            skill = SKILL[scenario] if encoder == "pase" else 0.6
            results.predict(factors(encoder, scenario, dataset), skill, trials=5, seed=place)
    Path(results.manifest["cells"][4]["path"]).unlink()
    return results


@pytest.fixture(scope="module")
def table(results: Results) -> Table:
    return build_table(results)


@pytest.fixture(scope="module")
def page(results: Results, table: Table) -> str:
    return compose_page(results, with_figure=True)


def test_a_study_that_the_config_trims_says_which_part_was_run(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), [0.5, 0.6, 0.7])
    results.manifest["config"] = {"trim": {"fig2": {"encoder": ["pase"], "recipe": ["demo"], "grids": {"cpc": None}}}}
    text = "Only a part of this study was run (encoder: PASE)."
    assert text in compose_page(results)
    results.manifest["config"] = {}
    assert "Only a part" not in compose_page(results)


class Cells(HTMLParser):
    """Parser that collects the texts of the rows of tables of one class."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.inside = name, False
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "table":
            self.inside = dict(attrs).get("class") == self.name
        elif self.inside and tag == "tr":
            self.rows.append([])
        elif self.inside and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "table"

    def handle_data(self, data: str) -> None:
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += " ".join(data.split()) and f"{' '.join(data.split())} "


def rows_of(page: str, name: str) -> list[list[str]]:
    cells = Cells(name)
    cells.feed(page)
    return [[text.strip() for text in row] for row in cells.rows]


def test_the_answer_stands_before_the_table_and_the_notes_behind_it(page: str) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.partition("<main")[2])
    order = ["Results", "Figure", "Comparisons", "Further tables", "How to read this"]
    assert [heading for heading in headings if heading in order] == order
    assert page.index('class="lead"') < page.index('class="answer"') < page.index('class="results"')
    notes = page[page.index(">How to read this</h2>") :]
    assert "<li>" not in re.sub(r"<details[^>]*>.*?</details>", "", notes, flags=re.DOTALL), "they open on demand"
    assert "standard errors" not in outline(
        re.sub(r"<details[^>]*>.*?</details>", "", page, flags=re.DOTALL)
    ).text.replace("Hover over a number for its standard errors.", "")


def test_links_at_the_top_lead_to_the_sections_that_the_page_has(page: str) -> None:
    links = re.findall(r'<li><a href="#([^"]+)">', page.partition('class="sections"')[2].partition("</nav>")[0])
    assert links == re.findall(r'<h2 id="([^"]+)">', page)
    assert {"results", "figure", "comparisons", "how-to-read-this"} <= set(links)


def test_the_answer_counts_the_verdicts_and_has_at_most_three_sentences(page: str, table: Table) -> None:
    answer = page[page.index('class="answer"') : page.index("</section>")]
    text = " ".join(outline(answer.partition(">")[2]).text.split())
    assert text.startswith(table.verdict_counts)
    assert answer.partition("<details>")[0].count("<li>") <= 3
    for comparison in table.comparisons:
        assert text.count(comparison.sentence) == 1


def test_the_forest_plot_has_the_numbers_of_the_comparisons_table(results: Results, page: str, table: Table) -> None:
    compared = pd.read_csv(results.folder / "statistics/comparisons.csv")
    measured = compared[compared["mean"].notna()]
    assert 0 < len(measured) < len(compared)
    lines = [row for row in rows_of(page, "forest") if len(row) == 4][1:]
    assert len(lines) == len(measured)
    for line, record in zip(lines, measured.to_dict("records"), strict=True):
        ends = f"[{100 * record['ci_low']:.1f}, {100 * record['ci_high']:.1f}]".replace("-", MINUS)
        assert line[2].startswith(f"{100 * record['mean']:.1f}".replace("-", MINUS) + f" {ends}")
    numbers = {(row[0], row[1]) for row in rows_of(page, "comparisons")[1:] if len(row) > 1}
    assert numbers == {(comparison.setting, comparison.verdict) for comparison in table.comparisons}


def test_points_and_intervals_of_the_forest_plot_lie_where_their_numbers_are(table: Table) -> None:
    (forest,) = build_forests(table)
    places, numbers = [], []
    for line in (line for _, lines in forest.groups for line in lines):
        estimate = line.comparison.estimate
        assert estimate is not None
        assert line.outer is not None
        places += [line.point, line.outer.left, line.outer.right]
        numbers += [estimate.mean, estimate.low, estimate.high]
        if line.inner:
            places += [line.inner.left, line.inner.right]
            numbers += [estimate.fixed_low, estimate.fixed_high]
    assert forest.has_inner, "intervals of the trials alone are shorter"
    axis = np.polynomial.Polynomial.fit(numbers, [float(place[:-1]) for place in places], 1)
    assert np.allclose(axis(np.array(numbers)), [float(place[:-1]) for place in places], atol=0.02)
    assert math.isclose(axis(0), float(forest.zero[:-1]), abs_tol=0.02)
    for tick in forest.ticks:
        assert math.isclose(axis(float(tick.text.replace(MINUS, "-"))), float(tick.place[:-1]), abs_tol=0.02)


def test_columns_of_many_levels_have_grouped_headings(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"columns": ["dataset", "fraction"], "comparisons": []}
    for dataset in ("openmic", "fma_small", "gtzan"):
        for fraction in ("100pct", "50pct", "25pct", "10pct"):
            results.add(factors("pase", "frozen", dataset, fraction=fraction), [0.5, 0.6, 0.7])
    tables = rows_of(compose_page(results), "results")
    headings = [row for row in tables if row[0] == "Encoder"]
    assert [row[2] for row in headings] == ["OpenMIC (twin)", "FMA small (twin)", "GTZAN (twin)"], "a table each"
    assert sum(row == ["100 %", "50 %", "25 %", "10 %"] for row in tables) == 3


def test_confusions_are_the_mean_over_the_trials_of_the_best_method(results: Results, page: str) -> None:
    assert page.count('<table class="confusions">') == 2, "one for each data set"
    entries = pd.read_csv(results.folder / "statistics/entries.csv")
    measured = entries[(entries["dataset"] == "fma_small") & (entries["kind"] == "method") & entries["mean"].notna()]
    scenario = measured.sort_values("mean")["scenario"].iloc[-1]
    (cell,) = (
        cell["path"]
        for cell in results.manifest["cells"]
        if (cell["factors"]["encoder"], cell["factors"]["scenario"], cell["factors"]["dataset"])
        == ("pase", scenario, "fma_small")
    )
    counts = np.load(Path(cell).with_name("predictions.npz"))["confusion"]
    percent = (100 * counts / counts.sum(axis=-1, keepdims=True)).mean(axis=0)
    (rows,) = (
        rows_of(part, "confusions") for part in page.split("<h3>")[1:] if part.startswith("Classes of FMA small")
    )
    assert rows[0] == ["True class", *"abcd"]
    assert [row[1:] for row in rows[1:]] == [[f"{value:.0f}" for value in row] for row in percent]
    bars = rows_of(page, "bars")[-4:]
    assert [float(bar[3]) for bar in bars] == [round(value, 1) for value in np.diag(percent)]


def test_the_classes_of_a_method_below_a_floor_do_not_claim_the_highest_mean(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder, skill in (("pase", 0.6), ("handcrafted", 2.0)):
        results.predict(factors(encoder, "frozen", "openmic"), skill, trials=3)
    results.predict(factors("pase", "frozen", "fma_small"), 1.0, trials=3)
    classes = compose_page(results).partition(">Classes</h2>")[2]
    assert "PASE, frozen, the method with the highest mean, floors aside; mean over 3 trials" in classes
    assert "PASE, frozen, the method with the highest mean; mean over 3 trials" in classes


def test_losses_and_shares_of_labels_are_curves_with_words_and_numbers(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "dots"},
        rows=["weighting"],
        columns=["dataset", "fraction"],
        grid={"weighting": ["equal", "hand"], "fraction": ["100pct", "10pct"]},
        trials=3,
    )
    figure_asserts.write_losses(results, epochs=5)
    page = compose_page(results)
    for title in ("Scores by share of the labels", "Losses of pre-training"):
        part = page[page.index(f"<h3>{title}</h3>") :].partition("<h3>")[2].partition("<h3>")[0]
        assert part.count('<svg role="img"') == 1
        assert "The figure in words" in part
    numbers = re.findall(r"<td>MFCC</td>\n<td>validation</td>\n(.*?)</tr>", page, re.DOTALL)
    assert len(numbers) == 2, "a row for each weighting"
    assert re.findall(r">([^<]+)</td>", numbers[0]) == ["5", "80", f"{80 / 5**0.3:.3g}", f"{80 / 5**0.3:.3g}"]


def test_damaged_predictions_are_a_sentence_and_the_page_has_the_rest(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    path = results.predict(factors("pase", "frozen", "openmic"), 1.2, trials=3)
    whole = compose_page(results)
    assert "confusions" in whole
    path.with_name("predictions.npz").write_bytes(b"PK")
    compose.main([*arguments_of(results), "--figures", str(tmp_path / "figures"), "--output", str(tmp_path / "report")])
    damaged = (tmp_path / "report/studies/fig2.html").read_text(encoding="utf-8")
    assert "The table of the classes could not be produced: " in damaged
    assert rows_of(damaged, "results") == rows_of(whole, "results")


def test_a_wrong_folder_of_figures_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"comparisons": [], "figure": {"kind": "dots"}}
    results.predict(factors("pase", "frozen", "openmic"), 1.2, trials=3)
    compose_page(results)
    capsys.readouterr()
    compose.main([*arguments_of(results), "--figures", str(tmp_path / "figure"), "--output", str(tmp_path / "report")])
    note = f"{tmp_path / 'figure'}: no such folder, so the pages have no figures; correct --figures, or run draw"
    assert f"prelude: note: {note}\n" in capsys.readouterr().err


def test_the_page_offers_the_files_of_its_tables_and_its_figure(results: Results, page: str) -> None:
    report = results.folder / "report"
    links = {link.removeprefix("../") for link in re.findall(r'href="(\.\./files/[^"]+)"', page)}
    assert links == {path.relative_to(report).as_posix() for path in (report / "files").rglob("*.*")}
    assert {"files/fig2.csv", "files/fig2_comparisons.csv", "files/fig2.tex", "files/figures/fig2.pdf"} <= links
    tabulate.main([*arguments_of(results), "--output", str(results.folder / "tables")])
    for path in (results.folder / "tables").rglob("fig2*"):
        if path.is_file() and path.suffix != ".html":
            assert (report / "files" / path.relative_to(results.folder / "tables")).read_bytes() == path.read_bytes()


def test_the_numbers_of_a_figure_have_as_many_columns_as_fit_and_the_others_are_named(page: str) -> None:
    numbers = page[page.index("<span>Numbers of the figure</span>") :].partition("</thead>")[0]
    headings = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', numbers)
    assert len(headings) <= 10
    assert {"Method", "Mean", "95 % from", "95 % to"} <= set(headings)
    assert "In the csv file of the figure alone: " in page


def test_a_figure_that_fails_is_a_sentence_and_the_page_has_the_rest(results: Results, page: str) -> None:
    figure = results.folder / "figures/fig2.svg"
    drawn = figure.read_bytes()
    figure.write_bytes(b"<svg/>")
    try:
        broken = compose_page(results)
    finally:
        figure.write_bytes(drawn)
    assert "The figure could not be produced: " in broken
    assert rows_of(broken, "results") == rows_of(page, "results")
