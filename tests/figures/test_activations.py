from pathlib import Path

import numpy as np
import pandas as pd

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.statistics.embeddings import read_embeddings


def cells(results: Results) -> list[PlannedCell]:
    return list(results.read().cells)


def test_panels_find_room(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_there_is_a_curve_for_each_filter_that_never_rises(numbers: pd.DataFrame) -> None:
    curves = numbers[numbers["part"] == "filter"]
    assert curves["panel"].nunique() == 6
    for _, panel in curves.groupby("panel"):
        values = panel.pivot_table(index="filter", columns="rank", values="value").to_numpy()
        assert len(values) == 32
        assert (np.diff(values, axis=1) <= 0).all()


def test_numbers_are_those_of_the_stored_embeddings(results: Results, numbers: pd.DataFrame) -> None:
    embeddings = read_embeddings(cells(results)[0])
    assert embeddings is not None
    positive = np.maximum(embeddings.of_clips[0], 0)
    first = numbers[numbers["panel"] == numbers["panel"].iloc[0]]
    measures = first[first["part"] == "measure"].set_index("quantity")["value"]
    np.testing.assert_allclose(measures["active_share"], 100 * (positive > 0).mean())
    shares = positive / positive.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    np.testing.assert_allclose(measures["effective_filters"], np.exp(entropy).mean())
    profile = first[first["part"] == "clip"].set_index("rank")["value"]
    np.testing.assert_allclose(profile, np.sort(embeddings.of_clips[0], axis=1)[:, ::-1].mean(axis=0))


def test_differences_are_between_the_data_sets_of_one_encoder_and_between_each_with_its_own(
    numbers: pd.DataFrame,
) -> None:
    differences = numbers[(numbers["part"] == "difference") & (numbers["quantity"] == "effective_filters")]
    assert list(differences["panel"]) == [
        "SampleCNN pre-trained on MagnaTagATune: clips of Million Song Dataset minus MagnaTagATune",
        "each with its own data set: Million Song Dataset minus MagnaTagATune",
        "SampleCNN pre-trained on Million Song Dataset: clips of Million Song Dataset minus MagnaTagATune",
        "random weights (SampleCNN): clips of Million Song Dataset minus MagnaTagATune",
    ]
    values = numbers[(numbers["part"] == "measure") & (numbers["quantity"] == "effective_filters")]["value"].to_list()
    np.testing.assert_allclose(differences["value"].iloc[0], values[1] - values[0])
    assert (differences["ci_low"] < differences["value"]).all()


def test_encoders_that_differ_in_their_pretext_task_alone_have_panels_of_their_own(tmp_path: Path) -> None:
    results = synthetic_studies.filters_of_encoders(
        tmp_path,
        kind="activations",
        datasets=["magnatagatune"],
        floors=[],
        workers=["contrastive", "predictive_coding"],
    )
    numbers = figure_asserts.numbers(results)
    first = "SampleCNN pre-trained on MagnaTagATune"
    assert list(numbers["panel"].unique()) == [
        f"{first}, {name}, clips of MagnaTagATune" for name in ("contrastive", "predictive coding")
    ]
    assert not numbers.duplicated(["panel", "part", "filter", "rank", "quantity"]).any()


def test_an_encoder_that_was_not_run_keeps_its_panel(own_results: Results) -> None:
    next((own_results.folder / "embeddings").rglob("msd.npy")).unlink()
    figure_asserts.remove_cells(own_results)
    numbers = figure_asserts.numbers(own_results)
    assert (numbers["status"] == "missing").sum() == 1
    assert ": not run" in figure_asserts.description(own_results)
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(own_results))
