from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.core.errors import UserError
from workflow_scripts.figures import confusions


def counts(results: Results, workers: str) -> np.ndarray:
    (path,) = figure_asserts.trials_files(results, workers=workers)
    counts_of_cell: np.ndarray = np.load(path.with_name("predictions.npz"))["confusion"]
    return counts_of_cell


def entry(results: Results, matrix: str, true: str, predicted: str) -> dict:
    rows = figure_asserts.numbers(results).query("matrix == @matrix and true == @true and predicted == @predicted")
    (row,) = rows.to_dict("records")
    return row


def test_no_text_lies_on_another_or_outside(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


@pytest.mark.parametrize("classes", [4, 8, 13])
def test_any_number_of_classes_finds_room(tmp_path: Path, classes: int) -> None:
    results = synthetic_studies.confusions(tmp_path)
    figure_asserts.write_predictions(results, classes=[f"genre {number}" for number in range(classes)])
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_the_matrix_is_the_mean_percent_of_the_true_class(results: Results) -> None:
    rates = 100 * counts(results, "WLP") / counts(results, "WLP").sum(axis=2, keepdims=True)
    row = entry(results, "WLP", "Jive", "Samba")
    assert row["value"] == pytest.approx(rates[:, 2, 5].mean())
    assert (row["unit"], row["n"], row["n_trials"]) == ("%", 10, 10)
    rows = figure_asserts.numbers(results).query("matrix == 'WLP'").groupby("true")["value"].sum()
    assert rows.to_numpy() == pytest.approx(100)


def test_differences_are_points_over_paired_trials(results: Results) -> None:
    of, over = (100 * counts(results, workers) / 20 for workers in ("WLPT", "WLP"))
    differences = (of - over)[:, 8, 8]
    row = entry(results, "WLPT \N{MINUS SIGN} WLP", "Waltz", "Waltz")
    assert row["value"] == pytest.approx(differences.mean())
    assert row["ci_high"] - row["value"] == pytest.approx(2.262157 * differences.std(ddof=1) / np.sqrt(10))
    assert (row["unit"], row["of"], row["over"]) == ("points", "WLPT", "WLP")


def test_every_number_is_printed_with_its_sign(results: Results) -> None:
    panel = figure_asserts.figure(results).axes[2]
    printed = [text.get_text() for text in panel.texts]
    values = figure_asserts.numbers(results).query("matrix.str.startswith('WLPMCT')")["value"]
    assert len(printed) == 81
    for text, value in zip(printed, values, strict=True):
        assert float(text.replace("\N{MINUS SIGN}", "-")) == round(value)
        assert text[0] == ("0" if round(value) == 0 else "+" if value > 0 else "\N{MINUS SIGN}")


def test_red_is_more_and_blue_is_less(results: Results) -> None:
    panel = figure_asserts.figure(results).axes[1]
    mesh = panel.collections[0]
    colours = mesh.cmap(mesh.norm([5.0, -5.0]))  # type: ignore[attr-defined]
    assert colours[0][0] > colours[0][2]
    assert colours[1][2] > colours[1][0]


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0.05, 1))
def test_grey_print_separates_a_fall_from_a_rise_of_the_same_size(share: float) -> None:
    """In luma (ITU-R BT.601); half of the largest rise is already darker than the largest fall."""
    colours, _ = confusions.scale_changes(1.0)
    fall, rise, half = (
        float(np.dot(colours(0.5 + place / 2)[:3], (0.299, 0.587, 0.114))) for place in (-share, share, 0.5)
    )
    assert rise < fall - 0.15 * share
    assert half < fall - 0.05


def test_a_class_without_clips_has_no_numbers(own_results: Results) -> None:
    for path in figure_asserts.trials_files(own_results):
        stored = dict(np.load(path.with_name("predictions.npz")))
        stored["confusion"][:, 3] = 0
        np.savez(path.with_name("predictions.npz"), **stored)
    assert np.isnan(entry(own_results, "WLP", "Quickstep", "Waltz")["value"])
    assert "no clips" in [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(own_results))]
    assert "nan" not in figure_asserts.description(own_results)


def test_a_missing_cell_leaves_its_matrices_out(own_results: Results) -> None:
    figure_asserts.remove_cells(own_results, workers="WLPT")
    absent = figure_asserts.numbers(own_results).query("status == 'missing'")
    assert list(absent["matrix"]) == ["WLPT \N{MINUS SIGN} WLP", "WLPMCT \N{MINUS SIGN} WLPT"]
    figure = figure_asserts.figure(own_results)
    assert sum("not run" in text.get_text() for text in figure_asserts.visible_texts(figure)) == 2
    figure_asserts.assert_nothing_overlaps(figure)


def test_pretraining_seeds_are_averaged_and_paired_by_seed(tmp_path: Path) -> None:
    pair = {"of": {"workers": "WLPT"}, "over": {"workers": "WLP"}}
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "confusions", "differences": [pair]},
        rows=["workers"],
        grid={"workers": ["WLP", "WLPT"], "pretrain_seed": [0, 1, 2]},
    )
    figure_asserts.write_predictions(results)
    rates = {
        (workers, seed): 5
        * np.load(figure_asserts.trials_files(results, workers=workers, pretrain_seed=seed)[0].with_name(FILE))[
            "confusion"
        ]
        for workers in ("WLP", "WLPT")
        for seed in (0, 1, 2)
    }
    row = entry(results, "WLPT \N{MINUS SIGN} WLP", "Tango", "Tango")
    means = [(rates["WLPT", seed] - rates["WLP", seed])[:, 6, 6].mean() for seed in (0, 1, 2)]
    assert row["value"] == pytest.approx(np.mean(means))
    assert (row["replicate"], row["n"], row["n_pretraining_seeds"]) == ("pretraining seeds", 3, 3)


FILE = "predictions.npz"


def test_several_labels_a_clip_are_refused(own_results: Results) -> None:
    figure_asserts.write_predictions(own_results, ndim=4)
    with pytest.raises(UserError, match="figure confusions needs one class a clip"):
        figure_asserts.numbers(own_results)


def test_damaged_predictions_and_half_a_difference_are_refused(own_results: Results) -> None:
    figure_asserts.trials_files(own_results, workers="WLP")[0].with_name(FILE).write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"predictions\.npz is damaged"):
        figure_asserts.numbers(own_results)
    own_results.manifest["studies"]["fig2"]["figure"] = {
        "kind": "confusions",
        "differences": [{"of": {"workers": "WLP"}}],
    }
    with pytest.raises(UserError, match="differences: difference 0 must state of and over"):
        figure_asserts.numbers(own_results)


def test_the_description_names_the_largest_mistakes(results: Results) -> None:
    rates = 5 * counts(results, "WLP").mean(axis=0)
    description = figure_asserts.description(results)
    assert f"WLP: mean share of correct predictions {np.diagonal(rates).mean():.1f} %" in description
    np.fill_diagonal(rates, 0)
    true, predicted = np.unravel_index(rates.argmax(), rates.shape)
    assert (
        f"largest mistakes: {figure_asserts.DANCES[true]} as {figure_asserts.DANCES[predicted]} {rates.max():.1f};"
        in description
    )
