from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.checkout import REPOSITORY
from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results, factors
from workflow_scripts.configuration.load import load_study
from workflow_scripts.statistics.reproduction.statements import read_statements

PUBLISHED = {
    "id": "B.table6_1.mtat.cpc.linear.pr_auc",
    "quantity": "mean",
    "of": {"encoder": "cpc"},
    "margin": 1,
}


def published_study(folder: Path, *, source: str) -> Results:
    """A study whose one method was also published."""
    results = figure_asserts.make_study(
        folder, figure={"kind": "parameters"}, rows=["encoder"], grid={"encoder": ["cpc"]}, value=lambda cell: 0.3
    )
    results.manifest["studies"]["fig2"]["statements"] = [PUBLISHED]
    figure_asserts.write_encoder_sizes(results, parameters={"cpc": 6_367_232})
    (path,) = figure_asserts.trials_files(results)
    path.write_text(path.read_text().replace("twin", source))
    return results


def in_sizes(figure: Figure) -> set[float]:
    """Middles of groups of dots: sizes at which anything is drawn, but for the shift that keeps dots apart."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "s", "^")]
    return {round(float(np.ravel(line.get_xdata())[0]) / 1e6, 1) for line in lines}


def test_no_text_lies_on_another_or_outside(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_methods_stand_at_the_size_of_their_encoder(results: Results) -> None:
    numbers = figure_asserts.numbers(results).set_index("method")
    assert numbers.loc["CPC, contrastive, frozen", "parameters"] == 6_367_232
    values = figure_asserts.macro_f1(results, encoder="cpc")
    assert numbers.loc["CPC, contrastive, frozen", "mean"] == pytest.approx(100 * values.mean())
    figure = figure_asserts.figure(results)
    assert in_sizes(figure) == {2.3, 2.4, 6.4}  # two of 2.4, side by side
    assert {"2.4", "6.4"} <= {text.get_text() for text in figure_asserts.visible_texts(figure)}
    assert figure.axes[0].get_xscale() == "log"


def test_from_scratch_has_the_size_that_pre_training_counted(results: Results) -> None:
    numbers = figure_asserts.numbers(results).query("scenario == 'supervised'")
    assert list(numbers["parameters"]) == [synthetic_studies.SIZES_OF_ENCODERS["samplecnn"]]


def test_an_encoder_that_nobody_counted_is_named_and_not_drawn(own_results: Results) -> None:
    figure_asserts.add_cell(own_results, factors("other", "supervised", "magnatagatune"), np.full(10, 0.3))
    numbers = figure_asserts.numbers(own_results).set_index("method")
    assert numbers.loc["other, supervised", "status"] == "missing"
    assert "no run of this study's config pre-trains this encoder" in numbers.loc["other, supervised", "reason"]
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(own_results))]
    assert any(text.endswith("not drawn: 1 method") for text in texts)


def test_floors_are_lines_without_a_size(results: Results) -> None:
    floors = figure_asserts.numbers(results).query("role == 'floor'")
    assert len(floors) == 2
    assert floors["parameters"].isna().all()
    level = [line for line in figure_asserts.figure(results).axes[0].lines if line.get_linestyle() == "--"]
    assert sorted(float(np.ravel(line.get_ydata())[0]) for line in level) == pytest.approx(sorted(floors["mean"]))


def test_published_numbers_are_open_dots_beside_real_data(tmp_path: Path) -> None:
    results = published_study(tmp_path, source="local")
    (row,) = figure_asserts.numbers(results).query("role == 'published'").to_dict("records")
    assert (row["mean"], row["parameters"], row["method"]) == (30.98, 6_367_232, "CPC")
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))]
    assert "published" in texts
    assert "CPC as published 31.0" in figure_asserts.description(results)
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_the_study_has_the_published_score_of_each_of_its_methods(tmp_path: Path) -> None:
    name, folder = "spijkervet2021_fig1_1", REPOSITORY / "config"
    study = load_study(name, folder=folder).to_plain()
    results = figure_asserts.make_study(
        tmp_path,
        figure=study["figure"],
        rows=study["rows"],
        grid={"encoder": ["samplecnn", "cpc"], "scenario": ["frozen", "supervised"], "dataset": ["magnatagatune"]},
        value=lambda cell: 0.3,
    )
    statements = read_statements(name, folder=folder)
    results.manifest["studies"]["fig2"]["statements"] = [statement.to_json() for statement in statements]
    figure_asserts.write_encoder_sizes(results, parameters=synthetic_studies.SIZES_OF_ENCODERS)
    for path in figure_asserts.trials_files(results):
        path.write_text(path.read_text().replace("twin", "local"))
    published = figure_asserts.numbers(results).query("role == 'published'")
    assert {(row.encoder, row.scenario, row.mean) for row in published.itertuples()} == {
        ("samplecnn", "frozen", 35.37),
        ("samplecnn", "frozen", 35.04),  # as plotted
        ("cpc", "frozen", 30.98),
        ("samplecnn", "supervised", 34.38),
    }


def test_published_numbers_never_stand_beside_twins(tmp_path: Path) -> None:
    results = published_study(tmp_path, source="twin")
    assert set(figure_asserts.numbers(results)["role"]) == {"method"}
    assert "published" not in [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))]


def test_a_study_without_any_result_still_has_a_figure(own_results: Results) -> None:
    figure_asserts.remove_cells(own_results)
    figure = figure_asserts.figure(own_results)
    assert "MagnaTagATune\nnothing measured" in {
        text.get_text().partition("\nnot drawn")[0] for text in figure_asserts.visible_texts(figure)
    }
    assert "nothing measured" in figure_asserts.description(own_results)


def test_the_description_holds_every_number(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "SampleCNN, supervised 34.5 with 2,379,520" in description
    assert "random weights, frozen (floor)" in description


def test_networks_of_other_publications_are_grey_at_their_published_size(tmp_path: Path) -> None:
    results = published_study(tmp_path, source="download")
    study = results.manifest["studies"]["fig2"]
    cited = ["1D CNN", "B.fig1_1.plotted.cnn_1d.parameters", "B.table6_1.mtat.cnn_1d.pr_auc"]
    study["figure"]["cited"] = [cited]
    size = {"id": "B.fig1_1.plotted.cpc.parameters", "quantity": "parameters", "of": {"encoder": "cpc"}, "margin": 0.05}
    study["statements"] = [PUBLISHED, size]
    numbers = figure_asserts.numbers(results).set_index("role")
    assert (numbers.loc["cited", "parameters"], numbers.loc["cited", "mean"]) == (194_000, 29.59)
    assert numbers.loc["published", "parameters"] == 8_988_672, "with its predictors, as the author counted"
    assert numbers.loc["method", "parameters"] == 6_367_232
    assert in_sizes(figure_asserts.figure(results)) >= {0.2, 6.4, 9.0}
    assert "1D CNN as published elsewhere 29.6 with 194,000" in figure_asserts.description(results)


def test_published_numbers_stand_beside_real_data_only(tmp_path: Path) -> None:
    results = published_study(tmp_path, source="twin")
    cited = ["1D CNN", "B.fig1_1.plotted.cnn_1d.parameters", "B.table6_1.mtat.cnn_1d.pr_auc"]
    results.manifest["studies"]["fig2"]["figure"]["cited"] = [cited]
    assert list(figure_asserts.numbers(results)["role"]) == ["method"]
