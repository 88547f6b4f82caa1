"""How surprising is a count, when counts scatter more than a Poisson law allows?

The negative binomial law, written by its mean and variance: the two numbers that a forecast
gives. Where the variance does not exceed the mean the law is Poisson. Sums over days keep
the form, so the same functions serve days, weeks and scan windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats.bells import normal_quantile
from rcakit.stats.tails import cumulative, normal_score, tail_pvalues

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "lower_tail",
    "peizer_pratt_score",
    "quantile",
    "randomised_pvalues",
    "skewness",
    "tail_pvalues",
    "upper_tail",
]

Floats = NDArray[np.floating]
Kind = Literal["mid", "exact"]

# Below this excess of variance over mean the law is Poisson to ten digits, and the beta
# integral would lose precision.
_POISSON_EXCESS = 1e-7
_MIDDLE_HALF = 0.25


def upper_tail(
    counts: ArrayLike, mean: ArrayLike, variance: ArrayLike, *, kind: Kind = "mid"
) -> Floats:
    """Give the probability of a count at least as large as the one seen.

    Parameters
    ----------
    counts
        Observed counts; any shape, nan where nothing was observed.
    mean
        Expected counts, positive; broadcasts against `counts`.
    variance
        Variance of the counts about `mean`; at or below the mean means Poisson.
    kind
        `"exact"` is P(Y >= y), valid but conservative for small counts. `"mid"` counts the
        probability of the value itself by half, which is closer to uniform on average.

    Returns
    -------
    Floats
        One-sided p-values in float64; nan where the count is nan.

    Notes
    -----
    With r = mean**2 / (variance - mean) and q = 1 - mean / variance,
    P(Y >= y) = I_q(y, r), the regularised incomplete beta function [1]_; for the Poisson law
    it is the regularised lower incomplete gamma function P(y, mean). Both continue smoothly
    between integers, so sums of fractional values may be passed. The mid-p-value is due to
    Lancaster [2]_. Not for amounts or rates: their scatter has another shape.

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 218.
    .. [2] Lancaster (1961). Significance tests in discrete distributions. JASA 56, 223-234.

    Examples
    --------
    >>> upper_tail(3, 1.0, 1.0, kind="exact").round(4)
    np.float64(0.0803)
    """
    y, mean, variance = _broadcast(counts, mean, variance)
    at_least = _at_least(y, mean, variance)
    if kind == "exact":
        return at_least
    return 0.5 * (at_least + _at_least(y + 1, mean, variance))


def lower_tail(
    counts: ArrayLike, mean: ArrayLike, variance: ArrayLike, *, kind: Kind = "mid"
) -> Floats:
    """Give the probability of a count at most as large as the one seen.

    Parameters, notes and references are those of `upper_tail`; the lower tail is computed
    by itself, not as one minus the upper, so that tiny values keep their digits.

    Examples
    --------
    >>> lower_tail(0, 3.0, 3.0, kind="exact").round(4)
    np.float64(0.0498)
    """
    y, mean, variance = _broadcast(counts, mean, variance)
    at_most = _at_most(y, mean, variance)
    if kind == "exact":
        return at_most
    below = np.where(y > 0, _at_most(np.maximum(y - 1, 0), mean, variance), 0.0)
    return 0.5 * (at_most + np.where(np.isnan(y), np.nan, below))


def randomised_pvalues(
    counts: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    rng: np.random.Generator | int | None = None,
) -> Floats:
    """Draw upper p-values that are exactly uniform when mean and variance are right.

    A uniform draw between P(Y > y) and P(Y >= y). For checking calibration, not for
    alarms: the same count would alarm on one run and not on the next.

    References
    ----------
    .. [1] Czado, Gneiting & Held (2009). Predictive model assessment for count data.
       Biometrics 65, 1254-1261, eq. 1.
    """
    y, mean, variance = _broadcast(counts, mean, variance)
    above = _at_least(y + 1, mean, variance)
    share = np.random.default_rng(rng).uniform(size=y.shape)
    return above + share * (_at_least(y, mean, variance) - above)


def quantile(probability: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """Find the smallest count whose cumulative probability reaches `probability`.

    Parameters
    ----------
    probability
        Strictly between 0 and 1.
    mean, variance
        As in `upper_tail`.

    Returns
    -------
    Floats
        Whole numbers in float64.

    Notes
    -----
    The Cornish-Fisher expansion [1]_ starts the search; a bracket around it is widened until
    it holds the answer and then halved, so the result is exact.

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 62.

    Examples
    --------
    >>> quantile([0.025, 0.975], 10.0, 10.0)
    array([ 4., 17.])
    """
    target, mean, variance = _broadcast(probability, mean, variance)
    spread = np.sqrt(np.maximum(variance, mean))
    z = normal_quantile(target)
    guess = mean + spread * (z + skewness(mean, variance) * (z * z - 1) / 6)
    low, high = np.floor(guess) - 1, np.ceil(guess) + 1
    reach = _distribution(target)
    step = np.ones_like(low)
    while (short := reach(high, mean, variance) < target).any():
        step = np.where(short, 2 * step, step)
        high = np.where(short, high + step, high)
    step = np.ones_like(low)
    while (over := (low >= 0) & (reach(low, mean, variance) >= target)).any():
        step = np.where(over, 2 * step, step)
        low = np.where(over, low - step, low)
    low = np.maximum(low, -1.0)  # invariant: cdf(low) < target <= cdf(high)
    while (wide := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        reached = reach(middle, mean, variance) >= target
        high = np.where(wide & reached, middle, high)
        low = np.where(wide & ~reached, middle, low)
    return high


def skewness(mean: ArrayLike, variance: ArrayLike) -> Floats:
    """Give the third standardised moment, (2 variance / mean - 1) / sd.

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 217.
    """
    mean, variance = _broadcast(mean, variance)
    variance = np.maximum(variance, mean)
    return (2 * variance / mean - 1) / np.sqrt(variance)


def peizer_pratt_score(counts: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """Turn counts into standard normal scores, by the approximation of Peizer and Pratt.

    Parameters
    ----------
    counts, mean, variance
        As in `upper_tail`; for means of 10 and more.

    Returns
    -------
    Floats
        Scores whose normal tail is the mid-p-value; useful as residuals.

    Notes
    -----
    P(Y <= y) equals the probability of at most y failures among y + r trials with failure
    probability 1 - mean / variance; the binomial score is taken midway between y - 1 and y.

    References
    ----------
    .. [1] Peizer & Pratt (1968). A normal approximation for binomial, F, beta, and other
       common, related tail probabilities, I. JASA 63, 1416-1456.
    .. [2] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 120.
    """
    return normal_score(*_broadcast(counts, mean, variance))


def _distribution(target: Floats) -> Callable[[Floats, Floats, Floats], Floats]:
    """Choose how to sum a law: outside its middle half, without waiting for SciPy's import."""
    if (np.abs(target - 0.5) < _MIDDLE_HALF).any():
        return _at_most
    return lambda y, mean, variance: np.where(
        y < 0, 0.0, cumulative(*(a.astype(np.float64) for a in (np.maximum(y, 0), mean, variance)))
    )


def _broadcast(*arrays: ArrayLike) -> list[Floats]:
    """Float64 arrays of one common shape."""
    return list(np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arrays)))


def _shape_and_odds(mean: Floats, variance: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Size r and q = 1 - mean / variance, and where the law is Poisson instead."""
    is_poisson = ~(variance > mean * (1 + _POISSON_EXCESS))
    excess = np.where(is_poisson, 1.0, variance - mean)
    return mean * mean / excess, excess / np.where(is_poisson, 2.0, variance), is_poisson


def _at_least(y: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(Y >= y)."""
    from scipy import special

    size, odds, is_poisson = _shape_and_odds(mean, variance)
    safe = np.where(y > 0, y, 1.0)
    tail = special.betainc(safe, size, odds)
    if is_poisson.any():
        tail = np.where(is_poisson, special.gammainc(safe, mean), tail)
    tail = np.where(y > 0, tail, 1.0)
    return np.where(np.isnan(y) | np.isnan(mean), np.nan, tail)[()]


def _at_most(y: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(Y <= y)."""
    from scipy import special

    size, odds, is_poisson = _shape_and_odds(mean, variance)
    safe = np.where(y >= 0, y, 0.0)
    tail = special.betainc(size, safe + 1, 1 - odds)
    if is_poisson.any():
        tail = np.where(is_poisson, special.gammaincc(safe + 1, mean), tail)
    tail = np.where(y < 0, 0.0, tail)
    return np.where(np.isnan(y) | np.isnan(mean), np.nan, tail)[()]
