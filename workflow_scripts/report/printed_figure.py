"""A study's figure for the report: inline SVG with a description in words, and its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

from workflow_scripts.core.escapes import attribute
from workflow_scripts.levels.factors import FACTORS, PRETRAINING
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import labels, number_format, plotting
from workflow_scripts.report.figure_inputs import SAMPLE_COLUMNS
from workflow_scripts.report.number_format import CONFIDENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)  # XML declaration and document type, not allowed within HTML
IDENTIFIER = re.compile(r'(\bid="|href="#|url\(#)')
MAX_COLUMNS = 10  # of the same: as many as fit 1,000 pixels
#: columns on the evidence behind a number, which the tables of the study have too
ASIDE = (*SAMPLE_COLUMNS, "variance_sources", "replicate", "half_width", "unit", "n", "clusters", "role")
#: columns that their name does not explain
HEADINGS = {"ci_low": f"{CONFIDENCE} from", "ci_high": f"{CONFIDENCE} to", "iqm": "Interquartile mean"}
METHOD_OF_PRETRAINING = tuple(factor for factor in PRETRAINING if factor != "pretrain_seed")
MAX_ROWS = 300  # of a figure's numbers that are printed: a page of megabytes opens slowly; the csv file has all
WIDTH = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)pt"')
PIXELS_PER_POINT = 4 / 3  # of CSS
SHRINKING = 0.65  # of its size, below which a figure scrolls: its letters of 8 points would be smaller than 5
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class PrintedFigure:
    """A study's figure: inline SVG, how to read it, a description in words, and its numbers as text.

    `shared` lists the columns with the same value in every row, which the table of numbers leaves out; `omitted` says
    what else is in the csv file alone. The first `texts` columns have no numbers.
    """

    svg: Markup
    reading: str
    description: Markup
    texts: int
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shared: str
    omitted: str


def format_figure(
    study: Study, numbers: pd.DataFrame, *, svg: Path, reading: str, description: Markup
) -> PrintedFigure:
    """Return a study's figure from the file that `draw` wrote, with its numbers."""
    fixed = [name for name in numbers.columns if name not in ("study", "panel") and numbers[name].nunique(False) == 1]
    shared = [(str(name), _name(str(name), numbers[name].iloc[0])) for name in fixed if len(numbers)]
    lists = [name for name in numbers.columns if name in plotting.NUMBER_LISTS]
    varying = numbers.drop(columns=["study", *{*fixed, *lists}])
    spare = _spare_columns(list(map(str, varying.columns)))
    varying = varying.drop(columns=spare)
    omitted = [_heading(name).lower() for name in (*lists, *spare)]
    if len(varying) > MAX_ROWS:
        omitted, varying = [*omitted, f"rows after the first {MAX_ROWS:,} of {len(varying):,}"], varying.head(MAX_ROWS)
    texts = [name for name in varying.columns if not pd.api.types.is_numeric_dtype(varying[name])]
    varying = varying[[*texts, *(name for name in varying.columns if name not in texts)]]
    return PrintedFigure(
        svg=_inline(svg.read_text(encoding="utf-8"), study, prefix=study.name, description=description),
        reading=reading,
        description=description,
        texts=len(texts),
        headings=tuple(_heading(str(name)) for name in varying.columns),
        rows=tuple(tuple(_text(value) for value in row) for row in varying.itertuples(index=False)),
        shared="; ".join(f"{_heading(name).lower()}: {text}" for name, text in shared if text),
        omitted=", ".join(omitted),
    )


def _spare_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns that a page has no room for: first those that other columns or tables state too."""
    levels = FACTORS if "method" in columns else [*METHOD_OF_PRETRAINING, "dataset", "head", "protocol"]
    others = ["study", "panel", "method", *levels, *ASIDE]
    dispensable = [name for name in (*ASIDE, *levels) if name in columns]
    surplus = [*dispensable, *(name for name in reversed(columns) if name not in others)]
    return surplus[: max(0, len(columns) - MAX_COLUMNS)]


def _heading(column: str) -> str:
    return HEADINGS.get(column) or labels.capital(labels.name(column))


def _text(value: object) -> str:
    """Format a value; numbers have six digits, and all of them in the csv file."""
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", number_format.MINUS)
    return str(value)


def _name(column: str, value: object) -> str:
    """Format a value; levels and metrics have their labels."""
    text = _text(value)
    if column == "metric":
        return number_format.measure(text).name
    return labels.name(text) if column in FACTORS and text else text


def draw_inline(
    study: Study,
    numbers: pd.DataFrame,
    *,
    name: str,
    draw: Callable[[Study, pd.DataFrame], Figure],
    describe: Callable[[Study, pd.DataFrame], str],
    reading: str,
    headings: Sequence[str] = (),
    rows: Sequence[tuple[str, ...]] = (),
    texts: int = 1,
    omitted: str = "",
) -> PrintedFigure:
    """Return a figure that is drawn for the page alone, with a table of `rows` where another has not the numbers."""
    description = plotting.describe_figure(describe, study, numbers)
    prefix = f"{study.name}-{name}"
    svg = plotting.svg_text(plotting.draw_figure(draw, study, numbers), salt=prefix)
    return PrintedFigure(
        svg=_inline(svg, study, prefix=prefix, description=description),
        reading=reading,
        description=description,
        texts=texts,
        headings=tuple(headings),
        rows=tuple(rows),
        shared="",
        omitted=omitted,
    )


def _inline(text: str, study: Study, *, prefix: str, description: Markup) -> Markup:
    """Return the SVG element of a figure, with a description and with ids unique on the page."""
    text = METADATA.sub("", PROLOG.sub("", text, count=1))
    text = IDENTIFIER.sub(rf"\g<1>{prefix}-", text)
    label = attribute(f"Figure: {study.title}. ") + description
    size = WIDTH.search(text)
    least = f' style="min-width: {SHRINKING * float(size[1]) * PIXELS_PER_POINT:.0f}px"' if size else ""
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}"{least} ', 1))
