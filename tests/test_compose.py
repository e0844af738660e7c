import json
import re
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


def run(results: Results, name: str = "report") -> Path:
    compose.main(
        [
            "--manifest",
            results.manifest_file(),
            "--statistics",
            str(results.folder / "statistics"),
            "--figures",
            str(results.folder / "figures"),
            "--output",
            str(results.folder / name),
        ]
    )
    return results.folder / name


def pages(results: Results, name: str = "report") -> dict[str, str]:
    """Compose the report; return its pages by their path."""
    folder = run(results, name)
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}


def words(page: str) -> str:
    return re.sub(r"\s+", " ", outline(page).text)


def test_every_page_says_the_scale_and_that_data_are_synthetic(results: Results) -> None:
    for page in pages(results).values():
        text = words(page)
        assert "Scale: demo. Data source: twin." in text
        assert "Twin numbers must not be compared with published numbers." in text


def test_each_part_has_its_page(results: Results) -> None:
    site = pages(results)
    assert "reproduction.html" not in site, "the study is compared with no publication"
    assert "1 of 10 evaluations are missing" in words(site["index.html"])
    study = words(site["studies/fig2.html"])
    assert "Is <b>PASE</b> & Co better?" in study
    assert "OpenMIC (twin): frozen PASE beats random weights by" in study
    data = words(site["data.html"])
    assert "OpenMIC, 16,000 Hz silent 2 OpenMIC, 16,000 Hz truncated 1" in data
    assert "OpenMIC, 16,000 Hz: files that no clip uses: 2 .zip" in data
    assert re.search(r"300 \(15 min 00 s\)\W+3\W+4\W+5", data), "clips, quarantined, scaled, defective"
    assert data.count(" 90 2 ") == 1, "FMA small was not prepared here; OpenMIC was, and is listed as that"
    assert "1 min 01 s" in words(site["jobs.html"])
    provenance = words(site["provenance.html"])
    assert "2.3" in provenance
    assert "Jobs started 2026-02-03 (UTC)" in provenance


def test_every_link_leads_to_a_file_of_the_site(results: Results) -> None:
    folder = run(results)
    for path in folder.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|https?://(?!www\.w3\.org/)", page), "it needs no network"
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        for target in re.findall(r"""\b(?:src|href|xlink:href)="([^"]+)"|url\(([^)]+)\)""", page):
            file, _, fragment = "".join(target).partition("#")
            assert (path.parent / file).exists() if file else fragment in ids, target


def test_each_number_of_a_table_links_to_its_cells(results: Results) -> None:
    site = pages(results)
    links = set(re.findall(r'href="\.\./(cells/[0-9a-f]+\.html)"', site["studies/fig2.html"]))
    assert links == {path for path in site if path.startswith("cells/")}
    assert len(links) == 10


def test_pages_of_an_earlier_run_are_removed_and_other_files_stay(results: Results) -> None:
    whole = dict(results.manifest["studies"])
    results.manifest["studies"]["other"] = results.manifest["studies"]["fig2"]
    try:
        folder = run(results, "twice")
    finally:
        results.manifest["studies"] = whole
    assert (folder / "studies" / "other.html").is_file()
    own = [folder / "notes.md", folder / "studies" / "mine.csv"]
    for path in own:
        path.write_text("of the user", encoding="utf-8")
    assert run(results, "twice") == folder
    assert not (folder / "studies" / "other.html").exists()
    assert (folder / "studies" / "fig2.html").is_file()
    assert all(path.is_file() for path in own)


def test_the_figure_is_inline_and_described(results: Results) -> None:
    page = pages(results)["studies/fig2.html"]
    assert page.count("<figure>") == page.count('<svg role="img"') == 1
    assert re.search(r'<svg role="img" aria-label="Figure: Encoders &amp; scenarios \(Fig\. 2\)\. Macro F1', page)


def test_the_numbers_of_the_figure_and_its_words_can_be_unfolded(results: Results) -> None:
    page = pages(results)["studies/fig2.html"]
    in_words, numbers = re.findall(
        r"<details>\n<summary>(The (?:figure|numbers of the f).*?)</details>", page, re.DOTALL
    )
    assert "OpenMIC (twin): PASE, supervised" not in in_words  # that cell is missing
    assert "OpenMIC (twin): PASE, frozen 5" in in_words
    assert numbers.count("<tr>") == 1 + 10
    assert "In every row: metric: macro F1; unit: %" in re.sub(r"\s+", " ", numbers)
    assert "<td>not run</td>" in numbers


def test_every_heading_of_a_table_says_what_it_heads(results: Results) -> None:
    for page in pages(results).values():
        assert set(outline(page).scopes) <= {"row", "col", "rowgroup", "colgroup"}


def test_same_inputs_same_bytes(results: Results) -> None:
    first, second = run(results, "first"), run(results, "second")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) > 15
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [file for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []


def test_a_run_that_failed_is_marked_and_needs_no_corpora(results: Results) -> None:
    assert "Unfinished" not in pages(results)["index.html"]
    whole = dict(results.manifest)
    results.manifest |= {"unfinished": True, "corpora": [*whole["corpora"], str(results.folder / "not there")]}
    try:
        sentence = "Unfinished: the workflow failed. These pages show what it had finished."
        assert sentence in pages(results, "unfinished")["index.html"]
    finally:
        results.manifest.clear()
        results.manifest.update(whole)


def test_a_study_with_a_listening_page_links_it(results: Results) -> None:
    link = 'href="../../listening/fig2/index.html"'
    assert link not in pages(results)["studies/fig2.html"]
    results.manifest["studies"]["fig2"]["listening"] = {"rows": "clips"}
    try:
        assert link in pages(results, "listening")["studies/fig2.html"]
    finally:
        del results.manifest["studies"]["fig2"]["listening"]
