"""The command that lists what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
from tests.programs import FakePrograms
from workflow_scripts import status
from workflow_scripts.report.status import SNAKEMAKE_LOGS

CONFIG = ["--configfile", str(REPOSITORY / "config" / "smoke.yaml")]
ACQUIRED, LOG = "data/smoke/openmic/acquired.json", "results/smoke/logs/acquire/openmic.log"


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    folder = tmp_path / "workflow"
    folder.mkdir()
    monkeypatch.chdir(folder)
    programs = FakePrograms(tmp_path / "programs", monkeypatch)
    programs.answers("squeue", (1, "", "no controller"))
    return programs


def read_output(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        status.main(CONFIG)
    assert ended.value.code == status.EXIT_MISSING
    return capsys.readouterr().out


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_nothing_has_run(capsys):
    text = read_output(capsys)
    assert "acquire openmic: not run: was not started" in text
    assert "prepare openmic" not in text
    assert " more: waits for acquire openmic" in text
    assert "0 of " in text


def test_a_failed_job_names_its_reason_and_its_log(capsys):
    write(LOG, "prelude: openmic: no such folder\n")
    text = read_output(capsys)
    assert "acquire openmic: failed: openmic: no such folder" in text
    assert LOG in text


def test_a_finished_job_is_not_listed(capsys):
    write(ACQUIRED, json.dumps({"seconds": 1.0}))
    text = read_output(capsys)
    assert "acquire openmic:" not in text
    assert "prepare openmic/16000: not run: was not started" in text
    assert "1 of " in text


def test_a_job_in_the_queue_says_so(programs, capsys):
    rows = ["[Sat Nov 21 07:00:00 2026]", "rule acquire:", f"    output: {ACQUIRED}", f"    log: {LOG}", "    jobid: 4"]
    rows += ["Job 4 has been submitted with SLURM jobid 11 (log: x)."]
    write(f"{SNAKEMAKE_LOGS}/2026.snakemake.log", "\n".join(rows))
    programs.answers("squeue", (0, "11|PENDING|0:00|Resources\n", ""), (0, "11|RUNNING|1:05|None\n", ""))
    assert "acquire openmic: is SLURM job 11, pending (Resources)" in read_output(capsys)
    assert "acquire openmic: runs as SLURM job 11 for 1:05" in read_output(capsys)


def test_a_mistake_in_yaml_is_one_line_with_file_and_line(tmp_path):
    """Snakemake names neither; docs/troubleshooting.md refers to this command."""
    config = tmp_path / "own.yaml"
    config.write_text("results: results/own\nrecipes:\n\tshort: {epochs: 1}\n", encoding="utf-8")
    command = [sys.executable, "-m", "workflow_scripts.status", "--configfile", str(config)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    message = f"prelude: {config}: cannot be read as YAML: line 3 begins with a tab: indent with spaces\n"
    assert (process.returncode, process.stdout, process.stderr) == (2, "", message)


def test_refused_submissions_are_shown(capsys):
    write("logs/slurm/rule_acquire/openmic/refused.log", "2026-11-21 07:00:00 sbatch: error: drain\n")
    assert "SLURM refuses logs/slurm/rule_acquire/openmic: 2026-11-21 07:00:00 sbatch: error: drain" in read_output(
        capsys
    )
