import re
from pathlib import Path

import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.report.aggregated_study import statistics, table
from tests.synthetic_results import Results, factors, full
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import labels as words
from workflow_scripts.report import renderers
from workflow_scripts.report.study_table import TWIN_WARNING, Entry, tidy
from workflow_scripts.statistics.tables.schema import read_tables

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def pair(folder: Path, better: np.ndarray, than: np.ndarray, **more: object) -> Results:
    """Frozen PASE and random weights on one set, and the comparison between them."""
    results = Results(folder)
    results.plan["studies"]["fig2"]["comparisons"] = results.plan["studies"]["fig2"]["comparisons"][:1]
    results.add(factors("pase", "frozen", "openmic"), better, **more)
    results.add(factors("random", "frozen", "openmic"), than, **more)
    return results


def test_floors_are_rows_of_their_own_and_come_last(tmp_path: Path) -> None:
    rows = table(full(tmp_path)).rows
    assert [(row.label, row.floor) for row in rows] == [
        ("PASE, supervised", False),
        ("PASE, frozen", False),
        ("PASE, fine-tuned", False),
        ("random weights, frozen", True),
        ("handcrafted features, frozen", True),
    ]


def test_numbers_are_in_percent_and_carry_what_they_rest_on(tmp_path: Path) -> None:
    made = table(full(tmp_path))
    frozen = made.rows[1]
    assert frozen.entries[0].mean == pytest.approx(52, abs=1.5)
    assert (frozen.trials, frozen.checkpoints) == ("10", "1")
    assert made.rows[0].checkpoints == "none"
    column = made.columns[0]
    assert (column.heading, column.test_clips, column.quarantined) == ("OpenMIC (twin)", "90", "2")


def test_twin_numbers_carry_their_warning_and_real_ones_do_not(tmp_path: Path) -> None:
    assert TWIN_WARNING in table(pair(tmp_path / "twin", 0.5 + NOISE, 0.4 + NOISE)).notes
    real = table(pair(tmp_path / "local", 0.5 + NOISE, 0.4 + NOISE, source="local"))
    assert TWIN_WARNING not in real.notes
    assert real.columns[0].heading == "OpenMIC (local)"


def test_one_checkpoint_is_said_in_words(tmp_path: Path) -> None:
    made = table(full(tmp_path))
    assert any("true of this checkpoint" in note for note in made.notes)
    assert made.outcomes[0].sentence.endswith("; 10 trials of one checkpoint, 90 test clips.")


def test_a_missing_cell_is_shown_with_its_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.plan["evaluations"][1]["path"]).unlink()
    made = table(results)
    assert made.rows[1].entries[0] == Entry(mean=None, half_width=None, rank="", reason="not run")
    assert "PASE, frozen, OpenMIC: not run." in made.notes
    assert made.outcomes[0].verdict == "missing: not run"
    assert "not compared" in made.outcomes[0].sentence


def test_a_cell_nobody_planned_is_told_from_one_that_failed(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    results.add(factors("handcrafted", "frozen", "fma_small"), 0.4 + NOISE)
    assert table(results).rows[0].entries[1].reason == "not planned"


def test_missing_checkpoints_are_counted(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    results.expect(factors("pase", "frozen", "openmic", seed=1))
    made = table(results)
    assert "PASE, frozen, OpenMIC: not run (1 of 2 pre-training seeds)." in made.notes
    assert made.rows[0].entries[0].mean == pytest.approx(50)


@pytest.mark.parametrize(
    ("gain", "sentence"),
    [
        (0.1, "OpenMIC (twin): frozen PASE beats random weights by 10.0 points ["),
        (-0.1, "OpenMIC (twin): frozen PASE is worse than random weights by 10.0 points ["),
        (0.001, "OpenMIC (twin): no difference shown between frozen PASE and random weights: 0.1 points ["),
    ],
)
def test_each_comparison_is_a_sentence(tmp_path: Path, gain: float, sentence: str) -> None:
    outcome = table(pair(tmp_path, 0.5 + gain + NOISE, 0.5 - NOISE)).outcomes[0]
    assert outcome.sentence.startswith(sentence)
    bounds = [
        float(bound) for bound in outcome.sentence.split("[")[1].split("]")[0].replace(words.MINUS, "-").split(",")
    ]
    assert bounds[0] < abs(100 * gain) < bounds[1]


def test_too_few_trials_are_said_not_hidden(tmp_path: Path) -> None:
    made = table(pair(tmp_path, np.array([0.5, 0.6]), np.array([0.4, 0.3])))
    assert made.rows[0].entries[0].half_width is None
    assert (
        "PASE, frozen, OpenMIC; random weights, frozen, OpenMIC: 2 trials: no interval from fewer than three."
        in made.notes
    )
    assert "2 trials: no interval from fewer than three" in made.outcomes[0].sentence
    assert made.outcomes[0].interval == ""


def test_different_data_are_refused_in_words(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = results.plan["studies"]["fig2"]["comparisons"][:1]
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE, data="other")
    made = table(results)
    assert made.outcomes[0].verdict.startswith("refused: measured on different data")
    assert "OpenMIC: measured on different data, so not ranked." in made.notes


def test_what_is_missing_for_one_reason_is_one_note(tmp_path: Path) -> None:
    results = full(tmp_path)
    for evaluation in results.plan["evaluations"][:8]:
        Path(evaluation["path"]).unlink()
    (note,) = (note for note in table(results).notes if note.endswith(": not run."))
    assert note.startswith("PASE, supervised, OpenMIC; PASE, frozen, OpenMIC; ")
    assert " and 2 more: not run." in note


def test_it_is_said_what_was_heard_in_pre_training_and_where_that_came_from(tmp_path: Path) -> None:
    real = {"source": "local"}
    unknown = table(pair(tmp_path / "unknown", 0.5 + NOISE, 0.4 + NOISE, **real))
    assert "Pre-trained on AudioSet Music (source unknown here)." in unknown.notes
    results = pair(tmp_path / "twin", 0.5 + NOISE, 0.4 + NOISE, **real)
    corpus = write_corpus(tmp_path / "audioset_music", clips=3, seconds=0.1)
    results.plan["corpora"] = [str(corpus.folder)]
    made = table(results)
    assert "Pre-trained on AudioSet Music (twin)." in made.notes
    assert TWIN_WARNING in made.notes
    assert TWIN_WARNING not in unknown.notes


def test_a_difference_that_other_tests_keep_from_being_shown_says_so(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.54 + NOISE, 0.5 - NOISE / 2)
    results.add(factors("handcrafted", "frozen", "openmic"), 0.5 + NOISE)
    study = results.plan["studies"]["fig2"]
    study["comparisons"] += [
        {"name": str(number), "better": {"encoder": "random"}, "than": {"encoder": "handcrafted"}}
        for number in range(2)
    ]
    sentence = table(results).outcomes[0].sentence
    assert (
        "no difference shown once adjusted for 3 tests between frozen PASE and random weights: 4.0 points [" in sentence
    )


def test_a_sign_flip_that_cannot_confirm_anything_says_so(tmp_path: Path) -> None:
    few = table(pair(tmp_path / "few", 0.5 + NOISE[:3], 0.4 - NOISE[:3]))
    assert "With 3 differences p (sign flip) is never below 0.250: there it can confirm nothing." in few.notes
    assert not any("confirm nothing" in note for note in table(full(tmp_path / "many")).notes)


def test_several_checkpoints_are_counted_and_a_single_one_is_told_from_none(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.plan["studies"]["fig2"]
    study["rows"] = ["encoder", "workers"]
    study["comparisons"] = [
        {"name": "floor", "better": {"workers": "WLPMCT"}, "than": {"encoder": "random"}},
        {"name": "single", "better": {"workers": "WLPMCT"}, "than": {"workers": "WLP"}},
    ]
    for seed in range(3):
        results.add(factors("pase", "frozen", "openmic", seed=seed), 0.5 + seed / 50 + NOISE)
    results.add(factors("pase", "frozen", "openmic", workers="WLP"), 0.4 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 - NOISE)
    made = table(results)
    assert made.outcomes[0].evidence == "3 checkpoints, 90 test clips"
    assert made.outcomes[1].evidence == "3 checkpoints against a single one, 90 test clips"
    assert any(note.startswith("Checkpoints: ") for note in made.notes)
    assert any("a row with 1 in the column of checkpoints shows" in note for note in made.notes)


def test_the_note_of_a_study_is_among_its_notes(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.plan["studies"]["fig2"]["notes"] = "PASE half of the figure."
    assert table(results).notes[-1] == "PASE half of the figure."


def predicted(folder: Path, skill: float) -> Results:
    """As `pair`, from predictions, with PASE better by what `skill` says."""
    results = Results(folder)
    results.plan["studies"]["fig2"]["comparisons"] = results.plan["studies"]["fig2"]["comparisons"][:1]
    results.predict(factors("pase", "frozen", "openmic"), skill, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    return results


def test_what_plus_minus_covers_is_said_and_its_parts_are_there(tmp_path: Path) -> None:
    made = table(predicted(tmp_path, 1.5))
    assert made.notes[0].endswith("95 % interval for other trials and test clips.")
    entry = made.rows[0].entries[0]
    assert [name for name, _ in entry.errors] == ["trials", "test set"]
    assert made.columns[0].test_clips == "120 in 39 groups"
    trials = dict(entry.errors)["trials"]
    assert entry.half_width is not None
    assert entry.half_width > 1.96 * np.hypot(trials, dict(entry.errors)["test set"])
    alone = table(pair(tmp_path / "alone", 0.5 + NOISE, 0.4 + NOISE))
    assert alone.notes[0].endswith("95 % interval for other trials.")
    assert any("nothing is known of them" in note for note in alone.notes)


@pytest.mark.parametrize(
    ("skill", "verdict", "said"),
    [
        (3.0, "better", "frozen PASE beats random weights by "),
        (1.1, "better on these test clips only", " on these test clips, but not shown for others: 5.3 points ["),
        (1.0, "no difference shown", "no difference shown between frozen PASE and random weights: 1.7 points ["),
    ],
)
def test_the_headline_is_for_other_test_clips(tmp_path: Path, skill: float, verdict: str, said: str) -> None:
    made = table(predicted(tmp_path, skill))
    (outcome,) = made.outcomes
    assert outcome.verdict == verdict
    assert said in outcome.sentence
    assert (", also for other test clips; " in outcome.sentence) == (verdict == "better")
    assert outcome.sentence.endswith("; 10 trials of one checkpoint, 120 test clips in 39 groups.")
    assert made.outcomes_in_short == f"Of 1 comparison: 1 {verdict}."


def test_what_has_no_pairs_is_called_unpaired(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    path = Path(results.plan["evaluations"][1]["path"])
    path.write_text(re.sub(r",100(\d),", r",200\1,", path.read_text()))  # the seeds
    made = table(results)
    assert "5 and 5 unpaired trials of one checkpoint" in made.outcomes[0].sentence
    assert any(note.startswith("Unpaired: ") for note in made.notes)


def test_why_a_cell_failed_is_in_the_notes_and_in_short_in_the_cell(tmp_path: Path) -> None:
    results = full(tmp_path)
    evaluation = results.plan["evaluations"][1]
    Path(evaluation["path"]).unlink()
    log = tmp_path / "pretrain.log"
    log.write_text("epoch 1\nprelude: the GPU has 2 GB and 3 are needed: take a smaller batch\n")
    results.plan["jobs"] = [["pretrain", str(tmp_path / "encoder"), str(tmp_path / "record.json"), str(log)]]
    evaluation["jobs"] = [0]
    made = table(results)
    reason = "failed: pretrain: the GPU has 2 GB and 3 are needed: take a smaller batch"
    assert f"PASE, frozen, OpenMIC: {reason}." in made.notes
    assert "1 number of 10 missing, with the reason in place." in made.notes
    assert renderers.entry_text(made.rows[1].entries[0], made.measures[0]) == "failed"


def in_two_metrics(folder: Path) -> Results:
    """OpenMIC in two metrics side by side, FMA small in another one alone."""
    results = full(folder)
    results.plan["studies"]["fig2"]["metrics"] = {
        "openmic": ["macro_f1", "accuracy"],
        "fma_small": ["accuracy"],
    }
    return results


def test_metrics_stand_side_by_side_where_a_study_asks_for_several(tmp_path: Path) -> None:
    made = table(in_two_metrics(tmp_path))
    headings = [column.heading for column in made.columns]
    assert headings == [
        "OpenMIC, macro F1 (twin)",
        "OpenMIC, accuracy (twin)",
        "FMA small, accuracy (twin)",
    ]
    assert made.caption.endswith(": macro F1 and accuracy (%)")
    assert made.notes[0].startswith("Macro F1 and accuracy in %: mean ±")
    for row in made.rows:
        macro_f1, accuracy, _ = row.entries
        assert accuracy.mean == pytest.approx(macro_f1.mean + 2), "as the trials were made"
    best = [[row.label for row in made.rows if row.entries[place].rank == "best"] for place in range(3)]
    assert all(len(labels) == 1 for labels in best), "each metric has its own"


def test_comparisons_are_made_in_every_metric_and_adjusted_for_all(tmp_path: Path) -> None:
    one, several = table(full(tmp_path / "one")), table(in_two_metrics(tmp_path / "several"))
    settings = [outcome.setting for outcome in several.outcomes]
    assert settings.count("OpenMIC, macro F1 (twin)") == settings.count("OpenMIC, accuracy (twin)") == 2
    assert settings.count("FMA small, accuracy (twin)") == 2
    assert any("over 4 tests" in note for note in one.notes)
    assert any("over 6 tests" in note for note in several.notes)
    titles = [part.title for part in several.parts]
    assert "Where the variation comes from (macro F1)" in titles
    assert "Across data sets (accuracy)" in titles
    assert "Across data sets (macro F1)" not in titles, "one set has it"


def test_the_tidy_table_has_a_row_for_each_metric(tmp_path: Path) -> None:
    results = in_two_metrics(tmp_path)
    folder = statistics(results)
    (study,) = read_manifest(results.plan_file()).studies
    rows = tidy(study, read_tables(folder)["entries"])
    found = rows.groupby(["dataset", "metric"]).size().to_dict()
    assert found == {
        ("openmic", "macro_f1"): 5,
        ("openmic", "accuracy"): 5,
        ("fma_small", "accuracy"): 5,
    }
    assert set(rows["unit"]) == {"%"}


def test_a_cell_that_lacks_several_metrics_is_named_once(tmp_path: Path) -> None:
    results = in_two_metrics(tmp_path)
    Path(results.plan["evaluations"][1]["path"]).unlink()
    assert table(results).notes.count("PASE, frozen, OpenMIC: not run.") == 1
