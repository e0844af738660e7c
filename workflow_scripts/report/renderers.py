"""Renderers of a study's table: Markdown, LaTeX, HTML and the terminal, all with the same text in their cells."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup
from rich import box
from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table as TerminalTable

from workflow_scripts.core import escapes
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.core.escapes import latex as tex
from workflow_scripts.core.escapes import markdown as md
from workflow_scripts.core.escapes import markdown_line as md_line
from workflow_scripts.report import labels, number_format
from workflow_scripts.report.comparison_text import PrintedComparison
from workflow_scripts.report.notes import ON_TRAINING_DATA
from workflow_scripts.report.number_format import CONFIDENCE
from workflow_scripts.report.secondary_tables import SecondaryTable
from workflow_scripts.report.study_table import Column, PrintedEntry, Row, Table
from workflow_scripts.statistics.failure_reasons import in_short

TEMPLATES = Path(__file__).parent / "templates"
BEST, TIED = "★", "†"
MARKS = {"best": BEST, "tied": TIED, "": ""}
RANK_WORDS = {"best": "highest mean of the column", "tied": "not significantly different from the highest"}
COUNT_HEADINGS = ("Trials", "Pre-training seeds")
COMPARISON_HEADINGS = (
    "Comparison",
    "Data set",
    "Verdict",
    "Difference",
    f"{CONFIDENCE} interval",
    "d_z",
    "p (t)",
    "p (sign flip)",
    "p (Holm)",
    "p (Holm), other clips",
    "Evidence",
)
INTERVAL = re.compile(r"\[[^\[\]]*\]|± \S+|\(no interval\)|SD \S+")  # texts that a line should hold whole
METHODS_PLACE = 3  # of the columns that the terminal prints of a comparison
GAP = 2  # characters between them
TEX_NUMBERS = ("Difference", f"{CONFIDENCE} interval", "p (Holm)", "p (Holm), other clips")  # more fit on no page
TEX_COLUMNS = 6  # of numbers in one table: more would shrink to letters of 5 points on the page of `article`
#: begins a table that shrinks to the width of the page if it is wider
TEX_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
FIRST_NUMBER = 3  # the first three columns of the comparisons, and the last, are text


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Heading over one or several columns of numbers."""

    text: str
    span: int


@dataclass(frozen=True, kw_only=True)
class Footer:
    """Line under the table with one fact about each column."""

    label: str
    values: tuple[str, ...]


def entry_text(entry: PrintedEntry, measure: number_format.Measure) -> str:
    """Return the mean with its interval, or the short reason if there is no mean; without marks of rank."""
    if entry.mean is None:
        return in_short(entry.reason)
    text = number_format.mean_with_interval(entry.mean, entry.low, entry.high, measure.decimals)
    if not math.isnan(entry.deviation):  # smaller than what it is beside
        text = f"{text}, {number_format.deviation(entry.deviation, measure.decimals + 1)}"
    return f"{text} {ON_TRAINING_DATA}" if entry.on_training_data else text


def unbroken(text: str) -> Markup:
    """Return text as HTML in which no line breaks within the brackets of an interval."""
    return Markup(INTERVAL.sub(r'<span class="unbroken">\g<0></span>', str(escapes.html(text))))


def std_errors_text(entry: PrintedEntry, measure: number_format.Measure) -> str:
    """Return the standard errors by source of variance; empty if there is only one."""
    if len(entry.std_errors) < 2:
        return ""
    texts = [
        f"{labels.variance_source(name)} {number_format.half_width(error, measure.decimals)}"
        for name, error in entry.std_errors
    ]
    return ", ".join(texts)


def column_headings(table: Table) -> list[str]:
    """Return column labels with the data source."""
    return [column.heading for column in table.columns]


def heading_rows(table: Table) -> list[list[Heading]]:
    """Return the headings of the columns, a row for each factor and for the metric; equal neighbours share one.

    A table whose columns differ in one thing has one row.
    """
    names = [_heading_names(column, several=len(table.measures) > 1) for column in table.columns]
    rows = []
    for depth in range(len(names[0]) if names else 0):
        grouped = itertools.groupby(names, key=lambda texts, depth=depth: texts[: depth + 1])  # type: ignore[misc]
        rows.append([Heading(text=texts[-1], span=len(list(group))) for texts, group in grouped])
    return rows


def _heading_names(column: Column, *, several: bool) -> list[str]:
    """Return the label of each level, and of the metric if the table has several; the first says if data are twins."""
    names = [labels.name(level) for level in column.levels] + [column.measure.name] * (several or not column.levels)
    return [names[0] + labels.mark_of_twins(column.source), *names[1:]]


def footers(table: Table) -> list[Footer]:
    """Return the size and source of the test set of each column."""
    return [
        Footer(label="Test clips", values=tuple(column.test_clips for column in table.columns)),
        Footer(label="Quarantined clips", values=tuple(column.quarantined for column in table.columns)),
        Footer(label="Data source", values=tuple(column.source for column in table.columns)),
    ]


def comparison_cells(comparison: PrintedComparison) -> tuple[str, ...]:
    """Return the cells of a comparison in the order of `COMPARISON_HEADINGS`."""
    return (
        comparison.comparison,
        comparison.setting,
        comparison.verdict,
        comparison.difference,
        comparison.interval,
        comparison.effect,
        comparison.p,
        comparison.p_sign_flip,
        comparison.p_holm,
        comparison.p_holm_other_clips,
        comparison.evidence,
    )


def comparison_headings(table: Table) -> list[str]:
    """Return `COMPARISON_HEADINGS` with the unit of the difference."""
    unit = table.difference_unit
    return [f"{heading} ({unit})" if heading == "Difference" and unit else heading for heading in COMPARISON_HEADINGS]


def _grid(
    table: Table, mark: Callable[[str, str], str], *, escape: Callable[[str], str]
) -> tuple[list[str], list[list[str]], list[list[str]], list[list[str]]]:
    """Return header, methods, floors and footers as escaped text; `mark` marks a number's text by its rank."""
    header = [labels.capital(name) for name in table.stub] + column_headings(table) + list(COUNT_HEADINGS)

    def line(row: Row) -> list[str]:
        entries = [
            mark(escape(entry_text(entry, column.measure)), entry.rank)
            for entry, column in zip(row.entries, table.columns, strict=True)
        ]
        return [*map(escape, row.labels), *entries, escape(row.trials), escape(row.pretraining_seeds)]

    blank = [""] * (len(table.stub) - 1)
    under = [[*map(escape, (footer.label, *blank, *footer.values)), "", ""] for footer in footers(table)]
    methods = [line(row) for row in table.rows if not row.floor]
    floors = [line(row) for row in table.rows if row.floor]
    return [*map(escape, header)], methods, floors, under


def markdown(table: Table) -> str:
    """Render the table, its comparisons and notes as GitHub-flavoured Markdown with aligned columns."""

    def mark(text: str, rank: str) -> str:
        return {"best": f"**{text}** {BEST}", "tied": f"{text} {TIED}"}.get(rank, text)

    header, methods, floors, under = _grid(table, mark, escape=escapes.markdown_cell)
    floors = [[f"{line[0]} (floor)", *line[1:]] for line in floors]
    parts = [f"# {md(table.caption)}", markdown_table(header, methods + floors + under, texts=len(table.stub))]
    if table.comparisons:
        lines = [comparison_cells(comparison) for comparison in table.comparisons]
        parts += [
            "## Comparisons",
            markdown_table(*_markdown_cells(comparison_headings(table), lines), texts=FIRST_NUMBER, last_text=True),
        ]
        parts.append(md_line(table.verdict_counts))
        parts.append("\n".join(f"- {md_line(comparison.sentence)}" for comparison in table.comparisons))
    for secondary in table.secondary:
        parts.append(f"## {md(secondary.title)}")
        if secondary.rows:
            cells = _markdown_cells(secondary.headings, secondary.rows)
            parts.append(markdown_table(*cells, texts=secondary.texts, last_text=secondary.last_text))
        if secondary.sentences:
            parts.append("\n".join(f"- {md_line(sentence)}" for sentence in secondary.sentences))
    parts += ["## Notes", "\n".join(f"- {md_line(note)}" for note in table.notes)]
    return "\n\n".join(parts) + "\n"


def _markdown_cells(header: Sequence[str], lines: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Return header and lines of a table with escaped cells."""
    return [*map(escapes.markdown_cell, header)], [[*map(escapes.markdown_cell, line)] for line in lines]


def markdown_table(
    header: Sequence[str], lines: Sequence[Sequence[str]], *, texts: int, last_text: bool = False
) -> str:
    """Render an aligned pipe table of escaped cells: the first `texts` columns, and with `last_text` the last, left."""
    cells = [header, *lines]
    widths = [max(3, *(len(line[place]) for line in cells)) for place in range(len(header))]
    left = [place < texts or (last_text and place == len(header) - 1) for place in range(len(header))]

    def join_cells(line: Sequence[str]) -> str:
        texts_of_cells = [
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ]
        return f"| {' | '.join(texts_of_cells)} |"

    rule = ["-" * width if to_left else "-" * (width - 1) + ":" for width, to_left in zip(widths, left, strict=True)]
    return "\n".join([join_cells(cells[0]), f"| {' | '.join(rule)} |", *(join_cells(line) for line in cells[1:])])


def latex(table: Table) -> str:
    r"""Render the table alone as LaTeX: a `table` environment, or several where one would be too wide."""
    return _tex_file(*(_tex_results(part, place) for place, part in enumerate(table.split(TEX_COLUMNS))))


def latex_files(table: Table) -> dict[str, str]:
    """Return the LaTeX of what belongs to a table, by file name: comparisons, secondary tables and notes."""
    texts = {"notes": _tex_notes([tex(note) for note in table.notes])}
    if table.comparisons:
        texts["comparisons"] = _tex_comparisons(table)
    texts |= {_slug(secondary.title): _tex_secondary(table, secondary) for secondary in table.secondary}
    return {f"{name}.tex": _tex_file(text) for name, text in texts.items() if text}


def _slug(title: str) -> str:
    """Return a title as the name of a file or a label."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _tex_file(*texts: str) -> str:
    return escapes.latex_document("\n\n".join(["% needs \\usepackage{booktabs,graphicx}", *texts]) + "\n")


def _tex_results(table: Table, place: int) -> str:
    """Return the table, the first or a later part of a study's, with grouped headings."""

    def mark(text: str, rank: str) -> str:
        return {"best": rf"\textbf{{{text}}}{tex(BEST)}", "tied": f"{text}{tex(TIED)}"}.get(rank, text)

    _, methods, floors, under = _grid(table, mark, escape=tex)
    stub, counts = len(table.stub), len(COUNT_HEADINGS)
    return _tex_table(
        columns="l" * stub + "r" * (len(table.columns) + counts),
        header=_tex_headings(table),
        blocks=[methods, floors, under],
        caption=tex(table.caption) + _explain_marks([*methods, *floors, *under]),
        label=f"tab:{table.study}" + (f"-{place + 1}" if place else ""),
    )


def _explain_marks(rows: Sequence[Sequence[str]]) -> str:
    """Return the meaning of the marks in a table's LaTeX, as the end of its caption."""
    words = {MARKS[rank]: meaning for rank, meaning in RANK_WORDS.items()}
    words |= {ON_TRAINING_DATA: "on data that others trained the encoder on"}
    text = "\n".join(itertools.chain.from_iterable(rows))
    present = [f"{tex(mark)} {meaning}" for mark, meaning in words.items() if tex(mark) in text]
    return "".join(f"; {part}" for part in present)


def _tex_headings(table: Table) -> str:
    """Return the rows of headings, with a rule below each group."""
    *groups, last = heading_rows(table) or [[]]
    stub, lines = len(table.stub), []
    for row in groups:
        cells, rules, column = [""] * stub, "", stub + 1
        for heading in row:
            cells.append(rf"\multicolumn{{{heading.span}}}{{c}}{{{tex(heading.text)}}}")
            rules += rf"\cmidrule(lr){{{column}-{column + heading.span - 1}}}"
            column += heading.span
        lines += [_tex_row([*cells, *[""] * len(COUNT_HEADINGS)]), rules]
    names = [tex(labels.capital(name)) for name in table.stub]
    return "\n".join([*lines, _tex_row([*names, *(tex(heading.text) for heading in last), *map(tex, COUNT_HEADINGS)])])


def _tex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _tex_comparisons(table: Table) -> str:
    places = [*range(FIRST_NUMBER), *map(COMPARISON_HEADINGS.index, TEX_NUMBERS)]
    header, *lines = [
        [tex(cells[place]) for place in places]
        for cells in (comparison_headings(table), *map(comparison_cells, table.comparisons))
    ]
    of_table = _tex_table(
        columns="l" * FIRST_NUMBER + "r" * len(TEX_NUMBERS),
        header=_tex_row(header),
        blocks=[lines],
        caption=tex(f"{table.title}: comparisons"),
        label=f"tab:{table.study}-comparisons",
    )
    counts = tex(f"{table.verdict_counts} {table.study}_comparisons.csv has further columns.")
    return f"{of_table}\n\n{_tex_notes([counts])}"


def _tex_secondary(table: Table, secondary: SecondaryTable) -> str:
    notes = _tex_notes([tex(sentence) for sentence in secondary.sentences])
    if not secondary.rows:
        return notes
    numbers = len(secondary.headings) - secondary.texts - secondary.last_text
    of_table = _tex_table(
        columns="l" * secondary.texts + "r" * numbers + "l" * secondary.last_text,
        header=_tex_row([tex(heading) for heading in secondary.headings]),
        blocks=[[[tex(cell) for cell in row] for row in secondary.rows]],
        caption=tex(f"{table.title}: {secondary.title[:1].lower()}{secondary.title[1:]}"),
        label=f"tab:{table.study}-{_slug(secondary.title)}",
    )
    return "\n\n".join(filter(None, [of_table, notes]))


def _tex_notes(notes: Sequence[str]) -> str:
    """Return notes as a list in small print."""
    items = "\n".join(rf"\item {note}" for note in notes)
    return f"{{\\footnotesize\\raggedright\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}}}" if notes else ""


def _tex_table(*, columns: str, header: str, blocks: list[list[list[str]]], caption: str, label: str) -> str:
    present = [block for block in blocks if block]
    body = "\n\\midrule\n".join("\n".join(map(_tex_row, block)) for block in present)
    return "\n".join(
        [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{caption}}}",
            f"\\label{{{label}}}",
            TEX_FIT,
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


def _finalize(value: object) -> object:
    """Escape a text of a template, unless it is HTML already."""
    return escapes.html(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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
        entry_text=entry_text,
        std_errors_text=std_errors_text,
        heading_rows=heading_rows,
        footers=footers,
        comparison_cells=comparison_cells,
        comparison_headings=comparison_headings,
        count_headings=COUNT_HEADINGS,
        first_number=FIRST_NUMBER,
        confidence=CONFIDENCE,
        marks=MARKS,
        rank_words=RANK_WORDS,
        capital=labels.capital,
        level_name=labels.name,
    )
    return templates


def html(table: Table) -> str:
    """Render the table, its comparisons and notes as one self-contained page."""
    return environment().get_template("table.html.j2").render(table=table) + "\n"


def terminal(table: Table, console: PlainConsole) -> None:
    """Print the table, one line per comparison, and the warnings; ranks and all notes are in the report."""

    def mark(text: str, rank: str) -> str:
        return f"[bold]{text} {BEST}[/bold]" if rank == "best" else f"{text} {MARKS[rank]}".rstrip()

    header, methods, floors, under = _grid(table, mark, escape=escape)
    grid = TerminalTable(title=escape(table.caption), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, heading in enumerate(header):
        grid.add_column(heading, justify="left" if place < len(table.stub) else "right")
    blocks = [block for block in (methods, floors, under) if block]
    for block, style in zip(blocks, ("", "", "dim")[-len(blocks) :], strict=True):
        for place, line in enumerate(block):
            grid.add_row(*line, style=style, end_section=place == len(block) - 1)
    console.print(grid)
    if table.comparisons:
        console.print(table.verdict_counts, markup=False, highlight=False, style="bold")
        console.print(_comparison_lines(table, console.width))
    for warning in table.warnings:
        console.print(warning, markup=False, highlight=False, style="dim")


def _comparison_lines(table: Table, width: int) -> TerminalTable:
    """Return one line per comparison: verdict, difference, interval, what is compared and on which data set."""
    unit = f" {table.difference_unit}" if table.difference_unit else ""
    rows = [
        (
            comparison.verdict,
            f"{comparison.difference}{unit}" if comparison.difference else "",
            comparison.interval,
            comparison.comparison,
            comparison.setting,
        )
        for comparison in table.comparisons
    ]
    lines = TerminalTable(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    # in a narrow terminal the names of the methods give way, which the table above states; numbers do not
    widths[METHODS_PLACE] = max(0, min(widths[METHODS_PLACE], width - sum(widths) + widths[METHODS_PLACE] - 4 * GAP))
    for place, column_width in enumerate(widths):
        justify: JustifyMethod = "right" if place == 1 else "left"
        lines.add_column(no_wrap=True, overflow="ellipsis", width=column_width, justify=justify)
    for row in rows:
        lines.add_row(*map(escape, row))
    return lines
