"""A mistake behind --configfile ends in one line, before Snakemake reads the files and ends in a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.profiles import ProfileConfigFileParser

from tests.checkout import REPOSITORY

#: those that stand alone: `apptainer` is used beside one of them
PROFILES = [REPOSITORY / "config/profiles" / name / "config.yaml" for name in ("local", "slurm")]
MISTAKES = {
    "misspelt": (["--configfile", "config/demoo.yaml"], "no such file (did you mean config/demo.yaml?)"),
    "misspelt behind an equals sign": (["--configfile=config/demoo.yaml"], "no such file (did you mean"),
    "no name near it": (["--configfile", "oven.yaml", "-n"], "no such file"),
    "without its folder": (["--configfile", "demo.yaml", "-n"], "no such file (did you mean config/demo.yaml?)"),
    "second of two": (["--configfiles", "config/demo.yaml", "mine.yaml"], "mine.yaml: no such file"),
    "rule as target": (
        ["--configfile", "config/demo.yaml", "prepare"],
        "prepare follows --configfile but is no config file (.yaml or .yml): put targets before it",
    ),
    "file as target": (
        ["--configfile", "config/demo.yaml", "CITATION.cff", "--quiet"],
        "snakemake CITATION.cff --conf",
    ),
    "folder": (["--configfile", "config"], "config follows --configfile"),
    "folder with the name of a file": (["--configfile", "folder.yaml"], "folder.yaml: cannot be read as YAML"),
    "no YAML": (["--configfile", "tab.yaml"], "tab.yaml: cannot be read as YAML: line 2 begins with a tab"),
    "of another encoding": (["--configfile", "utf16.yaml"], "utf16.yaml: cannot be read as YAML"),
    "a list": (["--configfile", "list.yaml"], "list.yaml: must hold keys and their values"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config", "CITATION.cff"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "tab.yaml").write_text("a:\n\tb: 1\n")
    (tmp_path / "utf16.yaml").write_text("scale: mine\n", encoding="utf-16")
    (tmp_path / "list.yaml").write_text("- a\n")
    monkeypatch.chdir(tmp_path)


def read_profile(profile: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Read a profile as Snakemake does when it is called with these arguments."""
    monkeypatch.setattr(sys, "argv", ["snakemake", "--profile", str(profile.parent), *arguments])
    with profile.open(encoding="utf-8") as stream:
        return dict(ProfileConfigFileParser().parse(stream))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(
    mistake: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = MISTAKES[mistake]
    with pytest.raises(SystemExit) as stopped:
        read_profile(PROFILES[0], arguments, monkeypatch)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prelude: ")
    assert message in line
    assert ("did you mean" in line) == ("did you mean" in message)
    assert stopped.value.code == 2


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.parent.name)
def test_every_profile_checks_the_config_files_and_keeps_its_own_settings(
    profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_profile(profile, ["results/x.csv", "--configfile", "config/demo.yaml", "-n"], monkeypatch)
    assert settings["keep-going"] == "True"
    assert not any(key.startswith("__") for key in settings)
    with pytest.raises(SystemExit):
        read_profile(profile, ["--configfile", "none.yaml"], monkeypatch)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", "--no-print-directory", "run", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_make_run_puts_targets_and_flags_before_the_config() -> None:
    assert make("CONFIG=mine.yaml", "ARGS=prepare -n").stdout.splitlines()[-1] == (
        ".venv/bin/snakemake prepare -n --profile config/profiles/local --configfile mine.yaml --quiet rules"
    )
    nameless = make("VENV=nowhere")
    assert "name a config: make run CONFIG=config/demo.yaml" in nameless.stderr
    assert "install.sh" not in nameless.stdout, "nothing is installed before"
    assert "install.sh" in make("VENV=nowhere", "CONFIG=mine.yaml").stdout
