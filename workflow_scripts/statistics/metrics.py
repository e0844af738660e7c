"""Definition of the metrics of one trial's predictions on the test split.

All equal scikit-learn's to rounding. They are computed here, from confusion matrices and sorted scores, because
scikit-learn's checks of every argument took longer than the training of the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Task

THRESHOLD = 0.5  # of a multilabel probability; the official OpenMIC baseline's
AREAS = ("roc_auc", "pr_auc")
CLIP_AREAS = ("roc_auc_clip", "pr_auc_clip")
CLIPS_AT_ONCE = 512  # whose classes are compared with one another: 1.3 MB for 50 classes


def metrics(task: Task, *, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compute every metric, by name; labels and scores (probabilities) are (clips, classes), NaN labels unobserved.

    multiclass: `macro_f1` over the classes of the data set (a class without test clips and without predictions counts
    as 0), `accuracy`, and `balanced_accuracy`, the mean recall over the classes that have test clips.

    multilabel, each class on its observed entries only, then the mean over classes that have any: `macro_f1`
    (headline) averages the F1 of label 1 and of label 0; `macro_f1_positive` takes label 1 only (Wu et al. do not say
    which they mean); `accuracy`; `roc_auc` and `pr_auc` over the classes that have both labels, `classes_skipped` being
    the number of the others. NaN without classes. `roc_auc_clip` and `pr_auc_clip` are the areas of each clip over its
    classes, averaged over the clips that have both labels (Spijkervet 2021, Table 6.3); NaN without such clips.
    `UserError` for scores that are not finite.
    """
    require_finite(scores)
    counted = from_counts(task, confusion(task, labels=labels, scores=scores))
    values = {name: float(value) for name, value in counted.items()}
    if task == "multiclass":
        return values
    of_clips = {name: _mean_of(areas[~np.isnan(areas)]) for name, areas in areas_of_clips(labels, scores).items()}
    return values | areas_of_classes(labels, scores) | of_clips


def require_finite(scores: np.ndarray) -> None:
    """Raise `UserError` unless all scores (..., clips, classes) are finite: others have no order."""
    if not np.isfinite(scores).all():
        clips = int((~np.isfinite(scores)).any(axis=-1).sum())
        raise UserError(
            f"the scores of {clips} test clips are not finite: lower the learning_rate, or check the encoder"
        )


def confusion(task: Task, *, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count [true, predicted], int64: (classes, classes), or for multilabel (classes, 2, 2) over observed entries."""
    classes = labels.shape[1]
    shape = (classes, classes) if task == "multiclass" else (classes, 2, 2)
    _, entries = confusion_positions(task, labels=labels, scores=scores)
    return np.bincount(entries, minlength=int(np.prod(shape))).reshape(shape)


def confusion_positions(task: Task, *, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each observation's clip and position in the flattened confusion matrix: two int64 arrays."""
    clips, classes = labels.shape
    if task == "multiclass":
        return np.arange(clips), labels.argmax(axis=1) * classes + scores.argmax(axis=1)
    seen = np.flatnonzero(~np.isnan(labels))  # along one axis: several times as fast as along two
    rows, columns = np.divmod(seen, classes)
    true, predicted = labels.ravel()[seen].astype(np.int64), (scores.ravel()[seen] >= THRESHOLD).astype(np.int64)
    return rows, columns * 4 + true * 2 + predicted


def from_counts(task: Task, counts: np.ndarray, *, names: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Compute metrics from confusion matrices, of many at once: (..., classes, classes) or (..., classes, 2, 2).

    All of them unless `names` picks some. Every value has the shape of the leading axes.
    """
    return {name: compute(counts) for name, compute in FROM_COUNTS[task].items() if not names or name in names}


def _multiclass_accuracy(counts: np.ndarray) -> np.ndarray:
    return _ratio(_hits(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def _balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    return _mean(_ratio(_hits(counts), counts.sum(axis=-1)))


def _multiclass_f1(counts: np.ndarray) -> np.ndarray:
    mean: np.ndarray = np.nan_to_num(_f1(counts)).mean(axis=-1)
    return mean


def _multilabel_f1(counts: np.ndarray) -> np.ndarray:
    return _mean(_mean(_f1(counts)))


def _positive_f1(counts: np.ndarray) -> np.ndarray:
    seen = counts.sum(axis=(-2, -1)) > 0
    return _mean(np.where(seen, np.nan_to_num(_f1(counts)[..., 1]), np.nan))


def _multilabel_accuracy(counts: np.ndarray) -> np.ndarray:
    return _mean(_ratio(_hits(counts).sum(axis=-1), counts.sum(axis=(-2, -1))))


FROM_COUNTS: dict[Task, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "multiclass": {
        "macro_f1": _multiclass_f1,
        "accuracy": _multiclass_accuracy,
        "balanced_accuracy": _balanced_accuracy,
    },
    "multilabel": {
        "macro_f1": _multilabel_f1,
        "macro_f1_positive": _positive_f1,
        "accuracy": _multilabel_accuracy,
    },
}

RATES = {*AREAS, *CLIP_AREAS}.union(*FROM_COUNTS.values())  # the metrics that are from 0 to 1


def _hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _f1(counts: np.ndarray) -> np.ndarray:
    """Return the F1 of each label, (..., labels), from counts (..., labels, labels).

    NaN where a label is neither true nor predicted.
    """
    return _ratio(2 * _hits(counts), counts.sum(axis=-1) + counts.sum(axis=-2))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without NaN; NaN where all values are."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def area(metric: str, true: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the curve of `metric` (one of `AREAS`) for the labels `true` and the scores of clips.

    `roc_auc`: share of the pairs of a positive and a negative clip in which the positive has the higher score, ties by
    half. `pr_auc`: average precision, that is the precision down to each distinct score, weighted by the share of
    positive clips at this score. Both labels must occur.
    """
    descending = np.argsort(-score, kind="stable")
    # clips of equal score enter the curves together: the last of each distinct score
    last = np.flatnonzero(np.append(np.diff(score[descending]) != 0, True))
    hits = np.cumsum(true[descending] == 1)[last]
    misses = last + 1 - hits
    hits_here, misses_here = np.diff(hits, prepend=0), np.diff(misses, prepend=0)
    if metric == "roc_auc":
        return float((misses_here * (hits - hits_here / 2)).sum() / (hits[-1] * misses[-1]))
    return float((hits_here * hits / (hits + misses)).sum() / hits[-1])


def areas_of_classes(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compute `roc_auc` and `pr_auc`, means over the classes with both labels, and count the others.

    NaN if all classes are others.
    """
    pairs = [select_observed(labels, scores, number) for number in range(labels.shape[1])]
    both = [(true, score) for _, true, score in pairs if len(np.unique(true)) == 2]
    return {
        **{metric: _mean_of([area(metric, true, score) for true, score in both]) for metric in AREAS},
        "classes_skipped": float(len(pairs) - len(both)),
    }


def areas_of_clips(labels: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Compute `roc_auc_clip` and `pr_auc_clip` of each clip over its classes, (clips,); NaN if it lacks a label.

    scikit-learn, called for each clip, would take seconds a trial.
    """
    clips = [slice(first, first + CLIPS_AT_ONCE) for first in range(0, max(1, len(labels)), CLIPS_AT_ONCE)]
    parts = [_areas_within(labels[part], scores[part]) for part in clips]
    return dict(zip(CLIP_AREAS, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def _areas_within(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC area and average precision of each clip, NaN where it lacks one of the labels.

    ROC area: share of pairs in which the positive class has the higher score, ties by half. Precision at a positive
    class is that of all classes with at least its score.
    """
    positive, negative = labels == 1, labels == 0
    of, others = scores[:, :, None], scores[:, None, :]
    level_or_above, level = others >= of, others == of
    hits = (level_or_above & positive[:, None]).sum(axis=2)
    misses = (level_or_above & negative[:, None]).sum(axis=2)
    ties = (level & negative[:, None]).sum(axis=2)
    positives, negatives = positive.sum(axis=1), negative.sum(axis=1)
    won = np.where(positive, negatives[:, None] - misses + ties / 2, 0).sum(axis=1)
    precise = np.where(positive, hits / np.maximum(hits + misses, 1), 0).sum(axis=1)
    return _ratio(won, positives * negatives), np.where(negatives > 0, _ratio(precise, positives), np.nan)


def select_observed(labels: np.ndarray, scores: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the clips for which a class is observed, with its labels and scores."""
    clips = np.flatnonzero(~np.isnan(labels[:, number]))
    return clips, labels[clips, number], scores[clips, number]


def _mean_of(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
