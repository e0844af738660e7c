"""Factor analysis of filters with varimax rotation (Spijkervet 2021, section 7.4)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

COMPONENTS, STRONGEST = 3, 20  # of the thesis' Fig. 7.6
TOP = 10  # clips of each filter that stand for what one hears of it


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """Loadings (filters, components) and the percentage of the variance of all filters that each component explains."""

    loadings: np.ndarray
    explained: np.ndarray

    def strongest(self, component: int, *, most: int = STRONGEST, absolute: bool = False) -> np.ndarray:
        """Return the filters with the highest loadings of a component, in descending order (by size if `absolute`)."""
        loading = self.loadings[:, component]
        return np.argsort(-np.abs(loading) if absolute else -loading, kind="stable")[:most]


def analyse_factors(values: np.ndarray, *, components: int = COMPONENTS) -> Factors:
    """Analyse the factors of `values` (observations, filters), which are not scaled, as the thesis' code does.

    The order and the signs of factors are arbitrary: here the first explains most variance, and the largest loading of
    each by size is positive. It runs in one thread, so the same values give the same digits.
    """
    from sklearn.decomposition import FactorAnalysis  # noqa: PLC0415  (planning needs no scikit-learn)
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    # lapack: exact; the other solver draws random numbers
    method = FactorAnalysis(n_components=components, rotation="varimax", svd_method="lapack", random_state=0)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # filters that never respond have no variance to converge
        loadings = method.fit(values).components_.T
    of_components = np.square(loadings).sum(axis=0)
    order = np.argsort(-of_components, kind="stable")
    loadings = loadings[:, order]
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), range(loadings.shape[1])])
    total = values.var(axis=0).sum()
    return Factors(
        loadings=loadings * np.where(signs == 0, 1, signs),
        explained=100 * of_components[order] / total if total else np.zeros(components),
    )
