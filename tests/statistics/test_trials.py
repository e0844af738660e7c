import random
from pathlib import Path

import pandas as pd
import pytest

from tests.records import seal
from tests.synthetic_results import CODE, Results, factors, trials
from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.trials import COLUMNS, gather, read_trials


@pytest.fixture
def results(tmp_path: Path) -> Results:
    synthetic = Results(tmp_path)
    synthetic.add(factors("pase", "frozen", "openmic"), [0.5, 0.6, 0.7])
    return synthetic


def change(path: Path, **values: object) -> None:
    """Rewrite a trials file with other values in its first row."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column, value in values.items():
        table.loc[0, column] = str(value)
    table.to_csv(path, index=False)


def test_text_stays_text_and_numbers_keep_every_digit(results: Results) -> None:
    value = 0.1 + 0.2  # 0.30000000000000004: a careless reader loses the last digit
    path = results.add(factors("random", "frozen", "openmic"), [value, 0.5, 0.5])
    seal(path)
    table = read_trials(path)
    assert table["code"].unique().tolist() == [CODE]
    assert table["corpus"].unique().tolist() == ["none"]
    assert table.loc[0, "value"] == value


def test_all_trials_come_in_one_order_whatever_the_plan_lists_first(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for seed in (10, 9, 1):
        results.add(factors("pase", "frozen", "openmic", seed=seed), [0.5, 0.6])
    first = gather(results.read()).trials
    random.Random(1).shuffle(results.manifest["cells"])
    pd.testing.assert_frame_equal(gather(results.read()).trials, first)
    assert list(first["pretrain_seed"].unique()) == ["1", "9", "10"]
    assert list(first.columns) == list(COLUMNS)


def test_a_missing_file_is_reported_not_fatal(results: Results) -> None:
    results.expect(factors("random", "frozen", "openmic"))
    all_trials = gather(results.read())
    assert [evaluation.factors["encoder"] for evaluation in all_trials.missing] == ["random"]
    assert len(all_trials.trials) == 6


def test_no_results_at_all_are_an_empty_table(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.expect(factors("pase", "frozen", "openmic"))
    assert gather(results.read()).trials.empty


def test_columns_may_come_in_another_order_and_more_of_them(results: Results) -> None:
    cell = factors("random", "frozen", "openmic")
    table = trials(cell, [0.1, 0.2, 0.3]).assign(extra="x")
    path = results.expect(cell)
    path.parent.mkdir(parents=True)
    table[list(reversed(table.columns))].to_csv(path, index=False)
    read_back = gather(results.read()).trials
    assert read_back[read_back["encoder"] == "random"]["value"].min() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("code", "ffff", r"stale: computed with another code digest \(ffff, planned 00001234e5678901\)"),
        ("config", "ffff", "stale: computed with another config digest"),
        ("encoder", "random", "not the planned encoder pase"),
        ("value", "high", "not a trials file"),
        ("trial", "1", "a trial is listed twice"),
        ("data_digest", "other", "more than one value of data_digest"),
        ("quarantined", "7", "more than one value of quarantined"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_named(results: Results, column: str, value: str, message: str) -> None:
    path = results.add(factors("random", "frozen", "openmic"), [0.1, 0.2, 0.3])
    target = path if column != "encoder" else Path(results.manifest["cells"][0]["path"])
    change(target, **{column: value})
    with pytest.raises(UserError, match=message) as caught:
        gather(results.read())
    assert str(target) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no column corpus"), (",".join(COLUMNS) + "\n", "no trials"), ("corpus\nx\n", "no column")],
)
def test_an_empty_or_foreign_file_is_named(results: Results, text: str, message: str) -> None:
    path = Path(results.manifest["cells"][0]["path"])
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        gather(results.read())
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text_is_named(results: Results) -> None:
    path = Path(results.manifest["cells"][0]["path"])
    path.write_bytes(b"\xff" + path.read_bytes())
    with pytest.raises(UserError, match=r"trials\.csv: not a trials file \(not text\); delete it"):
        gather(results.read())
