"""What do all tables of one data set share? The period, the seed, the people, and the good and bad days."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from rcakit.datasets import vocabulary
from rcakit.datasets.processes.choices import Codes
from rcakit.datasets.processes.counts import mean_one_noise
from rcakit.datasets.processes.streams import stream
from rcakit.datasets.sizes import Size

STARTED_AT = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday, so that day modulo 7 is the weekday
_DAY_EFFECT_SD = 0.03


@dataclass(frozen=True, slots=True)
class World:
    """One made-up platform over one period.

    Parameters
    ----------
    size
        How long and how busy.
    seed
        Where every random stream starts.
    """

    size: Size
    seed: int

    @property
    def started_at(self) -> datetime:
        """First instant of the period."""
        return STARTED_AT

    @property
    def ended_at(self) -> datetime:
        """First instant after the period, which is also when the extract was taken."""
        return STARTED_AT + timedelta(days=self.size.n_days)

    def stream(self, *names: str) -> np.random.Generator:
        """Open the random stream with this name, at its start."""
        return stream(self.seed, *names)

    def day_index(self, day_from_end: int) -> int:
        """Turn a day counted from the end (-1 is the last) into one counted from the start (0 is the first)."""
        return self.size.n_days + day_from_end

    def instant(self, day_from_end: int, time_of_day: str = "00:00") -> datetime:
        """Turn a day counted from the end and a UTC clock time into a timestamp."""
        day = STARTED_AT + timedelta(days=self.day_index(day_from_end))
        return datetime.combine(day.date(), time.fromisoformat(time_of_day), tzinfo=UTC)

    def day_effects(self) -> NDArray[np.float64]:
        """Good and bad days that every count shares, mean 1, shape (n_days,)."""
        return mean_one_noise((self.size.n_days,), _DAY_EFFECT_SD, self.stream("day_effects"))

    def account_countries(self) -> Codes:
        """Country of each account, as an index into the countries, in ascending order, shape (n_accounts,)."""
        shares = vocabulary.region_shares() @ vocabulary.country_shares()
        # Every country gets at least one account, so that someone can report from it.
        spare = self.size.n_accounts - len(shares)
        drawn = self.stream("account_countries").multinomial(spare, shares / shares.sum())
        return np.repeat(np.arange(len(shares)), drawn + 1)
