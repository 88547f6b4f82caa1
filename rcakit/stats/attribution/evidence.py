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
    tail = np.empty(len(observed))
    tail[above] = special.betainc(np.maximum(observed[above], 1e-12), size[above], share[above])
    below = ~above
    tail[below] = special.betaincc(observed[below] + 1.0, size[below], share[below])
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


def widths_after_selection(
    log_tail: float,
    log_hurdle: float,
    *,
    confidence_level: float = 0.95,
    spread: float = 1.0,
    degrees_of_freedom: float = np.inf,
) -> tuple[float, float]:
    """Standard deviations of an interval to either side of an effect that was named for being large.

    What barely passed the hurdle may be smaller than it looks. The interval holds the effects for which the
    observation lies in the shortest region that has 95 % of what passes the hurdle; far beyond the hurdle
    this is the usual interval.

    Parameters
    ----------
    log_tail
        Log of the one-sided tail probability of the observation.
    log_hurdle
        Log of the tail probability it had to stay below.
    confidence_level
        Coverage, given that the hurdle was passed.
    spread
        Standard deviation of the effect over that of the tails; widths are in units of the former.
    degrees_of_freedom
        Behind that standard deviation: Student's t instead of the normal.

    Returns
    -------
    tuple of float
        Width towards no effect, never beyond no effect itself, and width away from it.

    Notes
    -----
    Of a normal cut off at the hurdle the shortest region begins at the hurdle where the effect is small, and
    is symmetric about the effect where it is large. So the interval holds the observation itself, which one
    with equal tails need not.

    References
    ----------
    Weinstein, Fithian & Benjamini (2013), J. Amer. Statist. Assoc. 108, 165-176 (conditional intervals from
    shortest acceptance regions).
    """
    miss = 1.0 - confidence_level
    usual = float(special.ndtri(1.0 - 0.5 * miss))
    seen = max(0.0, float(-special.ndtri_exp(min(log_tail, -1e-6))) / spread)
    hurdle = min(seen, float(-special.ndtri_exp(min(log_hurdle, -1e-6))) / spread)

    def holds(effect: float) -> bool:
        passing = float(special.log_ndtr(effect - hurdle))
        from_hurdle = np.log(miss) + passing
        symmetric = np.log(0.5 * (1.0 - confidence_level * np.exp(passing)))
        return float(special.log_ndtr(-abs(effect - seen))) >= min(from_hurdle, symmetric)

    def reach(furthest: float) -> float:
        inside, outside = seen, furthest
        for _ in range(50):
            effect = 0.5 * (inside + outside)
            inside, outside = (effect, outside) if holds(effect) else (inside, effect)
        return abs(inside - seen)

    heavier = student_quantile(1.0 - 0.5 * miss, degrees_of_freedom) / usual
    return min(seen, heavier * reach(0.0)), heavier * reach(seen + usual)


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of Student's t; of a normal where the degrees of freedom are infinite."""
    if np.isinf(degrees_of_freedom):
        return float(special.ndtri(probability))
    return float(special.stdtrit(degrees_of_freedom, probability))


def profile_ratio_interval(
    observed: float, mean: float, size: float, *, widths: tuple[float, float] = (1.96, 1.96)
) -> tuple[float, float]:
    """Likelihood interval of observed over expected, the size held at its value.

    Roots of 2 x log-likelihood ratio = squared width, by bisection on the log scale.

    Parameters
    ----------
    observed, mean, size
        Count, its mean without effect, and the size of its negative binomial.
    widths
        Standard deviations to the lower and to the upper side.

    References
    ----------
    Venzon & Moolgavkar (1988), Applied Statistics 37, 87-94.
    """
    best = max(observed, 1e-9) / mean

    def edge(width: float, start: float, towards: float) -> float:
        def deviance(ratio: float) -> float:
            arguments = np.array([observed]), np.array([ratio * mean]), np.array([size])
            return float(negative_binomial_llr(*arguments)[0]) - 0.5 * width**2

        return _bisect(deviance, start, towards)

    lower = 0.0 if observed <= 0 else edge(widths[0], best, 1e-4)
    return lower, edge(widths[1], max(best, 1e-6 / mean), 1e4)


def _bisect(function: Callable[[float], float], inside: float, factor: float) -> float:
    """Where a function that is negative at `inside` crosses zero between `inside` and `inside * factor`."""
    low, high = np.log(inside), np.log(inside) + np.log(factor)
    for _ in range(45):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.exp(0.5 * (low + high)))
