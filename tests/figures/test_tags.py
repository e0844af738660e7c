from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures import figure_asserts
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError


def corpus(results: Results, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = results.folder / "corpora" / dataset / str(figure_asserts.RATE)
    return pd.read_parquet(folder / "clips.parquet"), pd.read_parquet(folder / "labels.parquet")


def test_fifty_tags_of_two_data_sets_find_room(results: Results) -> None:
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    labels = [text.get_text() for text in figure_asserts.visible_texts(figure)]
    assert all(labels.count(tag) == 2 for tag in figure_asserts.TAGS)


def test_counts_are_the_positive_clips_of_the_split(results: Results) -> None:
    clips, labels = corpus(results, "msd")
    of_tag = figure_asserts.numbers(results).query("dataset == 'msd' and tag == 'opera'").set_index("split")
    for split in ("train", "valid", "test"):
        inside = (clips["split"] == split).to_numpy()
        assert of_tag.loc[split, "positives"] == labels["opera"][inside].sum()
        assert of_tag.loc[split, "clips"] == inside.sum()


def test_tags_are_sorted_by_all_their_clips(results: Results) -> None:
    counts = figure_asserts.numbers(results).query("dataset == 'msd'").groupby("tag", sort=False)["positives"].sum()
    assert len(counts) == 50
    assert counts.is_monotonic_decreasing


def test_bars_of_a_tag_add_up_to_all_its_clips(results: Results) -> None:
    numbers = figure_asserts.numbers(results)
    first = numbers[numbers["dataset"] == "magnatagatune"]
    bars = figure_asserts.figure(results).axes[0].patches
    ends = np.array([bar.get_x() + bar.get_width() for bar in bars]).reshape(3, 50)  # type: ignore[attr-defined]
    assert ends[2] == pytest.approx(first.groupby("tag", sort=False)["positives"].sum().to_numpy(float))


def test_labels_that_nobody_gave_are_not_counted(tmp_path: Path) -> None:
    results = figure_asserts.make_study(tmp_path, figure={"kind": "tags"}, rows=["encoder"], grid={"encoder": ["pase"]})
    figure_asserts.write_corpora(results, classes=["drums", "voice"], clips=50)
    _, labels = corpus(results, "openmic")
    labels["drums"] = np.where(np.arange(50) < 10, 1.0, np.nan)
    labels.to_parquet(results.folder / "corpora" / "openmic" / str(figure_asserts.RATE) / "labels.parquet")
    assert figure_asserts.numbers(results).query("tag == 'drums'")["positives"].sum() == 10


def test_the_option_keeps_the_commonest(results: Results, tmp_path: Path) -> None:
    few = figure_asserts.make_study(
        tmp_path, figure={"kind": "tags", "most": 3}, rows=["encoder"], grid={"dataset": ["msd"]}
    )
    figure_asserts.write_corpora(few, clips=2000)
    numbers = figure_asserts.numbers(few)
    assert numbers["tag"].nunique() == 3
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(few))
    few.manifest["studies"]["fig2"]["figure"]["most"] = 0
    with pytest.raises(UserError, match="most: 0 is not allowed; allowed: at least 1"):
        figure_asserts.numbers(few)


def test_a_data_set_that_is_not_there_is_reported_as_missing(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "tags"}, rows=["encoder"], grid={"dataset": ["msd", "openmic"]}
    )
    figure_asserts.write_corpora(results, clips=100)
    (results.folder / "corpora" / "msd" / str(figure_asserts.RATE) / "corpus.json").unlink()
    assert list(figure_asserts.numbers(results).query("status == 'missing'")["dataset"]) == ["msd"]
    assert "Million Song Dataset\nnot run" in [
        text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))
    ]
    assert "Million Song Dataset: not run" in figure_asserts.description(results)


def test_the_description_says_how_unequal_they_are(results: Results) -> None:
    _, labels = corpus(results, "magnatagatune")
    counts = labels.drop(columns="clip").sum().astype(int).sort_values()
    description = figure_asserts.description(results)
    assert f"most {counts.index[-1]} {counts.iloc[-1]:,};" in description
    assert f"{counts.iloc[0]:,}, {counts.iloc[-1] / counts.iloc[0]:.3g} times fewer" in description
