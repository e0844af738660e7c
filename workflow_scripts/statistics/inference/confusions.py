"""Confusion matrices of several trials: rates, their means and differences."""

from __future__ import annotations

import numpy as np

from workflow_scripts.statistics.inference.confidence_intervals import Interval, mean_intervals


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Percent of the clips of each true class that are given each class, from counts (..., true, predicted).

    A class without clips has no rates: its row is not-a-number.
    """
    clips = counts.sum(axis=-1, keepdims=True)
    return np.where(clips > 0, 100 * counts / np.maximum(clips, 1), np.nan)


def mean_matrix(rates: np.ndarray) -> list[list[Interval]]:
    """Mean and t interval of each entry of (replicates, true, predicted) rates or differences of rates."""
    replicates, true, predicted = rates.shape
    intervals = mean_intervals(rates.reshape(replicates, true * predicted).T)
    return [[intervals[row * predicted + column] for column in range(predicted)] for row in range(true)]
