"""The documentation: short, linked, and in step with what runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.levels.contracts import CONTRACTS
from workflow_scripts.networks.interfaces import Batch
from workflow_scripts.planning.plan import Plan

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FILE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|ya?ml|smk))`")
BASES = (".", "workflow_scripts", "workflow_scripts/statistics")  # folders that names of files begin from
TEMPLATES = ("tiny.py", "mine.py")  # written by the reader
WIDTH = 120  # columns of text; tables and pictures cannot be wrapped
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
HEADING_LINK = re.compile(r"\]\(([^):#]*)#([^)]+)\)")


def plan(folder: Path, *configfiles: str) -> None:
    """Dry-run the workflow in a folder with these configs; fails unless they are valid."""
    (folder / "config").symlink_to(REPOSITORY / "config")
    command = [sys.executable, "-m", "snakemake", "--cores=1", "-n", "--quiet", "all", "--configfile", *configfiles]
    command += ["--snakefile", str(REPOSITORY / "Snakefile")]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_config_in_the_readme_is_valid(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown.splitlines()) <= 10
    mine = tmp_path / "mine.yaml"
    mine.write_text(shown, encoding="utf-8")
    clips = [f"{folder}/{number}.wav" for folder in ("unlabelled", "styles/a", "styles/b") for number in range(20)]
    for clip in clips:
        (tmp_path / "recordings" / clip).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recordings" / clip).touch()
    plan(tmp_path, "config/own_recordings.yaml", str(mine))


def test_each_way_to_a_row_for_an_encoder_is_a_valid_config_of_few_lines(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "own-encoder.md").read_text(encoding="utf-8").partition("## Files that import")[0]
    start, *ways = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "start.yaml").write_text(start, encoding="utf-8")
    encoders = []
    for number, way in enumerate(ways):
        assert len((start + way).splitlines()) <= 10
        (tmp_path / f"{number}.yaml").write_text(way, encoding="utf-8")
        files = [REPOSITORY / "config/config.yaml", REPOSITORY / "config/own_recordings.yaml", tmp_path / "start.yaml"]
        plan = Plan(*load([*files, tmp_path / f"{number}.yaml"], folder=REPOSITORY / "config"))
        encoders.append({run.encoder for run in plan.imported_runs})
    assert encoders == [{"musicnn", "pase_plus"}, {"hear"}, {"transformers"}, {"module"}]


def test_configs_for_recordings_are_short() -> None:
    for name in ("own_recordings", "own_recordings_clmr"):
        assert len((REPOSITORY / f"config/{name}.yaml").read_text(encoding="utf-8").splitlines()) <= 40


def templates(page: str, *names: str, monkeypatch: pytest.MonkeyPatch) -> list[ModuleType]:
    """Make modules of these names from the first Python blocks of a page, as if copied to files."""
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    modules = []
    for name, block in zip(names, blocks, strict=False):
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(block, module.__dict__)
        modules.append(module)
    return modules


def test_the_template_of_an_encoder_keeps_its_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("workflow_scripts.encoders.tiny", "workflow_scripts.networks.tiny")
    level, _ = templates("own-encoder.md", *names, monkeypatch=monkeypatch)
    assert not CONTRACTS["encoder"].missing(level)
    options = level.Options(width=8)
    network = level.build(options)
    assert (network.sample_rate, network.hop) == (level.sample_rate(options), level.hop(options))
    assert network(torch.zeros(2, 16000)).shape == (2, 8, 100)


def test_the_template_of_a_worker_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    (level,) = templates("extending.md", "workflow_scripts.workers.mine", monkeypatch=monkeypatch)
    assert not CONTRACTS["worker"].missing(level)
    worker = level.build(level.Options(), embedding_size=8)
    audio = torch.randn(2, 16000)
    loss = worker.loss(torch.randn(2, 8, 100), Batch(clean=audio, audio=audio))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in worker.parameters())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    missing = [link for link in targets if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    for target, heading in HEADING_LINK.findall(page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")]
        assert heading in [re.sub(r"[^\w -]", "", line).replace(" ", "-") for line in headings], (target, heading)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    names = [name for name in FILE.findall(page.read_text(encoding="utf-8")) if not name.endswith(TEMPLATES)]
    assert not [name for name in names if not any((REPOSITORY / base / name).exists() for base in BASES)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_wrapped(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if len(line) > WIDTH and not line.startswith(("|", "!["))]


def test_the_index_lists_every_page() -> None:
    linked = set(LINK.findall((REPOSITORY / "docs/index.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES if page.parent == REPOSITORY / "docs"} - linked == {"index.md"}


def test_the_citation_names_a_released_version_with_its_date() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert citation.get("version", version) == version
    assert ("version" in citation) == ("date-released" in citation)
