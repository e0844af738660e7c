import json
import os
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY
from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, DatasetIndex
from workflow_scripts.levels.options import LevelOptions


class Options(LevelOptions):
    suffix: str = ".wav"


def index(root, options):
    names = sorted(path.name for path in root.glob(f"*{options.suffix}"))
    rows = [(name[:-4], name, np.nan, np.nan, "train", name) for name in names]
    return DatasetIndex(
        task="unlabelled",
        clips=pd.DataFrame(rows, columns=list(CLIP_COLUMNS)),
        labels=pd.DataFrame(index=[row[0] for row in rows]),
    )


@pytest.fixture
def acquired(tmp_path, monkeypatch):
    module = types.ModuleType("workflow_scripts.datasets.toy")
    module.Options, module.index = Options, index
    monkeypatch.setattr(registry, "load", lambda factor, name: module)
    for number in range(4):
        write_tone(tmp_path / "mine" / f"c{number}.wav", 0.5, pitch=300 + number)
    (tmp_path / "mine" / "bad.wav").write_bytes(b"<html>gone</html>")
    config = {"dataset": "toy_set", "loader": "toy", "source": "local", "path": str(tmp_path / "mine")}
    acquire.main(["--config", json.dumps(config), "--code", "c", "--output", str(tmp_path / "data")])
    return tmp_path / "data" / "acquired.json"


def run(acquired, output, **config):
    full = {"dataset": "toy_set", "loader": "toy", "options": {}, "sample_rate": 16000, "source": "local", **config}
    flags = ["--config", json.dumps(full), "--code", "c0de", "--acquired", str(acquired), "--output", str(output)]
    prepare.main([*flags, "--threads", "2"])
    return Corpus(output)


def test_everything_promised_is_written(acquired, tmp_path):
    corpus = run(acquired, tmp_path / "out", clip_seconds=0.25)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "audio.int16",
        "clips.parquet",
        "labels.parquet",
        "quarantine.csv",
        "corpus.json",
        "record.json",
    }
    assert (corpus.facts.dataset, corpus.facts.source, corpus.facts.clips) == ("toy_set", "local", 4)
    assert (corpus.facts.sample_rate, corpus.facts.quarantined, corpus.facts.seconds) == (16000, 1, 1.0)
    assert corpus.labels.shape == (4, 0)
    assert pd.read_csv(tmp_path / "out" / "quarantine.csv").to_numpy().tolist() == [["bad", "not_audio"]]
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["data"] == {"toy_set": corpus.facts.digest}
    assert record["code"] == "c0de"
    assert record["config"]["clip_seconds"] == 0.25


def test_user_errors(acquired, tmp_path):
    with pytest.raises(UserError, match="nonsense"):
        run(acquired, tmp_path / "out", options={"nonsense": 1})
    with pytest.raises(UserError, match="acquired as 'local'"):
        run(acquired, tmp_path / "out", source="twin")
    with pytest.raises(UserError, match="lists no usable clip"):
        run(acquired, tmp_path / "out", options={"suffix": ".nothing"})
    with pytest.raises(UserError, match="acquire the data set first"):
        run(tmp_path / "none.json", tmp_path / "out")


def test_command_line_ends_in_one_line(tmp_path):
    flags = ["--config", "{}", "--code", "c", "--acquired", str(tmp_path / "none.json"), "--output", str(tmp_path)]
    command = [sys.executable, "-m", "workflow_scripts.prepare", *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env={**os.environ})
    assert result.returncode == 2
    assert result.stderr.startswith("prelude: ")
    assert len(result.stderr.splitlines()) == 1
