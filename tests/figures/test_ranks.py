from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts, synthetic_studies
from tests.synthetic_results import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = synthetic_studies.ranks(tmp_path_factory.mktemp("results"))
    Path(results.manifest["cells"][4]["path"]).unlink()  # WLP, re-weighted, on FMA small
    return results


def test_no_text_lies_on_another_or_outside(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_dots_are_places_and_bars_their_intervals(results: Results, figure: Figure) -> None:
    numbers = figure_asserts.numbers(results)
    ranked = numbers[numbers["rank"].notna()]
    (panel,) = figure.axes
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert [int(line.get_xdata()[0]) for line in dots] == ranked["rank"].to_list()  # type: ignore[index]
    assert ranked["rank"].is_monotonic_increasing
    bars = [line.get_xdata() for line in panel.lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    lying = [tuple(map(int, bar)) for bar in bars if float(bar[0]).is_integer()]  # type: ignore[index]
    assert lying[: len(ranked)] == list(zip(ranked["rank_low"], ranked["rank_high"], strict=True))


def test_upright_lines_join_ties(results: Results, figure: Figure) -> None:
    numbers = figure_asserts.numbers(results)
    (panel,) = figure.axes
    upright = [line for line in panel.lines if line.get_solid_capstyle() == "butt"]
    groups: dict[str, list[int]] = {}
    for height, ties in enumerate(numbers["tie_groups"]):
        for letter in ties.split():
            groups.setdefault(letter, []).append(height)
    joined = [members for members in groups.values() if len(members) > 1]
    assert len(joined) > 1
    for line, members in zip(upright, joined, strict=True):
        low, high = np.sort(line.get_ydata())
        assert [height for height in range(len(numbers)) if low <= height <= high] == members


def test_the_worse_are_in_no_tie_and_the_missing_are_named(results: Results, figure: Figure) -> None:
    numbers = figure_asserts.numbers(results).set_index(["workers", "weighting"])
    alike = numbers.loc[[key for key in numbers.index if key[0] not in ("WLP", "none")], "tie_groups"]
    assert not set(numbers.loc[("WLP", "equal"), "tie_groups"].split()) & {
        letter for ties in alike for letter in ties.split()
    }
    assert numbers.loc[("WLP", "reweighted"), "reason"] == "not run (fma_small)"
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure)]
    assert "not run (FMA small)" in texts
    assert "joined by an upright line: not distinguishable" in texts
    assert "OpenMIC, FMA small and Extended Ballroom (twin)" in texts


def test_the_description_has_every_place(results: Results) -> None:
    description = figure_asserts.description(results)
    assert description.count(" rank ") == 17
    assert "handcrafted features rank " in description


def test_methods_on_data_that_others_trained_the_encoder_on_are_marked(tmp_path: Path) -> None:
    results = synthetic_studies.ranks(tmp_path)
    assert not figure_asserts.numbers(results)["method"].str.contains("‡").any()
    results.manifest["training_data"] = {"audioset_music": {"names": ["openmic"], "evaluated": ["openmic"]}}
    numbers = figure_asserts.numbers(results)
    assert (numbers["method"].str.endswith(" ‡") == (numbers["corpus"] == "audioset_music")).all()


def test_one_data_set_has_nothing_to_rank(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "ranks"}, rows=["workers"], grid={"workers": ["WLP", "WLPT"], "dataset": ["openmic"]}
    )
    assert figure_asserts.numbers(results).empty
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(results))]
    assert "one data set, or one method: nothing to rank" in texts
    assert figure_asserts.description(results).endswith("Nothing to rank.")


def test_the_ranks_of_another_metric_are_left_out(tmp_path: Path) -> None:
    results = synthetic_studies.ranks(tmp_path)
    alone = figure_asserts.numbers(results)
    study = results.manifest["studies"]["fig2"]
    study["metrics"] = {dataset: ["macro_f1", "accuracy"] for dataset in ("openmic", "fma_small")}
    assert len(figure_asserts.numbers(results)) == len(alone)
    assert set(figure_asserts.numbers(results)["metric"]) == {"macro_f1"}
