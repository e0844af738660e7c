"""Pre-training by contrastive learning and predictive coding: resuming, several processes, several workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests import processes
from tests.corpora import write_corpus
from tests.pretraining_runs import arguments
from workflow_scripts import pretrain
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.checkpoints.encoder_file import build_encoder, load_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.pretraining.trainer import Trainer

RECIPE: dict[str, Any] = {
    "epochs": 2,
    "steps_per_epoch": 3,
    "batch": 4,
    "chunk_seconds": 1.0,
    "encoder_learning_rate": 0.001,
    "worker_learning_rate": 0.0005,
    "validation_batches": 1,
    "calibration_batches": 1,
    "save_state_seconds": 0,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "weight_decay": 1e-4,
}
#: name -> sample rate in Hz, encoder, workers and recipe of a run
RUNS: dict[str, tuple[int, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "contrastive": (
        8000,
        {"name": "samplecnn", "options": {"sample_rate": 8000, "width": 0.05}},
        {"contrastive": {"size": 8}},
        {"optimiser": "lars", "chunk_seconds": 2.592},
    ),
    "predictive coding": (
        22050,
        {"name": "cpc", "options": {"width": 0.02}},
        {"predictive_coding": {"context": 5, "window": 30}},
        {},
    ),
    "regression and contrastive": (
        16000,
        {"name": "pase", "options": {"embedding": 8, "width": 0.05}},
        {"lps": {"hidden": 4, "targets": "normalised"}, "contrastive": {"size": 8}},
        {"optimiser": "auto"},
    ),
    "both on PASE": (
        16000,
        {"name": "pase", "options": {"embedding": 8, "width": 0.05}},
        {"contrastive": {"projector": "identity"}, "predictive_coding": {"own_context": True, "context": 4}},
        {},
    ),
}


@dataclass(frozen=True)
class Run:
    """An uninterrupted run."""

    config: dict[str, Any]
    corpus: Corpus
    output: Path

    def command_line(self, output: Path) -> list[str]:
        """Return the command line of the same run with another output."""
        return arguments(self.config, corpus=self.corpus, output=output)


def config_of(name: str, **recipe: object) -> dict[str, Any]:
    _, encoder, workers, numbers = RUNS[name]
    level = {"name": "equal", "options": {}}
    return {
        "encoder": encoder,
        "workers": workers,
        "weighting": level,
        "augmentation": {"name": "none", "options": {}},
        "recipe": {**RECIPE, **numbers, **recipe},
        "seed": 5,
        "corpus": "tones",
    }


def corpus_of(name: str, folder: Path) -> Corpus:
    return write_corpus(folder / "tones", clips=20, seconds=3.0, task="unlabelled", sample_rate=RUNS[name][0])


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    run = Run(config_of(request.param), corpus_of(request.param, folder), folder / "alone" / "seed5")
    pretrain.main(run.command_line(run.output))
    return run


def test_a_run_trains_the_encoder_and_writes_losses_and_record(run):
    losses = pd.read_csv(run.output / "losses.csv")
    assert set(losses["worker"]) == set(run.config["workers"])
    assert losses["loss"].map(pd.notna).all()
    encoder = load_encoder(run.output / "encoder.safetensors", **run.config["encoder"])
    before = dict(build_encoder(run.config["encoder"], seed=5, encoder_file=None).named_parameters())
    learned = [key for key, value in encoder.named_parameters() if not torch.equal(value, before[key])]
    # the others are biases before a batch normalisation, and those behind one, which LARS leaves at zero
    assert {key for key in before if key.endswith("weight") or ".act." in key} <= set(learned)
    record = json.loads((run.output / "record.json").read_text())
    views = 2 if "contrastive" in run.config["workers"] else 1
    seconds_per_step = record["audio_seconds_per_second"] / record["steps_per_second"]
    assert seconds_per_step == pytest.approx(views * 4 * run.config["recipe"]["chunk_seconds"])


class KilledError(Exception):
    pass


def test_a_killed_run_ends_with_the_same_bytes(run, tmp_path, monkeypatch):
    train_step, steps_taken = Trainer._train_step, 0

    def killed(*arguments):
        nonlocal steps_taken
        steps_taken += 1
        if steps_taken in (3, 5):
            raise KilledError
        train_step(*arguments)

    monkeypatch.setattr(Trainer, "_train_step", killed)
    output = tmp_path / "seed5"
    for _ in range(2):
        with pytest.raises(KilledError):
            pretrain.main(run.command_line(output))
        torch.rand(3)  # the state of torch's generator must not matter
    pretrain.main(run.command_line(output))
    assert json.loads((output / "record.json").read_text())["resumed"] == 2
    for name in ("encoder.safetensors", "losses.csv"):
        assert (output / name).read_bytes() == (run.output / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "accumulate"), [("contrastive", 1), ("contrastive", 2), ("regression and contrastive", 1)]
)
def test_two_processes_give_the_result_of_one(name, accumulate, tmp_path):
    """The negatives and batch normalisation are those of the joint batch, part by part where there are parts."""
    config = config_of(name, batch=4 * accumulate, accumulate=accumulate, steps_per_epoch=2)
    corpus = corpus_of(name, tmp_path)
    alone, together = tmp_path / "alone" / "seed5", tmp_path / "together" / "seed5"
    pretrain.main(arguments(config, corpus=corpus, output=alone))
    group = processes.start_group(
        pretrain.main, arguments(config, corpus=corpus, output=together), log=tmp_path / "log"
    )
    assert processes.exit_codes(group) == [0, 0], (tmp_path / "log").read_text()
    weights, wanted = (load_file(folder / "encoder.safetensors") for folder in (together, alone))
    for key, value in wanted.items():
        torch.testing.assert_close(weights[key], value, rtol=1e-4, atol=3e-5)
    losses, expected = (pd.read_csv(folder / "losses.csv") for folder in (together, alone))
    pd.testing.assert_frame_equal(losses, expected, rtol=1e-4, check_exact=False)


@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("contrastive", {"lps": {}}, "need a frame every 160 samples and the encoder has one every 20736: choose pase"),
        ("contrastive", {"waveform": {}}, "need a frame every 160 samples"),
        ("contrastive", {"predictive_coding": {"context": 2}}, "the encoder has one of 0"),
        ("predictive coding", {"predictive_coding": {}}, "frames of 15 channels hold no context of 256"),
        ("predictive coding", {"predictive_coding": {"context": 5, "steps": 50}}, "choose fewer steps|longer chunks"),
    ],
)
def test_workers_that_do_not_fit_the_encoder_are_refused_in_one_line(name, workers, message, tmp_path):
    config, corpus = config_of(name) | {"workers": workers}, corpus_of(name, tmp_path)
    with pytest.raises(UserError, match=message) as refused:
        pretrain.main(arguments(config, corpus=corpus, output=tmp_path / "seed5"))
    assert "\n" not in str(refused.value)
