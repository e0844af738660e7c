"""Validation curves on the pages of studies and of numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.report.site.composed_site import compose_site, store_curves
from tests.synthetic_results import Results, full
from workflow_scripts import compose


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return full(tmp_path)


def cell_page(folder: Path, title: str) -> str:
    texts = [path.read_text(encoding="utf-8") for path in (folder / "cells").glob("*.html")]
    return next(text for text in texts if f"<h1>{title}</h1>" in text)


def test_a_study_has_a_panel_for_each_number_with_curves_and_counts_the_others(results: Results) -> None:
    for place in (0, 1, 5):
        store_curves(results, place)
    folder = compose_site(results)
    page = (folder / "studies/fig2.html").read_text(encoding="utf-8")
    panels = re.findall(r'<li>\s*<a href="\.\./(cells/\w+\.html)">([^<]*)</a>\s*<svg [^>]*aria-label="([^"]*)"', page)
    assert [title for _, title, _ in panels] == ["PASE, supervised", "PASE, frozen", "PASE, supervised"]
    assert all((folder / path).is_file() for path, _, _ in panels)
    assert "mean loss 1.62 after the first epoch, 1.05 after epoch 23 of 39." in panels[0][2]
    assert "<h4>OpenMIC</h4>" in page
    assert page.index("<h4>OpenMIC</h4>") < page.index("<h4>FMA small</h4>")
    assert page.count("<polygon points=") == page.count("<polyline points=") == 3
    assert "Without stored curves: 7 of the study's numbers." in page


def test_the_page_of_a_number_has_a_line_and_a_kept_epoch_for_each_trial(results: Results) -> None:
    store_curves(results, 1, scores=True)
    page = cell_page(compose_site(results), "PASE, frozen, OpenMIC")
    names = re.findall(r"<li>\s*<span>([^<]*)</span>", page)
    assert names == ["Validation loss", "Validation ROC-AUC (%)", "Validation PR-AUC (%)"]
    assert page.count("<polyline points=") == page.count("<circle cx=") == 30
    assert "Validation loss: 1 to 1.09 after the kept epochs, which are 21 to 27 of 39." in page


def test_results_without_curves_have_none_and_no_error(results: Results) -> None:
    folder = compose_site(results)
    pages = [cell_page(folder, "PASE, frozen, OpenMIC"), (folder / "studies/fig2.html").read_text(encoding="utf-8")]
    assert not any("alidation" in page for page in pages)


def test_a_damaged_file_of_curves_is_named_on_the_page_of_its_number_and_missing_on_others(
    results: Results, tmp_path: Path
) -> None:
    damaged = store_curves(results, 1)
    store_curves(results, 2)
    folder = compose_site(results)
    damaged.write_text(damaged.read_text().replace("1,", "2,", 1))
    read = ["--manifest", str(tmp_path / "plan.json"), "--statistics", str(tmp_path / "statistics")]
    compose.main([*read, "--figures", str(tmp_path / "figures"), "--output", str(folder)])
    page = cell_page(folder, "PASE, frozen, OpenMIC")
    assert "The validation curves could not be read" in page
    assert "validation.csv is not the file that its job wrote" in page
    study = (folder / "studies/fig2.html").read_text(encoding="utf-8")
    assert study.count("<polygon points=") == 1
    assert "Without stored curves: 9 of" in study


def test_a_panel_of_many_epochs_stays_small(results: Results) -> None:
    store_curves(results, 1, epochs=2000)
    page = cell_page(compose_site(results), "PASE, frozen, OpenMIC")
    (panel,) = re.findall(r"<svg width=\"220\".*?</svg>", page, re.DOTALL)
    assert len(panel) < 10_000, "ten lines of 60 points"
