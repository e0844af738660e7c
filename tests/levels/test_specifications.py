"""Levels are specifications: importing them needs no network library, and they describe their options."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.levels import registry
from workflow_scripts.levels.options import LevelOptions

HEAVY = ("torch", "torchaudio", "timm", "transformers")
LABELLED = ("dataset", "worker", "augmentation")
LEVELS = [(factor, name) for factor in registry.FOLDERS for name in registry.names(factor)]
WITH_OPTIONS = [(factor, name) for factor, name in LEVELS if factor not in ("twin", "scenario")]


@pytest.mark.parametrize("factor", registry.FOLDERS)
def test_importing_every_level_imports_no_network_library(factor: str) -> None:
    program = f"""
import sys
from workflow_scripts.levels import registry
for name in registry.names({factor!r}):
    registry.load({factor!r}, name)
print([name for name in {HEAVY} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


@pytest.mark.parametrize(("factor", "name"), WITH_OPTIONS)
def test_every_option_is_typed_and_described(factor: str, name: str) -> None:
    options = registry.load(factor, name).Options
    assert issubclass(options, LevelOptions)
    assert [field for field, info in options.model_fields.items() if not info.description] == []


@pytest.mark.parametrize(("factor", "name"), [level for level in LEVELS if level[0] in LABELLED])
def test_every_level_states_its_label(factor: str, name: str) -> None:
    assert registry.load(factor, name).LABEL
