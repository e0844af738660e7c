from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError

VOICES = ("vocals", "vocal", "singing")


def stored_windows(results: Results, encoder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a method's scores by window (clips, windows), labels of the voices (clips, 3) and names of the clips."""
    (path,) = figure_asserts.trials_files(results, encoder=encoder)
    stored = np.load(path.with_name("predictions.npz"))
    places = [list(stored["classes"]).index(tag) for tag in VOICES]
    windows = stored["windows_scores"][:, places[0]].astype(float).reshape(len(stored["clips"]), -1)
    return windows, stored["labels"][:, places], stored["clips"]


def test_everything_finds_room(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_the_rules_pick_the_clips(results: Results, numbers: pd.DataFrame) -> None:
    of, labels, clips = stored_windows(results, "unet")
    over = stored_windows(results, "magnitude")[0]
    without_voice = np.flatnonzero((labels == 0).all(axis=1))
    with_voice = np.flatnonzero(labels[:, 0] == 1)
    false_alarm = without_voice[over[without_voice].mean(axis=1).argmax()]
    largest_gain = with_voice[(of - over)[with_voice].mean(axis=1).argmax()]
    picked = numbers.groupby("case")["clip"].unique()
    assert (picked["without"].tolist(), picked["with"].tolist()) == ([clips[false_alarm]], [clips[largest_gain]])
    counts = numbers.groupby("case")["candidates"].first()
    assert (counts["without"], counts["with"]) == (len(without_voice), len(with_voice))


def test_the_clip_with_a_tag_may_have_another_one(tmp_path: Path) -> None:
    results = synthetic_studies.confidence(tmp_path)
    results.manifest["studies"]["fig2"]["figure"]["with_tag"] = "singing"
    numbers = figure_asserts.numbers(results)
    assert numbers.groupby("case")["tag"].unique().map(list).to_dict() == {"with": ["singing"], "without": ["vocals"]}
    _, labels, clips = stored_windows(results, "unet")
    (clip,) = numbers.query("case == 'with'")["clip"].unique()
    assert labels[list(clips).index(clip), VOICES.index("singing")] == 1
    assert "the clip with singing where" in figure_asserts.description(results)


def test_each_window_is_a_point(results: Results, numbers: pd.DataFrame, figure: Figure) -> None:
    of, _, clips = stored_windows(results, "unet")
    rows = numbers.query("case == 'with' and encoder == 'unet'")
    (row,) = np.flatnonzero(clips == rows["clip"].iloc[0])
    assert rows["confidence"].to_numpy() == pytest.approx(100 * of[row])
    assert rows["start"].to_numpy() == pytest.approx(3.862 / 2 * np.arange(14), rel=1e-6)
    drawn = [line.get_ydata() for line in figure.axes[1].lines]
    assert any(np.allclose(line, rows["confidence"]) for line in map(np.asarray, drawn) if len(line) == len(rows))


def test_the_rules_are_in_the_figure_and_its_description(results: Results, figure: Figure) -> None:
    shown = " ".join(" ".join(text.get_text() for text in figure_asserts.visible_texts(figure)).split())
    for rule in (
        "False alarm: the clip without vocals or a similar tag that spectrogram alone is most sure of",
        "Largest gain: the clip with vocals where U-Net, vocals exceeds spectrogram alone most",
    ):
        assert rule in shown
        assert rule in figure_asserts.description(results)


def test_a_method_that_is_ahead_nowhere_is_not_claimed_to_be(tmp_path: Path) -> None:
    results = synthetic_studies.confidence(tmp_path)
    (path,) = figure_asserts.trials_files(results, encoder="unet")
    stored = dict(np.load(path.with_name("predictions.npz")))
    np.savez(path.with_name("predictions.npz"), **stored | {"windows_scores": 0 * stored["windows_scores"]})
    assert "where U-Net, vocals, ahead in no clip, is least behind spectrogram alone" in figure_asserts.description(
        results
    )


def test_what_is_not_there_is_reported(tmp_path: Path) -> None:
    results = synthetic_studies.confidence(tmp_path)
    (path,) = figure_asserts.trials_files(results, encoder="unet")
    stored = dict(np.load(path.with_name("predictions.npz")))
    stored["labels"][:, list(stored["classes"]).index("vocals")] = 0
    np.savez(path.with_name("predictions.npz"), **stored)
    numbers = figure_asserts.numbers(results).query("case == 'with'")
    assert set(numbers["reason"]) == {"no such test clip"}
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))
    assert "no such test clip" in figure_asserts.description(results)
    plain = {name: array for name, array in stored.items() if not name.startswith("windows")}
    np.savez(path.with_name("predictions.npz"), **plain)
    assert set(figure_asserts.numbers(results)["reason"]) == {"no windows stored: the head reads whole clips"}
    figure_asserts.remove_cells(results, encoder="unet")
    assert set(figure_asserts.numbers(results)["reason"]) == {"not run"}
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_clips_of_other_data_are_not_compared(tmp_path: Path) -> None:
    results = synthetic_studies.confidence(tmp_path)
    (path,) = figure_asserts.trials_files(results, encoder="unet")
    pd.read_csv(path, dtype=str).assign(data_digest="other").to_csv(path, index=False)
    numbers = figure_asserts.numbers(results)
    assert set(numbers["status"]) == {"missing"}
    assert numbers["reason"].iloc[0].startswith("not comparable: ")


def test_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    results = synthetic_studies.confidence(tmp_path)
    results.manifest["studies"]["fig2"]["figure"]["tag"] = "kazoo"
    with pytest.raises(UserError, match="figure: there is no tag 'kazoo'; allowed: guitar"):
        figure_asserts.numbers(results)
