"""Recipes of the image, which agree with each other and with the Makefile, and jobs that run inside it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY
from tests.cluster.repository_copy import copy_repository
from workflow_scripts.configuration import outside_paths
from workflow_scripts.core.errors import UserError

FOLDER = REPOSITORY / "containers"
#: stands in for Apptainer: an image is a folder whose programs come first; hides nothing of the machine
APPTAINER = """#!/bin/sh
[ "$1" = --version ] && { echo apptainer version 1.4.0; exit; }
while [ $# -gt 4 ]; do
    [ "$1" = --nv ] && export WITH_GPUS=yes
    shift
done
[ "$2 $3" = "bash -c" ] || { echo "apptainer: not understood: $*" >&2; exit 255; }
PATH="$1/bin:$PATH" exec bash -c "$4"
"""
PYTHON = """#!/bin/sh
echo "$WITH_GPUS|$PRELUDE_JOB_SERVER|$APPTAINER_BIND" >> "$(dirname "$0")/calls"
exec {python} "$@"
"""
CONFIG = """
{{scale: tiny, studies: [own_recordings], data: data, results: results,
 datasets: {{tones: {{loader: folder, source: local, path: {path}, options: {{labels: folders}}}}}},
 trim: {{own_recordings: {{corpus: [tones], dataset: [tones], floors: [], checkpoints: [], comparisons: []}}}}}}
"""
CONFIGS = ("config/own_recordings.yaml", "mine.yaml")


def read_dockerfile() -> dict[str, list[str]]:
    """Read the values of each instruction, those over several lines joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    steps: dict[str, list[str]] = {}
    for line in re.findall(r"^[A-Z]+ .+", text, re.M):
        instruction, _, value = line.partition(" ")
        steps.setdefault(instruction, []).append(" ".join(value.split()))
    return steps


def read_definition() -> dict[str, list[str]]:
    """Read the lines of each section, and those of the header under an empty name; comments are left out."""
    sections: dict[str, list[str]] = {"": []}
    lines = sections[""]
    for line in (FOLDER / "prelude.def").read_text(encoding="utf-8").splitlines():
        if line.startswith("%"):
            lines = sections.setdefault(line[1:], [])
        elif line.strip() and not line.strip().startswith("#"):
            lines.append(line.strip())
    return sections


def test_both_recipes_have_the_same_steps() -> None:
    docker, definition = read_dockerfile(), read_definition()
    assert set(docker) == {"FROM", "RUN", "COPY", "ENV"}
    assert set(definition) == {"", "files", "post", "environment"}
    assert definition[""] == ["Bootstrap: docker", f"From: {docker['FROM'][0]}"]
    assert definition["post"] == [step for run in docker["RUN"] for step in run.split(" && ")]
    copies = [(name, words[-1]) for copy in docker["COPY"] for words in [copy.split()] for name in words[:-1]]
    assert copies == [tuple(line.split()) for line in definition["files"]]
    assert definition["environment"] == [f"export {value}" for value in docker["ENV"]]


def test_the_recipes_copy_what_the_installation_reads_and_nothing_else() -> None:
    needed = {"pyproject.toml", "constraints.txt", "README.md", "containers/install.sh"}
    assert {line.split()[0] for line in read_definition()["files"]} == needed
    assert all((REPOSITORY / name).is_file() for name in needed)


def test_the_makefile_installs_as_the_recipes_do() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "VENV=nowhere", "PYTHON=python3.11", "nowhere/installed"]
    commands = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    assert commands == ["PYTHON=python3.11 sh containers/install.sh nowhere", "touch nowhere/installed"]
    (step,) = [step for step in read_definition()["post"] if "install.sh" in step]
    place = "/opt/prelude"
    assert shlex.split(step) == ["PIP_NO_CACHE_DIR=1", "sh", f"{place}/project/containers/install.sh", f"{place}/venv"]
    assert read_definition()["environment"] == [f"export PATH={place}/venv/bin:$PATH"]


def test_the_installation_takes_the_named_versions_and_refuses_an_old_python(tmp_path: Path) -> None:
    """With a Python that notes its arguments: the real installation is what built the environment of this test."""
    calls = tmp_path / "calls"
    for name in ("python", "environment/bin/pip", "environment/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$(basename $0) $* in $PWD" >> {calls}\nexit $OLD\n')
        (tmp_path / name).chmod(0o755)

    def install(**environment: str) -> int:
        command = ["sh", FOLDER / "install.sh", tmp_path / "environment"]
        python = {"PYTHON": str(tmp_path / "python"), **environment}
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, **python}, check=False).returncode

    assert install() == 0
    lines = calls.read_text().splitlines()
    assert lines[1:] == [
        f"python -m venv {tmp_path}/environment in {REPOSITORY}",
        "pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .[dev] "
        f"in {REPOSITORY}",
        f"python -c import librosa in {REPOSITORY}",
    ]
    assert "3, 11" in lines[0]
    calls.unlink()
    assert install(OLD="1") == 1
    assert len(calls.read_text().splitlines()) == 1


def test_paths_outside_the_working_folder_are_named_for_the_image(tmp_path, monkeypatch) -> None:
    folder, music, disk = (tmp_path / name for name in ("run", "music", "disk"))
    for path in (folder, music, disk / "data", tmp_path / "home/own"):
        path.mkdir(parents=True)
    (folder / "data").symlink_to(disk / "data")
    (folder / "results").mkdir()
    (folder / "list.csv").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = {"data": "data", "results": "results", "scale": "tiny", "top": "/", "count": 3, "none": None}
    config |= {"sets": [{"path": str(music), "list": "list.csv"}, {"path": "~/own"}, {"path": str(tmp_path / "gone")}]}
    expected = sorted([music, disk / "data", tmp_path / "home/own"])
    assert outside_paths.outside_paths(config, folder=folder) == expected
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setenv(outside_paths.VARIABLE, f"{tmp_path}/of_another_node,{music}:/music")
    outside_paths.bind({"path": str(music)})
    outside_paths.bind({"path": str(music)})
    assert os.environ[outside_paths.VARIABLE] == f"{music}:/music,{disk},{music}"
    (tmp_path / "AC:DC").mkdir()
    with pytest.raises(UserError, match="no path with a comma or a colon"):
        outside_paths.bind([str(tmp_path / "AC:DC")])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Copy the repository, beside own recordings; a program that stands in for Apptainer is in `bin`."""
    folder = tmp_path_factory.mktemp("image")
    for kind in ("low", "high"):
        for number in range(6):
            write_tone(folder / f"tones/{kind}/{number}.wav", 1.0, pitch=220 + number)
    copy_repository(folder / "prelude")
    (folder / "prelude/mine.yaml").write_text(CONFIG.format(path=folder / "tones"))
    (folder / "bin").mkdir()
    (folder / "bin/apptainer").write_text(APPTAINER)
    (folder / "bin/apptainer").chmod(0o755)
    return folder / "prelude"


def snakemake(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--profile=config/profiles/local", "--cores=1", *arguments]
    path = f"{checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*command, "--configfile", *CONFIGS],
        cwd=checkout,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_jobs_run_in_the_image_and_neither_with_nor_without_it_again(checkout: Path) -> None:
    target, in_image = "data/tones/acquired.json", ("--workflow-profile", "config/profiles/apptainer")
    missing = snakemake(checkout, target, *in_image)
    assert missing.returncode == 1
    image = checkout / "containers/prelude.sif"
    assert f"prelude: {image} is missing: build the image" in missing.stderr
    (image / "bin").mkdir(parents=True)
    (image / "bin/python3").write_text(PYTHON.format(python=shlex.quote(sys.executable)))
    (image / "bin/python3").chmod(0o755)
    for flags, others in ((), in_image), (in_image, ()):
        (checkout / target).unlink(missing_ok=True)
        done = snakemake(checkout, target, *flags)
        assert done.returncode == 0, done.stderr
        assert (image / "bin/calls").exists() == bool(flags)
        again = snakemake(checkout, target, "--dry-run", *others)
        assert "Nothing to be done" in again.stdout + again.stderr, again.stdout
    with_gpus, server, bound = (image / "bin/calls").read_text().strip().split("|")
    assert (with_gpus, server) == ("yes", "")  # a server of jobs would run them outside the image
    assert str(checkout.parent / "tones") in bound.split(",")
