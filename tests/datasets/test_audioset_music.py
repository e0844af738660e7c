from __future__ import annotations

from pathlib import Path

import pytest

from tests.datasets.files import put, touch
from workflow_scripts.core.errors import UserError
from workflow_scripts.datasets import audioset_music
from workflow_scripts.levels import registry

HEADER = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=4, num_segs=4, num_unique_labels=3, num_positive_labels=6
# YTID, start_seconds, end_seconds, positive_labels
"""
ROWS = """AbCdEfGhIjk, 30.000, 40.000, "/m/04rlf,/m/0342h"
-xYz12345_w, 0.000, 10.000, "/m/09x0r,/m/04rlf"
Qq99__aaBBc, 110.000, 120.000, "/m/04rlf"
speechonly1, 5.000, 15.000, "/m/09x0r"
guitaronly1, 5.000, 9.500, "/m/0342h"
"""
CLIPS = ("AbCdEfGhIjk", "-xYz12345_w_0", "Qq99__aaBBc_110000", "speechonly1", "guitaronly1_5.000")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, {"balanced_train_segments.csv": HEADER + ROWS})
    return touch(tmp_path, *(f"clips/{clip}.wav" for clip in CLIPS))


def ids(index) -> list[str]:
    return [clip.rpartition("_")[0] for clip in index.clips["clip"]]


def test_exact_label_and_ids_that_start_with_a_minus(root):
    index = audioset_music.index(root, audioset_music.Options())
    assert ids(index) == ["-xYz12345_w", "AbCdEfGhIjk", "Qq99__aaBBc"]
    assert index.task == "unlabelled"
    assert list(index.labels.columns) == []
    assert index.excluded.empty
    assert list(index.clips["path"]) == [
        "clips/-xYz12345_w_0.wav",
        "clips/AbCdEfGhIjk.wav",
        "clips/Qq99__aaBBc_110000.wav",
    ]


def test_subtree_takes_descendants_too(root):
    index = audioset_music.index(root, audioset_music.Options(labels="subtree"))
    assert "guitaronly1" in ids(index)
    assert "speechonly1" not in ids(index)


@pytest.mark.parametrize("name", ["_30", "_30.000", "_30000", "_30_40", "_30.000_40.000", "_30000_40000", ""])
@pytest.mark.parametrize("letter", ["", "Y"])
def test_every_usual_file_name_is_found(tmp_path, letter, name):
    """PANNs' copy, the best known, has a Y before every id."""
    put(tmp_path, {"eval_segments.csv": HEADER + ROWS})
    touch(tmp_path, f"a/b/{letter}AbCdEfGhIjk{name}.flac")
    assert ids(audioset_music.index(tmp_path, audioset_music.Options())) == ["AbCdEfGhIjk"]


def test_an_id_that_begins_with_y_keeps_its_letters(tmp_path):
    rows = "".join(f'{name}, 30.000, 40.000, "/m/04rlf"\n' for name in ("YbCdEfGhIj_", "bCdEfGhIj_k", "YYCdEfGhIjk"))
    put(tmp_path, {"eval_segments.csv": HEADER + rows})
    touch(tmp_path, "YbCdEfGhIj__30_40.wav", "YYYCdEfGhIjk.wav", "YbCdEfGhIj_k.wav")
    index = audioset_music.index(tmp_path, audioset_music.Options())
    assert dict(zip(ids(index), index.clips["path"], strict=True)) == {
        "YbCdEfGhIj_": "YbCdEfGhIj__30_40.wav",
        "YYCdEfGhIjk": "YYYCdEfGhIjk.wav",
        "bCdEfGhIj_k": "YbCdEfGhIj_k.wav",
    }


def test_a_file_of_another_part_of_the_video_is_not_taken(tmp_path):
    put(tmp_path, {"eval_segments.csv": HEADER + ROWS})
    touch(tmp_path, "AbCdEfGhIjk_70.wav", "Qq99__aaBBc.wav", "notes.txt", "._Qq99__aaBBc.wav")
    assert ids(audioset_music.index(tmp_path, audioset_music.Options())) == ["Qq99__aaBBc"]


def test_segments_without_audio_are_counted_in_a_note(root):
    (root / "clips/AbCdEfGhIjk.wav").unlink()
    (root / "clips/-xYz12345_w_0.wav").unlink()
    index = audioset_music.index(root, audioset_music.Options())
    assert len(index.clips) == 1
    assert index.excluded.empty
    assert index.notes == ("2 of 3 Music segments have no audio file",)


def test_a_subset_depends_on_the_seed_and_not_on_what_else_is_there(tmp_path):
    names = [f"video{i:06d}" for i in range(200)]
    put(tmp_path, {"eval_segments.csv": HEADER + "".join(f'{name}, 0.000, 10.000, "/m/04rlf"\n' for name in names)})
    touch(tmp_path, *(f"{name}.wav" for name in names))
    chosen = [ids(audioset_music.index(tmp_path, audioset_music.Options(clips=50, seed=seed))) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 50
    for name in names:
        if name not in chosen[0]:
            (tmp_path / f"{name}.wav").unlink()
    assert ids(audioset_music.index(tmp_path, audioset_music.Options(clips=50, seed=0))) == chosen[0]


def test_what_is_wrong_is_reported(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UserError, match="segment lists"):
        audioset_music.index(empty, audioset_music.Options())
    with pytest.raises(UserError, match=r"lacks eval_segments\.csv"):
        audioset_music.index(root, audioset_music.Options(segments=("eval_segments",)))
    put(empty, {"eval_segments.csv": HEADER + ROWS})
    with pytest.raises(UserError, match="holds no audio"):
        audioset_music.index(empty, audioset_music.Options())
    with pytest.raises(UserError, match="'both' is not allowed; allowed: exact, subtree"):
        registry.options(audioset_music, {"labels": "both"})
