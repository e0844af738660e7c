import pytest

from workflow_scripts.report import labels


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(41.26, 1, "41.3"), (-2.04, 1, "~2.0"), (-0.04, 1, "0.0"), (0.12345, 3, "0.123")]
)
def test_numbers(value: float, decimals: int, text: str) -> None:
    assert labels.number(value, decimals) == text.replace("~", labels.MINUS)


@pytest.mark.parametrize(("value", "text"), [(0.04, "<0.1"), (0.06, "0.1"), (0.0, "0.0"), (1.25, "1.2")])
def test_a_narrow_interval_does_not_become_none(value: float, text: str) -> None:
    assert labels.half_width(value, 1) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0004, 0.05, "[0.04, 5.0]"), (-0.0004, 0.05, "[~0.04, 5.0]"), (-0.05, -4e-6, "[~5.0, ~0.0004]"),
     (0.0, 0.02, "[0.0, 2.0]"), (-1e-17, 0.1, "[0.0, 10.0]"), (float("nan"), float("nan"), "")],
)  # fmt: skip
def test_an_end_of_an_interval_beside_zero_is_not_printed_as_zero(low: float, high: float, text: str) -> None:
    assert labels.interval(low, high, labels.measure("macro_f1")) == text.replace("~", labels.MINUS)


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<0.001"), (0.0456, "0.046"), (1.0, "1.000"), (float("nan"), "")])
def test_p_values(p: float, text: str) -> None:
    assert labels.p_value(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.23, "4.2 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert labels.duration(seconds) == text


def test_selections_read_as_a_reader_says_them() -> None:
    frozen = {"encoder": "pase", "scenario": "frozen"}
    assert labels.selection(frozen) == "frozen PASE"
    assert labels.selection({"encoder": "random", "scenario": "frozen"}, apart_from=frozen) == "random weights"
    assert labels.selection({"workers": "WLP"}) == "workers WLP"
    assert labels.selection(frozen, apart_from=frozen) == "frozen PASE"


def test_a_level_nobody_named_is_shown_as_it_is_called() -> None:
    assert labels.name("my_own_set") == "my own set"


def test_rates_are_percent_and_anything_else_is_as_stored() -> None:
    assert labels.measure("macro_f1").heading == "macro F1 (%)"
    assert labels.measure("classes_skipped").scale == 1


def test_counts() -> None:
    assert [labels.counted(n, "trials") for n in (1, 2, 1500)] == ["1 trial", "2 trials", "1,500 trials"]
