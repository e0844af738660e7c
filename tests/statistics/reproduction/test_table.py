"""Published rows, the statements that studies make on them, and the verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records import seal
from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.reproduction.published_rows import read_published
from workflow_scripts.statistics.reproduction.table import read_reproduction, reproduction_table
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates
from workflow_scripts.statistics.trials import gather

#: 30.98 %, and a claim in words
NUMBER, CLAIM = "B.table6_1.mtat.cpc.linear.pr_auc", "A.fig2.pase_plus_vs_pase"
MEAN = {"id": NUMBER, "quantity": "mean", "of": {"encoder": "pase"}, "margin": 1}


def table(results: Results, *statements: dict[str, Any]) -> Any:
    results.manifest["studies"]["fig2"]["statements"] = list(statements)
    manifest = results.read()
    trials = gather(manifest).trials
    return reproduction_table(manifest, TrialSamples(trials), trials, BootstrapReplicates())


def write_trials(folder: Path, values: list[float], **more: object) -> Results:
    results = Results(folder)
    results.add(factors("pase", "frozen", "openmic"), values, **more)
    return results


def judge_trials(folder: Path, values: list[float], **more: object) -> tuple[str, str]:
    """Verdict and reason on trials of PASE compared with 30.98 with a margin of 1."""
    lines = table(write_trials(folder, values, **{"source": "download"} | more), MEAN)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    return line["verdict"], line["reason"]


def test_every_published_row_has_its_line_in_order(tmp_path: Path) -> None:
    results = write_trials(tmp_path, [0.3, 0.31, 0.32])
    results.add(factors("pase_plus", "frozen", "openmic"), [0.4, 0.41, 0.43])
    results.add(factors("pase", "frozen", "fma_small"), [0.3, 0.31, 0.32])
    results.add(factors("pase_plus", "frozen", "fma_small"), [0.4, 0.41, 0.43])
    claim = {"id": CLAIM, "quantity": "difference", "expected": "above zero"}
    claim |= {"of": {"encoder": "pase_plus"}, "over": {"encoder": "pase"}}
    lines = table(results, claim)
    twice = lines[lines["study"] == "fig2"]["id"].iloc[0]
    ids = [*read_published()]
    assert lines["id"].tolist() == [row for row in ids for _ in range(2 if row == twice else 1)]
    others = lines[lines["id"] != twice].set_index("id")
    obtained = others[others["reason"] == "what the authors could obtain"]
    assert obtained.index.tolist() == ids[:3]
    assert set(obtained["verdict"]) == {"not a result of this benchmark"}
    cited = others[others["reason"] == "cited from other publications"]
    assert set(cited["verdict"]) == {"not a result of this benchmark"}
    assert set(cited["model"]) == {
        "Pons et al. (waveform)",
        "1D CNN",
        "fully supervised models (best)",
        "SimCLR",
        "ResNet-50",
        "SimCLR v2",
        "PASE+",
    }
    assert set(cited["system"]) == {"B"}
    assert set(others.drop([*obtained.index, *cited.index])["verdict"]) == {"not run"}


def test_what_is_read_back_is_what_was_written(tmp_path: Path) -> None:
    lines = table(write_trials(tmp_path, [0.3, 0.31, 0.32]), MEAN)
    texts = []
    for name in ("first", "second"):
        lines.to_csv(tmp_path / f"{name}.csv", index=False)
        seal(tmp_path / f"{name}.csv", record=tmp_path / "summary.json")
        lines = read_reproduction(tmp_path / f"{name}.csv")
        texts.append((tmp_path / f"{name}.csv").read_text())
    assert texts[0] == texts[1]
    assert "86.60" in set(lines["mean"])  # as printed
    with pytest.raises(UserError, match="run aggregate first"):
        read_reproduction(tmp_path / "nothing.csv")


def test_a_number_agrees_differs_or_is_undecided(tmp_path: Path) -> None:
    spread = np.array([-0.001, 0.0, 0.001])
    cases = {"agrees": 0.3098, "differs": 0.35, "undecided": 0.3198}
    assert {
        name: judge_trials(tmp_path / name, list(centre + spread))[0] for name, centre in cases.items()
    } == {name: name for name in cases}  # fmt: skip


def test_the_90_percent_interval_decides(tmp_path: Path) -> None:
    # deviation 0.5 points: half widths 0.84 at 90 % and 1.24 at 95 %, with a margin of 1
    assert judge_trials(tmp_path, [0.3048, 0.3098, 0.3148])[0] == "agrees"


def test_two_trials_are_undecided_and_say_why(tmp_path: Path) -> None:
    assert judge_trials(tmp_path, [0.3098, 0.3099]) == ("undecided", "no interval from 2 trials")
    assert judge_trials(tmp_path / "one", [0.3098]) == ("undecided", "no interval from 1 trial")


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_number_from_a_twin_never_gets_a_verdict(
    values: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert judge_trials(tmp_path_factory.mktemp("twin"), values, source="twin") == ("not comparable", "twin data")


def test_an_encoder_pretrained_on_a_twin_is_not_comparable_either(tmp_path: Path) -> None:
    results = write_trials(tmp_path, [0.3098, 0.3099, 0.3097], source="download")
    facts = {"dataset": "audioset_music", "source": "twin", "clips": 1, "quarantined": 0, "seconds": 1, "classes": []}
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    results.manifest["corpora"] = [str(tmp_path)]
    lines = table(results, MEAN)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (line["verdict"], line["source"]) == ("not comparable", "download twin")


def test_a_claim_on_a_twin_keeps_its_outcome_and_its_source(tmp_path: Path) -> None:
    results = write_trials(tmp_path, [0.30, 0.31, 0.32])
    results.add(factors("random", "frozen", "openmic"), [0.20, 0.21, 0.23])
    claim = {"id": CLAIM, "quantity": "difference", "expected": "above zero"}
    claim |= {"of": {"encoder": "pase"}, "over": {"encoder": "random"}}
    lines = table(results, claim)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (line["verdict"], line["source"]) == ("holds", "twin")


@pytest.mark.parametrize(
    ("clips", "verdict"), [(15_000, "agrees"), (15_400, "agrees"), (15_600, "differs"), (20_000, "differs")]
)
def test_a_count_needs_no_interval(clips: int, verdict: str, tmp_path: Path) -> None:
    results = write_trials(tmp_path, [0.5], source="download")
    facts = {"dataset": "openmic", "source": "download", "clips": clips, "quarantined": 0}
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    results.manifest["corpora"] = [str(tmp_path)]
    lines = table(
        results, {"id": "A.sec3_5_2.openmic.clips", "quantity": "clips", "of": {"dataset": "openmic"}, "margin": 0.5}
    )
    assert lines[lines["study"] == "fig2"]["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(("trials", "verdict"), [(10, "agrees"), (3, "differs")])
def test_a_setting_is_as_published_or_not(trials: int, verdict: str, tmp_path: Path) -> None:
    lines = table(write_trials(tmp_path, [0.5] * trials), {"id": "A.sec3_4.trials", "quantity": "trials", "of": {}})
    assert lines[lines["study"] == "fig2"]["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("values", "expected", "verdict"),
    [  # 30.98 was published, with a margin of 1
        ([0.25, 0.26, 0.255], "not above", "holds"),
        ([0.309, 0.31, 0.311], "not above", "holds"),
        ([0.30, 0.32, 0.34], "not above", "undecided"),
        ([0.34, 0.341, 0.339], "not above", "does not hold"),
        ([0.34, 0.341, 0.339], "not below", "holds"),
        ([0.28, 0.30, 0.32], "not below", "undecided"),
        ([0.25, 0.26, 0.255], "not below", "does not hold"),
        ([0.25], "not above", "undecided"),
    ],
)
def test_a_number_may_be_a_bound(tmp_path: Path, values: list[float], expected: str, verdict: str) -> None:
    results = write_trials(tmp_path, values, source="download")
    row = table(results, MEAN | {"expected": expected}).query("study == 'fig2'").iloc[0]
    assert row["verdict"] == verdict
    assert row["expected"] == expected


def test_a_bound_gets_no_verdict_from_twins(tmp_path: Path) -> None:
    row = table(write_trials(tmp_path, [0.25, 0.26], source="twin"), MEAN | {"expected": "not above"})
    assert row.query("study == 'fig2'")["verdict"].tolist() == ["not comparable"]


TEMPOGRAM = {
    "id": "A.fig5.adding_tempogram",
    "quantity": "difference",
    "of": {"workers": ["WLPT", "WLPMT", "WLPCT"]},
    "over": {"workers": ["WLP", "WLPM", "WLPC"]},
    "expected": "above zero",
}


def trimmed(folder: Path, **values: list[float]) -> list[dict[str, Any]]:
    """The lines on Tempogram where only the worker sets in `values` are planned, for OpenMIC."""
    results = Results(folder)
    for workers, row in values.items():
        results.add(factors("pase", "frozen", "openmic", workers=workers), row)
    lines = table(results, TEMPOGRAM)
    return list(lines[lines["study"] == "fig2"].to_dict("records"))


def test_steps_that_a_trimmed_study_lacks_are_left_out_and_named(tmp_path: Path) -> None:
    base, better = [0.50, 0.51, 0.52], [0.53, 0.53, 0.56]
    (row,) = trimmed(tmp_path, WLPM=base, WLPMT=better, WLP=[0.9, 0.9, 0.9], WLPCT=[0.1, 0.1, 0.1])
    assert (row["of"], row["over"]) == ("workers=WLPMT", "workers=WLPM")
    assert row["left_out"] == "workers=WLPT,WLPCT"
    assert row["value"] == pytest.approx(3.0)
    assert (row["within"], row["n"]) == ("dataset=openmic", 3)


def test_nothing_is_left_out_where_all_is_planned(tmp_path: Path) -> None:
    workers = [*TEMPOGRAM["of"]["workers"], *TEMPOGRAM["over"]["workers"]]
    (row,) = trimmed(tmp_path, **{workers_set: [0.5, 0.51, 0.52] for workers_set in workers})
    assert (row["of"], row["left_out"]) == ("workers=WLPT,WLPMT,WLPCT", "")


def test_no_step_left_is_not_run(tmp_path: Path) -> None:
    (row,) = trimmed(tmp_path, WLPMT=[0.5, 0.51, 0.52], WLP=[0.5, 0.51, 0.52])
    assert (row["verdict"], row["reason"]) == ("not run", "the study has no such cell")
    assert row["of"] == "workers=WLPT,WLPMT,WLPCT"


def test_a_planned_step_that_was_not_run_is_not_left_out(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for workers in ("WLP", "WLPT", "WLPM"):
        results.add(factors("pase", "frozen", "openmic", workers=workers), [0.5, 0.51, 0.52])
    results.expect(factors("pase", "frozen", "openmic", workers="WLPMT"))
    lines = table(results, TEMPOGRAM)
    (row,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (row["verdict"], row["left_out"]) == ("not run", "workers=WLPCT")


def test_steps_are_left_out_by_data_set(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for workers in ("WLP", "WLPT", "WLPM", "WLPMT"):
        results.add(factors("pase", "frozen", "openmic", workers=workers), [0.5, 0.51, 0.52])
    for workers in ("WLPM", "WLPMT"):
        results.add(factors("pase", "frozen", "fma_small", workers=workers), [0.5, 0.51, 0.52])
    lines = table(results, TEMPOGRAM)
    row = lines[lines["study"] == "fig2"].set_index("within")["left_out"].to_dict()
    assert row == {"dataset=openmic": "workers=WLPCT", "dataset=fma_small": "workers=WLPT,WLPCT"}
