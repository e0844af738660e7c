"""Separation quality beside the studies that use the runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.records import seal
from tests.synthetic_results import CODE, Results, factors
from workflow_scripts.core.errors import UserError
from workflow_scripts.levels.factors import PRETRAINING
from workflow_scripts.planning.manifest import read_manifest
from workflow_scripts.report import labels, separation

NUMBERS = {"songs": 12, "si_sdr": -3.04, "si_sdr_gain": 9.06, "sdr": 1.0, "sdr_gain": -0.01}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results(tmp_path)
    used = factors("unet", "fine_tuned", "openmic", corpus="musdb18", workers="drums")
    results.expect(used)
    other = factors("unet", "fine_tuned", "openmic", corpus="musdb18", workers="vocals")
    results.manifest["pretrained_runs"] = [
        {
            "folder": str(tmp_path / str(cell["workers"])),
            "factors": {name: cell[name] for name in PRETRAINING},
            "separation_code": CODE,
        }
        for cell in (used, other)
    ]
    return results


def write_quality(folder: Path, *, code: str = CODE) -> Path:
    folder.mkdir()
    content = {"code": code, "source": "twin", "sources": {"drums": NUMBERS}}
    path = folder / "separation.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    seal(path)
    return path


def build_table(results: Results) -> separation.SeparationTable:
    manifest = read_manifest(results.manifest_file())
    labels.use_labels_of(manifest)
    return separation.of_study(manifest.studies[0], manifest)


def test_the_runs_of_a_study_have_a_row_for_each_source(results: Results) -> None:
    write_quality(results.folder / "drums")
    write_quality(results.folder / "vocals")  # not used by the study
    (row,) = build_table(results).rows
    assert row == (
        "U-Net",
        "drums",
        "MUSDB18",
        "wu2021",
        "0",
        "twin",
        "drums",
        "12",
        "\N{MINUS SIGN}3.0",
        "+9.1",
        "1.0",
        "0.0",
    )
    assert len(row) == len(separation.HEADINGS)


def test_a_run_without_an_evaluation_has_no_row(results: Results) -> None:
    assert build_table(results).rows == ()


def test_the_csv_has_every_evaluated_run_in_unrounded_numbers(results: Results) -> None:
    write_quality(results.folder / "drums")
    write_quality(results.folder / "vocals")
    table = separation.tidy(read_manifest(results.manifest_file()))
    assert table is not None
    assert table.shape == (2, len(separation.HEADINGS))
    first = table.iloc[0].to_dict()
    assert first.items() >= NUMBERS.items()
    assert (first["encoder"], first["workers"], first["source"], first["stem"]) == ("unet", "drums", "twin", "drums")


def test_a_plan_without_separation_has_no_csv(results: Results) -> None:
    write_quality(results.folder / "drums")
    for run in results.manifest["pretrained_runs"]:
        run["separation_code"] = ""
    assert separation.tidy(read_manifest(results.manifest_file())) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"code": "c", "source": "twin", "sources": []}',
        b'{"code": "c", "source": "twin", "sources": {"drums": {"songs": 1}}}',
        b'{"code": "c", "source": "twin", "sources": {"drums": null}}',
    ],
)
def test_a_damaged_file_is_named_in_one_line(results: Results, content: bytes) -> None:
    manifest = read_manifest(results.manifest_file())
    write_quality(results.folder / "drums").write_bytes(content)
    with pytest.raises(UserError, match=r"separation\.json (is damaged|was written by .*): delete it and run again"):
        separation.of_study(manifest.studies[0], manifest)


def test_a_stale_file_is_an_error_but_left_out_after_a_failed_run(results: Results) -> None:
    write_quality(results.folder / "drums", code="0ld")
    with pytest.raises(UserError, match=rf"separation\.json: stale, computed by other code \(0ld, now {CODE}\)"):
        build_table(results)
    results.manifest["unfinished"] = True
    assert build_table(results).rows == ()
