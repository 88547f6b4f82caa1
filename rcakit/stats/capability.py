"""How well does a stable process fit between its specification limits?"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit.stats.proportions import normal_quantile

__all__ = ["defects_per_million", "potential", "realised", "sigma_level"]

Interval = tuple[float, float, float]

# Long-term drift that the "sigma level" of Six Sigma adds by convention (Montgomery 2013, p. 28).
SHIFT = 1.5


def potential(width: float, sigma: float, df: float, *, confidence_level: float = 0.95) -> Interval:
    """Return Cp (or Pp) with its interval: specification width over six standard deviations.

    Parameters
    ----------
    width
        Upper minus lower specification limit.
    sigma, df
        Standard deviation and its degrees of freedom.

    References
    ----------
    Montgomery (2013), Introduction to Statistical Quality Control, 7th ed., p. 370.
    """
    estimate = width / (6 * sigma)
    tail = (1 - confidence_level) / 2
    low = float(special.chdtri(df, 1 - tail))
    high = float(special.chdtri(df, tail))
    return estimate, estimate * math.sqrt(low / df), estimate * math.sqrt(high / df)


def realised(
    mean: float,
    sigma: float,
    lower: float,
    upper: float,
    *,
    n_obs: int,
    df: float,
    confidence_level: float = 0.95,
) -> Interval:
    """Return Cpk (or Ppk): distance to the nearer limit over three standard deviations.

    References
    ----------
    Bissell (1990), J. R. Stat. Soc. C 39, p. 331; Montgomery (2013), p. 371.
    """
    estimate = min(upper - mean, mean - lower) / (3 * sigma)
    z = normal_quantile(confidence_level)
    half = z * math.sqrt(1 / (9 * n_obs) + estimate**2 / (2 * df))
    return estimate, estimate - half, estimate + half


def defects_per_million(
    defects: npt.ArrayLike, opportunities: npt.ArrayLike, *, confidence_level: float = 0.95
) -> Interval:
    """Return defects per million opportunities with the exact binomial interval."""
    from rcakit.stats.proportions import clopper_pearson

    low, high = clopper_pearson(defects, opportunities, confidence_level=confidence_level)
    share = float(np.asarray(defects) / np.asarray(opportunities))
    return 1e6 * share, 1e6 * float(low), 1e6 * float(high)


def sigma_level(share_defective: float) -> float:
    """Return the Six Sigma level of a share of defects: 3.4 per million are 6.0."""
    bounded = min(max(share_defective, 1e-12), 1 - 1e-12)
    return float(special.ndtri(1 - bounded)) + SHIFT
