"""The command that writes a listening page: rows, activations, tags, audio, record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.corpora import write_corpus
from tests.records import seal
from tests.test_kept_weights import CROPS, RATE, WINDOW, run, write_embeddings
from workflow_scripts import write_listening_page
from workflow_scripts.core.checksums import CHECKSUMS, read_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.crops import Crops

pytest.importorskip("itables", reason="needs itables")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 20 clips, their embeddings, and a cell that keeps its head."""
    folder = tmp_path_factory.mktemp("listening")
    corpus = write_corpus(folder / "tones", clips=20, classes=3, task="multilabel", **CROPS)
    embeddings = write_embeddings(corpus, folder, crops=Crops.from_lengths(corpus.lengths, WINDOW))
    run(corpus, folder / "cell", "--embeddings", embeddings)
    return folder


def write(folder: Path, output: Path, **changes: object) -> dict:
    """Write the page and return the data of its only set."""
    config = {"study": "fig7_7", "title": "Listening", "encoder": "SampleCNN", "rows": "clips", "audio": ["tones"]}
    config |= {"datasets": {"tones": "Tones"}, "heads": {"tones": "linear"}} | changes
    files = {"corpus": "tones", "embeddings": "tones.npy", "head": "cell/head.safetensors"}
    flags = [f"--{flag}=tones={folder / name}" for flag, name in files.items()]
    write_listening_page.main(["--config", json.dumps(config), "--code", "c0de", *flags, "--output", str(output)])
    first, *others = (output / "data_tones.js").read_text().splitlines()
    data = json.loads(json.loads(re.search(r"JSON\.parse\((.*)\);", first)[1]))
    values = [json.loads(json.loads(re.search(r"JSON\.parse\((.*)\);", line)[1])) for line in others]
    return data | {"activations": values[0], "scores": values[1:]}


def test_a_row_has_its_clip_s_mean_activations_true_labels_and_the_head_s_tags(folder: Path, tmp_path: Path) -> None:
    data = write(folder, tmp_path)
    corpus = write_corpus(tmp_path / "tones", clips=20, classes=3, task="multilabel", **CROPS)
    rows, crops = corpus.rows("test"), Crops.from_lengths(corpus.lengths, WINDOW)
    assert [row["clip"] for row in data["clips"]] == corpus.clips["clip"].to_numpy()[rows].tolist()
    np.testing.assert_allclose(data["activations"], crops.pool(np.load(folder / "tones.npy"))[rows], rtol=5e-4)
    with np.load(folder / "cell" / "predictions.npz") as stored:
        np.testing.assert_allclose(data["scores"][0], stored["scores"][0], rtol=5e-4)
    for row, labels in zip(data["clips"], corpus.labels[rows], strict=True):
        assert row["labels"] == np.flatnonzero(labels == 1).tolist()


def test_each_clip_has_its_audio_and_each_crop_its_part_of_it(folder: Path, tmp_path: Path) -> None:
    data = write(folder, tmp_path, rows="crops")
    assert len({row["clip"] for row in data["clips"]}) == 4
    assert len(data["clips"]) == len(data["activations"]) > 4
    path, _, part = data["clips"][1]["audio"].partition("#t=")
    audio, rate = soundfile.read(tmp_path / path)
    assert rate == RATE
    assert len(audio) == pytest.approx(5.5 * RATE, abs=RATE / 10)
    assert [float(second) for second in part.split(",")] == pytest.approx([WINDOW / RATE, 2 * WINDOW / RATE], abs=1e-3)
    data = write(folder, tmp_path)
    assert all("#" not in row["audio"] for row in data["clips"])


def test_without_a_licence_there_is_no_audio_and_the_page_says_how_to_include_it(folder: Path, tmp_path: Path) -> None:
    write(folder, tmp_path)
    data = write(folder, tmp_path, audio=[])
    assert {row["audio"] for row in data["clips"]} == {""}
    assert [*(tmp_path / "audio").iterdir()] == []
    assert "The audio of Tones is not included" in (tmp_path / "index.html").read_text()


def test_the_record_has_the_checksums_of_the_page_and_its_scripts(folder: Path, tmp_path: Path) -> None:
    write(folder, tmp_path)
    recorded = read_record(tmp_path / "record.json")[CHECKSUMS]
    assert {"index.html", "data_tones.js", "datatables.js", "datatables.css", "listening.js"} <= {*recorded}


def test_embeddings_of_other_data_are_refused(folder: Path, tmp_path: Path) -> None:
    record = (folder / "tones.json").read_text()
    seal(folder / "tones.npy", data={"tones": "other"})
    try:
        with pytest.raises(UserError, match=r"tones\.npy is stale: .* run again"):
            write(folder, tmp_path)
    finally:
        (folder / "tones.json").write_text(record)
