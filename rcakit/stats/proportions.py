"""How far can a share be off, given how few cases it was counted in?"""

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["clopper_pearson", "newcombe_difference", "normal_quantile", "wilson"]

Floats = npt.NDArray[np.float64]


def normal_quantile(confidence_level: float) -> float:
    """Return the two-sided normal quantile, 1.96 for a confidence level of 0.95."""
    return float(special.ndtri(0.5 + confidence_level / 2))


def wilson(
    successes: npt.ArrayLike, n_obs: npt.ArrayLike, *, confidence_level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return Wilson's score interval of shares; nan where nothing was counted.

    Parameters
    ----------
    successes, n_obs
        Counts, broadcast against each other; may be effective (fractional) counts.
    confidence_level
        Coverage aimed at, on average over shares.

    References
    ----------
    Wilson (1927), JASA 22, p. 209; Newcombe (1998), Stat. Med. 17, p. 859, method 3.
    """
    x, n = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(n_obs, dtype=np.float64)
    )
    z2 = normal_quantile(confidence_level) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n > 0, x / n, np.nan)
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def clopper_pearson(
    successes: npt.ArrayLike, n_obs: npt.ArrayLike, *, confidence_level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return the exact binomial interval: never below its level, wider than Wilson's.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26, p. 404.
    """
    x, n = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(n_obs, dtype=np.float64)
    )
    tail = (1 - confidence_level) / 2
    with np.errstate(invalid="ignore"):
        lower = np.where(x > 0, special.betaincinv(np.maximum(x, 1e-9), n - x + 1, tail), 0.0)
        rest = np.maximum(n - x, 1e-9)
        upper = np.where(x < n, special.betaincinv(x + 1, rest, 1 - tail), 1.0)
    return lower, upper


def newcombe_difference(
    successes: npt.ArrayLike,
    n_obs: npt.ArrayLike,
    reference_successes: npt.ArrayLike,
    reference_n_obs: npt.ArrayLike,
    *,
    confidence_level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the hybrid score interval of a difference of two shares.

    References
    ----------
    Newcombe (1998), Stat. Med. 17, p. 876, method 10.
    """
    share = np.asarray(successes, dtype=np.float64) / np.asarray(n_obs, dtype=np.float64)
    other = np.asarray(reference_successes, dtype=np.float64) / np.asarray(
        reference_n_obs, dtype=np.float64
    )
    low, high = wilson(successes, n_obs, confidence_level=confidence_level)
    other_low, other_high = wilson(
        reference_successes, reference_n_obs, confidence_level=confidence_level
    )
    effect = share - other
    return (
        effect - np.sqrt((share - low) ** 2 + (other_high - other) ** 2),
        effect + np.sqrt((high - share) ** 2 + (other - other_low) ** 2),
    )
