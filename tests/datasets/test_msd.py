from __future__ import annotations

import csv
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from tests.checkout import SHARED, needs_shared
from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import msd

A, B, C, D = "TRAAAAK128F9318786", "TRAAAAW128F429D538", "TRAAABD128F429CF47", "TRYLROL128F931C1A7"
HELD = {A: ["rock", "happy"], B: [], C: ["00s"], D: ["pop"]}


def vector(track: str) -> list[float]:
    return [float(tag in HELD[track]) for tag in msd.TAGS]


def write_tables(root: Path, *, train=(A, B), valid=(C,), test=(D,)) -> Path:
    tracks = {"train": train, "val": valid, "test": test}
    return put(
        root,
        {
            f"{name}_gt_msd.tsv": "".join(f"{track}\t{json.dumps(vector(track))}\n" for track in own)
            for name, own in tracks.items()
        },
    )


def as_python_2(content: object) -> bytes:
    """Strings as byte strings, as a pickle of Python 2 holds them."""
    return re.sub(rb"V(TR\w+)", rb"S'\1'", pickle.dumps(content, protocol=0))


def splits_of(index) -> dict[str, str]:
    return dict(zip(index.clips["clip"], index.clips["split"], strict=True))


@pytest.mark.parametrize("folder", ["", "lists/"])
def test_tables_give_split_and_labels(tmp_path, folder):
    write_tables(tmp_path / folder)
    index = msd.index(touch(tmp_path, *(f"{t[2]}/{t[3]}/{t[4]}/{t}.mp3" for t in (A, B, C, D))), msd.Options())
    assert splits_of(index) == {A: "train", B: "train", C: "valid", D: "test"}
    assert tuple(index.labels.columns) == msd.TAGS
    held = index.labels.loc[A]
    assert sorted(held[held == 1].index) == ["happy", "rock"]
    assert index.labels.to_numpy().dtype == np.float32
    assert index.excluded.empty


def test_previews_are_found_by_their_number(tmp_path):
    write_tables(tmp_path)
    put(tmp_path, {msd.PREVIEWS: pickle.dumps({A: "5504670", B: "3401791", C: 3400270, D: "5504670"}, protocol=2)})
    touch(tmp_path, "5/5/5504670.clip.mp3", "3/4/3400270.clip.mp3", "3/4/1.clip.mp3", "cover.mp3")
    index = msd.index(tmp_path, msd.Options())
    assert dict(zip(index.clips["clip"], index.clips["path"], strict=True)) == {
        A: "5/5/5504670.clip.mp3",
        C: "3/4/3400270.clip.mp3",
    }
    reasons = dict(index.excluded.itertuples(index=False))
    assert reasons[D] == f"the same preview as {A}"  # which is in training: this one would be tested on it
    assert reasons[B] == "the audio file is missing"


def test_pickles_of_python_2_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(msd, "TRAINING", 2)
    columns = {track: np.array(vector(track)).reshape(50, 1) for track in HELD}  # as the published vectors stand
    put(
        tmp_path,
        {
            msd.TRAIN_LIST: as_python_2([A, B, C]),
            msd.TEST_LIST: pickle.dumps([D], protocol=2),
            msd.VECTORS: pickle.dumps(columns, protocol=2),
        },
    )
    write_tables(tmp_path / "tables")
    lists, expected = msd.read_lists(tmp_path), msd.read_lists(tmp_path / "tables")
    assert lists[0] == expected[0]
    for track in HELD:
        np.testing.assert_array_equal(lists[1][track], expected[1][track])


class Hostile:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_pickles_run_no_foreign_code(tmp_path, capsys):
    for name in (msd.TRAIN_LIST, msd.TEST_LIST, msd.VECTORS):
        put(tmp_path, {name: pickle.dumps([Hostile()])})
    with pytest.raises(UserError, match="print"):
        msd.index(tmp_path, msd.Options())
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{B}\t[1.0, 0.0]\n", "fifty tags"),
        (f"{B}\t{[2.0] * 50}\n", "fifty tags"),
        (f"../../x\t{[0.0] * 50}\n", "no track"),
        (f"{B} {[0.0] * 50}\n", "line 2"),
        (f"{A}\t{[0.0] * 50}\n", "twice"),
    ],
)
def test_an_unusable_list_is_one_clear_error(tmp_path, line, message):
    write_tables(tmp_path, train=(A,))
    table = tmp_path / "train_gt_msd.tsv"
    table.write_text(table.read_text() + line)
    with pytest.raises(UserError, match=message) as caught:
        msd.index(touch(tmp_path, f"{A}.mp3"), msd.Options())
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"train_gt_msd\.tsv.*music_dataset_split"):
        msd.index(tmp_path, msd.Options())
    write_tables(tmp_path)
    with pytest.raises(UserError, match=r"<track id>\.mp3.*MSD_id_to_7D_id\.pkl"):
        msd.index(touch(tmp_path, "5/5/5504670.clip.mp3"), msd.Options())


@needs_shared
def test_tags_are_the_published_ones():
    with (SHARED / "reference" / "lists" / "msd_top50_tags.csv").open(encoding="utf-8", newline="") as file:
        assert tuple(row["tag"] for row in csv.DictReader(file)) == msd.TAGS
