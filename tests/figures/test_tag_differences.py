from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError


def test_everything_finds_room(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_differences_are_paired_by_trial(results: Results, numbers: pd.DataFrame) -> None:
    (row,) = numbers.query("tag == 'piano' and workers == 'vocals'").to_dict("records")
    gaps = figure_asserts.tag_roc_auc(results, "piano", workers="vocals") - figure_asserts.tag_roc_auc(
        results, "piano", encoder="magnitude"
    )
    low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), stats.sem(gaps))
    assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx((gaps.mean(), low, high))
    assert (row["n"], row["replicate"], row["unit"]) == (3, "trials", "points")


def test_the_tags_are_those_chosen_in_their_order(numbers: pd.DataFrame, figure: Figure) -> None:
    assert list(dict.fromkeys(numbers["tag"])) == list(figure_asserts.TAGS[:14])
    shown = [label.get_text().rpartition(" (")[0] for label in figure.axes[0].get_yticklabels()]
    assert shown == list(figure_asserts.TAGS[:14])
    assert figure.axes[0].yaxis_inverted()
    assert set(numbers["workers"]) == set(synthetic_studies.SOURCES), "not what they are compared with"


def test_the_description_names_the_ends(results: Results, numbers: pd.DataFrame) -> None:
    vocals = numbers.query("workers == 'vocals'")
    best = vocals.loc[vocals["mean"].idxmax(), "tag"]
    without_zero = ((vocals["ci_low"] > 0) | (vocals["ci_high"] < 0)).sum()
    description = figure_asserts.description(results)
    assert f" at {best}, in points, {without_zero} of 14 intervals without zero" in description


def test_a_method_that_was_not_run_is_named(tmp_path: Path) -> None:
    results = synthetic_studies.tag_differences(tmp_path)
    figure_asserts.remove_cells(results, workers="bass")
    figure = figure_asserts.figure(results)
    assert any("bass: not run" in text.get_text() for text in figure_asserts.visible_texts(figure))
    figure_asserts.assert_nothing_overlaps(figure)


def test_without_what_they_are_compared_with_nothing_is_drawn(tmp_path: Path) -> None:
    results = synthetic_studies.tag_differences(tmp_path)
    figure_asserts.remove_cells(results, encoder="magnitude")
    assert set(figure_asserts.numbers(results)["status"]) == {"missing"}
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_an_unknown_tag_and_one_class_a_clip_are_refused(tmp_path: Path) -> None:
    results = synthetic_studies.tag_differences(tmp_path)
    results.manifest["studies"]["fig2"]["figure"]["tags"] = ["piano", "kazoo"]
    with pytest.raises(UserError, match=r"figure.tags: there is no kazoo; allowed: guitar"):
        figure_asserts.numbers(results)
    results.manifest["studies"]["fig2"]["figure"]["tags"] = []
    figure_asserts.write_predictions(results, ndim=3)
    with pytest.raises(UserError, match="figure tag_differences needs clips with several classes"):
        figure_asserts.numbers(results)
