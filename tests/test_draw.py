from pathlib import Path

import pytest

from tests.report.made import statistics
from tests.results import Results, full
from workflow_scripts import draw


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    made = full(tmp_path_factory.mktemp("results"))
    statistics(made)
    return made


def run(results: Results, name: str) -> Path:
    folder = results.folder / name
    arguments = ["--plan", results.plan_file(), "--statistics", str(results.folder / "statistics")]
    draw.main([*arguments, "--output", str(folder)])
    return folder


def test_same_statistics_same_bytes(results: Results) -> None:
    first, second = run(results, "first"), run(results, "second")
    assert sorted(path.name for path in first.iterdir()) == ["fig2.pdf", "fig2.png", "fig2.svg"]
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_study_without_figure_draws_nothing(results: Results) -> None:
    results.plan["studies"]["fig2"]["figure"] = None
    assert list(run(results, "third").iterdir()) == []
