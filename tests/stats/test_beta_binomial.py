"""Tails of rates with varying denominators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from rcakit.stats.beta_binomial import lower_tail, rate_dispersion, upper_tail


def law(n, p, phi):
    """SciPy's law of the same mean and variance."""
    strength = (n - phi) / (phi - 1)
    return stats.betabinom(n, p * strength, (1 - p) * strength)


@pytest.mark.parametrize(("n", "p", "phi"), [(20, 0.3, 2.0), (500, 0.02, 1.5), (3000, 0.6, 9.0)])
def test_tails_match_scipy(n, p, phi):
    """Mid-p-values are those of SciPy's beta-binomial law, in the tails too."""
    spread = np.sqrt(phi * n * p * (1 - p))
    y = np.unique(np.clip(np.round(n * p + spread * np.arange(-4, 5)), 0, n))
    d = law(n, p, phi)
    assert_allclose(upper_tail(y, n, p, dispersion=phi), d.sf(y) + d.pmf(y) / 2, rtol=1e-6)
    assert_allclose(lower_tail(y, n, p, dispersion=phi), d.cdf(y) - d.pmf(y) / 2, rtol=1e-6)


def test_no_dispersion_means_binomial():
    """Dispersion one is the binomial law."""
    y = np.arange(31.0)
    d = stats.binom(30, 0.2)
    assert_allclose(upper_tail(y, 30, 0.2), d.sf(y) + d.pmf(y) / 2, rtol=1e-7)


def test_wide_laws_are_continuous():
    """Beyond the summed width the beta law agrees with the exact tail to two percent."""
    n, p, phi = 400_000, 0.3, 2.0
    y = np.round(n * p + np.sqrt(phi * n * p * (1 - p)) * np.array([-3, 0, 3]))
    assert_allclose(upper_tail(y, n, p, dispersion=phi), law(n, p, phi).sf(y), rtol=0.02)


def test_no_trials_say_nothing():
    """A day without trials is one half, a missing day is nan."""
    p = upper_tail([0.0, np.nan], [0.0, 10.0], 0.2)
    assert p[0] == 0.5
    assert np.isnan(p[1])


@pytest.mark.parametrize("phi", [1.5, 6.0])
def test_dispersion_is_recovered(phi):
    """The estimate is within ten percent, a wild day or not."""
    rng = np.random.default_rng(3)
    n = rng.integers(200, 2000, 3000)
    strength = (n - phi) / (phi - 1)
    y = rng.binomial(n, rng.beta(0.2 * strength, 0.8 * strength)).astype(float)
    y[10] = n[10]
    assert_allclose(rate_dispersion(y, n, 0.2), phi, rtol=0.1)


def test_pvalues_of_rates_are_uniform():
    """On data of the law itself one in a hundred p-values is below .01."""
    rng = np.random.default_rng(4)
    n = rng.integers(50, 3000, 8_000).astype(float)
    strength = (n - 3) / 2
    y = rng.binomial(n.astype(int), rng.beta(0.4 * strength, 0.6 * strength))
    p = upper_tail(y, n, 0.4, dispersion=3.0)
    assert 0.006 < (p < 0.01).mean() < 0.014
