import numpy as np
import pandas as pd

from tests.figures import figure_asserts
from tests.synthetic_results import Results
from workflow_scripts.statistics.embeddings import read_embeddings


def test_panels_find_room(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_counts_are_the_tags_of_the_clips_that_activate_a_filter_most(results: Results, numbers: pd.DataFrame) -> None:
    embeddings = read_embeddings(results.read().cells[0])
    assert embeddings is not None
    values, rows = embeddings.of_clips
    tags = embeddings.corpus.labels[rows]
    first = numbers[numbers["panel"] == numbers["panel"].iloc[0]]
    counts = first[first["part"] == "count"].pivot_table(index="filter", columns="tag", values="value", sort=False)
    for number in (0, 31):
        chosen = np.argsort(-values[:, number])[:10]  # a tenth of the test clips
        np.testing.assert_allclose(counts.loc[number], tags[chosen].sum(axis=0))
    excess = first[first["part"] == "tag"].set_index("tag")
    np.testing.assert_allclose(excess["expected"], 10 * tags.mean(axis=0))
    np.testing.assert_allclose(excess["value"], 100 * (excess["mean"] / excess["expected"] - 1))
    assert (excess["distinct"] <= tags.sum(axis=0)).all()


def test_tags_are_in_the_order_of_the_data_set_the_first_at_the_bottom(results: Results) -> None:
    axes = figure_asserts.figure(results).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(figure_asserts.TAGS[:8])
    low, high = axes.get_ylim()
    assert low < high


def test_it_names_the_tags_with_the_largest_excess_and_the_clips_behind_them(results: Results) -> None:
    assert "10 clips of each filter: most" in figure_asserts.description(results)


def test_an_encoder_that_was_not_run_keeps_its_panel_beside_the_untrained_one(own_results: Results) -> None:
    trained = next(cell for cell in own_results.read().cells if cell.factors["encoder"] == "samplecnn")
    embeddings = trained.job("embed")
    assert embeddings is not None
    embeddings.output.unlink()
    figure_asserts.remove_cells(own_results, encoder="samplecnn")
    numbers = figure_asserts.numbers(own_results)
    assert list(numbers.query("status == 'missing'")["encoder"]) == ["samplecnn"]
    assert "not run" in figure_asserts.description(own_results)
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(own_results))
