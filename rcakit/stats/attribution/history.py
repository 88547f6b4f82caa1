"""What every leaf showed on every day before the period."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.sums import sum_by

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Daily leaf values before the period, as coordinates of a sparse leaf x day table.

    Parameters
    ----------
    leaf, day
        Position of each entry, shape (n_entries,): leaf index and day index from 0. Pairs may repeat.
    value
        Count (or sum of values) of each entry, shape (n_entries,). Pairs that are absent are zero.
    weekday
        Weekday 0-6 of every baseline day, shape (n_days,); days without any row are listed too.
    period_weekday
        Weekday 0-6 of every day of the period under study, shape (n_period_days,).
    denominator
        Number at risk of each entry for ratio metrics, shape (n_entries,), or None.
    sum_squares
        Sum of the squared sizes of the events in each entry, shape (n_entries,), or None for plain counts.
    """

    leaf: Integers
    day: Integers
    value: Floats
    weekday: Integers
    period_weekday: Integers
    denominator: Floats | None = None
    sum_squares: Floats | None = None

    @property
    def n_days(self) -> int:
        """Number of baseline days."""
        return len(self.weekday)

    @property
    def n_period_days(self) -> int:
        """Number of days under study."""
        return len(self.period_weekday)

    @property
    def at_risk(self) -> Floats:
        """Number at risk of each entry, shape (n_entries,); without a denominator every entry counts one."""
        return np.ones(len(self.value)) if self.denominator is None else self.denominator

    @property
    def event_size(self) -> float:
        """Sum of squares over sum of the rows, the size of the equal events they count like; 1 for counts."""
        if self.sum_squares is None:
            return 1.0
        return max(1e-12, float(self.sum_squares.sum()) / max(float(self.value.sum()), 1e-12))

    def day_totals(self) -> Floats:
        """Sum over all leaves for every baseline day, shape (n_days,)."""
        return sum_by(self.day, self.value, self.n_days)
