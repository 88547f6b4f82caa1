"""The smallest p-value of windows that end together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special

from rcakit.stats.overlapping import smallest_pvalue

WINDOWS = (1, 2, 5)


def smallest_of_quiet_sums(n_sides: int, n: int = 400_000) -> np.ndarray:
    """The smallest one-sided p-value of sums of independent normal steps."""
    steps = np.random.default_rng(8).normal(size=(n, max(WINDOWS)))
    scores = np.stack([steps[:, -w:].sum(axis=1) / np.sqrt(w) for w in WINDOWS])
    return special.ndtr(-(np.abs(scores) if n_sides == 2 else scores)).min(axis=0)


def test_quiet_sums_give_uniform_pvalues():
    """Simulated windows fall below each level as often as the level says."""
    levels = np.array([0.01, 0.05, 0.2, 0.5, 0.8])
    for n_sides in (1, 2):
        p = smallest_pvalue(smallest_of_quiet_sums(n_sides), WINDOWS, n_sides=n_sides)
        assert_allclose([(p < level).mean() for level in levels], levels, rtol=0.04)


def test_single_window_needs_no_correction():
    """One window on one side is its own p-value; on both sides it counts twice."""
    p = np.array([1e-12, 1e-4, 0.03, 0.4])
    assert_allclose(smallest_pvalue(p, (1,), n_sides=1), p, rtol=1e-3)
    assert_allclose(smallest_pvalue(p, (1,), n_sides=2), 2 * p, rtol=1e-3)


@given(st.floats(1e-250, 0.5), st.floats(1e-250, 0.5))
def test_correction_keeps_order_and_bonferroni(first, second):
    """A smaller p-value stays smaller, and no correction exceeds the number of looks."""
    low, high = sorted((first, second))
    found = smallest_pvalue(np.array([low, high]), WINDOWS, n_sides=2)
    assert found[0] <= found[1] <= 1
    assert np.all(found <= 6.001 * np.array([low, high]))
    assert np.all(found >= np.array([low, high]))


def test_nothing_and_missing_stay():
    """A p-value of zero stays zero, a missing one missing."""
    assert_allclose(smallest_pvalue(np.array([0, np.nan]), WINDOWS, n_sides=2), [0, np.nan])
