"""Both published layouts of MUSDB18, its division, and what is missing or mixed up."""

from __future__ import annotations

import pytest

from tests.datasets.files import touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import musdb18
from workflow_scripts.levels import registry

TRAIN = [*sorted(musdb18.VALIDATION), *(f"Band {number} - Song" for number in range(86))]
TEST = [f"Other {number} - Song" for number in range(50)]
WAVS = ("mixture", "vocals", "drums", "bass", "other")


def files(layout: str, *, below: str = "", train=TRAIN, test=TEST) -> list[str]:
    songs = [f"{below}train/{song}" for song in train] + [f"{below}test/{song}" for song in test]
    if layout == "mp4":
        return [f"{song}.stem.mp4" for song in songs]
    return [f"{song}/{wav}.wav" for song in songs for wav in WAVS]


def index_of(root):
    return musdb18.index(root, musdb18.Options())


@pytest.mark.parametrize("layout", ["mp4", "wav"])
@pytest.mark.parametrize("below", ["", "musdb18/", "musdb18hq/"])
def test_the_published_division_in_both_layouts(tmp_path, layout, below):
    index = index_of(touch(tmp_path, *files(layout, below=below), f"{below}train/.hidden.stem.mp4", "README.md"))
    assert index.clips["split"].value_counts().to_dict() == {"train": 86, "test": 50, "valid": 14}
    assert set(index.clips["clip"][index.clips["split"] == "valid"]) == musdb18.VALIDATION
    assert index.task == "unlabelled"
    assert index.labels.shape == (150, 0)
    assert index.excluded.empty
    assert list(index.stems) == list(registry.load("dataset", "musdb18").STEMS)
    assert list(index.clips["group"]) == list(index.clips["clip"]) == sorted([*TRAIN, *TEST])


def test_streams_of_a_stem_file_and_files_of_a_folder(tmp_path):
    one = {"train": ["A - B"], "test": []}
    index = index_of(touch(tmp_path / "mp4", *files("mp4", **one)))
    path = "train/A - B.stem.mp4"
    assert list(index.clips["path"]) == [path]
    stems = {name: (list(stem.paths), stem.stream) for name, stem in index.stems.items()}
    assert stems == {"vocals": ([path], 4), "drums": ([path], 1), "bass": ([path], 2), "other": ([path], 3)}
    index = index_of(touch(tmp_path / "wav", *files("wav", **one)))
    assert list(index.clips["path"]) == ["train/A - B/mixture.wav"]
    stems = {name: (list(stem.paths), stem.stream) for name, stem in index.stems.items()}
    assert stems == {name: ([f"train/A - B/{name}.wav"], 0) for name in index.stems}


def test_a_song_that_lacks_a_stem_is_excluded(tmp_path):
    names = [name for name in files("wav", train=["A - B", "C - D"], test=[]) if name != "train/C - D/bass.wav"]
    index = index_of(touch(tmp_path, *names))
    assert list(index.clips["clip"]) == ["A - B"]
    assert index.excluded.values.tolist() == [["C - D", "the audio file is missing"]]
    assert all(len(stem.paths) == 1 for stem in index.stems.values())


def test_a_name_of_the_validation_songs_in_the_test_folder_stays_a_test(tmp_path):
    index = index_of(touch(tmp_path, *files("mp4", train=["A - B"], test=["Meaxic - Take A Step"])))
    assert dict(zip(index.clips["clip"], index.clips["split"], strict=True)) == {
        "A - B": "train",
        "Meaxic - Take A Step": "test",
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no songs of MUSDB18: looked for train/Artist - Title.stem.mp4"),
        (["train/a.mp3", "test/notes/b.txt"], "holds no songs"),
        (["train/A - B/song.mp3"], "holds no song with its mixture and all stems"),
        (["train/A - B.stem.mp4", "test/C - D/mixture.wav"], "holds both .stem.mp4 files and folders of wavs"),
    ],
)
def test_other_folders_are_a_clear_error(tmp_path, names, message):
    with pytest.raises(UserError, match=message):
        index_of(touch(tmp_path, *names))
