"""Tables that people write: csv as spreadsheets save it, read as text, or one line on what to change."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.escapes import shorten
from workflow_scripts.core.validation import suggest

MAX_BYTES = 64 << 20  # half a million rows of 120 letters; a larger file is no table of clips
DELIMITERS = ",;\t"
#: byte-order marks; that of UTF-32 begins with that of UTF-16
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
WINDOWS = "cp1252"  # of Excel in Western Europe and America
REMEDY = "save it as UTF-8 with commas (in a spreadsheet: CSV UTF-8)"
SHOWN = 60  # letters of a header or path that a message shows: enough for the columns of a table of clips


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """The text of a csv: `columns` by name without spaces around it, and `lines`, where each row ends in the file.

    Columns are looked up whatever their case. `encoding` is that of the file, without a byte-order mark.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    encoding: str

    def column(self, name: str, *, option: str) -> list[str]:
        """Return the texts of a column as they are. Raises `UserError` if it is missing or there twice.

        A text over several lines is an error too: a quote that is never closed would swallow the rows below it.
        `option` is that of the config which states the name.
        """
        places = self._places(name)
        if len(places) > 1:
            names = ", ".join(self.columns[place] for place in places)
            raise UserError(f"{self.path} has two columns {name.strip()} ({names}): rename one")
        if not places:
            raise UserError(
                f"{self.path} has no column {name.strip()} ({option}): name it in the first line, or state another; "
                f"its columns are {shorten(', '.join(self.columns), SHOWN)!r}{suggest(name.strip(), self.columns)}"
            )
        texts = [row[places[0]] for row in self.rows]
        for text, line in zip(texts, self.lines, strict=True):
            if "\n" in text.strip() or "\r" in text.strip():
                raise UserError(f"{self.path}, line {line}: {name} spans several lines: close the quote, or remove it")
        return texts

    def has_column(self, name: str) -> bool:
        """Return whether the csv has a column of this name."""
        return bool(self._places(name))

    def _places(self, name: str) -> list[int]:
        return [place for place, column in enumerate(self.columns) if _fold(column) == _fold(name)]


def read_csv_table(path: Path, *, columns: Sequence[str]) -> CsvTable:
    """Read a csv separated by comma, semicolon or tab, whichever gives the first line these `columns`.

    It is UTF-8, UTF-16 or UTF-32, or else Windows-1252. Empty lines are passed over, empty fields at the end of a row
    may be left out or added. Raises `UserError` for a file that is no such table.
    """
    text, encoding = _decode(path)
    first, rest = _split_separator_line(text)
    delimiter = first or _sniff_delimiter(rest, columns)
    rows = [(line, row) for line, row in _parse(path, rest, delimiter, skipped=bool(first)) if any(map(str.strip, row))]
    if not rows:
        raise UserError(f"{path} is empty: its first line must name the columns {', '.join(columns)}")
    header = tuple(unicodedata.normalize("NFC", name.strip()) for name in rows[0][1])
    return CsvTable(
        path=path,
        columns=header,
        rows=[_fit(path, line, row, len(header)) for line, row in rows[1:]],
        lines=[line for line, _ in rows[1:]],
        encoding=encoding,
    )


def _decode(path: Path) -> tuple[str, str]:
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} has more than {MAX_BYTES >> 20} MB: a csv of clips has one short line per file")
    content = path.read_bytes()
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    content = content.removeprefix(mark)
    encodings = [MARKS[mark]] if mark else [_guess_wide(content)] if b"\0" in content[:256] else ["utf-8", WINDOWS]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8":
                _refuse_broken_utf8(path, content, error)
            continue
        if "\0" not in text:
            return text, encoding
    raise UserError(f"{path} is no text in UTF-8, UTF-16 or Windows-1252: {REMEDY}")


def _refuse_broken_utf8(path: Path, content: bytes, error: UnicodeDecodeError) -> None:
    """Raise `UserError` for a file that is UTF-8 but for some letters; as Windows-1252, all others would be wrong."""
    letters = [letter for letter in content.decode("utf-8", errors="replace") if not letter.isascii()]
    if 2 * letters.count("\ufffd") < len(letters):
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: a letter is not UTF-8, as the others are: {REMEDY}") from error


def _guess_wide(content: bytes) -> str:
    """Guess the order of bytes of UTF-16 without a mark: in Latin text every other byte is zero."""
    return "utf-16-le" if content[1:256:2].count(0) >= content[0:256:2].count(0) else "utf-16-be"


def _split_separator_line(text: str) -> tuple[str, str]:
    """Split off a first line such as ``sep=;``, which states the delimiter for Excel."""
    line, _, rest = text.partition("\n")
    name, _, value = line.strip("\r").partition("=")
    return (value, rest) if name.lower() == "sep" and len(value) == 1 else ("", text)


def _sniff_delimiter(text: str, columns: Sequence[str]) -> str:
    """Return the delimiter that gives the first line most of `columns`, or else most fields."""
    line = text.lstrip().partition("\n")[0].partition("\r")[0]

    def score(delimiter: str) -> tuple[int, int]:
        names = [_fold(name.strip(' "')) for name in line.split(delimiter)]
        return sum(_fold(column) in names for column in columns), len(names)

    return max(DELIMITERS, key=score)


def _parse(path: Path, text: str, delimiter: str, *, skipped: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line where each row ends, and its fields."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1 + skipped
    try:
        for row in reader:
            yield reader.line_num + skipped, row
            start = reader.line_num + skipped + 1
    except csv.Error as error:
        line = reader.line_num + skipped
        if line > start or "unexpected end" in str(error):  # only quotes extend a row over lines
            raise UserError(f"{path}, line {start}: a quote is not closed: close it, or remove it") from error
        if "expected after" in str(error):
            remedy = 'put the whole field in double quotes, and write a quote inside it twice ("")'
            raise UserError(f"{path}, line {line}: text after a closing quote: {remedy}") from error
        raise UserError(f"{path} cannot be read as a csv (line {line}: {error}): {REMEDY}") from error


def _fit(path: Path, line: int, row: list[str], width: int) -> list[str]:
    if any(map(str.strip, row[width:])):
        raise UserError(
            f"{path}, line {line}: {len(row)} fields, but {width} columns: put a field that holds the delimiter in "
            'double quotes ("..."), and name every column in the first line'
        )
    return [*row[:width], *[""] * (width - len(row))]


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()
