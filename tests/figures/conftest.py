"""Fixtures of the figure tests: the synthetic study named like the test module, its numbers and its figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of the study of this kind, shared by the tests of the module."""
    return _make(request, tmp_path_factory.mktemp("results"))


@pytest.fixture
def own_results(request: pytest.FixtureRequest, tmp_path: Path) -> Results:
    """Results of the study of this kind for a test that changes them."""
    return _make(request, tmp_path)


def _make(request: pytest.FixtureRequest, folder: Path) -> Results:
    return synthetic_studies.BY_KIND[request.module.__name__.rpartition(".test_")[2]](folder)


@pytest.fixture(scope="module")
def numbers(results: Results) -> pd.DataFrame:
    return figure_asserts.numbers(results)


@pytest.fixture(scope="module")
def figure(results: Results) -> Figure:
    return figure_asserts.figure(results)
