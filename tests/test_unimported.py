"""Names of modules whose files are not imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workflow_scripts import levels, unimported
from workflow_scripts.errors import UserError

FACTORS = ("encoder", "worker", "weighting", "augmentation", "head", "dataset")


@pytest.mark.parametrize(("factor", "name"), [(factor, name) for factor in FACTORS for name in levels.names(factor)])
def test_options_are_those_of_the_imported_file(factor: str, name: str) -> None:
    found = levels.options(unimported.level(factor, name), {})
    expected = levels.options(levels.load(factor, name), {})
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("name", levels.names("encoder"))
def test_facts_that_are_computed_are_those_of_the_imported_file(name: str) -> None:
    imported, read = levels.load("encoder", name), unimported.level("encoder", name)
    for fact in ("HOP", "SAMPLE_RATE"):
        assert getattr(read, fact, None) == getattr(imported, fact, None)
    if levels.fact("encoder", name, "TRAINABLE"):
        assert imported.build(levels.options(imported, {"width": 0.125})).hop == read.HOP


def test_what_options_refuse_is_refused() -> None:
    with pytest.raises(UserError, match="neighbours must be an odd number of frames, not 2"):
        levels.options(unimported.level("worker", "lps"), {"neighbours": 2})


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    assert not hasattr(unimported.level("encoder", "handcrafted"), "HIDDEN")


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
from workflow_scripts import levels, unimported
for factor in ("encoder", "worker", "augmentation", "head"):
    for name in levels.names(factor):
        levels.options(unimported.level(factor, name), {})
unimported.level("encoder", "samplecnn_8000").HOP
print([name for name in sys.modules if name in ("torch", "numpy", "timm")])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
