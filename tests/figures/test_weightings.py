from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = synthetic_studies.weightings(tmp_path_factory.mktemp("results"))
    figure_asserts.remove_cells(results, workers="WLPC", dataset="openmic")
    figure_asserts.remove_cells(results, workers="WLPT", weighting="equal", dataset="fma_small")
    return results


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_numbers_are_mean_and_deviation_of_the_trials(results: Results) -> None:
    numbers = figure_asserts.numbers(results)
    assert len(numbers) == 3 * (8 * 2 + 2)
    for workers, weighting in (("WLP", "equal"), ("WLPMCT", "reweighted")):
        row = numbers.query("panel == 'OpenMIC' and workers == @workers and weighting == @weighting").iloc[0]
        values = figure_asserts.macro_f1(results, workers=workers, weighting=weighting, dataset="openmic")
        assert row["mean"] == pytest.approx(100 * values.mean())
        assert row["std"] == pytest.approx(100 * values.std(ddof=1))
        assert (row["replicate"], row["n_trials"], row["n_pretraining_seeds"]) == ("trials", 10, 1)


def test_bars_are_one_deviation_and_equal_weighting_is_open(figure: Figure, results: Results) -> None:
    panel = figure.axes[1]
    values = 100 * figure_asserts.macro_f1(results, workers="WLP", weighting="equal", dataset="fma_small")
    bar = panel.collections[0].get_segments()[0]  # type: ignore[attr-defined]
    assert bar[:, 1] == pytest.approx([values.mean() - values.std(ddof=1), values.mean() + values.std(ddof=1)])
    fills = {line.get_markerfacecolor() for line in panel.lines if line.get_marker() == "o"}
    assert len(fills) == 2
    assert "white" in fills


def test_what_was_not_run_is_named_and_floors_are_lines(figure: Figure, results: Results) -> None:
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure)]
    assert texts.count("not run") == 1  # only one of the two weightings is missing on FMA
    assert {"random weights (PASE+) (floor)", "handcrafted features (floor)"} <= set(texts)
    absent = figure_asserts.numbers(results).query("status == 'missing'")
    assert list(absent["workers"]) == ["WLPC", "WLPC", "WLPT"]
    assert set(absent["reason"]) == {"not run"}


def test_several_seeds_give_the_deviation_between_pretraining_seeds(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "weightings"},
        rows=["workers", "weighting"],
        grid={"workers": ["WLP"], "weighting": ["equal"], "pretrain_seed": [0, 1, 2]},
        value=lambda cell: 0.4 + 0.1 * cell["pretrain_seed"],
    )
    (row,) = figure_asserts.numbers(results).to_dict("records")
    means = [figure_asserts.macro_f1(results, pretrain_seed=seed).mean() for seed in (0, 1, 2)]
    assert row["std"] == pytest.approx(100 * np.std(means, ddof=1))
    assert (row["replicate"], row["n_pretraining_seeds"]) == ("pretraining seeds", 3)


def test_one_data_set_without_results_still_has_a_figure(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "weightings"}, rows=["workers", "weighting"], grid={"workers": ["WLP"]}
    )
    figure_asserts.remove_cells(results)
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    assert "OpenMIC\nnothing measured" in [text.get_text() for text in figure_asserts.visible_texts(figure)]


def test_the_description_holds_mean_and_deviation(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "WLPMCT re-weighted" in description
    values = 100 * figure_asserts.macro_f1(results, workers="WLPMCT", weighting="reweighted", dataset="openmic")
    assert f"WLPMCT re-weighted {values.mean():.1f} ± {values.std(ddof=1):.1f}" in description
