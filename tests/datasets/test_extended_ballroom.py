from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from tests.audio.recordings import write_tone
from tests.datasets.files import put, touch
from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import _splits
from workflow_scripts.datasets import extended_ballroom as ballroom
from workflow_scripts.levels import registry

TRACKS = Path(__file__).parents[3] / "shared" / "reference" / "lists" / "extended_ballroom_tracks.csv"
NINE = sorted(ballroom.ALL_CLASSES - ballroom.DROPPED)


def song(name: str, inside: str = "") -> str:
    return f'<song id="{name}" bpm="96" album="A &amp; B" artist="Some Band" title="é" hash="0123">{inside}</song>'


def write(root: Path, dances: dict[str, list[str]], *, prefixed: bool = False, audio: bool = True) -> Path:
    body = "".join(f"<{dance}>{''.join(songs)}</{dance}>" for dance, songs in dances.items())
    put(root, {ballroom.NAME: f'<?xml version="1.0" encoding="UTF-8"?>\n<ballroom>{body}</ballroom>'})
    if audio:
        for entry in ballroom.read_songs(root / ballroom.NAME):
            touch(root, f"{entry.dance}/{entry.dance + '.' if prefixed else ''}{entry.song}.mp3")
    return root


def thirteen(count: int = 20) -> dict[str, list[str]]:
    return {
        dance: [song(f"{100 + i}{j:02d}") for j in range(count)] for i, dance in enumerate(sorted(ballroom.ALL_CLASSES))
    }


@pytest.mark.parametrize("prefixed", [False, True])
def test_nine_classes_and_both_file_names(tmp_path, prefixed):
    index = ballroom.index(write(tmp_path, thirteen(), prefixed=prefixed), ballroom.Options())
    assert list(index.labels.columns) == NINE
    assert len(index.clips) == 180
    assert (index.labels.sum(axis=1) == 1).all()
    first = index.clips["path"][0]
    assert first == ("Chacha/Chacha.10000.mp3" if prefixed else "Chacha/10000.mp3")
    assert index.clips["split"].value_counts().to_dict() == {"train": 126, "valid": 27, "test": 27}


def test_all_classes(tmp_path):
    assert len(ballroom.index(write(tmp_path, thirteen(5)), ballroom.Options(classes="all")).labels.columns) == 13


def test_repetitions_join_over_several_steps_and_either_direction(tmp_path):
    dances = {
        "Waltz": [
            song("5", '<exact id="3"/>'),
            song("3"),
            song("9", '<version id="3"/><time id="9999"/>'),
            song("7", '<karaoke id="9"/>'),
            song("8"),
        ]
    }
    write(tmp_path, dances)
    groups = ballroom.repeat_groups(ballroom.read_songs(tmp_path / ballroom.NAME))
    assert groups == {"5": "3", "3": "3", "9": "3", "7": "3", "8": "8"}


def test_grouped_keeps_repetitions_together_and_plain_does_not(tmp_path):
    dances = thirteen(0) | {
        dance: [song(f"{i}{j:02d}", f'<exact id="{i}{j // 4 * 4:02d}"/>') for j in range(40)]
        for i, dance in enumerate(NINE, start=1)
    }
    write(tmp_path, dances)
    repeated = ballroom.repeat_groups(ballroom.read_songs(tmp_path / ballroom.NAME))
    parts = {}
    for split in ("grouped", "plain"):
        clips = ballroom.index(tmp_path, ballroom.Options(split=split)).clips
        assert clips.groupby("group")["split"].nunique().max() == 1
        parts[split] = clips["split"].groupby(clips["clip"].map(repeated)).nunique().max()
    assert parts["grouped"] == 1
    assert parts["plain"] > 1


def test_missing_files_are_excluded_and_move_no_other_clip(tmp_path):
    before = ballroom.index(write(tmp_path, thirteen()), ballroom.Options()).clips.set_index("clip")["split"]
    (tmp_path / "Chacha/10003.mp3").unlink()
    index = ballroom.index(tmp_path, ballroom.Options())
    assert index.excluded["clip"].tolist() == ["10003"]
    after = index.clips.set_index("clip")["split"]
    assert (after == before[after.index]).all()


def test_order_in_the_xml_does_not_matter(tmp_path):
    clips = [
        ballroom.index(write(tmp_path / str(i), dances), ballroom.Options()).clips
        for i, dances in enumerate(
            (thirteen(), {name: songs[::-1] for name, songs in reversed(list(thirteen().items()))})
        )
    ]
    assert clips[0].equals(clips[1])


def test_a_copy_with_seven_classes_is_noticed(tmp_path):
    write(tmp_path, {dance: songs for dance, songs in thirteen().items() if dance in NINE[:7]})
    (note,) = ballroom.index(tmp_path, ballroom.Options()).notes
    assert note.endswith(f"lacks {', '.join(sorted(NINE[7:]))}: the original has thirteen classes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><ballroom><Waltz/></ballroom>', "entities"),
        ("<ballroom><Waltz></ballroom>", "cannot be read"),
        ("<ballroom><Waltz/></ballroom>", "no songs"),
        ('<ballroom><Waltz><song id="../../x"/></Waltz></ballroom>', "plain id"),
    ],
)
def test_an_unusable_xml_is_one_clear_error(tmp_path, content, message):
    put(tmp_path, {ballroom.NAME: content})
    with pytest.raises(UserError, match=message):
        ballroom.index(tmp_path, ballroom.Options())


def test_no_xml_and_no_audio(tmp_path):
    with pytest.raises(UserError, match=r"lacks extendedballroom_v1\.1\.xml"):
        ballroom.index(tmp_path, ballroom.Options())
    with pytest.raises(UserError, match="holds no audio"):
        ballroom.index(write(tmp_path, thirteen(), audio=False), ballroom.Options())
    with pytest.raises(UserError, match="'eight' is not allowed; allowed: nine, all"):
        registry.options(ballroom, {"classes": "eight"})


def test_files_that_differ_from_the_checksums_of_the_xml_are_counted(tmp_path, capsys):
    """As when the shop has replaced a preview; copies in other formats cannot be compared."""
    copy = tmp_path / "copy"
    names = [f"{100 + i}" for i in range(len(NINE) * 3)]
    files = {name: write_tone(copy / dance / f"{name}.mp3", 0.2) for name, dance in zip(names, NINE * 3, strict=True)}
    other = files[names[-1]]
    files[names[-1]] = write_tone(other.with_suffix(".wav"), 0.2)
    other.unlink()
    md5 = {name: hashlib.md5(path.read_bytes()).hexdigest() for name, path in files.items()}
    wrong = {names[0]: "0" * 32, names[1]: "1" * 32, names[-1]: "2" * 32}
    dances = {dance: [] for dance in NINE}
    for name, dance in zip(names, NINE * 3, strict=True):
        dances[dance].append(song(name).replace("0123", (wrong.get(name) or md5[name]).upper()))
    write(copy, dances, audio=False)
    config = {"dataset": "dances", "loader": "extended_ballroom", "options": {}, "source": "local"}
    given = json.dumps({**config, "path": str(copy)})
    acquire.main(["--code", "c", "--config", given, "--output", str(tmp_path / "data")])
    acquired = ["--acquired", str(tmp_path / "data/acquired.json"), "--output", str(tmp_path / "corpus")]
    prepare.main(["--code", "c", "--config", json.dumps({**config, "sample_rate": 16000}), *acquired])
    (note,) = [note for note in Corpus(tmp_path / "corpus").facts.notes if "MD5" in note]
    place = f"{NINE[0]}/{names[0]}.mp3"
    assert note.startswith(f"2 of 26 files differ from the MD5 that the data set states, such as {place} ({md5['100']}")
    assert "0" * 32 in note
    assert note in capsys.readouterr().err
    assert Corpus(tmp_path / "corpus").facts.clips == len(names)


@pytest.mark.skipif(not TRACKS.is_file(), reason="the list of real tracks is not at hand")
def test_real_groups_give_an_even_leak_free_split():
    with TRACKS.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kept_9_class"] == "1"]
    marks = {}
    for row in rows:
        marks.setdefault(row["repeat_group"], []).append(row["track_id"])
    songs = [
        ballroom.BallroomSong(song=row["track_id"], dance=row["class"], repetitions=(marks[row["repeat_group"]][-1],))
        for row in rows
    ]
    groups = ballroom.repeat_groups(songs)
    assert len(rows) == 3992
    assert len(set(groups.values())) == len(marks)
    split = _splits.split_by_group([groups[row["track_id"]] for row in rows], classes=[row["class"] for row in rows])
    assert split.count("train") == pytest.approx(2794, abs=3)
    assert split.count("valid") == pytest.approx(599, abs=3)
    for dance in NINE:
        own = [its for its, row in zip(split, rows, strict=True) if row["class"] == dance]
        assert own.count("test") / len(own) == pytest.approx(0.15, abs=0.01)
