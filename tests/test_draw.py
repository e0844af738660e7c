from pathlib import Path

import pandas as pd
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.report.aggregated_study import statistics
from tests.synthetic_results import Results, full
from workflow_scripts import draw
from workflow_scripts.core.errors import UserError
from workflow_scripts.report.figure_inputs import read_numbers


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("results"))
    statistics(results)
    return results


def run(results: Results, name: str) -> Path:
    folder = results.folder / name
    arguments = ["--manifest", results.manifest_file(), "--statistics", str(results.folder / "statistics")]
    draw.main([*arguments, "--output", str(folder)])
    return folder


@pytest.mark.parametrize("kind", synthetic_studies.BY_KIND)
def test_same_statistics_same_bytes(kind: str, tmp_path: Path) -> None:
    results = synthetic_studies.BY_KIND[kind](tmp_path)
    numbers = figure_asserts.numbers(results)
    first, second = run(results, "first"), run(results, "second")
    kinds = ("csv", "json", "pdf", "png", "svg")
    assert sorted(path.name for path in first.iterdir()) == [f"fig2.{kind}" for kind in kinds]
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    pd.testing.assert_frame_equal(read_numbers(first / "fig2.csv"), numbers)


def test_a_study_without_figure_draws_nothing(results: Results) -> None:
    results.manifest["studies"]["fig2"]["figure"] = None
    assert list(run(results, "third").iterdir()) == []


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "pie"}, "unknown figure 'pie'; allowed: activating_tags, activations, confidence, "),
        ({"kind": "dots", "colour": "red"}, "options of dots: unknown key 'colour'; allowed: line"),
        (
            {"kind": "relative", "base": {}},
            "options of relative: unknown key 'base' (did you mean baseline?); allowed: baseline",
        ),
    ],
)
def test_an_unknown_kind_or_option_is_refused(results: Results, figure: dict, message: str) -> None:
    results.manifest["studies"]["fig2"]["figure"] = figure
    with pytest.raises(UserError) as error:
        run(results, "fourth")
    assert message in str(error.value)


def test_numbers_that_were_never_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fig2\.csv: no such file; run draw first"):
        read_numbers(tmp_path / "fig2.csv")
