"""Deterministic splits, which depend on names alone: not on the order of rows, the file system or a generator."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.levels.dataset_index import Split

#: shares used where a data set has no official split (design choice D5 for the Extended Ballroom)
DEFAULT_SHARES: Mapping[Split, float] = {"train": 0.70, "valid": 0.15, "test": 0.15}
# Validation share of a corpus without labels, on which pre-training only monitors its loss.
UNLABELLED_VALID = 0.05


def hash_position(name: str, *, salt: str = "") -> float:
    """Map a name to a number in [0, 1) by its hash; another salt gives another number."""
    digest = hashlib.blake2b(f"{salt}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_by_hash(groups: Sequence[str], *, valid: float = UNLABELLED_VALID) -> list[Split]:
    """Return train or valid for each row, by the hash of its group; of two or more groups each split has one."""
    positions = {group: hash_position(group) for group in set(groups)}
    validating = {group for group, place in positions.items() if place < valid}
    if len(positions) > 1 and not validating:
        validating = {min(positions, key=lambda group: (positions[group], group))}
    if len(positions) > 1 and len(validating) == len(positions):
        validating.remove(max(positions, key=lambda group: (positions[group], group)))
    return ["valid" if group in validating else "train" for group in groups]


def split_by_group(
    groups: Sequence[str], *, classes: Sequence[str], shares: Mapping[Split, float] = DEFAULT_SHARES
) -> list[Split]:
    """Return the split of each row: no group in two splits, each class divided in `shares` as its groups allow.

    A group belongs to the class of most of its rows. Where a class has as many groups as there are splits, each split
    gets one.
    """
    sizes = Counter(groups)
    groups_of_class: dict[str, list[str]] = {}
    for group, label in _class_of_group(groups, classes).items():
        groups_of_class.setdefault(label, []).append(group)
    split_of: dict[str, Split] = {}
    # rows by which earlier classes missed the shares
    shortfall: dict[Split, float] = dict.fromkeys(shares, 0.0)
    for _, members in sorted(groups_of_class.items()):
        member_sizes = {group: sizes[group] for group in members}
        targets = {split: share * sum(member_sizes.values()) + shortfall[split] for split, share in shares.items()}
        assigned = _assign(member_sizes, targets)
        split_of |= assigned
        shortfall = {
            split: target - sum(member_sizes[group] for group in members if assigned[group] == split)
            for split, target in targets.items()
        }
    return [split_of[group] for group in groups]


def carve_validation(
    splits: pd.Series, *, groups: pd.Series, classes: Sequence[str] | None = None, share: float
) -> pd.Series:
    """Turn `share` of the training rows into validation, by whole groups and, where given, by class."""
    carved, training = splits.copy(), splits == "train"
    labels = pd.Series([""] * len(splits) if classes is None else list(classes), index=splits.index)
    carved[training] = split_by_group(
        list(groups[training]), classes=list(labels[training]), shares={"train": 1 - share, "valid": share}
    )
    return carved


def _class_of_group(groups: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for group, label in zip(groups, classes, strict=True):
        counts.setdefault(group, Counter())[label] += 1
    return {group: min(count, key=lambda label: (-count[label], label)) for group, count in counts.items()}


def _assign(sizes: Mapping[str, int], targets: Mapping[Split, float]) -> dict[str, Split]:
    """Assign groups to splits, large ones first: each to the emptiest split it fits in, or else to the one that lacks
    most rows.
    """
    order = sorted(sizes, key=lambda group: (-sizes[group], hash_position(group), group))
    remaining = dict(targets)
    split_of: dict[str, Split] = {}
    for group in order:
        fitting = [split for split in targets if remaining[split] >= sizes[group]]
        emptiest = (
            max(fitting, key=lambda split: remaining[split] / targets[split])
            if fitting
            else max(remaining, key=remaining.__getitem__)
        )
        split_of[group] = emptiest
        remaining[emptiest] -= sizes[group]
    if len(order) >= len(targets):
        _fill_empty(split_of, order, list(targets))
    return split_of


def _fill_empty(split_of: dict[str, Split], order: Sequence[str], names: Sequence[Split]) -> None:
    """Move to each empty split the smallest group of the split that has most groups."""
    for empty in [split for split in names if split not in split_of.values()]:
        counts = Counter(split_of.values())
        fullest = max(names, key=lambda split: counts[split])
        split_of[next(group for group in reversed(order) if split_of[group] == fullest)] = empty
