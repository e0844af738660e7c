"""The page of configuration keys."""

from __future__ import annotations

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.document import render_page


def test_the_page_of_keys_is_in_step_with_the_models() -> None:
    page = (REPOSITORY / "config/README.md").read_text(encoding="utf-8")
    assert page == render_page(), "run: python -m workflow_scripts.configuration.document > config/README.md"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in render_page().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]
