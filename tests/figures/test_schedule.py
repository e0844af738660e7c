import math
from pathlib import Path

import numpy as np
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results


def test_no_text_lies_on_another_or_outside(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_rates_rise_in_the_warm_up_and_fall_as_a_cosine(results: Results) -> None:
    """Equation 5.1 of Spijkervet (2021): 0.075 times the root of the batch."""
    for name, batch in (("clmr_96", 96), ("clmr_456", 456)):
        numbers = figure_asserts.numbers(results)
        curve = numbers[numbers["recipe"] == name].set_index("epoch")["encoder_rate"]
        peak = 0.075 * math.sqrt(batch)
        assert curve.max() == pytest.approx(peak, rel=0.01)
        assert curve.loc[:31].is_monotonic_increasing
        assert curve.loc[31:].is_monotonic_decreasing
        middle = curve.index[len(curve) // 2]
        expected = peak * (1 + math.cos(math.pi * (middle - 1 - 30) / (3000 - 30))) / 2
        assert curve[middle] == pytest.approx(expected)
        assert curve.iloc[-1] < peak / 1000


def test_runs_of_one_recipe_share_a_curve(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "schedule"},
        rows=["recipe"],
        grid={"recipe": [*synthetic_studies.RECIPES], "pretrain_seed": [0, 1, 2]},
    )
    figure_asserts.write_recipes(results, synthetic_studies.RECIPES)
    lines = figure_asserts.figure(results).axes[0].lines
    assert len(lines) == 2
    for line in lines:
        assert (np.diff(np.asarray(line.get_xdata())) > 0).all()


def test_a_run_that_was_not_run_is_named_and_not_drawn(tmp_path: Path) -> None:
    results = synthetic_studies.schedule(tmp_path)
    record = Path(results.manifest["pretrained_runs"][0]["folder"]) / "record.json"
    record.unlink()
    numbers = figure_asserts.numbers(results)
    assert list(numbers.query("status == 'missing'")["reason"]) == ["not run"]
    assert len(figure_asserts.figure(results).axes[0].lines) == 1
    assert "clmr 96: not run" in figure_asserts.description(results)
