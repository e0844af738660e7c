"""Names of modules whose files are not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.core import source
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry, unimported

FACTORS = ("worker", "augmentation", "dataset")


@pytest.mark.parametrize(("factor", "name"), [(factor, name) for factor in FACTORS for name in registry.names(factor)])
def test_options_are_those_of_the_imported_file(factor: str, name: str) -> None:
    found = registry.options(unimported.level(factor, name), {})
    expected = registry.options(registry.load(factor, name), {})
    assert repr(found) == repr(expected)


def test_what_options_refuse_is_refused() -> None:
    with pytest.raises(UserError, match="neighbours must be an odd number of frames, not 2"):
        registry.options(unimported.level("worker", "lps"), {"neighbours": 2})


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    assert not hasattr(unimported.level("worker", "lps"), "HIDDEN")


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
from workflow_scripts.levels import registry, unimported
for factor in ("encoder", "worker", "augmentation", "head"):
    for name in registry.names(factor):
        registry.options(unimported.level(factor, name), {})
print([name for name in sys.modules if name in ("torch", "timm")])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_file_may_state_its_names_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / source.PACKAGE.name
    (package / "workers").mkdir(parents=True)
    (package / "core").mkdir()
    (package / "core" / "errors.py").write_text((source.PACKAGE / "core" / "errors.py").read_text())
    (package / "workers" / "mine.py").write_text(UNUSUAL)
    for module in (registry, source):
        monkeypatch.setattr(module, "PACKAGE", package)
    made = registry.options(unimported.Unimported("workflow_scripts.workers.mine"), {"size": 3})
    assert repr(made) == "Options(size=3)"
    with pytest.raises(UserError, match="size must be at most 4"):
        registry.options(unimported.Unimported("workflow_scripts.workers.mine"), {"size": 5})


UNUSUAL = """
import sys
from dataclasses import dataclass
from typing import ClassVar

from ..core.errors import UserError

if sys.maxsize:
    LARGEST = 4
else:
    LARGEST = 2
try:
    from nowhere import factor
except ImportError:
    factor = 1


@dataclass(frozen=True, kw_only=True)
class Options:
    largest: ClassVar[int] = LARGEST * factor
    size: int = 1

    def __post_init__(self):
        if self.size > self.largest:
            raise UserError(f"size must be at most {self.largest}")
"""
