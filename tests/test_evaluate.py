"""The evaluate command: trials, predictions, records, and refused jobs."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.corpora import write_corpus
from tests.hostile_arrays import HOSTILE_ARRAYS
from tests.records import seal
from tests.scenarios.cells import informative
from workflow_scripts import evaluate
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core import provenance
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import pase
from workflow_scripts.evaluation import end_to_end, trial_seeds
from workflow_scripts.evaluation.task import TrialResult, TrialStore
from workflow_scripts.statistics import metrics
from workflow_scripts.statistics.validation_curves import read_curves

SMALL = {"embedding": 16, "width": 0.1}
COLUMNS = [
    "corpus",
    "encoder",
    "workers",
    "weighting",
    "augmentation",
    "recipe",
    "pretrain_seed",
    "dataset",
    "head",
    "scenario",
    "fraction",
    "protocol",
    "trial",
    "seed",
    "metric",
    "value",
    "train_clips",
    "valid_clips",
    "test_clips",
    "quarantined",
    "source",
    "code",
    "config",
    "data_digest",
    "device",
    "seconds",
    "epochs",
    "learning_rate",
]


@pytest.fixture(params=["multiclass", "multilabel"])
def corpus(request, tmp_path):
    return write_corpus(tmp_path / "tones", clips=60, seconds=0.5, classes=3, task=request.param)


@pytest.fixture
def embeddings(corpus, tmp_path):
    path = tmp_path / "tones.npy"
    np.save(path, informative(corpus))
    seal(path, code="x", config_digest="y", data={"tones": corpus.facts.digest})
    return path


@pytest.fixture
def encoder_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "pretrained" / "encoder.safetensors"
    save_encoder(path, pase.build(pase.Options(**SMALL)), name="pase", options=pase.Options(**SMALL), code="c0de")
    seal(path, code="x", config_digest="y", data={"other": "z"})
    return path


def config(scenario="frozen", fraction="100pct", count=3, encoder="pase", **training):
    factors = {"corpus": "audioset", "encoder": encoder, "workers": "WLP", "weighting": "equal", "augmentation": "none"}
    factors |= {"recipe": "tiny", "pretrain_seed": 7, "dataset": "tones", "head": "linear", "scenario": scenario}
    return {
        "encoder": {"name": encoder, "options": SMALL},
        "head": {"name": "linear", "options": {}},
        "scenario": scenario,
        "fraction": fraction,
        "trials": count,
        "training": {"learning_rate": 0.02, "batch": 8, "max_epochs": 5} | training,
        "factors": factors | {"fraction": fraction, "protocol": "wu2021"},
    }


def run(corpus, output, job, *more):
    flags = ["--config", json.dumps(job), "--code", "c0de", "--corpus", str(corpus.folder), "--output", str(output)]
    evaluate.main([*flags, *map(str, more)])
    return pd.read_csv(output / "trials.csv")


def test_frozen_writes_one_row_per_trial_and_metric_with_every_factor(corpus, embeddings, tmp_path):
    job = config(fraction="25pct")
    table = run(corpus, tmp_path / "out", job, "--embeddings", embeddings)
    assert list(table.columns) == COLUMNS
    names = {"multiclass": 3, "multilabel": 8}[corpus.facts.task]
    assert len(table) == 3 * names
    assert not table.duplicated(["trial", "metric"]).any()
    for factor, value in job["factors"].items():
        assert (table[factor] == value).all()
    constant = {
        "train_clips": 9,
        "valid_clips": 12,
        "test_clips": 12,
        "quarantined": 0,
        "source": "twin",
        "code": "c0de",
    }
    constant |= {"config": provenance.digest(job), "data_digest": corpus.facts.content}
    for column, value in constant.items():
        assert (table[column] == value).all()
    assert sorted(table["seed"].unique()) == sorted(trial_seeds.trial_seed(trial) for trial in range(3))
    assert table["value"].notna().all()


def test_the_metrics_are_computed_from_the_stored_predictions(corpus, embeddings, tmp_path):
    table = run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)
    rows = corpus.rows("test")
    with np.load(tmp_path / "out" / "predictions.npz") as kept:
        assert kept["clips"].tolist() == corpus.clips["clip"].to_numpy()[rows].tolist()
        assert kept["groups"].tolist() == corpus.clips["group"].to_numpy()[rows].tolist()
        assert kept["classes"].tolist() == corpus.facts.classes
        assert np.array_equal(kept["labels"], corpus.labels[rows], equal_nan=True)
        assert kept["scores"].shape == (3, 12, 3)
        assert kept["scores"].dtype == kept["labels"].dtype == np.float32
        assert kept["confusion"].shape == ((3, 3, 3) if corpus.facts.task == "multiclass" else (3, 3, 2, 2))
        for trial in range(3):
            values = metrics.metrics(corpus.facts.task, labels=kept["labels"], scores=kept["scores"][trial])
            own = table[table["trial"] == trial].set_index("metric")["value"]
            assert own.to_dict() == pytest.approx(values, abs=1e-15)


def test_a_repeated_job_writes_the_same_bytes_of_predictions(corpus, embeddings, tmp_path):
    digests = []
    for name in ("one", "two"):
        run(corpus, tmp_path / name, config(), "--embeddings", embeddings)
        digests.append(hashlib.sha256((tmp_path / name / "predictions.npz").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("training", [{}, {"criterion": "scores"}, {"classifiers": "binary", "patience": 1}])
def test_the_validation_loss_of_every_epoch_is_stored(corpus, embeddings, tmp_path, training):
    table = run(corpus, tmp_path / "out", config(max_epochs=9, **training), "--embeddings", embeddings)
    curves = pd.read_csv(tmp_path / "out" / "validation.csv")
    by_scores = "criterion" in training
    assert [*curves] == ["trial", "epoch", "loss", "kept", *(("roc_auc", "pr_auc") if by_scores else ())]
    for trial, curve in curves.groupby("trial"):
        assert curve["epoch"].tolist() == [*range(1, len(curve) + 1)]
        assert len(curve) == table.loc[table["trial"] == trial, "epochs"].iloc[0]
        assert curve["kept"].sum() == pytest.approx(1, abs=1e-5)
        if not training:
            assert curve["kept"].argmax() == curve["loss"].argmin()
    assert "validation.csv" in json.loads((tmp_path / "out" / "record.json").read_text())["sha256"]
    read = read_curves(tmp_path / "out" / "validation.csv")
    assert [curve.loss.tolist() for curve in read] == [rows["loss"].tolist() for _, rows in curves.groupby("trial")]
    assert [curve.trial for curve in read] == [0, 1, 2]
    assert {*read[0].scores} == ({"roc_auc", "pr_auc"} if by_scores else set())


def test_the_record_contains_data_upstream_and_seeds(corpus, embeddings, tmp_path):
    run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["data"] == {"tones": corpus.facts.digest}
    assert record["upstream"]["data"] == {"tones": corpus.facts.digest}
    assert record["seeds"] == [trial_seeds.trial_seed(trial) for trial in range(3)]
    assert record["config"] == config()


def test_label_subsets_and_initial_heads_do_not_depend_on_the_run(corpus, embeddings, tmp_path):
    """Trials are paired: two runs with equal embeddings but different factors give equal results."""
    first = run(corpus, tmp_path / "a", config(fraction="25pct"), "--embeddings", embeddings)
    second = run(corpus, tmp_path / "b", config(fraction="25pct", encoder="other"), "--embeddings", embeddings)
    assert first["value"].tolist() == second["value"].tolist()


def test_fine_tuned_and_supervised_run_from_the_command_line(corpus, encoder_file, tmp_path):
    numbers = {"count": 2, "max_epochs": 1, "crop_seconds": 0.2}
    tuned = run(corpus, tmp_path / "tuned", config("fine_tuned", **numbers), "--encoder-file", encoder_file)
    scratch = run(corpus, tmp_path / "scratch", config("supervised", **numbers))
    assert len(tuned) == len(scratch)
    assert json.loads((tmp_path / "tuned" / "record.json").read_text())["upstream"]["data"] == {"other": "z"}
    assert {path.name for path in tmp_path.iterdir()} >= {"tuned", "scratch"}
    assert not list(tmp_path.glob(".*"))  # finished trials are deleted once the outputs are written


def test_a_killed_job_resumes_with_the_next_trial(corpus, tmp_path, monkeypatch):
    job = config("supervised", count=2, max_epochs=1, crop_seconds=0.2)
    whole = run(corpus, tmp_path / "whole", job)
    real, trained = end_to_end.train_trial, []

    def killed_in_the_second(cell, trial):
        trained.append(trial)
        if trained == [0, 1]:
            raise KeyboardInterrupt
        return real(cell, trial)

    monkeypatch.setattr(end_to_end, "train_trial", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "out", job)
    assert not (tmp_path / "out").exists()
    resumed = run(corpus, tmp_path / "out", job)
    assert trained == [0, 1, 1]
    assert resumed["value"].tolist() == whole["value"].tolist()
    curves = [(tmp_path / name / "validation.csv").read_text() for name in ("whole", "out")]
    assert curves[0] == curves[1]


@pytest.mark.parametrize("damage", ["cut", "claims", "a byte", "another trial"])
def test_a_damaged_trial_of_a_killed_job_is_computed_again(tmp_path, capsys, damage):
    store = TrialStore(tmp_path / "trials", digest="d")
    result = TrialResult(trial=0, scores=np.ones((3, 2), np.float32), epochs=1, train_clips=4, seconds=0.5)
    store.save(replace(result, trial=1))
    store.save(result)
    np.testing.assert_array_equal(store.load(0).scores, result.scores)
    path = tmp_path / "trials" / "trial0.npz"
    content = path.read_bytes()
    damaged = {
        "cut": content[: len(content) // 2],
        "claims": content.replace(b"(3, 2)", b"(9, 9)"),
        "a byte": content.replace(b"\x80?", b"\x81?", 1),
        "another trial": (tmp_path / "trials" / "trial1.npz").read_bytes(),
    }
    path.write_bytes(damaged[damage])
    assert store.load(0) is None
    assert re.fullmatch(r"prelude: .*trial0\.npz is damaged: the trial is computed again .*\n", capsys.readouterr().err)


def test_a_file_of_a_head_that_was_replaced_since_planning_is_refused(corpus, tmp_path):
    file = tmp_path / "deit.pth"
    file.write_bytes(b"another")
    head = {"name": "ast", "options": {"imagenet": True, "checkpoint": str(file)}}
    job = config(scenario="supervised") | {"head": head, "head_file_digest": "0" * 64}
    with pytest.raises(UserError, match=r"deit\.pth was replaced after this job was planned: nothing was written"):
        run(corpus, tmp_path / "out", job)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_embeddings_that_are_no_matrix_are_named(corpus, embeddings, tmp_path, content):
    embeddings.write_bytes(content)
    seal(embeddings)
    with pytest.raises(UserError, match=r"tones\.npy is damaged: run embed again"):
        run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)


def test_embeddings_of_other_data_are_stale(corpus, embeddings, tmp_path):
    seal(embeddings, data={"tones": "0" * 16})
    with pytest.raises(UserError, match=r"tones.npy is stale: .*delete .*tones\.npy and run again"):
        run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)
    embeddings.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"tones.json is missing: delete .*tones\.npy and run again"):
        run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)


def test_embeddings_of_another_number_of_clips_are_stale(corpus, embeddings, tmp_path):
    np.save(embeddings, informative(corpus)[:-1])
    seal(embeddings)
    with pytest.raises(UserError, match="59 embeddings for 60 clips"):
        run(corpus, tmp_path / "out", config(), "--embeddings", embeddings)


@pytest.mark.parametrize(
    ("job", "flag", "message"),
    [
        (config("frozen"), None, "scenario frozen needs --embeddings"),
        (config("fine_tuned"), None, "scenario fine_tuned needs --encoder-file"),
        (config("supervised"), "--encoder-file", "scenario supervised does not accept --encoder-file: leave it out"),
        (config("fine_tuned", encoder="handcrafted"), "--encoder-file", "encoder handcrafted cannot be trained"),
        (config("thawed"), None, "unknown scenario 'thawed'"),
        (config(fraction="most"), "--embeddings", "unknown fraction 'most'"),
        (config(pace=3), "--embeddings", "training: unknown key 'pace'"),
    ],
)
def test_the_error_for_an_impossible_job_states_the_reason(job, flag, message, *, corpus, request, tmp_path):
    path = flag and request.getfixturevalue(flag.strip("-").replace("-", "_"))
    with pytest.raises(UserError, match=message):
        run(corpus, tmp_path / "out", job, *((flag, path) if flag else ()))
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_two_classes_cannot_be_evaluated(tmp_path):
    one = write_corpus(tmp_path / "one", clips=10, seconds=0.5, classes=1)
    with pytest.raises(UserError, match=r"^data set one: one class, [^:]*: nothing can be told apart"):
        run(one, tmp_path / "out", config("supervised"))
    true_of_all = write_corpus(tmp_path / "music", clips=10, seconds=0.5, classes=1, task="multilabel")
    with pytest.raises(UserError, match="no class that some clips have and others lack"):
        run(true_of_all, tmp_path / "out", config("supervised"))


def test_an_unlabelled_corpus_cannot_be_evaluated(embeddings, tmp_path):
    corpus = write_corpus(tmp_path / "noise", clips=10, seconds=0.5, task="unlabelled")
    with pytest.raises(UserError, match="has no labels"):
        run(corpus, tmp_path / "out", config("supervised"))
