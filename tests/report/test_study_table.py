import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.corpora import write_corpus
from tests.records import seal
from tests.report.aggregated_study import build_table, statistics
from tests.synthetic_results import Results, factors, full
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import number_format, table_text
from workflow_scripts.report.notes import TWIN_WARNING
from workflow_scripts.report.renderers import latex, markdown
from workflow_scripts.report.study_table import tidy
from workflow_scripts.statistics.tables.schema import read_tables

NOISE = np.array([0.01, -0.01, 0.02, 0.0, -0.02])


def pair(folder: Path, better: np.ndarray, than: np.ndarray, **more: object) -> Results:
    """Return results of frozen PASE and random weights on one data set, and the comparison between them."""
    results = Results(folder)
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    results.add(factors("pase", "frozen", "openmic"), better, **more)
    results.add(factors("random", "frozen", "openmic"), than, **more)
    return results


def test_floors_are_rows_of_their_own_and_come_last(tmp_path: Path) -> None:
    rows = build_table(full(tmp_path)).rows
    assert [(row.label, row.floor) for row in rows] == [
        ("PASE, supervised", False),
        ("PASE, frozen", False),
        ("PASE, fine-tuned", False),
        ("random weights, frozen", True),
        ("handcrafted features, frozen", True),
    ]


def test_numbers_are_in_percent_with_trials_pretraining_seeds_and_test_clips(tmp_path: Path) -> None:
    table = build_table(full(tmp_path))
    frozen = table.rows[1]
    assert frozen.entries[0].mean == pytest.approx(52, abs=1.5)
    assert (frozen.trials, frozen.pretraining_seeds) == ("10", "1")
    assert table.rows[0].pretraining_seeds == "none"
    column = table.columns[0]
    assert (column.heading, column.test_clips, column.quarantined) == ("OpenMIC (twin)", "90", "2")


def test_deviations_stand_beside_the_numbers_of_a_study_that_prints_them(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE / 100)
    assert not any("SD" in text for text in entry_texts(results))
    results.manifest["studies"]["fig2"]["deviations"] = True
    deviation = f"SD {100 * np.std(NOISE, ddof=1):.2f}"
    assert [text.rpartition(", ")[2] for text in entry_texts(results)] == [deviation, "SD 0.02"]
    assert any(note.startswith("SD: standard deviation over the trials") for note in build_table(results).notes)


def entry_texts(results: Results) -> list[str]:
    table = build_table(results)
    return [table_text.entry_text(row.entries[0], table.columns[0].measure) for row in table.rows]


def test_twin_numbers_carry_their_warning_and_real_ones_do_not(tmp_path: Path) -> None:
    assert TWIN_WARNING in build_table(pair(tmp_path / "twin", 0.5 + NOISE, 0.4 + NOISE)).notes
    real = build_table(pair(tmp_path / "local", 0.5 + NOISE, 0.4 + NOISE, source="local"))
    assert TWIN_WARNING not in real.notes
    assert real.columns[0].heading == "OpenMIC"


def test_one_pretraining_seed_is_noted(tmp_path: Path) -> None:
    table = build_table(full(tmp_path))
    assert any("those of this one encoder, not of the method" in note for note in table.notes)
    assert table.comparisons[0].sentence.endswith("; 10 trials of one pre-training seed, 90 test clips.")


def test_a_missing_cell_is_shown_with_its_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.manifest["cells"][1]["path"]).unlink()
    table = build_table(results)
    entry = table.rows[1].entries[0]
    assert (entry.mean, entry.rank, entry.reason) == (None, "", "not run")
    assert "PASE, frozen, OpenMIC: not run." in table.notes
    assert table.comparisons[0].verdict == "missing: not run"
    assert "not compared" in table.comparisons[0].sentence


def test_a_cell_that_was_not_planned_differs_from_one_that_failed(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    results.add(factors("handcrafted", "frozen", "fma_small"), 0.4 + NOISE)
    assert build_table(results).rows[0].entries[1].reason == "not planned"


def test_missing_pretraining_seeds_are_counted(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    results.expect(factors("pase", "frozen", "openmic", seed=1))
    table = build_table(results)
    assert "PASE, frozen, OpenMIC: not run (1 of 2 pre-training seeds)." in table.notes
    assert table.rows[0].entries[0].mean == pytest.approx(50)


@pytest.mark.parametrize(
    ("gain", "sentence"),
    [
        (0.1, "OpenMIC (twin): frozen PASE beats random weights by 10.0 points ["),
        (-0.1, "OpenMIC (twin): frozen PASE is worse than random weights by 10.0 points ["),
        (0.001, "OpenMIC (twin): no difference shown between frozen PASE and random weights: 0.1 points ["),
    ],
)
def test_each_comparison_is_a_sentence(tmp_path: Path, gain: float, sentence: str) -> None:
    comparison = build_table(pair(tmp_path, 0.5 + gain + NOISE, 0.5 - NOISE)).comparisons[0]
    assert comparison.sentence.startswith(sentence)
    bounds = [
        float(bound)
        for bound in comparison.sentence.split("[")[1].split("]")[0].replace(number_format.MINUS, "-").split(",")
    ]
    assert bounds[0] < abs(100 * gain) < bounds[1]


def test_too_few_trials_are_noted(tmp_path: Path) -> None:
    table = build_table(pair(tmp_path, np.array([0.5, 0.6]), np.array([0.4, 0.3])))
    assert math.isnan(table.rows[0].entries[0].low)
    assert (
        "PASE, frozen, OpenMIC; random weights, frozen, OpenMIC: 2 trials: no interval from fewer than three."
        in table.notes
    )
    assert "2 trials: no interval from fewer than three" in table.comparisons[0].sentence
    assert table.comparisons[0].interval == ""


def test_results_on_different_data_are_not_comparable(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    results.add(factors("pase", "frozen", "openmic"), 0.5 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 + NOISE, data_digest="other")
    table = build_table(results)
    assert table.comparisons[0].verdict.startswith("not comparable: measured on different data")
    assert "OpenMIC: measured on different data, so not ranked." in table.notes


def test_cells_missing_for_one_reason_share_a_note(tmp_path: Path) -> None:
    results = full(tmp_path)
    for evaluation in results.manifest["cells"][:8]:
        Path(evaluation["path"]).unlink()
    (note,) = (note for note in build_table(results).notes if note.endswith(": not run."))
    assert note.startswith("PASE, supervised, OpenMIC; PASE, frozen, OpenMIC; ")
    assert " and 2 more: not run." in note


def test_the_corpus_of_pretraining_is_noted_with_its_source(tmp_path: Path) -> None:
    real = {"source": "local"}
    unknown = build_table(pair(tmp_path / "unknown", 0.5 + NOISE, 0.4 + NOISE, **real))
    assert "Pre-trained on AudioSet Music (source unknown here)." in unknown.notes
    results = pair(tmp_path / "twin", 0.5 + NOISE, 0.4 + NOISE, **real)
    corpus = write_corpus(tmp_path / "audioset_music", clips=3, seconds=0.1)
    results.manifest["corpora"] = [str(corpus.folder)]
    run = tmp_path / "run"
    results.manifest["pretrained_runs"] = [{"folder": str(run), "factors": factors("pase", "frozen", "openmic")}]
    run.mkdir()
    seal(run / "record.json", training_clips=1980, clips_too_short=20)
    table = build_table(results)
    assert "Pre-trained on AudioSet Music (twin)." in table.notes
    left_out = "AudioSet Music: 20 of 2,000 training clips are shorter than a chunk and were not used."
    assert left_out in table.notes
    assert left_out not in unknown.notes
    assert TWIN_WARNING in table.notes
    assert TWIN_WARNING not in unknown.notes


def test_a_number_on_data_that_others_trained_the_encoder_on_is_marked(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.manifest["training_data"] = {"audioset_music": {"names": ["fma", "msd"], "evaluated": ["fma_small"]}}
    table = build_table(results)
    note = "‡ AudioSet Music: this encoder was trained on FMA small, so the number does not show how well it does on "
    assert [note in text for text in (table.warnings[-2], table.notes[-1])] == [True, False]
    assert "Pre-trained on AudioSet Music (by others, on fma, msd)." in table.notes
    marked = {
        (row.label, column.label)
        for row in table.rows
        for entry, column in zip(row.entries, table.columns, strict=True)
        if table_text.entry_text(entry, column.measure).endswith(" ‡")
    }
    assert marked == {("PASE, frozen", "FMA small"), ("PASE, fine-tuned", "FMA small")}
    assert "‡" in markdown.render(table)
    assert "$\\ddagger$" in latex.render(table)
    rows = tidy(results.read().studies[0], read_tables(statistics(results))["entries"])
    assert set(rows["trained_on"]) == {"fma, msd", ""}
    assert set(rows["tested_on_training_data"]) == {"yes", "no", ""}


def test_a_difference_that_is_not_significant_after_adjusting_is_remarked(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.54 + NOISE, 0.5 - NOISE / 2)
    results.add(factors("handcrafted", "frozen", "openmic"), 0.5 + NOISE)
    study = results.manifest["studies"]["fig2"]
    study["comparisons"] += [
        {"name": str(number), "better": {"encoder": "random"}, "than": {"encoder": "handcrafted"}}
        for number in range(2)
    ]
    comparison = build_table(results).comparisons[0]
    sentence = comparison.sentence
    assert "no difference shown between frozen PASE and random weights: 4.0 points [1.1, " in sentence
    assert "] (not after adjusting for 3 comparisons); " in sentence
    assert (comparison.verdict, comparison.interval[-13:]) == ("no difference shown", "], unadjusted")


def test_a_sign_flip_test_that_cannot_reach_significance_is_noted(tmp_path: Path) -> None:
    few = build_table(pair(tmp_path / "few", 0.5 + NOISE[:3], 0.4 - NOISE[:3]))
    assert "With 3 differences the sign-flip test cannot reach significance (smallest p = 0.250)." in few.notes
    assert not any("sign-flip test cannot" in note for note in build_table(full(tmp_path / "many")).notes)


def test_several_pretraining_seeds_are_counted_and_a_single_one_differs_from_none(tmp_path: Path) -> None:
    results = Results(tmp_path)
    study = results.manifest["studies"]["fig2"]
    study["rows"] = ["encoder", "workers"]
    study["comparisons"] = [
        {"name": "floor", "better": {"workers": "WLPMCT"}, "than": {"encoder": "random"}},
        {"name": "single", "better": {"workers": "WLPMCT"}, "than": {"workers": "WLP"}},
    ]
    for seed in range(3):
        results.add(factors("pase", "frozen", "openmic", seed=seed), 0.5 + seed / 50 + NOISE)
    results.add(factors("pase", "frozen", "openmic", workers="WLP"), 0.4 + NOISE)
    results.add(factors("random", "frozen", "openmic"), 0.4 - NOISE)
    table = build_table(results)
    assert table.comparisons[0].evidence == "3 pre-training seeds, 90 test clips"
    assert table.comparisons[1].evidence == "3 pre-training seeds against a single one, 90 test clips"
    assert any(note.startswith("Pre-training seeds: ") for note in table.notes)
    assert any(
        "One pre-training seed (rows with 1 in the column of pre-training seeds): " in note for note in table.notes
    )


def test_the_note_of_a_study_is_among_its_notes(tmp_path: Path) -> None:
    results = full(tmp_path)
    results.manifest["studies"]["fig2"]["notes"] = "PASE half of the figure."
    assert build_table(results).notes[-1] == "PASE half of the figure."


def results_with_predictions(folder: Path, skill: float) -> Results:
    """Return results as `pair` does, from predictions; PASE predicts with `skill`, random weights with 1.0."""
    results = Results(folder)
    results.manifest["studies"]["fig2"]["comparisons"] = results.manifest["studies"]["fig2"]["comparisons"][:1]
    results.predict(factors("pase", "frozen", "openmic"), skill, seed=1)
    results.predict(factors("random", "frozen", "openmic"), 1.0, seed=2)
    return results


def test_the_variance_that_an_interval_covers_is_noted_with_its_standard_errors(tmp_path: Path) -> None:
    table = build_table(results_with_predictions(tmp_path, 1.5))
    assert table.notes[0].endswith("95 % interval for other trials and test clips.")
    entry = table.rows[0].entries[0]
    assert [name for name, _ in entry.std_errors] == ["trials", "test set"]
    assert table.columns[0].test_clips == "120 in 39 clusters"
    trials = dict(entry.std_errors)["trials"]
    assert (entry.high - entry.low) / 2 > 1.96 * np.hypot(trials, dict(entry.std_errors)["test set"])
    alone = build_table(pair(tmp_path / "alone", 0.5 + NOISE, 0.4 + NOISE))
    assert alone.notes[0].endswith("95 % interval for other trials.")
    assert any("about these test clips only" in note for note in alone.notes)


@pytest.mark.parametrize(
    ("skill", "verdict", "counted", "result"),
    [
        (3.0, "better", "better", "frozen PASE beats random weights by "),
        (
            1.1,
            "better on these test clips only",
            "better on these test clips only",
            " on these test clips, but not shown for other test clips: 5.3 points [",
        ),
        (
            1.0,
            "no difference shown",
            "no difference shown",
            "no difference shown between frozen PASE and random weights: 1.7 points [",
        ),
    ],
)
def test_the_verdict_is_for_other_test_clips(
    tmp_path: Path, skill: float, verdict: str, counted: str, result: str
) -> None:
    table = build_table(results_with_predictions(tmp_path, skill))
    (comparison,) = table.comparisons
    assert comparison.verdict == verdict
    assert result in comparison.sentence
    assert (", also for other test clips; " in comparison.sentence) == (verdict == "better")
    assert comparison.sentence.endswith("; 10 trials of one pre-training seed, 120 test clips in 39 clusters.")
    assert table.verdict_counts == f"The only comparison: {counted}."


def test_samples_without_common_seeds_are_unpaired(tmp_path: Path) -> None:
    results = pair(tmp_path, 0.5 + NOISE, 0.4 + NOISE)
    path = Path(results.manifest["cells"][1]["path"])
    path.write_text(re.sub(r",100(\d),", r",200\1,", path.read_text()))  # the seeds
    table = build_table(results)
    assert "5 and 5 unpaired trials of one pre-training seed" in table.comparisons[0].sentence
    assert any(note.startswith("Unpaired: ") for note in table.notes)


def test_the_reason_of_a_failure_is_in_the_notes_and_in_short_in_the_cell(tmp_path: Path) -> None:
    results = full(tmp_path)
    evaluation = results.manifest["cells"][1]
    Path(evaluation["path"]).unlink()
    log = tmp_path / "pretrain.log"
    log.write_text("epoch 1\nprelude: the GPU has 2 GB and 3 are needed: take a smaller batch\n")
    results.manifest["jobs"] = [["pretrain", str(tmp_path / "encoder"), str(tmp_path / "record.json"), str(log)]]
    evaluation["jobs"] = [0]
    table = build_table(results)
    reason = "failed: pretrain: the GPU has 2 GB and 3 are needed: take a smaller batch"
    assert f"PASE, frozen, OpenMIC: {reason}." in table.notes
    assert "1 number of 10 is missing; the table gives the reason in each place." in table.notes
    assert table_text.entry_text(table.rows[1].entries[0], table.measures[0]) == "failed"


def in_two_metrics(folder: Path) -> Results:
    """Return results on OpenMIC in two metrics and on FMA small in one of them."""
    results = full(folder)
    results.manifest["studies"]["fig2"]["metrics"] = {
        "openmic": ["macro_f1", "accuracy"],
        "fma_small": ["accuracy"],
    }
    return results


def test_several_metrics_have_adjacent_columns(tmp_path: Path) -> None:
    table = build_table(in_two_metrics(tmp_path))
    headings = [column.heading for column in table.columns]
    assert headings == [
        "OpenMIC, macro F1 (twin)",
        "OpenMIC, accuracy (twin)",
        "FMA small, accuracy (twin)",
    ]
    assert table.caption.endswith(": macro F1 and accuracy (%)")
    assert table.notes[0].startswith("Macro F1 and accuracy in %: mean ±")
    for row in table.rows:
        macro_f1, accuracy, _ = row.entries
        assert accuracy.mean == pytest.approx(macro_f1.mean + 2), "as the trials were table"
    best = [[row.label for row in table.rows if row.entries[place].rank == "best"] for place in range(3)]
    assert all(len(labels) == 1 for labels in best), "each metric has its own"


def test_comparisons_are_made_in_every_metric_and_adjusted_for_all(tmp_path: Path) -> None:
    one, several = build_table(full(tmp_path / "one")), build_table(in_two_metrics(tmp_path / "several"))
    settings = [comparison.setting for comparison in several.comparisons]
    assert settings.count("OpenMIC, macro F1 (twin)") == settings.count("OpenMIC, accuracy (twin)") == 2
    assert settings.count("FMA small, accuracy (twin)") == 2
    assert any("over 4 tests" in note for note in one.notes)
    assert any("over 6 tests" in note for note in several.notes)
    titles = [secondary.title for secondary in several.secondary]
    assert "Where the variation comes from (macro F1)" in titles
    assert "Across data sets (accuracy)" in titles
    assert "Across data sets (macro F1)" not in titles, "one set has it"


def test_the_tidy_table_has_a_row_for_each_metric(tmp_path: Path) -> None:
    results = in_two_metrics(tmp_path)
    folder = statistics(results)
    (study,) = read_manifest(results.manifest_file()).studies
    rows = tidy(study, read_tables(folder)["entries"])
    counts = rows.groupby(["dataset", "metric"]).size().to_dict()
    assert counts == {
        ("openmic", "macro_f1"): 5,
        ("openmic", "accuracy"): 5,
        ("fma_small", "accuracy"): 5,
    }
    assert set(rows["unit"]) == {"%"}


def test_a_cell_that_lacks_several_metrics_is_named_once(tmp_path: Path) -> None:
    results = in_two_metrics(tmp_path)
    Path(results.manifest["cells"][1]["path"]).unlink()
    assert build_table(results).notes.count("PASE, frozen, OpenMIC: not run.") == 1


def trained(folder: Path, *, epochs: list[int], rates: list[list[float]]) -> Results:
    """Return results of two encoders with these epochs and learning rates, and at most 50 epochs."""
    results = Results(folder)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    cells = zip(("frozen", "fine_tuned"), epochs, rates, strict=True)
    for scenario, of_trials, learning_rates in cells:
        cell = factors("pase", scenario, "openmic")
        results.add(cell, 0.5 + NOISE, epochs=of_trials)
        results.manifest["cells"][-1]["training"] = {"learning_rates": learning_rates, "max_epochs": 50}
    return results


def test_learning_rate_and_limit_of_epochs_are_noted(tmp_path: Path) -> None:
    alike = build_table(trained(tmp_path / "alike", epochs=[30, 30], rates=[[0.001], [0.001]]))
    assert (
        "Training of each trial: learning rate 0.001, at most 50 epochs. Methods are compared with these settings "
        "only; another learning rate may change a verdict."
    ) in alike.notes
    assert alike.warnings == (TWIN_WARNING,)
    unlike = build_table(trained(tmp_path / "unlike", epochs=[30, 30], rates=[[0.001], [0.001, 1e-05]]))
    tuned = trained(tmp_path / "tuned", epochs=[30, 30], rates=[[0.01, 0.001]] * 2)
    for planned in tuned.manifest["cells"]:
        planned["training"]["n_learning_rates"] = 2
    assert (
        "Training of each trial: the one of 2 learning rates (0.01 and 0.001) with the lowest validation loss, at most "
        "50 epochs. Methods are compared with this budget of tuning only; a larger one may change a verdict."
    ) in build_table(tuned).notes
    assert any(
        "learning rate 0.001, at most 50 epochs (frozen); "
        "learning rates 0.001 and 1e-05, one per phase, at most 50 epochs (fine-tuned)." in note
        for note in unlike.notes
    )


def test_trials_that_ended_at_the_limit_of_epochs_are_noted_and_warned_of(tmp_path: Path) -> None:
    table = build_table(trained(tmp_path, epochs=[50, 49], rates=[[0.001], [0.001]]))
    (warning,) = (warning for warning in table.warnings if "limit of epochs" in warning)
    assert warning.startswith("5 trials ended at the limit of epochs, not because ")
    assert "(5 on OpenMIC)" in warning
    assert warning in table.notes
