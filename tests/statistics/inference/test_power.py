import math

import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from workflow_scripts.core.errors import UserError
from workflow_scripts.statistics.inference.power import seeds_needed


@pytest.mark.parametrize("size", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_seeds_needed_agree_with_statsmodels(size: float, power: float) -> None:
    for sides, expected in ((2, TTestIndPower()), (1, TTestPower())):
        seeds = seeds_needed(size * 0.01, std=0.01, power=power, sides=sides).seeds
        needed = expected.solve_power(effect_size=size, alpha=0.05, power=power)
        assert seeds == max(3, math.ceil(needed - 1e-6))  # two give no test here


def test_a_deviation_from_three_seeds_leaves_a_wide_range() -> None:
    needed = seeds_needed(0.01, std=0.01, df=2)
    assert needed.low < needed.seeds < needed.high
    low, high = (0.01 * math.sqrt(2 / stats.chi2.ppf(tail, 2)) for tail in (0.975, 0.025))
    assert (needed.low, needed.high) == tuple(seeds_needed(0.01, std=tail).seeds for tail in (low, high))


def test_seeds_needed_at_the_ends() -> None:
    assert seeds_needed(0.01, std=0.0).seeds == 3
    assert seeds_needed(-0.5, std=0.0001).seeds == 3
    assert seeds_needed(1e-6, std=0.01).seeds is None


@pytest.mark.parametrize("given", [{"difference": 0.0}, {"difference": math.nan}, {"std": math.nan}, {"power": 1.0}])
def test_seeds_needed_for_nothing_are_refused(given: dict) -> None:
    known = {"difference": 0.1, "std": 0.1} | given
    with pytest.raises(UserError, match="seeds needed"):
        seeds_needed(known.pop("difference"), **known)
