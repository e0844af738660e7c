"""Results of other machines in one report: `compose --add`."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest

from tests.records import seal
from tests.synthetic_results import Results, full
from workflow_scripts import compose
from workflow_scripts.core.errors import UserError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("whole"), datasets=["openmic"], count=5)
    results.manifest_file()
    return results


def copy_part(whole: Results, folder: Path, cells: list[int]) -> Results:
    """Return results at another place that have only some of the cells."""
    results = Results(folder)
    results.manifest = copy.deepcopy(whole.manifest)
    for place, cell in enumerate(results.manifest["cells"]):
        old = Path(cell["path"])
        new = folder / old.relative_to(whole.folder)
        cell["path"] = str(new)
        if place in cells:
            shutil.copytree(old.parent, new.parent)
    return results


def add(results: Results, *others: Path) -> Path:
    folder = results.folder
    statistics, figures = str(folder / "statistics"), str(folder / "figures")
    flags = [flag for other in others for flag in ("--add", str(other))]
    read = ["--manifest", results.manifest_file(), "--statistics", statistics, "--figures", figures]
    compose.main([*read, "--output", str(folder / "report"), *flags])
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_results_of_two_machines_are_those_of_one(
    whole: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = copy_part(whole, tmp_path / "here", [0, 1])
    second = copy_part(whole, tmp_path / "second", [1, 2, 3])
    third = copy_part(whole, tmp_path / "third", [3, 4])
    before = files_of(here.folder / "evaluations")
    folder = add(here, second.folder, third.folder)
    printed = capsys.readouterr().err
    assert f"prelude: note: {second.folder}: 2 of 5 planned evaluations added, 1 more were here already" in printed
    assert f"prelude: note: {third.folder}: 1 of 5 planned evaluations added, 1 more were here already" in printed
    assert before.items() <= files_of(folder / "evaluations").items(), "nothing that was here is changed"
    expected = add(copy_part(whole, tmp_path / "one", [0, 1, 2, 3, 4]), second.folder)
    for name in ("trials.csv", "entries.csv", "comparisons.csv"):
        assert (folder / "statistics" / name).read_bytes() == (expected / "statistics" / name).read_bytes()
    assert (folder / "tables" / "fig2.csv").read_bytes() == (expected / "tables" / "fig2.csv").read_bytes()
    provenance = (folder / "report" / "provenance.html").read_text(encoding="utf-8")
    assert f"Added from {second.folder}" in provenance
    summary = json.loads((folder / "report" / "summary.json").read_text(encoding="utf-8"))
    assert summary["added"] == [str(second.folder), str(third.folder)]
    assert summary["missing_cells"] == 0
    pages = [path.read_text(encoding="utf-8") for path in (folder / "report" / "cells").glob("*.html")]
    assert sum("These trials were computed on another machine" in page for page in pages) == 3


def edit(trials: Path, old: str, new: str) -> None:
    trials.write_text(trials.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    seal(trials)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("00001234e5678901", "abc", "has the code digest abc, and this plan has 00001234e5678901"),
        ("1234567890123456", "abc", "has the config digest abc, and this plan has 1234567890123456"),
        ("dataopenmic", "other", "has the data digest of openmic other, and this plan has dataopenmic"),
    ],
)
def test_results_of_another_protocol_are_refused_with_the_cell_and_the_digest(
    whole: Results, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    here, other = copy_part(whole, tmp_path / "here", [0]), copy_part(whole, tmp_path / "other", [1, 2])
    trials = other.folder / Path(other.manifest["cells"][2]["path"]).relative_to(other.folder)
    edit(trials, old, new)
    before = files_of(here.folder)
    with pytest.raises(UserError) as error:
        add(here, other.folder)
    assert reason in str(error.value)
    assert str(trials) in str(error.value)
    assert "nothing was added" in str(error.value)
    assert {name for name in files_of(here.folder) if name not in before} <= {"plan.json"}


def test_another_corpus_of_pretraining_is_refused(whole: Results, tmp_path: Path) -> None:
    here, other = copy_part(whole, tmp_path / "here", [0]), copy_part(whole, tmp_path / "other", [1])
    for results, content in ((here, "c1"), (other, "c2")):
        facts = results.folder / "corpora" / "audioset_music" / "16000" / "corpus.json"
        facts.parent.mkdir(parents=True)
        facts.write_text(json.dumps({"dataset": "audioset_music", "content": content}))
        seal(facts)
    here.manifest["jobs"] = [["prepare", *[str(here.folder / "corpora/audioset_music/16000/corpus.json")] * 2, "log"]]
    here.manifest["cells"][1]["jobs"] = [0]
    with pytest.raises(
        UserError, match=r"the corpus audioset_music behind .* has the data digest c2 there and c1 here"
    ):
        add(here, other.folder)


def test_a_damaged_result_is_refused(whole: Results, tmp_path: Path) -> None:
    here, other = copy_part(whole, tmp_path / "here", [0]), copy_part(whole, tmp_path / "other", [1])
    trials = Path(other.manifest["cells"][1]["path"])
    trials.write_text(trials.read_text(encoding="utf-8").replace("0.5", "0.6"), encoding="utf-8")
    with pytest.raises(UserError, match="is not the file that its job wrote"):
        add(here, other.folder)


def test_a_folder_without_results_and_leftovers_are_refused(whole: Results, tmp_path: Path) -> None:
    here, other = copy_part(whole, tmp_path / "here", [0]), copy_part(whole, tmp_path / "other", [1])
    with pytest.raises(UserError, match="name the folder of another run's results"):
        add(here, tmp_path)
    left = Path(here.manifest["cells"][1]["path"]).with_name("predictions.npz.part")
    left.parent.mkdir(parents=True)
    left.touch()
    with pytest.raises(UserError, match="of an evaluation that did not finish: delete the folder, add again"):
        add(here, other.folder)
    assert left.exists()
