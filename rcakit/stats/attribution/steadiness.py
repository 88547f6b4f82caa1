"""How far back does the history look like the days right before the period?

A new app version takes over, a vendor leaves: the mix of values before that is no guide to what a segment
should show now. A burst that came and went is none of that; it stays in the history.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.leaves import DayTable, day_tables
from rcakit.stats.attribution.sums import sum_by

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_REFERENCE_DAYS = 14  # two of each weekday, the fewest that say what is usual now
_BLOCK_DAYS = 7  # whole weeks, so that weekdays do not look like drift
_MIN_EVENTS = 50.0  # in the block or in the reference; smaller values cannot show drift
_FACTOR = 1.5  # a share that moved by less is left to the noise of segments
_STANDARD_ERRORS = 5.0
_LEAST_BURST = 20.0  # events on one day in one leaf
_SHARE_OF_BURST = 0.5  # of all its events in the baseline
_WOBBLE = 0.1  # relative standard deviation that a weekly share may have without drifting


def steady_days(
    history: History,
    *,
    codes: Integers,
    sizes: tuple[int, ...],
    tables: tuple[DayTable, ...] | None = None,
) -> int:
    """Count the days before the period whose mix of values was that of the last two weeks.

    Parameters
    ----------
    history
        Daily leaf values before the period.
    codes, sizes
        Leaf table.
    tables
        From `day_tables` for the same history; made by default.

    Returns
    -------
    int
        All days, or those after the latest week in which some value's share differed from its share in the
        last two weeks by a factor of 1.5 and five standard errors, and in most weeks before it as well.
        At least 14, or all there are.

    Notes
    -----
    Sees steps and slow changes of single values, not of combinations whose margins stay. A share that still
    moves within the last two weeks is not steady at any length.
    """
    n_blocks = (history.n_days - _REFERENCE_DAYS) // _BLOCK_DAYS
    if n_blocks < 1:
        return history.n_days
    if tables is None:
        tables = day_tables(history, codes=codes, sizes=sizes)
    latest = n_blocks + 1
    for table in tables:
        drifts = _drifting(_by_block(table.seen / history.event_size, n_blocks))
        latest = min(latest, int(np.argmax(drifts)) + 1 if drifts.any() else latest)
    if latest > n_blocks:
        return history.n_days
    return _REFERENCE_DAYS + (latest - 1) * _BLOCK_DAYS


def last_days(history: History, n_days: int) -> History:
    """Keep the last days of a history."""
    gone = history.n_days - n_days
    if gone <= 0:
        return history
    entry = history.day >= gone
    below, squares = history.denominator, history.sum_squares
    return History(
        leaf=history.leaf[entry],
        day=history.day[entry] - gone,
        value=history.value[entry],
        weekday=history.weekday[gone:],
        period_weekday=history.period_weekday,
        denominator=None if below is None else below[entry],
        sum_squares=None if squares is None else squares[entry],
    )


def without_bursts(history: History, *, n_leaves: int) -> tuple[History, int]:
    """Bring single days that hold most of a leaf's baseline down to its other days.

    Parameters
    ----------
    history
        Daily leaf values before the period.
    n_leaves
        Number of leaves.

    Returns
    -------
    History and the number of such days. A burst that came and went says nothing about what is usual; left in,
    its absence would look like a drop.
    """
    large = np.flatnonzero(history.value >= _LEAST_BURST)
    if len(large) == 0 or history.n_days < _REFERENCE_DAYS or history.sum_squares is not None:
        return history, 0
    leaf = history.leaf[large]
    whole = sum_by(history.leaf, history.value, n_leaves)[leaf]
    burst = history.value[large] >= _SHARE_OF_BURST * whole
    if not burst.any():
        return history, 0
    value = history.value.copy()
    value[large[burst]] = ((whole - value[large]) / (history.n_days - 1))[burst]
    return replace(history, value=value), int(burst.sum())


def _by_block(daily: Floats, n_blocks: int) -> Floats:
    """Sums over the last two weeks and over every week before them, latest first."""
    reference = daily[:, -_REFERENCE_DAYS:].sum(axis=1, keepdims=True)
    first = daily.shape[1] - _REFERENCE_DAYS - n_blocks * _BLOCK_DAYS
    weeks = daily[:, first:-_REFERENCE_DAYS].reshape(len(daily), n_blocks, _BLOCK_DAYS).sum(axis=2)
    return np.concatenate([reference, weeks[:, ::-1]], axis=1)


def _drifting(table: Floats) -> NDArray[np.bool_]:
    """Tell for every older week, latest first, whether a value had left its present share for good."""
    n_blocks = table.shape[1] - 1
    table = table[table.max(axis=1, initial=0.0) >= _MIN_EVENTS]
    whole = table.sum(axis=0)
    if len(table) < 2 or whole[0] <= 0:
        return np.zeros(n_blocks, bool)
    share = (table + 0.5) / np.maximum(whole, 1.0)
    distance = np.log(share[:, 1:] / share[:, :1])
    error = np.sqrt(1.0 / (table[:, 1:] + 0.5) + 1.0 / (table[:, :1] + 0.5) + _WOBBLE**2)
    far = (np.abs(distance) > np.log(_FACTOR)) & (np.abs(distance) > _STANDARD_ERRORS * error)
    side = np.where(far, np.sign(distance), 0.0)
    older = np.cumsum(side[:, ::-1], axis=1)[:, ::-1]  # this week and all before it
    mostly = np.abs(older) > 0.5 * np.arange(n_blocks, 0, -1)
    return (far & mostly & (older * side > 0)).any(axis=0)
