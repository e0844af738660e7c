"""Names and text from data, configs and logs in everything that is written and printed."""

from __future__ import annotations

import copy
import io
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.image import imread

from tests.figures import figure_asserts
from tests.report.aggregated_study import statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import Results, factors, full
from workflow_scripts import compose, draw, explain, show, tabulate
from workflow_scripts.core.errors import run_command
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import fonts, plotting
from workflow_scripts.report.figure_inputs import read_numbers

LIKE_VALUES = ("NA", "nan", "None", "null", "1e5", "007", "True", "1.0", "inf")  # csv readers take these for values
LONG = "an endless name " * 19
CLASSES = (
    *("$$", r"\frac{", r"$\frac{$", r"a\$b$", "_under", "=1+1", "-->", "<script>", "]]>&amp;", "\0\x1b[31m", "a\rb"),
    *("爵士", "\u05e9\u05dc\u05d5\u05dd", "\u202eabc", "a\u200bb", "ab", LONG, LONG + "!", LONG[1:] + "!"),
    *LIKE_VALUES,
)
#: what a config or a log can hold
TITLE = "*Pre*-training & $x^2$ <b>\x1b[31m爵\0 | [link](http://x) \\frac{ \u202e #1"


def results_with_names(folder: Path) -> Results:
    """Return results of two studies: a confusion matrix of hostile classes, and a chart of the same cells."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "confusions", "matrix": {"workers": "WLP"}},
        rows=["workers"],
        grid={"workers": ["WLP"], "dataset": ["extended_ballroom"]},
        trials=3,
    )
    study = results.manifest["studies"]["fig2"]
    study |= {"title": TITLE, "question": TITLE, "notes": TITLE}
    results.manifest["labels"]["dataset"]["extended_ballroom"] = TITLE
    results.manifest["studies"]["dots"] = copy.deepcopy(study) | {"figure": {"kind": "dots"}}
    figure_asserts.write_predictions(results, classes=CLASSES, trials=3)
    statistics(results)
    return results


SCRIPT = re.compile("<script([^>]*)>")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = results_with_names(tmp_path_factory.mktemp("results"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as one on every glyph that no font has
        write_all(results)
    return results


def write_all(results: Results) -> None:
    read = arguments(results)
    tabulate.main([*read, "--output", str(results.folder / "tables")])
    draw.main([*read, "--output", str(results.folder / "figures")])
    report = str(results.folder / "report")
    compose.main([*read, "--figures", str(results.folder / "figures"), "--output", report])


def arguments(results: Results) -> list[str]:
    return ["--manifest", results.manifest_file(), "--statistics", str(results.folder / "statistics")]


def text_of(results: Results, name: str) -> str:
    return (results.folder / name).read_text(encoding="utf-8")


def test_a_figure_shows_any_class_name_as_text(results: Results) -> None:
    drawn = text_of(results, "figures/fig2.svg")
    root = ElementTree.fromstring(drawn.encode())  # no control characters, no unescaped syntax
    assert float(root.attrib["width"].removesuffix("pt")) < 1300
    for shown in (
        "$$",
        r"\frac{",
        r"$\frac{$",
        r"a\$b$",
        r"\x00\x1b[31m",
        "_under",
        r"a\rb",
        r"\u202eabc",
        *LIKE_VALUES,
    ):
        assert f"<!-- {shown} -->" in drawn  # drawn as outlines, with the text as a comment
    assert imread(results.folder / "figures/fig2.png").shape[1] < 3000


def test_the_numbers_of_a_figure_have_the_names_of_the_data(results: Results) -> None:
    numbers = read_numbers(results.folder / "figures/fig2.csv")
    assert tuple(dict.fromkeys(numbers["true"])) == CLASSES
    assert "'=1+1" in text_of(results, "figures/fig2.csv")


def test_the_page_shows_names_and_no_control_characters(results: Results) -> None:
    page = text_of(results, "report/studies/fig2.html")
    shown = outline(page).text
    assert "could not be produced" not in shown
    assert r"*Pre*-training & $x^2$ <b>\x1b[31m爵\x00 | [link](http://x) \frac{ \u202e #1" in shown
    assert "<script>" in shown
    pages = [path.read_text(encoding="utf-8") for path in (results.folder / "report").rglob("*.html")]
    assert all(re.fullmatch(r' src="(\.\./)?assets/\w+\.js"', src) for page in pages for src in SCRIPT.findall(page))
    for text in (*pages, *(text_of(results, f"tables/fig2.{kind}") for kind in ("md", "tex", "html"))):
        assert not set(text) & {"\x1b", "\0", "\u202e", "\r"}


def test_words_on_a_figure_are_short_and_no_name_reorders_them(results: Results) -> None:
    (study, _) = read_manifest(results.manifest_file()).studies
    numbers = pd.DataFrame({"tag": ["\u05e9\u05dc", "<b>\u2069", LONG], "mean": [1.0, 2.0, 3.0]})
    words = plotting.describe_figure(lambda _, numbers: "; ".join(numbers["tag"]), study, numbers)
    assert words == "\u2068\u05e9\u05dc\u2069; &lt;b&gt;\\u2069; an endless name an en…less name "


def test_markdown_and_latex_escape_the_titles_of_configs(results: Results) -> None:
    assert r"\*Pre\*-training & \$x^2\$ \<b\>" in text_of(results, "tables/fig2.md")
    assert r"\[link\](http://x)" in text_of(results, "tables/index.md")
    assert text_of(results, "tables/fig2.tex").startswith("% XeLaTeX and LuaLaTeX print all")
    assert r"*Pre*-training \& \$x\textasciicircum{}2\$ $<$b$>$" in text_of(results, "tables/fig2.tex")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX, which this machine lacks")
def test_latex_tables_compile_and_fit_on_a_page(results: Results, tmp_path: Path) -> None:
    wide = Results(tmp_path / "wide")
    wide.manifest["studies"]["fig2"]["columns"] = ["dataset", "fraction"]
    for dataset in ("openmic", "fma_small"):
        for fraction in ("100pct", "50pct", "25pct", "10pct"):
            wide.add(factors("pase", "frozen", dataset, fraction=fraction), [0.5, 0.6, 0.7])
    statistics(wide)
    tabulate.main([*arguments(wide), "--output", str(wide.folder / "tables")])
    files = [path for folder in (results.folder, wide.folder) for path in sorted((folder / "tables").rglob("*.tex"))]
    files = [path for path in files if path.stem != "reproduction"]
    assert {"notes", "comparisons", "where-the-variation-comes-from"} <= {path.stem for path in files}
    inputs = "\n".join(rf"\input{{{path}}}" for path in files)
    packages = r"\usepackage{booktabs,graphicx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "main.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "main.tex"]
    log = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout.decode(errors="replace")
    assert not re.findall(r"^!.*|Overfull \\hbox", log, re.MULTILINE)


def test_one_figure_that_fails_is_an_entry_and_the_others_are_drawn(tmp_path: Path) -> None:
    results = results_with_names(tmp_path)
    for path in figure_asserts.trials_files(results):
        path.with_name("predictions.npz").write_bytes(b"PK\x03\x04")
    write_all(results)
    page = outline(text_of(results, "report/studies/fig2.html")).text
    assert page.count("The figure could not be produced: ") == 1
    assert "The figure could not be produced" not in text_of(results, "report/studies/dots.html")
    assert "predictions.npz is damaged" in page
    assert "failed" in text_of(results, "figures/fig2.csv")
    for study in ("fig2", "dots"):
        assert ElementTree.parse(results.folder / f"figures/{study}.svg")
    assert read_numbers(results.folder / "figures/dots.csv")["mean"].notna().all()


def test_one_table_that_fails_is_an_entry_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = full(tmp_path)
    results.manifest["studies"]["other"] = copy.deepcopy(results.manifest["studies"]["fig2"]) | {"title": TITLE}
    statistics(results)
    results.manifest["studies"]["fig2"]["comparisons"][0]["name"] = "renamed"
    write_all(results)
    assert (
        "The table could not be produced: no comparison " in outline(text_of(results, "report/studies/fig2.html")).text
    )
    assert list(pd.read_csv(tmp_path / "tables/fig2.csv")["status"]) == ["failed"]
    assert len(pd.read_csv(tmp_path / "tables/other.csv")) == 10
    assert "The table could not be produced" not in text_of(results, "tables/other.html")
    capsys.readouterr()
    show.main(arguments(results))
    output = capsys.readouterr()
    assert "prelude: the table of fig2 failed, the others continue: " in output.err
    assert r"\x1b[31m" in output.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", ["show", "explain"])
def test_a_console_of_any_encoding_prints_everything(
    results: Results, monkeypatch: pytest.MonkeyPatch, encoding: str, command: str
) -> None:
    (results.folder / "statistics" / "plan.json").write_bytes(Path(results.manifest_file()).read_bytes())
    commands: dict[str, Callable[[], None]] = {
        "show": lambda: show.main([*arguments(results), "--report", "Träume ★.html"]),
        "explain": lambda: explain.main(["fig2", "WLP", "extended_ballroom", "--results", str(results.folder)]),
    }
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding))
    run_command(commands[command])
    sys.stdout.flush()
    text = printed.getvalue().decode(encoding)
    assert r"\x1b[31m" in text
    assert not set(text) & {"\x1b", "\0", "\u202e"}


def test_a_font_of_the_machine_draws_what_the_default_lacks_and_else_the_title_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fonts.families(frozenset("Jazz ★ \u05e9")) == (("DejaVu Sans",), frozenset())
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "absent.ttf")])
    fonts.families.cache_clear()
    assert fonts.families(frozenset("a爵")) == (("DejaVu Sans",), frozenset("爵"))
    font = write_font(tmp_path / "OneGlyph-Regular.ttf", "爵")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(font)])
    fonts.families.cache_clear()
    assert fonts.families(frozenset("a爵")) == (("DejaVu Sans", "One Glyph"), frozenset())
    results = full(tmp_path / "results")
    results.manifest["studies"]["fig2"]["title"] = "爵"
    statistics(results)
    draw.main([*arguments(results), "--output", str(tmp_path / "figures")])
    assert "no font of this machine" not in (tmp_path / "figures/fig2.svg").read_text()
    results.manifest["studies"]["fig2"]["title"] = "爵士"
    draw.main([*arguments(results), "--output", str(tmp_path / "figures")])
    assert "no font of this machine" in (tmp_path / "figures/fig2.svg").read_text()
    fonts.families.cache_clear()


def write_font(path: Path, character: str) -> Path:
    """Write a font with one square glyph."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(character): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (900, 0), "square": (900, 100)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One Glyph", "styleName": "Regular", "psName": "OneGlyph-Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_one_line_of_error_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    from workflow_scripts.core.errors import UserError

    def fail() -> None:
        raise UserError("no class \x1b[2J\udcff\u202e")

    with pytest.raises(SystemExit):
        run_command(fail)
    assert capsys.readouterr().err == "prelude: no class \\x1b[2J\\udcff\\u202e\n"
