"""Figures name the methods on data that others trained their encoder on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.figures import figure_asserts, synthetic_studies

#: the kinds that show scores of methods on one data set
KINDS = [
    *("dots", "weightings", "relative", "training_sizes", "parameters"),
    *("per_tag", "probabilities", "tag_differences", "confidence"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_names_methods_on_data_that_others_trained_the_encoder_on(tmp_path: Path, kind: str) -> None:
    results = synthetic_studies.BY_KIND[kind](tmp_path)
    levels = [cell["factors"] for cell in results.manifest["cells"]]
    datasets = sorted({each["dataset"] for each in levels})
    for evaluated, named in (([], False), (datasets, True)):
        results.manifest["training_data"] = {
            each["corpus"]: {"names": datasets, "evaluated": evaluated} for each in levels if each["corpus"] != "none"
        }
        figure = figure_asserts.figure(results)
        texts = " ".join(text.get_text() for text in figure_asserts.visible_texts(figure)).replace("\n", " ")
        assert ("‡ on data that others trained the encoder on: " in texts) == named
        assert set(figure_asserts.numbers(results)["tested_on_training_data"]) - {""} == {"yes" if named else "no"}
    figure_asserts.assert_nothing_overlaps(figure)
