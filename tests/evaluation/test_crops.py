"""Crops of each clip, and one prediction per clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.evaluation.crops import Crops, average_predictions

LENGTHS = np.array([30, 9, 10, 25])
CROPS = Crops.from_lengths(LENGTHS, 10)


def test_a_clip_has_as_many_whole_crops_as_fit_and_a_short_clip_has_one():
    assert CROPS.counts.tolist() == [3, 1, 1, 2]
    assert CROPS.offsets.tolist() == [0, 3, 4, 5, 7]
    assert not CROPS.single
    assert Crops.from_lengths(LENGTHS, None).counts.tolist() == [1, 1, 1, 1]
    assert Crops.from_lengths(LENGTHS, None).single


def test_crops_may_overlap():
    assert Crops.from_lengths(LENGTHS, 10, step=5).counts.tolist() == [5, 1, 1, 4]
    assert Crops.from_lengths(LENGTHS, 10, step=10).counts.tolist() == CROPS.counts.tolist()
    # a clip of 29.1 s at 16 kHz has 14 windows of 384 frames every 192 frames, or 7 adjacent ones (the MSSPT code)
    clip = np.array([465_600])
    assert [Crops.from_lengths(clip, 61_792, step=step).counts[0] for step in (30_720, 61_440)] == [14, 7]


def test_rows_are_clip_by_clip_in_the_given_order():
    clips = np.array([3, 0, 3])
    assert CROPS.rows(clips).tolist() == [5, 6, 0, 1, 2, 5, 6]
    assert CROPS.select(clips).counts.tolist() == [2, 3, 2]


def test_every_crop_of_a_clip_is_sampled_and_no_other():
    clips = np.array([0, 1, 3] * 40)
    rows = CROPS.sample(clips, np.random.default_rng(0))
    assert [set(rows[place::3]) for place in range(3)] == [{0, 1, 2}, {3}, {5, 6}]
    whole = Crops.from_lengths(LENGTHS, None)
    assert np.array_equal(whole.sample(clips, np.random.default_rng(0)), clips)


def test_pooling_averages_the_embeddings_of_the_crops_of_each_clip():
    embeddings = np.arange(14, dtype=np.float32).reshape(7, 2)
    np.testing.assert_array_equal(CROPS.pool(embeddings), [[2, 3], [6, 7], [8, 9], [11, 12]])


@settings(deadline=None, max_examples=25)
@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    task=st.sampled_from(["multiclass", "multilabel"]),
    scale=st.floats(0.1, 10),
    seed=st.integers(0, 1000),
)
def test_the_probabilities_of_a_clip_are_the_mean_over_its_crops(counts, task, scale, seed):
    crops = Crops.from_lengths(np.array(counts), 1)
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(sum(counts), 3, generator=generator, dtype=torch.float64)

    def probabilities(values):
        return values.softmax(-1) if task == "multiclass" else values.sigmoid()

    expected = torch.stack([part.mean(0) for part in probabilities(logits).split(counts)])
    torch.testing.assert_close(probabilities(average_predictions(task, logits, crops)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_predictions_of_extreme_logits_are_finite(task):
    logits = torch.tensor([[300.0, -300.0], [300.0, -300.0], [-300.0, 300.0], [200.0, -200.0]])
    averaged = average_predictions(task, logits, Crops.from_lengths(np.array([2, 2]), 1))
    assert torch.isfinite(averaged).all()
    assert averaged[0, 0] - averaged[0, 1] > 500
    torch.testing.assert_close(
        averaged[1].softmax(0) if task == "multiclass" else averaged[1].sigmoid(), torch.full((2,), 0.5)
    )


def test_the_logits_of_single_crops_are_returned_unchanged():
    logits = torch.randn(4, 3)
    assert average_predictions("multilabel", logits, Crops.from_lengths(LENGTHS, None)) is logits
