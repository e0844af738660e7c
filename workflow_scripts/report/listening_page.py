"""Listening page: an offline folder with a table of clips, the activations of filters, and players.

Browsers read neither JSON nor modules from `file://`, so data and DataTables are plain scripts. DataTables, the library
of the thesis's interface, and its style are those that itables ships.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.core import escapes
from workflow_scripts.core.files import write_text
from workflow_scripts.report import datatables
from workflow_scripts.report.renderers.html import environment

DATA_FILES = ("templates/listening.html.j2", "templates/listening.css", "templates/listening.js")
ASSETS = tuple(Path(__file__).parent / name for name in DATA_FILES[1:])
PAGE, AUDIO = "index.html", "audio"


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadScores:
    """Probabilities (rows, classes) by the kept head of a data set."""

    label: str
    classes: tuple[str, ...]
    scores: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table: a clip, or one crop of it; `audio` is its file below the page, empty without."""

    clip: str
    group: str
    segment: int
    labels: tuple[int, ...]  # places of the clip's classes
    audio: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ListeningSet:
    """Rows of one data set, their activations (rows, filters), and the probabilities of tags."""

    name: str
    label: str
    classes: tuple[str, ...]
    rows: Sequence[Row]
    activations: np.ndarray
    heads: Sequence[HeadScores]

    @property
    def file(self) -> str:
        """Script with the data."""
        return f"data_{self.name}.js"  # no name of a data set is that of another file


def write_page(
    folder: Path, sets: Sequence[ListeningSet], *, study: str, title: str, encoder: str, notes: Iterable[str]
) -> list[Path]:
    """Write the page with its scripts, and return the paths; the files of audio are written before."""
    filters = sets[0].activations.shape[1]
    settings = json.dumps({"study": study, "filters": filters, "data": {}})
    page = environment().get_template(Path(DATA_FILES[0]).name)
    texts = {of_set.file: _script(of_set) for of_set in sets}
    texts |= {path.name: path.read_text(encoding="utf-8") for path in ASSETS} | datatables.files()
    texts[PAGE] = page.render(
        title=title,
        encoder=encoder,
        notes=list(notes),
        data=sets,
        filters=filters,
        settings=_in_script(settings),
    )
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def clear_audio(folder: Path) -> None:
    """Make an empty folder for the audio of a page, in place of that of an earlier one."""
    if (folder / AUDIO).exists():
        shutil.rmtree(folder / AUDIO)
    (folder / AUDIO).mkdir(parents=True)


def _script(of_set: ListeningSet) -> str:
    """Return the script that adds a data set; text of JSON in quotes is parsed faster than a literal."""
    content = {
        "label": of_set.label,
        "classes": [escapes.printable(name) for name in of_set.classes],
        "clips": [
            {
                "clip": escapes.printable(row.clip),
                "group": escapes.printable(row.group),
                "segment": row.segment,
                "labels": list(row.labels),
                "audio": row.audio,
            }
            for row in of_set.rows
        ],
        "heads": [
            {"label": head.label, "classes": [escapes.printable(name) for name in head.classes]}
            for head in of_set.heads
        ],
    }
    name = json.dumps(of_set.name)
    lines = [f"listening.data[{name}] = JSON.parse({json.dumps(json.dumps(content))});"]
    lines.append(f'listening.data[{name}].activations = JSON.parse("{_numbers(of_set.activations)}");')
    for place, head in enumerate(of_set.heads):
        lines.append(f'listening.data[{name}].heads[{place}].scores = JSON.parse("{_numbers(head.scores)}");')
    return "\n".join([*lines, ""])


def _numbers(matrix: np.ndarray) -> str:
    """Return a matrix as JSON with four significant digits."""
    row = "[" + ",".join(["%.4g"] * matrix.shape[1]) + "]"
    return "[" + ",".join(row % tuple(values) for values in matrix.tolist()) + "]"


def _in_script(text: str) -> str:
    """Return JSON that cannot end the script element around it."""
    return text.replace("<", "\\u003c")
