"""Every twin is read by the real loader, is the same for the same seed, and has what the real set has."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from workflow_scripts.configuration.twin import TwinOptions
from workflow_scripts.datasets import extended_ballroom, fma, openmic
from workflow_scripts.levels import registry
from workflow_scripts.levels.dataset_index import DatasetIndex

pytestmark = pytest.mark.slow

CLIPS = {
    **{"audioset_music": 24, "openmic": 40, "extended_ballroom": 52, "fma_small": 32, "fma_medium": 48},
    **{"magnatagatune": 40, "msd": 40, "gtzan": 40, "billboard": 24},
}
NAMES = list(CLIPS)


def loader_of(name: str) -> tuple[str, dict[str, str]]:
    """Level of a data set, and its options on which the files depend."""
    return ("fma", {"subset": name.removeprefix("fma_")}) if name.startswith("fma_") else (name, {})


def make(name: str, root: Path, **given) -> DatasetIndex:
    size = {"clips": CLIPS[name], "clip_seconds": 1.0, **given}
    loader, options = loader_of(name)
    registry.load("twin", loader).write(root, TwinOptions(**size), **options)
    return index_of(name, root)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in NAMES}
    for name, root in folders.items():
        make(name, root)
    return folders


def index_of(name: str, root: Path) -> DatasetIndex:
    loader, options = loader_of(name)
    module = registry.load("dataset", loader)
    return module.index(root, registry.options(module, options))


def test_every_named_data_set_but_folder_has_a_twin():
    assert set(registry.names("dataset")) - {"folder"} == set(registry.names("twin"))


@pytest.mark.parametrize("name", NAMES)
def test_the_real_loader_reads_every_clip_of_the_requested_length(name, roots):
    index = index_of(name, roots[name])
    assert index.task == registry.load("dataset", loader_of(name)[0]).TASK
    if name != "extended_ballroom":  # which leaves four classes out
        assert len(index.clips) == CLIPS[name]
    for path in index.clips["path"]:
        audio, rate = soundfile.read(roots[name] / path, dtype="float32")
        assert len(audio) / rate == pytest.approx(1.0, abs=0.12)  # up to two MP3 frames of padding
        assert np.abs(audio).max() > 0.1
    expected = {"train", "valid"} if index.task == "unlabelled" else {"train", "valid", "test"}
    assert set(index.clips["split"]) == expected
    assert index.clips.groupby("group")["split"].nunique().max() == 1


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_files_and_others_give_others(name, roots, tmp_path):
    make(name, tmp_path / "same")
    assert digests(tmp_path / "same") == digests(roots[name])
    make(name, tmp_path / "other", seed=1)
    assert not set(digests(tmp_path / "other").values()) & {
        digest for path, digest in digests(roots[name]).items() if path.endswith((".mp3", ".ogg", ".wav"))
    }


@pytest.mark.parametrize("name", NAMES)
def test_defects_leave_a_set_that_can_be_indexed(name, tmp_path):
    index = make(name, tmp_path, defects=True)
    contents = [(tmp_path / path).read_bytes() for path in index.clips["path"]]
    silent = empty = 0
    for content in contents:
        empty += not content
        try:
            silent += not np.any(np.abs(soundfile.read(io.BytesIO(content))[0]) > 1e-3)
        except soundfile.LibsndfileError:
            continue
    if name != "extended_ballroom":  # whose defects may fall into the classes left out
        assert empty >= 1 <= silent


def test_openmic_reveals_about_two_instruments_a_clip_half_of_them_absent(tmp_path):
    labels = make("openmic", tmp_path, clips=400, clip_seconds=0.5).labels
    observed = labels.notna().sum(axis=1)
    assert observed.mean() == pytest.approx(2.05, abs=0.15)
    assert observed.min() >= 1
    assert labels.mean(axis=None, skipna=True) == pytest.approx(0.5, abs=0.08)
    assert labels.notna().sum().min() >= 20  # every instrument is asked for
    split = openmic.read_partitions(tmp_path / "openmic-2018")
    assert (split == "train").mean() == pytest.approx(0.746, abs=0.05)


def test_openmic_says_the_same_in_csv_and_npz(roots, tmp_path):
    base = roots["openmic"] / "openmic-2018"
    alone = tmp_path / "openmic-2018.npz"
    alone.write_bytes((base / alone.name).read_bytes())
    from_npz, from_csv = openmic.read_labels(tmp_path), openmic.read_labels(base)
    np.testing.assert_array_equal(from_npz.to_numpy(), from_csv.to_numpy())
    with (base / "openmic-2018-metadata.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    assert header[-2] == "sample_key"


def test_ballroom_has_thirteen_classes_and_repetitions_inside_a_class(tmp_path):
    root = tmp_path
    registry.load("twin", "extended_ballroom").write(root, TwinOptions(clips=300, clip_seconds=0.5))
    songs = extended_ballroom.read_songs(root / extended_ballroom.NAME)
    assert len(songs) == 300
    dances = {song.song: song.dance for song in songs}
    assert set(dances.values()) == extended_ballroom.ALL_CLASSES
    marks = [(song.song, other) for song in songs for other in song.repetitions]
    assert len(marks) == pytest.approx(0.12 * 300, abs=15)
    assert all(dances[song] == dances[other] for song, other in marks)
    assert len(extended_ballroom.index(root, extended_ballroom.Options()).clips) == pytest.approx(
        300 * 3992 / 4180, abs=4
    )


def test_fma_table_has_the_real_shape_and_the_subset_trap(roots):
    path = roots["fma_medium"] / "fma_metadata/tracks.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {53}
    assert rows[0][0] == rows[1][0] == ""
    assert rows[2] == ["track_id"] + [""] * 52
    tracks = fma.read_tracks(path)
    marked = tracks["subset"].value_counts()
    assert marked["small"] > 0 < marked["medium"]
    assert set(marked.index) & {"large", "full"}
    index = index_of("fma_medium", roots["fma_medium"])
    assert len(index.clips) == marked["small"] + marked["medium"]


def test_fma_small_is_balanced(roots):
    assert index_of("fma_small", roots["fma_small"]).labels.sum().tolist() == [4.0] * 8


def test_fma_known_bad_ids_appear_with_defects(tmp_path):
    excluded = make("fma_small", tmp_path, defects=True).excluded
    assert set(excluded["clip"]) == {"099134", "098565"}


def test_audioset_has_segments_that_are_not_there_or_not_music(roots):
    root = roots["audioset_music"]
    rows = (root / "unbalanced_train_segments.csv").read_text().splitlines()
    assert [row[0] for row in rows[:3]] == ["#"] * 3
    listed = "".join(path.read_text() for path in root.glob("*_segments.csv"))
    assert "/m/09x0r" in listed
    assert "\n-" in listed
    index = index_of("audioset_music", root)
    assert len(list(root.rglob("*.ogg"))) > len(index.clips) == 24
    assert index.notes == ("1 of 25 Music segments have no audio file",)
