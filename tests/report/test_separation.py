"""What was judged stands beside the studies that use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.results import Results, factors
from workflow_scripts.factors import PRETRAINING
from workflow_scripts.report import separation
from workflow_scripts.statistics.plan import Plan, read_plan

NUMBERS = {"songs": 12, "si_sdr": -3.04, "si_sdr_gain": 9.06, "sdr": 1.0, "sdr_gain": -0.01}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results(tmp_path)
    cell = factors("unet", "fine_tuned", "openmic", corpus="musdb18", workers="drums")
    results.expect(cell)
    other = factors("unet", "fine_tuned", "openmic", corpus="musdb18", workers="vocals")
    results.plan["pretrained"] = [
        {"folder": str(tmp_path / each["workers"]), "factors": {name: each[name] for name in PRETRAINING}}
        for each in (cell, other)
    ]
    return results


def judged(folder: Path) -> None:
    folder.mkdir()
    numbers = {"source": "twin", "sources": {"drums": NUMBERS}}
    (folder / "separation.json").write_text(json.dumps(numbers), encoding="utf-8")


def table(results: Results) -> separation.Separation:
    plan: Plan = read_plan(results.plan_file())
    return separation.of_study(plan.studies[0], plan)


def test_the_runs_of_a_study_have_a_row_for_each_source(results: Results) -> None:
    judged(results.folder / "drums")
    judged(results.folder / "vocals")  # which the study does not use
    (row,) = table(results).rows
    assert row == (
        *("U-Net", "drums", "MUSDB18", "wu2021", "0", "twin", "drums", "12"),
        *("\N{MINUS SIGN}3.0", "+9.1", "1.0", "0.0"),
    )
    assert len(row) == len(separation.HEADINGS)


def test_what_was_not_judged_has_no_row(results: Results) -> None:
    assert table(results).rows == ()
