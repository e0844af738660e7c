"""Planning imports no library that computes or draws, so a dry run takes seconds."""

from __future__ import annotations

import subprocess
import sys

from tests.checkout import REPOSITORY

HEAVY = ("torch", "torchaudio", "timm", "transformers", "matplotlib", "scipy.special", "sklearn", "pandas.core")
PROGRAM = """
import sys
from pathlib import Path
from workflow_scripts.configuration.load import load
from workflow_scripts.planning import costs
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan

folder = Path("config")
for name in sorted(path.name for path in folder.glob("*.yaml")):
    plan = Plan(*load([folder / file for file in dict.fromkeys(("config.yaml", name))], folder=folder))
    build_manifest(plan)
    costs.estimate_costs(plan, [])
    print(name, [name for name in {heavy} if name in sys.modules])
"""


def test_planning_the_shipped_configs_imports_nothing_heavy() -> None:
    command = [sys.executable, "-c", PROGRAM.format(heavy=HEAVY)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    planned = [f"{path.name} []" for path in sorted((REPOSITORY / "config").glob("*.yaml"))]
    assert len(planned) > 5
    assert run.stdout.splitlines() == planned, run.stdout + run.stderr
