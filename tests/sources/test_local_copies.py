"""Users' folders that changed since they were read are told, with the command that reads only these again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.checkout import REPOSITORY
from workflow_scripts import acquire, status
from workflow_scripts.configuration.load import load
from workflow_scripts.planning.plan import Plan
from workflow_scripts.sources import local_copies

CONFIGS = REPOSITORY / "config"
OWN = {
    "data": "my data",
    "trim": {"own_recordings": {"dataset": ["styles", "takes"]}},
    "datasets": {
        "unlabelled": {"path": "recordings/unlabelled"},
        "styles": {"path": "recordings/styles"},
        "takes": {
            **{"loader": "folder", "source": "local", "path": "recordings/takes"},
            "options": {"labels": "csv", "csv": "recordings/labels.csv"},
        },
    },
}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Plan on three folders and a csv beside them that have been acquired."""
    monkeypatch.chdir(tmp_path)
    rows = ["path,labels"]
    for number in range(6):
        write(f"recordings/unlabelled/{number}.wav", "audio")
        write(f"recordings/styles/{'ab'[number % 2]}/{number}.wav", "audio")
        write(f"recordings/takes/{number}.wav", "audio")
        rows.append(f"takes/{number}.wav,{'piano organ'.split()[number % 2]}")
    write("recordings/labels.csv", "\n".join(rows))
    write("mine.yaml", yaml.safe_dump(OWN))
    files = [CONFIGS / "config.yaml", CONFIGS / "own_recordings.yaml", Path("mine.yaml")]
    plan = Plan(*load(files, folder=CONFIGS))
    for dataset in OWN["datasets"]:
        job, folder = plan.jobs.acquire(dataset), f"my data/{dataset}"
        acquire.main(["--config", job.config, "--code", job.code, "--output", folder])
    return plan


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def describe_changes(plan: Plan, *words: str, patience: float = float("inf")) -> list[str]:
    command = ["snakemake", *words, "--configfile", "mine.yaml"]
    return local_copies.describe_changes(plan, command=command, configs=[Path("mine.yaml")], patience=patience)


def edit_later(path: str) -> None:
    """Change a file and keep its size."""
    os.utime(path, (2e9, 2e9))


def exchange() -> None:
    """Exchange the names of two files of equal length and time."""
    one, other, kept = (Path("recordings/styles/a") / name for name in ("0.wav", "2.wav", "kept"))
    one.rename(kept)
    other.rename(one)
    kept.rename(other)


CHANGES: dict[str, tuple[Callable[[], object], str, str]] = {
    "added": (lambda: write("recordings/styles/a/7.wav", "new"), "styles", "6 files then, 7 now"),
    "deleted": (lambda: Path("recordings/styles/a/0.wav").unlink(), "styles", "6 files then, 5 now"),
    "class deleted": (lambda: shutil.rmtree("recordings/styles/a"), "styles", "6 files then, 3 now"),
    "renamed": (
        lambda: Path("recordings/styles/a").rename("recordings/styles/c"),
        "styles",
        "other names, sizes or labels",
    ),
    "longer": (lambda: write("recordings/styles/a/0.wav", "longer audio"), "styles", "other names, sizes or labels"),
    "same size": (lambda: edit_later("recordings/styles/a/0.wav"), "styles", "files were written again, or exchanged"),
    "older": (
        lambda: os.utime("recordings/styles/a/0.wav", (1e9, 1e9)),
        "styles",
        "files were written again, or exchanged",
    ),
    "exchanged": (exchange, "styles", "files were written again, or exchanged"),
    "label corrected": (
        lambda: write("recordings/labels.csv", Path("recordings/labels.csv").read_text().replace("organ", "flute")),
        "takes",
        "other names, sizes or labels",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_told_in_one_line_with_the_command_that_reads_only_this_folder_again(plan: Plan, kind: str) -> None:
    write("recordings/styles/.DS_Store", "of a file manager")
    assert describe_changes(plan) == []
    change, dataset, text = CHANGES[kind]
    change()
    assert describe_changes(plan, "-n") == [
        f"your files have changed since they were read: {dataset} ({text}); to read only these again: "
        f"snakemake --configfile mine.yaml --forcerun 'my data/{dataset}/acquired.json'"
    ]


SILENT = (
    "--forcerun {record}",
    "-R {record} --quiet",
    "--forcerun=acquire",
    "-R prepare acquire",
    "-F",
    "-nF",
    "-nR acquire",
    "--forceall",
)


@pytest.mark.parametrize("words", SILENT)
def test_a_command_that_reads_a_changed_folder_again_says_nothing(plan: Plan, words: str) -> None:
    write("recordings/styles/a/7.wav", "new")
    command = [word.format(record="my data/styles/acquired.json") for word in words.split()]
    assert describe_changes(plan, *command) == []


#: words of a command, and those that the command in the line keeps
KEPT = {
    "--until acquire": "--until acquire",
    "acquire": "acquire",
    "-np": "-p",
    "-pnk -c2": "-p -k -c2",
    "-n -p": "-p",
    "-nqj4": "-qj4",
    "-nc4": "-c4",
}


@pytest.mark.parametrize("words", KEPT)
def test_a_command_that_may_not_read_it_again_is_told_without_its_dry_run(plan: Plan, words: str) -> None:
    write("recordings/styles/a/7.wav", "new")
    (line,) = describe_changes(plan, *words.split())
    assert line.endswith(f": snakemake {KEPT[words]} --configfile mine.yaml --forcerun 'my data/styles/acquired.json'")


def test_several_folders_share_a_line_and_those_that_run_anyway_are_left_out(plan: Plan) -> None:
    for folder in ("unlabelled", "styles/a", "takes"):
        write(f"recordings/{folder}/new.wav", "new")
    Path("my data/takes/acquired.json").unlink()
    (line,) = describe_changes(plan)
    assert line.endswith("--forcerun 'my data/styles/acquired.json' 'my data/unlabelled/acquired.json'")


def test_folders_too_large_to_compare_at_the_start_are_not_read_again_but_compared_by_status(plan: Plan) -> None:
    (line,) = describe_changes(plan, patience=0)
    assert line == (
        "not compared within 0 s: styles, takes, unlabelled; "
        ".venv/bin/python -m workflow_scripts.status --configfile mine.yaml says whether they changed"
    )


def test_a_folder_that_is_gone_stops_nothing(plan: Plan) -> None:
    shutil.rmtree("recordings/styles")
    assert describe_changes(plan) == []


def test_status_and_the_start_of_a_run_tell_changes(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    write("recordings/styles/a/7.wav", "new")
    configs = ["--configfile", str(CONFIGS / "own_recordings.yaml"), "mine.yaml"]
    with pytest.raises(SystemExit):
        status.main(configs)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Changed: "))
    assert line.endswith(f"{' '.join(configs)} --forcerun 'my data/styles/acquired.json'")
    Path("config").symlink_to(CONFIGS)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "-n", *configs]
    run = subprocess.run([*command, "--quiet", "all"], capture_output=True, text=True, check=False)
    assert "prelude: note: your files have changed since they were read: styles (6 " in run.stderr, run.stderr
