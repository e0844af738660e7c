import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.aggregated_study import build_table
from tests.synthetic_results import full
from workflow_scripts.core import escapes
from workflow_scripts.core.console import PlainConsole
from workflow_scripts.report import number_format, table_text
from workflow_scripts.report.notes import NoteSection
from workflow_scripts.report.renderers import html, latex, markdown, terminal
from workflow_scripts.report.study_table import Column, PrintedEntry, Row, Table

NASTY = r"50% of_it & more {#1} $x$ ~ ^ \end <b>|*`[bold]"


def small(label: str) -> Table:
    """Return a table of one method on one data set, both called `label`."""
    entry = PrintedEntry(mean=41.26, low=39.92, high=42.60, rank="best", reason="")
    return Table(
        study="study",
        title=label,
        question=label,
        measures=(number_format.measure("macro_f1"),),
        stub=("encoder",),
        columns=(
            Column(levels=(label,), label=label, metric="macro_f1", source="twin", test_clips="90", quarantined="2"),
        ),
        rows=(Row(labels=(label,), floor=False, entries=(entry,), trials="10", pretraining_seeds="1"),),
        comparisons=(),
        sections=(NoteSection(title="Numbers", notes=(label,)),),
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    results = full(tmp_path_factory.mktemp("results"))
    Path(results.manifest["cells"][0]["path"]).unlink()
    return build_table(results)


class Outline(HTMLParser):
    """Parser that collects the text of cells and fails on tags that do not match."""

    VOID = ("meta", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scopes: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


def print_table(shown: Table) -> str:
    console = PlainConsole(file=StringIO(), width=160)
    terminal.show(shown, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_format_shows_the_same_numbers_and_reasons(table: Table) -> None:
    texts = [
        markdown.render(table),
        "".join([latex.render(table), *latex.render_parts(table).values()]).replace(r"$\pm$", "±"),
        outline(html.render(table)).text,
        print_table(table),
    ]
    for row in table.rows:
        for entry in row.entries:
            assert all(table_text.entry_text(entry, table.measures[0]) in text for text in texts)
    for text in texts:
        assert "not run" in text
        assert "Test clips" in text
        assert "Quarantined clips" in text
        assert "must not be compared" in text


def test_markdown_columns_are_aligned(table: Table) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", markdown.render(table), re.MULTILINE)
    assert len(blocks) == 2 + sum(bool(secondary.rows) for secondary in table.secondary) == 6
    for block in blocks:
        assert len({len(line) for line in block.splitlines()}) == 1


def test_the_best_is_marked_in_every_format(table: Table) -> None:
    best = table_text.entry_text(table.rows[2].entries[0], table.measures[0])
    assert f"**{best}** ★" in markdown.render(table)
    assert rf"\textbf{{{escapes.latex(best)}}}$\star$" in latex.render(table)
    (strong,) = set(re.findall(r"<strong>(.*?)</strong>", html.render(table))) & {html.unbroken(best)}
    assert outline(strong).text == best
    assert f"{best} ★" in print_table(table)


def test_tied_is_marked_in_every_format(table: Table) -> None:
    tied = replace(table.rows[1].entries[0], rank="tied")
    rows = (table.rows[0], replace(table.rows[1], entries=(tied, *table.rows[1].entries[1:])), *table.rows[2:])
    text = table_text.entry_text(tied, table.measures[0])
    shown = replace(table, rows=rows)
    assert f"{text} †" in markdown.render(shown)
    assert rf"{escapes.latex(text)}$\dagger$" in latex.render(shown)
    meanings = r"; $\star$ highest mean of the column; $\dagger$ not significantly different from the highest}"
    assert meanings in next(line for line in latex.render(shown).splitlines() if line.startswith(r"\caption"))
    interval = re.escape(str(html.unbroken(text)))
    assert re.search(rf"{interval}<abbr title=\"not significantly different[^>]*>†", html.render(shown))
    assert f"{text} †" in print_table(shown)


def test_latex_rows_have_as_many_cells_as_columns(table: Table) -> None:
    text = "".join([latex.render(table), *latex.render_parts(table).values()])
    blocks = re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(blocks) == text.count(r"\begin{tabular}") > 0
    for columns, body in blocks:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}
        assert all(rule in body for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


@settings(deadline=None, max_examples=25)
@given(text=st.text("ab%_&{}#$~^\\<>±★†[]|", max_size=20))
def test_latex_escapes_everything_it_must(text: str) -> None:
    escaped = escapes.latex(text)
    left = re.sub(r"\\text(backslash|asciitilde|asciicircum)\{\}|\{\[\}|\$\\?[a-z<>]+\$|\\[&%$#_{}]", "", escaped)
    assert not set(left) & set("\\&%$#_{}~^<>[±★†")


def test_the_terminal_shows_each_comparison_on_one_line_and_leaves_the_rest_to_the_report(table: Table) -> None:
    lines = print_table(table).splitlines()
    assert len(lines) <= 40, "one screen"
    for comparison in table.comparisons:
        cells = (
            comparison.verdict,
            comparison.difference,
            comparison.interval,
            comparison.comparison,
            comparison.setting,
        )
        assert any(all(cell in line for cell in cells) for line in lines)
    assert not any(secondary.title in lines for secondary in table.secondary)


def test_a_long_comparison_stays_on_one_line(table: Table) -> None:
    comparisons = tuple(replace(comparison, comparison="long " * 40) for comparison in table.comparisons)
    lines = print_table(replace(table, comparisons=comparisons)).splitlines()
    assert len(lines) == len(print_table(table).splitlines())
    for comparison in comparisons:
        cells = (comparison.verdict, comparison.difference, comparison.interval, comparison.setting)
        assert any(all(cell in line for cell in cells) for line in lines), "only the names of methods are shortened"


def test_names_cannot_break_a_format() -> None:
    shown = small(NASTY)
    assert NASTY in outline(html.render(shown)).text
    assert "<b>" not in html.render(shown)
    for block in re.findall(r"(?:^\|.*\n)+", markdown.render(shown), re.MULTILINE):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert "[bold]" in print_table(shown)
    assert r"\end <b>" not in latex.render(shown)


def test_html_is_well_formed_and_every_heading_has_a_scope(table: Table) -> None:
    assert set(outline(html.render(table)).scopes) == {"row", "col", "rowgroup"}


def test_html_loads_nothing_from_the_network(table: Table) -> None:
    assert not re.search(r"https?:|<script|<link|@import|url\(", html.render(table))
