"""Classes on the page of a study: the confusions and the scores by class of its best method on each data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.core import escapes, result_files
from workflow_scripts.planning.manifest import PlannedCell, Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.site.cell_links import CellLinks
from workflow_scripts.statistics.class_metrics import COUNTED, metric_of_classes, row_percent
from workflow_scripts.statistics.metrics import AREAS
from workflow_scripts.statistics.predictions import Predictions, read_predictions
from workflow_scripts.statistics.tables.schema import MEASURED, METHOD_FACTORS

MAX_DATASETS = 6  # of a study: predictions of ten trials take a tenth of a second to read and to count
MAX_CONFUSED = 20  # classes whose confusions can be read on a page
MAX_SCORED = 60  # classes with a bar each, two screens; more stay in the files of predictions
SHADES = 10  # of the cells of a matrix, beside the blank one


@dataclass(frozen=True, kw_only=True)
class ClassBar:
    """Score of one class with the length of its bar in percent; `text` is "none" where it cannot be computed."""

    name: str
    clips: str
    text: str
    length: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """Percent of the clips of a class that were given another, and its shade from 0 to `SHADES`."""

    text: str
    shade: int
    correct: bool


@dataclass(frozen=True, kw_only=True)
class ClassResults:
    """Scores by class of one method on one data set, and its confusions if clips have one class.

    `choice` says which method it is, and why it was chosen.
    """

    dataset: str
    choice: str = ""
    trials: str
    score: str  # what the bars measure
    bars: tuple[ClassBar, ...]
    names: tuple[str, ...] = ()
    confusions: tuple[tuple[Share, ...], ...] = ()
    omitted: str = ""


class ClassReader:
    """Predictions by class, each file read once for all studies."""

    def __init__(self, links: CellLinks) -> None:
        """Read predictions of the cells of `links`."""
        self.links = links
        self._results: dict[tuple[Path, str], ClassResults | None] = {}

    def read(self, study: Study, entries: pd.DataFrame) -> list[ClassResults]:
        """Return the classes of the method with the highest mean on each data set, if its predictions are stored."""
        results = []
        for entry, choice in _best_methods(study, entries):
            cells = self.links.groups.get(tuple(str(entry[factor]) for factor in METHOD_FACTORS), [])
            stored = [cell for cell in cells if cell.path.with_name(result_files.PREDICTIONS).is_file()]
            if stored and (result := self._read_cell(stored[0], study.metric)):
                results.append(replace(result, choice=choice))
        return results

    def _read_cell(self, cell: PlannedCell, metric: str) -> ClassResults | None:
        key = (cell.path, metric)
        if key not in self._results:
            predictions = read_predictions(cell.path.with_name(result_files.PREDICTIONS))
            self._results[key] = _results(predictions, metric, dataset=cell.factors["dataset"])
        return self._results[key]


def _name(study: Study, entry: Mapping) -> str:
    """Return the levels that tell a method from others of its study on the data set."""
    varying = (factor for factor in METHOD_FACTORS if factor in study.rows or factor in study.columns)
    return plotting.level_names(entry, [factor for factor in varying if factor != "dataset"])


def _best_methods(study: Study, entries: pd.DataFrame) -> Iterable[tuple[Mapping, str]]:
    """Yield the entry with the highest mean on each of the first data sets, and its method as the best.

    Floors are left aside where there are others.
    """
    measured = entries[(entries["metric"] == study.metric) & (entries["status"] == MEASURED)]
    for _, rows in list(measured.groupby("dataset", sort=False))[:MAX_DATASETS]:
        methods = rows[rows["kind"] == "method"]
        chosen = methods if len(methods) else rows
        best = plotting.dicts(chosen.sort_values("mean", ascending=False, kind="stable"))[0]
        name = _name(study, best)
        aside = ", floors aside" if rows["mean"].max() > best["mean"] else ""
        yield best, f"{labels.capital(name)}, the method with the highest mean{aside}; " if name else ""


def _results(predictions: Predictions, metric: str, *, dataset: str) -> ClassResults | None:
    names = tuple(escapes.shorten(name, plotting.LONGEST_NAME) for name in predictions.classes)
    if len(names) < 2:
        return None
    single = predictions.task == "multiclass"
    rates = row_percent(predictions.confusion) if single else None
    if rates is not None:
        scores, score = np.diagonal(rates, axis1=-2, axis2=-1), "share of the clips of a class that are recognised (%)"
    else:
        chosen = metric if metric in (*AREAS, *COUNTED) else "macro_f1"
        scores = 100 * metric_of_classes(chosen, labels=predictions.labels, scores=predictions.scores)
        score = number_format.measure(chosen).heading
    clips = np.nansum(predictions.labels, axis=0)
    bars = [
        _bar(name, clips=int(count), value=float(value))
        for name, count, value in zip(names, clips, scores.mean(axis=0), strict=True)
    ]
    return ClassResults(
        dataset=labels.name(dataset),
        trials=number_format.count(len(predictions.scores), "trials"),
        score=score,
        bars=tuple(bars[:MAX_SCORED]),
        names=names if rates is not None and len(names) <= MAX_CONFUSED else (),
        confusions=_confusions(rates.mean(axis=0)) if rates is not None and len(names) <= MAX_CONFUSED else (),
        omitted=f"{len(bars) - MAX_SCORED:,} further classes" if len(bars) > MAX_SCORED else "",
    )


def _bar(name: str, *, clips: int, value: float) -> ClassBar:
    known = np.isfinite(value)
    return ClassBar(
        name=name,
        clips=f"{clips:,}",
        text=number_format.number(value, 1) if known else labels.NOTHING,
        length=f"{value:.1f}%" if known else "",
    )


def _confusions(rates: np.ndarray) -> tuple[tuple[Share, ...], ...]:
    """Return the rows of the matrix; those of classes without test clips are blank."""
    return tuple(
        tuple(
            Share(
                text=number_format.number(float(rate), 0) if np.isfinite(rate) else "",
                shade=min(SHADES, -int(-rate * SHADES // 100)) if np.isfinite(rate) else 0,
                correct=true == predicted,
            )
            for predicted, rate in enumerate(row)
        )
        for true, row in enumerate(rates)
    )
