"""Files of a study's table: what `tabulate` writes, and what the report offers for download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from workflow_scripts.core import escapes
from workflow_scripts.core.csv_files import csv_text
from workflow_scripts.planning.manifest import Study
from workflow_scripts.report import failures, study_table
from workflow_scripts.report.failures import Failure
from workflow_scripts.report.renderers import html, latex, markdown
from workflow_scripts.report.study_table import Table

LATEX = "latex"  # folder of the comparisons, secondary tables and notes of each study
#: text of the files of a study's table by the ending of their names
TEXTS: Mapping[str, Callable[[Study, Mapping[str, pd.DataFrame], Table], str]] = {
    ".csv": lambda study, numbers, table: csv_text(study_table.tidy(study, numbers["entries"])),  # noqa: ARG005
    "_comparisons.csv": lambda study, numbers, table: csv_text(
        study_table.tidy_comparisons(study, numbers["comparisons"], table)
    ),
    ".md": lambda study, numbers, table: markdown.render(table),  # noqa: ARG005
    ".tex": lambda study, numbers, table: latex.render(table),  # noqa: ARG005
    ".html": lambda study, numbers, table: html.render(table),  # noqa: ARG005
}


def write_texts(study: Study, numbers: Mapping[str, pd.DataFrame], table: Table | Failure) -> dict[str, str]:
    """Return the text of each file of a study's table, by name; a reason is in place of one that fails."""
    texts = {}
    for ending, text_of in TEXTS.items():
        name = f"{study.name}{ending}"
        text = (
            table
            if isinstance(table, Failure)
            else failures.attempt(partial(text_of, study, numbers, table), name=f"the table {name}")
        )
        texts[name] = _text_of_failure(study, text, ending=ending) if isinstance(text, Failure) else text
    if not isinstance(table, Failure):
        parts = failures.attempt(partial(latex.render_parts, table), name=f"the LaTeX of {study.name}")
        texts |= {} if isinstance(parts, Failure) else {f"{LATEX}/{study.name}/{key}": parts[key] for key in parts}
    return texts


def _text_of_failure(study: Study, failure: Failure, *, ending: str) -> str:
    """Return the file in place of one that failed."""
    sentence = f"The table could not be produced: {failure.reason}"
    if ending == ".md":
        return f"# {escapes.markdown(study.title)}\n\n{escapes.markdown_line(sentence)}\n"
    if ending == ".tex":
        return escapes.latex_document(f"{escapes.latex(sentence)}\n")
    if ending == ".html":
        return f"<!doctype html>\n<title>{escapes.attribute(study.title)}</title>\n<p>{escapes.html(sentence)}</p>\n"
    return csv_text(failures.numbers(study.name, failure))
