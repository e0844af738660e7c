"""Songs are their clips one after the other, wherever these lie in the corpus."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.augmentations import none
from workflow_scripts.pretraining.concatenated_songs import Songs
from workflow_scripts.pretraining.sampling import BatchLoader, Cuts, Cutter

LENGTH = 8000
#: clips 0, 1, 2, 5, 6, 7, ... train, 3, 8, ... validate, 4, 9, ... test
SONGS = {"a": [0, 2, 6], "b": [1], "c": [5, 7, 10, 11]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    seconds = [0.3, 0.7, 0.55, 0.4, 0.2] * 4
    written = write_corpus(tmp_path_factory.mktemp("corpora") / "parts", clips=20, seconds=seconds)
    for song, rows in SONGS.items():
        written.clips.loc[rows, "group"] = song
    written.clips.loc[[3, 4], "group"] = "a"  # of the same song, but of other splits
    return written


def joined(corpus: Corpus, rows: list[int]) -> np.ndarray:
    return np.concatenate([corpus.cut(row) for row in rows])


@settings(deadline=None, max_examples=25)
@given(song=st.sampled_from(sorted(SONGS)), place=st.floats(0, 1), length=st.integers(1, 40000))
def test_pieces_are_those_of_the_joined_clips(corpus, song, place, length):
    songs, whole = Songs(corpus), joined(corpus, SONGS[song])
    row = SONGS[song][0]
    assert songs.lengths[row] == len(whole)
    start = int(place * (len(whole) - 1))
    piece = np.zeros(length, np.int16)
    songs.fill(piece, row=row, start=start)
    expected = np.zeros(length, np.float32)
    expected[: len(whole) - start] = whole[start : start + length]
    np.testing.assert_array_equal(piece / np.float32(32768), expected)


def test_splits_are_kept_apart(corpus):
    songs = Songs(corpus)
    assert set(songs.rows("train")) == {0, 1, 5, 12, 15, 16, 17}
    assert set(songs.rows("valid")) == set(corpus.rows("valid"))
    assert songs.lengths[3] == corpus.lengths[3]


def test_a_song_comes_once_a_pass_and_is_heard_from_end_to_end(corpus):
    cutter = Cutter(Songs(corpus), batch=1, length=LENGTH, seed=0)
    assert cutter.steps_per_pass == 6, "one clip, a song by itself, is too short"
    cuts = [cutter.training(step) for step in range(600)]
    assert sorted(int(cut.rows[0]) for cut in cuts[:6]) == sorted(cutter.train)
    starts = np.array([cut.starts[0] for cut in cuts if cut.rows[0] == 0])
    room = len(joined(corpus, SONGS["a"])) - LENGTH
    assert starts.min() < 0.1 * room
    assert 0.9 * room < starts.max() <= room


def test_a_batch_holds_the_audio_across_the_borders_of_clips(corpus):
    augmentation = none.build(none.Options(), sample_rate=16000)
    loader = BatchLoader(
        corpus=Songs(corpus), features={}, augmentation=augmentation, length=LENGTH, device=torch.device("cpu")
    )
    cuts = Cuts(rows=np.array([5, 0]), starts=np.array([3200, 4000]))
    batch = next(loader.batches([(cuts, 0)]))
    np.testing.assert_array_equal(batch.clean[0], joined(corpus, SONGS["c"])[3200 : 3200 + LENGTH])
    np.testing.assert_array_equal(batch.clean[1], joined(corpus, SONGS["a"])[4000 : 4000 + LENGTH])
