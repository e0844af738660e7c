"""LaTeX of a study's table."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from workflow_scripts.core.escapes import latex as tex
from workflow_scripts.core.escapes import latex_document
from workflow_scripts.report import labels
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.secondary_tables import SecondaryTable
from workflow_scripts.report.study_table import Table
from workflow_scripts.report.table_text import (
    BEST,
    COMPARISON_HEADINGS,
    COUNT_HEADINGS,
    FIRST_NUMBER,
    MARKS,
    RANK_WORDS,
    TIED,
    build_grid,
    comparison_cells,
    comparison_headings,
    heading_rows,
)

NUMBERS = ("Difference", f"{CONFIDENCE} interval", "p (Holm)", "p (Holm), other clips")  # more fit on no page
COLUMNS = 6  # of numbers in one table: more would shrink to letters of 5 points on the page of `article`
#: begins a table that shrinks to the width of the page if it is wider
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def render(table: Table) -> str:
    r"""Render the table alone as LaTeX: a `table` environment, or several where one would be too wide."""
    return _file(*(_results(part, place) for place, part in enumerate(table.split(COLUMNS))))


def render_parts(table: Table) -> dict[str, str]:
    """Return the LaTeX of what belongs to a table, by file name: comparisons, secondary tables and notes."""
    texts = {"notes": _notes([tex(note) for note in table.notes])}
    if table.comparisons:
        texts["comparisons"] = _comparisons(table)
    texts |= {_slug(secondary.title): _secondary(table, secondary) for secondary in table.secondary}
    return {f"{name}.tex": _file(text) for name, text in texts.items() if text}


def _slug(title: str) -> str:
    """Return a title as the name of a file or a label."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _file(*texts: str) -> str:
    return latex_document("\n\n".join(["% needs \\usepackage{booktabs,graphicx}", *texts]) + "\n")


def _results(table: Table, place: int) -> str:
    """Return the table, the first or a later part of a study's, with grouped headings."""

    def mark(text: str, rank: str) -> str:
        return {"best": rf"\textbf{{{text}}}{tex(BEST)}", "tied": f"{text}{tex(TIED)}"}.get(rank, text)

    grid = build_grid(table, mark, escape=tex)
    blocks = [grid.methods, grid.floors, grid.footers]
    stub, counts = len(table.stub), len(COUNT_HEADINGS)
    return _table(
        columns="l" * stub + "r" * (len(table.columns) + counts),
        header=_headings(table),
        blocks=blocks,
        caption=tex(table.caption) + _explain_marks([*itertools.chain.from_iterable(blocks)]),
        label=f"tab:{table.study}" + (f"-{place + 1}" if place else ""),
    )


def _explain_marks(rows: Sequence[Sequence[str]]) -> str:
    """Return the meaning of the marks in a table's LaTeX, as the end of its caption."""
    words = {MARKS[rank]: meaning for rank, meaning in RANK_WORDS.items()}
    words |= {ON_TRAINING_DATA: "on data that others trained the encoder on"}
    text = "\n".join(itertools.chain.from_iterable(rows))
    present = [f"{tex(mark)} {meaning}" for mark, meaning in words.items() if tex(mark) in text]
    return "".join(f"; {part}" for part in present)


def _headings(table: Table) -> str:
    """Return the rows of headings, with a rule below each group."""
    *groups, last = heading_rows(table) or [[]]
    stub, lines = len(table.stub), []
    for row in groups:
        cells, rules, column = [""] * stub, "", stub + 1
        for heading in row:
            cells.append(rf"\multicolumn{{{heading.span}}}{{c}}{{{tex(heading.text)}}}")
            rules += rf"\cmidrule(lr){{{column}-{column + heading.span - 1}}}"
            column += heading.span
        lines += [_row([*cells, *[""] * len(COUNT_HEADINGS)]), rules]
    names = [tex(labels.capital(name)) for name in table.stub]
    return "\n".join([*lines, _row([*names, *(tex(heading.text) for heading in last), *map(tex, COUNT_HEADINGS)])])


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _comparisons(table: Table) -> str:
    places = [*range(FIRST_NUMBER), *map(COMPARISON_HEADINGS.index, NUMBERS)]
    header, *lines = [
        [tex(cells[place]) for place in places]
        for cells in (comparison_headings(table), *map(comparison_cells, table.comparisons))
    ]
    of_table = _table(
        columns="l" * FIRST_NUMBER + "r" * len(NUMBERS),
        header=_row(header),
        blocks=[lines],
        caption=tex(f"{table.title}: comparisons"),
        label=f"tab:{table.study}-comparisons",
    )
    counts = tex(f"{table.verdict_counts} {table.study}_comparisons.csv has further columns.")
    return f"{of_table}\n\n{_notes([counts])}"


def _secondary(table: Table, secondary: SecondaryTable) -> str:
    notes = _notes([tex(sentence) for sentence in secondary.sentences])
    if not secondary.rows:
        return notes
    numbers = len(secondary.headings) - secondary.texts - secondary.last_text
    of_table = _table(
        columns="l" * secondary.texts + "r" * numbers + "l" * secondary.last_text,
        header=_row([tex(heading) for heading in secondary.headings]),
        blocks=[[[tex(cell) for cell in row] for row in secondary.rows]],
        caption=tex(f"{table.title}: {secondary.title[:1].lower()}{secondary.title[1:]}"),
        label=f"tab:{table.study}-{_slug(secondary.title)}",
    )
    return "\n\n".join(filter(None, [of_table, notes]))


def _notes(notes: Sequence[str]) -> str:
    """Return notes as a list in small print."""
    items = "\n".join(rf"\item {note}" for note in notes)
    return f"{{\\footnotesize\\raggedright\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}}}" if notes else ""


def _table(*, columns: str, header: str, blocks: list[list[list[str]]], caption: str, label: str) -> str:
    present = [block for block in blocks if block]
    body = "\n\\midrule\n".join("\n".join(map(_row, block)) for block in present)
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{{label}}}",
            FIT,
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            header,
            "\\midrule",
            body,
            "\\bottomrule",
            "\\end{tabular}}",
            "\\end{table}",
        ]
    )
