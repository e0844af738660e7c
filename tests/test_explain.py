import json
import re
import shlex
from pathlib import Path

import pytest

from tests.report.aggregated_study import statistics
from tests.synthetic_results import CODE, CONFIG, Results, factors, full
from workflow_scripts import explain
from workflow_scripts.core.errors import UserError


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("results"))
    results.manifest["configfiles"] = ["config/my demo.yaml"]
    folder = results.folder / "pretrained"
    folder.mkdir()
    record = {"code": "abcd", "seconds": 125.0, "device": "cuda: H200", "energy_joules": 5000}
    (folder / "record.json").write_text(json.dumps(record))
    files = [str(folder / name) for name in ("encoder.safetensors", "record.json", "pretrain/log")]
    (folder / "encoder.safetensors").touch()
    results.manifest["jobs"] = [["pretrain", *files], ["evaluate", "trials.csv", "record.json", "evaluate/log"]]
    for evaluation in results.manifest["cells"]:
        evaluation["jobs"] = [0, 1]
    cell = Path(results.manifest["cells"][1]["path"])
    record = {"python": "3.11.7", "versions": {"torch": "2.11.0"}, "peak_memory_bytes": 5e8, "energy_joules": 70}
    cell.with_name("record.json").write_text(json.dumps(record))
    statistics(results)
    Path(results.manifest["cells"][5]["path"]).unlink()
    results.manifest_file(results.folder / "statistics")
    return results


def explain_entry(results: Results, capsys: pytest.CaptureFixture[str], row: str, column: str) -> str:
    explain.main(["fig2", row, column, "--results", str(results.folder)])
    return capsys.readouterr().out


def test_it_prints_everything_behind_a_number(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    text = explain_entry(results, capsys, "PASE, frozen", "OpenMIC")
    table = (results.folder / "statistics" / "entries.csv").read_text()
    assert "macro_f1" in table
    assert re.search(r"PASE, frozen, OpenMIC \(twin\): 5\d\.\d ± 0\.\d\n", text)
    for fact in (CODE, CONFIG, "dataopenmic", "python: 3.11.7", "torch 2.11.0", "500 MB", "energy joules: 70"):
        assert fact in text
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+\.\d{3}) +200 +30 +0\.001 +1\.25$", text, re.MULTILINE)
    assert [(int(trial), int(seed)) for trial, seed, _ in rows] == [(trial, 1000 + trial) for trial in range(10)]
    assert re.search(
        r"pretrain: .*encoder\.safetensors \(code abcd, 2 min 05 s, on cuda: H200, energy joules 5000\)", text
    )


def test_data_that_were_prepared_again_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = full(tmp_path, datasets=["openmic"])
    corpus, cell = tmp_path / "corpus.json", Path(results.manifest["cells"][1]["path"])
    corpus.write_text(json.dumps({"dataset": "openmic", "digest": "d2"}))
    cell.with_name("record.json").write_text(json.dumps({"data": {"openmic": "d1"}}))
    prepare = ["prepare", str(corpus), str(corpus), "prepare/log"]
    results.manifest["jobs"] = [prepare, ["evaluate", str(cell), str(cell.with_name("record.json")), "evaluate/log"]]
    results.manifest["cells"][1]["jobs"] = [0, 1]
    results.manifest_file(statistics(results))
    text = explain_entry(results, capsys, "PASE, frozen", "openmic")
    assert f"  stale: the corpus on disk has another digest: {corpus}\n" in text


def test_the_job_of_a_figure_after_the_trials_is_not_before_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = full(tmp_path, datasets=["openmic"])
    names = ("pretrain", "evaluate", "visualise_filters")
    paths = {name: str(tmp_path / f"{name}.json") for name in names}
    results.manifest["jobs"] = [[name, paths[name], paths[name], f"{name}/log"] for name in names]
    results.manifest["cells"][1]["jobs"] = [0, 1, 2]
    results.manifest_file(statistics(results))
    before = explain_entry(results, capsys, "PASE, frozen", "openmic").partition("  provenance:\n")[2]
    assert f"    pretrain: {paths['pretrain']}" in before
    assert paths["evaluate"] not in before
    assert paths["visualise_filters"] not in before


def test_the_command_makes_just_that_cell_again(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    text = explain_entry(results, capsys, "PASE, frozen", "OpenMIC")
    command = shlex.split(text.rstrip().splitlines()[-1])
    assert command[:3] == [".venv/bin/snakemake", results.manifest["cells"][1]["path"], "--force"]
    assert command[-2:] == ["--configfile", "config/my demo.yaml"]


@pytest.mark.parametrize("row", ["pase, frozen", "PASE frozen", "pase frozen", "PASE,FROZEN"])
def test_names_may_be_those_of_configs(results: Results, capsys: pytest.CaptureFixture[str], row: str) -> None:
    assert "PASE, frozen, OpenMIC (twin): " in explain_entry(results, capsys, row, "openmic")


@pytest.mark.parametrize(
    ("row", "column"), [("PASE, frozen", "OpenMIC (twin)"), ("PASE (floor), frozen", "openmic (twin, local)")]
)
def test_names_may_be_those_that_tables_print(
    results: Results, capsys: pytest.CaptureFixture[str], row: str, column: str
) -> None:
    assert "PASE, frozen, OpenMIC (twin): " in explain_entry(results, capsys, row, column)


def test_a_missing_number_says_why(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    text = explain_entry(results, capsys, "PASE, supervised", "FMA small")
    assert "not run" in text
    assert "snakemake" in text


@pytest.mark.parametrize(
    ("table", "row", "column", "message"),
    [
        ("fig3", "PASE, frozen", "OpenMIC", "unknown study fig3; the plan has: fig2"),
        ("fig2", "PASE", "OpenMIC", "no row of fig2 is called 'PASE'; there are: PASE, supervised; PASE, frozen; "),
        ("fig2", "PASE, frozen", "FMA", "no column of fig2 is called 'FMA'; there are: OpenMIC; FMA small"),
    ],
)
def test_an_unknown_name_says_which_there_are(
    results: Results, table: str, row: str, column: str, message: str
) -> None:
    with pytest.raises(UserError) as error:
        explain.main([table, row, column, "--results", str(results.folder)])
    assert message in str(error.value)


def test_results_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"plan\.json: no such file; name the folder of finished results"):
        explain.main(["fig2", "PASE, frozen", "OpenMIC", "--results", str(tmp_path)])


def test_results_of_a_run_that_failed_are_pointed_to(tmp_path: Path) -> None:
    folder = tmp_path / "unfinished" / "statistics"
    folder.mkdir(parents=True)
    (folder / "plan.json").touch()
    with pytest.raises(UserError, match=r"with --results, such as .*unfinished$"):
        explain.main(["fig2", "PASE, frozen", "OpenMIC", "--results", str(tmp_path)])


def test_a_metric_that_was_not_measured_is_reported_and_not_called_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.manifest["studies"]["fig2"]["metric"] = "roc_auc"
    results.manifest_file(statistics(results))
    text = explain_entry(results, capsys, "PASE, frozen", "openmic")
    assert "roc_auc not measured; there are: macro_f1, accuracy" in text
    assert CODE in text
    assert "stale" not in text


def test_a_name_of_two_rows_is_refused_with_the_levels_of_each(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"] |= {"rows": ["encoder", "augmentation", "head"], "comparisons": []}
    for levels in ({"augmentation": "none", "head": "mlp"}, {"augmentation": "mlp", "head": "none"}):
        results.add(factors("pase", "frozen", "openmic", **levels), [0.5, 0.6, 0.7])
    results.manifest_file(statistics(results))
    with pytest.raises(UserError, match="names more than one row of fig2; say which: pase none mlp; pase mlp none"):
        explain.main(["fig2", "PASE, mlp", "openmic", "--results", str(tmp_path)])


def test_every_pretraining_seed_behind_a_number_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    for seed in range(3):
        results.add(factors("pase", "frozen", "openmic", seed=seed), [0.5, 0.6, 0.7])
    results.manifest_file(statistics(results))
    text = explain_entry(results, capsys, "PASE, frozen", "openmic")
    assert [f"Pre-training seed {seed}: " in text for seed in range(3)] == [True] * 3
    assert text.count("To reproduce it:") == 3


def test_each_metric_that_a_table_shows_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = full(tmp_path)
    results.manifest["studies"]["fig2"]["metrics"] = {"openmic": ["macro_f1", "accuracy"]}
    folder = statistics(results)
    results.manifest_file(folder)
    text = explain_entry(results, capsys, "PASE, frozen", "OpenMIC")
    for name in ("macro F1", "accuracy"):
        assert re.search(rf"PASE, frozen, OpenMIC, {name} \(twin\): 5\d\.\d ± 0\.\d\n", text)
    assert re.search(r"Trial +Seed +Macro F1 \(%\) +Accuracy \(%\) +Training clips", text)
    assert explain_entry(results, capsys, "PASE, frozen", "OpenMIC, accuracy") == text, (
        "as the heading of a column says it"
    )


def test_a_damaged_record_is_named_and_the_rest_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = full(tmp_path, datasets=["openmic"])
    record = tmp_path / "record.json"
    results.manifest["jobs"] = [
        ["pretrain", str(record), str(record), "pretrain/log"],
        ["evaluate", "x.csv", "x.json", "evaluate/log"],
    ]
    results.manifest["cells"][1]["jobs"] = [0, 1]
    results.manifest_file(statistics(results))
    for damage in ("[" * 100_000, '{"code": '):
        record.write_text(damage)
        text = explain_entry(results, capsys, "PASE, frozen", "openmic")
        assert re.search(
            r"pretrain: .*record\.json \(damaged: .*record\.json is damaged: delete .* and run again\)", text
        )
