"""The audit's files, the demand that they list no leak, and when an audit is made again."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.checkout import REPOSITORY
from tests.leakage.corpora import render_music, write_corpus
from workflow_scripts import audit, require_clean
from workflow_scripts.configuration.load import load
from workflow_scripts.configuration.study import StudyConfig
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.validation import validate
from workflow_scripts.planning.build_manifest import build_manifest
from workflow_scripts.planning.plan import Plan

PAPER = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
FREE = ["free", r"(\d{3})(?!\d)"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    clips = render_music(folder / "music", clips=10, seconds=2.0)
    names = ["001_a", "002_a", "003_a", "004_a"]
    write_corpus(
        folder / "openmic", clips[:4], names=names, splits=["train", "valid", "test", "test"], groups=list("aabc")
    )
    write_corpus(folder / "pool", [clips[2], *clips[5:7]], names=["p0", "004", "001"], splits=["train"] * 3)
    write_corpus(folder / "clean", clips[:4], names=names, splits=["train", "valid", "test", "test"])
    return folder


def run(folders: Path, output: Path, *pretraining: str, dataset: str = "openmic") -> dict:
    config = {"dataset": dataset, "pretraining": list(pretraining), "catalogues": {dataset: FREE, "pool": FREE}}
    flags = ["--config", json.dumps(config), "--code", "c0de", "--corpus", str(folders / dataset)]
    flags += [f"--pretraining={folders / name}" for name in pretraining]
    audit.main([*flags, "--output", str(output)])
    return dict(json.loads(output.read_text(encoding="utf-8")))


def test_numbers_and_list(folders: Path, tmp_path: Path) -> None:
    numbers = run(folders, tmp_path / "openmic.json", "pool")
    table = pd.read_csv(tmp_path / "openmic.csv", dtype=str, keep_default_na=False)
    listed = [tuple(row) for row in table[["kind", "leak", "clip", "split", "other_corpus", "other_clip"]].to_numpy()]
    assert listed == [
        ("group", "True", "001_a", "train", "openmic", "002_a"),
        ("exact", "True", "003_a", "test", "pool", "p0"),
        ("track", "True", "004_a", "test", "pool", "004"),
        ("track", "False", "001_a", "train", "pool", "001"),
    ]
    assert (numbers["dataset"], numbers["clips"], numbers["leaks"], numbers["too_short"]) == ("openmic", 4, 3, 0)
    own, pool = numbers["comparisons"]
    assert (own["corpus"], own["source"]) == ("openmic", "twin")
    assert own["overlaps"] == own["leaks"] == {"exact": 0, "near": 0, "track": 0, "group": 1}
    assert pool["overlaps"] == {"exact": 1, "near": 0, "track": 2, "group": 0}
    assert pool["leaks"] == {"exact": 1, "near": 0, "track": 1, "group": 0}
    assert set(numbers["data"]) == {"openmic", "pool"}
    assert numbers["code"] == "c0de"


def test_corpora_in_another_order_are_refused(folders: Path, tmp_path: Path) -> None:
    config = {"dataset": "pool", "pretraining": ["openmic"], "catalogues": {}}
    flags = ["--config", json.dumps(config), "--code", "c", "--output", str(tmp_path / "a.json")]
    with pytest.raises(UserError, match="openmic, pool, not pool, openmic"):
        audit.main([*flags, "--corpus", str(folders / "openmic"), "--pretraining", str(folders / "pool")])


def test_a_study_may_demand_that_nothing_leaks(folders: Path, tmp_path: Path) -> None:
    for dataset, pretraining in {"clean": (), "openmic": ("pool",)}.items():
        run(folders, tmp_path / f"{dataset}.json", *pretraining, dataset=dataset)
    flags = ["--study", "wu2021_fig2", "--output", str(tmp_path / "out.json")]
    require_clean.main(["--audit", str(tmp_path / "clean.json"), *flags])
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["studies"] == ["wu2021_fig2"]
    with pytest.raises(
        UserError, match=r"wu2021_fig2 demands.*leaks: 3.*exact: 003_a in test and p0 in train of pool.*openmic\.csv"
    ):
        require_clean.main(["--audit", str(tmp_path / "openmic.json"), *flags])


@pytest.mark.parametrize(
    ("name", "content"),
    [("clean.json", text) for text in (None, "{", "[]", "{}")] + [("clean.csv", text) for text in (None, "", "kind\n")],
)
def test_an_audit_that_is_not_whole_is_no_clean_one(folders, tmp_path, name, content) -> None:
    run(folders, tmp_path / "clean.json", dataset="clean")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    flags = ["--audit", str(tmp_path / "clean.json"), "--study=x", "--output", str(tmp_path / "out.json")]
    remedy = r"(is|was) .*: delete (it|.*clean\.(csv|json)) and run again"
    with pytest.raises(UserError, match=f"{name} {'is missing: run again' if content is None else remedy}"):
        require_clean.main(flags)
    assert not (tmp_path / "out.json").exists()


def plan_of(config: dict, **study: object) -> Plan:
    checked, studies = load([], folder=REPOSITORY / "config", merged=config)
    return Plan(checked, {"wu2021_fig2": validate(StudyConfig, studies["wu2021_fig2"].to_plain() | study)})


def test_each_evaluated_set_is_compared_with_pretraining_data() -> None:
    plan = plan_of(PAPER)
    assert plan.audits == {
        name: ((name, 16000), ("audioset_music", 16000)) for name in ("extended_ballroom", "fma_small", "openmic")
    }
    reads = json.loads(plan.jobs.audit(plan.audits["openmic"]).config)
    assert reads["catalogues"]["openmic"][0] == "Free Music Archive"
    assert reads["catalogues"]["audioset_music"] is None
    assert build_manifest(plan).to_json()["audits"] == [f"results/audits/{name}.json" for name in plan.audits]
    grid = plan.studies["wu2021_fig2"].grid
    same = plan_of(PAPER, grid={**grid.model_dump(mode="json"), "corpus": ["fma_small"]})
    assert same.audits["fma_small"] == (("fma_small", 16000),)
    assert same.audits["openmic"] == (("openmic", 16000), ("fma_small", 16000))


def test_only_data_that_changed_are_audited_again() -> None:
    config = copy.deepcopy(PAPER)
    config["datasets"]["fma_small"]["clip_seconds"] = 5
    plans = plan_of(PAPER), plan_of(config)
    before, after = ({name: plan.jobs.audit(corpora) for name, corpora in plan.audits.items()} for plan in plans)
    assert before["openmic"] == after["openmic"]
    assert before["fma_small"] != after["fma_small"]


def test_studies_that_demand_it_are_named() -> None:
    assert plan_of(PAPER).must_be_clean == {}
    demanded = plan_of(PAPER, audit="clean").must_be_clean
    assert demanded == {name: ["wu2021_fig2"] for name in ("openmic", "fma_small", "extended_ballroom")}
