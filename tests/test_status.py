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
from tests.snakemake_events import RecordedRun
from workflow_scripts import status
from workflow_scripts.configuration.load import load
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan
from workflow_scripts.statistics.reproduction.statements import load_statements

CONFIG_FOLDER = REPOSITORY / "config"
CONFIG = ["--configfile", str(CONFIG_FOLDER / "smoke.yaml")]
ACQUIRED, LOG = "data/smoke/openmic/acquired.json", "results/smoke/logs/acquire/openmic.log"
JOURNAL = Path("results/smoke/logs/attempts.jsonl")


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
    plan = Plan(*load([CONFIG_FOLDER / "config.yaml", CONFIG_FOLDER / "smoke.yaml"], folder=CONFIG_FOLDER))
    job = plan.jobs.acquire("openmic")
    write(ACQUIRED, json.dumps({"seconds": 1.0, "code": job.code, "config": json.loads(job.config)}))
    text = read_output(capsys)
    assert "acquire openmic:" not in text
    assert "prepare openmic/16000: not run: was not started" in text
    assert "1 of " in text
    write(ACQUIRED, json.dumps({"seconds": 1.0, "code": "of before", "config": json.loads(job.config)}))
    assert "acquire openmic: stale: computed with other code" in read_output(capsys)


def test_a_job_in_the_queue_says_so(programs, monkeypatch, capsys):
    run = RecordedRun(JOURNAL, monkeypatch, at=1.8e9)
    run.start(ACQUIRED, log=LOG)
    assert "acquire openmic: running: since 20" in read_output(capsys)
    run.submit(ACQUIRED, "11")
    programs.answers("squeue", (0, "11|PENDING|0:00|Resources\n", ""), (0, "11|RUNNING|1:05|None\n", ""))
    assert "acquire openmic: is SLURM job 11, pending (Resources)" in read_output(capsys)
    assert "acquire openmic: runs as SLURM job 11 for 1:05" in read_output(capsys)


def test_a_killed_job_says_so(monkeypatch, capsys):
    run = RecordedRun(JOURNAL, monkeypatch, at=1.8e9)
    run.start(ACQUIRED, log=LOG)
    run.fail(ACQUIRED, log=LOG, error="died with <Signals.SIGKILL: 9>")
    text = read_output(capsys)
    assert "acquire openmic: failed: killed by SIGKILL, probably because memory ran out" in text
    assert "[1 of 1 attempts failed]" in text
    assert "acquire openmic: not run" not in text


def test_failed_jobs_that_no_cell_needs_are_listed(monkeypatch, capsys):
    run = RecordedRun(JOURNAL, monkeypatch, at=1.8e9)
    page, log = "results/smoke/report/index.html", "results/smoke/logs/compose.log"
    run.start(page, log=log, rule="compose")
    run.fail(page, log=log, error="returned non-zero exit status 1")
    assert f"compose {page}: failed: ended with exit code 1 and no message" in read_output(capsys)
    write(page, "")
    assert "compose" not in read_output(capsys), "it has been made since"


def test_a_report_of_another_plan_or_of_older_trials_is_not_the_end(monkeypatch, capsys):
    config, studies = load([CONFIG_FOLDER / "config.yaml", CONFIG_FOLDER / "smoke.yaml"], folder=CONFIG_FOLDER)
    plan = Plan(config, studies, load_statements(studies, config, folder=CONFIG_FOLDER))
    manifest = build_manifest(plan)
    monkeypatch.setattr(status.status, "list_statuses", lambda *_, **__: [])  # all are done
    for cell in manifest.cells:
        write(str(cell.path), "")
    plans = [plan.layout.manifest(manifest.digest), f"{plan.layout.statistics}/plan.json"]
    for path, text in zip([*plans, plan.layout.report], ["plan", "plan", "page"], strict=True):
        write(path, text)
    status.main(CONFIG)
    os.utime(manifest.cells[0].path, (2e9, 2e9))
    assert "Tables and report are not yet those of these jobs" in read_output(capsys)
    os.utime(manifest.cells[0].path, (1e9, 1e9))
    write(plans[1], "plan of before")
    assert "Tables and report are not yet those of these jobs" in read_output(capsys)


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
