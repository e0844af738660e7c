"""HTML of a study's table, and the templates of every page of the report."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from workflow_scripts.core import escapes
from workflow_scripts.report import labels, table_text
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.study_table import Table

TEMPLATES = Path(__file__).parents[1] / "templates"
INTERVAL = re.compile(r"\[[^\[\]]*\]|± \S+|\(no interval\)|SD \S+")  # texts that a line should hold whole


def render(table: Table) -> str:
    """Render the table, its comparisons and notes as one self-contained page."""
    return environment().get_template("table.html.j2").render(table=table) + "\n"


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates of the report; all values in them are escaped."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["attribute"] = escapes.attribute
    templates.filters["unbroken"] = unbroken
    templates.filters["csv_cell"] = escapes.csv_cell
    templates.globals.update(
        entry_text=table_text.entry_text,
        std_errors_text=table_text.std_errors_text,
        heading_rows=table_text.heading_rows,
        footers=table_text.footers,
        comparison_cells=table_text.comparison_cells,
        comparison_headings=table_text.comparison_headings,
        count_headings=table_text.COUNT_HEADINGS,
        first_number=table_text.FIRST_NUMBER,
        confidence=CONFIDENCE,
        marks=table_text.MARKS,
        rank_words=table_text.RANK_WORDS,
        capital=labels.capital,
        level_name=labels.name,
    )
    return templates


def _finalize(value: object) -> object:
    """Escape a text of a template, unless it is HTML already."""
    return escapes.html(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def unbroken(text: str) -> Markup:
    """Return text as HTML in which no line breaks within the brackets of an interval."""
    return Markup(INTERVAL.sub(r'<span class="unbroken">\g<0></span>', str(escapes.html(text))))
