"""Spectra of filters: numbers, images, and words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_filters_are_in_the_order_of_their_peaks_and_each_has_its_own_spectrum(numbers: pd.DataFrame) -> None:
    assert len(numbers) == 4 * 3 * 24
    for _, layer in numbers.groupby(["panel", "layer"]):
        assert layer["place"].tolist() == list(range(1, 25))
        assert layer["peak_hz"].is_monotonic_increasing
        assert sorted(layer["filter"]) == list(range(24))
    spectra = np.array([text.split() for text in numbers["spectrum"]], dtype=float)
    assert spectra.shape[1] == 365
    np.testing.assert_array_equal(spectra.max(axis=1), 1)
    np.testing.assert_allclose(spectra.argmax(axis=1) * 22050 / 729, numbers["peak_hz"])


def test_the_artefact_of_the_stride_is_counted_and_described(results: Results, numbers: pd.DataFrame) -> None:
    on_line = numbers.groupby("encoder")["on_line"].first()
    assert on_line.to_dict() == {
        "samplecnn": pytest.approx(100 / 24),
        "cpc": 0,
        "random_samplecnn": 100,
        "random_cpc": 100,
    }
    assert set(numbers["line_hz"]) == {7350, 4410}
    assert numbers["encoder"].unique().tolist() == ["samplecnn", "random_samplecnn", "cpc", "random_cpc"]
    assert "layer 1 of 24 filters, 100 % peak at multiples of 7,350 Hz (by chance 1 %)" in figure_asserts.description(
        results
    )


def test_the_images_are_the_spectra_from_zero_upwards(numbers: pd.DataFrame, figure: Figure) -> None:
    (image,) = figure.axes[0].get_images()
    drawn = numbers[(numbers["encoder"] == "samplecnn") & (numbers["layer"] == 1)]
    spectra = np.array([text.split() for text in drawn["spectrum"]], dtype=float)
    np.testing.assert_array_equal(np.asarray(image.get_array()), spectra.T)
    assert image.origin == "lower"
    assert len(figure.axes) == 12


def test_the_same_encoder_has_a_panel_for_each_data_set(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "filter_spectra"},
        rows=["encoder"],
        grid={"encoder": ["samplecnn"], "dataset": ["magnatagatune", "msd"]},
    )
    figure_asserts.write_spectra(results)
    numbers = figure_asserts.numbers(results)
    assert list(numbers["panel"].unique()) == ["SampleCNN, MagnaTagATune", "SampleCNN, Million Song Dataset"]
    assert not numbers.duplicated(["panel", "layer", "filter"]).any()


def test_a_layer_that_is_missing_is_named(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"] = {"kind": "filter_spectra", "layers": [1, 2]}
    reasons = figure_asserts.numbers(own_results).query("status == 'missing'")["reason"]
    assert set(reasons) == {"no layer 2: the encoder has fewer"}


def test_spectra_that_are_not_as_their_job_wrote_them_are_refused(own_results: Results) -> None:
    figure_asserts.numbers(own_results)
    path = next(Path(own_results.folder).rglob("spectra.npz"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"spectra\.npz"):
        figure_asserts.numbers(own_results)
