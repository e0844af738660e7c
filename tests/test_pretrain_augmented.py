"""Pre-training with augmented views and concatenated songs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.corpora import write_corpus
from tests.pretraining_runs import arguments, config, write_features
from tests.records import seal
from workflow_scripts import pretrain
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.run import Pretraining

RATE = 8000  # Hz
RECIPE = {
    "epochs": 2,
    "epoch_of": "clips",
    "batch": 2,
    "chunk_seconds": 2.592,  # one window of SampleCNN
    "join_songs": True,
    "encoder_learning_rate": 0.001,
    "worker_learning_rate": 0.0005,
    "schedule": "poly",
    "validation_batches": 0,
    "calibration_batches": 1,
    "save_state_seconds": 0,
}
CLMR: dict[str, Any] = {
    "encoder": {"name": "samplecnn", "options": {"sample_rate": 8000, "width": 0.05}},
    "workers": {"contrastive": {"size": 8}},
    "weighting": {"name": "equal", "options": {}},
    "augmentation": {"name": "clmr", "options": {"one_sided": True}},
    "recipe": RECIPE,
    "seed": 5,
    "corpus": "songs",
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory) -> Corpus:
    """Four songs of three clips shorter than a window, and clips of the other splits."""
    folder = tmp_path_factory.mktemp("corpora") / "songs"
    corpus = write_corpus(folder, clips=20, seconds=1.2, task="unlabelled", sample_rate=RATE)
    corpus.clips["group"] = [f"song{row // 5}" for row in range(20)]
    corpus.clips.to_parquet(folder / "clips.parquet")
    seal(folder / "clips.parquet")
    return Corpus(folder)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "encoder.safetensors")


def test_a_run_on_augmented_crops_of_songs_resumes_exactly(songs, tmp_path):
    pretrain.main(arguments(CLMR, corpus=songs, output=tmp_path / "whole" / "seed5"))
    record = json.loads((tmp_path / "whole" / "seed5" / "record.json").read_text())
    assert record["steps"] == 4, "two epochs of four songs in batches of two"
    assert record["clips_too_short"] == 0

    stopped = Pretraining(
        config=CLMR,
        corpus=songs,
        features={},
        output=tmp_path / "stopped" / "seed5",
        code="c0de",
        device=torch.device("cpu"),
    )
    stopped.build_trainer().run(epochs=1)
    pretrain.main(arguments(CLMR, corpus=songs, output=tmp_path / "stopped" / "seed5"))
    first, again = (read_weights(tmp_path / name / "seed5") for name in ("whole", "stopped"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_augmentation_changes_the_weights(songs, tmp_path):
    for name in ("crop", "frequency_filter"):
        run_config = CLMR | {"augmentation": {"name": name, "options": {}}}
        pretrain.main(arguments(run_config, corpus=songs, output=tmp_path / name / "seed5"))
    first, second = (read_weights(tmp_path / name / "seed5") for name in ("crop", "frequency_filter"))
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_a_one_sided_augmentation_needs_two_views(tmp_path):
    corpus = write_corpus(tmp_path / "tones")
    run_config = config() | {"augmentation": {"name": "gain", "options": {"one_sided": True}}}
    with pytest.raises(UserError, match="augmentation gain: one_sided needs a worker that compares two views"):
        pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "seed5"))


def test_stored_targets_cannot_be_used_with_concatenated_songs(tmp_path):
    corpus = write_corpus(tmp_path / "tones")
    write_features(tmp_path / "prosody.npy", corpus, channels=4)
    run_config = config(join_songs=True) | {"workers": {"prosody": {"hidden": 4, "targets": "normalised"}}}
    features = {"prosody": tmp_path / "prosody.npy"}
    with pytest.raises(UserError, match="join_songs cannot go with prosody"):
        pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "seed5", features=features))


def test_an_epoch_is_counted_by_audio_or_by_clips(songs, tmp_path):
    run_config = CLMR | {"recipe": RECIPE | {"epoch_of": "songs"}}
    with pytest.raises(UserError, match=r"recipe\.epoch_of: 'songs' is not allowed; allowed: audio, clips"):
        pretrain.main(arguments(run_config, corpus=songs, output=tmp_path / "seed5"))
