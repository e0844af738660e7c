"""A song is the concatenation of its clips, wherever these are in the corpus."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.augmentations import none
from workflow_scripts.pretraining.concatenated_songs import ConcatenatedSongs
from workflow_scripts.pretraining.crop_sampler import CropIndex, CropSampler
from workflow_scripts.pretraining.data_loader import BatchLoader

LENGTH = 8000
#: clips 0, 1, 2, 5, 6, 7, ... train, 3, 8, ... validate, 4, 9, ... test
SONGS = {"a": [0, 2, 6], "b": [1], "c": [5, 7, 10, 11]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    seconds = [0.3, 0.7, 0.55, 0.4, 0.2] * 4
    corpus = write_corpus(tmp_path_factory.mktemp("corpora") / "parts", clips=20, seconds=seconds)
    for song, rows in SONGS.items():
        corpus.clips.loc[rows, "group"] = song
    corpus.clips.loc[[3, 4], "group"] = "a"  # of the same song, but of other splits
    return corpus


def concatenate(corpus: Corpus, rows: list[int]) -> np.ndarray:
    return np.concatenate([corpus.cut(row) for row in rows])


@settings(deadline=None, max_examples=25)
@given(song=st.sampled_from(sorted(SONGS)), place=st.floats(0, 1), length=st.integers(1, 40000))
def test_a_crop_of_a_song_equals_that_of_the_concatenated_clips(corpus, song, place, length):
    songs, whole = ConcatenatedSongs(corpus), concatenate(corpus, SONGS[song])
    row = SONGS[song][0]
    assert songs.lengths[row] == len(whole)
    start = int(place * (len(whole) - 1))
    crop = np.zeros(length, np.int16)
    songs.fill(crop, row=row, start=start)
    expected = np.zeros(length, np.float32)
    expected[: len(whole) - start] = whole[start : start + length]
    np.testing.assert_array_equal(crop / np.float32(32768), expected)


def test_clips_of_different_splits_are_never_concatenated(corpus):
    songs = ConcatenatedSongs(corpus)
    assert set(songs.rows("train")) == {0, 1, 5, 12, 15, 16, 17}
    assert set(songs.rows("valid")) == set(corpus.rows("valid"))
    assert songs.lengths[3] == corpus.lengths[3]


def test_a_song_occurs_once_per_pass_and_is_cropped_over_its_whole_length(corpus):
    sampler = CropSampler(ConcatenatedSongs(corpus), batch=1, length=LENGTH, seed=0)
    assert sampler.steps_per_pass == 6, "one clip, a song by itself, is too short"
    batches = [sampler.training_crops(step) for step in range(600)]
    assert sorted(int(crops.rows[0]) for crops in batches[:6]) == sorted(sampler.train)
    starts = np.array([crops.starts[0] for crops in batches if crops.rows[0] == 0])
    last_start = len(concatenate(corpus, SONGS["a"])) - LENGTH
    assert starts.min() < 0.1 * last_start
    assert 0.9 * last_start < starts.max() <= last_start


def test_a_batch_holds_audio_across_the_borders_of_clips(corpus):
    augmentation = none.build(none.Options(), sample_rate=16000)
    loader = BatchLoader(
        corpus=ConcatenatedSongs(corpus),
        features={},
        augmentation=augmentation,
        length=LENGTH,
        device=torch.device("cpu"),
    )
    crops = CropIndex(rows=np.array([5, 0]), starts=np.array([3200, 4000]))
    batch = next(loader.batches([(crops, 0)]))
    np.testing.assert_array_equal(batch.clean[0], concatenate(corpus, SONGS["c"])[3200 : 3200 + LENGTH])
    np.testing.assert_array_equal(batch.clean[1], concatenate(corpus, SONGS["a"])[4000 : 4000 + LENGTH])
