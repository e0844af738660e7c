from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.figures import figure_asserts
from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError


def small(folder: Path, *, metric: str = "roc_auc", **grid: list) -> Results:
    """One method on three tags."""
    results = figure_asserts.make_study(
        folder, figure={"kind": "per_tag"}, rows=["encoder"], grid={"encoder": ["cpc"], **grid}
    )
    figure_asserts.write_tag_predictions(results, lambda cell: 2.0, tags=figure_asserts.TAGS[:3], clips=60, trials=3)
    results.manifest["studies"]["fig2"]["metric"] = metric
    return results


def test_fifty_tags_find_room(figure: Figure) -> None:
    figure_asserts.assert_nothing_overlaps(figure)


def test_numbers_are_recomputed_from_the_predictions(results: Results, numbers: pd.DataFrame) -> None:
    values = figure_asserts.tag_roc_auc(results, "weird", encoder="cpc")
    (row,) = numbers.query("tag == 'weird' and encoder == 'cpc'").to_dict("records")
    assert row["mean"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std(ddof=1))
    assert (row["n"], row["replicate"], row["unit"], row["positives"]) == (3, "trials", "%", 11)


@pytest.mark.parametrize(("encoder", "scenario"), [("cpc", "frozen"), ("samplecnn", "supervised")])
def test_the_mean_over_the_tags_is_that_of_the_trials(
    results: Results, numbers: pd.DataFrame, encoder: str, scenario: str
) -> None:
    (path,) = figure_asserts.trials_files(results, encoder=encoder, scenario=scenario)
    rows = numbers.query("encoder == @encoder and scenario == @scenario")
    assert rows["mean"].mean() == pytest.approx(100 * pd.read_csv(path)["value"].mean())


def test_tags_are_sorted_with_the_best_on_top(numbers: pd.DataFrame, figure: Figure) -> None:
    best = numbers.groupby("tag")["mean"].mean().idxmax()
    panel = figure.axes[0]
    first = panel.get_yticklabels()[0].get_text()
    assert first.startswith(f"{best} (")
    assert panel.yaxis_inverted()


def test_several_pretraining_seeds_deviate_between_each_other(tmp_path: Path) -> None:
    results = small(tmp_path, pretrain_seed=[0, 1, 2])
    row = figure_asserts.numbers(results).query("tag == 'guitar'").iloc[0]
    means = [figure_asserts.tag_roc_auc(results, "guitar", pretrain_seed=seed).mean() for seed in (0, 1, 2)]
    assert (row["mean"], row["std"]) == (pytest.approx(np.mean(means)), pytest.approx(np.std(means, ddof=1)))
    assert (row["replicate"], row["n"]) == ("pretraining seeds", 3)


def test_a_tag_without_positive_clips_has_no_area(tmp_path: Path) -> None:
    results = small(tmp_path)
    (path,) = figure_asserts.trials_files(results)
    stored = dict(np.load(path.with_name("predictions.npz")))
    stored["labels"][:, 1] = 0
    np.savez(path.with_name("predictions.npz"), **stored)
    numbers = figure_asserts.numbers(results).set_index("tag")
    assert np.isnan(numbers.loc["classical", "mean"])
    panel = figure_asserts.figure(results).axes[0]
    assert not any(label.get_text().startswith("classical") for label in panel.get_yticklabels())
    assert panel.get_title().endswith("1 tag without a value: left out")
    assert "nan" not in figure_asserts.description(results)


def test_the_description_states_the_largest_gap(results: Results, numbers: pd.DataFrame) -> None:
    table = numbers.pivot_table(index="tag", columns="method", values="mean")
    gaps = table.max(axis=1) - table.min(axis=1)
    tag = gaps.idxmax()
    description = figure_asserts.description(results)
    assert f"largest gap between methods at one tag: {tag} (" in description
    assert f"{table.loc[tag].idxmax()} {table.loc[tag].max():.1f}" in description
    assert f"{gaps.max():.1f} points apart" in description


def test_one_method_and_floors_have_no_gap(tmp_path: Path) -> None:
    results = small(tmp_path)
    figure_asserts.add_cell(results, factors("random", "frozen", "openmic"), np.full(3, 0.5))
    results.manifest["studies"]["fig2"]["floors"] = ["random"]
    figure_asserts.write_tag_predictions(results, lambda cell: 1.0, tags=figure_asserts.TAGS[:3], clips=60, trials=3)
    assert set(figure_asserts.numbers(results)["role"]) == {"method", "floor"}
    assert "gap" not in figure_asserts.description(results)


def test_a_missing_method_is_named(tmp_path: Path) -> None:
    results = small(tmp_path, workers=["WLP", "WLPT"])
    results.manifest["studies"]["fig2"]["rows"] = ["workers"]
    figure_asserts.remove_cells(results, workers="WLPT")
    figure = figure_asserts.figure(results)
    assert any("WLPT: not run" in text.get_text() for text in figure_asserts.visible_texts(figure))
    figure_asserts.assert_nothing_overlaps(figure)


def test_one_class_a_clip_and_other_metrics_are_refused(tmp_path: Path) -> None:
    results = small(tmp_path, metric="classes_skipped")
    (path,) = figure_asserts.trials_files(results)
    path.write_text(path.read_text().replace("roc_auc", "classes_skipped"))
    with pytest.raises(UserError, match="classes_skipped is not measured class by class; allowed: roc_auc"):
        figure_asserts.numbers(results)
    figure_asserts.write_predictions(results, ndim=3)
    with pytest.raises(UserError, match="figure per_tag needs clips with several classes"):
        figure_asserts.numbers(results)
