import json
from pathlib import Path

import pandas as pd
import pytest

from tests.figures import figure_asserts
from tests.synthetic_results import Results
from tests.test_compose import FACTS
from workflow_scripts.core.errors import UserError


def losses_file(results: Results, run: int) -> Path:
    return Path(results.manifest["pretrained_runs"][run]["folder"]) / "losses.csv"


def test_no_text_lies_on_another_or_outside(results: Results) -> None:
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(results))


def test_numbers_are_validation_losses_times_their_weights(results: Results) -> None:
    numbers = figure_asserts.numbers(results)
    assert len(numbers) == 2 * 6 * 20
    for run, weighting in enumerate(("equal", "reweighted")):
        losses = (
            pd.read_csv(losses_file(results, run)).query("split == 'valid' and worker == 'lps' and epoch == 7").iloc[0]
        )
        row = numbers[numbers["weighting"] == weighting].query("worker == 'lps' and epoch == 7").iloc[0]
        assert row["value"] == pytest.approx(losses["loss"] * losses["weight"])
        assert (row["loss"], row["split"], row["runs"]) == (pytest.approx(losses["loss"]), "valid", 1)
    assert (numbers.query("weighting == 'equal'")["weight"] == 1).all()


def test_the_axis_says_what_is_drawn(own_results: Results) -> None:
    assert [panel.get_ylabel() for panel in figure_asserts.figure(own_results).axes] == [
        "validation loss",
        "validation loss times weight",
    ]
    own_results.manifest["studies"]["fig2"]["figure"] = {"kind": "losses", "weighted": False, "epochs": 3}
    numbers = figure_asserts.numbers(own_results)
    assert (numbers["value"] == numbers["loss"]).all()
    assert numbers["epoch"].max() == 3
    assert {panel.get_ylabel() for panel in figure_asserts.figure(own_results).axes} == {"validation loss"}


def test_without_validation_it_is_the_training_loss(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "losses"}, rows=["weighting"], grid={"weighting": ["equal"]}
    )
    figure_asserts.write_losses(results, splits=["train"], epochs=1)
    assert set(figure_asserts.numbers(results)["split"]) == {"train"}
    assert figure_asserts.figure(results).axes[0].get_ylabel() == "training loss"


def test_seeds_are_averaged(tmp_path: Path) -> None:
    results = figure_asserts.make_study(
        tmp_path, figure={"kind": "losses"}, rows=["weighting"], grid={"pretrain_seed": [0, 1]}
    )
    figure_asserts.write_losses(results, epochs=2)
    table = pd.read_csv(losses_file(results, 1))
    table["loss"] *= 3
    table.to_csv(losses_file(results, 1), index=False)
    numbers = figure_asserts.numbers(results)
    assert len(numbers) == 12
    assert numbers.query("worker == 'lps' and epoch == 1")["value"].iloc[0] == pytest.approx(600)
    assert set(numbers["runs"]) == {2}


def test_a_run_that_is_missing_is_named(own_results: Results) -> None:
    losses_file(own_results, 1).unlink()
    absent = figure_asserts.numbers(own_results).query("status == 'missing'")
    assert absent[["weighting", "reason"]].to_numpy().tolist() == [["reweighted", "not run"]]
    assert "re-weighted\nnot run" in [
        text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(own_results))
    ]
    losses_file(own_results, 0).unlink()
    figure_asserts.assert_nothing_overlaps(figure_asserts.figure(own_results))


def test_a_twin_corpus_is_named(own_results: Results) -> None:
    corpus = own_results.folder / "corpus"
    corpus.mkdir()
    (corpus / "corpus.json").write_text(json.dumps(FACTS | {"dataset": "audioset_music", "source": "twin"}))
    own_results.manifest["corpora"] = [str(corpus)]
    texts = [text.get_text() for text in figure_asserts.visible_texts(figure_asserts.figure(own_results))]
    assert "equal (twin)" in texts
    assert any("not comparable with published numbers" in text for text in texts)


def test_the_description_says_how_far_the_curves_lie_apart(results: Results) -> None:
    description = figure_asserts.description(results)
    assert "equal, epochs 1 to 20" in description
    assert "largest over smallest at the end 6e+03" in description
    assert "largest over smallest at the end 1." in description


def test_no_epochs_are_refused(own_results: Results) -> None:
    own_results.manifest["studies"]["fig2"]["figure"] = {"kind": "losses", "epochs": 0}
    with pytest.raises(UserError, match="epochs: 0 is not allowed; allowed: at least 1"):
        figure_asserts.numbers(own_results)
