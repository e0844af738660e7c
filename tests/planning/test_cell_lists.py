"""Groups of cells that one job evaluates, and the files by which later jobs depend on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workflow_scripts.core.checksums import write_record
from workflow_scripts.core.provenance import digest
from workflow_scripts.levels.factors import FACTORS
from workflow_scripts.planning.cell_lists import MAX_CELLS, CellLists, group_cells, write_cell_list
from workflow_scripts.planning.layout import Layout
from workflow_scripts.planning.manifest import PlannedCell
from workflow_scripts.planning.runs import CellKey, Run

LAYOUT = Layout(data="data", results="results")
RUN = Run.untrained("pase")
FOLDER = LAYOUT.evaluations(RUN, "tones")
FIRST, AGAIN = LAYOUT.cell_lists(RUN, "tones", 0)


def cell(fraction: str, scenario: str = "frozen") -> CellKey:
    return CellKey(dataset="tones", head="linear", scenario=scenario, fraction=fraction, protocol="wu2021")


CELLS = [cell("100pct"), cell("50pct")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan(*cells: CellKey, code: str = "c0de", compare: bool = True) -> list[str]:
    """Return the files by which later jobs depend on these cells."""
    (group,) = group_cells([(RUN, cell) for cell in cells])
    planned = {
        (RUN, cell): PlannedCell(
            path=Path(LAYOUT.trials(RUN, cell)),
            code=code,
            config=digest({"fraction": cell.fraction}),
            factors=dict.fromkeys(FACTORS, "any"),
            studies=("study",),
        )
        for cell in cells
    }
    return CellLists(LAYOUT, planned, compare=compare).outputs(group)


def finish(*cells: CellKey, code: str = "c0de") -> None:
    for cell in cells:
        trials = Path(LAYOUT.trials(RUN, cell))
        trials.parent.mkdir(parents=True, exist_ok=True)
        for name in (trials.name, "predictions.npz"):
            trials.with_name(name).write_text(name)
        config = {"fraction": cell.fraction}
        content = {"code": code, "config": config, "config_digest": digest(config)}
        write_record(trials.with_name("record.json"), content, files={trials.name: "x", "predictions.npz": "y"})


def test_cells_of_a_run_and_a_data_set_are_one_job_unless_they_are_many() -> None:
    other = CellKey(dataset="songs", head="linear", scenario="frozen", fraction="1pct", protocol="wu2021")
    many = [cell(f"{number}pct") for number in range(MAX_CELLS + 1)]
    groups = group_cells([(RUN, key) for key in (*many, cell("1pct", "supervised"), other)])
    assert [(group.dataset, group.number, len(group.cells)) for group in groups] == [
        ("tones", 0, MAX_CELLS),
        ("tones", 1, 1),
        ("songs", 0, 1),
    ]


def test_finished_cells_are_one_list() -> None:
    assert plan(*CELLS) == [FIRST]
    finish(*CELLS)
    write_cell_list(Path(FIRST))
    assert plan(*CELLS) == plan(*CELLS, compare=False) == [FIRST]
    assert plan(CELLS[0]) == [FIRST], "a smaller grid runs nothing"


@pytest.mark.parametrize("name", ["trials.csv", "predictions.npz", "record.json"])
def test_a_cell_that_is_missing_asks_for_the_list_under_its_other_name(name: str) -> None:
    for path, other in [(FIRST, AGAIN), (AGAIN, FIRST)]:
        finish(*CELLS)
        write_cell_list(Path(path))
        Path(LAYOUT.evaluation(RUN, CELLS[1]), name).unlink()
        assert plan(*CELLS) == [other]
        assert plan(CELLS[0]) == [path]
        Path(path).unlink()


def test_a_missing_cell_is_asked_for_alone_where_both_lists_are_there() -> None:
    finish(CELLS[0])
    for path in (FIRST, AGAIN):  # as after the results of two folders were merged
        write_cell_list(Path(path))
    assert plan(CELLS[0]) == [FIRST]
    assert plan(*CELLS) == [FIRST, LAYOUT.trials(RUN, CELLS[1])]


def test_other_code_and_a_new_cell_ask_for_the_list_again() -> None:
    finish(*CELLS)
    write_cell_list(Path(FIRST))
    assert plan(*CELLS, code="other") == [AGAIN]
    assert plan(*CELLS, cell("25pct")) == [AGAIN]
    assert plan(*CELLS, cell("25pct"), compare=False) == [FIRST], "a job sees what the main process decided"


def test_cells_added_or_repeated_alone_are_inputs_beside_the_list() -> None:
    finish(*CELLS)
    alone = [LAYOUT.trials(RUN, key) for key in CELLS]
    assert plan(*CELLS) == plan(*CELLS, compare=False) == alone, "added from another machine, without a list"
    write_cell_list(Path(FIRST))
    record = Path(LAYOUT.evaluation_record(RUN, CELLS[1]))
    content = json.loads(record.read_text(encoding="utf-8"))
    write_record(record, content | {"seconds": 2}, files={"trials.csv": "z", "predictions.npz": "y"})
    assert plan(*CELLS) == [FIRST, alone[1]]


@pytest.mark.parametrize("content", ["", "[]", '{"cells": 3}', "{", '{"cells": {"a": null}}'])
def test_damaged_lists_and_records_are_no_error(content: str) -> None:
    finish(*CELLS)
    Path(FIRST).write_text(content, encoding="utf-8")
    assert plan(*CELLS) == [FIRST, *(LAYOUT.trials(RUN, key) for key in CELLS)]
    Path(LAYOUT.evaluation_record(RUN, CELLS[1])).write_text(content, encoding="utf-8")
    assert plan(*CELLS) == [AGAIN]
    write_cell_list(Path(AGAIN))
    assert json.loads(Path(AGAIN).read_text(encoding="utf-8"))["cells"].keys() == {CELLS[0].folder}
