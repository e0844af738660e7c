from collections.abc import Callable

import pytest

from workflow_scripts.statistics.guards import (
    different_data_reason,
    different_quarantine_reason,
    different_source_reason,
    friedman_blocks_reason,
    one_pretraining_seed_reason,
    too_few_reason,
)


@pytest.mark.parametrize("factor", ["trial", "seed", "pretrain_seed", "fraction", "head"])
def test_only_data_sets_are_blocks(factor: str) -> None:
    assert friedman_blocks_reason(factor).startswith(f"{factor} as blocks: ")
    assert friedman_blocks_reason("dataset") == ""


def test_a_claim_from_one_pretraining_seed_is_marked() -> None:
    assert "about this run, not the method" in one_pretraining_seed_reason(1)
    assert one_pretraining_seed_reason(0) == one_pretraining_seed_reason(2) == ""


@pytest.mark.parametrize(("n", "words"), [(0, "0 trials"), (1, "1 trial:"), (2, "2 trials")])
def test_fewer_than_three_values_have_no_interval(n: int, words: str) -> None:
    assert too_few_reason(n, of="trials").startswith(words)
    assert too_few_reason(3, of="trials") == ""


def test_few_pretraining_seeds_are_named_in_words() -> None:
    assert too_few_reason(1, of="pretraining seeds").startswith("1 pre-training seed:")


@pytest.mark.parametrize(
    ("guard", "left", "right"),
    [
        (different_data_reason, "aa", "bb"),
        (different_quarantine_reason, 3, 4),
        (different_source_reason, "twin", "official"),
    ],
)
def test_results_that_were_not_measured_alike_are_not_compared(guard: Callable, left: object, right: object) -> None:
    assert str(left) in guard(left, right)
    assert str(right) in guard(left, right)
    assert guard(left, left) == ""
