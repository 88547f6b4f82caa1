"""Tails and intervals against SciPy's distributions and a published table."""

import numpy as np
import pytest
from scipy import stats

from rcakit.stats.attribution import evidence
from rcakit.stats.attribution.rate_model import binomial_log_tail
from rcakit.stats.decomposition import kitagawa


@pytest.mark.parametrize(
    ("y", "mean", "size"), [(12, 5.0, 3.0), (0, 4.0, 2.0), (60, 20.0, 50.0), (3, 9.0, 1e8)]
)
def test_negative_binomial_tail_matches(y, mean, size):
    """The incomplete beta form equals SciPy's negative binomial (tolerance: 1e-8 relative, both are exact)."""
    law = stats.nbinom(size, size / (size + mean))
    tail = law.sf(y - 1) if y > mean else law.cdf(y)
    ours = evidence.negative_binomial_log_tail(np.array([y]), np.array([mean]), np.array([size]))[0]
    assert ours == pytest.approx(np.log(tail), rel=1e-6)


@pytest.mark.parametrize(("k", "n", "p"), [(12, 40, 0.1), (1, 40, 0.2), (40, 40, 0.5)])
def test_binomial_tail_matches(k, n, p):
    """The same for the binomial."""
    tail = stats.binom.sf(k - 1, n, p) if k > n * p else stats.binom.cdf(k, n, p)
    assert binomial_log_tail(np.array([k * 1.0]), np.array([n * 1.0]), np.array([p]))[
        0
    ] == pytest.approx(np.log(tail), rel=1e-6)


def test_far_tail_is_bounded():
    """Where the tail underflows the Chernoff bound takes over and stays finite."""
    value = evidence.negative_binomial_log_tail(
        np.array([9_000.0]), np.array([10.0]), np.array([1e6])
    )[0]
    assert -60_000 < value < -690


def test_profile_interval_of_poisson():
    """Twenty events against ten: 2 ln LR = 3.84 at 1.25 and 3.01 (Poisson likelihood by hand)."""
    low, high = evidence.profile_ratio_interval(20.0, 10.0, 1e9)
    for bound in (low, high):
        assert 2 * (20 * np.log(2.0 / bound) - 20 + 10 * bound) == pytest.approx(3.8415, abs=1e-3)


def test_kitagawa_worked_example():
    """Two groups by hand: shares .4/.6 to .5/.5, rates .10/.20 to .12/.18."""
    parts = kitagawa(
        np.array([60.0, 90.0]),
        np.array([500.0, 500.0]),
        np.array([40.0, 120.0]),
        np.array([400.0, 600.0]),
    )
    assert parts.change == pytest.approx(-0.01)
    assert parts.rate_total == pytest.approx(0.45 * 0.02 - 0.55 * 0.02)
    assert parts.mix_total == pytest.approx(0.1 * 0.11 - 0.1 * 0.19)
