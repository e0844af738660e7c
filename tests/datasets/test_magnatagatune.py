from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path, PurePosixPath

import pytest

from tests.checkout import SHARED, needs_shared
from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import magnatagatune
from workflow_scripts.levels import registry

LISTS = SHARED / "reference" / "lists"
SONG = "c/some_band-some_album-01-some_song"
CLIPS = {
    2: (f"{SONG}-30-59.mp3", ["female voice"]),
    10: (f"{SONG}-117-146.mp3", ["metal", "rock"]),
    9: (f"{SONG}-59-88.mp3", []),
    35644: ("6/norine_braun-now_and_zen-08-gently-117-146.mp3", ["slow"]),
    25: ("0/a-b-01-c-0-29.mp3", ["guitar"]),  # left out of the filtered split, though tagged here
    90001: ("b/a-b-01-d-0-29.mp3", ["no voice"]),
    90002: ("f/a-c-01-e-0-29.mp3", ["harp"]),
}


def table(clips=None, *, tags=magnatagatune.TAGS, more: str = "singer") -> str:
    lines = ["\t".join(f'"{name}"' for name in ("clip_id", more, *tags, "mp3_path"))]
    for number, (path, held) in (CLIPS if clips is None else clips).items():
        values = (number, 0, *(int(tag in held) for tag in tags), path)
        lines.append("\t".join(f'"{value}"' for value in values))
    return "\n".join(lines) + "\n"


def write(root: Path, *, text: str | None = None, folder: str = "") -> Path:
    put(root, {magnatagatune.ANNOTATIONS: table() if text is None else text})
    return touch(root, *(f"{folder}{path}" for path, _ in CLIPS.values()))


def splits_of(index) -> dict[str, str]:
    return dict(zip(index.clips["clip"], index.clips["split"], strict=True))


def shared_rows(name: str) -> list[dict[str, str]]:
    with gzip.open(LISTS / name, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("folder", ["", "mp3/"])
def test_folders_decide_the_split_and_songs_stay_in_order(tmp_path, folder):
    index = magnatagatune.index(write(tmp_path, folder=folder), magnatagatune.Options())
    expected = {"000002": "valid", "000009": "valid", "000010": "valid", "000025": "train"}
    assert splits_of(index) == expected | {"090001": "train", "090002": "test"}
    song = index.clips[index.clips["group"] == SONG]
    assert [path.rpartition("/")[2].split("-")[4] for path in song["path"]] == ["30", "59", "117"]
    assert index.clips["path"][0] == f"{folder}{SONG}-30-59.mp3"


def test_labels_are_found_by_name_in_any_order_of_columns(tmp_path):
    for tags in (magnatagatune.TAGS, magnatagatune.TAGS[::-1]):
        index = magnatagatune.index(write(tmp_path, text=table(tags=tags)), magnatagatune.Options())
        assert tuple(index.labels.columns) == magnatagatune.TAGS
        held = index.labels.loc["000010"]
        assert sorted(held[held == 1].index) == ["metal", "rock"]
        assert index.labels.loc["000009"].sum() == 0  # a clip without any of the fifty stays in the folder split


def test_filtered_takes_tagged_clips_that_are_not_left_out(tmp_path):
    index = magnatagatune.index(write(tmp_path), magnatagatune.Options(split="filtered"))
    assert sorted(splits_of(index)) == ["000002", "000010", "090001", "090002"]


def test_known_bad_and_missing_clips_are_excluded_with_reasons(tmp_path):
    write(tmp_path)
    (tmp_path / CLIPS[25][0]).unlink()
    excluded = magnatagatune.index(tmp_path, magnatagatune.Options()).excluded
    reasons = dict(excluded.itertuples(index=False))
    assert set(reasons) == {"000025", "035644"}
    assert "known bad" in reasons["035644"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (table(tags=magnatagatune.TAGS[:-1]), "choral"),
        (table().replace("\t", ","), "cannot be read"),
        (table({1: ("../x-0-29.mp3", [])}), "the path"),
        (table({1: ("0/../../x-0-29.mp3", [])}), "the path"),
        (table().replace('"1"', '"2"'), "neither 0 nor 1"),
        (table().replace('"10"', '"9"'), "twice"),
    ],
)
def test_an_unusable_table_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        magnatagatune.index(write(tmp_path, text=text), magnatagatune.Options())
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"lacks annotations_final\.csv"):
        magnatagatune.index(tmp_path, magnatagatune.Options())
    put(tmp_path, {magnatagatune.ANNOTATIONS: table()})
    with pytest.raises(UserError, match=r"mp3\.zip\.001"):
        magnatagatune.index(tmp_path, magnatagatune.Options())
    with pytest.raises(UserError, match="'lee' is not allowed; allowed: folders, filtered"):
        registry.options(magnatagatune, {"split": "lee"})


@needs_shared
def test_tags_are_the_published_ones():
    with (LISTS / "mtat_top50_tags.csv").open(encoding="utf-8", newline="") as file:
        assert tuple(row["tag_musicnn_order"] for row in csv.DictReader(file)) == magnatagatune.TAGS


@needs_shared
def test_published_sizes_of_both_splits(tmp_path, monkeypatch):
    """The real paths, with the published labels where there are any and a tag for every other clip."""
    tagged = {row["clip_id"]: row["tag_columns_musicnn_order"] for row in shared_rows("mtat_labels_valid_test.csv.gz")}
    rows = shared_rows("mtat_clips.csv.gz")
    text = io.StringIO()
    text.write("\t".join(("clip_id", *magnatagatune.TAGS, "mp3_path")) + "\n")
    for row in rows:
        columns = {int(column) for column in tagged.get(row["clip_id"], "0").split()}
        text.write("\t".join((row["clip_id"], *(str(int(i in columns)) for i in range(50)), row["mp3_path"])) + "\n")
    put(tmp_path, {magnatagatune.ANNOTATIONS: text.getvalue()})
    # 25,863 files would take longer than the rest of these tests
    paths = [PurePosixPath(row["mp3_path"]) for row in rows]
    monkeypatch.setattr(
        magnatagatune, "audio_by_key", lambda root, key, first: {key(path): str(path) for path in paths}
    )
    counts = {}
    for split in ("folders", "filtered"):
        clips = magnatagatune.index(tmp_path, magnatagatune.Options(split=split)).clips
        counts[split] = [int((clips["split"] == part).sum()) for part in ("train", "valid", "test")]
        assert clips.groupby("group")["split"].nunique().max() == 1
    assert counts == {"folders": [18706, 1825, 5329], "filtered": [15244, 1529, 4332]}
    starts = clips["path"].str.extract(r"-(\d+)-\d+\.mp3$")[0].astype(int)
    assert starts.groupby(clips["group"]).apply(lambda song: song.is_monotonic_increasing).all()
