"""A published U-Net serves cells of every kind that an encoder trained here serves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import golden
from tests.checkpoints import tensorflow_files
from tests.corpora import write_corpus
from workflow_scripts import embed, evaluate, import_checkpoint
from workflow_scripts.levels.factors import FACTORS

HEADS = {"linear": ("frozen", "fine_tuned"), "short_chunk_cnn": ("fine_tuned", "three_stage")}


@pytest.fixture(scope="module")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Imported from files as TensorFlow writes them, with what an optimiser leaves beside the weights."""
    folder = tmp_path_factory.mktemp("published")
    weights = {
        f"{entry['checkpoint_key']}/.ATTRIBUTES/VARIABLE_VALUE": golden.fill_values(
            entry["key"], entry["shape"], entry["fill"]
        )
        for entry in golden.open_case("msspt_unet").facts["params"]
    }
    beside = {"save_counter/.ATTRIBUTES/VARIABLE_VALUE": np.array(20, np.int64)}
    index = tensorflow_files.write(folder / "drums", weights | beside, texts=("_CHECKPOINTABLE_OBJECT_GRAPH",))
    output = folder / "imported"
    import_checkpoint.main(["--encoder", "unet", "--checkpoint", str(index), "--output", str(output)])
    return output / "encoder.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "scenario"), [(head, scenario) for head, served in HEADS.items() for scenario in served]
)
def test_it_serves_cells(encoder_file, tmp_path, head, scenario):
    corpus = write_corpus(tmp_path / "tones", clips=10, seconds=4.0, classes=2)
    choice = {"name": "unet", "options": {}}
    common = ["--code", "c0de", "--corpus", str(corpus.folder)]
    source = ["--encoder-file", str(encoder_file)]
    if scenario == "frozen":
        config = json.dumps({"encoder": choice, "seed": 0, "dataset": "tones"})
        embed.main([*common, "--config", config, "--output", str(tmp_path / "tones.npy"), *source])
        source = ["--embeddings", str(tmp_path / "tones.npy")]
    job = {
        "encoder": choice,
        "head": {"name": head, "options": {"width": 0.1} if head == "short_chunk_cnn" else {}},
        "scenario": scenario,
        "fraction": "100pct",
        "trials": 1,
        "training": {"batch": 3, "max_epochs": 1, "crop_seconds": 0.7},
        "factors": dict.fromkeys(FACTORS, "x"),
    }
    evaluate.main([*common, "--config", json.dumps(job), "--output", str(tmp_path / "out"), *source])
    assert pd.read_csv(tmp_path / "out" / "trials.csv")["value"].notna().all()
