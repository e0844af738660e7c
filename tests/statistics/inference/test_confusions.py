import numpy as np
import pytest

from workflow_scripts.statistics.inference.confidence_intervals import mean_interval
from workflow_scripts.statistics.inference.confusions import mean_matrix, row_percent


def test_rows_are_percent_of_the_true_class() -> None:
    rates = row_percent(np.array([[[3, 1], [0, 5]], [[2, 2], [1, 4]]]))
    assert rates.tolist() == [[[75, 25], [0, 100]], [[50, 50], [20, 80]]]


def test_a_class_without_clips_has_no_rates() -> None:
    rates = row_percent(np.array([[0, 0], [1, 3]]))
    assert np.isnan(rates[0]).all()
    assert rates[1].tolist() == [25, 75]


def test_each_entry_has_its_own_interval() -> None:
    rates = np.random.default_rng(0).uniform(0, 100, (5, 3, 3))
    matrix = mean_matrix(rates)
    for row in range(3):
        for column in range(3):
            expected = mean_interval(rates[:, row, column])
            assert matrix[row][column].mean == pytest.approx(expected.mean)
            assert matrix[row][column].high == pytest.approx(expected.high)
