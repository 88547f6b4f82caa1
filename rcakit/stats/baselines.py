"""What would a usual day have brought? A robust weekday baseline for daily counts.

Each day is predicted from the days before it: a level that forgets slowly, times a weekday
factor, times the exposure of the day. Days that stood out weigh little in what follows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Baseline", "anscombe", "weekday_baseline"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Residuals beyond this many standard deviations are weighted down (Noufaily et al. 2013, p. 1211).
_LARGE_RESIDUAL = 2.58
# In a first look at the window a day this far from its weekday is taken for an incident.
_FAR = 3.5
# A day counts half after this many days.
_HALF_LIFE = 28.0
# Each weekday factor starts as if this many usual weeks had shown no weekday pattern.
_PRIOR_WEEKS = 1.0
# Prior weight of the dispersion, in days: a short history must not look calmer than it is.
_PRIOR_DAYS = 7.0
_PRIOR_DISPERSION = 1.5


@dataclass(frozen=True, slots=True)
class Baseline:
    """One-step predictions of daily counts.

    Attributes
    ----------
    expected
        Predictive mean, shape (n_series, n_days); nan where there is too little history.
    dispersion
        Variance of a day over its mean, shape (n_series, n_days), at least 1.
    level_variance
        Squared relative standard error of the level, shape (n_series, n_days): an error that all
        days of an incident share.
    """

    expected: Floats
    dispersion: Floats
    level_variance: Floats

    def variance(self) -> Floats:
        """Return the predictive variance of single days, shape (n_series, n_days)."""
        return self.dispersion * self.expected + self.level_variance * self.expected**2


def weekday_baseline(
    counts: Floats,
    exposure: Floats,
    weekday: Integers,
    *,
    squares: Floats | None = None,
    window: int = 84,
    min_history: int = 14,
    hold_from: int | None = None,
) -> Baseline:
    """Predict each day from the days before it.

    Parameters
    ----------
    counts
        Daily counts, shape (n_series, n_days); nan where the day is not known.
    exposure
        What a count is relative to (reviews, views, or ones), same shape, positive.
    weekday
        Weekday of each day, 0 to 6, shape (n_days,).
    squares
        Daily sums of squared row values where a count is a sum of amounts, same shape. One large
        row is then no surprise where large rows are usual: the dispersion is at least the sum of
        squares over the sum (compound Poisson).
    window
        Days of history that are looked at.
    min_history
        Known days that a prediction needs.
    hold_from
        Day from which the history is frozen, so that later days do not learn from an incident.

    Notes
    -----
    Level and weekday factors are weighted means of rates; weights halve every 28 days and shrink
    as ``(2.58 / z)²`` for residuals beyond 2.58 standard deviations. The variance is quasi-Poisson,
    its dispersion a weighted mean of squared Pearson residuals.

    References
    ----------
    Noufaily et al. (2013), Statistics in Medicine 32, 1206-1222, section 3 (reweighting).
    """
    n_days = counts.shape[1]
    expected, dispersion, level_variance = (np.full(counts.shape, np.nan) for _ in range(3))
    trust = np.where(np.isfinite(counts), 1.0, 0.0)
    held = None
    for day in range(n_days):
        past = slice(max(0, day - window), day)
        if hold_from is None or day <= hold_from or held is None:
            held = _fit(counts[:, past], exposure[:, past], weekday[past], trust[:, past])
        level, factors, phi, error, n_known = held
        if squares is not None:
            phi = np.maximum(phi, _row_scale(counts[:, past], squares[:, past]))
        usual = level * factors[:, weekday[day]] * exposure[:, day]
        enough = n_known >= min_history
        expected[enough, day] = usual[enough]
        dispersion[enough, day] = phi[enough]
        level_variance[enough, day] = error[enough]
        mean = np.maximum(usual, 0.25)  # below, the residual of a single event is too large
        size = np.abs(anscombe(counts[:, day], mean)) / np.sqrt(phi + error * mean)
        odd = enough & (size > _LARGE_RESIDUAL)
        trust[odd, day] = (_LARGE_RESIDUAL / size[odd]) ** 2
    return Baseline(expected, dispersion, level_variance)


def _fit(
    counts: Floats, exposure: Floats, weekday: Integers, trust: Floats
) -> tuple[Floats, Floats, Floats, Floats, Integers]:
    """Return level, weekday factors, dispersion, squared relative error of the level, known days."""
    n_series, n_days = counts.shape
    known = np.where(np.isfinite(counts), 1.0, 0.0)
    y = np.nan_to_num(counts)
    age = np.arange(n_days, 0, -1)
    weight = trust * known * 0.5 ** (age / _HALF_LIFE)
    weight = weight * _resist(y, exposure, weekday, known)
    is_day = weekday[:, None] == np.arange(7)
    factors = np.ones((n_series, 7))
    level = np.zeros(n_series)
    for _ in range(3):  # level and weekday factors depend on each other; three rounds settle
        usual = exposure * factors[:, weekday]
        level = _ratio((weight * y).sum(1), (weight * usual).sum(1))
        without = weight * exposure * level[:, None]
        prior = _PRIOR_WEEKS * _ratio(without.sum(1), weight.sum(1))[:, None]
        factors = _ratio((weight * y) @ is_day + prior, without @ is_day + prior, empty=1.0)
        factors = factors / factors.mean(1, keepdims=True)
    usual = level[:, None] * exposure * factors[:, weekday]
    squared = np.divide((y - usual) ** 2, usual, out=np.zeros_like(y), where=usual > 0)
    spent = _ratio((weight * squared).sum(1), weight.sum(1))
    freedom = np.maximum(known.sum(1) - 7, 1) / np.maximum(known.sum(1), 1)
    seen = weight.sum(1)
    phi = (seen * spent / freedom + _PRIOR_DAYS * _PRIOR_DISPERSION) / (seen + _PRIOR_DAYS)
    phi = np.maximum(phi, 1.0)
    information = _ratio((weight * usual).sum(1) ** 2, (weight**2 * usual).sum(1))
    # Half an event more than was seen keeps an all-zero history from looking certain.
    error = phi / np.maximum(information, 0.5)
    level = np.maximum(level, _ratio(np.full(n_series, 0.5), (weight * exposure).sum(1)))
    return level, factors, phi, error, known.sum(1).astype(int)


def _row_scale(counts: Floats, squares: Floats) -> Floats:
    """Return the variance over the mean of a sum of row values, from the rows of the window."""
    return _ratio(np.nansum(squares, 1), np.nansum(counts, 1), empty=1.0)


def _resist(y: Floats, exposure: Floats, weekday: Integers, known: Floats) -> Floats:
    """Weigh days down that stand far from the middle of their weekday within the window."""
    rate = np.where(known > 0, y / exposure, np.nan)
    usual = np.zeros_like(y)
    for day in range(7):
        here = weekday == day
        usual[:, here] = _middle(rate[:, here])[:, None] * exposure[:, here]
    residual = np.where(known > 0, anscombe(y, np.maximum(usual, 0.25)), np.nan)
    typical = np.zeros((len(y), 1))
    seen = known.any(1)
    typical[seen, 0] = np.nanmedian(np.abs(residual[seen]), axis=1) / 0.6745
    size = np.abs(np.nan_to_num(residual)) / np.maximum(typical, 1.0)
    return np.where(size > _FAR, (_FAR / np.maximum(size, 1e-12)) ** 2, 1.0)


def _middle(values: Floats) -> Floats:
    """Return the mean of each row without its smallest and largest tenth; nan is not known."""
    n_known = np.isfinite(values).sum(1)
    ordered = np.sort(values, axis=1)  # nan last
    cut = np.where(n_known >= 4, np.maximum(n_known // 10, 1), 0)[:, None]
    rank = np.arange(values.shape[1])
    kept = (rank >= cut) & (rank < n_known[:, None] - cut)
    return _ratio(np.where(kept, ordered, 0.0).sum(1), kept.sum(1).astype(float))


def anscombe(counts: Floats, mean: Floats) -> Floats:
    """Return residuals of Poisson counts made nearly normal.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, 2nd ed., p. 38.
    """
    return 1.5 * (counts ** (2 / 3) - mean ** (2 / 3)) / mean ** (1 / 6)


def _ratio(top: Floats, bottom: Floats, *, empty: float = 0.0) -> Floats:
    return np.divide(top, bottom, out=np.full(np.shape(top), empty), where=bottom > 0)
