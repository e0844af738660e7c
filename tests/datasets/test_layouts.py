"""Every layout of a user's copy that docs/data.md names, as a folder; and folders without a copy."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
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
from workflow_scripts.datasets import billboard, magnatagatune, msd
from workflow_scripts.levels import dataset_facts, registry

PAGE = REPOSITORY / "docs" / "data.md"
SONG = "c/some_band-some_album-01-some_song-30-59"
STEMS = ("mixture", "vocals", "drums", "bass", "other")
#: options of the data sets whose files depend on them
SUBSETS = {"fma": [{"subset": "small"}, {"subset": "medium"}]}


def write_lists(loader: str, root: Path) -> None:
    """Write the lists that lie beside the audio."""
    if loader == "msd":
        test_msd.write_tables(root / "processed_annotations")
        put(root, {msd.PREVIEWS: pickle.dumps({test_msd.A: "5504670"})})
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


def read_page() -> dict[str, dict[str, str]]:
    """Read the table of each data set: what stands in the first column to the rest of the row."""
    tables: dict[str, dict[str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\| `(\w+)` \| \|", line):
            table = tables.setdefault(match[1], {})
        elif match := re.fullmatch(r"\| (licence|size|comes|lists|layouts|host gone) \| (.+) \|", line):
            table[match[1]] = match[2]
    return tables


TABLES = read_page()
LAYOUTS = [(loader, path) for loader, table in TABLES.items() for path in re.findall(r"`([^`]+)`", table["layouts"])]


def index_of(loader: str, root: Path, options: dict[str, str]):
    level = registry.load("dataset", loader)
    return level.index(root, registry.options(level, options))


@pytest.mark.parametrize(("loader", "path"), LAYOUTS)
def test_a_folder_in_each_layout_of_the_page_is_read(tmp_path, loader, path):
    write_lists(loader, tmp_path)
    touch(tmp_path, path, *(path.replace("mixture", stem) for stem in STEMS if "mixture" in path))
    index = index_of(loader, tmp_path, {})
    assert index.clips["path"].tolist() == [path]
    for stem in index.stems.values():
        assert (tmp_path / stem.paths[0]).is_file()


@pytest.mark.parametrize("loader", ["audioset_music", "billboard", "extended_ballroom", "magnatagatune", "openmic"])
def test_lists_may_be_one_folder_down_and_the_audio_in_another(tmp_path, loader):
    write_lists(loader, tmp_path / "lists")
    path = next(path for name, path in LAYOUTS if name == loader)
    touch(tmp_path, f"sounds/{path}")
    assert index_of(loader, tmp_path, {}).clips["path"].tolist() == [f"sounds/{path}"]


@pytest.mark.parametrize("loader", TABLES)
def test_the_page_has_licence_sizes_and_layouts_of_every_data_set(loader):
    table, level = TABLES[loader], registry.load("dataset", loader)
    assert table["licence"] == level.LICENSE
    assert len(table) == 6
    remotes = [dataset_facts.remotes(level, registry.options(level, given)) for given in SUBSETS.get(loader, [{}])]
    assert ("downloaded" in table["comes"]) == any(remotes)
    for remote in (remote for files in remotes for remote in files.values() if remote.bytes):
        assert f"{remote.bytes:,} bytes" in table["size"]


def test_the_page_has_every_published_data_set():
    assert set(TABLES) == set(registry.names("dataset")) - {"folder"}


@pytest.mark.parametrize("loader", TABLES)
def test_a_folder_without_a_copy_is_told_three_layouts_that_were_looked_for(tmp_path, loader):
    write_lists(loader, tmp_path)
    touch(tmp_path, "some/other/song.mp3")
    with pytest.raises(UserError, match="looked for") as caught:
        index_of(loader, tmp_path, {})
    looked = str(caught.value).partition("looked for ")[2].partition(";")[0]
    assert len(re.split(r", | and ", looked)) >= 3
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["fma_medium", "fma_large", "audio"])
def test_fma_medium_is_read_too(tmp_path, folder):
    write_lists("fma", tmp_path)
    touch(tmp_path, f"{folder}/000/000007.mp3")
    assert index_of("fma", tmp_path, {"subset": "medium"}).clips["path"].tolist() == [f"{folder}/000/000007.mp3"]


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
    write_lists("openmic", tmp_path / "openmic-2018")
    published = "openmic-2018/audio/123/123456_0.ogg"
    touch(tmp_path, published, "openmic-2018/16k/123456_0.wav", "123456_0.wav")
    assert index_of("openmic", tmp_path, {}).clips["path"].tolist() == [published]
