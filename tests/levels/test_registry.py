"""The level loader."""

from __future__ import annotations

import pytest

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry


def test_an_unknown_level_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=r"unknown encoder 'wavenet'; allowed: .*pase"):
        registry.load("encoder", "wavenet")


def test_options_name_a_wrong_key_and_the_allowed_ones() -> None:
    head = registry.load("head", "linear")
    assert registry.options(head, {"standardise": False}).standardise is False
    with pytest.raises(UserError, match=r"options of linear: unknown key 'width'; allowed: standardise"):
        registry.options(head, {"width": 3})


def test_an_entry_is_a_level_with_options() -> None:
    section = {"pase": None, "floor": {"level": "pase", "width": 0.5, "trained": False, "label": "untrained"}}
    assert registry.entry(section, "pase") == registry.Entry(level="pase")
    expected = registry.Entry(level="pase", options={"width": 0.5}, label="untrained", trained=False)
    assert registry.entry(section, "floor") == expected
    assert section["floor"] == {"level": "pase", "width": 0.5, "trained": False, "label": "untrained"}
