"""Predictions of a cell on the page of its number: a csv file, and the mistakes that stand out.

A report must stay small enough to pass on: predictions of the smallest data sets are included up to `MAX_BYTES`.
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core import result_files
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.escapes import csv_cell
from workflow_scripts.planning.manifest import Manifest, PlannedCell
from workflow_scripts.report import number_format
from workflow_scripts.report.site.page import SiteFile
from workflow_scripts.statistics.predictions import Predictions, read_predictions
from workflow_scripts.synthesis.encode import encode_audio

# Bytes of stored predictions that a report reads: some seconds of checksums, and less than 10 MB of csv files.
MAX_BYTES = 64_000_000
N_LISTED = 5  # confusions, or mistakes of either kind, that a page lists
MAX_CLIPS = 100  # of each data set that a report plays: some 5 MB
AUDIO = "audio"
COLUMNS = ("clip", "true")  # of the csv file, before the mean score of each class
SCORE = "score: "  # begins the column of a class, so that no name of a class is a formula or one of `COLUMNS`
TOO_LARGE = (
    "The predictions of {dataset} are not in the report: with them it would read more than {limit} of predictions. "
    "They are in {path}."
)
CONFUSIONS = ("True class", "Predicted class", "Clips", "Surest clip", "Mean score")
MISTAKES = ("Clip", "Class", "Mistake", "Mean score")


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A mistake as printed: its cells, and the clip with its audio below the site, empty without."""

    cells: tuple[str, ...]
    clip: str
    audio: str = ""


@dataclass(frozen=True, kw_only=True)
class PredictionsPart:
    """Predictions on a page: the path of the csv file, the mistakes, or why there are none."""

    note: str = ""
    file: str = ""
    headings: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


class PredictionFiles:
    """The predictions that a report includes, and the audio of the clips that it plays."""

    def __init__(self, manifest: Manifest) -> None:
        """Select the data sets whose predictions are included: the smallest first, up to `MAX_BYTES`."""
        self.manifest = manifest
        sizes: Counter[str] = Counter()
        for cell in manifest.cells:
            path = _path(cell)
            sizes[cell.factors["dataset"]] += path.stat().st_size if path.is_file() else 0
        ascending = sorted(sizes, key=lambda dataset: (sizes[dataset], dataset))
        total = np.cumsum([sizes[dataset] for dataset in ascending])
        self._included = {
            dataset for dataset, bytes_until in zip(ascending, total, strict=True) if bytes_until <= MAX_BYTES
        }
        self._played: dict[str, set[str]] = {}

    def describe(self, cell: PlannedCell, file: str, *, dataset: str) -> Iterator[PredictionsPart | SiteFile]:
        """Yield the files of a cell's predictions, then what its page shows; `dataset` is its label."""
        path = _path(cell)
        if not path.is_file():
            yield PredictionsPart(note="No predictions are stored.")
            return
        if cell.factors["dataset"] not in self._included:
            limit = number_format.size(MAX_BYTES)
            yield PredictionsPart(note=TOO_LARGE.format(dataset=dataset, limit=limit, path=path))
            return
        try:
            predictions = read_predictions(path)
        except UserError as error:
            yield PredictionsPart(note=f"The predictions could not be read: {error}")
            return
        scores = predictions.scores.mean(axis=0, dtype=np.float64)
        yield SiteFile(path=file, content=_csv(predictions, scores).encode())
        find = _list_confusions if predictions.task == "multiclass" else _list_mistakes
        mistakes = []
        for mistake in find(predictions, scores):
            sound = self._audio(cell.factors["dataset"], mistake.clip)
            if isinstance(sound, SiteFile):
                yield sound
            mistakes.append(replace(mistake, audio=sound if isinstance(sound, str) else sound.path))
        headings = CONFUSIONS if predictions.task == "multiclass" else MISTAKES
        yield PredictionsPart(file=file, headings=headings, mistakes=tuple(mistakes))

    def _audio(self, dataset: str, clip: str) -> SiteFile | str:
        """Return the audio of a clip, or its path if it was returned before; empty if it may not be played."""
        facts = self.manifest.datasets.get(dataset)
        corpus = self._corpus(dataset) if facts and facts.audio else None
        row = self._rows(dataset).get(clip) if corpus else None
        if corpus is None or row is None:
            return ""
        path, played = f"{AUDIO}/{dataset}/{row}.ogg", self._played.setdefault(dataset, set())
        if path in played:
            return path
        if len(played) == MAX_CLIPS:
            return ""
        played.add(path)
        content = encode_audio(corpus.cut(row), sample_rate=corpus.facts.sample_rate, suffix=".ogg")
        return SiteFile(path=path, content=content)

    @functools.cache  # noqa: B019 - one for each report
    def _corpus(self, dataset: str) -> Corpus | None:
        """Return the prepared corpus of a data set; None if it is not on this machine any more."""
        folders = [folder for folder in self.manifest.corpora if folder.parent.name == dataset]
        try:
            return next((Corpus(folder) for folder in folders if (folder / result_files.CLIPS).is_file()), None)
        except (UserError, OSError):
            return None

    @functools.cache  # noqa: B019 - one for each report
    def _rows(self, dataset: str) -> dict[str, int]:
        corpus = self._corpus(dataset)
        return {str(clip): row for row, clip in enumerate(corpus.clips["clip"])} if corpus else {}


def _path(cell: PlannedCell) -> Path:
    return cell.path.with_name(result_files.PREDICTIONS)


def _csv(predictions: Predictions, scores: np.ndarray) -> str:
    """Return a row for each clip: its name, its true classes, and the mean score of each class over the trials."""
    text = io.StringIO()
    # all text in quotes: spreadsheets that separate by other characters than commas would begin a cell within it
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([*COLUMNS, *(f"{SCORE}{name}" for name in predictions.classes)])
    for clip, labels, row in zip(predictions.clips, predictions.labels, scores.tolist(), strict=True):
        true = "; ".join(predictions.classes[place] for place in np.flatnonzero(labels == 1))
        writer.writerow([csv_cell(clip), csv_cell(true), *(float(f"{score:.4g}") for score in row)])
    return text.getvalue()


def _list_confusions(predictions: Predictions, scores: np.ndarray) -> Iterator[Mistake]:
    """Yield the most frequent pairs of true and predicted class, with the clip of the highest score."""
    true, predicted = predictions.labels.argmax(axis=1), scores.argmax(axis=1)
    wrong = np.flatnonzero(true != predicted)
    pairs = Counter(zip(true[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    for (own, other), number in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:N_LISTED]:
        clips = wrong[(true[wrong] == own) & (predicted[wrong] == other)]
        surest = clips[scores[clips, other].argmax()]
        clip, names = predictions.clips[surest], predictions.classes
        yield Mistake(cells=(names[own], names[other], f"{number:,}", clip, f"{scores[surest, other]:.2f}"), clip=clip)


def _list_mistakes(predictions: Predictions, scores: np.ndarray) -> Iterator[Mistake]:
    """Yield the classes with the highest scores that clips lack, then those with the lowest that they have."""
    for value, sign, words in ((0, -1, "the clip is not of this class"), (1, 1, "the clip is of this class")):
        places = np.argwhere(predictions.labels == value)
        order = np.argsort(sign * scores[tuple(places.T)], kind="stable")[:N_LISTED]
        for clip, tag in places[order].tolist():
            name = predictions.clips[clip]
            yield Mistake(cells=(name, predictions.classes[tag], words, f"{scores[clip, tag]:.2f}"), clip=name)


def columns() -> Sequence[str]:
    """Return the columns of the csv files, as their documentation lists them."""
    return (*COLUMNS, f"{SCORE}<class>")
