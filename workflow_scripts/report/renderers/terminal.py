"""A study's table in the terminal."""

from __future__ import annotations

from rich import box
from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table as TerminalTable

from workflow_scripts.core.console import PlainConsole
from workflow_scripts.report.study_table import Table
from workflow_scripts.report.table_text import BEST, MARKS, build_grid

METHODS_PLACE = 3  # of the columns that the terminal prints of a comparison
GAP = 2  # characters between them


def show(table: Table, console: PlainConsole) -> None:
    """Print the table, one line per comparison, and the warnings; ranks and all notes are in the report."""

    def mark(text: str, rank: str) -> str:
        return f"[bold]{text} {BEST}[/bold]" if rank == "best" else f"{text} {MARKS[rank]}".rstrip()

    grid = build_grid(table, mark, escape=escape)
    shown = TerminalTable(title=escape(table.caption), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, heading in enumerate(grid.header):
        shown.add_column(heading, justify="left" if place < len(table.stub) else "right")
    blocks = [block for block in (grid.methods, grid.floors, grid.footers) if block]
    for block, style in zip(blocks, ("", "", "dim")[-len(blocks) :], strict=True):
        for place, line in enumerate(block):
            shown.add_row(*line, style=style, end_section=place == len(block) - 1)
    console.print(shown)
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
