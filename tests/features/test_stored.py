"""Reading stored features clip by clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpora import write_corpus
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.features.stored import StoredFeature, frame_offsets


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus", clips=3, seconds=[0.05, 0.1, 0.0999])


@pytest.fixture
def feature(tmp_path: Path, corpus: Corpus) -> StoredFeature:
    """Value = 100 * channel + frame in the file."""
    frames = int(frame_offsets(corpus)[-1])
    np.save(tmp_path / "toy.npy", (100 * np.arange(2)[:, None] + np.arange(frames)).astype(np.float32))
    return StoredFeature(tmp_path / "toy.npy", corpus)


def test_offsets_count_a_frame_more_than_hops(corpus: Corpus) -> None:
    assert frame_offsets(corpus).tolist() == [0, 6, 17, 27]


def test_a_cut_is_the_clips_own(feature: StoredFeature) -> None:
    np.testing.assert_array_equal(feature.cut(1, 2, 3), [[8, 9, 10], [108, 109, 110]])


@pytest.mark.parametrize(("first", "expected"), [(4, [4, 5, 0]), (6, [0, 0, 0]), (50, [0, 0, 0])])
def test_beyond_the_end_is_zero(feature: StoredFeature, first: int, expected: list[int]) -> None:
    np.testing.assert_array_equal(feature.cut(0, first, 3)[0], expected)


def test_cuts_of_several_clips(feature: StoredFeature) -> None:
    cut_rows = feature.cut_rows(np.array([2, 0]), np.array([0, 5]), 2)
    assert cut_rows.dtype == np.float32
    np.testing.assert_array_equal(cut_rows, [[[17, 18], [117, 118]], [[5, 0], [105, 0]]])


def test_a_file_of_another_corpus(tmp_path: Path, feature: StoredFeature) -> None:
    other = write_corpus(tmp_path / "other", clips=2, seconds=0.1)
    with pytest.raises(UserError, match="is not of the corpus"):
        StoredFeature(tmp_path / "toy.npy", other)


@pytest.mark.parametrize("content", [None, b"", b"not an array"])
def test_an_unreadable_file(tmp_path: Path, corpus: Corpus, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bad.npy").write_bytes(content)
    with pytest.raises(UserError, match="cannot read features"):
        StoredFeature(tmp_path / "bad.npy", corpus)
