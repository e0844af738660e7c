"""Pre-training by source separation: results, resuming, several processes, and refused settings."""

from __future__ import annotations

import copy
import json
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
from workflow_scripts.workers.separation import SOURCES

NARROW = {"width": 0.25}
CONFIG: dict[str, Any] = {
    "encoder": {"name": "unet", "options": NARROW},
    "workers": {"separation": {"source": "drums"}},
    "weighting": {"name": "equal", "options": {}},
    "augmentation": {"name": "none", "options": {}},
    "recipe": {
        "epochs": 2,
        "steps_per_epoch": 3,
        "batch": 4,
        "chunk_seconds": 0.662,
        "encoder_learning_rate": 0.001,
        "worker_learning_rate": 0.0005,
        "validation_batches": 1,
        "calibration_batches": 1,
        "save_state_seconds": 0,
        "schedule": "staircase",
        "schedule_steps": 2,
        "schedule_factor": 0.9,
        "adam_epsilon": 1e-7,
    },
    "seed": 5,
    "corpus": "tones",
}
SETS = {"one": ({}, "drums"), "all": ({"sources": 4, "pooling": "average"}, "all")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpora") / "tones"
    return write_corpus(folder, clips=15, seconds=1.0, task="unlabelled", stems=SOURCES)


def config(which: str, **changes: Any) -> dict[str, Any]:
    variant, source = SETS[which]
    changed = copy.deepcopy(CONFIG) | {"workers": {"separation": {"source": source}}} | changes
    changed["encoder"]["options"] |= variant
    return changed


def results(output: Path) -> tuple[dict[str, torch.Tensor], str]:
    return load_file(output / "encoder.safetensors"), (output / "losses.csv").read_text()


@pytest.mark.parametrize("which", SETS)
def test_a_run_writes_encoder_losses_and_record(which, corpus, tmp_path):
    pretrain.main(arguments(config(which), corpus=corpus, output=tmp_path / "run"))
    variant, _ = SETS[which]
    built = load_encoder(tmp_path / "run" / "encoder.safetensors", name="unet", options=NARROW | variant)
    assert built.separates == (4 if which == "all" else 1)
    losses = pd.read_csv(tmp_path / "run" / "losses.csv")
    assert set(losses["worker"]) == {"separation"}
    assert set(losses["split"]) == {"train", "valid"}
    assert losses["loss"].between(0.001, 0.3).all()
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["parameters"]["workers"] == {"separation": 0}


@pytest.mark.slow
@pytest.mark.parametrize("which", SETS)
def test_a_killed_run_resumes_with_the_same_bits(which, corpus, tmp_path, monkeypatch):
    run_config = config(which)
    pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "whole"))
    train_step, steps = Trainer._train_step, []

    def killed(self, *arguments):
        steps.append(arguments[0])
        if len(steps) == 5:
            raise KeyboardInterrupt
        return train_step(self, *arguments)

    monkeypatch.setattr(Trainer, "_train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "killed"))
    monkeypatch.setattr(Trainer, "_train_step", train_step)
    pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "killed"))
    (weights, losses), (resumed_weights, resumed_losses) = results(tmp_path / "whole"), results(tmp_path / "killed")
    assert losses == resumed_losses
    torch.testing.assert_close(resumed_weights, weights, rtol=0, atol=0)
    assert json.loads((tmp_path / "killed" / "record.json").read_text())["resumed"] == 1


@pytest.mark.parametrize(
    ("run_config", "message"),
    [
        (config("one", workers={"separation": {"source": "all"}}), "needs an encoder with 4 masks and this one has 1"),
        (
            config("one", workers={"separation": {"source": "drums"}, "contrastive": {}}),
            "remove workers that compare views",
        ),
        (
            config(
                "one", encoder={"name": "unet", "options": dict(NARROW)}, recipe=CONFIG["recipe"] | {"join_songs": True}
            ),
            "songs",
        ),
    ],
)
def test_incompatible_settings_of_separation_are_refused_in_one_line(run_config, message, corpus, tmp_path):
    with pytest.raises(UserError, match=message):
        pretrain.main(arguments(run_config, corpus=corpus, output=tmp_path / "run"))


def test_a_corpus_without_stems_is_refused(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=5, task="unlabelled")
    with pytest.raises(UserError, match="has no stem drums: separation is learned from a corpus with stems"):
        pretrain.main(arguments(config("one"), corpus=corpus, output=tmp_path / "run"))


def test_a_corpus_without_test_songs_is_refused_before_training(tmp_path):
    corpus = write_corpus(tmp_path / "tones", clips=4, task="unlabelled", stems=SOURCES)
    assert not len(corpus.rows("test"))
    with pytest.raises(UserError, match="no songs in its test split, on which separation is evaluated: put some"):
        pretrain.main(arguments(config("one"), corpus=corpus, output=tmp_path / "run"))


def test_separation_can_be_combined_with_another_worker(corpus, tmp_path):
    both = config("one", workers={"separation": {"source": "drums"}, "mfcc": {"hidden": 4, "targets": "normalised"}})
    pretrain.main(arguments(both, corpus=corpus, output=tmp_path / "run"))
    assert set(pd.read_csv(tmp_path / "run" / "losses.csv")["worker"]) == {"separation", "mfcc"}


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_give_the_result_of_one(accumulate, corpus, tmp_path):
    recipe = CONFIG["recipe"] | {"batch": 4 * accumulate, "accumulate": accumulate, "steps_per_epoch": 2}
    recipe["adam_epsilon"] = 1e-3  # else Adam makes whole steps of gradients that are hardly more than roundings
    run_config = config("all", recipe=recipe)
    alone, together = tmp_path / "alone" / "seed5", tmp_path / "together" / "seed5"
    pretrain.main(arguments(run_config, corpus=corpus, output=alone))
    group = processes.start_group(
        pretrain.main, arguments(run_config, corpus=corpus, output=together), log=tmp_path / "log"
    )
    assert processes.exit_codes(group) == [0, 0], (tmp_path / "log").read_text()
    (weights, _), (wanted, _) = results(together), results(alone)
    first = build_encoder(run_config["encoder"], seed=run_config["seed"], encoder_file=None).state_dict()
    learned, wanted = ({key: state[key] - first[key] for key in first} for state in (weights, wanted))
    # a change of the audio by 1e-7 changes the first layers' gradients by 2e-3
    difference = sum(float((learned[key] - value).float().norm()) for key, value in wanted.items())
    assert difference < 0.05 * sum(float(value.float().norm()) for value in wanted.values())
    losses, expected = (pd.read_csv(folder / "losses.csv") for folder in (together, alone))
    pd.testing.assert_frame_equal(losses, expected, rtol=1e-4, check_exact=False)
