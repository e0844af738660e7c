"""Counted quantities: properties of a data set or a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from workflow_scripts.core import result_files
from workflow_scripts.core.checksums import require_unchanged
from workflow_scripts.levels import registry
from workflow_scripts.statistics.reproduction.context import (
    CONFIGURATION,
    MILLION,
    THOUSAND,
    Estimate,
    NoValue,
    Results,
    Selection,
    corpus_name,
    exact_estimate,
    read_from_runs,
    run_cells,
)
from workflow_scripts.statistics.reproduction.quantity import Quantity

SECONDS_PER_HOUR = 3600


def clips(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the thousands of clips of the data set (or else the corpus) in `of`, quarantined ones included."""
    return _of_corpus(selection, results, lambda facts: (facts["clips"] + facts["quarantined"]) / THOUSAND)


def songs(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the clips of the data set (or else the corpus) in `of`; publications call them songs or parts of songs."""
    return _of_corpus(selection, results, lambda facts: facts["clips"] + facts["quarantined"])


def pretraining_songs(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the clips that pre-training on the corpus in `of` trains on.

    They are its training split, and its validation split if all recipes of the runs say so (`with_validation`).
    """
    name = corpus_name(selection)
    folder = results.folders.get(name)
    if folder is None:
        return NoValue(reason=f"{name} not prepared")
    require_unchanged(folder / result_files.CLIPS)
    clips = pd.read_parquet(folder / result_files.CLIPS, columns=["split"])
    stated = read_from_runs(selection, results, "config", "recipe", "with_validation")
    with_validation = not isinstance(stated, NoValue) and all(stated)
    splits = ("train", "valid") if with_validation else ("train",)
    return exact_estimate(
        [int(clips["split"].isin(splits).sum())], replicate="data sets", sources=(results.corpora[name]["source"],)
    )


def clip_seconds(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the mean clip length in seconds of the data set (or else the corpus) in `of`."""
    return _of_corpus(selection, results, lambda facts: facts["seconds"] / facts["clips"])


def hours(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the hours of audio in the data set (or else the corpus) in `of`."""
    return _of_corpus(selection, results, lambda facts: facts["seconds"] / SECONDS_PER_HOUR)


def classes(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the number of classes of the data set in `of`."""
    return _of_corpus(selection, results, lambda facts: len(facts["classes"]))


def n_excluded_classes(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the number of published classes (`ALL_CLASSES` of the level) that the data set in `of` leaves out."""
    name = corpus_name(selection)
    loader = results.loaders.get(name)
    all_classes = registry.fact(registry.load("dataset", loader), "ALL_CLASSES") if loader else None
    if all_classes is None:
        return NoValue(reason=f"the level of {name} declares no ALL_CLASSES" if loader else f"{name} not prepared")
    return _of_corpus(selection, results, lambda facts: len({*all_classes} - {*facts["classes"]}))


def train_clips(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the thousands of training clips of the cells."""
    return _of_training(selection, results, unit=THOUSAND)


def train_songs(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the training clips of the cells."""
    return _of_training(selection, results, unit=1)


def _of_training(selection: Selection, results: Results, *, unit: int) -> Estimate | NoValue:
    cells = run_cells(selection, results)
    if not cells:
        return NoValue(reason="not run")
    sizes = [results.train_clips[cell.key] / unit for cell in cells]
    sources = tuple(sorted({cell.source for cell in cells}))  # whatever their encoders were pre-trained on
    return exact_estimate(sizes, replicate="cells", sources=sources)


def parameters(selection: Selection, results: Results) -> Estimate | NoValue:
    """Return the trainable parameters of the encoder in millions, from the records of pre-training."""
    counted = read_from_runs(selection, results, "parameters", "encoder")
    if isinstance(counted, NoValue):
        return counted
    return exact_estimate([number / MILLION for number in counted], replicate="networks", sources=(CONFIGURATION,))


def _of_corpus(
    selection: Selection, results: Results, count: Callable[[Mapping[str, Any]], float]
) -> Estimate | NoValue:
    name = corpus_name(selection)
    facts = results.corpora.get(name)
    if facts is None:
        return NoValue(reason=f"{name} not prepared")
    return exact_estimate([count(facts)], replicate="data sets", sources=(facts["source"],))


QUANTITIES = {
    "clips": Quantity(kind="counted", compute=clips, phrase="clips of {data}", of_corpus=True),
    "songs": Quantity(kind="counted", compute=songs, phrase="clips of {data}", of_corpus=True),
    "pretraining_songs": Quantity(
        kind="counted", compute=pretraining_songs, phrase="clips of {data} that are trained on", of_corpus=True
    ),
    "clip_seconds": Quantity(
        kind="counted", compute=clip_seconds, phrase="mean length of the clips of {data}, seconds", of_corpus=True
    ),
    "hours": Quantity(kind="counted", compute=hours, phrase="hours of {data}", of_corpus=True),
    "classes": Quantity(kind="counted", compute=classes, phrase="classes of {data}", of_corpus=True),
    "n_excluded_classes": Quantity(
        kind="counted", compute=n_excluded_classes, phrase="classes of {data} that are left out", of_corpus=True
    ),
    "train_clips": Quantity(kind="counted", compute=train_clips, phrase="training samples", within=("dataset",)),
    "train_songs": Quantity(kind="counted", compute=train_songs, phrase="training samples", within=("dataset",)),
    "parameters": Quantity(kind="counted", compute=parameters, phrase="parameters of {of}"),
}
