"""How surprising is a rate, when its denominator varies and days differ more than chance?

The beta-binomial law by trials, rate and dispersion: variance = dispersion times that of the
binomial. For shares of any size; where events are rare (a rate below a tenth) counts with an
exposure give the same answer faster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats.residuals import MEDIAN_SQUARE, cut_square

Floats = NDArray[np.float64]

# Tails are summed where one standard deviation spans at most this many counts; wider laws
# are continuous for all purposes and get the beta law of the same mean and variance.
_WIDEST_SUMMED = 150.0
_NEGLIGIBLE = 1e-12


def upper_tail(
    successes: ArrayLike, trials: ArrayLike, rate: ArrayLike, *, dispersion: ArrayLike = 1.0
) -> Floats:
    """Give the mid-p-value of so many successes or more.

    Parameters
    ----------
    successes, trials
        Whole counts, broadcast together; nan where nothing was observed. Without trials
        nothing is surprising: 0.5.
    rate
        Expected share of successes, strictly between 0 and 1.
    dispersion
        Variance over binomial variance, at least 1 and below `trials`.

    Returns
    -------
    Floats
        One-sided mid-p-values.

    Notes
    -----
    Beta-binomial with shapes a = rate * s and b = (1 - rate) * s, where
    s = (trials - dispersion) / (dispersion - 1) [1]_. Probabilities are summed outwards from
    the count until they no longer matter.

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 282.

    Examples
    --------
    >>> upper_tail(8, 10, 0.5).round(4)
    np.float64(0.0327)
    """
    return _tail(successes, trials, rate, dispersion, upward=True)


def lower_tail(
    successes: ArrayLike, trials: ArrayLike, rate: ArrayLike, *, dispersion: ArrayLike = 1.0
) -> Floats:
    """Give the mid-p-value of so many successes or fewer; see `upper_tail`.

    Examples
    --------
    >>> lower_tail(2, 10, 0.5).round(4)
    np.float64(0.0327)
    """
    return _tail(successes, trials, rate, dispersion, upward=False)


def rate_dispersion(successes: ArrayLike, trials: ArrayLike, rate: ArrayLike) -> Floats:
    """Estimate variance over binomial variance along the last axis, blind to single spikes.

    Parameters
    ----------
    successes, trials, rate
        Shape (..., T); steps without trials are skipped.

    Returns
    -------
    Floats
        Shape (...), at least 1.

    Notes
    -----
    Mean of squared Pearson residuals, each cut at 2.58 standard deviations of the rough
    estimate from their median, times the 1.06 that the cut costs under a normal law.
    """
    y, n, p = _broadcast(successes, trials, rate)
    square = np.where(n > 0, (y - n * p) ** 2 / np.maximum(n * p * (1 - p), 1e-12), np.nan)
    rough = np.maximum(np.nanmedian(square, axis=-1, keepdims=True) / MEDIAN_SQUARE, 1.0)
    return np.maximum(np.nanmean(cut_square(square, rough), axis=-1), 1.0)


def _tail(
    successes: ArrayLike,
    trials: ArrayLike,
    rate: ArrayLike,
    dispersion: ArrayLike,
    *,
    upward: bool,
) -> Floats:
    """Turn lower tails into upper ones of the failures, and choose the method by width."""
    y, n, p, phi = _broadcast(successes, trials, rate, dispersion)
    if not upward:
        y, p = n - y, 1 - p
    shape = y.shape
    y, n, p, phi = (a.ravel() for a in (y, n, p, phi))
    phi = np.clip(phi, 1.0, np.maximum(0.999 * n, 1.0))
    out = np.where(np.isnan(y) | np.isnan(n), np.nan, 0.5)
    spread = np.sqrt(phi * n * p * (1 - p))
    for chosen, method in (
        (spread <= _WIDEST_SUMMED, _summed),
        (spread > _WIDEST_SUMMED, _continuous),
    ):
        at = np.flatnonzero(chosen & (n > 0) & np.isfinite(y))
        if len(at):
            out[at] = method(y[at], n[at], p[at], phi[at])
    return out.reshape(shape)[()]


def _summed(y: Floats, n: Floats, p: Floats, phi: Floats) -> Floats:
    """P(Y > y) + P(Y = y) / 2, summing away from the mean so that no digits cancel."""
    # A binomial is the limit of ever steadier days; this close to it ten digits agree.
    strength = np.where(phi > 1 + 1e-9, (n - phi) / np.maximum(phi - 1, 1e-9), 1e12)
    strength = np.maximum(strength, 1e-6)
    a, b = p * strength, (1 - p) * strength
    above = y >= n * p
    start = _log_probability(y, n, p, a, b, strength)
    first = np.exp(start)
    total, term, k = np.zeros_like(y), first, y.copy()
    while True:
        up = term * (n - k) * (k + a) / ((k + 1) * np.maximum(n - k - 1 + b, 1e-300))
        down = term * k * (n - k + b) / ((n - k + 1) * np.maximum(k - 1 + a, 1e-300))
        term = np.where(above, np.where(k < n, up, 0), np.where(k > 0, down, 0))
        k = np.clip(np.where(above, k + 1, k - 1), 0, n)
        total += term
        if (term <= _NEGLIGIBLE * (total + first)).all():
            break
    half = 0.5 * first
    return np.clip(np.where(above, total + half, 1 - total - half), 0, 1)


def _log_probability(
    y: Floats, n: Floats, p: Floats, a: Floats, b: Floats, strength: Floats
) -> Floats:
    """Log probability of exactly y successes."""
    from scipy import special

    choose = -np.log1p(n) - special.betaln(y + 1, n - y + 1)
    binomial = special.xlogy(y, p) + special.xlog1py(n - y, -p)
    beta = special.betaln(y + a, n - y + b) - special.betaln(a, b)
    return choose + np.where(strength >= 1e11, binomial, beta)


def _continuous(y: Floats, n: Floats, p: Floats, phi: Floats) -> Floats:
    """Tail of the beta law that has the mean and variance of y / n."""
    from scipy import special

    strength = np.maximum(n / phi - 1, 1e-6)
    tail = special.betainc((1 - p) * strength, p * strength, 1 - y / n)
    return np.asarray(tail, dtype=np.float64)


def _broadcast(*arrays: ArrayLike) -> list[Floats]:
    return list(np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in arrays)))
