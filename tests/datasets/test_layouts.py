"""Every layout of a user's copy that docs/data.md names, as a folder; and folders without a copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.datasets import (
    test_audioset_music,
    test_billboard,
    test_extended_ballroom,
    test_fma,
    test_magnatagatune,
    test_msd,
    test_openmic,
)
from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import billboard, magnatagatune
from workflow_scripts.levels import registry

SONG = "c/some_band-some_album-01-some_song-30-59"
STEMS = ("mixture", "vocals", "drums", "bass", "other")
HQ = "{}train/A - B/{}{}"


def write_lists(loader: str, root: Path) -> None:
    """Write the lists that lie beside the audio."""
    if loader == "msd":
        test_msd.write_tables(root / "processed_annotations")
    elif loader == "openmic":
        test_openmic.write(root)
        for path in root.rglob("*.ogg"):
            path.unlink()
    elif loader == "extended_ballroom":
        test_extended_ballroom.write(root, {"Waltz": [test_extended_ballroom.song("100601")]}, audio=False)
    put(
        root,
        {
            "audioset_music": {"eval_segments.csv": test_audioset_music.HEADER + test_audioset_music.ROWS},
            "billboard": {billboard.INDEX: test_billboard.INDEX},
            "fma": {
                "fma_metadata/tracks.csv": test_fma.HEADER + test_fma.THIRD + test_fma.ROWS,
            },
            "magnatagatune": {magnatagatune.ANNOTATIONS: test_magnatagatune.table()},
        }.get(loader, {}),
    )


#: data set, its options, and the files of one clip in each layout; the last is the path that is read
LAYOUTS = [
    ("audioset_music", {}, "clips/AbCdEfGhIjk.wav"),
    ("audioset_music", {}, "eval_segments/YAbCdEfGhIjk.wav"),
    ("audioset_music", {}, "AbCdEfGhIjk_30_40.flac"),
    ("audioset_music", {}, "AbCdEfGhIjk_30000_40000.wav"),
    ("audioset_music", {}, "YAbCdEfGhIjk_30.000_40.000.wav"),
    ("billboard", {}, "audio/1960s/Some Singer/I Can't Wait/audio.flac"),
    ("billboard", {}, "Some Singer - I Can t Wait.mp3"),
    ("billboard", {}, "0003.mp3"),
    ("extended_ballroom", {}, "Waltz/100601.mp3"),
    ("extended_ballroom", {}, "audio/Waltz/Waltz.100601.mp3"),
    ("extended_ballroom", {}, "wavs/Waltz/100601.wav"),
    ("fma", {}, "fma_small/000/000002.mp3"),
    ("fma", {}, "fma_small/fma_small/000/000002.mp3"),
    ("fma", {}, "fma_medium/000/000002.mp3"),
    ("fma", {}, "fma_large/000/000002.mp3"),
    ("fma", {}, "audio/000002.wav"),
    ("fma", {"subset": "medium"}, "fma_large/000/000002.mp3"),
    ("gtzan", {}, "genres/blues/blues.00029.wav"),
    ("gtzan", {}, "Data/genres_original/blues/blues.00029.wav"),
    ("gtzan", {}, "gtzan_genre/genres/blues/blues.00029.wav"),
    ("gtzan", {}, "blues/blues.00029.au"),
    ("gtzan", {}, "blues.00029.wav"),
    *[("magnatagatune", {}, f"{folder}{SONG}.mp3") for folder in ("", "mp3/", "mp3s/", "audio/", "raw/", "a/b/")],
    ("magnatagatune", {}, f"wav/{SONG}.wav"),
    ("msd", {}, f"A/A/A/{test_msd.A}.mp3"),
    ("msd", {}, f"wavs/{test_msd.A}.wav"),
    ("musdb18", {}, "train/A - B.stem.mp4"),
    ("musdb18", {}, "musdb18/train/A - B.stem.mp4"),
    *[
        ("musdb18", {}, HQ.format(folder, "mixture", suffix))
        for folder in ("", "musdb18hq/", "musdb18-hq/", "musdb18_hq/")
        for suffix in (".wav", ".flac")
    ],
    ("musdb18", {}, "valid/A - B.stem.mp4"),
    ("openmic", {}, "audio/123/123456_0.ogg"),
    ("openmic", {}, "wavs/123456_0.wav"),
]


def index_of(loader: str, root: Path, options: dict[str, str]):
    level = registry.load("dataset", loader)
    return level.index(root, registry.options(level, options))


@pytest.mark.parametrize(("loader", "options", "path"), LAYOUTS)
def test_a_folder_in_each_layout_that_users_have_is_read(tmp_path, loader, options, path):
    write_lists(loader, tmp_path)
    touch(tmp_path, path, *(path.replace("mixture", stem) for stem in STEMS if "mixture" in path))
    index = index_of(loader, tmp_path, options)
    assert index.clips["path"].tolist() == [path]
    for stem in index.stems.values():
        assert (tmp_path / stem.paths[0]).is_file()


@pytest.mark.parametrize("loader", sorted({loader for loader, *_ in LAYOUTS}))
def test_a_folder_without_a_copy_is_told_three_layouts_that_were_looked_for(tmp_path, loader):
    write_lists(loader, tmp_path)
    touch(tmp_path, "some/other/song.mp3")
    with pytest.raises(UserError, match="looked for") as caught:
        index_of(loader, tmp_path, {})
    looked = str(caught.value).partition("looked for ")[2].partition(";")[0]
    assert len(re.split(r", | and ", looked)) >= 3
    assert "\n" not in str(caught.value)


def test_whole_tracks_are_not_taken_for_clips(tmp_path):
    write_lists("fma", tmp_path)
    touch(tmp_path, "fma_full/000/000002.mp3")
    with pytest.raises(UserError, match="fma_full, which has no clips"):
        index_of("fma", tmp_path, {})
    touch(tmp_path, "fma_large/000/000002.mp3")
    assert index_of("fma", tmp_path, {}).clips["path"].tolist() == ["fma_large/000/000002.mp3"]


def test_of_two_copies_that_of_the_owner_is_taken(tmp_path):
    write_lists("magnatagatune", tmp_path)
    touch(tmp_path, f"16k/{SONG}.wav", f"mp3/{SONG}.mp3")
    assert index_of("magnatagatune", tmp_path, {}).clips["path"].tolist() == [f"mp3/{SONG}.mp3"]
