"""Deterministic splits: they depend on names alone, never on the order of rows, the file system or a generator."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.levels.dataset_index import Split

#: shares used where a data set has no official split (design choice D5 for the Extended Ballroom)
DEFAULT_SHARES: Mapping[Split, float] = {"train": 0.70, "valid": 0.15, "test": 0.15}
UNLABELLED_VALID = 0.05  # of the clips of a corpus without labels: pre-training only watches its loss there


def position(name: str, *, salt: str = "") -> float:
    """A number in [0, 1) that a name always gets; another salt gives another."""
    digest = hashlib.blake2b(f"{salt}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def by_hash(groups: Sequence[str], *, valid: float = UNLABELLED_VALID) -> list[Split]:
    """Train or valid for each row, by the hash of its group; with two or more groups at least one is in each."""
    positions = {group: position(group) for group in set(groups)}
    chosen = {group for group, place in positions.items() if place < valid}
    if len(positions) > 1 and not chosen:
        chosen = {min(positions, key=lambda group: (positions[group], group))}
    if len(positions) > 1 and len(chosen) == len(positions):
        chosen.remove(max(positions, key=lambda group: (positions[group], group)))
    return ["valid" if group in chosen else "train" for group in groups]


def grouped(
    groups: Sequence[str], *, classes: Sequence[str], shares: Mapping[Split, float] = DEFAULT_SHARES
) -> list[Split]:
    """Split for each row, no group in two, each class divided in `shares` as nearly as its groups allow.

    A group belongs to the class most of its rows have. Where a class has as many groups as there are splits, each split
    gets one.
    """
    sizes = Counter(groups)
    members: dict[str, list[str]] = {}
    for group, kind in _class_of_group(groups, classes).items():
        members.setdefault(kind, []).append(group)
    split_of: dict[str, Split] = {}
    owed: dict[Split, float] = dict.fromkeys(shares, 0.0)  # rows by which earlier classes missed the shares
    for _, own in sorted(members.items()):
        its_sizes = {group: sizes[group] for group in own}
        targets = {split: share * sum(its_sizes.values()) + owed[split] for split, share in shares.items()}
        divided = _divided(its_sizes, targets)
        split_of |= divided
        owed = {
            split: target - sum(its_sizes[group] for group in own if divided[group] == split)
            for split, target in targets.items()
        }
    return [split_of[group] for group in groups]


def validation_carved(
    splits: pd.Series, *, groups: pd.Series, classes: Sequence[str] | None = None, share: float
) -> pd.Series:
    """The splits with `share` of the training rows made validation, by whole groups and, where given, by class."""
    carved, training = splits.copy(), splits == "train"
    kinds = pd.Series([""] * len(splits) if classes is None else list(classes), index=splits.index)
    carved[training] = grouped(
        list(groups[training]), classes=list(kinds[training]), shares={"train": 1 - share, "valid": share}
    )
    return carved


def _class_of_group(groups: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for group, kind in zip(groups, classes, strict=True):
        counts.setdefault(group, Counter())[kind] += 1
    return {group: min(count, key=lambda kind: (-count[kind], kind)) for group, count in counts.items()}


def _divided(sizes: Mapping[str, int], targets: Mapping[Split, float]) -> dict[str, Split]:
    """Large groups first, each to the emptiest split it fits in, or else to the one that lacks most rows."""
    order = sorted(sizes, key=lambda group: (-sizes[group], position(group), group))
    lacking = dict(targets)
    split_of: dict[str, Split] = {}
    for group in order:
        fitting = [split for split in targets if lacking[split] >= sizes[group]]
        chosen = (
            max(fitting, key=lambda split: lacking[split] / targets[split])
            if fitting
            else max(lacking, key=lacking.__getitem__)
        )
        split_of[group] = chosen
        lacking[chosen] -= sizes[group]
    if len(order) >= len(targets):
        _fill_empty(split_of, order, list(targets))
    return split_of


def _fill_empty(split_of: dict[str, Split], order: Sequence[str], names: Sequence[Split]) -> None:
    """Give each empty split the smallest group of the split that has most groups."""
    for empty in [split for split in names if split not in split_of.values()]:
        counts = Counter(split_of.values())
        fullest = max(names, key=lambda split: counts[split])
        split_of[next(group for group in reversed(order) if split_of[group] == fullest)] = empty
