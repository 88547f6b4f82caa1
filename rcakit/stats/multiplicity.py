"""Many tests at once: adjusted p-values that keep the promised share of false alarms."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["benjamini_hochberg", "bonferroni", "holm"]


def benjamini_hochberg(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Return q-values that control the expected share of false discoveries.

    Parameters
    ----------
    pvalues
        Any shape; nan marks a test that was not made and stays nan.

    Notes
    -----
    Valid for independent and positively dependent tests.

    References
    ----------
    Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57, 289-300, p. 293.
    """
    return _adjust(pvalues, lambda p: _from_largest(p * len(p) / np.arange(1, len(p) + 1)))


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Return p-values that control the chance of any false discovery, under any dependence.

    References
    ----------
    Holm (1979), Scand. J. Statist. 6, 65-70.
    """
    return _adjust(pvalues, lambda p: np.maximum.accumulate(p * np.arange(len(p), 0, -1)))


def bonferroni(pvalues: ArrayLike, n: int | None = None) -> NDArray[np.float64]:
    """Return p-values multiplied by the number of tests (``n``, by default those that are made)."""
    p = np.asarray(pvalues, dtype=float)
    tests = int(np.isfinite(p).sum()) if n is None else n
    return np.minimum(p * tests, 1.0)


def _adjust(pvalues: ArrayLike, step: object) -> NDArray[np.float64]:
    """Apply a step-wise rule to the sorted p-values and put the results back in place."""
    p = np.asarray(pvalues, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    made = np.isfinite(p)
    order = np.argsort(p[made], kind="stable")
    ranked = np.empty(len(order))
    if len(order):
        ranked[order] = np.minimum(step(p[made][order]), 1.0)  # type: ignore[operator]
    adjusted[made] = ranked
    return adjusted


def _from_largest(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum.accumulate(scaled[::-1])[::-1]
