"""How unlikely is this much in a segment when nothing has happened there?

Likelihood ratios and tail probabilities of negative binomial and beta-binomial sums with a given mean and
variance, all on arrays.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

_LARGEST_SIZE = 1e9  # beyond this a negative binomial is a Poisson to double precision
_TINY = 1e-300


def negative_binomial_size(mean: Floats, variance: Floats) -> Floats:
    """Size (inverse squared variation) of the negative binomial with this mean and variance.

    Variances at or below the mean give the Poisson limit.
    """
    excess = np.maximum(variance - mean, mean**2 / _LARGEST_SIZE)
    return mean**2 / np.maximum(excess, _TINY)


def negative_binomial_llr(observed: Floats, mean: Floats, size: Floats) -> Floats:
    """Log-likelihood ratio of the best mean against the given one.

    References
    ----------
    Lawless (1987), Canadian J. Statist. 15, 209-225, eq. 2.2 (negative binomial likelihood).
    """
    ratio = (observed + size) / (np.maximum(mean, _TINY) + size)
    own = special.xlogy(observed, np.maximum(observed, _TINY) / np.maximum(mean, _TINY))
    return np.maximum(0.0, own - (observed + size) * np.log(ratio))


def negative_binomial_log_tail(observed: Floats, mean: Floats, size: Floats) -> Floats:
    """Log of the one-sided tail probability on the side where the observation lies.

    Where the exact tail underflows the Chernoff bound exp(-likelihood ratio) stands in; it is never smaller
    than the tail.

    References
    ----------
    Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, 3rd ed., eq. 5.31 (tail as an incomplete
    beta function). Chernoff (1952), Ann. Math. Statist. 23, 493-507.
    """
    observed, mean, size = np.broadcast_arrays(observed, mean, size)
    share = mean / (mean + size)
    above = observed > mean
    tail = np.where(
        above,
        special.betainc(np.maximum(observed, 1e-12), size, share),
        special.betaincc(observed + 1.0, size, share),
    )
    bound = -negative_binomial_llr(observed, mean, size)
    safe = tail > 1e-290
    return np.where(safe, np.minimum(np.log(np.where(safe, tail, 1.0)), 0.0), bound)


def negative_binomial_quantile(probability: float, mean: Floats, size: Floats) -> Floats:
    """Continuous quantile of a negative binomial: gamma with the same mean and variance.

    The gamma has no steps, so an interval for a difference of counts neither jumps nor over-covers.
    """
    variance = mean + mean**2 / size
    shape = mean**2 / np.maximum(variance, _TINY)
    return (
        special.gammaincinv(np.maximum(shape, 1e-12), probability)
        * variance
        / np.maximum(mean, _TINY)
    )


def negative_binomial_log_evalue(
    observed: float, mean: float, size: float, ratios: Floats
) -> float:
    """Log e-value: likelihood ratio averaged over a grid of rate ratios fixed in advance.

    An average of likelihood ratios has expectation 1 when the null mean and size are right.

    References
    ----------
    Vovk & Wang (2021), Ann. Statist. 49, 1736-1754, sec. 2.
    """
    shift = observed * np.log(ratios) - (observed + size) * np.log(
        (ratios * mean + size) / (mean + size)
    )
    return float(special.logsumexp(shift) - np.log(len(ratios)))


def profile_ratio_interval(
    observed: float, mean: float, size: float, *, confidence_level: float = 0.95
) -> tuple[float, float]:
    """Likelihood interval of observed over expected, the size held at its value.

    Roots of 2 x log-likelihood ratio = chi-square quantile, by bisection on the log scale.

    References
    ----------
    Venzon & Moolgavkar (1988), Applied Statistics 37, 87-94.
    """
    drop = float(special.chdtri(1, 1.0 - confidence_level)) / 2.0
    best = max(observed, 1e-9) / mean

    def deviance(ratio: float) -> float:
        arguments = np.array([observed]), np.array([ratio * mean]), np.array([size])
        return float(negative_binomial_llr(*arguments)[0]) - drop

    lower = 0.0 if observed <= 0 else _bisect(deviance, best, 1e-4)
    return lower, _bisect(deviance, max(best, 1e-6 / mean), 1e4)


def _bisect(function: Callable[[float], float], inside: float, factor: float) -> float:
    """Where a function that is negative at `inside` crosses zero between `inside` and `inside * factor`."""
    low, high = np.log(inside), np.log(inside) + np.log(factor)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.exp(0.5 * (low + high)))
