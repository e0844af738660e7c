"""Markdown, LaTeX and HTML of the reproduction table."""

from __future__ import annotations

from markupsafe import Markup

from workflow_scripts.core.escapes import latex as tex
from workflow_scripts.core.escapes import latex_document
from workflow_scripts.core.escapes import markdown as md
from workflow_scripts.core.escapes import markdown_line as md_line
from workflow_scripts.report import labels
from workflow_scripts.report.renderers.html import environment
from workflow_scripts.report.renderers.markdown import align
from workflow_scripts.report.reproduction_table import FACTS, HEADINGS, TITLE, Line, Reproduction, System

#: share of the line width of each LaTeX column; the longest texts get most
TEX_WIDTHS = (0.3, 0.12, 0.2, 0.12, 0.1, 0.06)


def markdown(reproduction: Reproduction) -> str:
    """Return one chapter per system with a table per section and place, as GitHub-flavoured Markdown."""
    parts = [f"# {TITLE}", "\n".join(f"- {md_line(note)}" for note in reproduction.notes)]
    for system in reproduction.systems:
        parts += [f"## {md(system.name)}", md_line(labels.capital(system.summary)) + "."]
        for section in system.sections:
            parts.append(f"### {md(section.title)}")
            for place, lines in section.groups:
                parts += [f"#### {md(place)}", _markdown_lines(lines)]
        parts += [md_line(system.agreeing_settings)] if system.agreeing_settings else []
    return "\n\n".join(parts) + "\n"


def _markdown_lines(lines: tuple[Line, ...]) -> str:
    cells = [["<br>".join(filter(None, map(md, cell))) for cell in line.cells] for line in lines]
    return align(list(HEADINGS), cells, texts=len(HEADINGS))


def latex(reproduction: Reproduction) -> str:
    r"""Return one `longtable` per system; the document needs `\usepackage{booktabs,longtable,array}`."""
    parts = ["% needs \\usepackage{booktabs,longtable,array}; set it in \\footnotesize and landscape"]
    parts += [_latex_system(system) for system in reproduction.systems]
    notes = [
        *(system.agreeing_settings for system in reproduction.systems if system.agreeing_settings),
        *reproduction.notes,
    ]
    parts.append("\n".join(rf"\par\noindent{{\footnotesize {tex(note)}\par}}" for note in notes))
    return latex_document("\n\n".join(parts) + "\n")


def _latex_system(system: System) -> str:
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}\linewidth}}" for width in TEX_WIDTHS)
    rows = [rf"\begin{{longtable}}{{{columns}}}", rf"\caption{{{tex(f'{TITLE}. {system.name}')}}}\\"]
    rows += [r"\toprule", " & ".join(HEADINGS) + r" \\", r"\midrule", r"\endhead"]
    for number, section in enumerate(system.sections):
        rows += [r"\midrule"] if number else []
        rows.append(_latex_heading(rf"\textbf{{{tex(section.title)}}}"))
        for place, group in section.groups:
            rows.append(_latex_heading(rf"\emph{{{tex(place)}}}"))
            rows += [" & ".join(_latex_cell(*cell) for cell in line.cells) + r" \\" for line in group]
    return "\n".join([*rows, r"\bottomrule", r"\end{longtable}"])


def _latex_heading(text: str) -> str:
    return rf"\multicolumn{{{len(HEADINGS)}}}{{l}}{{{text}}} \\*"


def _latex_cell(text: str, under: str) -> str:
    return r" \newline ".join(filter(None, [tex(text), rf"\emph{{{tex(under)}}}" if under else ""]))


def html(reproduction: Reproduction) -> str:
    """Return one self-contained page; each system can be folded."""
    return environment().get_template("reproduction.html.j2").render(**_context(reproduction)) + "\n"


def section(reproduction: Reproduction) -> Markup:
    """Return the part of the report: what was run, then the rest, folded; empty if no study is compared."""
    if not reproduction.has_comparisons:
        return Markup("")
    template = environment().get_template("reproduction_section.html.j2")
    return Markup(template.render(**_context(reproduction)))


def _context(reproduction: Reproduction) -> dict[str, object]:
    return {"reproduction": reproduction, "title": TITLE, "headings": ("Where", *HEADINGS), "facts": FACTS}
