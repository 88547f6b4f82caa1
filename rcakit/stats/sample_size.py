"""How likely is a test of this size to find an effect of that size?"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats import sequential

__all__ = [
    "cluster_power",
    "means_power",
    "proportions_power",
    "sequential_power",
    "solve_increasing",
]

Floats = NDArray[np.float64]


def means_power(effect: float, sd: float, n: float, alpha: float) -> float:
    """Return the power of a two-sided t test with `n` units per arm.

    As R's ``power.t.test`` with its defaults: the far tail is left out.

    References
    ----------
    Cohen (1988), Statistical Power Analysis, p. 19; noncentral t.
    """
    df = 2 * (n - 1)
    return _noncentral_power(abs(effect) / sd * math.sqrt(n / 2), df, alpha)


def proportions_power(control: float, treatment: float, n: float, alpha: float) -> float:
    """Return the power of a two-sided test of two proportions with `n` units per arm.

    As R's ``power.prop.test``.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, p. 72.
    """
    middle = (control + treatment) / 2
    null = math.sqrt(2 * middle * (1 - middle))
    other = math.sqrt(control * (1 - control) + treatment * (1 - treatment))
    z = math.sqrt(n) * abs(treatment - control) + special.ndtri(alpha / 2) * null
    return float(special.ndtr(z / other))


def cluster_power(
    effect: float, sd: float, n_clusters: float, size: float, icc: float, cv: float, alpha: float
) -> float:
    """Return the power with `n_clusters` groups per arm of `size` rows on average.

    References
    ----------
    Eldridge, Ashby and Kerry (2006), International Journal of Epidemiology 35, p. 1292: groups of
    unequal size (coefficient of variation `cv`); t with 2(k - 1) degrees of freedom.
    """
    inflation = 1 + ((cv**2 + 1) * size - 1) * icc
    error = sd * math.sqrt(2 * inflation / (n_clusters * size))
    return _noncentral_power(abs(effect) / error, 2 * (n_clusters - 1), alpha)


def sequential_power(
    drift: float, n_looks: int, alpha: float, *, rng: np.random.Generator
) -> float:
    """Return the power of planned looks, simulated; `drift` is the expected z at the end."""
    bounds = np.array(sequential.spending_boundaries(n_looks, alpha))
    times = np.arange(1, n_looks + 1) / n_looks
    steps = rng.standard_normal((40_000, n_looks)) / math.sqrt(n_looks)
    z = (np.cumsum(steps, axis=1) + drift * times) / np.sqrt(times)
    return float((np.abs(z) > bounds).any(axis=1).mean())


def solve_increasing(
    power_at: Callable[[float], float], wanted: float, *, low: float, high: float
) -> float:
    """Return where an increasing power function reaches the wanted power; nan when it does not."""
    if power_at(high) < wanted:
        return math.nan
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if power_at(middle) >= wanted else (middle, high)
        if high / low < 1 + 1e-7:
            break
    return high


def _noncentral_power(noncentrality: float, df: float, alpha: float) -> float:
    if df < 1:
        return 0.0
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    if noncentrality > 30 or df > 1e6:
        return float(special.ndtr(noncentrality - critical))
    return float(1 - special.nctdtr(df, noncentrality, critical))
