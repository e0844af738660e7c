from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.datasets import _splits

ROWS = st.lists(
    st.tuples(st.text("abcdefgh", min_size=1, max_size=2), st.sampled_from(["waltz", "tango", "jive"])), max_size=60
)


@settings(deadline=None, max_examples=25)
@given(rows=ROWS, seed=st.integers(0, 5))
def test_grouped_ignores_row_order_and_keeps_groups_whole(rows, seed):
    split = _splits.split_by_group([group for group, _ in rows], classes=[kind for _, kind in rows])
    by_group = {}
    for (group, _), its in zip(rows, split, strict=True):
        assert by_group.setdefault(group, its) == its
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    shuffled = _splits.split_by_group([rows[i][0] for i in order], classes=[rows[i][1] for i in order])
    assert shuffled == [split[i] for i in order]


@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(3, 80), min_size=1, max_size=9))
def test_shares_are_met_in_each_class_and_overall(counts):
    kinds = [f"class{i}" for i, count in enumerate(counts) for _ in range(count)]
    table = pd.DataFrame(
        {"kind": kinds, "split": _splits.split_by_group([str(i) for i in range(len(kinds))], classes=kinds)}
    )
    for i, count in enumerate(counts):
        own = table["split"][table["kind"] == f"class{i}"].value_counts()
        assert set(own.index) == {"train", "valid", "test"}
        assert abs(own["train"] - 0.7 * count) <= 2
    total = table["split"].value_counts()
    assert abs(total["valid"] - 0.15 * len(kinds)) <= 1 + len(counts) / 2
    assert abs(total["test"] - 0.15 * len(kinds)) <= 1 + len(counts) / 2


def test_a_large_group_does_not_fill_a_small_split():
    groups = ["big"] * 50 + ["middle"] * 20 + [f"small{i}" for i in range(30)]
    split = dict(zip(groups, _splits.split_by_group(groups, classes=["x"] * 100), strict=True))
    assert (split["big"], split["middle"]) == ("train", "train")


def test_splits_are_the_same_in_every_process():
    # fixed expectations: a change of these numbers changes every published split
    assert _splits.hash_position("100601") == pytest.approx(0.91988993379, abs=1e-9)
    assert _splits.split_by_hash([f"clip{i}" for i in range(40)]).count("valid") == 1
    assert _splits.split_by_group(list("abcdef"), classes=["x"] * 6) == [
        "train",
        "train",
        "test",
        "train",
        "train",
        "valid",
    ]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_by_hash_leaves_neither_split_empty(count):
    assert set(_splits.split_by_hash([f"clip{i}" for i in range(count)])) == {"train", "valid"}


def test_by_hash_of_many_is_near_the_share():
    assert _splits.split_by_hash([str(i) for i in range(20_000)]).count("valid") == pytest.approx(1000, abs=100)


def test_carving_takes_only_from_training_and_by_group():
    table = pd.DataFrame({"split": ["train"] * 40 + ["test"] * 10, "group": [str(i // 4) for i in range(50)]})
    carved = _splits.carve_validation(table["split"], groups=table["group"], share=0.25)
    assert (carved[40:] == "test").all()
    assert (carved[:40] == "valid").sum() == pytest.approx(10, abs=4)
    assert table.assign(split=carved).groupby("group")["split"].nunique().max() == 1
