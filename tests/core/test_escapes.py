import csv
import io
import re
import unicodedata
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.core import csv_files, escapes

ANY = st.text(st.characters(codec="utf-8"), max_size=30)
SYNTAX = st.text("=+-@\t\r\n'\"; ,|!1a\0\\", max_size=8)


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(ANY | SYNTAX, min_size=1, max_size=20))
def test_no_spreadsheet_computes_a_csv_cell_and_prelude_reads_the_same_text(texts: list[str]) -> None:
    written = csv_files.csv_text(pd.DataFrame({"clip": texts, "value": -1.5}))
    for cell, number in list(csv.reader(io.StringIO(written, newline="")))[1:]:
        assert number == "-1.5"
        computed = re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\0]", cell)
        assert not computed or re.fullmatch(r"[+-][\d.e+-]+", cell)
    table = pd.read_csv(io.StringIO(written), dtype=str, keep_default_na=False)
    assert list(csv_files.restore(table["clip"])) == texts


@pytest.mark.parametrize("text", ["x;=1+1", "x\t@SUM(A1)", "x; '-2+3"])
def test_a_text_stays_one_cell_where_semicolons_or_tabs_separate_cells(text: str) -> None:
    written = csv_files.csv_text(pd.DataFrame({"clip": [text], "reason": ["a; b"]}))
    assert f'"{text}"' in written
    assert csv_files.csv_text(pd.DataFrame({"reason": ["a; b"]})) == "reason\na; b\n"


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''@SUM(A1)", "-2+3", "+5", "-0.5", "\rx", "Icon\r", "'quoted'"])
def test_rows_read_by_the_csv_module_are_the_same_too(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "quarantine.csv"
    path.write_text(csv_files.csv_text(pd.DataFrame({"clip": [text], "reason": ["silent"]})), encoding="utf-8")
    assert csv_files.read_rows(path, ["clip"]) == [{"clip": text, "reason": "silent"}]


@settings(deadline=None, max_examples=300)
@given(text=ANY)
def test_what_cannot_be_seen_is_printed_as_an_escape(text: str) -> None:
    for character in escapes.printable(text):
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        assert character not in "\u200b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\u00ad"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Tänze 爵士 שלום 👩\u200d🎤 \u0645\u06cc\u200c\u062e\u0648",
            "Tänze 爵士 שלום 👩\u200d🎤 \u0645\u06cc\u200c\u062e\u0648",
        ),
        ("a\u200bb\u202ec\x1b[31m\0", r"a\u200bb\u202ec\x1b[31m\x00"),
        ("a\u200db", r"a\u200db"),
        ("\ud800\uffff\u3164", r"\ud800\uffff\u3164"),
    ],
)
def test_letters_of_every_script_stay_and_hidden_characters_show(text: str, shown: str) -> None:
    assert escapes.printable(text) == shown


def test_a_word_too_long_for_the_page_is_broken_anywhere() -> None:
    assert "overflow-wrap:anywhere" in escapes.html("x" * 200 + ".wav")
    assert escapes.html("a word " * 50) == "a word " * 50
    assert "<" not in escapes.attribute("x" * 200)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(deadline=None, max_examples=200)
@given(text=ANY | st.text("<>&\"'/!-ab;#", max_size=20))
def test_html_shows_text_and_nothing_else(text: str) -> None:
    reader = Reader()
    reader.feed(f"<p>{escapes.html(text)}</p>")
    reader.close()
    assert reader.tags in (["p"], ["p", "span"])
    assert reader.text == escapes.printable(text, keep="\n\t")


@settings(deadline=None, max_examples=200)
@given(text=st.text("ab\\`*_[]()<>|#~$&!;\n\x1b=1.-+", max_size=20))
def test_markdown_leaves_no_syntax_unescaped(text: str) -> None:
    for escape in (escapes.markdown, escapes.markdown_line, escapes.markdown_cell):
        left = re.sub(r"\\[!-/:-@\[-`{-~]", " ", escape(text))
        assert not re.search(r"[`*|~$\\\n]|<[a-z/!?]|\]\(|&#|&[a-z0-9_]+;", left)
    assert not re.match(r"[-+=]|\d+[.)](\s|$)", escapes.markdown_line(text))
