"""The lowest and the newest versions that pyproject.toml allows run the smallest DAG, each in its own environment.

pip installs only what differs from the environment of the tests, which the others see: torch alone takes gigabytes, so
it stays the tested one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY

NUMBER = r"\d+(?:\.\d+)*"
TORCH = ("torch", "torchaudio", "torchvision")
DEPENDENCIES = [
    dependency
    for dependency in tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "dependencies"
    ]
    if not dependency.startswith(TORCH)
]
LOWEST = [re.sub(r"(>=|==)([\d.]+).*", r"==\2", dependency) for dependency in DEPENDENCIES]
CONFIG = {
    **{"scale": "tiny", "data": "data", "results": "results", "studies": ["own_recordings"]},
    "trim": {
        "own_recordings": {
            **{"corpus": ["tones"], "workers": ["L"], "recipe": ["tiny"], "dataset": ["tones"]},
            **{"floors": [], "comparisons": [], "checkpoints": []},
        }
    },
    "datasets": {"tones": {"loader": "folder", "source": "local", "path": "tones", "options": {"labels": "folders"}}},
    "encoders": {"pase": {"embedding": 8, "width": 0.05}},
    "worker_sets": {"L": ["lps"]},
    "recipes": {
        "tiny": {
            **{"epochs": 1, "steps_per_epoch": 2, "batch": 2, "chunk_seconds": 0.5, "schedule": "poly"},
            **{"encoder_learning_rate": 0.001, "worker_learning_rate": 0.001},
        }
    },
    "protocols": {"wu2021": {"trials": 2, "max_epochs": 2}},
}


def run(*command: str | Path, folder: Path, seconds: float = 900) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def build_environment(folder: Path, requirements: list[str]) -> Path:
    """Build an environment in which these requirements hide those of this one; return its Python.

    Skips the test where pip finds no packages.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "tested.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1"]
    probe = run(*pip, "download", "--quiet", "--no-deps", "--dest", folder, "yte", folder=folder)
    if probe.returncode:
        pytest.skip(f"pip finds no packages: {probe.stderr.strip().splitlines()[-1]}")
    install = run(
        *(*pip, "--python", python, "install", "--quiet", "--no-compile", "--upgrade", *requirements), folder=folder
    )
    assert install.returncode == 0, install.stderr[-3000:]
    return python


@pytest.mark.slow
@pytest.mark.parametrize("requirements", [LOWEST, DEPENDENCIES], ids=["lowest", "newest"])
def test_the_smallest_dag_runs_with_the_versions(requirements: list[str], tmp_path: Path) -> None:
    python = build_environment(tmp_path / "environment", requirements)
    for kind, pitch in (("low", 220), ("high", 880)):
        for number in range(6):
            write_tone(tmp_path / "tones" / kind / f"{number}.wav", 1.0, pitch=pitch + number)
    (tmp_path / "config").symlink_to(REPOSITORY / "config")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")

    flags = ["--snakefile", REPOSITORY / "Snakefile", "--profile", "config/profiles/local", "--cores", "2"]
    result = run(python, "-m", "snakemake", *flags, "--configfile", "tiny.yaml", folder=tmp_path)

    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    assert len(pd.read_csv(tmp_path / "results/tables/own_recordings.csv")) == 1
    (record,) = (tmp_path / "results/pretrained").rglob("record.json")
    versions = json.loads(record.read_text(encoding="utf-8"))["versions"]
    pins = dict(re.findall(rf"^([\w-]+)==({NUMBER})", "\n".join(requirements), re.MULTILINE))
    assert all(versions[name].startswith(pin) for name, pin in pins.items() if name in versions)


def test_the_tested_versions_are_allowed() -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").lower()
    pins = dict(re.findall(rf"^([\w.-]+)==({NUMBER})", constraints, re.MULTILINE))
    for dependency in DEPENDENCIES:
        name, lowest = re.match(rf"([\w-]+)[>=]=({NUMBER})", dependency).groups()
        assert numbers(pins[name]) >= numbers(lowest), dependency


def numbers(version: str) -> list[int]:
    return list(map(int, version.split(".")))
