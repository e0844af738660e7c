import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.corpora import write_corpus
from tests.records import seal
from tests.synthetic_results import Results, factors, full
from workflow_scripts import aggregate, compose, draw, tabulate
from workflow_scripts.audio.quarantine_limit import SHARES_VARIABLE
from workflow_scripts.core.checksums import add_checksums
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.manifest import Study
from workflow_scripts.statistics.tables.schema import TABLES


def run(results: Results, name: str = "statistics", *more: str) -> Path:
    folder = results.folder / name
    aggregate.main(["--manifest", results.manifest_file(), "--code", "abc", "--output", str(folder), *more])
    return folder


def results_with_predictions(folder: Path) -> Results:
    """Results with predictions, on two data sets."""
    results = Results(folder)
    for place, encoder in enumerate(("pase", "random", "handcrafted")):
        for dataset in ("openmic", "fma_small"):
            results.predict(factors(encoder, "frozen", dataset), 1 + place / 3, seed=place)
    return results


def test_same_trials_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    results = results_with_predictions(tmp_path)
    first, second = run(results, "first"), run(results, "second", "--threads", "3")
    names = sorted(path.name for path in first.iterdir())
    tables = [f"{name}.csv" for name in (*TABLES, "cells", "reproduction", "trials")]
    assert names == sorted([*tables, "summary.json", "trials.parquet"])
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_tidy_table_does_not_depend_on_the_order_of_the_plan(tmp_path: Path) -> None:
    results = full(tmp_path)
    first = run(results, "first")
    results.manifest["cells"].reverse()
    second = run(results, "second")
    assert (first / "trials.parquet").read_bytes() == (second / "trials.parquet").read_bytes()
    assert (first / "trials.csv").read_bytes() == (second / "trials.csv").read_bytes()


def test_csv_and_parquet_hold_the_same_trials(tmp_path: Path) -> None:
    folder = run(full(tmp_path))
    parquet = pd.read_parquet(folder / "trials.parquet")
    text = pd.read_csv(folder / "trials.csv", dtype=str, keep_default_na=False)
    assert len(parquet) == len(text) == 2 * 5 * 10 * 2  # data sets, methods, trials, metrics
    assert parquet["value"].tolist() == [float(value) for value in text["value"]]


def test_the_summary_says_what_went_in_and_what_did_not(tmp_path: Path) -> None:
    results = full(tmp_path)
    path = results.expect(factors("pase", "frozen", "fma_medium"))
    summary = json.loads((run(results) / "summary.json").read_text())
    assert summary["missing"] == [str(path)]
    assert (summary["cells"], summary["trials"], summary["code"]) == (10, 100, "abc")


def test_a_stale_result_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.manifest["cells"][3]["code"] = "new"
    with pytest.raises(UserError, match="stale"):
        run(results)
    assert not (tmp_path / "statistics").exists()


def test_after_a_run_that_failed_stale_results_are_missing(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.manifest["cells"][3]["code"] = "new"
    results.manifest["unfinished"] = True
    folder = run(results)
    entries = pd.read_csv(folder / "entries.csv", keep_default_na=False)
    missing = entries[entries["status"] == "missing"]
    assert missing["reason"].tolist() == ["stale: computed with other code or another config, not yet re-run"]
    assert json.loads((folder / "summary.json").read_text())["missing"] == [results.manifest["cells"][3]["path"]]
    assert len(pd.read_csv(folder / "trials.csv")) == 9 * 10 * 2


def test_predictions_that_do_not_give_the_trials_stop_it(tmp_path: Path) -> None:
    results = results_with_predictions(tmp_path)
    first, second = (Path(results.manifest["cells"][place]["path"]) for place in (0, 2))
    first.with_name("predictions.npz").replace(second.with_name("predictions.npz"))
    with pytest.raises(UserError, match=r"predictions\.npz does not give the macro_f1 of its trials"):
        run(results)
    assert not (tmp_path / "statistics").exists()


def test_after_a_run_that_failed_damaged_predictions_are_left_out(tmp_path: Path) -> None:
    results = results_with_predictions(tmp_path)
    manifest = results.manifest_file()
    predictions = Path(results.manifest["cells"][0]["path"]).with_name("predictions.npz")
    predictions.write_bytes(predictions.read_bytes()[:-1])
    arguments = ["--manifest", manifest, "--output", str(tmp_path / "statistics")]
    with pytest.raises(UserError, match=r"predictions\.npz is not the file that its job wrote"):
        aggregate.main(arguments)
    results.manifest["unfinished"] = True
    Path(manifest).write_text(json.dumps(add_checksums(results.manifest, {})))
    aggregate.main(arguments)
    assert len(pd.read_csv(tmp_path / "statistics" / "trials.csv")["value"])


def test_one_study_that_fails_is_an_entry_and_the_others_are_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = full(tmp_path, datasets=["openmic"])
    expected = run(results, "whole")
    study = results.manifest["studies"]["fig2"]
    results.manifest["studies"]["fig3"] = study | {"title": "Broken"}
    real = aggregate.contrasts

    def fail_for_fig3(study: Study, *more: Any) -> Any:
        if study.name == "fig3":
            raise ZeroDivisionError("nothing to divide by")
        return real(study, *more)

    monkeypatch.setattr(aggregate, "contrasts", fail_for_fig3)
    folder = run(results)
    assert (folder / "entries.csv").read_bytes() == (expected / "entries.csv").read_bytes()
    reason = "ZeroDivisionError: nothing to divide by"
    assert f"prelude: the statistics of fig3 failed, the others continue: {reason}" in capsys.readouterr().err
    read = ["--manifest", results.manifest_file(), "--statistics", str(folder)]
    tabulate.main([*read, "--output", str(tmp_path / "tables")])
    assert f"The table could not be produced: {reason}" in (tmp_path / "tables" / "fig3.md").read_text()
    draw.main([*read, "--output", str(tmp_path / "figures")])
    assert reason in (tmp_path / "figures" / "fig3.csv").read_text()
    compose.main([*read, "--figures", str(tmp_path / "figures"), "--output", str(tmp_path / "report")])
    assert reason in (tmp_path / "report" / "studies" / "fig3.html").read_text()


def test_a_study_that_came_to_tolerate_less_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = full(tmp_path)
    corpus = write_corpus(tmp_path / "openmic", clips=9, seconds=0.1).folder
    (corpus / "quarantine.csv").write_text("clip,reason\nc9,silent\n")
    seal(corpus / "quarantine.csv", quarantined=1)
    results.manifest["corpora"] = [str(corpus), str(tmp_path / "not there yet")]
    monkeypatch.setenv(SHARES_VARIABLE, '{"openmic": 0.1}')
    run(results, "tolerated")
    monkeypatch.setenv(SHARES_VARIABLE, '{"openmic": 0.05}')
    with pytest.raises(UserError, match="1 silent such as c9"):
        run(results)
    assert not (tmp_path / "statistics").exists()


def test_nothing_measured_still_gives_every_table(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.expect(factors("pase", "frozen", "openmic"))
    results.expect(factors("random", "frozen", "openmic"))
    entries = pd.read_csv(run(results) / "entries.csv")
    assert entries["reason"].tolist() == ["not run", "not run"]
