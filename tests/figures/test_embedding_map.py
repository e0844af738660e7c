import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures import figure_asserts
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError


def one(folder: Path, *, clips: int = 100, crop_length: int | None = None, **options: object) -> Results:
    """One encoder."""
    results = figure_asserts.make_study(
        folder,
        figure={"kind": "embedding_map", **options},
        rows=["encoder"],
        grid={"encoder": ["samplecnn"], "dataset": ["magnatagatune"]},
    )
    figure_asserts.write_corpora(results, clips=clips)
    figure_asserts.write_embeddings(results, crop_length=crop_length)
    return results


def test_panels_and_legend_find_room(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_each_encoder_has_a_panel_with_the_same_clips(numbers: pd.DataFrame) -> None:
    assert list(dict.fromkeys(numbers["panel"])) == ["contrastive", "predictive coding", "random weights"]
    clips = [tuple(rows["clip"]) for _, rows in numbers.groupby("panel", sort=False)]
    assert clips[0] == clips[1] == clips[2]
    assert len(clips[0]) == 100  # the test split's fifth of 500


def test_colours_are_those_of_clips_with_one_of_the_commonest_tags(results: Results, numbers: pd.DataFrame) -> None:
    colours = numbers.query("panel == 'contrastive'").set_index("clip")["colour"]
    folder = results.folder / "corpora" / "magnatagatune" / str(figure_asserts.RATE)
    labels = pd.read_parquet(folder / "labels.parquet").set_index("clip").loc[colours.index]
    chosen = labels.sum().sort_values(ascending=False, kind="stable").index[:6]
    for clip, tags in labels[chosen].iterrows():
        tags_of_clip = list(chosen[tags == 1])
        assert colours[str(clip)] == (tags_of_clip[0] if len(tags_of_clip) == 1 else "others")


def test_neighbours_agree_more_where_classes_lie_apart(numbers: pd.DataFrame) -> None:
    shares = numbers.drop_duplicates("panel").set_index("panel")[["agreement", "chance"]]
    assert shares.loc["contrastive", "agreement"] > shares.loc["random weights", "agreement"] + 20
    assert shares["chance"].nunique() == 1


def test_it_describes_the_points_and_the_limits_of_the_map(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "distances between clusters mean nothing" in description
    assert "contrastive: 100 points, neighbours agree:" in description
    assert ", perplexity 30." in description


def test_few_points_have_a_smaller_perplexity(tmp_path: Path) -> None:
    numbers = figure_asserts.numbers(one(tmp_path, clips=50))
    assert set(numbers["perplexity"]) == {3.0}  # a third of the nine others
    assert len(numbers) == 10


def test_points_are_at_most_as_many_as_the_option_allows(tmp_path: Path) -> None:
    numbers = figure_asserts.numbers(one(tmp_path, clips=500, points=40))
    assert len(numbers) == 40
    assert numbers["clip"].is_unique


def test_classes_are_chosen_by_name(tmp_path: Path) -> None:
    results = one(tmp_path, classes=["rock", "guitar"])
    assert set(figure_asserts.numbers(results)["colour"]) <= {"rock", "guitar", "others"}
    labels = [
        text.get_text()
        for text in figure_asserts.visible_texts(figure_asserts.figure(results))
        if text.get_text() in figure_asserts.TAGS
    ]
    assert labels == ["rock", "guitar"]
    results.manifest["studies"]["fig2"]["figure"]["classes"] = ["polka"]
    with pytest.raises(UserError, match="magnatagatune has no polka; allowed: guitar, classical"):
        figure_asserts.numbers(results)


def test_a_clip_of_several_crops_is_one_point_by_class(tmp_path: Path) -> None:
    numbers = figure_asserts.numbers(one(tmp_path, clips=50, crop_length=figure_asserts.CROP))
    assert len(numbers) == 10


def test_by_song_a_point_is_a_crop(tmp_path: Path) -> None:
    results = one(tmp_path, clips=100, crop_length=3 * figure_asserts.CROP, colours="song", songs=3)
    numbers = figure_asserts.numbers(results)
    crops = 29 * figure_asserts.RATE // (3 * figure_asserts.CROP)
    assert numbers["colour"].value_counts().to_dict() == dict.fromkeys(["song 01", "song 02", "song 03"], 5 * crops)
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_by_song_an_encoder_of_whole_clips_is_left_out(tmp_path: Path) -> None:
    results = one(tmp_path, colours="song")
    assert figure_asserts.numbers(results)["reason"].str.startswith("one embedding a clip").all()
    assert any(
        "one embedding a clip" in text.get_text()
        for text in figure_asserts.visible_texts(figure_asserts.figure(results))
    )


def test_embeddings_that_are_not_there_are_reported_missing(tmp_path: Path) -> None:
    results = one(tmp_path)
    next((results.folder / "embeddings").rglob("*.npy")).unlink()
    figure_asserts.remove_cells(results)
    assert set(figure_asserts.numbers(results)["reason"]) == {"not run"}
    assert ": not run" in figure_asserts.description(results)
    assert any("not run" in text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results)))


def test_embeddings_of_other_data_are_refused(tmp_path: Path) -> None:
    results = one(tmp_path)
    (record,) = (results.folder / "embeddings").rglob("*.json")
    record.write_text(json.dumps({"data": {"magnatagatune": "other"}, "crop_length": None}))
    with pytest.raises(UserError, match=r"magnatagatune\.npy is stale: .*; run embed again"):
        figure_asserts.numbers(results)


def test_options_that_cannot_be_drawn_are_refused(tmp_path: Path) -> None:
    refused: list[tuple[dict[str, object], str]] = [
        ({"classes": list(figure_asserts.TAGS[:7])}, "classes: .* is not allowed; allowed: at most 6"),
        ({"songs": 0}, "songs: 0 is not allowed; allowed: at least 1"),
        ({"songs": 37}, "songs: 37 is not allowed; allowed: at most 36"),
        ({"points": 2}, "points: 2 is not allowed; allowed: at least 5"),
    ]
    for number, (options, message) in enumerate(refused):
        with pytest.raises(UserError, match=message):
            figure_asserts.numbers(one(tmp_path / str(number), clips=50, **options))


def test_the_same_embeddings_give_the_same_places(tmp_path: Path) -> None:
    first, second = (figure_asserts.numbers(one(tmp_path / name, clips=200)) for name in ("first", "second"))
    np.testing.assert_array_equal(first[["x", "y"]], second[["x", "y"]])


def test_a_study_without_frozen_encoders_is_refused(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "embedding_map"}, rows=["encoder"], grid={"scenario": ["supervised"]}
    )
    with pytest.raises(UserError, match="figure embedding_map needs scenario frozen"):
        figure_asserts.numbers(results)


def test_by_song_each_has_as_many_crops_as_the_option_allows(tmp_path: Path) -> None:
    results = one(tmp_path, clips=100, crop_length=3 * figure_asserts.CROP, colours="song", songs=3, crops=12)
    assert figure_asserts.numbers(results)["colour"].value_counts().to_dict() == dict.fromkeys(
        ["song 01", "song 02", "song 03"], 12
    )
    assert ": 3 songs of 12 crops each, neighbours agree" in figure_asserts.description(results)


def test_by_song_the_longest_are_shown_where_too_few_are_long(tmp_path: Path) -> None:
    results = one(tmp_path, clips=50, crop_length=3 * figure_asserts.CROP, colours="song", crops=10_000)
    crops = 5 * (29 * figure_asserts.RATE // (3 * figure_asserts.CROP))
    assert f"2 songs of {crops} crops each" in figure_asserts.description(results)
    assert any(
        f"2 songs of {crops} crops each" in text.get_text()
        for text in figure_asserts.visible_texts(figure_asserts.figure(results))
    )
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))
