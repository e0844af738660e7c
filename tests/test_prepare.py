import json
import os
import subprocess
import sys
import types
import unicodedata

import numpy as np
import pandas as pd
import pytest

from tests.audio.recordings import encode, write_tone
from tests.checkout import REPOSITORY, SHARED, needs_shared
from tests.datasets.files import touch
from tests.test_names import LIKE_VALUES
from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.audio.quarantine_limit import SPLITS_VARIABLE
from workflow_scripts.core.checksums import find_record
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import CLIP_COLUMNS, DatasetIndex
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources.listing import list_folder
from workflow_scripts.statistics.tables.classes import class_table


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
    monkeypatch.setattr(registry, "module_name", lambda factor, name: module.__name__)
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


def test_a_folder_that_changed_since_it_was_acquired_is_not_prepared(acquired, tmp_path):
    write_tone(tmp_path / "mine" / "c0.wav", 0.5, pitch=900)  # as long as before
    with pytest.raises(UserError, match=r"toy_set: your files have changed since .* read them again with --forcerun"):
        run(acquired, tmp_path / "out")
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_a_relative_path_counts_from_where_the_copy_was_acquired(acquired, tmp_path, monkeypatch):
    config = {"dataset": "toy_set", "loader": "toy", "source": "local", "path": "mine"}
    monkeypatch.chdir(tmp_path)
    acquire.main(["--config", json.dumps(config), "--code", "c", "--output", str(tmp_path / "data")])
    (tmp_path / "elsewhere" / "mine").mkdir(parents=True)
    write_tone(tmp_path / "elsewhere" / "mine" / "other.wav", 0.5)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run(acquired, tmp_path / "out").facts.clips == 4


def test_command_line_ends_in_one_line(tmp_path):
    flags = ["--config", "{}", "--code", "c", "--acquired", str(tmp_path / "none.json"), "--output", str(tmp_path)]
    command = [sys.executable, "-m", "workflow_scripts.prepare", *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env={**os.environ})
    assert result.returncode == 2
    assert result.stderr.startswith("prelude: ")
    assert len(result.stderr.splitlines()) == 1


def prepare_folder(folder, output, **options):
    config = {"dataset": "own", "loader": "folder", "source": "local", "path": str(folder)}
    data = output.with_name(f"{output.name}_data")
    acquire.main(["--config", json.dumps(config), "--code", "c", "--output", str(data)])
    full = {"dataset": "own", "loader": "folder", "options": options, "sample_rate": 16000, "source": "local"}
    flags = ["--config", json.dumps(full), "--code", "c", "--acquired", str(data / "acquired.json")]
    prepare.main([*flags, "--output", str(output), "--threads", "2"])
    corpus = Corpus(output)
    reasons = pd.read_csv(output / "quarantine.csv", keep_default_na=False)
    assert (corpus.facts.clips, corpus.facts.quarantined) == (len(corpus.clips), len(reasons))
    return corpus, dict(reasons.itertuples(index=False))


MESSY = {
    "Jazz/take": "wav",  # no suffix
    "Jazz/end ": "wav",
    "Jazz/No. 5": "flac",
    "Jazz/song.ogg.old": "ogg",
    "Café/film.mkv": "mkv",
    "Café/b.wav": "wav",
    "clip/x.WAV": "wav",
    "clip_/y.wav": "wav",
}


@pytest.fixture
def messy(tmp_path):
    """Make a folder of recordings in classes, with odd names, other files, and the class Café spelt in two ways."""
    root = tmp_path / "own"
    for number, (name, kind) in enumerate(MESSY.items()):
        sound = write_tone(tmp_path / "made" / f"{number}.{'wav' if kind == 'mkv' else kind}", 0.2, pitch=300 + number)
        sound = encode(sound, sound.with_suffix(".mkv")) if kind == "mkv" else sound
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / unicodedata.normalize("NFC", name)).parent.mkdir(parents=True, exist_ok=True)
        sound.rename(root / name)
    write_tone(root / unicodedata.normalize("NFD", "Café") / "c.wav", 0.2)
    write_tone(root / "stray.wav", 0.2)
    others = ("Jazz/notes.txt", "all.zip", "list.m3u", "Jazz/.DS_Store", "clip/._x.WAV", "Jazz/empty", "README")
    touch(root, *others, "clip/broken.mp3", ".git/config")
    (root / "clip/gone.wav").symlink_to(root / "nowhere.wav")
    (root / "Ska").mkdir()
    return root


def test_every_file_of_a_messy_folder_is_a_clip_or_listed_or_counted(messy, tmp_path, capfd):
    corpus, reasons = prepare_folder(messy, tmp_path / "out", labels="folders")
    assert set(corpus.clips["clip"]) == {*MESSY, unicodedata.normalize("NFD", "Café") + "/c.wav"}
    assert reasons == {
        "clip/broken.mp3": "empty",
        "clip/gone.wav": "missing",
        "stray.wav": "not in the folder of a class",
    }
    assert corpus.facts.classes == ["Café", "Jazz", "clip", "clip_"]
    assert corpus.labels.sum(axis=0).tolist() == [3, 4, 1, 1]
    files = "files that no clip uses: 2 without a suffix, 1 .m3u, 1 .txt, 1 .zip, 3 hidden such as '.git/'"
    assert sorted(corpus.facts.notes) == sorted([files, "no audio in the folders 'Ska'"])
    log = capfd.readouterr().err
    assert all(f"own: {note}" in log for note in corpus.facts.notes)


def test_every_row_of_a_csv_is_a_clip_or_listed_or_counted(messy, tmp_path):
    rows = [f"{name},{name.split('/')[0]}" for name in MESSY]
    rows += [f"{'x' * 300}.wav,Jazz", f"{'long/' * 1000}x.wav,Jazz", "Jazz,Jazz", "Jazz\\notes.txt,Jazz", ",Jazz"]
    rows += [unicodedata.normalize("NFC", "Café/c.wav") + ",Café", "../away.wav,Jazz", "/etc/passwd,Jazz"]
    (messy / "labels.csv").write_text("\n".join(["path , labels", *rows]), encoding="utf-8")
    corpus, reasons = prepare_folder(messy, tmp_path / "out", labels="csv", csv="labels.csv")
    assert set(corpus.clips["clip"]) == {*MESSY, unicodedata.normalize("NFD", "Café") + "/c.wav"}
    missing = "the audio file is missing"
    assert {name[:9]: reason for name, reason in reasons.items()} == {
        "xxxxxxxxx": missing,
        "long/long": missing,
        "Jazz": missing,
        "Jazz/note": "empty",
        "line 14 o": "no path in the csv",
    }
    assert len(corpus.clips) + len(reasons) + 2 == len(rows)
    assert "2 of 16 rows of labels.csv name files outside the folder" in corpus.facts.notes
    assert "3 audio such as 'clip/broken.mp3'" in corpus.facts.notes[-1]


@needs_shared
def test_every_real_file_is_a_clip_or_listed_or_counted(tmp_path):
    root = SHARED / "audio"
    listing = list_folder(root)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(listing.audio) + len(listing.hidden) + listing.others.total() == len(files)
    assert dict(listing.others) == {".md": 1, ".csv": 1}
    index = registry.load("dataset", "folder").index(root, registry.load("dataset", "folder").Options())
    assert len(index.clips) + len(index.excluded) == len(files) - 2
    corpus, reasons = prepare_folder(root / "broken/degenerate", tmp_path / "out")
    assert len(corpus.clips) + len(reasons) == len(list((root / "broken/degenerate").iterdir()))


NEEDED = {"own": ["train", "valid", "test"]}


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("test_", r"no clips in its test split, since 2 not_audio such as test_a\.wav are quarantined: .* --forcerun"),
        ("valid_", r"no clips in its valid split, since 2 not_audio such as valid_a\.wav are quarantined"),
        ("_b", r"one class, a: nothing can be told apart; give at least two"),
    ],
)
def test_a_split_or_class_that_is_needed_and_lost_to_the_quarantine_is_told(tmp_path, monkeypatch, broken, fault):
    files = {f"{split}_{label}.wav": f"{label},{split}" for split in NEEDED["own"] for label in "ab"}
    for name in files:
        if broken in name:
            touch(tmp_path / "set", name).joinpath(name).write_text("Not found")
        else:
            write_tone(tmp_path / "set" / name)
    rows = ["path,labels,split", *(f"{name},{facts}" for name, facts in files.items())]
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    monkeypatch.setenv(SPLITS_VARIABLE, json.dumps(NEEDED))
    with pytest.raises(UserError, match=f"own: {fault}"):
        prepare_folder(tmp_path / "set", tmp_path / "all", labels="csv", csv="labels.csv")
    assert not (tmp_path / "all" / "corpus.json").exists()
    monkeypatch.setenv(SPLITS_VARIABLE, json.dumps({"own": ["train"]}))
    assert len(prepare_folder(tmp_path / "set", tmp_path / "all", labels="csv", csv="labels.csv")[0]) >= 3


def test_classes_that_look_like_numbers_or_missing_values_stay_text(tmp_path):
    for number in range(len(LIKE_VALUES)):
        write_tone(tmp_path / "set" / f"{number}.wav", 0.1)
    rows = [f"{number}.wav,{label},{label}" for number, label in enumerate(LIKE_VALUES)]
    (tmp_path / "set" / "labels.csv").write_text("\n".join(["path,labels,group", *rows]))
    corpus, _ = prepare_folder(tmp_path / "set", tmp_path / "corpus", labels="csv", csv="labels.csv")
    assert corpus.facts.classes == sorted(LIKE_VALUES)
    assert corpus.clips["group"].tolist() == list(LIKE_VALUES)
    assert [corpus.facts.classes[row.argmax()] for row in corpus.labels] == list(LIKE_VALUES)
    manifest = types.SimpleNamespace(corpora=[tmp_path / "corpus"], unfinished=False, find_record=find_record)
    assert class_table(manifest)["class"].tolist() == sorted(LIKE_VALUES)
