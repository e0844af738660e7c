"""Stored features are read clip by clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.hostile_arrays import HOSTILE_ARRAYS, npy, stated
from tests.records import seal
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.stored_features import StoredFeature, frame_offsets


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus", clips=3, seconds=[0.05, 0.1, 0.0999])


@pytest.fixture
def feature(tmp_path: Path, corpus: Corpus) -> StoredFeature:
    """Store features whose value is 100 * channel + frame in the file."""
    frames = int(frame_offsets(corpus)[-1])
    np.save(tmp_path / "toy.npy", (100 * np.arange(2)[:, None] + np.arange(frames)).astype(np.float32))
    seal(tmp_path / "toy.npy")
    return StoredFeature(tmp_path / "toy.npy", corpus)


def test_each_clip_has_one_frame_more_than_whole_hops(corpus: Corpus) -> None:
    assert frame_offsets(corpus).tolist() == [0, 6, 17, 27]


def test_a_cut_belongs_to_its_clip(feature: StoredFeature) -> None:
    np.testing.assert_array_equal(feature.cut(1, 2, 3), [[8, 9, 10], [108, 109, 110]])


@pytest.mark.parametrize(("first", "expected"), [(4, [4, 5, 0]), (6, [0, 0, 0]), (50, [0, 0, 0])])
def test_frames_beyond_the_end_are_zero(feature: StoredFeature, first: int, expected: list[int]) -> None:
    np.testing.assert_array_equal(feature.cut(0, first, 3)[0], expected)


def test_several_clips_are_cut_at_once(feature: StoredFeature) -> None:
    cuts = feature.cut_rows(np.array([2, 0]), np.array([0, 5]), 2)
    assert cuts.dtype == np.float32
    np.testing.assert_array_equal(cuts, [[[17, 18], [117, 118]], [[5, 0], [105, 0]]])


def test_features_of_another_corpus_are_refused(tmp_path: Path, feature: StoredFeature) -> None:
    other = write_corpus(tmp_path / "other", clips=2, seconds=0.1)
    with pytest.raises(UserError, match="does not belong to the corpus"):
        StoredFeature(tmp_path / "toy.npy", other)


@pytest.mark.parametrize("content", [None, b"", b"not an array"])
def test_a_file_that_is_not_the_extracted_one_is_refused(
    tmp_path: Path, corpus: Corpus, feature: StoredFeature, content: bytes | None
) -> None:
    path = tmp_path / "toy.npy"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    remedy = "is missing: run again" if content is None else "is .*: delete it and run again"
    with pytest.raises(UserError, match=f"{path} {remedy}"):
        StoredFeature(path, corpus)


@pytest.mark.parametrize("content", [npy(stated(descr="<i4")), npy(stated(shape=(16,))), *HOSTILE_ARRAYS.values()])
def test_an_unreadable_file_is_refused(tmp_path: Path, corpus: Corpus, content: bytes) -> None:
    (tmp_path / "bad.npy").write_bytes(content)
    seal(tmp_path / "bad.npy")
    with pytest.raises(UserError, match="extract these features again"):
        StoredFeature(tmp_path / "bad.npy", corpus)
