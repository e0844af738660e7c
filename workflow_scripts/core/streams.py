"""Standard output and error in any encoding: a character that it lacks is replaced, not an error."""

from __future__ import annotations

import codecs
import io
import sys

#: what an encoding without the mark prints; a letter is part of a name, and becomes its code
SUBSTITUTES = {
    "★": "*",
    "†": "+",
    "±": "+-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "…": "...",
    "“": '"',
    "”": '"',
    "„": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{MULTIPLICATION SIGN}": "x",
}
HANDLER = "prelude.substitute"


def accept_any_text() -> None:
    """Let standard output and error print any text: what their encoding lacks becomes a similar mark or its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def encodable(text: str, encoding: str) -> str:
    """Return text with what `encoding` lacks replaced."""
    return text.encode(encoding, HANDLER).decode(encoding)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    marks = error.object[error.start : error.end]
    return "".join(SUBSTITUTES.get(mark) or _code(mark) for mark in marks), error.end


def _code(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(HANDLER, _substitute)
