import pytest

from workflow_scripts.statistics.guards import (
    friedman_blocks,
    one_checkpoint,
    other_data,
    other_quarantine,
    other_source,
    too_few,
)


@pytest.mark.parametrize("factor", ["trial", "seed", "pretrain_seed", "fraction", "head"])
def test_only_data_sets_are_blocks(factor: str) -> None:
    why_not_comparable = friedman_blocks(factor)
    assert why_not_comparable is not None
    assert why_not_comparable.action == "refuse"
    assert why_not_comparable.reason.startswith(f"{factor} as blocks: ")
    assert friedman_blocks("dataset") is None


def test_a_claim_from_one_checkpoint_is_marked() -> None:
    why_not_comparable = one_checkpoint(1)
    assert why_not_comparable is not None
    assert (why_not_comparable.action, "this checkpoint" in why_not_comparable.reason) == ("mark", True)
    assert one_checkpoint(0) is one_checkpoint(2) is None


@pytest.mark.parametrize(("n", "words"), [(0, "0 trials"), (1, "1 trial:"), (2, "2 trials")])
def test_fewer_than_three_values_have_no_interval(n: int, words: str) -> None:
    why_not_comparable = too_few(n, of="trials")
    assert why_not_comparable is not None
    assert why_not_comparable.action == "refuse"
    assert why_not_comparable.reason.startswith(words)
    assert too_few(3, of="trials") is None


@pytest.mark.parametrize(
    ("guard", "left", "right"), [(other_data, "aa", "bb"), (other_quarantine, 3, 4), (other_source, "twin", "official")]
)
def test_what_was_not_measured_alike_is_not_compared(guard, left, right) -> None:
    why_not_comparable = guard(left, right)
    assert why_not_comparable is not None
    assert why_not_comparable.action == "refuse"
    assert str(left) in why_not_comparable.reason
    assert str(right) in why_not_comparable.reason
    assert guard(left, left) is None
