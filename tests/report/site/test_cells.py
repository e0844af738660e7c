"""Pages of single numbers: the same as `explain` prints."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.report.aggregated_study import statistics
from tests.report.test_renderers import outline
from tests.synthetic_results import CODE, Results, factors, full
from workflow_scripts import compose, explain
from workflow_scripts.report.site import predictions


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
        assert re.search(rf"\b{trial} {seed} {value} 200 30 0\.001 1\.25 \d+\.\d+", page), "the accuracy comes last"
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


def test_titles_of_numbers_name_what_tells_them_apart(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.manifest["studies"]["fig2"]["rows"] = ["encoder", "workers", "fraction", "scenario"]
    for more in ({}, {"workers": "WLP"}, {"workers": "WLP", "fraction": "1pct"}):
        results.add(factors("pase", "frozen", "openmic", **more), [0.5, 0.6, 0.7])
    results.add(factors("pase", "frozen", "fma_small"), [0.5, 0.6, 0.7])
    statistics(results)
    pages = (compose_report(results) / "cells").glob("*.html")
    titles = {re.findall("<h1>(.*)</h1>", path.read_text(encoding="utf-8"))[0] for path in pages}
    names = ("WLPMCT, 100 %", "WLP, 100 %", "WLP, 1 %")
    assert titles == {"PASE, frozen, FMA small", *(f"PASE, frozen, OpenMIC, {name}" for name in names)}


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


HOSTILE = ("<script>x", "=cmd()", "a;=1", "\x1b[31m")


def test_predictions_are_a_csv_file_and_confusions_are_listed(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    cell = results.predict(factors("pase", "frozen", "openmic"), 0.5, clips=40)
    path = cell.with_name("predictions.npz")
    stored = dict(np.load(path))
    stored["classes"] = np.array(HOSTILE)
    stored["clips"] = np.array(["=clip()", *stored["clips"][1:]])
    np.savez(path, **stored)
    statistics(results)
    page = page_of(results, "PASE, frozen, OpenMIC")
    (file,) = (tmp_path / "report" / "cells").glob("*.csv")
    assert f'href="../cells/{file.name}" download' in page
    rows = list(csv.reader(file.open(encoding="utf-8", newline="")))
    assert rows[0] == ["clip", "true", *(f"score: {name}" for name in HOSTILE)]
    assert rows[1][0] == "'=clip()"
    assert not any(re.match(r"[=+\-@]", text) for row in rows for text in row[:2]), "no spreadsheet computes them"
    scores = stored["scores"].mean(axis=0, dtype=float)
    assert np.allclose([[float(score) for score in row[2:]] for row in rows[1:]], scores, rtol=1e-3)
    wrong = scores.argmax(axis=1) != stored["labels"].argmax(axis=1)
    listed = re.findall(r"<td class=\"number\">(\d+)</td><td>[^<]*</td><td class=\"number\">[-\d.]+</td></tr>", page)
    assert 1 <= len(listed) <= 5
    assert sum(map(int, listed)) <= wrong.sum()
    assert "<audio" not in page, "the config does not ask for it"
    assert "<script>x" not in page


def test_predictions_that_would_make_a_report_too_large_are_left_in_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for dataset, clips in (("openmic", 40), ("fma_small", 80)):
        results.predict(factors("pase", "frozen", dataset), 0.5, clips=clips)
    statistics(results)
    small = Path(results.manifest["cells"][0]["path"]).with_name("predictions.npz")
    monkeypatch.setattr(predictions, "MAX_BYTES", small.stat().st_size)
    page = words(page_of(results, "PASE, frozen, FMA small"))
    assert "The predictions of FMA small are not in the report" in page
    assert len(list((tmp_path / "report" / "cells").glob("*.csv"))) == 1
    small.write_bytes(b"PK")
    text = words(page_of(results, "PASE, frozen, OpenMIC"))
    assert "predictions.npz" in text


def test_clips_are_played_if_the_config_asks_for_it(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    corpus = write_corpus(tmp_path / "corpora" / "openmic" / "16000", clips=9, seconds=0.1)
    cell = results.predict(factors("pase", "frozen", "openmic"), 0.1, clips=9, groups=3)
    path = cell.with_name("predictions.npz")
    np.savez(path, **(dict(np.load(path)) | {"clips": corpus.clips["clip"].to_numpy(str)}))
    results.manifest["corpora"] = [str(corpus.folder)]
    statistics(results)
    for allowed in (True, False):
        results.manifest["datasets"] = {"openmic": {"license": "CC BY 4.0", "audio": allowed}}
        results.manifest_file()
        statistics(results)
        page = page_of(results, "PASE, frozen, OpenMIC")
        sounds = re.findall(
            r'<audio controls preload="none" src="\.\./(audio/openmic/\d+\.ogg)" aria-label="Clip', page
        )
        assert bool(sounds) == allowed
        assert all((tmp_path / "report" / sound).read_bytes()[:4] == b"OggS" for sound in sounds)
    assert not list((tmp_path / "report").rglob("*.ogg")), "those of the report before are removed"
