"""Evaluation of an encoder with fixed windows: heads are trained on crops, and clips are scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.corpora import write_corpus
from tests.records import seal
from workflow_scripts import embed, evaluate
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import samplecnn
from workflow_scripts.evaluation.embedding import embed_clips
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.networks.samplecnn import SampleCnn

OPTIONS = {"sample_rate": 8000, "width": 0.05}
WINDOW = 20736
SECONDS = [6.0, 3.0, 9.0, 2.0, 5.5] * 4  # 2, 1, 3, 1 (too short) and 2 windows
COUNTS = [2, 1, 3, 1, 2] * 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=20, seconds=SECONDS, sample_rate=8000)


@pytest.fixture(scope="module")
def encoder(corpus) -> SampleCnn:
    """A narrow encoder with normalisation statistics of the corpus, so that its outputs differ between clips."""
    torch.manual_seed(3)
    built = samplecnn.build(samplecnn.Options(**OPTIONS)).train()
    with torch.no_grad():
        for _ in range(40):
            built(torch.from_numpy(corpus.cut_rows(np.arange(20), starts=np.zeros(20, int), length=WINDOW)))
    return built.eval()


@pytest.fixture(scope="module")
def embedded(corpus, encoder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("embeddings") / "tones.npy"
    encoder_file = path.with_name("encoder.safetensors")
    options = samplecnn.Options(**OPTIONS)
    save_encoder(encoder_file, encoder, name="samplecnn", options=options, code="c0de")
    seal(encoder_file)
    config = {"encoder": {"name": "samplecnn", "options": OPTIONS}, "seed": 3, "dataset": "tones"}
    embed.main(
        [
            "--config",
            json.dumps(config),
            "--code",
            "c0de",
            "--corpus",
            str(corpus.folder),
            "--output",
            str(path),
            "--encoder-file",
            str(encoder_file),
        ]
    )
    return path


def test_each_window_has_the_same_embedding_as_alone_in_the_order_of_clips(corpus, encoder, embedded):
    embeddings, row = np.load(embedded), 0
    assert embeddings.shape == (sum(COUNTS), encoder.pooled_size)
    for clip, count in enumerate(COUNTS):
        audio = np.resize(corpus.cut(clip), max(WINDOW, int(corpus.lengths[clip])))  # a short clip is repeated
        for window in range(count):
            with torch.no_grad():
                alone = encoder(torch.from_numpy(audio[window * WINDOW : (window + 1) * WINDOW])[None])[0, :, 0]
            np.testing.assert_allclose(embeddings[row], alone, atol=1e-5)
            row += 1
    assert embeddings.std(axis=0).max() > 0.1, "or the comparison would be meaningless"
    record = json.loads(embedded.with_suffix(".json").read_text())
    assert (record["clips"], record["crop_length"]) == (20, WINDOW)


def test_embeddings_do_not_depend_on_the_batch(corpus, encoder):
    rows, cpu = np.array([2, 0, 3, 1]), torch.device("cpu")
    together = embed_clips(encoder, corpus, rows, device=cpu)
    apart = embed_clips(encoder, corpus, rows, device=cpu, max_samples=1)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
    assert len(together) == 3 + 2 + 1 + 1


def evaluate_cell(
    corpus,
    output: Path,
    *source: str,
    scenario: str = "frozen",
    dropout: float = 0.5,
    subset: str = "clips",
    **training: object,
) -> Path:
    config = {
        "encoder": {"name": "samplecnn", "options": OPTIONS | {"supervised_dropout": dropout}},
        "head": {"name": "linear", "options": {}},
        "scenario": scenario,
        "fraction": "50pct",
        "subset": subset,
        "trials": 2,
        "training": {"learning_rate": 0.01, "batch": 4, "max_epochs": 3, **training},
        "factors": dict.fromkeys(FACTORS, "x"),
    }
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    evaluate.main([*flags, "--output", str(output), *source])
    return output


@pytest.mark.parametrize("crops", ["average", "pool"])
def test_frozen_trials_score_clips(corpus, embedded, tmp_path, crops):
    output = evaluate_cell(corpus, tmp_path / crops, "--embeddings", str(embedded), crops=crops)
    table = pd.read_csv(output / "trials.csv")
    assert set(table["test_clips"]) == {4}
    assert set(table["train_clips"]) == {6}  # half of twelve clips, whatever their number of crops
    with np.load(output / "predictions.npz") as stored:
        assert stored["scores"].shape == (2, 4, 3)
        np.testing.assert_allclose(stored["scores"].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("scenario", ["frozen", "supervised"])
def test_label_subsets_of_segments_train_on_a_part_of_many_clips(corpus, embedded, tmp_path, scenario):
    """Half of the segments with the same label, which lie in more than half of the clips."""
    source = ("--embeddings", str(embedded)) if scenario == "frozen" else ()
    output = evaluate_cell(corpus, tmp_path / "out", *source, scenario=scenario, subset="segments_powerset")
    clips = pd.read_csv(output / "trials.csv").drop_duplicates("trial")["train_clips"]
    assert all(6 < count <= 12 for count in clips)


def test_averaging_and_pooling_differ_if_clips_have_several_crops(corpus, embedded, tmp_path):
    scores = []
    for crops in ("average", "pool"):
        output = evaluate_cell(corpus, tmp_path / crops, "--embeddings", str(embedded), crops=crops)
        with np.load(output / "predictions.npz") as stored:
            scores.append(stored["scores"])
    assert not np.allclose(*scores)


@pytest.mark.parametrize("crops", ["average", "pool"])
def test_trials_of_a_trained_encoder_score_clips(corpus, tmp_path, crops):
    output = evaluate_cell(corpus, tmp_path / "out", scenario="supervised", crops=crops)
    with np.load(output / "predictions.npz") as stored:
        assert stored["scores"].shape == (2, 4, 3)
        np.testing.assert_allclose(stored["scores"].sum(-1), 1, rtol=1e-5)


def test_batch_normalisation_works_with_a_last_batch_of_one_clip(corpus, tmp_path):
    output = evaluate_cell(
        corpus, tmp_path / "out", scenario="supervised", batch=5, max_epochs=1
    )  # 5 of 6 clips, then 1
    assert np.isfinite(pd.read_csv(output / "trials.csv")["value"]).all()


def test_supervised_dropout_applies_to_the_supervised_scenario_only(corpus, encoder, embedded, tmp_path):
    scores = {}
    for scenario in ("supervised", "fine_tuned"):
        for dropout in (0.0, 0.9):
            encoder_file = tmp_path / f"{dropout}" / "encoder.safetensors"
            options = samplecnn.Options(**OPTIONS | {"supervised_dropout": dropout})
            save_encoder(encoder_file, encoder, name="samplecnn", options=options, code="c0de")
            seal(encoder_file)
            source = ["--encoder-file", str(encoder_file)] if scenario == "fine_tuned" else []
            output = evaluate_cell(
                corpus, tmp_path / f"{scenario}{dropout}", *source, scenario=scenario, dropout=dropout, max_epochs=1
            )
            with np.load(output / "predictions.npz") as stored:
                scores[scenario, dropout] = stored["scores"]
    assert not np.allclose(scores["supervised", 0.0], scores["supervised", 0.9])
    assert np.array_equal(scores["fine_tuned", 0.0], scores["fine_tuned", 0.9])


def test_embeddings_of_other_crops_are_refused(corpus, embedded, tmp_path):
    stale = tmp_path / "tones.npy"
    np.save(stale, np.load(embedded)[:-1])
    stale.with_suffix(".json").write_text(embedded.with_suffix(".json").read_text())
    seal(stale)
    with pytest.raises(UserError, match=f"is stale: {sum(COUNTS) - 1} embeddings for {sum(COUNTS)} crops"):
        evaluate_cell(corpus, tmp_path / "out", "--embeddings", str(stale))


def test_an_unknown_combination_of_crops_is_refused(corpus, embedded, tmp_path):
    with pytest.raises(UserError, match=r"training\.crops: 'vote' is not allowed; allowed: average, pool"):
        evaluate_cell(corpus, tmp_path / "out", "--embeddings", str(embedded), crops="vote")
