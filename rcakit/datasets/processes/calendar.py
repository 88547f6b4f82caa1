"""What does the calendar do to a count: day of the week, hour of the day, slow growth?"""

import numpy as np
from numpy.typing import NDArray

DAYS_PER_YEAR = 365.25
HOURS = np.arange(24)

_BUSIEST_LOCAL_HOUR = 20
_EVENING_SWING = 0.6


def growth(n_days: int, *, per_year: float) -> NDArray[np.float64]:
    """Grow by `per_year` (0.15 is 15 %) a year, with mean 1 over the period, shape (n_days,)."""
    level = (1 + per_year) ** (np.arange(n_days) / DAYS_PER_YEAR)
    around_one: NDArray[np.float64] = level / level.mean()
    return around_one


def hour_shares(utc_offset_hours: float) -> NDArray[np.float64]:
    """Share of a day's events in each UTC hour, where local clocks are `utc_offset_hours` ahead, shape (24,)."""
    local_hours = HOURS + utc_offset_hours
    weights = 1 + _EVENING_SWING * np.cos(2 * np.pi * (local_hours - _BUSIEST_LOCAL_HOUR) / 24)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
