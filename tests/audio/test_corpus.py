"""Error messages for folders that are no complete corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import write_corpus
from tests.pretraining_runs import config as pretrain_config
from tests.records import seal
from workflow_scripts import audit, embed, evaluate, extract, pretrain, weigh
from workflow_scripts.audio.corpus import Corpus, read_facts
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import FACTORS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "tones", clips=5, seconds=0.1)
    return tmp_path / "tones"


def read_all(folder: Path) -> None:
    """Open a corpus and read all of it."""
    corpus = Corpus(folder)
    assert len(corpus.labels) == len(corpus)
    assert len(corpus.samples)


def error_message(folder: Path) -> str:
    """Return the one-line message with which reading the corpus fails."""
    with pytest.raises(UserError) as caught:
        read_all(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("where", ["nowhere", "tones/audio.int16"])
def test_a_missing_corpus_is_named(folder: Path, where: str) -> None:
    assert "corpus.json is missing: prepare the data set first" in error_message(folder.parent / where)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"dataset": "tones"}', "\0"])
def test_damaged_facts_are_reported(folder: Path, content: str) -> None:
    (folder / "corpus.json").write_text(content)
    message = error_message(folder)
    assert message.startswith(f"{folder}/corpus.json ")
    assert message.endswith(f": delete {folder} and run again")


def test_facts_of_another_version_are_reported(folder: Path) -> None:
    seal(folder / "corpus.json", invented=1)
    with pytest.raises(UserError, match="of another version"):
        read_facts(folder)


@pytest.mark.parametrize("name", ["clips.parquet", "labels.parquet", "audio.int16"])
@pytest.mark.parametrize("left", [None, 0, 0.5, 0.98])
def test_incomplete_files_are_reported(folder: Path, name: str, left: float | None) -> None:
    read_all(folder)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if left is not None:
        (folder / name).write_bytes(content[: int(left * len(content))])
    fault = "is missing" if left is None else "is not the file that its job wrote"
    assert error_message(folder).startswith(f"{folder / name} {fault}")


def test_a_file_without_permission_is_not_called_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pandas.read_parquet", refuse)
    with pytest.raises(PermissionError):
        Corpus(folder)


PASE = {"name": "pase", "options": {}}
JOBS: dict[Any, tuple[dict[str, Any], list[str]]] = {
    weigh: (
        {"weighting": {"name": "reweighted"}, "run": pretrain_config(), "code": "c"},
        ["--source=x", "--output=weights.json"],
    ),
    pretrain: (pretrain_config(), ["--output=run"]),
    extract: ({"worker": "waveform", "sample_rate": 16000}, ["--output=x.npy"]),
    embed: ({"encoder": PASE, "seed": 0, "dataset": "tones"}, ["--output=x.npy"]),
    evaluate: (
        {
            "head": {"name": "linear"},
            "scenario": "frozen",
            "fraction": "100pct",
            "trials": 1,
            "factors": dict.fromkeys(FACTORS, "none"),
        },
        ["--output=cell"],
    ),
    audit: ({"dataset": "tones"}, ["--output=audit.json"]),
}


@pytest.mark.parametrize("command", JOBS, ids=lambda command: command.__name__.rpartition(".")[2])
def test_commands_report_a_missing_corpus(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config, arguments = JOBS[command]
    with pytest.raises(UserError, match=r"nowhere/corpus\.json is missing"):
        command.main(["--config", json.dumps(config), "--code=c", "--corpus=nowhere", *arguments])
