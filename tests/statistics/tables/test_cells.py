from pathlib import Path

import pytest

from tests.statistics.synthetic_samples import score_interval_of
from tests.statistics.tables.study_tables import NOISE, entry, tables
from tests.synthetic_results import Results, factors, full


def test_a_cell_has_each_metric_with_its_interval(tmp_path: Path) -> None:
    values = 0.5 + NOISE
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), values)
    row = entry(tables(results)["cells"], metric="macro_f1")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(score_interval_of(values), abs=1e-10)
    assert (row["n_trials"], row["test_clips"], row["quarantined"], row["source"]) == (5, 90, 2, "twin")


def test_a_cell_has_the_interval_of_its_entry_where_a_study_shows_the_metric(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.manifest["studies"]["fig2"]["comparisons"] = []
    results.predict(factors("pase", "frozen", "openmic"), 0.6)
    by_name = tables(results)
    shown, printed = entry(by_name["cells"], metric="macro_f1"), entry(by_name["entries"], metric="macro_f1")
    columns = ["mean", "ci_low", "ci_high", "variance_sources"]
    assert shown[columns].tolist() == printed[columns].tolist()
    assert shown["variance_sources"] == "trials and test set"
    assert entry(by_name["cells"], metric="accuracy")["variance_sources"] == "trials"


def test_a_cell_that_was_not_run_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.manifest["cells"][0]["path"]).unlink()
    by_name = tables(results)
    for name in ("cells", "entries"):
        missing = by_name[name][by_name[name]["status"] == "missing"]
        assert missing["reason"].tolist() == ["not run"]
        assert missing["mean"].isna().all()
