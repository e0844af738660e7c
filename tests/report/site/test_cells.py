"""Pages of single numbers: the same as `explain` prints."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.report.aggregated_study import statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import CODE, Results, factors, full
from workflow_scripts import compose, explain


def compose_report(results: Results) -> Path:
    """Compose the report of aggregated results without figures; return its folder."""
    folder = results.folder / "report"
    manifest = results.manifest_file(results.folder / "statistics")
    read = ["--manifest", manifest, "--statistics", str(results.folder / "statistics")]
    compose.main([*read, "--figures", str(results.folder / "figures"), "--output", str(folder)])
    return folder


def page_of(results: Results, title: str) -> str:
    """Return the page with a title."""
    texts = [path.read_text(encoding="utf-8") for path in (compose_report(results) / "cells").glob("*.html")]
    return next(text for text in texts if f"<h1>{title}</h1>" in text)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", outline(page).text)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = full(tmp_path, datasets=["openmic"])
    cell = Path(results.manifest["cells"][1]["path"])
    record = {"python": "3.11.7", "versions": {"torch": "2.11.0"}, "peak_memory_bytes": 5e8, "energy_joules": 70}
    cell.with_name("record.json").write_text(json.dumps(record))
    encoder = tmp_path / "pretrained" / "encoder.safetensors"
    encoder.parent.mkdir()
    encoder.touch()
    encoder.with_name("record.json").write_text(json.dumps({"code": "abcd", "seconds": 125.0, "device": "cuda: H200"}))
    jobs = [["pretrain", str(encoder), str(encoder.with_name("record.json")), "pretrain/log"]]
    jobs.append(["evaluate", str(cell), str(cell.with_name("record.json")), "logs/evaluate/cell.log"])
    results.manifest["jobs"] = jobs
    results.manifest["cells"][1]["jobs"] = [0, 1]
    statistics(results)
    return results


def test_a_page_shows_what_explain_prints(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    page = words(page_of(results, "PASE, frozen, OpenMIC"))
    explain.main(["fig2", "PASE, frozen", "OpenMIC", "--results", str(results.folder)])
    printed = capsys.readouterr().out
    rows = re.findall(r"^ +(\d) +(\d{4}) +(\d+\.\d{3}) +200 +30 +0\.001 +1\.25$", printed, re.MULTILINE)
    assert len(rows) == 10
    for trial, seed, value in rows:
        assert re.search(rf"\b{trial} {seed} \S+ {value} 200 30 0\.001 1\.25", page), "accuracy, macro F1"
    (number,) = re.findall(r"OpenMIC \(twin\): (.*)", printed)
    assert number in page
    (job,) = re.findall(r"pretrain: \S+ \((.*)\)$", printed, re.MULTILINE)
    assert "code abcd, 2 min 05 s, on cuda: H200" in job
    for fact in (CODE, "dataopenmic", "torch 2.11.0", "500 MB", "70", job, "logs/evaluate/cell.log"):
        assert fact in printed
        assert fact in page
    command = printed.rstrip().splitlines()[-1].strip()
    assert command in page
    assert shlex.split(command)[2] == "--force"


def test_a_page_links_the_studies_that_print_the_number(results: Results) -> None:
    page = page_of(results, "PASE, frozen, OpenMIC")
    assert 'href="../studies/fig2.html">Encoders &amp; scenarios (Fig. 2)</a>' in page


def test_a_number_without_trials_says_why(results: Results) -> None:
    Path(results.manifest["cells"][0]["path"]).unlink()
    statistics(results)
    assert "There are no trials: not run." in words(page_of(results, "PASE, supervised, OpenMIC"))


def test_every_pretraining_seed_has_its_trials(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for seed in range(3):
        results.add(factors("pase", "frozen", "openmic", seed=seed), [0.5, 0.6, 0.7])
    statistics(results)
    page = words(page_of(results, "PASE, frozen, OpenMIC"))
    assert [f"Pre-training seed {seed}" in page for seed in range(3)] == [True] * 3
    assert page.count("60.000 200") == 3
