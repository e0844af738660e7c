import numpy as np
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.statistics.synthetic_samples import score_interval_of
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError


def test_seven_curves_find_room(results: Results) -> None:
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    assert [panel.get_title() for panel in figure.axes] == list(synthetic_studies.AUGMENTATIONS)


def test_numbers_are_the_mean_and_interval_of_the_trials(results: Results) -> None:
    row = figure_asserts.numbers(results).query("curve == 'delay' and probability == 0.4").iloc[0]
    values = figure_asserts.macro_f1(results, augmentation="delay_40")
    assert row["mean"] == pytest.approx(100 * values.mean())
    assert (row["ci_low"] / 100, row["ci_high"] / 100) == pytest.approx(score_interval_of(values))
    assert (row["n"], row["unit"], row["augmentation"]) == (10, "%", "delay_40")


def test_curves_begin_at_the_level_they_share(results: Results) -> None:
    starts = figure_asserts.numbers(results).query("probability == 0")
    assert set(starts["augmentation"]) == {"crop"}
    assert starts["mean"].nunique() == 1
    for panel in figure_asserts.figure(results).axes:
        (level,) = [line for line in panel.lines if list(np.ravel(line.get_xdata())) == [0, 1]]
        assert float(np.ravel(level.get_ydata())[0]) == pytest.approx(starts["mean"].iloc[0])


def test_panels_of_a_data_set_have_one_scale(results: Results) -> None:
    assert len({panel.get_ylim() for panel in figure_asserts.figure(results).axes}) == 1


def test_a_missing_level_is_named_at_its_place(own_results: Results) -> None:
    figure_asserts.remove_cells(own_results, augmentation="reverb_80")
    figure = figure_asserts.figure(own_results)
    (text,) = [text for text in figure.axes[6].texts if text.get_text() == "not run"]
    assert text.get_position()[0] == 0.8
    figure_asserts.assert_nothing_overlaps(figure)
    figure_asserts.remove_cells(own_results)
    assert "delay nothing measured" in figure_asserts.description(own_results)
    figure_asserts.figure(own_results)


def test_the_description_names_the_best_probability(results: Results) -> None:
    assert "(highest mean at 0.4)" in figure_asserts.description(results).partition("delay ")[2].partition(";")[0]


def test_lists_out_of_step_and_unknown_levels_are_refused(own_results: Results) -> None:
    stated = own_results.manifest["studies"]["fig2"]["figure"]
    for change, message in (
        ({"names": ["one"]}, "1 for 7 curves; give each curve one"),
        ({"at": [0, 1]}, "polarity must list 2 levels of a factor"),
        ({"curves": [{"augmentation": "crop"}], "names": ["crop"]}, "'crop' has the wrong type; allowed: a list"),
        ({"curves": [{}], "names": ["crop"]}, "crop must list 3 levels of a factor"),
        ({"curves": [{"augmentation": ["crop", "a", "b"]}], "names": ["crop"]}, "picks 0 methods"),
    ):
        own_results.manifest["studies"]["fig2"]["figure"] = stated | change
        with pytest.raises(UserError, match=message):
            figure_asserts.numbers(own_results)
