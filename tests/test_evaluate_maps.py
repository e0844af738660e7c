"""Evaluation of back ends and joint networks in all training schemes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.corpora import write_corpus
from tests.networks.test_audio_spectrogram_transformer import deit
from tests.records import seal
from workflow_scripts import evaluate
from workflow_scripts.checkpoints.encoder_file import save_encoder
from workflow_scripts.core.errors import UserError
from workflow_scripts.encoders import unet
from workflow_scripts.heads import ast
from workflow_scripts.levels import registry
from workflow_scripts.levels.factors import FACTORS

NARROW = {"width": 0.07}
U_NET = NARROW | {"momentum": 0.2}  # so that what is validated keeps up with what is learned
CNN = {"name": "short_chunk_cnn", "options": NARROW}
PHASES = [{"optimiser": "adam", "learning_rate": 0.001}, {"optimiser": "sgd", "learning_rate": 0.001}]
AST = {"name": "ast", "options": {"size": "tiny", "imagenet": False}}
ENCODERS = {
    "magnitude": {"name": "magnitude", "options": {}},
    "unet": {"name": "unet", "options": U_NET},
    "unet_multiple": {"name": "unet", "options": U_NET | {"sources": 4, "pooling": "average"}},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpora") / "tones", clips=10, seconds=[4.0, 6.0] * 5, classes=2)


@pytest.fixture(scope="module")
def encoder_files(tmp_path_factory) -> dict[str, Path]:
    return {
        name: write_encoder_file(
            registry.options(unet, ENCODERS[name]["options"]), folder=tmp_path_factory.mktemp(name)
        )
        for name in ("unet", "unet_multiple")
    }


def write_encoder_file(options: unet.Options, *, folder: Path) -> Path:
    torch.manual_seed(0)
    path = folder / "encoder.safetensors"
    save_encoder(path, unet.build(options), name="unet", options=options, code="c0de")
    seal(path)
    return path


def source(encoder_files, *, encoder: str, scenario: str) -> list[str]:
    return [] if scenario == "supervised" else ["--encoder-file", str(encoder_files[encoder])]


def evaluate_cell(corpus, output: Path, *source: str, encoder: str, head, scenario: str, **training) -> pd.DataFrame:
    config = {
        "encoder": ENCODERS[encoder],
        "head": head,
        "scenario": scenario,
        "fraction": "100pct",
        "trials": 1,
        "training": {"batch": 4, "max_epochs": 2, "crop_seconds": 3, "phases": PHASES} | training,
        "factors": dict.fromkeys(FACTORS, "x"),
    }
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(corpus.folder)]
    evaluate.main([*flags, "--output", str(output), *source])
    return pd.read_csv(output / "trials.csv")


#: encoder, head, scenario, and epochs: two for each stage
SCHEMES = {
    "bare": ("magnitude", CNN, "supervised", 2),
    "a bare transformer": ("magnitude", AST, "supervised", 2),
    "without pre-training": ("unet", CNN, "supervised", 2),
    "two stages of a transformer and four sources": ("unet_multiple", AST, "fine_tuned", 2),
    "three stages and four sources": ("unet_multiple", CNN, "three_stage", 4),
    "three stages of a transformer": ("unet", AST, "three_stage", 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_writes_trials(corpus, encoder_files, tmp_path, scheme):
    encoder, head, scenario, epochs = SCHEMES[scheme]
    flags = source(encoder_files, encoder=encoder, scenario=scenario)
    table = evaluate_cell(corpus, tmp_path / "out", *flags, encoder=encoder, head=head, scenario=scenario)
    assert set(table["epochs"]) == {epochs}
    with np.load(tmp_path / "out" / "predictions.npz") as stored:
        assert stored["scores"].shape == (1, 2, 2)
        np.testing.assert_allclose(stored["scores"].sum(-1), 1, rtol=1e-5)
        assert stored["windows_scores"].dtype == np.float16
        assert stored["windows_clips"].tolist() == [0, 1, 1]  # of 4 s and of 6 s


#: encoder, scenario, clips and epochs of a stage: few, for a step of the U-Net takes 0.15 s a clip on one core
LEARNING = {
    "bare": ("magnitude", "supervised", 30, 8),
    "without pre-training": ("unet", "supervised", 50, 5),
    "three stages": ("unet", "three_stage", 30, 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", LEARNING)
def test_back_ends_and_joint_networks_learn_tones(encoder_files, tmp_path, scheme):
    encoder, scenario, clips, epochs = LEARNING[scheme]
    tones = write_corpus(tmp_path / "tones", clips=clips, seconds=4.0, classes=3)
    head = {"name": "short_chunk_cnn", "options": {"width": 0.25, "momentum": 0.2}}
    numbers = {"learning_rate": 0.003, "batch": 6, "max_epochs": epochs, "phases": []}
    flags = source(encoder_files, encoder=encoder, scenario=scenario)
    table = evaluate_cell(tones, tmp_path / "out", *flags, encoder=encoder, head=head, scenario=scenario, **numbers)
    assert table.set_index("metric")["value"]["accuracy"] > 0.8


@pytest.mark.slow
def test_the_record_names_the_weights_a_head_starts_from(corpus, tmp_path):
    torch.save(deit(24), tmp_path / "deit.pth")
    options = {"size": "tiny", "checkpoint": str(tmp_path / "deit.pth")}
    digests = []
    for folder, head in (("given", {"name": "ast", "options": options}), ("drawn", AST), ("cnn", CNN)):
        kind = {"encoder": "magnitude", "head": head, "scenario": "supervised"}
        evaluate_cell(corpus, tmp_path / folder, **kind, max_epochs=1, phases=[])
        digests.append(json.loads((tmp_path / folder / "record.json").read_text()).get("head_weights"))
    assert digests == [ast.weights_digest(ast.Options(**options)), None, None]


def test_embeddings_are_refused_for_a_head_that_reads_maps(corpus, tmp_path):
    np.save(tmp_path / "tones.npy", np.zeros((10, 4), np.float32))
    seal(tmp_path / "tones.npy", data={"tones": corpus.facts.digest})
    with pytest.raises(UserError, match="short_chunk_cnn reads maps, not embeddings"):
        evaluate_cell(
            corpus,
            tmp_path / "out",
            "--embeddings",
            str(tmp_path / "tones.npy"),
            encoder="unet",
            head=CNN,
            scenario="frozen",
            phases=[],
        )


def test_an_untrainable_encoder_needs_a_head_that_reads_maps(corpus, tmp_path):
    linear = {"name": "linear", "options": {}}
    with pytest.raises(UserError, match="encoder magnitude cannot be trained: use scenario frozen"):
        evaluate_cell(corpus, tmp_path / "out", encoder="magnitude", head=linear, scenario="supervised")
