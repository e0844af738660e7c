import pytest

from tests.checkout import REPOSITORY
from workflow_scripts.report import number_format


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(41.26, 1, "41.3"), (-2.04, 1, "~2.0"), (-0.04, 1, "0.0"), (0.12345, 3, "0.123")]
)
def test_numbers(value: float, decimals: int, text: str) -> None:
    assert number_format.number(value, decimals) == text.replace("~", number_format.MINUS)


@pytest.mark.parametrize(("value", "text"), [(0.04, "<0.1"), (0.06, "0.1"), (0.0, "0.0"), (1.25, "1.2")])
def test_a_narrow_interval_does_not_become_zero(value: float, text: str) -> None:
    assert number_format.half_width(value, 1) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0004, 0.05, "[0.04, 5.0]"), (-0.0004, 0.05, "[~0.04, 5.0]"), (-0.05, -4e-6, "[~5.0, ~0.0004]"),
     (0.0, 0.02, "[0.0, 2.0]"), (-1e-17, 0.1, "[0.0, 10.0]"), (float("nan"), float("nan"), "")],
)  # fmt: skip
def test_an_end_of_an_interval_next_to_zero_is_not_printed_as_zero(low: float, high: float, text: str) -> None:
    assert number_format.interval(low, high, number_format.measure("macro_f1")) == text.replace(
        "~", number_format.MINUS
    )


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<0.001"), (0.0456, "0.046"), (1.0, "1.000"), (float("nan"), "")])
def test_p_values(p: float, text: str) -> None:
    assert number_format.p_value(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.23, "4.2 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert number_format.duration(seconds) == text


def test_rates_are_in_percent_and_other_metrics_as_stored() -> None:
    assert number_format.measure("macro_f1").heading == "macro F1 (%)"
    assert number_format.measure("classes_skipped").scale == 1


def test_counts() -> None:
    assert [number_format.count(n, "trials") for n in (1, 2, 1500)] == ["1 trial", "2 trials", "1,500 trials"]


def test_texts_take_the_confidence_level_from_the_statistics() -> None:
    folders = [REPOSITORY / "workflow_scripts" / name for name in ("report", "figures")]
    modules = [path for folder in folders for path in folder.glob("*.py")]
    stated = [path.name for path in modules if "95 %" in path.read_text(encoding="utf-8")]
    assert modules
    assert not stated
    assert (number_format.CONFIDENCE, number_format.EQUIVALENCE, number_format.SIGNIFICANCE) == ("95 %", "90 %", "0.05")
