"""Which levels go together in a pre-training: asked while planning, and again by the job itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workflow_scripts.core.errors import UserError

JUDGED_SPLIT: Final = "test"  # songs that pre-training neither learns nor validates on: separation is judged by these


def require_frames(hop: int, *, every: int) -> None:
    """Raise `UserError` unless an encoder with a frame every `hop` samples has one for each of the features."""
    if hop != every:
        raise UserError(
            f"workers that predict features or samples need a frame every {every} samples and the encoder has one "
            f"every {hop}: choose pase or pase_plus, or other workers"
        )


def require_views(views: int, *, augmentation: str, one_sided: bool) -> None:
    """Raise `UserError` if only one of two views is to be changed and there are no two."""
    if one_sided and views == 1:
        raise UserError(
            f"augmentation {augmentation}: one_sided needs a worker that compares two views, such as contrastive"
        )


def require_pieces(*, joined: bool, stored: Sequence[str], mixing: Sequence[str], views: int) -> None:
    """Raise `UserError` if no piece of audio can serve all workers.

    `joined`: pieces are cut from joined songs. `stored` and `mixing`: the workers with stored targets, and those that
    ask for mixtures. `views`: pieces of each clip.
    """
    if joined and stored:
        raise UserError(
            f"recipe: join_songs cannot go with {', '.join(stored)}: their stored targets end with each clip"
        )
    if len(mixing) > 1:
        raise UserError(f"workers {' and '.join(mixing)} need different mixtures: choose one of them")
    if mixing and (views > 1 or stored or joined):
        raise UserError(
            f"worker {mixing[0]} mixes pieces of several clips: it goes with no worker that compares views, no stored "
            "targets and no joined songs"
        )


def require_songs_to_judge(songs: int, *, corpus: object, split: str = JUDGED_SPLIT) -> None:
    """Raise `UserError` if a corpus has no songs to judge separation by: no report is whole without that."""
    if not songs:
        raise UserError(
            f"{corpus} has no songs in its {split} split, by which separation is judged: put some that are not in "
            f"train/ into {split}/ of the data set, and run again with --forcerun acquire"
        )


def most_frames(seconds: float, *, sample_rate: int, hop: int) -> int:
    """Return how many frames an encoder makes of a chunk at most: padding may give one more than whole hops."""
    return round(seconds * sample_rate) // hop + 1


def require_later_frames(frames: int, *, steps: int) -> None:
    """Raise `UserError` if no frame of a chunk has one `steps` later, which predictive coding is to predict."""
    if frames <= steps:
        raise UserError(
            f"predictive_coding predicts {steps} frames ahead and a chunk has {frames}: "
            "choose longer chunks, or an encoder with more frames"
        )


def require_context(size: int, *, wanted: int) -> None:
    """Raise `UserError` unless an encoder's context, of `size` channels, is that which predictive coding is to use."""
    if size != wanted:
        raise UserError(
            f"predictive_coding expects a context of {wanted} and the encoder has one of {size}: "
            "set context to that or, where it is 0, own_context to true"
        )
