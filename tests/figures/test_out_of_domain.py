from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError
from workflow_scripts.networks.sizes.sound_qualities import QUALITIES
from workflow_scripts.statistics.embeddings import read_embeddings


def test_panels_find_room(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_agreement_is_the_rank_correlation_of_the_means_in_the_csv(numbers: pd.DataFrame) -> None:
    for _, rows in numbers.groupby("panel"):
        filters, agreement = (rows[rows["part"] == part] for part in ("filter", "agreement"))
        values = agreement.set_index("quantity")["value"]
        for name, points in filters.groupby("quantity"):
            expected = spearmanr(points["value"], points["other_value"]).statistic
            np.testing.assert_allclose(values[name], expected)
        np.testing.assert_allclose(values["mean of the qualities"], values[list(QUALITIES)].mean())
        assert (agreement["null_low"] < 0).all()
        assert (agreement["null_high"] > 0).all()


def test_means_are_those_of_the_stored_embeddings(results: Results, numbers: pd.DataFrame) -> None:
    by_level = {
        (cell.factors["encoder"], cell.factors["dataset"]): read_embeddings(cell) for cell in results.read().cells
    }
    own, qualities = (by_level[encoder, "magnatagatune"] for encoder in ("samplecnn", "sound_qualities"))
    assert own is not None
    assert qualities is not None
    chosen = np.argsort(-own.of_clips[0][:, 3])[:10]
    means = numbers.query("encoder == 'samplecnn' and part == 'filter' and filter == 3")["value"]
    np.testing.assert_allclose(means, qualities.of_clips[0][chosen].mean(axis=0))


def test_all_encoders_have_the_data_set_of_pre_training_on_the_same_axis(tmp_path: Path) -> None:
    floors = ["random_samplecnn", "sound_qualities"]
    results = synthetic_studies.filters_of_encoders(
        tmp_path, kind="out_of_domain", datasets=["magnatagatune", "msd"], corpora=["msd"], floors=floors
    )
    points = figure_asserts.numbers(results).query("part == 'filter'")
    assert set(points["encoder"]) == {"samplecnn", "random_samplecnn"}
    assert set(points["dataset"]) == {"msd magnatagatune"}


def test_tags_that_both_data_sets_have_are_compared_too(numbers: pd.DataFrame) -> None:
    tags = numbers.loc[numbers["quantity"].str.startswith("tag "), "quantity"]
    assert set(tags) == {f"tag {name}" for name in figure_asserts.TAGS[:8]}


def test_clips_of_chosen_filters_are_listed_for_both_data_sets(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"]["filters"] = [5, 12]
    listed = figure_asserts.numbers(own_results).query("part == 'clips' and encoder == 'samplecnn'")
    assert list(zip(listed["dataset"], listed["filter"], strict=True)) == [
        ("magnatagatune", 5),
        ("magnatagatune", 12),
        ("msd", 5),
        ("msd", 12),
    ]
    assert listed["clip"].str.split().map(len).to_list() == [10] * 4
    own_results.manifest["studies"]["fig2"]["figure"]["filters"] = [32]
    with pytest.raises(UserError, match=r"figure.filters: 32 is not from 0 to 31"):
        figure_asserts.numbers(own_results)


def test_without_measured_qualities_it_states_what_is_missing(tmp_path: Path) -> None:
    results = synthetic_studies.filters_of_encoders(
        tmp_path, kind="out_of_domain", datasets=["magnatagatune", "msd"], floors=[]
    )
    numbers = figure_asserts.numbers(results)
    assert list(numbers["reason"]) == ["no embeddings of magnatagatune by sound_qualities"]
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))
