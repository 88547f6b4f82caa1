"""Negative binomial tails and quantiles, given by mean and variance.

Counts of human activity vary more than Poisson counts do. With mean ``m`` and variance ``v > m``
the negative binomial has size ``r = m² / (v − m)`` and success probability ``m / v``; as ``v``
approaches ``m`` it becomes the Poisson distribution, which is used there.

References
----------
Johnson, Kemp and Kotz (2005), Univariate Discrete Distributions, 3rd ed., section 5.6: the tail is
an incomplete beta function.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["lower_tail", "quantile", "upper_tail"]

# Below this excess of variance over mean the beta function loses digits and Poisson is exact enough.
_NEARLY_POISSON = 1e-6


def upper_tail(count: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> NDArray[np.float64]:
    """Return P(Y ≥ count), elementwise; all three broadcast."""
    y, m, v = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (count, mean, variance)))
    size, failure = _shape(m, v)
    with np.errstate(all="ignore"):
        beta = special.betainc(np.maximum(y, 1e-12), size, failure)
        poisson = special.gammainc(np.maximum(y, 1e-12), m)
    tail = np.where(np.isfinite(size), beta, poisson)
    return np.where(y <= 0, 1.0, np.where(m <= 0, 0.0, tail))


def lower_tail(count: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> NDArray[np.float64]:
    """Return P(Y ≤ count), elementwise."""
    y, m, v = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (count, mean, variance)))
    size, failure = _shape(m, v)
    with np.errstate(all="ignore"):
        beta = special.betaincc(y + 1, size, failure)
        poisson = special.gammaincc(y + 1, m)
    tail = np.where(np.isfinite(size), beta, poisson)
    return np.where(y < 0, 0.0, np.where(m <= 0, 1.0, tail))


def quantile(probability: float, mean: ArrayLike, variance: ArrayLike) -> NDArray[np.float64]:
    """Return the smallest count whose lower tail reaches a probability, elementwise.

    Found by bisection on whole numbers, so that the result is exact for any mean up to 10¹².
    """
    m, v = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mean, variance)))
    low = np.full(m.shape, -1.0)
    high = np.ceil(m + 12 * np.sqrt(np.maximum(v, m)) + 30)
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        reached = lower_tail(middle, m, v) >= probability
        high, low = np.where(reached, middle, high), np.where(reached, low, middle)
    return high


def _shape(
    mean: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size and the failure probability; an infinite size stands for Poisson."""
    excess = variance - mean
    spread = excess > _NEARLY_POISSON * np.maximum(mean, 1e-12)
    size = np.divide(mean**2, excess, out=np.full(mean.shape, np.inf), where=spread)
    failure = np.divide(excess, variance, out=np.zeros(mean.shape), where=spread)
    return size, failure
