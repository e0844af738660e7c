"""Published rows, the statements that studies make on them, and the verdicts."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkout import REPOSITORY, SHARED, needs_shared
from tests.synthetic_results import Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.planning.grids import levels_of
from workflow_scripts.planning.manifest import Manifest
from workflow_scripts.statistics.reproduction.context import Estimate
from workflow_scripts.statistics.reproduction.quantities.registry import QUANTITIES
from workflow_scripts.statistics.reproduction.table import (
    PUBLISHED,
    check_statements,
    claim_verdict,
    read_published,
    read_reproduction,
    reproduction_table,
)
from workflow_scripts.statistics.samples import TrialSamples
from workflow_scripts.statistics.test_set_bootstrap import BootstrapReplicates
from workflow_scripts.statistics.trials import gather

STUDIES = sorted((REPOSITORY / "config" / "studies").glob("*.yaml"))
STATEMENTS = [
    pytest.param(statement, id=f"{path.stem}-{number}")
    for path in STUDIES
    for number, statement in enumerate(yaml.safe_load(path.read_text()).get("published", []))
]
NOTES = REPOSITORY / "docs" / "reproduction-notes.md"
TAGS = re.findall(r"^### ([ABC]\d+)$", NOTES.read_text(encoding="utf-8"), re.MULTILINE)

#: 30.98 %, and a claim in words
NUMBER = {"system": "B", "table_or_figure": "table 6.1", "model": "CPC", "metric": "PR-AUC tag",
          "scenario": "frozen, linear classifier"}  # fmt: skip
CLAIM = {"system": "A", "model": "PASE+ vs PASE"}
MEAN = {"row": NUMBER, "quantity": "mean", "of": {"encoder": "pase"}, "margin": 1}


def table(results: Results, *statements: dict[str, Any]) -> Any:
    results.plan["studies"]["fig2"]["published"] = list(statements)
    plan = Manifest.from_json(json.loads(json.dumps(results.plan)))
    trials = gather(plan).trials
    return reproduction_table(plan, TrialSamples(trials), trials, BootstrapReplicates())


def measured(folder: Path, values: list[float], **more: object) -> Results:
    results = Results(folder)
    results.add(factors("pase", "frozen", "openmic"), values, **more)
    return results


def judged(folder: Path, values: list[float], **more: object) -> tuple[str, str]:
    """Verdict and reason on trials of PASE held against 30.98 with a margin of 1."""
    lines = table(measured(folder, values, **{"source": "download"} | more), MEAN)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    return line["verdict"], line["reason"]


def estimate(low: float, high: float) -> Estimate:
    return Estimate(
        value=(low + high) / 2, low=low, high=high, narrow=(low, high), replicate="trials", n=10, checkpoints=1,
        sources=("download",),
    )  # fmt: skip


@needs_shared
def test_published_data_are_the_shared_ones() -> None:
    assert (SHARED / "reference" / "published.csv").read_bytes() == PUBLISHED.read_bytes()


def test_published_rows_have_a_number_or_a_claim() -> None:
    published = read_published()
    assert Counter(published["system"]) == {"A": 42, "B": 160, "C": 80}
    for row in published.to_dict("records"):
        assert bool(row["mean"]) != row["metric"].startswith("ordinal claim")
        assert row["mean"] or row["notes"]
        assert np.isfinite(float(row["mean"] or 0))
        assert np.isfinite(float(row["std"] or 0))


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_statement_of_a_shipped_study_fits_its_row(statement: dict[str, Any], tmp_path: Path) -> None:
    lines = table(Results(tmp_path), statement)
    spoken = lines[lines["study"] == "fig2"]
    assert spoken["row"].nunique() == 1
    assert set(spoken["verdict"]) == {"not run"}
    assert set(statement.get("choices", [])) <= set(TAGS)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_scores_of_clmr_name_the_schedule_they_depend_on(statement: dict[str, Any]) -> None:
    choices = set(statement.get("choices", []))
    if "B5" in choices:  # of a CLMR that was pre-trained: by LARS, but for a batch of 48
        assert ("B10" in choices) != (statement["of"].get("recipe") == "clmr_48")
    if statement["of"].get("dataset") == "msd":
        assert "B9" not in choices, "its clips are songs"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_level_of_a_statement_is_in_its_study(path: Path) -> None:
    study = yaml.safe_load(path.read_text())
    for statement in study.get("published", []):
        for side in ("of", "over"):
            for factor, named in statement.get(side, {}).items():
                allowed = set(levels_of(study, factor))
                assert set(named if isinstance(named, list) else [named]) <= allowed, statement


def test_shipped_statements_cover_what_the_systems_publish() -> None:
    published, spoken = read_published(), set()
    for param in STATEMENTS:
        (statement,) = param.values
        rows = published
        for column, value in statement["row"].items():
            rows = rows[rows[column] == str(value)]
        spoken.add(int(rows["row"].iloc[0]))
    silent = published[~published["row"].isin(spoken)]
    assert silent[silent["system"] == "A"]["row"].tolist() == [1, 2, 3]  # how much of AudioSet could be obtained
    cited = silent[silent["system"] == "B"]
    assert cited["row"].tolist() == [47, 48, 55, 56, 57, 58, 63, 199, 200, 201, 202]
    assert all("cited" in row["setting"] for row in cited.to_dict("records"))
    assert silent[silent["system"] == "C"].empty


def test_quantities_are_those_of_the_schema() -> None:
    schema = json.loads((REPOSITORY / "config" / "schema" / "study.schema.json").read_text())
    allowed = schema["properties"]["published"]["items"]["properties"]["quantity"]["enum"]
    assert allowed == list(QUANTITIES)


def test_the_notes_have_each_tag_once_with_choice_and_bearing() -> None:
    assert [f"{system}{number}" for system, last in (("A", 15), ("B", 14), ("C", 13))
                    for number in range(1, last + 1)] == TAGS  # fmt: skip
    for section in re.split(r"^### ", NOTES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        assert re.search(r"\bBears\s+(\w+\s+)?on\b", section), section


def test_every_published_row_has_its_line_in_order(tmp_path: Path) -> None:
    results = measured(tmp_path, [0.3, 0.31, 0.32])
    results.add(factors("pase_plus", "frozen", "openmic"), [0.4, 0.41, 0.43])
    results.add(factors("pase", "frozen", "fma_small"), [0.3, 0.31, 0.32])
    results.add(factors("pase_plus", "frozen", "fma_small"), [0.4, 0.41, 0.43])
    claim = {"row": CLAIM, "quantity": "difference", "expected": "above zero"}
    claim |= {"of": {"encoder": "pase_plus"}, "over": {"encoder": "pase"}}
    lines = table(results, claim)
    twice = int(lines[lines["study"] == "fig2"]["row"].iloc[0])
    assert lines["row"].tolist() == sorted([*range(1, 283), twice])
    others = lines[lines["row"] != twice].set_index("row")
    assert set(others.loc[1:3, "verdict"]) == {"not a result of this benchmark"}
    cited = others[others["reason"] == "cited from other publications"]
    assert set(cited["verdict"]) == {"not a result of this benchmark"}
    assert set(cited["model"]) == {
        *("Pons et al. (waveform)", "1D CNN", "fully supervised models (best)"),
        *("SimCLR", "ResNet-50", "SimCLR v2", "PASE+"),
    }
    assert set(cited["system"]) == {"B"}
    assert set(others.loc[4:].drop(cited.index)["verdict"]) == {"not run"}


def test_what_is_read_back_is_what_was_written(tmp_path: Path) -> None:
    lines = table(measured(tmp_path, [0.3, 0.31, 0.32]), MEAN)
    texts = []
    for name in ("first", "second"):
        lines.to_csv(tmp_path / f"{name}.csv", index=False)
        lines = read_reproduction(tmp_path / f"{name}.csv")
        texts.append((tmp_path / f"{name}.csv").read_text())
    assert texts[0] == texts[1]
    assert "86.60" in set(lines["mean"])  # as printed
    with pytest.raises(UserError, match="run aggregate first"):
        read_reproduction(tmp_path / "nothing.csv")


def test_a_number_is_equivalent_different_or_inconclusive(tmp_path: Path) -> None:
    spread = np.array([-0.001, 0.0, 0.001])
    cases = {"equivalent": 0.3098, "different": 0.35, "inconclusive": 0.3198}
    assert {
        name: judged(tmp_path / name, list(centre + spread))[0] for name, centre in cases.items()
    } == {name: name for name in cases}  # fmt: skip


def test_the_90_percent_interval_decides(tmp_path: Path) -> None:
    # deviation 0.5 points: half widths 0.84 at 90 % and 1.24 at 95 %, with a margin of 1
    assert judged(tmp_path, [0.3048, 0.3098, 0.3148])[0] == "equivalent"


def test_two_trials_are_inconclusive_and_say_why(tmp_path: Path) -> None:
    assert judged(tmp_path, [0.3098, 0.3099]) == ("inconclusive", "no interval from 2 trials")


@settings(deadline=None, max_examples=25)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_number_from_a_twin_never_gets_a_verdict(
    values: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert judged(tmp_path_factory.mktemp("twin"), values, source="twin") == ("not comparable", "twin data")


def test_an_encoder_pretrained_on_a_twin_is_not_comparable_either(tmp_path: Path) -> None:
    results = measured(tmp_path, [0.3098, 0.3099, 0.3097], source="download")
    facts = {"dataset": "audioset_music", "source": "twin", "clips": 1, "quarantined": 0, "seconds": 1, "classes": []}
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    results.plan["corpora"] = [str(tmp_path)]
    lines = table(results, MEAN)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (line["verdict"], line["source"]) == ("not comparable", "download twin")


def test_a_claim_on_a_twin_keeps_its_outcome_and_its_source(tmp_path: Path) -> None:
    results = measured(tmp_path, [0.30, 0.31, 0.32])
    results.add(factors("random", "frozen", "openmic"), [0.20, 0.21, 0.23])
    claim = {"row": CLAIM, "quantity": "difference", "expected": "above zero"}
    claim |= {"of": {"encoder": "pase"}, "over": {"encoder": "random"}}
    lines = table(results, claim)
    (line,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (line["verdict"], line["source"]) == ("holds", "twin")


@pytest.mark.parametrize(
    ("clips", "verdict"), [(15_000, "equivalent"), (15_400, "equivalent"), (15_600, "different"), (20_000, "different")]
)
def test_a_count_needs_no_interval(clips: int, verdict: str, tmp_path: Path) -> None:
    results = measured(tmp_path, [0.5], source="download")
    facts = {"dataset": "openmic", "source": "download", "clips": clips, "quarantined": 0}
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    results.plan["corpora"] = [str(tmp_path)]
    row = {"system": "A", "eval_data": "OpenMIC-2018", "table_or_figure": "sec 3.5.2", "metric": "samples (thousands)"}
    lines = table(results, {"row": row, "quantity": "clips", "of": {"dataset": "openmic"}, "margin": 0.5})
    assert lines[lines["study"] == "fig2"]["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(("trials", "verdict"), [(10, "as published"), (3, "set otherwise")])
def test_a_setting_is_as_published_or_not(trials: int, verdict: str, tmp_path: Path) -> None:
    row = {"system": "A", "table_or_figure": "sec 3.4", "metric": "trials"}
    lines = table(measured(tmp_path, [0.5] * trials), {"row": row, "quantity": "trials", "of": {}})
    assert lines[lines["study"] == "fig2"]["verdict"].tolist() == [verdict]


@pytest.mark.parametrize(
    ("low", "high", "expected", "margin", "verdict"),
    [
        (0.1, 2, "above zero", 0, "holds"),
        (0, 2, "above zero", 0, "inconclusive"),
        (-2, 0, "above zero", 0, "inconclusive"),
        (-2, -0.1, "above zero", 0, "does not hold"),
        (-2, -0.1, "below zero", 0, "holds"),
        (-2, 0.1, "below zero", 0, "inconclusive"),
        (0.1, 2, "below zero", 0, "does not hold"),
        (-2, 0, "not above zero", 0, "holds"),
        (-2, 0.5, "not above zero", 0, "inconclusive"),
        (-2, 0.5, "not above zero", 1, "holds"),
        (0.5, 1.5, "not above zero", 1, "inconclusive"),
        (1.5, 2, "not above zero", 1, "does not hold"),
        (-0.5, 0.5, "near zero", 1, "holds"),
        (-1.5, 0.5, "near zero", 1, "inconclusive"),
        (-3, -1.5, "near zero", 1, "does not hold"),
        (1.5, 3, "near zero", 1, "does not hold"),
        (float("nan"), float("nan"), "above zero", 0, "inconclusive"),
    ],
)
def test_a_claim_follows_the_interval(low: float, high: float, expected: str, margin: float, verdict: str) -> None:
    assert claim_verdict(estimate(low, high), expected, margin=margin)[0] == verdict


@pytest.mark.parametrize(
    ("values", "expected", "verdict"),
    [  # 30.98 was published, with a margin of 1
        ([0.25, 0.26, 0.255], "not above", "holds"),
        ([0.309, 0.31, 0.311], "not above", "holds"),
        ([0.30, 0.32, 0.34], "not above", "inconclusive"),
        ([0.34, 0.341, 0.339], "not above", "does not hold"),
        ([0.34, 0.341, 0.339], "not below", "holds"),
        ([0.28, 0.30, 0.32], "not below", "inconclusive"),
        ([0.25, 0.26, 0.255], "not below", "does not hold"),
        ([0.25], "not above", "inconclusive"),
    ],
)
def test_a_number_may_be_a_bound(tmp_path: Path, values: list[float], expected: str, verdict: str) -> None:
    results = measured(tmp_path, values, source="download")
    found = table(results, MEAN | {"expected": expected}).query("study == 'fig2'").iloc[0]
    assert found["verdict"] == verdict
    assert found["expected"] == expected


def test_a_bound_gets_no_verdict_from_twins(tmp_path: Path) -> None:
    found = table(measured(tmp_path, [0.25, 0.26], source="twin"), MEAN | {"expected": "not above"})
    assert found.query("study == 'fig2'")["verdict"].tolist() == ["not comparable"]


@settings(deadline=None, max_examples=50)
@given(low=st.floats(-5, 5), width=st.floats(0, 5))
def test_above_and_below_mirror_each_other(low: float, width: float) -> None:
    above = claim_verdict(estimate(low, low + width), "above zero")
    below = claim_verdict(estimate(-low - width, -low), "below zero")
    assert above == below


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"row": {"system": "A", "model": "PASE"}}, "picks 3 rows of published.csv, not one; they differ in table"),
        ({"row": {"system": "D"}}, "row.system: no row has 'D' with what stands before; nearest: ['C', 'B', 'A']"),
        ({"row": {"system": "A", "model": "PASE-"}}, "nearest: ['PASE', 'PASE+'"),
        ({"row": {"planet": "B"}}, "no column planet in published.csv; allowed: system"),
        ({"quantity": "median"}, "quantity: unknown 'median'; allowed: mean"),
        ({"margin": None}, "declare the margin within which 30.98 counts as reproduced"),
        ({"expected": "above zero"}, "a number may have one; allowed here: not above, not below"),
        ({"row": CLAIM}, "a claim in words needs one and a number may have one; allowed here: above zero, below zero"),
        ({"row": CLAIM, "expected": "not above"}, "allowed here: above zero, below zero, not above zero, near zero"),
        ({"tolerance": 1}, "how close counts as reached is stated for label_saving, and only there"),
        (
            {"quantity": "label_saving", "over": {"encoder": "random"}},
            "how close counts as reached is stated for label_saving, and only there",
        ),
        ({"over": {"encoder": "random"}}, "mean has no `over`"),
        ({"quantity": "difference"}, "difference needs `over`"),
        ({"of": {"colour": "red"}}, "unknown factor colour"),
        ({"of": {"workers": ["WLP", "WLPT"], "encoder": ["pase"]}}, "equally long"),
        ({"of": {"workers": ["WLP", "WLPT"]}, "over": {"workers": "WLP"}}, "not in step"),
        (
            {"of": {"workers": ["WLP", "WLPT"]}},
            "mean takes one level of a factor, not a list; lists are allowed in dif",
        ),
        ({"losses": ["lps", "tempogram"]}, "mean has no `losses`"),
        ({"quantity": "loss_ratio", "losses": ["lps", "noise"]}, "not ['lps', 'noise']; allowed: chroma"),
        ({"quantity": "loss_ratio"}, "needs losses: the two workers"),
        ({"quantity": "classes"}, "classes needs it to name a dataset or a corpus"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        table(measured(tmp_path, [0.3, 0.31]), MEAN | change)
    if "colour" not in complaint:  # a plan refuses a study's unknown factors before
        with pytest.raises(UserError, match=re.escape(complaint)) as caught:
            check_statements({"wu2021_fig2": {"published": [MEAN | change]}})
        assert str(caught.value).startswith("config/studies/wu2021_fig2.yaml: published {")
        assert "\n" not in str(caught.value)


def test_the_shipped_studies_pass_before_anything_runs() -> None:
    studies = {path.stem: yaml.safe_load(path.read_text()) for path in STUDIES}
    check_statements(studies)
    assert any("published" in study for study in studies.values())
    check_statements({"own": {"title": "no statement"}})


TEMPOGRAM = {
    **{"row": {"system": "A", "setting": "adding T to any combination"}, "quantity": "difference"},
    **{"of": {"workers": ["WLPT", "WLPMT", "WLPCT"]}, "over": {"workers": ["WLP", "WLPM", "WLPC"]}},
    "expected": "above zero",
}


def trimmed(folder: Path, **values: list[float]) -> list[dict[str, Any]]:
    """The lines on Tempogram where only the worker sets in `values` are planned, for OpenMIC."""
    results = Results(folder)
    for workers, found in values.items():
        results.add(factors("pase", "frozen", "openmic", workers=workers), found)
    lines = table(results, TEMPOGRAM)
    return list(lines[lines["study"] == "fig2"].to_dict("records"))


def test_steps_that_a_trimmed_study_lacks_are_left_out_and_named(tmp_path: Path) -> None:
    base, better = [0.50, 0.51, 0.52], [0.53, 0.53, 0.56]
    (found,) = trimmed(tmp_path, WLPM=base, WLPMT=better, WLP=[0.9, 0.9, 0.9], WLPCT=[0.1, 0.1, 0.1])
    assert (found["of"], found["over"]) == ("workers=WLPMT", "workers=WLPM")
    assert found["left_out"] == "workers=WLPT,WLPCT"
    assert found["value"] == pytest.approx(3.0)
    assert (found["within"], found["n"]) == ("dataset=openmic", 3)


def test_nothing_is_left_out_where_all_is_planned(tmp_path: Path) -> None:
    workers = [*TEMPOGRAM["of"]["workers"], *TEMPOGRAM["over"]["workers"]]
    (found,) = trimmed(tmp_path, **{each: [0.5, 0.51, 0.52] for each in workers})
    assert (found["of"], found["left_out"]) == ("workers=WLPT,WLPMT,WLPCT", "")


def test_no_step_left_is_not_run(tmp_path: Path) -> None:
    (found,) = trimmed(tmp_path, WLPMT=[0.5, 0.51, 0.52], WLP=[0.5, 0.51, 0.52])
    assert (found["verdict"], found["reason"]) == ("not run", "the study has no such cell")
    assert found["of"] == "workers=WLPT,WLPMT,WLPCT"


def test_a_planned_step_that_was_not_run_is_not_left_out(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for workers in ("WLP", "WLPT", "WLPM"):
        results.add(factors("pase", "frozen", "openmic", workers=workers), [0.5, 0.51, 0.52])
    results.expect(factors("pase", "frozen", "openmic", workers="WLPMT"))
    lines = table(results, TEMPOGRAM)
    (found,) = lines[lines["study"] == "fig2"].to_dict("records")
    assert (found["verdict"], found["left_out"]) == ("not run", "workers=WLPCT")


def test_steps_are_left_out_by_data_set(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for workers in ("WLP", "WLPT", "WLPM", "WLPMT"):
        results.add(factors("pase", "frozen", "openmic", workers=workers), [0.5, 0.51, 0.52])
    for workers in ("WLPM", "WLPMT"):
        results.add(factors("pase", "frozen", "fma_small", workers=workers), [0.5, 0.51, 0.52])
    lines = table(results, TEMPOGRAM)
    found = lines[lines["study"] == "fig2"].set_index("within")["left_out"].to_dict()
    assert found == {"dataset=openmic": "workers=WLPCT", "dataset=fma_small": "workers=WLPT,WLPCT"}
