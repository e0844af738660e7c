"""Configs that would run commands, and a study's tolerance of broken clips, through Snakemake itself."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.yaml_files import read_yaml
from workflow_scripts.core.errors import UserError

PAPER = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
#: every letter that means something to a shell, to Snakemake's format strings, or to both
ODD = "a b'c\"d;touch ran;$(touch ran)`touch ran`&|x#*?~%s\\ !\n-rf"
NAMES = ("a;b", "a b", "$(touch ran)", "`x`", "a/b", "../a", "a\nb", "{a}", "-rf", "", ".", "a'b")


@pytest.mark.parametrize("section", ["datasets", "encoders", "worker_sets", "recipes", "heads"])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_become_paths_are_plain(section: str, name: str) -> None:
    config = copy.deepcopy(PAPER)
    config[section][name] = next(iter(config[section].values()))
    with pytest.raises(UserError, match="has the wrong form") as caught:
        load([], folder=REPOSITORY / "config", merged=config)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["../config/config", "/etc/passwd", "a;b"])
def test_a_study_is_one_of_the_folder(name: str) -> None:
    with pytest.raises(UserError, match="unknown study"):
        load([], folder=REPOSITORY / "config", merged=PAPER | {"studies": [name], "trim": {}})


def test_yaml_makes_no_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text('scale: !!python/object/apply:os.system ["touch ran"]\n')
    with pytest.raises(UserError, match="cannot be read as YAML"):
        read_yaml(Path("a.yaml"))
    assert not Path("ran").exists()


def snakemake(folder: Path, config: dict[str, Any] | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the workflow in `folder`, which uses the repository's Snakefile and config."""
    if not (folder / "config").exists():
        (folder / "config").symlink_to(REPOSITORY / "config")
    text = config if isinstance(config, str) else yaml.safe_dump(config)
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores=1"]
    flags = ["--scheduler=greedy", "--configfile", "own.yaml", "--show-failed-logs", *arguments]
    given = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *flags], cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=given
    )


def own_config(home: Path, *, largest_share: float) -> dict[str, Any]:
    recordings = {"loader": "folder", "source": "local", "path": str(home / "recordings")}
    return {
        **{
            "scale": "test",
            "data": str(home / "data"),
            "results": str(home / "results"),
            "studies": ["own_recordings"],
        },
        "trim": {"own_recordings": {"dataset": ["labelled"], "quarantine": {"largest_share": largest_share}}},
        "datasets": {"unlabelled": recordings, "labelled": {**recordings, "options": {"labels": "folders"}}},
        "worker_sets": {"LMCT": ["lps", "mfcc", "chroma", "tempogram"]},
        "recipes": {
            "short": {
                **{"epochs": 1, "batch": 2, "chunk_seconds": 0.25, "schedule": "poly"},
                **{"encoder_learning_rate": 0.001, "worker_learning_rate": 0.001},
            }
        },
    }


@pytest.mark.slow
def test_odd_paths_run_nothing_and_a_study_stops_at_its_share_of_broken_clips(tmp_path: Path) -> None:
    home = tmp_path / ODD
    for kind in ("loud", "quiet"):
        for number in range(3):
            write_tone(home / "recordings" / kind / f"c{number} $(touch ran);`touch ran`.wav", 0.5, pitch=300 + number)
    (home / "recordings" / "loud" / "page.wav").write_bytes(b"<html>Sign in</html>")
    target = f"{home}/results/embeddings/none/handcrafted/none/none/none/none/seed0/labelled.npy"

    beyond = snakemake(tmp_path, own_config(home, largest_share=0.1), "--", target)
    assert beyond.returncode == 1, beyond.stdout + beyond.stderr
    messages = [line for line in (beyond.stdout + beyond.stderr).splitlines() if "prelude: " in line]
    assert len(messages) == 1, beyond.stderr
    assert "labelled: 1 of 7 clips (14.3%) are quarantined and a study tolerates 10.0%" in messages[0]
    assert "1 not_audio such as loud/page.wav" in messages[0]
    corpus = home / "results/corpora/labelled/16000/corpus.json"
    prepared = corpus.stat().st_mtime_ns
    assert not Path(target).exists()

    within = snakemake(tmp_path, own_config(home, largest_share=0.2), "--", target)
    assert within.returncode == 0, within.stdout + within.stderr
    assert Path(target).is_file()
    assert corpus.stat().st_mtime_ns == prepared
    assert "rule prepare" not in within.stdout

    again = snakemake(tmp_path, own_config(home, largest_share=0.1), "--dry-run", "--", target)
    assert "Nothing to be done" in again.stdout + again.stderr
    assert not list(tmp_path.rglob("ran"))
    assert {path.name for path in tmp_path.iterdir()} == {ODD, "config", "own.yaml", ".snakemake"}


@pytest.mark.slow
def test_a_config_that_asks_yaml_for_code_is_refused_by_the_workflow(tmp_path: Path) -> None:
    result = snakemake(tmp_path, 'scale: !!python/object/apply:os.system ["touch ran"]\n', "--dry-run")
    assert result.returncode != 0
    assert not (tmp_path / "ran").exists()
