import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.aggregated_study import statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import Results, full
from workflow_scripts import compose, draw

FACTS = {
    **{"dataset": "openmic", "task": "multilabel", "classes": [], "sample_rate": 16000, "source": "twin"},
    **{
        "clips": 300,
        "seconds": 900.0,
        "quarantined": 3,
        "notes": ["files that no clip uses: 2 .zip"],
        "scaled": 4,
        "defective": 5,
        "digest": "at 16 kHz",
        "content": "dataopenmic",
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("results"))
    results.manifest["studies"]["fig2"]["question"] = "Is <b>PASE</b> & Co better?"
    record = {"config": {}, "seconds": 61, "peak_memory_bytes": 5e8, "device": "cpu", "versions": {"numpy": "2.3"}}
    record["started"] = "2026-02-03T04:05:06Z"
    for evaluation in results.manifest["cells"]:
        Path(evaluation["path"]).with_name("record.json").write_text(json.dumps(record))
    Path(results.manifest["cells"][0]["path"]).unlink()
    corpus = results.folder / "corpus"
    corpus.mkdir()
    (corpus / "corpus.json").write_text(json.dumps(FACTS))
    (corpus / "quarantine.csv").write_text("clip,reason\na,silent\nb,truncated\nc,silent\n")
    results.manifest["records"] = [("pretrain", str(results.folder / "nothing"))]
    arguments = ["--manifest", results.manifest_file(), "--statistics", str(statistics(results))]
    draw.main([*arguments, "--output", str(results.folder / "figures")])
    results.manifest["corpora"] = [str(corpus)]  # of facts alone, which statistics would refuse
    return results


def run(results: Results, name: str = "index.html") -> str:
    page = results.folder / name
    compose.main(
        [
            "--manifest",
            results.manifest_file(),
            "--statistics",
            str(results.folder / "statistics"),
            "--figures",
            str(results.folder / "figures"),
            "--output",
            str(page),
        ]
    )
    return page.read_text(encoding="utf-8")


def test_one_page_says_it_all(results: Results) -> None:
    text = re.sub(r"\s+", " ", outline(run(results)).text)
    assert "Scale: demo. Data source: twin." in text
    assert 'id="reproduction"' not in text, "the study is compared with no publication"
    assert "Twin numbers must not be compared with published numbers." in text
    assert "1 of 10 evaluations are missing" in text
    assert "Is <b>PASE</b> & Co better?" in text
    assert "OpenMIC (twin): frozen PASE beats random weights by" in text
    assert "silent: 2; truncated: 1; files that no clip uses: 2 .zip" in text
    assert re.search(r"300 \(15 min 00 s\)\W+3\W+4\W+5", text), "clips, and how many are quarantined, scaled, defective"
    assert text.count("90 (test)") == 1, "FMA small was not prepared here; OpenMIC was, and is listed as that"
    assert "10" in text
    assert "1 min 01 s" in text
    assert "2.3" in text
    assert "Jobs started 2026-02-03 (UTC)" in text


def test_it_needs_nothing_but_itself(results: Results) -> None:
    page = run(results)
    assert not re.search(r"""<(script|link|img|iframe)\b|@import|(src|href)=["'](?!#)|url\((?!#)""", page)


def test_the_figure_is_inline_and_described(results: Results) -> None:
    page = run(results)
    assert page.count("<svg ") == 1
    assert re.search(r'<svg role="img" aria-label="Figure: Encoders &amp; scenarios \(Fig\. 2\)\. Macro F1', page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert {one or other for one, other in targets} <= set(ids)


def test_the_numbers_of_the_figure_and_its_words_can_be_unfolded(results: Results) -> None:
    page = run(results)
    words, numbers = re.findall(r"<details>\n<summary>(.*?)</details>", page, re.DOTALL)[:2]
    assert "OpenMIC (twin): PASE, supervised" not in words  # that cell is missing
    assert "OpenMIC (twin): PASE, frozen 5" in words
    assert numbers.count("<tr>") == 1 + 10
    assert "In every row: metric: macro_f1; unit: %" in re.sub(r"\s+", " ", numbers)
    assert "<td>not run</td>" in numbers


def test_every_heading_of_a_table_says_what_it_heads(results: Results) -> None:
    assert set(outline(run(results)).scopes) == {"row", "col"}


def test_same_inputs_same_bytes(results: Results) -> None:
    assert run(results, "first.html") == run(results, "second.html")


def test_statistics_and_report_never_import_torch() -> None:
    modules = ", ".join(f"workflow_scripts.{verb}" for verb in ("aggregate", "tabulate", "draw", "compose", "show"))
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_that_failed_is_marked_and_needs_no_corpora(results: Results) -> None:
    assert "Unfinished" not in run(results)
    whole = dict(results.manifest)
    results.manifest |= {"unfinished": True, "corpora": [*whole["corpora"], str(results.folder / "not there")]}
    try:
        assert "Unfinished: the workflow failed. The page shows what it had finished." in run(
            results, "unfinished.html"
        )
    finally:
        results.manifest.clear()
        results.manifest.update(whole)


def test_a_study_with_a_listening_page_links_it(results: Results) -> None:
    link = 'href="../listening/fig2/index.html"'
    assert link not in run(results)
    results.manifest["studies"]["fig2"]["listening"] = {"rows": "clips"}
    try:
        assert link in run(results, "listening.html")
    finally:
        del results.manifest["studies"]["fig2"]["listening"]
