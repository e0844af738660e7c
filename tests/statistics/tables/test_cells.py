from pathlib import Path

import pytest
from scipy import stats

from tests.statistics.tables.study_tables import NOISE, entry, tables
from tests.synthetic_results import Results, factors, full


def test_a_cell_has_each_metric_with_its_interval(tmp_path: Path) -> None:
    values = 0.5 + NOISE
    results = Results(tmp_path)
    results.plan["studies"]["fig2"]["comparisons"] = []
    results.add(factors("pase", "frozen", "openmic"), values)
    row = entry(tables(results)["cells"], metric="macro_f1")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high), abs=1e-10)
    assert (row["trials"], row["test_clips"], row["quarantined"], row["source"]) == (5, 90, 2, "twin")


def test_a_cell_that_was_not_run_is_missing_with_the_reason(tmp_path: Path) -> None:
    results = full(tmp_path)
    Path(results.plan["evaluations"][0]["path"]).unlink()
    made = tables(results)
    for name in ("cells", "entries"):
        missing = made[name][made[name]["status"] == "missing"]
        assert missing["reason"].tolist() == ["not run"]
        assert missing["mean"].isna().all()
