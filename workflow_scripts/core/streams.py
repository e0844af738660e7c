"""Standard output and error in any encoding: a character that it lacks is replaced, not an error."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

#: what an encoding without the character prints
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
    "ß": "ss",
}
HANDLER = "prelude.substitute"


def accept_any_text() -> None:
    """Let standard output and error print any text: characters their encoding lacks become similar ones or escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def encodable(text: str, encoding: str) -> str:
    """Return text with what `encoding` lacks replaced."""
    return text.encode(encoding, HANDLER).decode(encoding)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    encoding = error.encoding
    texts = [_similar(character, encoding) for character in error.object[error.start : error.end]]
    return "".join(texts), error.end


def _similar(character: str, encoding: str) -> str:
    """Return a substitute, the letter without its accents, or a backslash escape."""
    base = unicodedata.normalize("NFKD", character)[:1]
    for text in (SUBSTITUTES.get(character, ""), base):
        if text and text != character and _is_encodable(text, encoding):
            return text
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


codecs.register_error(HANDLER, _substitute)
