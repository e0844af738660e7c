"""Quantities behind claims in words, recomputed by hand from planted counts, predictions, trials and losses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests.statistics.reproduction.test_quantities import corpus, lines, run
from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.dataset_index import Task
from workflow_scripts.statistics.filter_spectra import LayerSpectra, write_spectra
from workflow_scripts.statistics.metrics import metrics
from workflow_scripts.statistics.predictions import Predictions, write_predictions

T_OF_3 = 4.302652729696142  # Student's quantile at 97.5 % for three trials
CLAIM = "A.fig2.pase_plus_vs_pase"
DANCES = ("Chacha", "Jive", "Samba")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def claim(results: Results, quantity: str, **more: Any) -> dict:
    """The only line of a claim, "above zero" unless stated otherwise."""
    (only,) = lines(results, {"id": CLAIM, "quantity": quantity, "expected": "above zero"} | more)
    return only


def half_width(values: list[float]) -> float:
    return T_OF_3 * float(np.std(values, ddof=1)) / math.sqrt(3)


def confuse(results: Results, workers: str, counts: list[list[list[int]]]) -> None:
    """Add a cell whose trials give classes as these counts say (trials, true, predicted)."""
    one_hot = np.eye(len(DANCES), dtype=np.float32)
    labels = one_hot[np.repeat(np.arange(len(DANCES)), np.sum(counts[0], axis=1))]
    given = [[name for row in trial for name, clips in enumerate(row) for _ in range(clips)] for trial in counts]
    scores = one_hot[np.array(given)]
    values = [metrics("multiclass", labels=labels, scores=trial)["macro_f1"] for trial in scores]
    path = results.add(factors("pase", "frozen", "openmic", workers=workers), values, source="download")
    store(path, "multiclass", DANCES, labels=labels, scores=scores, confusion=np.array(counts))


def store(
    path: Path, task: Task, classes: tuple[str, ...], *, labels: np.ndarray, scores: np.ndarray, confusion: np.ndarray
) -> None:
    stored = Predictions(
        task=task,
        clips=tuple(map(str, range(len(labels)))),
        classes=classes,
        labels=labels,
        scores=scores,
        confusion=confusion,
        clusters=np.arange(len(labels)),
    )
    write_predictions(path.with_name("predictions.npz"), stored, windows=None)


#: ten clips of Chacha and of Jive, four of Samba
BEFORE = [
    [[6, 3, 1], [2, 8, 0], [1, 1, 2]],
    [[5, 4, 1], [3, 7, 0], [1, 1, 2]],
    [[6, 4, 0], [2, 8, 0], [1, 1, 2]],
]
AFTER = [
    [[8, 1, 1], [1, 9, 0], [1, 1, 2]],
    [[8, 2, 0], [1, 9, 0], [0, 2, 2]],
    [[7, 2, 1], [1, 9, 0], [1, 1, 2]],
]


def test_a_change_of_confusions_is_that_of_the_counts_in_percent_of_the_true_class(results: Results) -> None:
    confuse(results, "WLP", BEFORE)
    confuse(results, "WLPT", AFTER)
    both = {"entries": [["Chacha", "Jive"], ["Jive", "Chacha"]]}
    row = claim(
        results,
        "confusion_change",
        of={"workers": "WLPT"},
        over={"workers": "WLP"},
        options=both,
        expected="below zero",
    )
    by_trial = [(-20 - 10) / 2, (-20 - 20) / 2, (-20 - 10) / 2]
    assert row["value"] == pytest.approx(np.mean(by_trial))
    assert row["ci_high"] - row["value"] == pytest.approx(half_width(by_trial))
    assert (row["verdict"], row["n"], row["our_metric"]) == ("holds", 3, "macro_f1")
    assert row["options"] == '{"entries": [["Chacha", "Jive"], ["Jive", "Chacha"]]}'
    one = {"of": {"workers": "WLPT"}, "over": {"workers": "WLP"}, "options": {"entries": [["Samba", "Jive"]]}}
    assert claim(results, "confusion_change", **one)["value"] == pytest.approx(25 / 3)


def test_the_direction_of_confusions_counts_entries_that_rise_and_fall(results: Results) -> None:
    confuse(results, "WLP", BEFORE)
    confuse(results, "WLPT", AFTER)
    sides = {"of": {"workers": "WLPT"}, "over": {"workers": "WLP"}}
    diagonal = claim(results, "confusion_direction", options={"part": "diagonal"}, **sides)
    assert diagonal["value"] == pytest.approx(100 * 2 / 3)  # Chacha and Jive rise, Samba stays, in every trial
    others = claim(results, "confusion_direction", options={"part": "off_diagonal"}, expected="below zero", **sides)
    # six entries: in the first trial two fall; in the second Chacha's two and Jive's fall, and Samba's cancel; in the
    # third Chacha given Samba rises
    assert others["value"] == pytest.approx(np.mean([100 * -2 / 6, 100 * -3 / 6, 100 * -1 / 6]))


def test_confusions_that_cannot_be_compared_say_why(results: Results) -> None:
    confuse(results, "WLP", [[[6, 3, 1], [2, 8, 0], [0, 0, 0]]] * 3)
    confuse(results, "WLPT", AFTER)
    sides = {"of": {"workers": "WLPT"}, "over": {"workers": "WLP"}}
    without = claim(results, "confusion_change", options={"entries": [["Samba", "Jive"]]}, **sides)
    assert (without["verdict"], without["reason"]) == ("not run", "no test clips of one of the classes")
    unknown = claim(results, "confusion_change", options={"entries": [["Waltz", "Tango"]]}, **sides)
    assert unknown["reason"] == "no class Tango, Waltz"
    with pytest.raises(UserError, match=r"options\.entries: "):
        claim(results, "confusion_change", options={"entries": []}, **sides)


TAGS = ("vocals", "female vocal", "guitar", "piano")


def tag(results: Results, workers: str, scores: np.ndarray, labels: np.ndarray) -> None:
    """Add a cell of a tagging task, with its mean area under the ROC curve."""
    areas = [roc_auc_score(labels, trial) for trial in scores]
    path = results.add(factors("unet", "fine_tuned", "openmic", workers=workers), areas, source="download")
    path.write_text(path.read_text().replace("macro_f1", "roc_auc"))
    counts = np.zeros((len(scores), len(TAGS), 2, 2))
    store(path, "multilabel", TAGS, labels=labels, scores=scores, confusion=counts)


@pytest.fixture
def tagged(results: Results) -> tuple[Results, np.ndarray, dict[str, np.ndarray]]:
    """Three trials of two methods on 60 clips: one better on tags of singing, the other on tags of instruments."""
    random = np.random.default_rng(3)
    labels = random.integers(2, size=(60, 4)).astype(np.float32)
    scores = {}
    for workers, skill in (("vocals", (1.5, 1.5, 0.5, 0.5)), ("drums", (0.5, 0.5, 1.0, 1.0))):
        scores[workers] = random.normal(0, 1, (3, 60, 4)) + labels * np.array(skill)
        tag(results, workers, scores[workers], labels)
    return results, labels, scores


def areas_of(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ROC-AUC of each tag in each trial in percent, (trials, tags)."""
    return 100 * np.array(
        [[roc_auc_score(labels[:, tag], trial[:, tag]) for tag in range(len(TAGS))] for trial in scores]
    )


def test_a_set_of_classes_is_compared_with_the_others_and_between_methods(
    tagged: tuple[Results, np.ndarray, dict[str, np.ndarray]],
) -> None:
    results, labels, scores = tagged
    of, over = (areas_of(labels, scores[workers]) for workers in ("vocals", "drums"))
    options = {"classes": ["vocals", "female vocal"]}
    sides = {"of": {"workers": "vocals"}, "over": {"workers": "drums"}, "metric": "roc_auc", "options": options}
    expected = {
        "class_set_lead": of[:, :2].mean(axis=1) - of[:, 2:].mean(axis=1),
        "class_set_difference": (of - over)[:, :2].mean(axis=1),
        "class_set_shift": (of - over)[:, :2].mean(axis=1) - (of - over)[:, 2:].mean(axis=1),
    }
    for quantity, by_trial in expected.items():
        given = {key: value for key, value in sides.items() if key != "over" or quantity != "class_set_lead"}
        row = claim(results, quantity, **given)
        assert row["value"] == pytest.approx(by_trial.mean()), quantity
        assert row["ci_high"] - row["value"] == pytest.approx(half_width(by_trial.tolist())), quantity
        assert row["verdict"] == "holds", quantity


def test_a_class_is_commoner_than_others_by_the_share_of_clips_with_it(results: Results) -> None:
    results.add(factors("samplecnn", "frozen", "openmic"), [0.5] * 3)
    corpus(results, "openmic", clips=4, classes=["rock", "pop", "clip"])
    labels = {"clip": list("abcd"), "rock": [1, 1, 1, 0], "pop": [1, 0, np.nan, 0], "clip_": [0, 1, 1, 0]}
    pd.DataFrame(labels).to_parquet(results.folder / "openmic" / "labels.parquet")
    given: dict[str, Any] = {"of": {"dataset": "openmic"}, "options": {"classes": ["rock"]}}
    row = claim(results, "class_share_lead", **given)
    assert (row["value"], row["verdict"], row["kind"]) == (25, "holds", "counted")
    pair = {"classes": ["rock", "pop"], "others": ["clip"]}
    assert claim(results, "class_share_lead", **given | {"options": pair})["value"] == -25
    assert claim(results, "class_share_lead", **given | {"options": {"classes": ["jazz"]}})["reason"] == "no class jazz"


def test_a_set_with_a_class_that_is_not_there_is_not_compared(
    tagged: tuple[Results, np.ndarray, dict[str, np.ndarray]],
) -> None:
    row = claim(
        tagged[0],
        "class_set_lead",
        of={"workers": "vocals"},
        metric="roc_auc",
        options={"classes": ["opera", "vocals"]},
    )
    assert (row["verdict"], row["reason"]) == ("not run", "no class opera")


def test_the_probability_of_a_tag_is_averaged_over_the_clips_that_are_meant(
    tagged: tuple[Results, np.ndarray, dict[str, np.ndarray]],
) -> None:
    results, labels, scores = tagged
    sides = {"of": {"workers": "vocals"}, "over": {"workers": "drums"}, "metric": "roc_auc"}
    guitar_alone = (labels[:, 2] == 1) & (labels[:, :2] == 0).all(axis=1)
    options = {"tag": "vocals", "clips_with": ["guitar"], "clips_without": ["vocals", "female vocal"]}
    row = claim(results, "tag_probability", options=options, expected="below zero", **sides)
    by_trial = 100 * (scores["vocals"] - scores["drums"])[:, guitar_alone, 0].mean(axis=1)
    assert row["value"] == pytest.approx(by_trial.mean())
    everywhere = claim(results, "tag_probability", options={"tag": "piano"}, **sides)
    assert everywhere["value"] == pytest.approx(100 * (scores["vocals"] - scores["drums"])[:, :, 3].mean())
    nowhere = claim(results, "tag_probability", options=options | {"clips_with": ["vocals"]}, **sides)
    assert nowhere["reason"] == "no such test clips"


def test_an_interaction_is_the_gain_in_a_group_minus_that_elsewhere(results: Results) -> None:
    gains = {"openmic": [0.01, 0.02, 0.01], "fma_small": [0.02, 0.02, 0.03], "extended_ballroom": [0.06, 0.07, 0.05]}
    base = np.array([0.5, 0.52, 0.49])
    for dataset, gain in gains.items():
        results.add(factors("pase", "frozen", dataset, workers="WLP"), base)
        results.add(factors("pase", "frozen", dataset, workers="WLPT"), base + gain)
    datasets = [*gains]
    row = claim(
        results,
        "interaction",
        of={"workers": "WLPT", "dataset": datasets},
        over={"workers": "WLP", "dataset": datasets},
        options={"group": {"dataset": "extended_ballroom"}},
    )
    by_trial = [6 - 1.5, 7 - 2, 5 - 2]
    assert row["value"] == pytest.approx(np.mean(by_trial))
    assert row["ci_high"] - row["value"] == pytest.approx(half_width(by_trial))
    assert (row["verdict"], row["within"]) == ("holds", "")
    trimmed = {"workers": "WLPT", "dataset": ["openmic", "fma_small"]}
    alone = claim(
        results,
        "interaction",
        of=trimmed,
        over=trimmed | {"workers": "WLP"},
        options={"group": {"dataset": "extended_ballroom"}},
    )
    assert alone["reason"] == "the study has no such cell"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.6, 0.5, 0.4), "holds"), ((0.5, 0.6, 0.4), "does not hold"), ((0.6, 0.401, 0.4), "undecided")],
)
def test_an_order_holds_if_each_lead_is_shown(results: Results, values: tuple[float, ...], verdict: str) -> None:
    noises = ([0.0, 0.002, -0.002], [0.002, 0.0, -0.002], [-0.002, 0.0, 0.002])
    scores = {}
    for recipe, value, noise in zip(("long", "middle", "short"), values, noises, strict=True):
        scores[recipe] = value + np.array(noise)
        results.add(factors("pase", "frozen", "openmic", recipe=recipe), scores[recipe])
    row = claim(results, "order", of={"recipe": [*scores]})
    leads = [100 * (scores["long"] - scores["middle"]), 100 * (scores["middle"] - scores["short"])]
    assert row["value"] == pytest.approx(min(lead.mean() for lead in leads))
    assert row["ci_low"] == pytest.approx(min(lead.mean() - half_width(lead.tolist()) for lead in leads))
    assert row["ci_high"] == pytest.approx(min(lead.mean() + half_width(lead.tolist()) for lead in leads))
    assert row["verdict"] == verdict


def test_a_trend_with_labels_is_the_slope_over_the_logarithm_of_the_training_clips(results: Results) -> None:
    gains = {"openmic": (10_000, [0.01, 0.02, 0.03]), "fma_small": (1000, [0.05, 0.05, 0.05])}
    base = np.array([0.5, 0.52, 0.49])
    for dataset, (clips, gain) in gains.items():
        results.add(factors("pase", "supervised", dataset), base, train_clips=clips)
        results.add(factors("pase", "frozen", dataset), base + gain, train_clips=clips)
    sides = {scenario: {"scenario": scenario, "dataset": [*gains]} for scenario in ("frozen", "supervised")}
    of_and_over = {"of": sides["frozen"], "over": sides["supervised"]}
    row = claim(results, "label_trend", options={"statistic": "improvement"}, expected="below zero", **of_and_over)
    assert row["value"] == pytest.approx(-3)  # two points with 10,000 clips, five with 1,000
    assert row["ci_high"] - row["value"] == pytest.approx(half_width([1, 2, 3]))
    spread = claim(results, "label_trend", options={"statistic": "deviation"}, **of_and_over)
    assert spread["value"] == pytest.approx(np.mean([1, 0, 1]))
    one = {"scenario": "frozen", "dataset": "openmic"}
    alone = claim(
        results, "label_trend", of=one, over=one | {"scenario": "supervised"}, options={"statistic": "deviation"}
    )
    assert alone["reason"] == "fewer than two training sizes"


def write_losses(results: Results, weighting: str, seed: int, losses: dict[str, float], **weights: float) -> None:
    """Add a pre-trained run of two epochs, in the second of which every loss is half as large."""
    rows = [
        f"{epoch},{split},{worker},{loss / epoch},{weights.get(worker, 1)}"
        for epoch in (1, 2)
        for split in ("train", "valid")
        for worker, loss in losses.items()
    ]
    results.add(factors("pase", "frozen", "openmic", weighting=weighting, seed=seed), [0.5] * 3)
    table = "\n".join(["epoch,split,worker,loss,weight", *rows])
    run(results, losses=table, weighting=weighting, pretrain_seed=seed)


def test_losses_are_put_in_order_and_their_spread_is_compared(results: Results) -> None:
    for seed, factor in enumerate((1, 10, 100)):
        losses = {"lps": 100.0 * factor, "mfcc": 10.0, "tempogram": 1.0}
        write_losses(results, "equal", seed, losses)
        write_losses(results, "reweighted", seed, losses, lps=0.1 / factor, mfcc=1, tempogram=1)
    equal = {"weighting": "equal"}
    largest = claim(results, "loss_lead", of=equal, options={"worker": "lps", "end": "largest"})
    assert largest["value"] == pytest.approx(np.mean([1, 2, 3]))
    assert (largest["n"], largest["replicate"], largest["our_metric"]) == (3, "pretraining seeds", "")
    smallest = claim(
        results, "loss_lead", of=equal, options={"worker": "tempogram", "end": "smallest"}, expected="below zero"
    )
    assert smallest["value"] == pytest.approx(-1)
    majority = claim(results, "loss_majority", of=equal, options={"worker": "lps"})
    assert majority["value"] == pytest.approx(np.mean([100 * 100 * f / (100 * f + 11) - 50 for f in (1, 10, 100)]))
    spread = claim(results, "loss_spread", of=equal, over={"weighting": "reweighted"})
    before = [np.std([2 + exponent, 1, 0]) for exponent in (0, 1, 2)]
    after = np.std([1, 1, 0])  # with its weight the largest loss is 10 in every seed
    assert spread["value"] == pytest.approx(np.mean(before) - after)
    assert spread["ci_high"] - spread["value"] == pytest.approx(half_width(before))
    with pytest.raises(UserError, match=r"options\.end: 'most' is not allowed; allowed: largest, smallest"):
        claim(results, "loss_lead", of=equal, options={"worker": "lps", "end": "most"})


def write_filters(results: Results, encoder: str, scenario: str, bins: list[int], **levels: Any) -> None:
    """Add a cell whose filters of layer 1 peak in these of 365 bins of 22,050 / 729 Hz; the stride is 3."""
    cell = factors(encoder, scenario, "openmic", **levels)
    results.add(cell, [0.5] * 3, source="download")
    folder = results.folder / "filters" / "-".join(map(str, cell.values()))
    folder.mkdir(parents=True)
    power = np.full((len(bins), 365), 0.1, np.float32)
    power[np.arange(len(bins)), bins] = 1
    write_spectra(folder / "spectra.npz", {"1 mean": LayerSpectra(power=power, sample_rate=22050, stride=3)})
    jobs = results.manifest.setdefault("jobs", [])
    jobs.append(["visualise_filters", str(folder / "spectra.npz"), str(folder / "record.json"), "x.log"])
    results.manifest["cells"][-1]["jobs"] = [len(jobs) - 1]


HZ = 22050 / 729  # of a bin; the line of the stride is at bin 243


def test_filters_on_the_line_of_the_stride_are_counted_beside_those_of_an_untrained_network(results: Results) -> None:
    write_filters(results, "samplecnn", "frozen", [243, 244, 10, 20])
    write_filters(results, "random", "frozen", [242, 243, 244, 20])
    sides = {"of": {"encoder": "samplecnn"}, "over": {"encoder": "random"}}
    row = claim(results, "filter_line_share", options={"layer": 1}, **sides)
    assert (row["value"], row["n"], row["replicate"], row["verdict"]) == (-25, 4, "filters", "undecided")
    without = claim(results, "filter_line_share", options={"layer": 4}, **sides)
    assert (without["verdict"], without["reason"]) == ("not run", "no layer 4")
    centre = claim(results, "filter_line_share", options={"layer": 1, "objective": "centre"}, **sides)
    assert centre["reason"] == "no layer 1"


def test_peaks_of_filters_are_fitted_and_compared_with_those_of_another_network(results: Results) -> None:
    straight = list(range(30, 130, 10))
    for seed in range(3):
        write_filters(results, "samplecnn", "frozen", [place + seed for place in straight], seed=seed)
    write_filters(results, "samplecnn", "supervised", straight)
    write_filters(results, "random", "frozen", [place + 5 for place in straight])
    write_filters(results, "cpc", "frozen", [2**place for place in range(9)])
    frozen = {"encoder": "samplecnn", "scenario": "frozen"}
    row = claim(results, "filter_spread", of=frozen, options={"layer": 1})
    places = np.arange(10)
    fits = [1 - np.corrcoef(places, np.log(np.array(straight) + seed))[0, 1] for seed in range(3)]
    assert row["value"] == pytest.approx(np.mean(fits))
    assert (row["n"], row["verdict"]) == (3, "holds")
    logarithmic = claim(results, "filter_spread", of={"encoder": "cpc"}, options={"layer": 1}, expected="below zero")
    assert logarithmic["value"] == pytest.approx(np.corrcoef(np.arange(9), 2.0 ** np.arange(9))[0, 1] - 1)
    assert logarithmic["reason"] == "no interval from 1 pre-training seed"
    distance = claim(
        results,
        "filter_peak_distance",
        of={"encoder": ["samplecnn", "random"], "scenario": "frozen"},
        over={"encoder": ["samplecnn", "samplecnn"], "scenario": "supervised"},
        options={"layer": 1},
        expected="below zero",
    )
    assert distance["value"] == pytest.approx(HZ * (np.mean([0, 1, 2]) - 5))
    assert distance["verdict"] == "holds"


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [((0.05, 0.06, 0.05), "does not hold"), ((0.05, -0.06, 0.02), "holds"), ((-0.05, -0.06, -0.05), "holds")],
)
def test_what_has_no_star_claims_no_significant_gain(results: Results, gains: tuple[float, ...], verdict: str) -> None:
    base = np.array([0.5, 0.52, 0.49])
    results.add(factors("pase", "supervised", "openmic"), base)
    results.add(factors("pase", "frozen", "openmic"), base + gains)
    sides = {"of": {"scenario": "frozen"}, "over": {"scenario": "supervised"}}
    row = claim(results, "difference", expected="not significantly above zero", **sides)
    assert row["verdict"] == verdict
    starred = claim(results, "difference", **sides)
    assert (starred["verdict"] == "holds") == (verdict == "does not hold")
