from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.relative_improvement import relative_improvement


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = synthetic_studies.relative(tmp_path_factory.mktemp("results"))
    figure_asserts.remove_cells(results, workers="WLPMC", dataset="openmic")
    figure_asserts.remove_cells(results, workers="WLP", dataset="fma_small")
    return results


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_numbers_are_percent_of_the_baseline(results: Results) -> None:
    numbers = figure_asserts.numbers(results)
    assert len(numbers) == 3 * 7
    row = numbers.query("panel == 'Extended Ballroom' and workers == 'WLPT'").iloc[0]
    of, over = (figure_asserts.macro_f1(results, workers=name, dataset="extended_ballroom") for name in ("WLPT", "WLP"))
    assert row["value"] == pytest.approx(100 * (of.mean() / over.mean() - 1))
    assert row["ci_low"] == pytest.approx(relative_improvement(of, over).ci.low)
    assert (row["over"], row["unit"], row["n"], row["n_pretraining_seeds"]) == ("WLP", "%", 10, 1)


def test_missing_cells_and_a_missing_baseline_say_so(results: Results, figure: Figure) -> None:
    absent = figure_asserts.numbers(results).query("status == 'missing'").groupby("panel")["reason"].agg(list).to_dict()
    assert absent == {"OpenMIC": ["not run"], "FMA small": ["baseline not run"] * 7}
    titles = [panel.get_title() for panel in figure.axes]
    assert titles[1] == "FMA small\nnothing measured"


def test_open_is_what_may_be_nothing(results: Results, figure: Figure) -> None:
    numbers = figure_asserts.numbers(results).query("panel == 'Extended Ballroom'")
    open_ones = int(((numbers["ci_low"] <= 0) & (numbers["ci_high"] >= 0)).sum())
    fills = [line.get_markerfacecolor() for line in figure.axes[2].lines if line.get_marker() == "o"]
    assert 0 < open_ones < 7
    assert fills.count("white") == open_ones


def test_floors_are_not_measured_against_the_baseline(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "relative"},
        rows=["workers"],
        grid={"workers": ["WLP", "WLPT"]},
        floors=["random_plus"],
    )
    assert list(figure_asserts.numbers(results)["workers"]) == ["WLPT"]


def test_a_baseline_that_is_none_or_several_is_refused(results: Results, tmp_path: Path) -> None:
    other = figure_asserts.make_study(
        tmp_path, figure={"kind": "relative"}, rows=["workers"], grid={"workers": ["WLPM", "WLPT"]}
    )
    with pytest.raises(UserError, match=r"OpenMIC: figure\.baseline picks 0 methods with .*, not one"):
        figure_asserts.numbers(other)


def test_the_description_holds_every_improvement(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "Change of macro F1 over WLP in percent" in description
    assert "FMA small: nothing measured" in description
    assert description.count("WLPT +") == 2
