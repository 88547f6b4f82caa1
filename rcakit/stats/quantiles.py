"""How far apart are the medians (or the slowest tenths) of two arms?"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.moments import Arm

__all__ = ["quantile_arm"]

Floats = NDArray[np.float64]


def quantile_arm(values: Floats, q: float, cluster: NDArray[np.int64] | None = None) -> Arm:
    """Estimate a quantile and its sampling variance, for rows or for randomised clusters.

    The share of rows at or below the quantile has a known standard error; the values at that share
    plus and minus 1.96 errors, divided by their normal distance, give the error of the quantile.

    Parameters
    ----------
    values
        Values of one arm, shape ``(n,)``.
    q
        Quantile, between 0 and 1.
    cluster
        Index of the randomised cluster per row; None when rows were randomised.

    Notes
    -----
    Woodruff (1952), Journal of the American Statistical Association 47, p. 637. Do not use it when
    fewer than about ten rows lie beyond the quantile, or for a count with few different values.
    """
    ordered = np.sort(values)
    estimate = float(np.quantile(ordered, q))
    n = values.size
    error = math.sqrt(q * (1 - q) / n)
    if cluster is not None:
        below = np.bincount(cluster, weights=(values <= estimate) - np.mean(values <= estimate))
        size = np.bincount(cluster)
        inflation = 1 / np.maximum(1 - size / n, 1e-12)
        error = math.sqrt(float((inflation * below**2).sum())) / n
    reach = -float(special.ndtri(0.025))
    low, high = np.quantile(ordered, np.clip([q - reach * error, q + reach * error], 0, 1))
    return Arm(estimate, float((high - low) / (2 * reach)) ** 2)
