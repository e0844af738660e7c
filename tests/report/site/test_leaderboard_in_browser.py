"""The leaderboard in a real browser, from `file://`: sort, filter, csv."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import open_page, run_browser
from tests.report.site.composed_site import compose_site
from tests.synthetic_results import factors, full

FORMULA = "=cmd()|' /C calc'!A0"
BEHIND_TABS = "\t=1+1\t@SUM(A1)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    results = full(tmp_path_factory.mktemp("browser"))
    results.manifest["labels"]["encoder"]["pase"] = FORMULA
    results.manifest["labels"]["encoder"]["samplecnn"] = BEHIND_TABS
    results.expect(factors("samplecnn", "frozen", "openmic"))
    with run_browser() as browser:
        page = open_page(browser, compose_site(results) / "index.html")
        page.wait_for_selector("#board-filters:not([hidden])")
        yield page
        assert page.problems == []


def column(page: Any, place: int) -> list[str]:
    page.wait_for_timeout(200)  # sorting is not immediate
    return [row.locator("th, td").nth(place).inner_text() for row in page.locator("#leaderboard tbody tr").all()]


def test_numbers_are_sorted_both_ways_and_missing_ones_stay_last(page: Any) -> None:
    heading = page.locator("#leaderboard thead th.score").first
    for sign in (-1, 1):
        heading.click()
        *numbers, missing = [text.split()[0] for text in column(page, 4)]
        values = [float(number) for number in numbers]
        assert values == sorted(values, key=lambda value: sign * value)
        assert missing == "not"  # run


def test_filters_choose_rows_and_columns(page: Any) -> None:
    page.select_option("[name=scenario]", "supervised")
    assert set(column(page, 2)) == {"supervised"}
    page.select_option("[name=dataset]", "fma_small")
    assert page.locator("#leaderboard thead th.score").all_inner_texts() == ["FMA small (twin), macro F1 (%)"]
    page.click("#board-filters button")
    assert len(column(page, 2)) == 6


def test_on_a_narrow_screen_the_keyboard_scrolls_the_table_and_the_encoders_stay(page: Any) -> None:
    wide = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("region", name="Leaderboard").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # scrolling is smooth
    assert page.evaluate("document.activeElement.scrollLeft") > 100
    assert page.locator("#leaderboard tbody th").first.bounding_box()["x"] >= 0
    page.set_viewport_size(wide)


def test_the_csv_has_mean_and_interval_in_columns_and_no_formula(page: Any) -> None:
    with page.expect_download() as download:
        page.click(".buttons-csv")
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["Encoder"] for row in rows} >= {f"'{FORMULA}", "handcrafted features (floor)"}
    score = "OpenMIC (twin), macro F1 (%)"
    missing = [row for row in rows if not row[score]]
    assert [row["Encoder"] for row in missing] == ["' =1+1 @SUM(A1)"]  # in one column, also of what is copied
    for row in rows:
        if row not in missing:
            assert float(row[f"{score} low"]) < float(row[score]) < float(row[f"{score} high"])
