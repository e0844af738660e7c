import numpy as np

from workflow_scripts.statistics.filters.factors import analyse_factors

PLANTED = [range(start, start + 20) for start in (100, 30, 300)]  # the first factor is the strongest


def planted(*, signs: int = 1) -> np.ndarray:
    """Clips with three factors, each in twenty of 400 filters, and noise."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.5, (600, 400))
    for strength, filters in zip((3, 2, 1.2), PLANTED, strict=True):
        values[:, list(filters)] += strength * rng.normal(size=(600, 1)) * rng.uniform(0.8, 1.2, 20)
    return signs * values


def test_the_strongest_filters_are_those_in_which_factors_were_planted() -> None:
    factors = analyse_factors(planted())
    assert factors.loadings.shape == (400, 3)
    for component, filters in enumerate(PLANTED):
        assert set(factors.strongest(component)) == set(filters)
    assert (np.diff(factors.explained) < 0).all()


def test_signs_and_digits_do_not_depend_on_the_run() -> None:
    factors = analyse_factors(planted())
    np.testing.assert_array_equal(factors.loadings, analyse_factors(planted()).loadings)
    np.testing.assert_allclose(factors.loadings, analyse_factors(planted(signs=-1)).loadings, atol=1e-6)
    assert (factors.loadings[np.abs(factors.loadings).argmax(axis=0), range(3)] > 0).all()


def test_strongest_by_size_are_negative_ones_too() -> None:
    values = planted()
    values[:, 100:105] *= -0.7  # smaller than the others, so these keep their sign
    assert set(analyse_factors(values).strongest(0, absolute=True)) == set(PLANTED[0])
    assert not {*range(100, 105)} & set(analyse_factors(values).strongest(0, most=15))


def test_filters_that_never_respond_load_on_nothing() -> None:
    values = planted()
    values[:, :10] = 0
    assert np.abs(analyse_factors(values).loadings[:10]).max() < 1e-6
