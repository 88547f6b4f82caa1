"""On which day did the named segments begin to move? The total may have shown it earlier, later or not at all."""

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.drivers.leaf_table import LeafTable, Span
from rcakit.stats.attribution.sums import sum_by

__all__ = ["day_series", "onset_of"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DAYS_BEFORE = 7  # a period that begins later than the segment moved is followed back this far
_CLEAR = 5.0  # nats a day before the period needs on its own to count as moved
_DAYS_FOR_WEEKDAYS = 21  # three of each weekday


def day_series(
    leaves: LeafTable, span: Span, inside: Mask
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Add up the leaves of a segment by day.

    Returns
    -------
    tuple of arrays
        Day (0 is the first of the period), what was seen, and what would have been usual: the mean baseline
        day, or for a rate the events that the baseline rate gives on the day's numbers at risk.
    """
    days = np.arange(-span.n_baseline_days, span.n_period_days)
    if leaves.daily is None or span.baseline is None:
        return days, np.zeros(len(days)), np.zeros(len(days))
    leaf, day, value = leaves.daily
    days = np.arange(int(day.min(initial=0)), span.n_period_days)
    own = inside[leaf]
    position = day[own] - days[0]
    seen = sum_by(position, value[own], len(days))
    before = (days < 0) & (days < days[0] + span.n_baseline_days)
    if leaves.daily_at_risk is None:
        return days, seen, np.full(len(days), seen[before].sum() / max(1, int(before.sum())))
    at_risk = sum_by(position, leaves.daily_at_risk[own], len(days))
    return days, seen, at_risk * (seen[before].sum() / max(float(at_risk[before].sum()), 1e-12))


def onset_of(leaves: LeafTable, span: Span, inside: Mask) -> dt.date:
    """Find the first day of the run of days that departs most from usual, near the period.

    Parameters
    ----------
    leaves, span
        What was explained.
    inside
        Leaves that moved, shape (n_leaves,).

    Returns
    -------
    datetime.date
        A day of the period, or a day up to a week before it where each day since then had clearly moved.

    Notes
    -----
    The run is the interval with the largest Poisson likelihood ratio in the direction of the change. A ranking,
    not a test: that something moved is known by now. Where there is no series, the first day of the period.

    References
    ----------
    Kulldorff (1997), Commun. Statist. Theory Meth. 26, 1481-1496 (scan statistic, in one dimension).
    """
    first = span.period[0]
    days, seen, usual = day_series(leaves, span, inside)
    if leaves.daily is None or usual.sum() <= 0:
        return first
    if leaves.daily_at_risk is None:
        usual = usual * _weekday_factor(*day_series(leaves, span, np.ones_like(inside))[:2], first)
    now = days >= 0
    sign = 1.0 if seen[now].sum() >= usual[now].sum() else -1.0
    start = int(days[now][0]) + _best_start(seen[now], usual[now], sign)
    if start == 0:
        evidence = _nats(seen, usual, sign)
        while start > -_DAYS_BEFORE and evidence[days == start - 1].sum() >= _CLEAR:
            start -= 1
    return first + dt.timedelta(start)


def _best_start(seen: Floats, usual: Floats, sign: float) -> int:
    """First day of the interval with the largest likelihood ratio."""
    last = len(seen)
    added = [np.concatenate([[0.0], np.cumsum(column)]) for column in (seen, usual)]
    starts, ends = np.triu_indices(last + 1, k=1)
    sums = [total[ends] - total[starts] for total in added]
    return int(starts[np.argmax(_nats(sums[0], sums[1], sign))])


def _nats(seen: Floats, usual: Floats, sign: float) -> Floats:
    """Poisson log-likelihood ratio on one side."""
    usual = np.maximum(usual, 0.5)
    nats = special.xlogy(seen, np.maximum(seen, 1e-12) / usual) - (seen - usual)
    return np.where(sign * (seen - usual) > 0, nats, 0.0)


def _weekday_factor(days: Any, total: Floats, first: dt.date) -> Floats:
    """How each day's weekday usually compares with the mean day, over the whole table."""
    weekday = (first.weekday() + days) % 7
    before = days < 0
    if before.sum() < _DAYS_FOR_WEEKDAYS or total[before].sum() <= 0:
        return np.ones(len(days))
    by_weekday = sum_by(weekday[before], total[before], 7) / np.maximum(
        sum_by(weekday[before], np.ones(int(before.sum())), 7), 1.0
    )
    return np.asarray(by_weekday[weekday] / total[before].mean(), float)
