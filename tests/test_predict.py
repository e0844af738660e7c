"""Predictions for new recordings by kept heads."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.corpora import write_corpus
from workflow_scripts import embed, evaluate, predict
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.runs import CellKey, Run, path_of

SAMPLECNN = {"name": "samplecnn", "options": {"sample_rate": 8000, "width": 0.05}}
PASE = {"name": "pase", "options": {"embedding": 4, "width": 0.02}}
LEVELS = dict.fromkeys(FACTORS, "x") | {"pretrain_seed": 0, "dataset": "tones"}
U_NET = {"name": "unet", "options": {"width": 0.07}}
MAGNITUDE = {"name": "magnitude", "options": {}}
MAPS = {"scenario": "supervised", "head": {"name": "short_chunk_cnn", "options": {"width": 0.07}}}
RUN, CELL = (
    Run(**{factor: LEVELS[factor] for factor in [*LEVELS][:7]}),
    CellKey(**{factor: LEVELS[factor] for factor in [*LEVELS][7:]}),
)


def make_cell(root, encoder, *, scenario="frozen", task="multiclass", keep="first_trial", crops="average", head=None):
    """Evaluate a cell as a workflow does; return its folder, its test clips as files, and their scores."""
    rate = encoder["options"].get("sample_rate", 16000)
    seconds = [6.0, 3.0, 9.0, 2.0, 5.5] * 4 if rate == 8000 else [1.0, 0.7, 0.3, 1.0, 0.3] * 4
    if head:  # on maps of windows of 3.9 s
        seconds = [1.0, 1.0, 1.0, 1.0, 6.5, 1.0, 1.0, 1.0, 1.0, 3.0]
    corpus = write_corpus(root / "tones", clips=len(seconds), classes=3, task=task, seconds=seconds, sample_rate=rate)
    common = ["--code", "c0de", "--corpus", str(corpus.folder)]
    embeddings = root / "embeddings" / path_of(RUN) / "tones.npy"
    if scenario == "frozen":
        embeddings.parent.mkdir(parents=True)
        job = {"encoder": encoder, "seed": 0, "dataset": "tones"}
        embed.main([*common, "--config", json.dumps(job), "--output", str(embeddings)])
    config = {
        "encoder": encoder if scenario != "frozen" else None,
        "head": head or {"name": "linear", "options": {}},
        "scenario": scenario,
        "fraction": "100pct",
        "trials": 1,
        "training": {"learning_rate": 0.01, "batch": 8, "max_epochs": 1, "crops": crops},
        "factors": LEVELS,
        "keep": keep,
    }
    config = {key: value for key, value in config.items() if value is not None}
    cell = root / "evaluations" / path_of(RUN, CELL)
    source = ["--embeddings", str(embeddings)] if scenario == "frozen" else []
    evaluate.main([*common, "--config", json.dumps(config), "--output", str(cell), *source])
    files = []
    for row in corpus.rows("test"):
        files.append(str(root / f"{corpus.clips['clip'].iloc[row]}.wav"))
        soundfile.write(files[-1], (corpus.cut(int(row)) * 32768).astype(np.int16), rate)
    with np.load(cell / "predictions.npz") as stored:
        return cell, files, stored["scores"][0]


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        (SAMPLECNN, {}),
        (SAMPLECNN, {"task": "multilabel", "crops": "pool"}),
        (SAMPLECNN, {"scenario": "supervised"}),
        (PASE, {"task": "multilabel"}),
        (U_NET, MAPS),
        (MAGNITUDE, MAPS | {"task": "multilabel"}),
    ],
)
def test_a_test_clip_gets_the_probabilities_of_its_trial_again(encoder, options, tmp_path, capsys):
    cell, files, scores = make_cell(tmp_path, encoder, **options)
    predict.main(["--cell", str(cell), *files, "--format", "json"])
    predictions = json.loads(capsys.readouterr().out)
    assert [item["file"] for item in predictions] == files
    found = np.array([[*item["probabilities"].values()] for item in predictions])
    # embeddings of this tiny PASE hardly vary, and standardisation enlarges their last digit
    np.testing.assert_allclose(found, scores, atol=5e-4 if encoder is PASE else 2e-5)
    for item, row in zip(predictions, found, strict=True):
        likely = [name for name in item["probabilities"] if item["probabilities"][name] >= 0.5]
        single = [[*item["probabilities"]][int(row.argmax())]]
        assert sorted(item["predicted"]) == (likely if "task" in options else single)


def test_files_that_cannot_be_decoded_are_named_and_the_others_predicted(tmp_path, capsys):
    cell, files, scores = make_cell(tmp_path, SAMPLECNN)
    text = tmp_path / "page.mp3"
    text.write_text("<html>not found</html>")
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(8000), 8000)
    with pytest.raises(SystemExit) as ended:
        predict.main(
            ["--cell", str(cell), str(text), *files, str(silent), "none.wav", "--output", str(tmp_path / "p.csv")]
        )
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"prelude: {text} is left out (not_audio: ")
    assert lines[1].startswith(f"prelude: {silent} is left out (silent: ")
    assert lines[2].startswith("prelude: none.wav is left out (missing: ")
    rows = [*csv.DictReader(io.StringIO((tmp_path / "p.csv").read_text()))]
    assert [row["file"] for row in rows] == files
    assert [float(row["class1"]) for row in rows] == pytest.approx(scores[:, 1].tolist(), abs=2e-5)
    assert rows[0]["predicted"] == f"class{scores[0].argmax()}"


def test_a_defect_is_a_note_and_names_of_any_bytes_are_written(tmp_path, capsys):
    cell, files, _ = make_cell(tmp_path, SAMPLECNN)
    content = Path(files[0]).read_bytes()
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    Path(path).write_bytes(content[: -len(content) // 20])
    for form in ("csv", "json"):
        output = tmp_path / "predictions"
        predict.main(["--cell", str(cell), path, "--format", form, "--output", str(output)])
        assert r"caf\udce9.wav" in output.read_text(encoding="utf-8").replace("\\\\", "\\")  # escaped in JSON
        (line,) = capsys.readouterr().err.splitlines()
        assert re.match(r"prelude: note: .*caf.*\.wav has a defect \(incomplete: a part of the length", line)


def test_no_recording_is_overwritten(tmp_path):
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"sound")
    for output in (recording, tmp_path):
        with pytest.raises(UserError, match=r"--output: .* is there and no csv or JSON"):
            predict.main(["--cell", str(tmp_path), "b.wav", "--output", str(output)])
    assert recording.read_bytes() == b"sound"


@pytest.mark.skipif(not Path("/proc/1").is_dir(), reason="no /proc")
def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_predicted(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for output in (tmp_path / "pipe", Path("/proc/x/a.csv")):
        with pytest.raises(SystemExit):
            run_command(lambda: predict.main(["--cell", str(tmp_path), "b.wav", "--output", str(output)]))  # noqa: B023
        error = capsys.readouterr().err
        assert re.fullmatch(r"prelude: (\S*/pipe is a device, a pipe or|/proc/x cannot be used) .*\n", error)
    assert (tmp_path / "pipe").is_fifo()


def test_long_recordings_are_scored_in_parts_of_bounded_length(tmp_path, capsys, monkeypatch):
    cell, files, _ = make_cell(tmp_path, PASE)
    monkeypatch.setattr(predict, "MAX_SECONDS", 0.5)
    lengths = []
    real = predict.embed_audio
    monkeypatch.setattr(predict, "embed_audio", lambda encoder, part: lengths.append(len(part)) or real(encoder, part))
    soundfile.write(tmp_path / "long.wav", np.tile(soundfile.read(files[0])[0], 6), 16000)
    predict.main(["--cell", str(cell), str(tmp_path / "long.wav")])
    assert len(lengths) > 3
    assert max(lengths) <= 8000
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert sum(float(row[f"class{number}"]) for number in range(3)) == pytest.approx(1, abs=1e-4)


def test_without_a_kept_head_or_with_another_encoder_nothing_is_predicted(tmp_path):
    cell, files, _ = make_cell(tmp_path / "a", SAMPLECNN, keep=None)
    with pytest.raises(UserError, match=r"head\.safetensors is missing: set keep: first_trial in its protocol"):
        predict.main(["--cell", str(cell), *files])
    cell, files, _ = make_cell(tmp_path / "b", SAMPLECNN)
    shutil.copytree(cell, tmp_path / "elsewhere")
    with pytest.raises(UserError, match="nowhere: there is no such folder: name that of a cell"):
        predict.main(["--cell", str(tmp_path / "nowhere"), *files])
    with pytest.raises(UserError, match="its encoder cannot be found"):
        predict.main(["--cell", str(tmp_path / "elsewhere"), *files])
    job = {"encoder": SAMPLECNN, "seed": 1, "dataset": "tones"}
    embeddings = tmp_path / "b" / "embeddings" / path_of(RUN) / "tones.npy"
    flags = ["--code", "c0de", "--corpus", str(tmp_path / "b" / "tones"), "--output", str(embeddings)]
    embed.main([*flags, "--config", json.dumps(job)])
    with pytest.raises(UserError, match="was computed again since its head learned"):
        predict.main(["--cell", str(cell), *files])
