"""Notes on classes for which a test set shows little or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pandas as pd

from workflow_scripts.report import labels, number_format

FEW = 5  # test clips of a class: one more or less that is predicted correctly is 20 % of its recall
MAX_LISTED = 6  # classes named in a note; all are in classes.csv
AREAS = ("roc_auc", "pr_auc")


def describe_classes(classes: pd.DataFrame, metrics: Collection[str]) -> Iterator[str]:
    """Yield notes on the data sets in `classes` (rows of classes.csv), whose results are shown in `metrics`."""
    for dataset, rows in classes.groupby("dataset", sort=False):
        several = rows.to_dict("records")
        for note in _notes(several, metrics):
            yield f"{labels.name(str(dataset))}: {note}."


def _notes(classes: Sequence[dict], metrics: Collection[str]) -> Iterator[str]:
    """Yield the notes on one data set, without its name."""
    untrained = [record for record in classes if not record["train_clips"]]
    untested = [record for record in classes if not record["test_clips"]]
    # every clip is of one class in a multiclass set, so the others have no test clips
    constant = [record for record in classes if 0 < record["test_clips"] == record["observed_test_clips"]]
    if untrained:
        yield f"no training clip of {_list(untrained)}, so that {_pronoun(untrained)} cannot be learnt"
    if untested:
        yield f"no test clip of {_list(untested)}{_consequence(untested, classes, metrics)}"
    if constant:
        skipped = _skipped(metrics)
        yield f"{_list(constant)} {_verb(constant)} true for every test clip{f', {skipped}' if skipped else ''}"
    yield from _few(classes)


def _consequence(untested: Sequence[dict], classes: Sequence[dict], metrics: Collection[str]) -> str:
    """Return what classes without test clips do to the metrics."""
    if untested[0]["task"] != "multiclass":
        skipped = _skipped(metrics)
        return f": {skipped}" if skipped else ""
    if "macro_f1" not in metrics:
        return ""
    highest = number_format.number(100 * (1 - len(untested) / len(classes)), 1)
    return f": macro F1 counts {_pronoun(untested, object_=True)} as 0, so that it is at most {highest} %"


def _skipped(metrics: Collection[str]) -> str:
    areas = [number_format.measure(metric).name for metric in AREAS if metric in metrics]
    return f"left out of {labels.join(areas)}" if areas else ""


def _few(classes: Sequence[dict]) -> Iterable[str]:
    """Yield a note on classes with few test clips."""
    tested = [record for record in classes if record["test_clips"]]
    few = sorted((record for record in tested if record["test_clips"] < FEW), key=lambda record: record["test_clips"])
    if not few:
        return
    decisive = "single clips decide how well a class does"
    if len(few) == len(tested) > 1 and few[0]["task"] == "multiclass":
        clips = number_format.count(sum(record["test_clips"] for record in few), "test clips")
        low, high = few[0]["test_clips"], few[-1]["test_clips"]
        yield f"{clips} for {len(few)} classes: {low if low == high else f'{low} to {high}'} each; {decisive}"
    else:
        yield f"fewer than {FEW} test clips of {_list(few, with_clips=True)}; {decisive}"


def _list(classes: Sequence[dict], *, with_clips: bool = False) -> str:
    names = [f"{record['class']} ({record['test_clips']})" if with_clips else record["class"] for record in classes]
    more = len(names) - MAX_LISTED
    return labels.join(names) if more <= 0 else f"{', '.join(names[:MAX_LISTED])} and {more:,} more"


def _pronoun(classes: Sequence[dict], *, object_: bool = False) -> str:
    if len(classes) == 1:
        return "it"
    return "them" if object_ else "they"


def _verb(classes: Sequence[dict]) -> str:
    return "is" if len(classes) == 1 else "are"
