from pathlib import Path

import pytest

from tests.synthetic_results import CODE, CONFIG, factors
from workflow_scripts.planning.manifest import PlannedCell, PlannedJob
from workflow_scripts.statistics.failure_reasons import in_short, missing_reason

CRASH = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no such thing\n'


def evaluation(folder: Path, **logs: str) -> PlannedCell:
    """An evaluation whose jobs, in order, have these logs."""
    for stage, text in logs.items():
        (folder / f"{stage}.log").write_text(text)
    jobs = tuple(
        PlannedJob(stage=stage, output=folder / stage, record=folder / f"{stage}.json", log=folder / f"{stage}.log")
        for stage in ("prepare", "pretrain", "evaluate")
    )
    levels = {name: str(level) for name, level in factors("pase", "frozen", "openmic").items()}
    path = folder / "trials.csv"
    return PlannedCell(path=path, code=CODE, config=CONFIG, factors=levels, studies=("fig2",), jobs=jobs)


def test_without_a_word_in_any_log_it_was_not_run(tmp_path: Path) -> None:
    assert missing_reason(evaluation(tmp_path)) == "not run"
    assert missing_reason(evaluation(tmp_path, prepare="", pretrain="\n\n")) == "not run"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (CRASH, "failed: pretrain: ValueError: no such thing"),
        ("epoch 1\nprelude: out of  memory\n\n", "failed: pretrain: out of memory"),
        (
            "prelude: out of memory\nUserWarning: leaked semaphore\n  warnings.warn(\n",
            "failed: pretrain: out of memory",
        ),
        (
            "usage: pretrain [-h]\npretrain: error: no such option\n",
            "failed: pretrain: pretrain: error: no such option",
        ),
        (CRASH + "slurmstepd: cancelled\n", "failed: pretrain: slurmstepd: cancelled"),
        ("epoch 1\nepoch 2\n", "unfinished: pretrain: its log ends with: epoch 2"),
        ("prelude: " + "x" * 999, "failed: pretrain: " + "x" * 240),
    ],
)
def test_the_last_line_of_the_failed_job_says_why(tmp_path: Path, log: str, reason: str) -> None:
    assert missing_reason(evaluation(tmp_path, pretrain=log)) == reason


def test_a_job_that_has_its_output_is_not_to_blame(tmp_path: Path) -> None:
    (tmp_path / "prepare").touch()
    reason = missing_reason(
        evaluation(tmp_path, prepare="prelude: a former failure", pretrain="prelude: the disk is full")
    )
    assert reason == "failed: pretrain: the disk is full"


def test_the_first_in_order_that_failed_is_to_blame(tmp_path: Path) -> None:
    reason = missing_reason(evaluation(tmp_path, prepare="prelude: no files", evaluate="prelude: from long ago"))
    assert reason == "failed: prepare: no files"


def test_trials_that_were_not_gathered_are_stale(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").touch()
    assert missing_reason(evaluation(tmp_path)).startswith("stale: ")
    assert missing_reason(evaluation(tmp_path, prepare="prelude: no files")) == "failed: prepare: no files"


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    cell = evaluation(tmp_path, prepare="x" * 200_000 + "\nprelude: at last\n")
    assert missing_reason(cell) == "failed: prepare: at last"


def test_in_short() -> None:
    assert in_short("failed: pretrain: out of memory") == "failed"
    assert in_short("not run") == "not run"
