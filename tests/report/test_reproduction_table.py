"""Published claims and numbers beside ours, in every format."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.figures import figure_asserts
from tests.report.aggregated_study import statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import Results, factors
from workflow_scripts import tabulate
from workflow_scripts.report import reproduction_render, reproduction_table
from workflow_scripts.report.reproduction_table import Reproduction
from workflow_scripts.statistics.reproduction.published_rows import beyond_experiments, read_published
from workflow_scripts.statistics.reproduction.table import read_reproduction

STATEMENTS = [
    {
        "id": "A.fig2.pase_plus_vs_pase",
        "quantity": "difference",
        "expected": "above zero",
        "of": {"encoder": "pase_plus"},
        "over": {"encoder": "pase"},
        "choices": ["A1", "A10"],
    },
    {"id": "B.table6_1.mtat.cpc.linear.pr_auc", "quantity": "mean", "of": {"encoder": "pase"}, "margin": 1},
    {"id": "A.sec3_2.hop", "quantity": "hop", "of": {}},
    {"id": "A.sec3_4.trials", "quantity": "trials", "of": {}},
    {"id": "A.sec4_1.pase.parameters", "quantity": "parameters", "of": {"encoder": "pase"}, "margin": 0.5},
    {
        "id": "A.fig5.openmic.adding_chroma",
        "quantity": "difference",
        "expected": "above zero",
        "of": {"encoder": "pase_plus", "workers": ["WLPC", "WLPMCT"]},
        "over": {"encoder": "pase", "workers": ["WLPC", "WLPMCT"]},
    },
]


def make_results(folder: Path, *, source: str, count: int = 3) -> Results:
    """PASE+ 2.0 points above PASE, which has 31 %, on two data sets."""
    results = Results(folder)
    for dataset in ("openmic", "fma_small"):
        base = [0.309, 0.31, 0.311, 0.31][:count]
        results.add(factors("pase", "frozen", dataset), base, source=source)
        gains = (0.019, 0.02, 0.021, 0.02)
        better = [value + gain for value, gain in zip(base, gains, strict=False)]
        results.add(factors("pase_plus", "frozen", dataset), better, source=source)
    results.manifest["studies"]["fig2"]["statements"] = STATEMENTS
    return results


def tables(results: Results, name: str = "tables") -> Path:
    folder = results.folder / name
    statistics_folder = statistics(results)
    tabulate.main(
        ["--manifest", results.manifest_file(), "--statistics", str(statistics_folder), "--output", str(folder)],
    )
    return folder


def build_reproduction(results: Results) -> Reproduction:
    return reproduction_table.build(read_reproduction(statistics(results) / "reproduction.csv"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make_results(tmp_path_factory.mktemp("real"), source="download")


def run_lines(shown: Reproduction) -> dict[str, list[reproduction_table.Line]]:
    lines: dict[str, list[reproduction_table.Line]] = {}
    for system in shown.systems:
        for line in system.lines:
            if line.run:
                lines.setdefault(line.place, []).append(line)
    return lines


def test_a_claim_is_stated_in_words_with_ours_beside_it(real: Results) -> None:
    first, second = run_lines(build_reproduction(real))["Fig. 2 / Sec. 4.1"]
    assert first.claim == (
        "PASE+ vs PASE, all workers, pre-trained on AudioSet Music subset, on all three data sets, frozen: macro F1"
    )
    assert first.published_value == "PASE+ better on all three tasks"
    assert first.own_value.startswith("2.0 [1.8, 2.2]")
    assert first.meaning == "OpenMIC: macro F1 of PASE+ minus that of PASE, points"
    assert second.meaning.startswith("FMA small: ")
    assert (first.verdict, first.evidence) == ("holds", "3 trials of one pre-training seed")
    assert (first.choices, first.source, first.remarks) == ("A1, A10", "download", "")


def test_a_number_shows_its_margin_and_as_many_digits_as_the_published_one(real: Results) -> None:
    lines = run_lines(build_reproduction(real))["Table 6.1"]
    assert [line.published_value for line in lines] == ["30.98", "30.98"]
    assert lines[0].own_value == "31.00 [30.75, 31.25]"
    assert lines[0].verdict == "agrees (margin ±1)"


def test_settings_are_by_construction(real: Results) -> None:
    lines = run_lines(build_reproduction(real))
    (hop,), (trials,) = lines["Sec. 3.2"], lines["Sec. 3.4"]
    assert (hop.own_value, hop.verdict, hop.source) == ("160", "agrees, by construction", "configuration")
    assert (trials.own_value, trials.verdict) == ("3", "differs, by construction")


def test_units_stand_beside_numbers_printed_in_thousands(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for fraction, clips in (("10pct", 60), ("100pct", 11_187)):
        cell = factors("pase", "frozen", "openmic", fraction=fraction)
        results.add(cell, [0.3, 0.31], train_clips=clips, source="download")
    statements = [
        {"id": "A.fig8.openmic.train_clips", "quantity": "train_clips", "of": {"fraction": fraction}, "margin": 0.5}
        for fraction in ("10pct", "100pct")
    ]
    results.manifest["studies"]["fig2"] |= {"rows": ["scenario", "fraction"], "floors": [], "statements": statements}
    few, many = run_lines(build_reproduction(results))["Fig. 8 / Sec. 4.4"]
    assert few.claim == "PASE+, all available training examples, on OpenMIC-2018, fine-tuned vs frozen"
    assert (few.published_value, many.published_value) == ("11 thousand samples", "11 thousand samples")
    assert (few.own_value, many.own_value) == ("60 samples", "11.2 thousand samples")
    assert many.verdict == "agrees (margin ±0.5 thousand)"


NOISE = (0.002, -0.001, -0.002, 0.001)


@pytest.mark.parametrize(
    ("gains", "count", "ours"),
    [
        ((0.05, 0.05, 0.05), 4, r"fine-tuned better at every size measured \(60 to 10,000 samples\)"),
        ((-0.05, -0.05, -0.05), 4, r"fine-tuned not better at the largest size measured \(10,000 samples\)"),
        ((-0.02, 0.02, 0.05), 4, r"548 samples \[\d{3}, \d{3}\]"),  # halfway between 60 and 5,000 on a log scale
        ((-0.02, 0.02, 0.05), 2, r"5\d\d samples \(no interval\)"),
        ((0.0005, 0.02, 0.05), 4, r"below the smallest measured \(60 samples\) \[below 60, \d{2,3}\]"),
        ((-0.05, -0.02, -0.0005), 4, r"beyond the largest measured \(10,000 samples\) \[9,\d\d\d, beyond 10,000\]"),
    ],
)
def test_a_crossing_is_stated_in_samples_and_words(
    gains: tuple[float, ...], count: int, ours: str, tmp_path: Path
) -> None:
    results = Results(tmp_path)
    for fraction, clips, gain in zip(("1pct", "50pct", "100pct"), (60, 5000, 10_000), gains, strict=True):
        more = {"train_clips": clips, "source": "download"}
        results.add(factors("pase", "frozen", "openmic", fraction=fraction), [0.5] * count, **more)
        tuned = [0.5 + gain + noise for noise in NOISE[:count]]
        results.add(factors("pase", "fine_tuned", "openmic", fraction=fraction), tuned, **more)
    statement = {
        "id": "A.fig8.openmic.crossover",
        "quantity": "crossing",
        "of": {"scenario": "fine_tuned"},
        "over": {"scenario": "frozen"},
        "margin": 4,
    }
    results.manifest["studies"]["fig2"] |= {"rows": ["scenario", "fraction"], "floors": [], "statements": [statement]}
    (line,) = run_lines(build_reproduction(results))["Fig. 8 / Sec. 4.4"]
    assert re.fullmatch(ours, line.own_value), line.own_value
    assert line.published_value == "8 thousand samples"
    assert line.meaning == "OpenMIC: training samples from which on fine-tuned has the higher macro F1 than frozen"


def test_what_a_trimmed_study_lacks_is_named(real: Results) -> None:
    line = next(line for line in run_lines(build_reproduction(real))["Fig. 5 / Sec. 4.3"] if "adding C" in line.claim)
    assert line.meaning.endswith("minus that of PASE, points; without workers WLPC, for which this config lacks cells")
    assert line.verdict == "holds (in part)"


def test_every_row_is_there_and_the_rest_is_not_run(real: Results) -> None:
    shown = build_reproduction(real)
    rows = Counter(row["system"] for row in read_published().values())
    assert [len(system.lines) for system in shown.systems] == [rows["A"] + 2, rows["B"] + 1, rows["C"]]  # data sets
    assert {line.verdict for line in shown.systems[2].lines} == {"not run"}
    assert shown.systems[2].summary == f"{rows['C']} not run"
    cited = sum(row["system"] == "B" and bool(beyond_experiments(row)) for row in read_published().values())
    left = rows["B"] + 1 - 2 - cited
    assert shown.systems[1].summary == f"2 agree; {left} not run; {cited} not a result of this benchmark"
    share = next(line for line in shown.systems[0].lines if "share of original AudioSet" in line.claim)
    assert share.verdict == "not a result of this benchmark: what the authors could obtain"
    assert shown.systems[0].summary.endswith(" not run; 3 not a result of this benchmark")
    parameters = next(line for line in shown.systems[0].lines if "PASE, encoder size" in line.claim)
    assert parameters.verdict == "not run: no record states it"
    deviation = next(line for line in shown.systems[2].lines if "vocals" in line.claim)
    assert deviation.published_value == "91.85 ± 0.03"
    assert deviation.remarks.startswith("marked with an asterisk")


def test_a_twin_never_stands_beside_a_number(tmp_path: Path) -> None:
    shown = build_reproduction(make_results(tmp_path, source="twin"))
    lines = run_lines(shown)
    assert {line.verdict for line in lines["Table 6.1"]} == {"not comparable: twin data"}
    assert {line.verdict for line in lines["Fig. 2 / Sec. 4.1"]} == {"holds, on twin data"}
    assert any(note.startswith("Twin: small synthetic") for note in shown.notes)
    assert not re.search(r"agrees \(|differs \(", reproduction_render.markdown(shown))


def test_too_few_trials_have_no_interval(tmp_path: Path) -> None:
    lines = run_lines(build_reproduction(make_results(tmp_path, source="download", count=2)))
    assert lines["Table 6.1"][0].own_value == "30.95 (no interval)"
    assert lines["Table 6.1"][0].verdict == "undecided (margin ±1; no interval from 2 trials)"


def test_same_results_same_bytes(real: Results) -> None:
    first, second = tables(real, "first"), tables(real, "second")
    for kind in ("csv", "md", "tex", "html"):
        name = f"reproduction.{kind}"
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_every_format_has_every_line(real: Results) -> None:
    folder = tables(real)
    everything = [line for system in build_reproduction(real).systems for line in system.lines]
    assert len(pd.read_csv(folder / "reproduction.csv")) == len(everything)
    lines = [line for line in everything if not line.is_counted_only]
    assert len(lines) == len(everything) - 1  # the hop: a setting that agrees
    markdown = (folder / "reproduction.md").read_text()
    assert len(re.findall(r"^\| (?!Claim|---)", markdown, re.MULTILINE)) == len(lines)
    latex = (folder / "reproduction.tex").read_text()
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and not line.startswith(("\\", "Claim"))]
    assert len(rows) == len(lines)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(reproduction_table.HEADINGS) - 1}
    page = (folder / "reproduction.html").read_text()
    assert page.count('<th scope="row">') == len(lines)
    assert page.count("<details") == 3


def test_the_csv_keeps_numbers_and_words(real: Results) -> None:
    table = pd.read_csv(tables(real) / "reproduction.csv", keep_default_na=False)
    (first, _) = table[table["quantity"] == "mean"].to_dict("records")
    assert float(first["value"]) == pytest.approx(31.0)
    assert first["mean"] == "30.98"
    assert first["verdict_text"] == "agrees (margin ±1)"
    assert table.query("quantity == 'hop'")["verdict_text"].tolist() == ["agrees, by construction"]


def test_html_is_well_formed_and_nothing_is_taken_for_markup(real: Results) -> None:
    shown = build_reproduction(real)
    pages = [reproduction_render.html(shown), str(reproduction_render.section(shown))]
    for page in pages:
        parsed = outline(page)
        assert set(parsed.scopes) == {"row", "col"}
        assert "batch < 96" in parsed.text
        assert "batch < 96" not in page
    assert "batch \\< 96" in reproduction_render.markdown(shown)
    assert r"batch $<$ 96" in reproduction_render.latex(shown)
    assert "n\\_fft" in reproduction_render.latex(shown)


def test_the_report_shows_first_what_was_run(real: Results) -> None:
    page = str(reproduction_render.section(build_reproduction(real)))
    top, rest = page.split("What was not run")
    assert "agrees (margin" in top
    folded = re.findall(r"<details data-print>\s*<summary>([^<(]*)", top)
    assert [text.strip() for text in folded] == ["Data and settings", "How to read this"]
    assert 'class="missing"' not in top
    assert rest.count("<details data-print>") == 3


def test_results_come_first_then_claims_then_settings_that_differ(real: Results) -> None:
    shown = build_reproduction(real)
    titles = [section.title for section in shown.systems[0].run]
    assert titles == ["Claims", "Data and settings"]
    assert [section.title for section in shown.systems[1].sections] == ["Results", "Not compared in this config"]
    (settings,) = (section for section in shown.systems[0].run if section.title == "Data and settings")
    assert [line.verdict for _, lines in settings.groups for line in lines] == ["differs, by construction"]


def test_settings_that_agree_are_counted_in_one_sentence(real: Results) -> None:
    shown = build_reproduction(real)
    sentence = "System A: 1 setting agrees by construction (listed in reproduction.csv)."
    assert shown.systems[0].agreeing_settings == sentence
    assert shown.systems[1].agreeing_settings == ""
    assert "1 agrees by construction" in shown.systems[0].summary
    for text in (reproduction_render.markdown(shown), reproduction_render.html(shown)):
        assert sentence.partition(" (")[0] in text


def test_whole_numbers_have_separators_on_both_sides(tmp_path: Path) -> None:
    results = make_results(tmp_path, source="download")
    results.manifest["studies"]["fig2"]["statements"] = [
        {"id": "A.sec3_2.fft_length", "quantity": "fft_length", "of": {}},
        {"id": "C.setup.stft_window", "quantity": "spectrogram_window", "of": {}},
    ]
    lines = run_lines(build_reproduction(results))
    assert [(line.published_value, line.own_value) for line in lines["Sec. 3.2"]] == [("2,048", "2,048")]
    assert [(line.published_value, line.own_value) for line in lines["Setup"]] == [("512", "512")]


def test_a_count_of_a_twin_is_shown_beside_the_published_one_without_a_verdict(tmp_path: Path) -> None:
    results = make_results(tmp_path, source="twin")
    figure_asserts.write_corpora(results, classes=list("abcdefghijklmnopqrst"), clips=120)
    results.manifest["corpora"] = [str(tmp_path / "corpora" / "openmic" / str(figure_asserts.RATE))]
    results.manifest["studies"]["fig2"]["statements"] = [
        {"id": "A.sec3_5_2.openmic.classes", "quantity": "classes", "of": {"dataset": "openmic"}, "margin": 0.5},
        {"id": "A.sec3_5_2.openmic.clips", "quantity": "clips", "of": {"dataset": "openmic"}, "margin": 0.5},
    ]
    clips, classes = run_lines(build_reproduction(results))["Sec. 3.5.2"]
    assert (classes.outcome, classes.verdict) == ("not comparable", "twin: 20, published: 20")
    assert clips.verdict == "twin: 120 samples, published: 15 thousand samples"


def test_a_report_without_published_statements_has_no_such_section(tmp_path: Path) -> None:
    results = make_results(tmp_path, source="local")
    results.manifest["studies"]["fig2"]["statements"] = []
    assert str(reproduction_render.section(build_reproduction(results))) == ""


def test_nothing_run_says_so(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.expect(factors("pase", "frozen", "openmic"))
    results.manifest["studies"]["fig2"]["statements"] = STATEMENTS[1:2]
    page = str(reproduction_render.section(build_reproduction(results)))
    assert "Nothing that a publication states has been run yet." in page
    assert json.loads((tmp_path / "statistics" / "summary.json").read_text())["cells"] == 0
