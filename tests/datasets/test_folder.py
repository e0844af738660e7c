from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import folder
from workflow_scripts.levels import registry

AUDIO = Path(__file__).parents[3] / "shared" / "audio"


def csv_options(**given) -> folder.Options:
    return folder.Options(labels="csv", csv="labels.csv", **given)


def splits_of(index) -> dict[str, str]:
    return dict(zip(index.clips["clip"], index.clips["split"], strict=True))


def test_unlabelled_takes_audio_by_name_only(tmp_path):
    touch(tmp_path, "a.WAV", "b/c.mp3", "b/d.flac", "README.md", "x.csv", ".hidden.wav", "b/._c.mp3", ".git/e.wav")
    index = folder.index(tmp_path, folder.Options())
    assert index.clips["clip"].tolist() == ["a.WAV", "b/c.mp3", "b/d.flac"]
    assert index.task == "unlabelled"
    assert sorted(index.clips["split"]) == ["train", "train", "valid"]


def test_links_are_followed_once(tmp_path):
    touch(tmp_path / "elsewhere", "a.wav", "b.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/loop").symlink_to(tmp_path / "elsewhere")
    assert folder.index(tmp_path / "root", folder.Options()).clips["clip"].tolist() == ["link/a.wav", "link/b.wav"]


def test_a_csv_that_is_a_link_to_a_file_elsewhere_is_not_read(tmp_path):
    (tmp_path / "secret.txt").write_text("password=1\n", encoding="utf-8")
    root = tmp_path / "elsewhere/root"
    touch(root, "a.wav")
    (root / "labels.csv").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "elsewhere/inside.csv").write_text("path,labels\na.wav,rock\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no column path"):  # a folder above is allowed
        folder.index(root, folder.Options(labels="csv", csv="labels.csv"))
    (tmp_path / "apart").mkdir()
    (tmp_path / "secret.txt").rename(tmp_path / "apart/secret.txt")
    (root / "labels.csv").unlink()
    (root / "labels.csv").symlink_to(tmp_path / "apart/secret.txt")
    with pytest.raises(UserError, match=r"the csv labels\.csv is neither in .* nor in a folder above it") as refused:
        folder.index(root, folder.Options(labels="csv", csv="labels.csv"))
    assert "password" not in str(refused.value)


def test_a_name_no_table_can_hold_is_excluded(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")).touch()
    except OSError:
        pytest.skip("this file system only takes Unicode names")
    index = folder.index(tmp_path, folder.Options())
    assert len(index.clips) == 2
    assert "not valid Unicode" in index.excluded["reason"][0]


def test_folder_names_as_classes(tmp_path):
    touch(tmp_path, *(f"{kind}/deep/{i}.ogg" for kind in ("cello", "flute") for i in range(20)), "stray.ogg")
    index = folder.index(tmp_path, folder.Options(labels="folders"))
    assert list(index.labels.columns) == ["cello", "flute"]
    assert index.labels.loc["flute/deep/3.ogg"].tolist() == [0, 1]
    assert index.clips["split"].value_counts().to_dict() == {"train": 28, "valid": 6, "test": 6}
    assert index.excluded["clip"].tolist() == ["stray.ogg"]


def test_csv_paths_count_from_its_folder_and_cannot_leave_the_root(tmp_path):
    root = touch(tmp_path / "set", "a.wav", "b.wav")
    touch(tmp_path, "outside.wav", "set2/c.wav")
    paths = ("set/a.wav", "set/../set/b.wav", "outside.wav", "set/../outside.wav", "set2/c.wav", "/etc/x.wav")
    put(tmp_path, {"labels.csv": "path,labels\n" + "".join(f"{path},x\n" for path in paths)})
    index = folder.index(root, folder.Options(labels="csv", csv=str(tmp_path / "labels.csv")))
    assert index.clips["path"].tolist() == ["a.wav", "b.wav"]


def test_several_labels(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    put(tmp_path, {"labels.csv": "path,labels\na.wav,rock|loud\nb.wav,loud;slow\nc.wav,\n"})
    index = folder.index(tmp_path, csv_options(multilabel=True))
    assert list(index.labels.columns) == ["loud", "rock", "slow"]
    assert index.labels.to_numpy().tolist() == [[1, 1, 0], [1, 0, 1]]
    assert index.excluded.to_numpy().tolist() == [["c.wav", "no label in the csv"]]
    single = folder.index(tmp_path, csv_options())
    assert list(single.labels.columns) == ["loud", "rock"]
    lost = "2 of 2 rows have several labels, of which only the first counts: set multilabel: true to keep all"
    assert lost in single.notes
    assert lost not in index.notes


def test_one_label_given_twice_is_one(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": "path,labels,split\na.wav,genre=rock|rock;,train\nb.wav,|pop,test\n"})
    index = folder.index(tmp_path, csv_options())
    assert list(index.labels.columns) == ["pop", "rock"]
    assert index.notes == ()


def test_named_columns_and_split_names(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav")
    put(tmp_path, {"labels.csv": "file,kind,part\na.wav,x,training\nb.wav,x,Val\nc.wav,y,test\nd.wav,y,test\n"})
    index = folder.index(tmp_path, csv_options(path_column="file", label_column="kind", split_column="part"))
    assert splits_of(index) == {"a.wav": "train", "b.wav": "valid", "c.wav": "test"}
    assert index.excluded.to_numpy().tolist() == [["d.wav", "the audio file is missing"]]


def test_validation_is_carved_by_group_where_only_train_and_test_are_given(tmp_path):
    names = [f"{i:02d}.wav" for i in range(40)]
    touch(tmp_path, *names)
    rows = "".join(
        f"{name},{'xy'[i // 2 % 2]},{'test' if i >= 32 else 'train'},g{i // 2}\n" for i, name in enumerate(names)
    )
    put(tmp_path, {"labels.csv": "path,labels,split,group\n" + rows})
    clips = folder.index(tmp_path, csv_options()).clips
    assert (clips["split"] == "test").sum() == 8
    assert (clips["split"] == "valid").sum() == pytest.approx(32 * 0.15 / 0.85, abs=2)
    assert clips.groupby("group")["split"].nunique().max() == 1


def test_splits_do_not_depend_on_the_order_of_rows(tmp_path):
    names = [f"{i:02d}.wav" for i in range(30)]
    touch(tmp_path, *names)
    tables = []
    for order in (names, names[::-1]):
        put(
            tmp_path,
            {"labels.csv": "path,labels\n" + "".join(f"{name},{'xyz'[int(name[:2]) % 3]}\n" for name in order)},
        )
        tables.append(folder.index(tmp_path, csv_options()).clips)
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,labels\na.wav,x\n", "no column path"),
        ("path,labels\na.wav,x\na.wav,y\n", "twice"),
        ("path,labels,split\na.wav,x,later\n", "has the split 'later'"),
        ("path,labels,split,group\na.wav,x,train,g\nb.wav,x,test,g\n", "group g is in two splits"),
        (
            "path,labels\nA.wav,x\nc.wav,y\n",
            "none of the 2 files in .*csv is in .*; the first is 'A.wav': .* case matters",
        ),
        ("path,labels\nC:\\music\\a.wav,x\n", r"the first is 'C:\\\\music\\\\a.wav': paths count from the folder"),
        ("path,labels\n/music/a.wav,x\n", r"none of the 1 files .*; the first is '/music/a.wav'"),
        ("path,labels\na.wav,\n", r"labels none of its 1 files in .*; the first, 'a.wav': no label in the csv"),
        ("path,labels\n,x\n", "labels no audio file: it has no rows with a path"),
        ("path,labels\n", "labels no audio file: it has no rows"),
        ("path,labels,split\na.wav,x,test\nb.wav,y,test\n", "no clips in train: mark some rows"),
        ("path,labels,split\na.wav,x,test\nb.wav,y,val\n", "no clips in train: mark some rows"),
        ("", "is empty"),
    ],
)
def test_an_unusable_csv_is_one_clear_error(tmp_path, content, message):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": content})
    with pytest.raises(UserError, match=message):
        folder.index(tmp_path, csv_options())


@pytest.mark.parametrize("stated", ["path_column", "label_column", "split_column", "group_column"])
def test_a_column_that_is_stated_must_exist(tmp_path, stated):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": "path,labels,split,group,fold\na.wav,x,train,a,\nb.wav,y,test,b,\n"})
    with pytest.raises(UserError, match=rf"csv has no column folds \({stated}\).*group, fold' \(did you mean fold\?\)"):
        folder.index(tmp_path, csv_options(**{stated: "folds"}))


def test_columns_are_looked_up_whatever_their_case_and_an_empty_name_is_none(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": "Path,LABELS,Split,Group\na.wav,x,train,g\nb.wav,y,valid,h\n"})
    index = folder.index(tmp_path, csv_options())
    assert splits_of(index) == {"a.wav": "train", "b.wav": "valid"}
    assert index.clips["group"].tolist() == ["g", "h"]
    assert index.notes == ()
    without = folder.index(tmp_path, csv_options(group_column=""))
    assert without.clips["group"].tolist() == ["a.wav", "b.wav"]
    assert folder.index(tmp_path, csv_options(split_column="", group_column="")).notes == ()


def test_a_column_that_may_be_meant_for_groups_is_noted_beside_stated_splits(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": "path,labels,split,groups\na.wav,x,train,g\nb.wav,y,valid,h\n"})
    (note,) = folder.index(tmp_path, csv_options()).notes
    assert note == "labels.csv has no column group (did you mean groups?): each clip is a group of its own"


@pytest.mark.parametrize(
    ("header", "notes"),
    [
        (
            "path,labels,splits",
            (
                "labels.csv has no column split (did you mean splits?): clips are split 70/15/15",
                "labels.csv has no column group: each clip is a group of its own",
            ),
        ),
        ("path,labels,group", ("labels.csv has no column split: clips are split 70/15/15",)),
        (
            "path,labels,split",
            (
                "the column split of labels.csv is empty: clips are split 70/15/15",
                "labels.csv has no column group: each clip is a group of its own",
            ),
        ),
    ],
)
def test_a_split_that_is_drawn_is_noted(tmp_path, header, notes):
    touch(tmp_path, "a.wav", "b.wav")
    put(tmp_path, {"labels.csv": f"{header}\na.wav,x,\nb.wav,y,\n"})
    assert folder.index(tmp_path, csv_options()).notes == notes


@pytest.mark.parametrize(
    "where", ["../beside/labels.csv", "../../etc/passwd", "/etc/passwd", "../../../../../etc/passwd"]
)
def test_a_csv_is_read_in_the_folder_of_the_data_set_or_above_it_and_nowhere_else(tmp_path, where):
    touch(tmp_path / "sets/own", "a.wav")
    put(tmp_path, {"sets/beside/labels.csv": "path,labels\n", "etc/passwd": "path,labels\n"})
    with pytest.raises(UserError, match=r"neither in .*: put it there|there is no csv"):
        folder.index(tmp_path / "sets/own", folder.Options(labels="csv", csv=where))


def test_two_spellings_of_an_accent_are_one_class_and_one_group(tmp_path):
    composed, combined = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    touch(tmp_path, *(f"{number}.wav" for number in range(4)))
    rows = [f"{number}.wav,{label},{label}" for number, label in enumerate([composed, combined] * 2)]
    put(tmp_path, {"labels.csv": "\n".join(["path,labels,group", *rows])})
    for multilabel in (False, True):
        index = folder.index(tmp_path, csv_options(multilabel=multilabel))
        assert list(index.labels.columns) == [composed]
        assert set(index.clips["group"]) == {composed}


@pytest.mark.parametrize(
    "other", ["Hip\u00a0Hop", "Hip\u200b Hop", "Hip  Hop", "Hip Hop\ufe0f", "Hip\u2009Hop", "\u2060Hip Hop"]
)
def test_names_that_differ_in_what_cannot_be_seen_are_noted(tmp_path, other):
    (note,) = index_csv(tmp_path / "csv", f"path,labels,group\na.wav,Hip Hop,x\nb.wav,{other},y\nc.wav,jazz,z\n").notes[
        1:
    ]
    assert note.startswith("classes that look alike: ")
    assert ascii(other.strip()) in note
    rows = f"path,labels,group\na.wav,x,Hip Hop\nb.wav,y,{other}\nc.wav,jazz,z\n"
    assert index_csv(tmp_path / "groups", rows).notes[1].startswith("groups that look alike: ")
    touch(tmp_path / "folders", "Hip Hop/a.wav", f"{other}/b.wav", "jazz/c.wav")
    (note,) = folder.index(tmp_path / "folders", folder.Options(labels="folders")).notes
    assert ascii(other) in note


def test_names_of_other_scripts_and_emoji_do_not_look_alike(tmp_path):
    names = (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f3a4",
        "\U0001f469",
        "jazz",
        "Jazz",
        "Jazz!",
    )
    touch(tmp_path, *(f"{name}/a.wav" for name in names))
    assert folder.index(tmp_path, folder.Options(labels="folders")).notes == ()


def index_csv(root, content):
    touch(root, "a.wav", "b.wav", "c.wav")
    (root / "labels.csv").write_text(content, encoding="utf-8")
    return folder.index(root, folder.Options(labels="csv", csv="labels.csv"))


def test_contradictory_options():
    with pytest.raises(UserError, match="belong together"):
        registry.options(folder, {"labels": "csv"})
    with pytest.raises(UserError, match="belong together"):
        registry.options(folder, {"csv": "x.csv"})
    with pytest.raises(UserError, match="multilabel needs"):
        registry.options(folder, {"labels": "folders", "multilabel": True})


def test_nothing_to_index(tmp_path):
    with pytest.raises(UserError, match=r"holds no audio files \(it is empty\)"):
        folder.index(tmp_path, folder.Options())
    with pytest.raises(UserError, match=r"holds no audio files \(1 \.m3u, 1 \.zip, 1 without a suffix, 1 hidden"):
        folder.index(touch(tmp_path / "sets", "a.zip", "b.m3u", "c", ".DS_Store"), folder.Options())
    with pytest.raises(UserError, match="not a folder"):
        folder.index(tmp_path / "nowhere", folder.Options())
    with pytest.raises(UserError, match=r"no csv .*; correct options\.csv"):
        folder.index(tmp_path, csv_options())


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize(
    ("name", "clips", "classes", "test"),
    [("instruments_iowa", 195, 13, 49), ("environment_esc10", 110, 10, 50), ("style_loops", 61, 8, 16)],
)
def test_real_recordings_by_their_manifest(name, clips, classes, test):
    options = folder.Options(labels="csv", csv=str(AUDIO / "manifest.csv"))
    index = folder.index(AUDIO / "labelled" / name, options)
    by_folder = folder.index(AUDIO / "labelled" / name, folder.Options(labels="folders"))
    assert (len(index.clips), len(index.labels.columns)) == (clips, classes)
    assert list(index.labels.columns) == list(by_folder.labels.columns)
    assert (index.clips["split"] == "test").sum() == test
    assert (index.clips["split"] == "valid").sum() > 0
    assert index.clips.groupby("group")["split"].nunique().max() == 1


@pytest.mark.skipif(not AUDIO.is_dir(), reason="the real recordings are not at hand")
def test_real_unlabelled_recordings():
    index = folder.index(AUDIO / "unlabelled", folder.Options())
    assert len(index.clips) == 43
    assert index.excluded.empty
