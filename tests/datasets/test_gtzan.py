from __future__ import annotations

import pytest

from tests.datasets.files import touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import gtzan
from workflow_scripts.levels import registry


def files(folder: str = "genres/", suffix: str = ".wav", names=None) -> list[str]:
    wanted = gtzan.read_list()["clip"] if names is None else names
    return [f"{folder}{clip.split('.')[0]}/{clip}{suffix}" for clip in wanted]


def test_the_published_split(tmp_path):
    index = gtzan.index(touch(tmp_path, *files()), gtzan.Options())
    assert index.clips["split"].value_counts().to_dict() == {"train": 443, "test": 290, "valid": 197}
    assert index.excluded.empty
    assert list(index.labels.columns) == sorted(set(gtzan.read_list()["genre"]))
    assert index.labels.loc["jazz.00054"].idxmax() == "jazz"
    assert (index.labels.sum(axis=1) == 1).all()


@pytest.mark.parametrize("folder", ["genres/", "genres_original/", ""])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_every_circulating_layout(tmp_path, folder, suffix):
    index = gtzan.index(
        touch(tmp_path, *files(folder, suffix, ["blues.00029", "rock.00040"])), gtzan.Options(split="corpus")
    )
    assert index.clips["path"].to_list() == [f"{folder}blues/blues.00029{suffix}", f"{folder}rock/rock.00040{suffix}"]


def test_faulty_clips_are_left_out_and_missing_ones_counted(tmp_path):
    listed = gtzan.read_list()["clip"]
    faulty = next(name for i in range(100) if (name := f"hiphop.{i:05d}") not in set(listed))
    index = gtzan.index(touch(tmp_path, *files(names=[*listed[5:], faulty])), gtzan.Options())
    assert len(index.clips) == 925
    assert faulty not in set(index.clips["clip"])
    assert index.notes == ("5 of 930 clips of the list have no audio file",)


def test_as_a_corpus_all_clips_are_for_pre_training(tmp_path):
    index = gtzan.index(touch(tmp_path, *files()), gtzan.Options(split="corpus"))
    counts = index.clips["split"].value_counts()
    assert set(counts.index) == {"train", "valid"}
    assert counts.sum() == 930
    assert counts["valid"] == pytest.approx(46, abs=20)


def test_what_is_wrong_is_reported(tmp_path):
    with pytest.raises(UserError, match="bring your own copy"):
        gtzan.index(tmp_path, gtzan.Options())
    with pytest.raises(UserError, match="'all' is not allowed; allowed: fault_filtered, corpus"):
        registry.options(gtzan, {"split": "all"})
