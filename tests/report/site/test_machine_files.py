"""Files of the report for other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records import seal
from tests.report.aggregated_study import statistics
from tests.report.site.test_cells import compose_report
from tests.synthetic_results import CODE, Results, factors, full
from workflow_scripts.report import summary

HOSTILE = '<script>alert("x")</script> =cmd() \\input{x} \u202e\x1b[31m'


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("results"), datasets=["openmic"])
    Path(results.manifest["cells"][0]["path"]).unlink()
    results.manifest["program"] = {"version": "0.1.0", "commit": "abc-dirty"}
    results.manifest["studies"]["fig2"] |= {"title": HOSTILE, "question": HOSTILE}
    results.manifest["labels"]["encoder"]["pase"] = HOSTILE
    statistics(results)
    return results


@pytest.fixture(scope="module")
def report(results: Results) -> Path:
    return compose_report(results)


def read(path: Path) -> Any:
    """Read strict JSON: `NaN` is none."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(path.read_text(encoding="ascii"), parse_constant=refuse)


def test_the_summary_fits_its_schema_and_says_the_numbers_of_the_table(report: Path) -> None:
    content = summary.Summary.model_validate(read(report / "summary.json"))
    assert content.schema_version == summary.SCHEMA_VERSION
    assert (content.planned_cells, content.missing_cells) == (5, 1)
    assert content.prelude == {"version": "0.1.0", "commit": "abc-dirty"}
    missing, frozen = content.numbers[:2]
    assert (missing.status, missing.reason, missing.mean) == ("missing", "not run", None)
    assert frozen.mean == pytest.approx(0.52, abs=0.02)
    assert frozen.ci_low < frozen.mean < frozen.ci_high
    methods = {method.id: method for method in content.methods}
    assert methods[frozen.method].levels["scenario"] == "frozen"
    assert (report / methods[frozen.method].page).is_file()
    assert methods[missing.method].result == ""
    assert [comparison.verdict for comparison in content.comparisons] == ["better", "better"]
    assert content.studies[0].verdicts == {"better": 2}
    assert content.code == {"fine_tuned": [CODE], "frozen": [CODE], "supervised": [CODE]}
    assert set(content.statistics) >= {"trials.csv", "entries.csv"}


def test_the_schema_of_the_documentation_and_of_the_report_is_that_of_the_model(report: Path) -> None:
    assert summary.PAGE.read_text(encoding="utf-8") == summary.render_schema(), f"run: {summary.COMMAND}"
    assert read(report / "summary.schema.json") == summary.Summary.model_json_schema()


def test_each_number_has_a_result_with_the_keys_of_mteb(report: Path) -> None:
    files = sorted(path for path in (report / "results").rglob("*.json") if path.name != "model_meta.json")
    names = {path.relative_to(report / "results").as_posix() for path in files}
    assert "audioset_music__pase__WLPMCT__equal__wu2021/openmic__linear__frozen__100pct__wu2021.json" in names
    assert len(files) == 4, "that of the missing number is not there"
    for path in files:
        content = read(path)
        result = summary.TaskResult.model_validate(content)
        (scores,) = result.scores["test"]
        assert content["mteb_version"] is None
        assert result.dataset_revision == "dataopenmic"
        assert len(scores.scores_per_experiment) == 10
        values = [experiment["macro_f1"] for experiment in scores.scores_per_experiment]
        assert scores.main_score == content["scores"]["test"][0]["macro_f1"] == pytest.approx(sum(values) / 10)


def test_each_model_has_its_facts_with_the_keys_of_mteb(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    encoder, embedded = tmp_path / "pretrained" / "encoder.safetensors", tmp_path / "embeddings" / "openmic.npy"
    for path, facts in ((encoder, {"parameters": {"encoder": 1_048_576}}), (embedded, {"size": 256})):
        path.parent.mkdir()
        path.write_bytes(b"weights")
        seal(path, **facts)
    jobs = [["pretrain", str(encoder), str(encoder.with_name("record.json")), "log"]]
    jobs.append(["embed", str(embedded), str(embedded.with_suffix(".json")), "log"])
    results.manifest["jobs"] = jobs
    results.manifest["cells"][1]["jobs"] = [0, 1]
    results.manifest["datasets"] = {"audioset_music": {"license": "CC BY 4.0"}}
    statistics(results)
    folder = compose_report(results) / "results"
    metas = {path.parent.name: read(path) for path in folder.rglob("model_meta.json")}
    assert {*metas} == {path.name for path in folder.iterdir()}, "every model"
    keys = set("name revision release_date languages loader n_parameters memory_usage_mb max_tokens embed_dim".split())
    keys |= set("license open_weights public_training_code public_training_data framework reference".split())
    keys |= set("similarity_fn_name use_instructions training_datasets adapted_from superseded_by".split())
    assert keys | {"modalities", "model_type", "experiment_kwargs"} == {*metas["pase"]}, "MTEB refuses others"
    trained = metas["audioset_music__pase__WLPMCT__equal__wu2021"]
    assert trained["name"] == "prelude/audioset_music__pase__WLPMCT__equal__wu2021"
    assert (trained["n_parameters"], trained["memory_usage_mb"], trained["embed_dim"]) == (1_048_576, 4.0, 256)
    assert trained["training_datasets"] == ["audioset_music"]
    assert trained["experiment_kwargs"]["training_data_license"] == "CC BY 4.0"
    sha256 = read(encoder.with_name("record.json"))["sha256"][encoder.name]
    assert trained["experiment_kwargs"]["encoder_sha256"] == [sha256]
    assert trained["revision"] is not None
    assert (metas["pase"]["revision"], metas["pase"]["training_datasets"]) == (None, [])


def test_two_seeds_of_a_method_are_one_result(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for seed in range(2):
        results.add(factors("pase", "frozen", "openmic", seed=seed), [0.5, float("nan"), 0.7])
    statistics(results)
    (path,) = (compose_report(results) / "results").rglob("*__*__*.json")
    (scores,) = read(path)["scores"]["test"]
    assert scores["main_score"] is None, "undefined in one trial"
    assert [experiment["pretrain_seed"] for experiment in scores["scores_per_experiment"]] == ["0"] * 3 + ["1"] * 3


def test_names_that_would_be_too_long_or_equal_have_a_file_of_their_own() -> None:
    path = summary.result_path(["x" * 100] * 4, ["a", "none", "b"])
    assert path.endswith("/a__b.json")
    assert len(path.partition("/")[0]) < 255
    assert path != summary.result_path(["x" * 100] * 5, ["a", "none", "b"])


def test_hostile_names_do_nothing(report: Path) -> None:
    for path in report.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert "<script>alert" not in page
        assert not set(page) & {"\x1b", "\u202e"}
    assert read(report / "summary.json")["studies"][0]["title"] == HOSTILE, "other programs read it as it is"
    assert "\x1b" not in (report / "summary.json").read_text(encoding="ascii")
