"""Planning imports no network library, so a dry run takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.checkout import REPOSITORY

HEAVY = ("torch", "torchaudio", "timm", "transformers")
PROGRAM = """
import sys
from pathlib import Path
from workflow_scripts.configuration.load import load
from workflow_scripts.planning import costs
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan

files = [Path(file) for file in sys.argv[1:]]
plan = Plan(*load(files, folder=files[0].parent))
build_manifest(plan)
costs.estimate_costs(plan, [])
print([name for name in {heavy} if name in sys.modules])
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "config").glob("*.yaml")))
def test_planning_a_config_imports_no_network_library(name: str) -> None:
    files = [str(REPOSITORY / "config" / f"{file}.yaml") for file in dict.fromkeys(("config", name))]
    command = [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *files]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
