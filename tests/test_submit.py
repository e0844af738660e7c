"""Submitting to a controller that refuses for a while; the real one is in tests/cluster."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.programs import FakePrograms
from workflow_scripts import submit

AWAY = (1, "", "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n")
CLOSED = (1, "", "sbatch: error: Batch job submission failed: Required partition not available (inactive or drain)\n")
FULL = (1, "", "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Job violates accounting/QOS policy\n")
LONG = (1, "", "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting/QOS policy\n")
WRONG = (1, "", "sbatch: error: invalid partition specified: gpus\n")
ACCEPTED = (0, "17\n", "")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr(submit, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(submit, "LONGEST_PAUSE", 0.02)
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("squeue", (0, "", ""))
    return programs


def code(folder: Path) -> int:
    command = ["sbatch", "--parsable", "--job-name", "run1", "--output", str(folder / "%j.log")]
    with pytest.raises(SystemExit) as ended:
        submit.main([*command, "--comment", "rule_work_wildcards_3", "--wrap=true"])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("refusal", [AWAY, CLOSED, FULL])
def test_what_passes_is_waited_for(programs, tmp_path, capsys, refusal):
    programs.answers("sbatch", refusal, refusal, ACCEPTED)
    assert code(tmp_path) == 0
    assert capsys.readouterr() == ("17\n", ""), "the plugin takes errors for a failure"
    assert len(programs.calls("sbatch")) == 3
    assert not (tmp_path / submit.REFUSED).exists()


@pytest.mark.parametrize(("refusal", "message"), [(WRONG, "invalid partition"), (LONG, "QOSMaxWall")])
def test_what_is_wrong_ends_at_once(programs, tmp_path, capsys, refusal, message):
    programs.answers("sbatch", refusal, ACCEPTED)
    assert code(tmp_path) == 1
    assert message in capsys.readouterr().err
    assert len(programs.calls("sbatch")) == 1


def test_patience_ends_and_the_reason_stays(programs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(submit, "PATIENCE", 0.05)
    programs.answers("sbatch", CLOSED)
    assert code(tmp_path) == 1
    assert "inactive or drain" in capsys.readouterr().err
    assert "inactive or drain" in (tmp_path / submit.REFUSED).read_text()


def test_a_job_whose_answer_was_lost_is_not_submitted_twice(programs, tmp_path, capsys):
    lost = (1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n")
    programs.answers("sbatch", lost, ACCEPTED)
    programs.answers("squeue", (1, "", "away"), (0, "5|rule_work_wildcards_4\n9|rule_work_wildcards_3\n", ""))
    assert code(tmp_path) == 0
    assert capsys.readouterr().out == "9\n"
    assert len(programs.calls("sbatch")) == 1, "not while the controller cannot tell"
    assert "--name=run1" in programs.calls("squeue")[0]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_explains_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    submit.main(arguments)
    assert "sbatch ARGUMENT" in capsys.readouterr().out


def test_a_job_without_a_log_is_submitted_too(programs: FakePrograms) -> None:
    programs.answers("sbatch", ACCEPTED)
    with pytest.raises(SystemExit) as ended:
        submit.main(["sbatch", "--wrap=true"])
    assert ended.value.code == 0
