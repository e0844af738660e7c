import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results
from workflow_scripts.statistics.inference.crossover import find_crossover

ASCENDING = synthetic_studies.SIZES[::-1]


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_points_are_means_over_the_training_samples(results: Results) -> None:
    points = figure_asserts.numbers(results).query("role == 'point' and panel == 'OpenMIC' and scenario == 'frozen'")
    assert list(points["train_clips"]) == [400, 800, 1400, 2000, 3000, 4000]
    values = figure_asserts.macro_f1(results, scenario="frozen", fraction="35pct", dataset="openmic")
    assert points.iloc[2]["mean"] == pytest.approx(100 * values.mean())
    assert points.iloc[2]["n"] == 10


def test_the_crossing_is_that_of_the_paired_differences(results: Results) -> None:
    differences = [
        figure_asserts.macro_f1(results, scenario="fine_tuned", fraction=fraction, dataset="openmic")
        - figure_asserts.macro_f1(results, scenario="frozen", fraction=fraction, dataset="openmic")
        for fraction in ASCENDING
    ]
    expected = find_crossover([400, 800, 1400, 2000, 3000, 4000], np.array(differences))
    crossover = figure_asserts.numbers(results).query("role == 'crossing' and panel == 'OpenMIC'").iloc[0]
    assert expected.outcome == crossover["outcome"] == "crossing"
    assert (crossover["size"], crossover["ci_low"], crossover["ci_high"]) == pytest.approx(
        (expected.size, expected.ci.low, expected.ci.high)
    )
    assert (crossover["of"], crossover["over"], crossover["n"], crossover["n_pretraining_seeds"]) == (
        "fine-tuned",
        "frozen",
        10,
        1,
    )


def test_each_panel_says_its_outcome(results: Results, figure: Figure) -> None:
    titles = [panel.get_title() for panel in figure.axes]
    row = figure_asserts.numbers(results).query("role == 'crossing' and panel == 'OpenMIC'").iloc[0]
    assert f"from {row['size']:,.0f} [{row['ci_low']:,.0f}, {row['ci_high']:,.0f}] samples on" in titles[0]
    assert "fine-tuned does not beat frozen\nat the largest size" in titles[1]
    assert "fine-tuned beats frozen\nat every size" in titles[2]
    upright = [line for line in figure.axes[0].lines if list(line.get_ydata()) == [0, 1]]
    assert [line.get_xdata()[0] for line in upright] == [row["size"]]  # type: ignore[index]


def test_frozen_is_filled_and_fine_tuned_open(figure: Figure) -> None:
    fills = {line.get_marker(): line.get_markerfacecolor() for line in figure.axes[0].lines}
    assert fills["o"] != "white"
    assert fills["s"] == "white"


def test_missing_sizes_are_left_out_of_the_crossing(tmp_path: Path) -> None:
    results = synthetic_studies.training_sizes(tmp_path)
    figure_asserts.remove_cells(results, scenario="fine_tuned", fraction="10pct", dataset="openmic")
    figure_asserts.remove_cells(results, dataset="fma_small")
    for fraction in ASCENDING[1:]:
        figure_asserts.remove_cells(results, scenario="frozen", fraction=fraction, dataset="extended_ballroom")
    numbers = figure_asserts.numbers(results)
    crossovers = numbers.query("role == 'crossing'").set_index("panel")
    assert crossovers.loc["OpenMIC", "outcome"] == "crossing"
    assert (crossovers.loc[["FMA small", "Extended Ballroom"], "status"] == "missing").all()
    assert "fewer than two training sizes" in crossovers.loc["Extended Ballroom", "reason"]
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    titles = [panel.get_title() for panel in figure.axes]
    assert "1 of 12 points not run" in titles[0]
    assert titles[1] == "FMA small\nnothing measured"


def test_fractions_of_the_same_size_count_once(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "training_sizes"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": ["100pct", "10.01pct", "10pct"]},
        value=lambda cell: 0.5 + (cell["scenario"] == "fine_tuned") * (0.1 if cell["fraction"] == "100pct" else -0.1),
    )
    numbers = figure_asserts.numbers(results)
    assert set(numbers.query("role == 'point'")["train_clips"]) == {400, 4000}
    assert numbers.query("role == 'crossing'")["outcome"].iloc[0] == "crossing"


def test_two_trials_give_no_interval_and_say_so(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "training_sizes"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": ["100pct", "50pct"]},
        trials=2,
    )
    title = figure_asserts.figure(results).axes[0].get_title()
    assert "crossover not determined:\nfewer than three trials" in title


def test_an_undetermined_crossing_says_what_the_resamples_hold(tmp_path: Path) -> None:
    gains = {"100pct": 0.005, "50pct": -0.03}
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "training_sizes"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": [*gains]},
        value=lambda cell: 0.5 + (cell["scenario"] == "fine_tuned") * gains[cell["fraction"]],
    )
    crossover = figure_asserts.numbers(results).query("role == 'crossing'").iloc[0]
    figure = figure_asserts.figure(results)
    title = figure.axes[0].get_title()
    shares = [f"{100 * crossover[share]:.0f} %" for share in ("crosses", "always", "never")]
    assert crossover["crosses"] + crossover["always"] + crossover["never"] == pytest.approx(1)
    assert "where fine-tuned begins to beat frozen\ncannot be determined from these trials" in title
    held = f"better at all sizes in {shares[1]} of the resamples of trials, from a size on in {shares[0]}, never in"
    assert f"{held} {shares[2]})" in figure_asserts.description(results)
    figure_asserts.assert_nothing_overlaps(figure)


def test_the_description_holds_points_and_crossing(results: Results) -> None:
    description = figure_asserts.description(results)
    assert re.search(r"frozen \d\d\.\d with 4,000 samples", description)
    assert "fine-tuned does not beat frozen at the largest size" in description


def test_frozen_stands_against_from_scratch_down_to_one_percent(tmp_path: Path) -> None:
    """Fig. 6.5 of Spijkervet (2021): better with few labels, worse with all."""

    def value(cell: figure_asserts.Cell) -> float:
        share = float(cell["fraction"].removesuffix("pct")) / 100
        return 0.33 if cell["scenario"] == "frozen" else float(0.35 + 0.03 * np.log10(share))

    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "training_sizes", "of": {"scenario": "supervised"}, "over": {"scenario": "frozen"}},
        rows=["scenario", "fraction"],
        grid={
            "scenario": ["frozen", "supervised"],
            "fraction": ["100pct", "50pct", "20pct", "10pct", "5pct", "1pct"],
            "encoder": ["samplecnn"],
            "workers": ["contrastive"],
            "dataset": ["magnatagatune"],
        },
        value=value,
    )
    figure = figure_asserts.figure(results)
    figure_asserts.assert_nothing_overlaps(figure)
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.get_xticklabels()] == ["40", "200", "800", "4,000"]
    assert figure_asserts.numbers(results).query("role == 'point'")["scenario"].nunique() == 2
    assert "supervised beats frozen from " in figure_asserts.description(results)


def test_sizes_may_be_shares_of_the_labels(tmp_path: Path) -> None:
    """Subsets of segments have clips in common whose number says little: the thesis draws percentages."""
    gains = {"100pct": 0.03, "10pct_segments": 0.01, "1pct_segments": -0.02}
    results = figure_asserts.make_study(
        tmp_path,
        figure={"kind": "training_sizes", "axis": "percent"},
        rows=["scenario", "fraction"],
        grid={"scenario": ["frozen", "fine_tuned"], "fraction": [*gains]},
        value=lambda cell: 0.5 + (cell["scenario"] == "fine_tuned") * gains[cell["fraction"]],
    )
    numbers = figure_asserts.numbers(results)
    assert list(numbers.query("role == 'point' and scenario == 'frozen'")["percent"]) == [1, 10, 100]
    crossover = numbers.query("role == 'crossing'").iloc[0]
    assert crossover["unit"] == "% of the training labels"
    assert 1 < crossover["size"] < 10
    figure = figure_asserts.figure(results)
    assert figure.axes[0].get_xlabel() == "% of the training labels"
    assert f"from {crossover['size']:.3g} [" in figure.axes[0].get_title()
    description = figure_asserts.description(results)
    assert description.startswith("Macro F1 (%) over % of the training labels. ")
    assert " with 1 % of the labels" in description
