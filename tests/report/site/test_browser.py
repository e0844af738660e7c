"""The report in a real browser: no errors, nothing cut off, accessible, and its tables sort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import hidden_width, open_page, run_browser, serious_faults
from tests.report.site.composed_site import compose_site, store_curves
from tests.synthetic_results import full
from workflow_scripts import draw
from workflow_scripts.report.renderers.html import TEMPLATES

WIDTHS = (1300, 1000, 390)
#: one page of each kind; all cells have the same template
KINDS = ("index.html", "studies/fig2.html", "cells/*.html", "data.html", "jobs.html", "provenance.html", "columns.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with run_browser() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = full(tmp_path_factory.mktemp("results"))
    results.manifest["studies"]["fig2"]["title"] = "An <img src=x onerror=alert(1)> in a long title " * 3
    for place, name in enumerate(("pase", "random", "handcrafted")):
        results.manifest["labels"]["encoder"][name] = f"own_network_of_one_long_word_{place}"
    for place in range(len(results.manifest["cells"])):
        store_curves(results, place)
    folder = compose_site(results)  # computes the statistics that the figure is drawn from
    arguments = ["--manifest", results.manifest_file(), "--statistics", str(results.folder / "statistics")]
    draw.main([*arguments, "--output", str(results.folder / "figures")])
    return compose_site(results) if folder else folder


def path_of(site: Path, kind: str) -> Path:
    return sorted(site.glob(kind))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_is_wider_than_the_window_or_has_errors(browser: Any, site: Path, kind: str) -> None:
    for width in WIDTHS:
        page = open_page(browser, path_of(site, kind), width=width)
        assert hidden_width(page) <= 0, width
        for unfolded in page.locator("main details:not([open]) > summary").all():
            if unfolded.is_visible():
                unfolded.click()
        assert hidden_width(page) <= 0, f"{width}, all details open"
        assert page.problems == []
        page.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Any, site: Path, kind: str, scheme: str) -> None:
    for width in (WIDTHS[0], WIDTHS[-1]):
        page = open_page(browser, path_of(site, kind), width=width, color_scheme=scheme)
        assert serious_faults(page) == []
        page.close()


def test_axe_finds_a_planted_fault(browser: Any, site: Path) -> None:
    page = open_page(browser, path_of(site, "data.html"))
    page.evaluate("document.querySelector('main p, main caption').style.color = 'silver'")
    assert any("color-contrast" in fault for fault in serious_faults(page))


def test_printed_pages_show_all_columns(browser: Any, site: Path) -> None:
    a4 = 718  # pixels between margins of 1 cm at 96 dots an inch
    for kind in KINDS:
        page = open_page(browser, path_of(site, kind), width=a4)
        page.emulate_media(media="print")
        assert hidden_width(page) <= 0, kind
        cut = page.evaluate(
            "[...document.querySelectorAll('main table')].filter((table) => table.getClientRects().length && "
            "table.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"
        )
        assert cut == 0, kind
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.close()


def test_without_scripts_every_table_is_there(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path_of(site, "index.html").as_uri())
    assert "What was found" in page.inner_text("main")
    assert page.locator("main table tbody tr").count() > 3
    context.close()


def test_a_number_leads_to_its_trials_and_back(browser: Any, site: Path) -> None:
    page = open_page(browser, path_of(site, "studies/fig2.html"))
    number = page.locator("main td a[href*='cells/']").first
    number.click()
    page.wait_for_load_state()
    assert "/cells/" in page.url
    page.locator("main a[href*='studies/fig2.html']").first.click()
    page.wait_for_load_state()
    assert page.url.endswith("studies/fig2.html")
    assert page.problems == []


def test_published_claims_are_filtered_by_words_and_verdict(browser: Any) -> None:
    page = browser.new_page()
    lines = (("agrees", "CLMR on MTAT"), ("differs", "CLMR on GTZAN"), ("agrees", "PASE on GTZAN"))
    rows = "".join(f'<tr data-verdict="{verdict}"><td>{text}</td></tr>' for verdict, text in lines)
    page.set_content(f'<div id="claims"><details><div class="scroll"><table>{rows}</table></div></details></div>')
    page.add_script_tag(path=str(TEMPLATES / "site" / "reproduction.js"))
    page.fill("form.filters input", "clmr on")
    assert page.inner_text("form.filters output") == "2 of 3 lines"
    page.select_option("form.filters select", "differs")
    assert page.locator("tr:visible").all_inner_texts() == ["CLMR on GTZAN"], "the folded part is opened"
    page.fill("form.filters input", "pase")
    assert page.locator("tr:visible").count() == 0
    page.close()
