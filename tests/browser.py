"""Debian's Chromium, headless, for pages that open from `file://`."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERIOUS = ("serious", "critical")  # impacts of axe-core


@contextmanager
def run_browser() -> Iterator[Any]:
    """Run the browser; skip the test with a reason where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def open_page(browser: Any, path: Path, *, width: int = 1300, height: int = 900, **options: Any) -> Any:
    """Open a file; `problems` of the page lists errors of scripts, messages of errors, and requests of the network."""
    page = browser.new_page(accept_downloads=True, viewport={"width": width, "height": height}, **options)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: page.problems.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page


def hidden_width(page: Any) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def serious_faults(page: Any) -> list[str]:
    """Return the serious faults of accessibility that axe-core finds; skip the test where it is not installed."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("needs axe-playwright-python, which holds axe-core")
    page.add_style_tag(content=".scroll { background-image: none !important }")  # behind it axe knows no contrast
    page.add_script_tag(path=Path(package.origin).with_name("axe.min.js"))
    violations = page.evaluate("axe.run({ preload: false }).then((results) => results.violations)")
    return [
        f"{fault['id']}: {node['html'][:150]} {node['failureSummary'][:300]}"
        for fault in violations
        if fault["impact"] in SERIOUS
        for node in fault["nodes"][:3]
    ]
