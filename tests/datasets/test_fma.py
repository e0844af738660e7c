from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import fma

HEADER = ",album,artist,set,set,track,track\n,title,id,split,subset,duration,genre_top\n"
THIRD = "track_id,,,,,,\n"
ROWS = """2,"An ""invented"", title",1,training,small,168,Hip-Hop
7,"two
lines",2,training,medium,200,Jazz
140,A,3,validation,small,253,Folk
141,A,3,test,medium,253,
200,B,4,test,small,100,Folk
201,NA,,test,medium,100,Rock
99134,C,5,training,small,308,Hip-Hop
300,D,6,training,large,30,Rock
301,D,7,training,full,30,
"""
AUDIO = (2, 7, 140, 141, 200, 201, 99134, 300)


def write(root: Path, *, subset: str, third: str = THIRD, flat: bool = False) -> Path:
    put(root, {"fma_metadata/tracks.csv": HEADER + third + ROWS})
    return touch(root, *(f"fma_{subset}/{'' if flat else f'{i // 1000:03d}/'}{i:06d}.mp3" for i in AUDIO))


def splits_of(index) -> dict[str, str]:
    return dict(zip(index.clips["clip"], index.clips["split"], strict=True))


def test_small_takes_its_own_rows_with_the_official_split(tmp_path):
    index = fma.index(write(tmp_path, subset="small"), fma.Options(subset="small"))
    assert splits_of(index) == {"000002": "train", "000140": "valid", "000200": "test"}
    assert index.clips["path"][0] == "fma_small/000/000002.mp3"
    assert list(index.labels.columns) == ["Folk", "Hip-Hop"]
    assert index.labels.loc["000140"].tolist() == [1, 0]
    assert index.clips["group"].tolist() == ["artist1", "artist3", "artist4"]


def test_medium_includes_what_is_marked_small(tmp_path):
    index = fma.index(write(tmp_path, subset="medium"), fma.Options(subset="medium"))
    assert sorted(splits_of(index)) == ["000002", "000007", "000140", "000200", "000201"]
    assert list(index.labels.columns) == ["Folk", "Hip-Hop", "Jazz", "Rock"]


def test_medium_without_small_is_what_is_marked_medium(tmp_path):
    index = fma.index(write(tmp_path, subset="medium"), fma.Options(subset="medium", with_small=False))
    assert sorted(splits_of(index)) == ["000007", "000201"]
    assert list(index.labels.columns) == ["Jazz", "Rock"]


def test_known_bad_and_unlabelled_tracks_are_excluded_with_reasons(tmp_path):
    index = fma.index(write(tmp_path, subset="medium"), fma.Options(subset="medium"))
    reasons = dict(index.excluded.itertuples(index=False))
    assert set(reasons) == {"000141", "099134"}
    assert "no root genre" in reasons["000141"]
    assert "known bad" in reasons["099134"]


def test_a_track_without_artist_is_its_own_group(tmp_path):
    clips = fma.index(write(tmp_path, subset="medium"), fma.Options(subset="medium")).clips
    assert clips.set_index("clip")["group"]["000201"] == "track000201"


def test_flat_folder_and_a_table_without_the_third_header_line(tmp_path):
    index = fma.index(write(tmp_path, subset="small", third="", flat=True), fma.Options(subset="small"))
    assert index.clips["path"].tolist() == ["fma_small/000002.mp3", "fma_small/000140.mp3", "fma_small/000200.mp3"]


def test_root_may_be_the_audio_folder_itself(tmp_path):
    write(tmp_path, subset="small")
    index = fma.index(tmp_path / "fma_small", fma.Options(subset="small"))
    assert index.clips["path"][0] == "000/000002.mp3"


def test_missing_audio(tmp_path):
    write(tmp_path, subset="small")
    (tmp_path / "fma_small/000/000200.mp3").unlink()
    index = fma.index(tmp_path, fma.Options(subset="small"))
    assert ["000200", "the audio file is missing"] in index.excluded.to_numpy().tolist()


def test_twenty_one_known_bad_clips():
    assert len(fma.KNOWN_BAD) == 21
    assert {98565, 98567, 98569, 99134, 108925, 133297} < fma.KNOWN_BAD


def test_what_is_wrong_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"lacks fma_metadata/tracks\.csv"):
        fma.index(tmp_path, fma.Options(subset="small"))
    put(tmp_path, {"fma_metadata/tracks.csv": ",track\n,title\ntrack_id,\n2,x\n"})
    with pytest.raises(UserError, match="two header rows"):
        fma.index(tmp_path, fma.Options(subset="small"))
    put(tmp_path, {"fma_metadata/tracks.csv": HEADER + THIRD + ROWS})
    with pytest.raises(UserError, match="holds no audio of FMA small"):
        fma.index(tmp_path, fma.Options(subset="small"))


def test_a_subset_has_its_archive_and_size():
    for subset, clips in (("small", 8000), ("medium", 25000)):
        options = fma.Options(subset=subset)
        assert {remote.name for remote in fma.remotes(options).values()} == {"fma_metadata.zip", f"fma_{subset}.zip"}
        assert fma.size(options) == {"clips": clips, "seconds": 30.0}
