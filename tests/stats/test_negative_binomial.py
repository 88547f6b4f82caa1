"""Tails and quantiles of the negative binomial law by mean and variance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from rcakit.stats.negative_binomial import (
    lower_tail,
    peizer_pratt_score,
    quantile,
    randomised_pvalues,
    skewness,
    upper_tail,
)
from rcakit.stats.tails import tail_pvalues


def law(mean, variance):
    """SciPy's law of the same mean and variance."""
    return stats.nbinom(mean**2 / (variance - mean), mean / variance)


@pytest.mark.parametrize(("mean", "variance"), [(0.3, 0.5), (4.0, 9.0), (800.0, 9000.0)])
def test_exact_tails_match_scipy(mean, variance):
    """Exact tails are those of SciPy's negative binomial law."""
    y = np.arange(0, 3 * mean + 5).round()
    assert_allclose(upper_tail(y, mean, variance, kind="exact"), law(mean, variance).sf(y - 1))
    assert_allclose(lower_tail(y, mean, variance, kind="exact"), law(mean, variance).cdf(y))


def test_no_excess_means_poisson():
    """A variance at or below the mean gives the Poisson law."""
    y = np.arange(20.0)
    assert_allclose(upper_tail(y, 6.0, 6.0, kind="exact"), stats.poisson(6).sf(y - 1))
    assert_allclose(lower_tail(y, 6.0, 2.0, kind="exact"), stats.poisson(6).cdf(y))


def test_mid_pvalues_sum_to_one():
    """The mid-p-values of the two sides add up to one."""
    y = np.arange(30.0)
    assert_allclose(upper_tail(y, 7.0, 15.0) + lower_tail(y, 7.0, 15.0), 1)


def test_missing_counts_stay_missing():
    """A count that was not observed has no p-value."""
    p = upper_tail([np.nan, 3.0], 2.0, 4.0)
    assert np.isnan(p[0])
    assert p[1] < 1


def test_randomised_pvalues_are_uniform():
    """Randomised p-values of counts from the law itself are uniform."""
    rng = np.random.default_rng(1)
    y = rng.negative_binomial(2, 0.5, size=20_000)
    p = randomised_pvalues(y, 2.0, 4.0, rng=rng)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_quantiles_match_scipy_exactly():
    """Quantiles are the smallest counts whose cumulative probability suffices."""
    q = np.array([1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])[:, None]
    mean, variance = np.array([0.2, 3.0, 500.0]), np.array([0.3, 30.0, 501.0])
    assert_allclose(quantile(q, mean, variance), law(mean, variance).ppf(q))


def test_skewness_matches_scipy_moments():
    """The third standardised moment is SciPy's."""
    assert_allclose(skewness(5.0, 12.0), law(5.0, 12.0).stats("s"))


@pytest.mark.parametrize("bounds", [(0.02, 1), (1, 10), (10, 100), (100, 1e6)])
def test_fast_tails_stay_close(bounds):
    """Fast tails are within .03 in the body, 15 % below .02 and 2 % at .001."""
    rng = np.random.default_rng(3)
    mean = np.exp(rng.uniform(*np.log(bounds), size=20_000))
    variance = mean * rng.uniform(1, 3, mean.shape) + rng.uniform(0, 0.1, mean.shape) * mean**2
    y = np.maximum(np.round(mean + 2 * np.sqrt(variance) * rng.normal(size=mean.shape)), 0)
    for fast, exact in zip(
        tail_pvalues(y, mean, variance),
        (upper_tail(y, mean, variance), lower_tail(y, mean, variance)),
        strict=True,
    ):
        assert np.abs(fast - exact).max() < 0.03
        small = (exact < 0.02) & (exact > 1e-300)
        assert_allclose(fast[small], exact[small], rtol=0.15)
        tiny = (exact < 0.0008) & (exact > 1e-300)
        assert_allclose(fast[tiny], exact[tiny], rtol=0.02)


def test_scores_give_midp_tails():
    """The normal tail of the Peizer-Pratt score is the mid-p-value to a few percent."""
    y = np.array([30.0, 40.0, 50.0, 60.0])
    assert_allclose(
        stats.norm.sf(peizer_pratt_score(y, 30.0, 60.0)), upper_tail(y, 30.0, 60.0), rtol=0.04
    )
