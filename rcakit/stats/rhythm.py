"""How often do rows come: every day, once a week, or once a month?"""

import datetime as dt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rhythm", "occasions", "rhythm"]

Rhythm = Literal["1d", "1w", "1mo"]
Days = NDArray[np.datetime64[dt.date]]

# By chance this many days of a sparse daily table fall on one weekday once in 2 401 times.
_FEWEST = 5


def rhythm(days: Days, *, fewest: int = _FEWEST) -> Rhythm:
    """Tell the rhythm of a table from the days that hold rows.

    Parameters
    ----------
    days
        Distinct days, in order, shape (n_days,).
    fewest
        Fewer days than this are taken as daily.

    Returns
    -------
    {"1d", "1w", "1mo"}
        Weekly if all days share a weekday, monthly if all are the first or all the last of a
        month; else daily, with whatever gaps there are.
    """
    days = np.unique(np.asarray(days, dtype="datetime64[D]"))
    if len(days) < fewest:
        return "1d"
    if not np.any(np.diff(days).astype(int) % 7):
        return "1w"
    first_of_month = days.astype("datetime64[M]").astype("datetime64[D]")
    is_first = days == first_of_month
    is_last = days + 1 == (days.astype("datetime64[M]") + 1).astype("datetime64[D]")
    return "1mo" if is_first.all() or is_last.all() else "1d"


def occasions(
    first: np.datetime64[dt.date], last: np.datetime64[dt.date], *, every: Rhythm, like: Days
) -> Days:
    """List the days from first to last, both included, on which rows of this rhythm are due.

    Parameters
    ----------
    first, last
        Scalar days.
    every
        As `rhythm` tells it.
    like
        Days that hold rows; they fix the weekday, or the end of the month.
    """
    days = np.arange(first, last + np.timedelta64(1, "D"), dtype="datetime64[D]")
    if every == "1w":
        return days[(days - like[0]).astype(int) % 7 == 0]
    if every == "1mo":
        shift = 0 if str(like[0])[-2:] == "01" else 1
        moved = days + shift
        return days[moved == moved.astype("datetime64[M]").astype("datetime64[D]")]
    return days
