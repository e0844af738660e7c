"""The benchmarks run to their end at the smallest sizes, and a row that became slower is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks.rows import GROUPS


@pytest.mark.slow
def test_all_rows_are_measured_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "bench.json"
    benchmarks.main(["--smallest", "--output", str(output)])
    content = json.loads(output.read_text())
    assert content["machine"]["cores"]
    assert len(content["rows"]) > len(GROUPS)
    assert all(row["ratio"] > 0 for row in content["rows"])
    table = capsys.readouterr().out
    assert all(f"{row['ratio']:.2f} x" in table for row in content["rows"])


def test_a_row_that_became_slower_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--smallest", "--group", "features", "--output", str(tmp_path / "bench.json")]
    benchmarks.main(arguments)
    content = json.loads((tmp_path / "bench.json").read_text())
    slower, faster = content["rows"]
    slower["ratio"] /= 100  # planted: it was a hundred times as fast
    faster["ratio"] *= 100
    old = tmp_path / "old.json"
    old.write_text(json.dumps(content))
    capsys.readouterr()
    benchmarks.main([*arguments, "--compare", str(old)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("slower", "new"))]
    assert len(lines) == 1
    assert lines[0].startswith(f"slower: {slower['name']}: ")


def test_rows_that_an_old_run_lacks_are_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--smallest", "--group", "features", "--output", str(tmp_path / "bench.json")]
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"machine": {"processor": "an abacus"}, "rows": []}))
    benchmarks.main([*arguments, "--compare", str(old)])
    text = capsys.readouterr().out
    assert f"{old} is of another processor, an abacus" in text
    assert text.count("new: features, against ") == 2


def test_rows_that_are_gone_are_named_if_all_groups_were_measured() -> None:
    row = benchmarks.Measurement(name="kept", anchor="1 s", seconds=1, anchor_seconds=1, ratio=1)
    old = {"kept": 1.0, "renamed": 1.0}
    assert benchmarks.compare([row], old, complete=True) == ["gone: renamed"]
    assert benchmarks.compare([row], old, complete=False) == []


def test_a_missing_or_overwritten_old_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "bench.json"
    table.write_text("{}")
    for old, reason in [(tmp_path / "none.json", "no such file"), (table, "would be overwritten")]:
        with pytest.raises(SystemExit):
            benchmarks.main(["--compare", str(old), "--output", str(table)])
        assert reason in capsys.readouterr().err
    assert table.read_text() == "{}"
