from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import billboard

INDEX = """id,chart_date,target_rank,actual_rank,title,artist,peak_rank,weeks_on_chart
1,1987-07-11,82,,,,,
3,1961-07-03,56,57,I Can't Wait,Some Singer,47,8
4,1971-08-07,32,31,"Hello, Goodbye","First Voice,Second Voice",29,12
6,1972-08-07,30,31,"Hello, Goodbye","First Voice,Second Voice",29,12
12,1980-01-05,5,5,Café No. 7,The Büffel,1,20
40,1980-01-05,6,6,Absent,Nobody,6,3
"""


def read_index(root: Path, *names: str):
    put(root, {billboard.INDEX: INDEX})
    return billboard.index(touch(root, *names), billboard.Options())


@pytest.mark.parametrize(
    "name",
    [
        "audio/1960s/Some Singer/I Can't Wait/audio.flac",
        "Some Singer/I Cant Wait.mp3",
        "Some Singer - I Can't Wait.mp3",
        "some_singer-i_can't_wait.wav",
        "McGill-Billboard/0003/audio.flac",
        "0003.ogg",
        "audio/1960s/Some Singer/I Can t Wait/audio.flac",
        "Some Singer - I Can\u2019t Wait.mp3",
        "Some Singer/07 - Some Singer - I Can_t Wait.mp3",
        "Some Singer/07. I Can't Wait.mp3",
        "music/Some Singer/Some Record/07 I Can't Wait.m4a",
    ],
)
def test_every_usual_name_finds_its_song(tmp_path, name):
    index = read_index(tmp_path, name)
    assert index.clips["clip"].to_list() == ["0003"]
    assert index.clips["path"].to_list() == [name]
    assert index.task == "unlabelled"


def test_accents_and_commas_do_not_matter(tmp_path):
    index = read_index(tmp_path, "The Buffel - Cafe No 7.mp3", "First Voice, Second Voice - Hello Goodbye.mp3")
    assert index.clips["clip"].to_list() == ["0004", "0012"]
    assert sorted(index.clips["split"]) == ["train", "valid"]


def test_slots_that_spell_an_apostrophe_as_a_blank_are_the_same_song(tmp_path):
    """As four slots of the published index do, which has 740 songs."""
    rows = """258,1987-01-03,1,1,Don't Treat Me Bad,Firehouse,5,20
334,1984-03-24,2,2,Somebody's Watching Me,Rockwell,2,19
349,1987-01-03,3,3,Don t Treat Me Bad,Firehouse,5,20
400,1979-01-06,4,4,Plan D,Some Band,5,20
882,1984-03-24,5,5,Somebody s Watching Me,Rockwell,2,19
"""
    put(tmp_path, {billboard.INDEX: INDEX.partition("\n")[0] + "\n" + rows})
    songs = billboard.read_songs(tmp_path)
    assert list(songs) == ["0258", "0334", "0400"]
    assert {"0258", "0349"} < songs["0258"]
    assert {"0334", "0882"} < songs["0334"]


def test_a_song_in_two_slots_is_taken_once_and_strangers_are_logged(tmp_path):
    index = read_index(tmp_path, "0004.mp3", "0006.mp3", "0001.mp3", "another song.mp3")
    assert index.clips["clip"].to_list() == ["0004"]
    reasons = dict(index.excluded.itertuples(index=False))
    assert reasons["0006.mp3"] == "the same song as 0004.mp3"
    assert "neither artist and title" in reasons["another song.mp3"]
    assert "neither artist and title" in reasons["0001.mp3"]  # a slot that was never annotated
    assert index.notes == ("3 of 4 songs of the index have no audio file",)


def test_what_is_wrong_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"lacks billboard-2\.0-index\.csv"):
        billboard.index(tmp_path, billboard.Options())
    with pytest.raises(UserError, match="use the data set `folder`"):
        read_index(tmp_path, "another song.mp3")
    put(tmp_path, {billboard.INDEX: INDEX.replace("artist", "singer")})
    with pytest.raises(UserError, match="cannot be read"):
        billboard.index(tmp_path, billboard.Options())
