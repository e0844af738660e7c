import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.records import seal
from tests.report.aggregated_study import statistics
from tests.synthetic_results import CODE, Results, full
from workflow_scripts import show, tabulate
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import write_json
from workflow_scripts.levels.factors import PRETRAINING

RATIOS = ("si_sdr", "si_sdr_gain", "sdr", "sdr_gain")


def run(results: Results, *more: str, name: str = "tables") -> Path:
    folder = results.folder / name
    arguments = ["--manifest", results.manifest_file(), "--statistics", str(results.folder / "statistics")]
    tabulate.main([*arguments, "--output", str(folder), *more])
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = full(tmp_path_factory.mktemp("results"))
    statistics(results)
    return results


def test_same_statistics_same_bytes(results: Results) -> None:
    first, second = run(results, name="first"), run(results, name="second")
    files = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    names = {file.name for file in files if file.parent == Path()}
    kinds = ("csv", "md", "tex", "html")
    tables = {f"{name}.{kind}" for name in ("fig2", "reproduction") for kind in kinds}
    assert names == {*tables, "fig2_comparisons.csv", "index.md"}
    assert {file.parts[:2] for file in files if file.parent != Path()} == {("latex", "fig2")}
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_the_csv_has_one_row_per_number_in_the_printed_unit(results: Results) -> None:
    table = pd.read_csv(run(results) / "fig2.csv", keep_default_na=False)
    assert len(table) == 10
    assert set(table["unit"]) == {"%"}
    assert table["mean"].between(30, 60).all()
    assert (table["half_width"] * 2).tolist() == pytest.approx((table["ci_high"] - table["ci_low"]).tolist())
    assert set(table["kind"]) == {"method", "floor"}


def test_the_comparisons_come_with_their_sentences(results: Results) -> None:
    table = pd.read_csv(run(results) / "fig2_comparisons.csv")
    assert table["sentence"].str.contains(r"frozen PASE beats .* by .* points \[", regex=True).all()
    assert set(table["unit"]) == {"points"}


def test_no_time_or_cost_is_in_a_table(results: Results) -> None:
    for path in run(results).glob("fig2*"):  # what is published has seconds in it
        assert "seconds" not in path.read_text()


def test_the_index_names_every_table(results: Results) -> None:
    folder = run(results)
    assert all(f"fig2.{kind}" in (folder / "index.md").read_text() for kind in ("csv", "md", "tex", "html"))


def test_what_runs_separate_is_a_csv_of_its_own(results: Results) -> None:
    run_trained_here = {"folder": str(results.folder / "unet"), "factors": dict.fromkeys(PRETRAINING, "unet")}
    judged = {"code": CODE, "source": "twin", "sources": {"bass": dict.fromkeys(RATIOS, -1.25) | {"songs": 3}}}
    write_json(results.folder / "unet" / "separation.json", judged)
    before = dict(results.manifest)
    try:
        results.manifest["pretrained_runs"] = [run_trained_here | {"separation_code": CODE}]
        folder = run(results, name="separated")
    finally:
        results.manifest.clear()
        results.manifest.update(before)
    written = pd.read_csv(folder / "separation.csv")
    assert written[["stem", "songs", *RATIOS]].to_numpy().tolist() == [["bass", 3, *[-1.25] * 4]]
    assert "[csv](separation.csv)" in (folder / "index.md").read_text()


def test_an_unknown_study_and_absent_statistics_are_named(results: Results, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown study fig3"):
        run(results, "--study", "fig3")
    with pytest.raises(UserError, match="run aggregate first"):
        tabulate.main(["--manifest", results.manifest_file(), "--statistics", str(tmp_path), "--output", str(tmp_path)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"entries\.csv: not a table \(No columns"),
        (b"study,\xff\n", r"entries\.csv: not a table"),
        (b"study,mean\nfig2,high\n", r"entries\.csv: not a table \(could not convert"),
        (b"study,mean\nfig2,0.5\n", r"entries\.csv: no column metric, .*: of another version; run aggregate again"),
    ],
)
def test_damaged_statistics_and_those_of_another_version_are_named(
    results: Results, tmp_path: Path, content: bytes, message: str
) -> None:
    shutil.copytree(results.folder / "statistics", tmp_path / "statistics")
    entries = tmp_path / "statistics" / "entries.csv"
    entries.write_bytes(content)
    seal(entries, record=entries.with_name("summary.json"))
    folders = ["--statistics", str(tmp_path / "statistics"), "--output", str(tmp_path / "tables")]
    with pytest.raises(UserError, match=message):
        tabulate.main(["--manifest", results.manifest_file(), *folders])
    assert not (tmp_path / "tables").exists()


def test_show_prints_the_table_the_comparisons_and_the_report(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--manifest", results.manifest_file(), "--statistics", str(results.folder / "statistics")]
    show.main([*arguments, "--report", "results/report/index.html"])
    printed = capsys.readouterr().out
    assert "macro F1 (%)" in printed
    assert re.search(r"better +2\.2 points +\[1\.2, 3\.2\] +frozen PASE against handcrafted features +OpenMIC", printed)
    assert len(printed.splitlines()) <= 40, "one screen"
    assert "must not be compared with published numbers" in printed
    assert printed.rstrip().endswith("Report: results/report/index.html")
