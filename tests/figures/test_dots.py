from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.statistics.synthetic_samples import score_interval_of
from tests.synthetic_results import Results, factors


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = synthetic_studies.dots(tmp_path_factory.mktemp("results"))
    Path(results.manifest["cells"][9]["path"]).unlink()  # PASE+, supervised, on OpenMIC
    Path(results.manifest["cells"][12]["path"]).unlink()  # PASE+, frozen, on OpenMIC
    return results


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_it_says_what_is_measured_on_what(figure: Figure) -> None:
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure)]
    assert texts.count("macro F1 (%)") == 3
    assert "OpenMIC (twin)\n90 test clips" in texts
    assert texts.count("not run") == 2
    assert {"PASE, frozen", "PASE+, fine-tuned", "PASE, supervised", "random weights, frozen (floor)"} <= set(texts)
    assert any("not comparable with published numbers" in text for text in texts)


def test_numbers_are_the_mean_and_interval_of_the_trials(results: Results) -> None:
    numbers = figure_asserts.numbers(results)
    row = numbers.query("panel == 'FMA small' and method == 'PASE+, frozen'").iloc[0]
    values = figure_asserts.macro_f1(results, encoder="pase_plus", scenario="frozen", dataset="fma_small")
    assert row["mean"] == pytest.approx(100 * values.mean())
    ends = score_interval_of(values)
    assert (row["ci_low"] / 100, row["ci_high"] / 100) == pytest.approx(ends)
    assert row["half_width"] == pytest.approx(50 * (ends[1] - ends[0]))
    assert (row["n_trials"], row["test_clips"], row["source"], row["unit"]) == (10, 90, "twin", "%")
    absent = numbers[numbers["status"] == "missing"]
    assert list(absent["method"]) == ["PASE+, supervised", "PASE+, frozen"]
    assert set(absent["reason"]) == {"not run"}


def test_neither_bars_nor_the_axis_leave_the_range_of_the_metric(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder, mean in (("pase", 0.03), ("pase_plus", 0.98)):
        values = np.clip(mean + np.array([-0.03, 0.0, 0.06]), 0, 1)
        results.add(factors(encoder, "frozen", "openmic"), values)
    results.manifest["studies"]["fig2"] |= {"comparisons": [], "figure": {"kind": "dots"}}
    (panel,) = figure_asserts.figure(results).axes
    low, high = panel.get_xlim()
    assert -10 < low < 0
    assert 100 < high < 110
    bars = [points for bar in panel.containers for points in bar[2][0].get_segments()]  # type: ignore[attr-defined]
    assert len(bars) == 2
    assert all(0 <= end <= 100 for bar in bars for end in bar[:, 0])


def test_lines_differ_without_colour_and_have_that_of_their_encoder(figure: Figure) -> None:
    lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 2 and line.get_linestyle() != "None"]  # type: ignore[arg-type]
    upright = [line for line in lines if line.get_xdata()[0] == line.get_xdata()[1]]  # type: ignore[index]
    dashes = [str(line._unscaled_dash_pattern) for line in upright]  # type: ignore[attr-defined]
    assert len(dashes) == len(set(dashes)) == 5
    dots = [line for line in figure.axes[1].lines if line.get_marker() in ("s", "^")]
    baselines = [line for line in figure.axes[1].lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in baselines] == [line.get_xdata()[0] for line in upright]  # type: ignore[index]
    assert {line.get_color() for line in upright[:2]} == {line.get_color() for line in dots}


def test_numbers_stand_off_the_lines_they_lie_on(figure: Figure) -> None:
    dots = [text for panel in figure.axes for text in panel.texts if text.get_text()[0].isdigit()]
    assert len(dots) == 25  # four methods and five baselines in three panels; two cells are missing
    for text in dots:
        (halo,) = text.get_path_effects()
        assert (halo._gc["foreground"], halo._gc["linewidth"]) == ("white", 4)  # type: ignore[attr-defined]


def test_long_names_and_many_methods_find_room(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {
        "rows": ["workers", "scenario"],
        "comparisons": [],
        "title": "A title far too long for the one panel that this figure has, so it must be broken",
    }
    for number, workers in enumerate(["W", "WL", "WLP", "WLPMCT", "contrastive_and_everything_else"]):
        results.add(factors("pase", "frozen", "openmic", workers=workers), 0.3 + number / 50 + np.arange(3) / 100)
    results.add(factors("random", "frozen", "openmic"), [0.3, 0.31, 0.32])
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_a_study_without_any_result_still_has_a_figure(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for encoder in ("pase", "random"):
        results.expect(factors(encoder, "frozen", "openmic"))
    assert "OpenMIC\nnothing measured" in [
        text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))
    ]


def test_the_description_holds_every_number(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "FMA small (twin): PASE, supervised 39.9; PASE, frozen 45.0;" in description
    assert description.count("random weights, frozen") == 3


def test_methods_chosen_for_it_are_baselines(tmp_path: Path) -> None:
    results = synthetic_studies.augmentations(tmp_path)
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    roles = figure_asserts.numbers(results).set_index("method")["role"]
    assert roles["crops alone"] == "reference"
    assert set(roles.drop("crops alone")) == {"method"}
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        *synthetic_studies.AUGMENTATIONS,
        "crops alone",
    ]
    across = [line for line in panel.lines if len(np.ravel(line.get_ydata())) == 2]
    values = figure_asserts.macro_f1(results, augmentation="crop")
    assert [float(np.ravel(line.get_xdata())[0]) for line in across] == pytest.approx([100 * values.mean()])


def test_a_number_on_data_that_others_trained_the_encoder_on_is_marked(tmp_path: Path) -> None:
    results = synthetic_studies.frozen_encoders(tmp_path)
    corpus = next(iter(results.manifest["cells"]))["factors"]["corpus"]
    results.manifest["training_data"] = {corpus: {"names": ["openmic"], "evaluated": ["openmic"]}}
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))]
    marked = figure_asserts.numbers(results).query("tested_on_training_data == 'yes'")
    assert len(marked) == 2
    assert sum(text.endswith(" ‡") for text in texts) == 2
    assert any("‡ on data that others trained the encoder on" in text for text in texts)
