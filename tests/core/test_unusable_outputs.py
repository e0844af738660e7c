"""Places that nothing can be written to end every command in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.aggregated_study import statistics
from tests.synthetic_results import full
from workflow_scripts import aggregate, compose, draw, export, tabulate
from workflow_scripts.core.errors import EXIT_USER_ERROR, run_command

PLACES = {
    "below a system folder": lambda folder: Path("/proc/x"),
    "a file": lambda folder: folder / "file",
    "below a file": lambda folder: folder / "file" / "a",
    "a circle of links": lambda folder: folder / "circle" / "a",
    "a long name": lambda folder: folder / ("x" * 300),
    "a pipe": lambda folder: folder / "pipe",
}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[str], None]]:
    results = full(tmp_path_factory.mktemp("results"), datasets=["openmic"], count=3)
    computed, manifest = str(statistics(results)), ["--manifest", results.manifest_file()]
    read = [*manifest, "--statistics", computed]
    (results.folder / "figures").mkdir()
    figures = ["--figures", str(results.folder / "figures")]
    encoder = ["--encoder", "pase", "--options", '{"width": 0.1}', "--license", "mit"]
    return {
        "tabulate": lambda output: tabulate.main([*read, "--output", output]),
        "draw": lambda output: draw.main([*read, "--output", output]),
        "aggregate": lambda output: aggregate.main([*manifest, "--output", output]),
        "compose": lambda output: compose.main([*read, *figures, "--output", output]),
        "export": lambda output: export.main([*encoder, "--to", output]),
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["tabulate", "draw", "aggregate", "compose", "export"])
def test_a_place_that_cannot_be_written_to_is_one_line(
    commands: dict[str, Callable[[str], None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    place: str,
) -> None:
    if not Path("/proc/1").is_dir() and place == "below a system folder":
        pytest.skip("no /proc")
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    output = str(PLACES[place](tmp_path))
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: commands[command](output))
    assert stop.value.code == EXIT_USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prelude: ")
    assert "another" in line
    assert (tmp_path / "file").read_text() == "x"
