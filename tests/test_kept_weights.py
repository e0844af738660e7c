"""Weights of the first trial that a cell keeps: files, record, and the scores that they give again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.records import seal
from tests.scenarios.cells import informative
from workflow_scripts import embed, evaluate
from workflow_scripts.core.checksums import CHECKSUMS, read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation import end_to_end
from workflow_scripts.evaluation.crops import Crops
from workflow_scripts.evaluation.kept_head_scores import score_clips
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.statistics.kept_heads import read_head

RATE, WINDOW = 8000, 20736
SAMPLECNN = {"name": "samplecnn", "options": {"sample_rate": RATE, "width": 0.05}}
CROPS = {"seconds": [6.0, 3.0, 9.0, 2.0, 5.5] * 4, "sample_rate": RATE}


@pytest.fixture(params=["multiclass", "multilabel"])
def corpus(request, tmp_path):
    return write_corpus(tmp_path / "tones", clips=20, classes=3, task=request.param, **CROPS)


def run(corpus, output, *source, scenario="frozen", head=None, **job):
    config = {
        "encoder": SAMPLECNN if scenario != "frozen" else None,
        "head": head or {"name": "linear", "options": {}},
        "scenario": scenario,
        "fraction": "100pct",
        "trials": 2,
        "training": {"learning_rate": 0.01, "batch": 8, "max_epochs": 2} | job.pop("training", {}),
        "factors": dict.fromkeys(FACTORS, "x"),
    } | {"keep": "first_trial"}
    config = {key: value for key, value in (config | job).items() if value is not None}
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    evaluate.main([*flags, "--output", str(output), *map(str, source)])
    with np.load(output / "predictions.npz") as stored:
        return stored["scores"]


def write_embeddings(corpus, folder, *, crops):
    path = folder / "tones.npy"
    np.save(path, np.repeat(informative(corpus), crops.counts, axis=0) * np.float32(3))
    seal(path, data={"tones": corpus.facts.digest}, crop_length=WINDOW)
    return path


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("crops", ["average", "pool"])
def test_a_kept_head_gives_its_trial_s_scores_again(corpus, head, crops, tmp_path):
    of_clips = Crops.from_lengths(corpus.lengths, WINDOW)
    embeddings = write_embeddings(corpus, tmp_path, crops=of_clips)
    level = {"name": head, "options": {"standardise": True}}
    scores = run(corpus, tmp_path / "cell", "--embeddings", embeddings, head=level, training={"crops": crops})
    kept = read_head(tmp_path / "cell" / "head.safetensors")
    assert (kept.name, kept.dataset, kept.classes) == (head, "tones", tuple(corpus.facts.classes))
    again = score_clips(kept, np.load(embeddings), crops=of_clips)[corpus.rows("test")]
    np.testing.assert_allclose(again, scores[0], rtol=1e-6)
    assert not (tmp_path / "cell" / "encoder.safetensors").exists()
    with pytest.raises(UserError, match="does not fit embeddings of 5 channels"):
        score_clips(kept, np.zeros((len(of_clips.rows(np.arange(20))), 5), np.float32), crops=of_clips)


def test_a_kept_encoder_embeds_the_test_clips_as_its_trial_did(corpus, tmp_path):
    scores = run(corpus, tmp_path / "cell", scenario="supervised")
    recorded = read_record(tmp_path / "cell" / "record.json")[CHECKSUMS]
    assert {"head.safetensors", "encoder.safetensors", "trials.csv", "predictions.npz"} <= {*recorded}
    flags = ["--config", json.dumps({"encoder": SAMPLECNN, "seed": 0, "dataset": "tones"}), "--code", "c0de"]
    flags += ["--corpus", str(corpus.folder), "--output", str(tmp_path / "e.npy")]
    embed.main([*flags, "--encoder-file", str(tmp_path / "cell" / "encoder.safetensors")])
    kept, of_clips = read_head(tmp_path / "cell" / "head.safetensors"), Crops.from_lengths(corpus.lengths, WINDOW)
    again = score_clips(kept, np.load(tmp_path / "e.npy"), crops=of_clips)[corpus.rows("test")]
    np.testing.assert_allclose(again, scores[0], atol=1e-5)


def test_weights_of_a_trial_finished_before_a_kill_are_kept(corpus, tmp_path, monkeypatch):
    run(corpus, tmp_path / "whole", scenario="supervised", training={"max_epochs": 1})
    real = end_to_end.train_trial

    def killed_in_the_second(cell, trial):
        if trial:
            raise KeyboardInterrupt
        return real(cell, trial)

    with monkeypatch.context() as patch:
        patch.setattr(end_to_end, "train_trial", killed_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tmp_path / "out", scenario="supervised", training={"max_epochs": 1})
    run(corpus, tmp_path / "out", scenario="supervised", training={"max_epochs": 1})
    for name in ("head.safetensors", "encoder.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_nothing_is_kept_unless_asked_for_and_files_of_an_earlier_job_go(corpus, tmp_path):
    of_clips = Crops.from_lengths(corpus.lengths, WINDOW)
    embeddings = write_embeddings(corpus, tmp_path, crops=of_clips)
    run(corpus, tmp_path / "cell", "--embeddings", embeddings)
    run(corpus, tmp_path / "cell", "--embeddings", embeddings, keep=None)
    assert not (tmp_path / "cell" / "head.safetensors").exists()
    with pytest.raises(
        UserError, match=r"head\.safetensors is missing: set keep: first_trial in its protocol .* and run again"
    ):
        read_head(tmp_path / "cell" / "head.safetensors")


@pytest.mark.parametrize("damage", ["flipped", "other", "unrecorded"])
def test_a_head_that_is_not_as_its_job_wrote_it_is_refused(corpus, damage, tmp_path):
    of_clips = Crops.from_lengths(corpus.lengths, WINDOW)
    run(corpus, tmp_path / "cell", "--embeddings", write_embeddings(corpus, tmp_path, crops=of_clips))
    path = tmp_path / "cell" / "head.safetensors"
    content = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    elif damage == "other":
        path.write_bytes(b"no safetensors")
        seal(path)
    else:
        record = json.loads((tmp_path / "cell" / "record.json").read_text())
        del record[CHECKSUMS][path.name]
        (tmp_path / "cell" / "record.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"(head\.safetensors|record\.json) .*(delete|run again)"):
        read_head(path)
