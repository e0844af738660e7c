"""Quantities that are counted: properties of a data set or a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from workflow_scripts.levels import registry
from workflow_scripts.statistics.reproduction.context import (
    CONFIGURATION,
    MILLION,
    THOUSAND,
    Estimate,
    Missing,
    Results,
    Selection,
    exact,
    recorded_by_runs,
    run_cells,
)

SECONDS_PER_HOUR = 3600
HEARD = ("train", "valid")  # splits that pre-training may use


def clips(selection: Selection, results: Results) -> Estimate | Missing:
    """Clips of the data set (or else the corpus) that `of` names, in thousands, quarantined ones included."""
    return _of_corpus(selection, results, lambda facts: (facts["clips"] + facts["quarantined"]) / THOUSAND)


def songs(selection: Selection, results: Results) -> Estimate | Missing:
    """As `clips`, counted one by one: songs, or parts of them, whatever the publication calls them."""
    return _of_corpus(selection, results, lambda facts: facts["clips"] + facts["quarantined"])


def heard_songs(selection: Selection, results: Results) -> Estimate | Missing:
    """Clips that pre-training on the corpus which `of` names may use: those of its training and validation split."""
    name = _named(selection)
    folder = results.folders.get(name)
    if folder is None:
        return Missing(reason=f"{name} not prepared")
    heard = int(pd.read_parquet(folder / "clips.parquet", columns=["split"])["split"].isin(HEARD).sum())
    return exact([heard], replicate="data sets", sources=(results.corpora[name]["source"],))


def clip_seconds(selection: Selection, results: Results) -> Estimate | Missing:
    """Mean length in seconds of the clips of the data set (or else the corpus) that `of` names."""
    return _of_corpus(selection, results, lambda facts: facts["seconds"] / facts["clips"])


def hours(selection: Selection, results: Results) -> Estimate | Missing:
    """Hours of audio in the data set (or else the corpus) that `of` names."""
    return _of_corpus(selection, results, lambda facts: facts["seconds"] / SECONDS_PER_HOUR)


def classes(selection: Selection, results: Results) -> Estimate | Missing:
    """Classes of the data set that `of` names."""
    return _of_corpus(selection, results, lambda facts: len(facts["classes"]))


def classes_removed(selection: Selection, results: Results) -> Estimate | Missing:
    """Classes that the data set named by `of` has as published (`ALL_CLASSES` of its level) but not here."""
    name = _named(selection)
    loader = results.loaders.get(name)
    published = getattr(registry.load("dataset", loader), "ALL_CLASSES", None) if loader else None
    if published is None:
        return Missing(reason=f"nothing states all classes of {name}" if loader else f"{name} not prepared")
    return _of_corpus(selection, results, lambda facts: len({*published} - {*facts["classes"]}))


def train_clips(selection: Selection, results: Results) -> Estimate | Missing:
    """Training samples of the cells, in thousands."""
    return _of_training(selection, results, multiple=THOUSAND)


def train_songs(selection: Selection, results: Results) -> Estimate | Missing:
    """Training samples of the cells, counted one by one."""
    return _of_training(selection, results, multiple=1)


def _of_training(selection: Selection, results: Results, *, multiple: int) -> Estimate | Missing:
    cells = run_cells(selection, results)
    if not cells:
        return Missing(reason="not run")
    sizes = [results.train_clips[cell.key] / multiple for cell in cells]
    sources = tuple(sorted({cell.source for cell in cells}))  # whatever their encoders were pre-trained on
    return exact(sizes, replicate="cells", sources=sources)


def parameters(selection: Selection, results: Results) -> Estimate | Missing:
    """Trainable parameters of the encoder in millions, from the records of pre-training."""
    counted = recorded_by_runs(selection, results, "parameters", "encoder")
    if isinstance(counted, Missing):
        return counted
    return exact([number / MILLION for number in counted], replicate="networks", sources=(CONFIGURATION,))


def _named(selection: Selection) -> str:
    """The data set that `of` names, or else the corpus."""
    stated = selection.statement.of[0]
    return stated.get("dataset") or stated["corpus"]


def _of_corpus(
    selection: Selection, results: Results, count: Callable[[Mapping[str, Any]], float]
) -> Estimate | Missing:
    name = _named(selection)
    facts = results.corpora.get(name)
    if facts is None:
        return Missing(reason=f"{name} not prepared")
    return exact([count(facts)], replicate="data sets", sources=(facts["source"],))
