from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.embeddings import read_embeddings
from workflow_scripts.statistics.filters.factors import analyse_factors
from workflow_scripts.statistics.filters.strongest import occupancy
from workflow_scripts.statistics.kept_heads import KeptHead, write_head


def test_panels_find_room(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_loadings_and_excess_are_those_of_the_stored_embeddings(results: Results, numbers: pd.DataFrame) -> None:
    embeddings = read_embeddings(results.read().cells[0])
    assert embeddings is not None
    values, rows = embeddings.of_clips
    factors = analyse_factors(values)
    first = numbers[(numbers["panel"] == numbers["panel"].iloc[0]) & (numbers["component"] == 1)]
    strongest = np.argsort(-factors.loadings[:, 0])[:20]
    own = first[(first["part"] == "loading") & (first["of_component"] == 1)]
    assert list(own["filter"]) == list(strongest)
    np.testing.assert_allclose(own["value"], factors.loadings[strongest, 0])
    techno = embeddings.corpus.labels[rows][:, embeddings.corpus.facts.classes.index("techno")].astype(float)
    share = (occupancy(values[:, strongest], 10) @ techno).mean() / 10
    excess = first[first["tag"] == "techno"].iloc[0]
    np.testing.assert_allclose(excess["value"], 100 * (share / techno.mean() - 1))
    assert excess["ci_low"] < excess["value"] < excess["ci_high"]


def test_each_factor_has_its_twenty_strongest_filters_on_all_factors(numbers: pd.DataFrame) -> None:
    loadings = numbers[numbers["part"] == "loading"]
    assert loadings.groupby(["panel", "component"]).size().to_list() == [60] * 6
    own = loadings[loadings["component"] == loadings["of_component"]]
    for _, rows in own.groupby(["panel", "component"]):
        assert rows.sort_values("place")["value"].is_monotonic_decreasing


def test_by_size_the_order_is_that_of_absolute_loadings(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"] |= {"absolute": True, "components": 2, "strongest": 5}
    loadings = figure_asserts.numbers(own_results).query("part == 'loading' and component == of_component")
    for _, rows in loadings.groupby(["panel", "component"]):
        assert rows.sort_values("place")["value"].abs().is_monotonic_decreasing
        assert len(rows) == 5


def test_classes_that_the_data_set_lacks_are_left_out(numbers: pd.DataFrame) -> None:
    assert set(numbers.loc[numbers["part"] == "class", "tag"]) == {"techno", "rock"}  # of the eight tags


def test_factors_of_the_head_are_those_of_its_weights_by_class(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"]["of"] = "head"
    weights = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    head = KeptHead(
        name="linear",
        options={},
        dataset="magnatagatune",
        task="multilabel",
        classes=figure_asserts.TAGS[:8],
        crops="average",
        tensors={"bias": np.zeros((1, 8), np.float32), "weight": weights},
    )
    for entry in own_results.manifest["cells"]:
        write_head(Path(entry["path"]).with_name("head.safetensors"), head, code="code")
    numbers = figure_asserts.numbers(own_results)
    own = numbers[(numbers["component"] == 2) & (numbers["of_component"] == 2) & (numbers["part"] == "loading")].head(
        20
    )
    factors = analyse_factors(weights.T)
    assert list(own["filter"]) == list(factors.strongest(1))
    np.testing.assert_allclose(own["value"], factors.loadings[factors.strongest(1), 1])


def test_fewer_filters_than_factors_are_named(tmp_path: Path) -> None:
    results = synthetic_studies.filters_of_encoders(
        tmp_path, kind="factors", datasets=["magnatagatune"], floors=[], size=3
    )
    assert list(figure_asserts.numbers(results)["reason"]) == [
        "too few numbers for 3 factors: 100 of each of 3 filters"
    ]
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_a_head_that_was_not_kept_is_an_error_of_one_line(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"]["of"] = "head"
    with pytest.raises(UserError, match=r"head.safetensors is missing: set keep: first_trial"):
        figure_asserts.numbers(own_results)
