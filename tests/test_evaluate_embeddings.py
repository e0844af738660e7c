"""The command that evaluates several cells on the embeddings of a run: what it computes, keeps and reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.corpora import write_corpus
from tests.records import seal
from tests.scenarios.cells import informative
from workflow_scripts import evaluate, evaluate_embeddings
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.job_logs import read_end

FRACTIONS = ("100pct", "50pct", "25pct")
LIST = "cells0.json"


class Run:
    """A run's embeddings of a data set, and the folder of its cells."""

    def __init__(self, folder: Path) -> None:
        self.corpus: Corpus = write_corpus(folder / "tones", clips=60, seconds=0.5, classes=3, task="multiclass")
        self.embeddings, self.cells = folder / "tones.npy", folder / "evaluations"
        self.embed(informative(self.corpus))

    def embed(self, embeddings: np.ndarray) -> None:
        np.save(self.embeddings, embeddings)
        seal(self.embeddings, code="x", config_digest="y", data={"tones": self.corpus.facts.digest})

    def evaluate(self, *fractions: str, code: str = "c0de", former: str = "", **training) -> None:
        cells = [{"folder": name, "code": code, "config": config(name, **training)} for name in fractions]
        flags = ["--config", json.dumps({"cells": cells}), "--code", "c0de", "--corpus", str(self.corpus.folder)]
        flags += ["--embeddings", str(self.embeddings), "--output", str(self.cells / LIST)]
        evaluate_embeddings.main(flags + ([f"--former={self.cells / former}"] if former else []))

    def times(self) -> dict[str, int]:
        """Return when the trials of each cell were written."""
        return {path.parent.name: path.stat().st_mtime_ns for path in self.cells.glob("*/trials.csv")}

    def renewed(self, before: dict[str, int]) -> set[str]:
        return {name for name, time in self.times().items() if before.get(name) != time}


def config(fraction: str, **training) -> dict:
    factors = {"corpus": "audioset", "encoder": "pase", "workers": "WLP", "weighting": "equal", "augmentation": "none"}
    factors |= {"recipe": "tiny", "pretrain_seed": 7, "dataset": "tones", "head": "linear", "scenario": "frozen"}
    return {
        "encoder": None,
        "head": {"name": "linear", "options": {}},
        "scenario": "frozen",
        "fraction": fraction,
        "trials": 2,
        "training": {"learning_rate": 0.02, "batch": 8, "max_epochs": 3} | training,
        "factors": factors | {"fraction": fraction, "protocol": "wu2021"},
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_each_cell_is_as_if_evaluated_alone(run: Run, tmp_path: Path) -> None:
    run.evaluate(*FRACTIONS)
    for name in FRACTIONS:
        flags = ["--config", json.dumps(config(name)), "--code", "c0de", "--corpus", str(run.corpus.folder)]
        evaluate.main([*flags, "--embeddings", str(run.embeddings), "--output", str(tmp_path / "alone" / name)])
        together, alone = run.cells / name, tmp_path / "alone" / name
        assert {path.name for path in together.iterdir()} == {path.name for path in alone.iterdir()}
        assert (together / "predictions.npz").read_bytes() == (alone / "predictions.npz").read_bytes()
        tables = [pd.read_csv(folder / "trials.csv").drop(columns="seconds") for folder in (together, alone)]
        pd.testing.assert_frame_equal(*tables)
        records = [json.loads((folder / "record.json").read_text(encoding="utf-8")) for folder in (together, alone)]
        for key in ("config", "code", "config_digest", "data", "upstream", "seeds"):
            assert records[0][key] == records[1][key]


def test_what_is_finished_is_kept_and_only_the_rest_computed(run: Run) -> None:
    run.evaluate(*FRACTIONS[:2])
    before = run.times()
    run.evaluate(*FRACTIONS)
    assert run.renewed(before) == {"25pct"}
    before = run.times()
    (run.cells / "50pct" / "trials.csv").unlink()
    run.evaluate(*FRACTIONS)
    assert run.renewed(before) == {"50pct"}


def test_a_job_without_its_inputs_touches_no_cell(run: Run) -> None:
    run.evaluate(*FRACTIONS)
    before = run.times()
    run.embed(informative(run.corpus)[:-1])
    with pytest.raises(UserError, match="is stale: 59 embeddings for 60 clips; run embed again"):
        run.evaluate(*FRACTIONS)
    assert run.times() == before


@pytest.mark.parametrize("file", ["trials.csv", "predictions.npz", "record.json"])
def test_a_damaged_cell_is_computed_again(run: Run, file: str) -> None:
    run.evaluate(*FRACTIONS)
    before, path = run.times(), run.cells / "100pct" / file
    path.write_bytes(path.read_bytes()[:-9] + b"something")
    run.evaluate(*FRACTIONS)
    assert run.renewed(before) == {"100pct"}


def test_other_code_config_and_embeddings_are_computed_again(run: Run) -> None:
    run.evaluate(*FRACTIONS)
    before = run.times()
    run.evaluate(*FRACTIONS[:1], code="other")
    assert run.renewed(before) == {"100pct"}
    before = run.times()
    run.evaluate(*FRACTIONS[:2], code="other", patience=1)
    assert run.renewed(before) == {"100pct", "50pct"}
    before = run.times()
    run.embed(informative(run.corpus) * 2)
    run.evaluate(*FRACTIONS)
    assert run.renewed(before) == {*FRACTIONS}


def test_a_cell_that_fails_does_not_stop_the_others(run: Run, monkeypatch, capsys, tmp_path: Path) -> None:
    run.cells.mkdir()
    (run.cells / "cells0.again.json").touch()
    build = evaluate._build_task

    def fail(config, *arguments, **more):
        if config.fraction == "50pct":
            raise UserError("trial 1 diverged: lower the learning rate")
        return build(config, *arguments, **more)

    monkeypatch.setattr(evaluate, "_build_task", fail)
    with pytest.raises(UserError, match="1 of 3 cells failed: 50pct: trial 1 diverged"):
        run.evaluate(*FRACTIONS, former="cells0.again.json")
    assert set(run.times()) == {"100pct", "25pct"}
    assert not (run.cells / LIST).exists()
    log = tmp_path / "log"
    log.write_text(f"{capsys.readouterr().err}prelude: killed by SIGKILL\n", encoding="utf-8")
    assert read_end(log, about="50pct") == (True, "trial 1 diverged: lower the learning rate")
    assert read_end(log, about="25pct") == (True, "killed by SIGKILL")
    before = run.times()
    monkeypatch.setattr(evaluate, "_build_task", build)
    run.evaluate(*FRACTIONS, former="cells0.again.json")
    assert run.renewed(before) == {"50pct"}
    assert {path.name for path in run.cells.glob("cells*")} == {LIST}


def test_a_fault_of_the_code_in_one_cell_ends_in_its_traceback_behind_the_others(run: Run, monkeypatch) -> None:
    build = evaluate._build_task

    def fail(config, *arguments, **more):
        if config.fraction != "25pct":
            raise RuntimeError(f"no such head in {config.fraction}")
        return build(config, *arguments, **more)

    monkeypatch.setattr(evaluate, "_build_task", fail)
    with pytest.raises(RuntimeError, match="no such head in 100pct"):
        run.evaluate(*FRACTIONS)
    assert set(run.times()) == {"25pct"}
