"""Label subsets are nested, stratified and independent of the encoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.core.errors import UserError
from workflow_scripts.evaluation.label_subsets import choose_label_subset, choose_segments
from workflow_scripts.levels.fractions import parse_fraction

IDS = [f"clip{number:03d}" for number in range(120)]
ROWS = np.arange(0, 240, 2)  # training rows of a corpus of 240


def one_hot(classes):
    return np.eye(max(classes) + 1, dtype=np.float32)[classes]


def multiclass_subset(fraction, trial, classes=None, ids=IDS, rows=ROWS):
    labels = one_hot(np.arange(len(rows)) % 4 if classes is None else classes)
    return choose_label_subset(rows, clips=ids, labels=labels, task="multiclass", fraction=fraction, trial=trial)


@pytest.mark.parametrize(
    ("name", "share"),
    [("100pct", 1.0), ("1pct", 0.01), ("12.5pct", 0.125), ("0.1pct", 0.001), ("2pct_segments", 0.02)],
)
def test_the_name_of_a_fraction_is_parsed_into_a_share(name, share):
    assert parse_fraction(name) == pytest.approx(share)


@pytest.mark.parametrize("name", ["100", "1 pct", "0pct", "101pct", "-1pct", ".5pct", "half", "1pct ", "nanpct"])
def test_an_invalid_fraction_is_refused(name):
    with pytest.raises(UserError, match="unknown fraction"):
        parse_fraction(name)


@given(
    classes=st.lists(st.integers(0, 6), min_size=5, max_size=60),
    fractions=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
    trial=st.integers(0, 9),
)
@settings(deadline=None, max_examples=40)
def test_multiclass_subsets_are_nested_stratified_and_contain_every_class(classes, fractions, trial):
    classes, rows = np.array(classes), np.arange(len(classes))
    small, large = (
        multiclass_subset(fraction, trial, classes=classes, ids=IDS[: len(rows)], rows=rows)
        for fraction in sorted(fractions)
    )
    assert set(small) <= set(large)
    assert set(classes[small]) == set(classes)
    assert len(small) == max(round(min(fractions) * len(rows)), len(set(classes)))
    for name, total in zip(*np.unique(classes, return_counts=True), strict=True):
        share = len(small) / len(rows) * total
        assert share - len(set(classes)) <= np.sum(classes[small] == name) <= share + 1


def test_100_percent_are_all_training_rows():
    assert multiclass_subset(1.0, 3).tolist() == ROWS.tolist()


def test_trials_have_different_subsets():
    assert len({tuple(multiclass_subset(0.25, trial)) for trial in range(10)}) == 10


def test_a_subset_depends_on_clip_ids_and_not_on_their_order():
    reversed_subset = multiclass_subset(0.25, 0, classes=np.arange(120)[::-1] % 4, ids=IDS[::-1])
    chosen = {IDS[place] for place in np.searchsorted(ROWS, multiclass_subset(0.25, 0))}
    assert {IDS[::-1][place] for place in np.searchsorted(ROWS, reversed_subset)} == chosen


@pytest.mark.parametrize("trial", range(3))
def test_multilabel_subsets_keep_the_balance_of_observed_labels(trial):
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 10)) < 0.3).astype(np.float32)
    labels[rng.random((400, 10)) < 0.8] = np.nan  # two observed classes per clip, as in OpenMIC
    ids = [str(number) for number in range(400)]
    subsets = [
        choose_label_subset(np.arange(400), clips=ids, labels=labels, task="multilabel", fraction=fraction, trial=trial)
        for fraction in (0.1, 0.25)
    ]
    assert [len(subset) for subset in subsets] == [40, 100]
    assert set(subsets[0]) <= set(subsets[1])
    for value in (0, 1):
        counts = np.sum(labels == value, axis=0)
        assert np.all(np.sum(labels[subsets[0]] == value, axis=0) >= 1)
        assert np.all(np.sum(labels[subsets[1]] == value, axis=0) >= 0.2 * counts)


def test_clips_without_observed_labels_fill_up_a_multilabel_subset():
    labels = np.full((10, 2), np.nan, np.float32)
    labels[0, 0] = 1
    rows = choose_label_subset(np.arange(10), clips=IDS[:10], labels=labels, task="multilabel", fraction=0.5, trial=0)
    assert len(set(rows)) == 5
    assert 0 in rows


def segments(labels, counts, fraction, trial=0, ids=None):
    labels = np.array(labels, np.float32)
    return choose_segments(
        np.arange(len(labels)),
        clips=ids or [f"clip{number}" for number in range(len(labels))],
        labels=labels,
        counts=np.array(counts),
        fraction=fraction,
        trial=trial,
    )


@given(
    tags=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40),
    counts=st.lists(st.integers(1, 12), min_size=40, max_size=40),
    fractions=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)),
    trial=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_each_combination_of_labels_keeps_its_share_of_segments_and_at_least_one(tags, counts, fractions, trial):
    """The rule of the code of CLMR: max(1, int(n * share)) of the n segments with the same labels."""
    counts = counts[: len(tags)]
    small, large = (segments(tags, counts, fraction, trial) for fraction in sorted(fractions))
    pairs = [set(zip(subset.rows.tolist(), subset.segments.tolist(), strict=True)) for subset in (small, large)]
    assert pairs[0] <= pairs[1]
    assert len(pairs[0]) == len(small.rows), "no segment twice"
    assert all(0 <= segment < counts[row] for row, segment in pairs[0])
    for combination in set(tags):
        total = sum(count for tag, count in zip(tags, counts, strict=True) if tag == combination)
        kept = sum(tags[row] == combination for row in small.rows)
        assert kept == max(1, int(min(fractions) * total))
    assert small.clips == len(set(small.rows.tolist()))


def test_a_hundred_clips_with_labels_of_their_own_all_keep_a_segment_at_one_percent():
    """So "1 %" of the labels touches every clip whose tags no other clip has."""
    labels = np.array([[number >> bit & 1 for bit in range(7)] for number in range(100)])
    subset = segments(labels, [10] * 100, 0.01)
    assert subset.clips == 100
    assert len(subset.rows) == 100
    assert segments(np.zeros((100, 3)), [10] * 100, 0.01).rows.size == 10, "1 % where all clips are alike"


def test_segments_differ_by_trial_and_not_with_the_order_of_the_clips():
    labels, ids = np.zeros((30, 2)), [f"clip{number}" for number in range(30)]
    assert len({segments(labels, [5] * 30, 0.2, trial).rows.tobytes() for trial in range(10)}) == 10
    there = segments(labels, [5] * 30, 0.2, ids=ids)
    back = segments(labels, [5] * 30, 0.2, ids=ids[::-1])
    assert {(ids[row], segment) for row, segment in zip(there.rows, there.segments, strict=True)} == {
        (ids[::-1][row], segment) for row, segment in zip(back.rows, back.segments, strict=True)
    }


def test_an_epoch_of_segments_is_never_longer_than_one_of_all_labels():
    subset = segments(np.zeros((30, 2)), [5] * 30, 0.5)
    epochs = [subset.draw(trial=0, epoch=epoch) for epoch in range(2)]
    assert [len(epoch.rows) for epoch in epochs] == [30, 30]
    assert not np.array_equal(epochs[0].rows, epochs[1].rows)
