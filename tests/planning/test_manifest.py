import io
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkout import REPOSITORY
from tests.synthetic_results import Results, factors, full
from workflow_scripts import plan as plan_command
from workflow_scripts.configuration.study import FigureChoice
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import Manifest, read_manifest


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results(tmp_path)
    results.expect(factors("pase", "frozen", "openmic"))
    return results


def test_reads_a_file_and_standard_input_alike(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = read_manifest(results.manifest_file())
    monkeypatch.setattr("sys.stdin", io.StringIO(Path(results.manifest_file()).read_text()))
    assert read_manifest("-") == from_file
    assert from_file.cells[0].factors["pretrain_seed"] == "0"


def test_an_unknown_factor_is_named(results: Results) -> None:
    results.manifest["studies"]["fig2"]["rows"] = ["encoder", "colour"]
    with pytest.raises(UserError, match=r"fig2: unknown factor colour; allowed: corpus"):
        Manifest.from_json(results.manifest)


def test_a_cell_listed_twice_is_refused(results: Results) -> None:
    results.expect(factors("pase", "frozen", "openmic"))
    with pytest.raises(UserError, match="twice"):
        Manifest.from_json(results.manifest)


def test_floors_differ_by_their_encoder_in_every_table(results: Results) -> None:
    results.manifest["studies"]["fig2"]["rows"] = ["workers"]
    assert Manifest.from_json(results.manifest).studies[0].rows == ("encoder", "workers")


@pytest.mark.parametrize("text", ["{", "[]", '{"scale": "demo"}'])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"plan\.json (is damaged|was written by an earlier version)"):
        read_manifest(str(path))


def test_a_missing_plan_and_an_unknown_study_are_named(results: Results) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_manifest(str(results.folder / "nothing.json"))
    with pytest.raises(UserError, match="unknown study fig3; the plan has: fig2"):
        Manifest.from_json(results.manifest).select(["fig3"])


def test_figures_and_pretrained_runs_come_with_the_plan(results: Results) -> None:
    run = {name: factors("pase", "frozen", "openmic")[name] for name in PRETRAINING}
    results.manifest["studies"]["fig2"]["figure"] = {"kind": "losses", "epochs": 3}
    results.manifest["pretrained_runs"] = [{"folder": "results/pretrained/x", "factors": run}]
    manifest = Manifest.from_json(results.manifest)
    assert manifest.studies[0].figure == FigureChoice(kind="losses", epochs=3)
    assert (manifest.pretrained_runs[0].folder, manifest.pretrained_runs[0].factors["pretrain_seed"]) == (
        Path("results/pretrained/x"),
        "0",
    )
    results.manifest["studies"]["fig2"]["figure"] = None
    assert Manifest.from_json(results.manifest).studies[0].figure is None


def test_an_imported_checkpoint_is_planned_by_its_corpus(results: Results) -> None:
    cell = next(cell for cell in Manifest.from_json(results.manifest).cells if cell.factors["workers"] != "none")
    levels = {"encoder": cell.factors["encoder"], "scenario": cell.factors["scenario"]}
    imported = replace(cell, factors={**cell.factors, "corpus": "official", "workers": "none"})
    assert cell.matches(levels)
    assert not imported.matches(levels)
    assert imported.matches({**levels, "corpus": "official"})


def test_jobs_detect_and_how_the_run_ended_are_read(tmp_path: Path) -> None:
    results = full(tmp_path, datasets=["openmic"])
    results.manifest["jobs"] = [["prepare", "a", "a.json", "a.log"], ["evaluate", "b", "b.json", "b.log"]]
    results.manifest["cells"][1]["jobs"] = [1]
    results.manifest["studies"]["fig2"]["detect"] = 1.5
    before = Manifest.from_json(results.manifest)
    assert [job.stage for job in before.cells[1].jobs] == ["evaluate"]
    assert before.cells[0].jobs == ()
    assert (before.studies[0].detect, before.unfinished, before.configfiles) == (1.5, False, ())
    after = Manifest.from_json(results.manifest | {"unfinished": True, "configfiles": ["a.yaml"]})
    assert (after.unfinished, after.configfiles) == (True, ("a.yaml",))


def test_a_folder_and_what_is_no_text_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_manifest(str(tmp_path))
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not JSON"):
        read_manifest(str(tmp_path / "plan.json"))


def test_config_files_below_the_folder_are_named_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    own, outside = tmp_path / "config" / "mine.yaml", REPOSITORY / "config" / "smoke.yaml"
    own.write_text("scale: mine\n")
    monkeypatch.chdir(tmp_path)
    plan_command.main(["--configfile", str(outside), str(own), "--output", "plan.json"])
    assert read_manifest(tmp_path / "plan.json").configfiles == (str(outside), "config/mine.yaml")
