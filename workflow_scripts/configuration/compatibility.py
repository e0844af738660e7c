"""Compatibility of pre-training levels, checked while planning and again by the job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workflow_scripts.core.errors import UserError

SEPARATION_TEST_SPLIT: Final = "test"  # songs that pre-training neither trains nor validates on


def require_frames(hop: int, *, every: int) -> None:
    """Raise `UserError` unless an encoder with a frame every `hop` samples has one for each of the features."""
    if hop != every:
        raise UserError(
            f"workers that predict features or samples need a frame every {every} samples and the encoder has one "
            f"every {hop}: choose pase or pase_plus, or other workers"
        )


def require_views(views: int, *, augmentation: str, one_sided: bool) -> None:
    """Raise `UserError` if only one of two views is augmented and the workers use a single view."""
    if one_sided and views == 1:
        raise UserError(
            f"augmentation {augmentation}: one_sided needs a worker that compares two views, such as contrastive"
        )


def require_compatible_crops(*, joined: bool, stored: Sequence[str], mixing: Sequence[str], views: int) -> None:
    """Raise `UserError` if no kind of crop fits all workers.

    `joined`: crops are cut from joined songs. `stored` and `mixing`: the workers with stored targets, and those that
    need mixtures. `views`: crops of each clip.
    """
    if joined and stored:
        raise UserError(
            f"recipe: join_songs cannot go with {', '.join(stored)}: their stored targets end with each clip"
        )
    if len(mixing) > 1:
        raise UserError(f"workers {' and '.join(mixing)} need different mixtures: choose one of them")
    if mixing and (views > 1 or stored or joined):
        raise UserError(
            f"worker {mixing[0]} mixes crops of several clips: remove workers that compare views or store targets, "
            "and join_songs"
        )


def require_test_songs(songs: int, *, corpus: object, split: str = SEPARATION_TEST_SPLIT) -> None:
    """Raise `UserError` if a corpus has no songs to evaluate separation on, which every report of separation needs."""
    if not songs:
        raise UserError(
            f"{corpus} has no songs in its {split} split, on which separation is evaluated: put some that are not in "
            f"train/ into {split}/ of the data set, and run again with --forcerun and its acquired.json"
        )


def max_frames(seconds: float, *, sample_rate: int, hop: int) -> int:
    """Return the largest number of frames of a chunk: padding may add one to the whole hops."""
    return round(seconds * sample_rate) // hop + 1


def require_prediction_span(frames: int, *, steps: int) -> None:
    """Raise `UserError` if a chunk is too short for predictive coding, which predicts frames up to `steps` later."""
    if frames <= steps:
        raise UserError(
            f"predictive_coding predicts {steps} frames ahead and a chunk has {frames}: "
            "choose longer chunks, or an encoder with more frames"
        )


def require_context(size: int, *, expected: int) -> None:
    """Raise `UserError` unless an encoder's context, of `size` channels, is the one predictive coding expects."""
    if size != expected:
        raise UserError(
            f"predictive_coding expects a context of {expected} and the encoder has one of {size}: "
            "set context to that or, where it is 0, own_context to true"
        )
