r"""Escapes of text from data, file names, configs and logs: in no format of output is any part of it syntax.

Each format has one function here. Characters that cannot be seen, or that reorder the text around them, are printed as
`\n`, `\x1b` or `\u202e`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable

from markupsafe import Markup, escape

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # blank letters and marks
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, half a character, ends of line and paragraph
NUMBER_MARKS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")  # visible, although format
VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # choose a form of the character before them
JOINERS = frozenset("\u200c\u200d")  # part of Persian and Indic words and of emoji
NONCHARACTERS = 0xFFFE  # and 0xFFFF, in every plane; not allowed in XML
ISOLATES = FIRST_STRONG, END_ISOLATE = "\u2068", "\u2069"
RIGHT_TO_LEFT = frozenset({"R", "AL"})

#: characters with a meaning in LaTeX, and those that its default fonts lack
TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    "[": "{[}",  # at the start of a row LaTeX would read an option of the row end before it
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "★": r"$\star$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
}
#: a character and its number, which pdfLaTeX prints: only the other engines know `\\Umathcode`, and more scripts
OTHER_SCRIPT = (
    "% XeLaTeX and LuaLaTeX print all characters, in a font that has them; pdfLaTeX prints their numbers\n"
    r"\providecommand{\otherscript}[2]{\ifdefined\Umathcode#1\else U+#2\fi}"
)
TEX_LETTERS = 0x17F  # end of the Latin letters that pdfLaTeX knows, but for some
TEX_LACKS = frozenset("ĦħĸĿŀŉŦŧſ")
TEX_IN_T1 = frozenset("«»„ÐÞðþĄąĐđĘęĮįŊŋŲų")  # its other font encoding
TEX_PUNCTUATION = frozenset("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”„—…•€™")
#: what Markdown reads in the middle of a line: emphasis, code, links, HTML, entities, formulas, strokes
MARKDOWN = re.compile(r"[\\`*_\[\]<>|#~$]|&(?=#|\w+;)")
#: the same in a table cell, where an interval keeps its brackets, d_z its stroke and a small p value its "<"
MARKDOWN_CELL = re.compile(r"[\\`*|~$]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|\[(?=\^)|(?<=\])[(\[]|&(?=#|\w+;)")
MARKDOWN_START = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[-+=]))")  # what makes a list or a rule of a line
LONGEST_WORD = 60  # characters of a word that a page does not break
BREAKS = "display:inline-block;min-width:12rem;white-space:normal;overflow-wrap:anywhere"

#: begins a text that a spreadsheet computes, in Japanese and Chinese width too
FORMULA = re.compile(r"'*(?:[\t\r\n\0]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
#: the same where a spreadsheet that separates by other characters than commas would begin a cell
SEPARATED_FORMULA = re.compile(r"[;\t]\s*'*[=+\-@\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def printable(text: str, *, keep: Container[str] = "") -> str:
    """Return text with what cannot be seen written as a backslash escape, except the characters of `keep`."""
    if text.isprintable() and UNSEEN.isdisjoint(text):
        return text
    characters = [
        character if character in keep or _is_visible(text, place) else _backslash(character)
        for place, character in enumerate(text)
    ]
    return "".join(characters)


def _is_visible(text: str, place: int) -> bool:
    character = text[place]
    if character in JOINERS:
        around = text[max(0, place - 1) : place] + text[place + 1 : place + 2]
        return len(around) == 2 and not any(other.isascii() or other.isspace() for other in around)
    if character in UNSEEN or ord(character) & NONCHARACTERS == NONCHARACTERS:
        return False
    return unicodedata.category(character) not in UNPRINTABLE or character in NUMBER_MARKS


def _backslash(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def as_seen(text: str) -> str:
    """Return text as it looks: composed accents, single spaces, nothing that cannot be seen."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    visible = (character for place, character in enumerate(text) if _is_visible(text, place))
    return "".join(character for character in visible if character not in VARIATIONS)


def one_line(text: str) -> str:
    """Return printable text in one line."""
    return printable(text.replace("\n", " "), keep="\t")


def isolate(text: str) -> str:
    """Return text so that letters from right to left do not reorder the numbers around it."""
    backwards = any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text)
    return f"{FIRST_STRONG}{text}{END_ISOLATE}" if backwards else text


def shorten(text: str, longest: int) -> str:
    """Return at most `longest` characters: the beginning and the end of a longer text."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def figure(text: str) -> str:
    """Return text for matplotlib, whose formulas stand between dollar signs."""
    return printable(text).replace("$", r"\$")


def markdown(text: str) -> str:
    """Escape text within a line of Markdown."""
    return MARKDOWN.sub(r"\\\g<0>", one_line(text))


def markdown_line(text: str) -> str:
    """Escape text that begins a line of Markdown or an item of a list."""
    return MARKDOWN_START.sub(r"\1\\", markdown(text))


def markdown_cell(text: str) -> str:
    """Escape a cell of a Markdown table."""
    return MARKDOWN_CELL.sub(r"\\\g<0>", one_line(text))


def latex(text: str) -> str:
    """Escape text for LaTeX."""
    escaped = "".join(map(_latex_character, one_line(text)))
    return f"{{}}{escaped}" if escaped.startswith("*") else escaped  # a row end before it would take its star


def _latex_character(character: str) -> str:
    known = ord(character) <= TEX_LETTERS and character not in TEX_LACKS
    if known or character in TEX_PUNCTUATION or character in TEX:
        return TEX.get(character, character)
    return rf"\otherscript{{{character}}}{{{ord(character):04X}}}"


def latex_document(text: str) -> str:
    """Return a LaTeX file; one with characters that pdfLaTeX does not know begins with what prints them there."""
    encoding = "" if TEX_IN_T1.isdisjoint(text) else "% needs \\usepackage[T1]{fontenc} in pdfLaTeX\n"
    return encoding + (f"{OTHER_SCRIPT}\n" if r"\otherscript{" in text else "") + text


def attribute(text: str, *, keep: Iterable[str] = ()) -> Markup:
    """Escape the value of an HTML attribute, or a title; line feeds, tabs and the characters of `keep` stay."""
    return escape(printable(text, keep=("\n", "\t", *keep)))


def html(text: str) -> Markup:
    """Escape text of an HTML page, which breaks words too long for it anywhere."""
    escaped = attribute(text)
    if max(map(len, text.split()), default=0) <= LONGEST_WORD:
        return escaped
    return Markup('<span style="{}">{}</span>').format(BREAKS, escaped)


def csv_cell(text: str) -> str:
    """Return text for a csv file: an apostrophe before what a spreadsheet would compute; numbers stay numbers."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def read_csv_cell(text: str) -> str:
    """Return the text that `csv_cell` wrote."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
