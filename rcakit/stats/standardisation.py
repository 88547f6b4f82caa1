"""What would two groups show if they had the same mix of cases?"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit.stats.proportions import normal_quantile

__all__ = [
    "Standardised",
    "cochran_mantel_haenszel",
    "direct_standardisation",
    "kitagawa",
    "mantel_haenszel_difference",
    "pooled_gap",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standardised:
    """A difference at equal mix, with what it rests on."""

    effect: float
    ci_lower: float
    ci_upper: float
    pvalue: float
    share_compared: float  # of the group's cases that lie in strata both groups have


def direct_standardisation(rate: Floats, variance: Floats, standard: Floats) -> tuple[float, float]:
    """Return a rate at a standard mix, and its variance.

    Parameters
    ----------
    rate, variance
        Per stratum.
    standard
        Weight of each stratum; scaled to one here.

    References
    ----------
    Breslow and Day (1987), Statistical Methods in Cancer Research II, p. 52.
    """
    weight = standard / standard.sum()
    return float(weight @ rate), float(weight**2 @ variance)


def pooled_gap(
    mean: Floats,
    other_mean: Floats,
    variance: Floats,
    other_variance: Floats,
    size: Floats,
    other_size: Floats,
    *,
    standard: str = "group",
    confidence_level: float = 0.95,
) -> Standardised:
    """Return the difference of two groups at equal mix, over strata both have.

    Parameters
    ----------
    mean, other_mean, variance, other_variance
        Per stratum: mean of the outcome and variance of one value in it.
    size, other_size
        Cases per stratum.
    standard
        Whose mix: ``group`` or ``overlap`` (harmonic weights, smallest error).

    Notes
    -----
    Variances of strata of a few cases are themselves unsure, so the pooled variance within strata
    stands in where a group has fewer than two cases, and the interval uses Satterthwaite's degrees
    of freedom.

    References
    ----------
    Breslow and Day (1987), p. 52; Satterthwaite (1946), Biometrics Bulletin 2, p. 110.
    """
    both = (size > 0) & (other_size > 0)
    share = float(size[both].sum() / size.sum()) if size.sum() else 0.0
    if not both.any():
        return Standardised(math.nan, math.nan, math.nan, math.nan, 0.0)
    n, m = size[both], other_size[both]
    weight = n if standard == "group" else n * m / (n + m)
    weight = weight / weight.sum()
    spread = np.where(n > 1, variance[both], _pooled(variance, size))
    other_spread = np.where(m > 1, other_variance[both], _pooled(other_variance, other_size))
    effect = float(weight @ (mean[both] - other_mean[both]))
    parts = np.r_[weight**2 * spread / n, weight**2 * other_spread / m]
    total = float(parts.sum())
    if total <= 0:
        return Standardised(effect, effect, effect, math.nan, share)
    df = total**2 / float(np.sum(parts**2 / np.maximum(np.r_[n, m] - 1, 1)))
    error = math.sqrt(total)
    half = float(special.stdtrit(df, 0.5 + confidence_level / 2)) * error
    pvalue = float(2 * special.stdtr(df, -abs(effect) / error))
    return Standardised(effect, effect - half, effect + half, pvalue, share)


def kitagawa(
    rate: Floats, other_rate: Floats, size: Floats, other_size: Floats
) -> tuple[float, float]:
    """Split a difference of rates into a rate and a mix effect; they add up to it.

    Strata that only one group has enter with the other's rate set to the same, so that they
    count as mix.

    References
    ----------
    Kitagawa (1955), JASA 50, p. 1181.
    """
    share, other_share = size / size.sum(), other_size / other_size.sum()
    rate = np.where(size > 0, rate, other_rate)
    other_rate = np.where(other_size > 0, other_rate, rate)
    rates = float((share + other_share) / 2 @ (rate - other_rate))
    mix = float((rate + other_rate) / 2 @ (share - other_share))
    return rates, mix


def cochran_mantel_haenszel(
    count: Floats,
    size: Floats,
    other_count: Floats,
    other_size: Floats,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float, float, float]:
    """Return the common odds ratio over strata, its interval, and the test of "no difference".

    Parameters
    ----------
    count, size
        Events and cases of the group, per stratum.
    other_count, other_size
        Of the reference.

    Returns
    -------
    odds_ratio, ci_lower, ci_upper, pvalue

    References
    ----------
    Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22, p. 719 (without continuity correction);
    Robins, Breslow and Greenland (1986), Biometrics 42, p. 312.
    """
    total = size + other_size
    used = (size > 0) & (other_size > 0) & (total > 1)
    a, n, c, m, t = (x[used] for x in (count, size, other_count, other_size, total))
    b, d, events = n - a, m - c, a + c
    variance = float(np.sum(n * m * events * (t - events) / (t**2 * (t - 1))))
    gap = float(np.sum(a - n * events / t))
    pvalue = float(special.chdtrc(1, gap**2 / variance)) if variance > 0 else math.nan
    r, s = a * d / t, b * c / t
    top, bottom = float(r.sum()), float(s.sum())
    if top <= 0 or bottom <= 0:
        return (
            (math.inf if top > 0 else 0.0 if bottom > 0 else math.nan),
            math.nan,
            math.nan,
            pvalue,
        )
    p, q = (a + d) / t, (b + c) / t
    log_variance = float(
        np.sum(p * r) / (2 * top**2)
        + np.sum(p * s + q * r) / (2 * top * bottom)
        + np.sum(q * s) / (2 * bottom**2)
    )
    half = normal_quantile(confidence_level) * math.sqrt(log_variance)
    ratio = top / bottom
    return ratio, ratio * math.exp(-half), ratio * math.exp(half), pvalue


def mantel_haenszel_difference(
    count: Floats,
    size: Floats,
    other_count: Floats,
    other_size: Floats,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the common difference of rates over strata, with its interval.

    References
    ----------
    Greenland and Robins (1985), Biometrics 41, p. 61; variance of Sato (1989), Biometrics 45,
    p. 1323, right both for few large and for many small strata.
    """
    total = size + other_size
    used = (size > 0) & (other_size > 0)
    a, n, c, m, t = (x[used] for x in (count, size, other_count, other_size, total))
    weight = n * m / t
    bottom = float(weight.sum())
    if bottom <= 0:
        return (math.nan,) * 3
    effect = float(np.sum((a * m - c * n) / t)) / bottom
    p_part = (n**2 * c - m**2 * a + n * m * (m - n) / 2) / t**2
    q_part = (a * (m - c) + c * (n - a)) / (2 * t)
    variance = (effect * float(p_part.sum()) + float(q_part.sum())) / bottom**2
    half = normal_quantile(confidence_level) * math.sqrt(max(variance, 0.0))
    return effect, effect - half, effect + half


def _pooled(variance: Floats, size: Floats) -> float:
    freedom = np.maximum(size - 1, 0)
    return float(freedom @ np.nan_to_num(variance) / freedom.sum()) if freedom.sum() > 0 else 0.0
