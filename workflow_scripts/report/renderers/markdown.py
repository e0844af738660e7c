"""Markdown of a study's table."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scripts.core.escapes import markdown, markdown_cell, markdown_line
from workflow_scripts.report.study_table import Table
from workflow_scripts.report.table_text import (
    BEST,
    FIRST_NUMBER,
    TIED,
    build_grid,
    comparison_cells,
    comparison_headings,
)


def render(table: Table) -> str:
    """Render the table, its comparisons and notes as GitHub-flavoured Markdown with aligned columns."""

    def mark(text: str, rank: str) -> str:
        return {"best": f"**{text}** {BEST}", "tied": f"{text} {TIED}"}.get(rank, text)

    grid = build_grid(table, mark, escape=markdown_cell)
    floors = [[f"{line[0]} (floor)", *line[1:]] for line in grid.floors]
    lines = [*grid.methods, *floors, *grid.footers]
    parts = [f"# {markdown(table.caption)}", align(grid.header, lines, texts=len(table.stub))]
    if table.comparisons:
        cells = _escape_cells(comparison_headings(table), [*map(comparison_cells, table.comparisons)])
        parts += ["## Comparisons", align(*cells, texts=FIRST_NUMBER, last_text=True)]
        parts.append(markdown_line(table.verdict_counts))
        parts.append("\n".join(f"- {markdown_line(comparison.sentence)}" for comparison in table.comparisons))
    for secondary in table.secondary:
        parts.append(f"## {markdown(secondary.title)}")
        if secondary.rows:
            cells = _escape_cells(secondary.headings, secondary.rows)
            parts.append(align(*cells, texts=secondary.texts, last_text=secondary.last_text))
        if secondary.sentences:
            parts.append("\n".join(f"- {markdown_line(sentence)}" for sentence in secondary.sentences))
    parts += ["## Notes", "\n".join(f"- {markdown_line(note)}" for note in table.notes)]
    return "\n\n".join(parts) + "\n"


def _escape_cells(header: Sequence[str], lines: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Return header and lines of a table with escaped cells."""
    return [*map(markdown_cell, header)], [[*map(markdown_cell, line)] for line in lines]


def align(header: Sequence[str], lines: Sequence[Sequence[str]], *, texts: int, last_text: bool = False) -> str:
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
