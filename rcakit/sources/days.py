"""Which days can count? Rows per local day, sorted into possible, impossible and too late."""

import datetime as dt
from typing import TYPE_CHECKING

from rcakit.errors import NotEnoughDataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Days"]

# A last day this far from the one before it is not where regular data end.
_ISOLATED_DAYS = 14
_EARLIEST = dt.datetime(1990, 1, 1)  # noqa: DTZ001 - local time, as all period starts


class Days:
    """Rows per local day, sorted into those that count and those that cannot."""

    __slots__ = ("after", "ancient", "as_of", "asked", "future", "isolated", "undated", "used")

    def __init__(self, daily: "pl.DataFrame", *, now: dt.date, as_of: dt.date | None) -> None:
        import polars as pl

        at = pl.col("period_start")
        dated = daily.drop_nulls("period_start")
        tomorrow = dt.datetime.combine(now, dt.time()) + dt.timedelta(days=1)
        # A day may have begun elsewhere: tomorrow's local date is not yet impossible.
        self.future = dated.filter(at > tomorrow)
        self.ancient = dated.filter(at < _EARLIEST)
        self.undated = int(daily["n_rows"].sum()) - int(dated["n_rows"].sum())
        possible = dated.filter(at.is_between(_EARLIEST, tomorrow))
        self.asked = as_of
        if as_of is None:
            possible, self.isolated = _without_isolated_end(possible)
        else:
            self.isolated = possible.head(0)
        last = dt.datetime.combine(as_of, dt.time()) if as_of else dt.datetime.max  # noqa: DTZ901
        self.after = possible.filter(at > last)
        self.used = possible.filter(at <= last)
        if self.used.height == 0:
            raise NotEnoughDataError(_nothing_possible(daily, now=now, as_of=as_of))
        self.as_of = self.used["period_start"][-1].date()


def _without_isolated_end(days: "pl.DataFrame") -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Set the last few rows apart where a long gap cuts them off from regular data."""
    starts = days["period_start"].to_list()
    kept = len(starts)
    while kept > 1:
        gap = (starts[kept - 1] - starts[kept - 2]).days
        usual = (starts[kept - 2] - starts[0]).days / max(kept - 2, 1)
        is_few = 100 * int(days["n_rows"][kept - 1 :].sum()) <= int(
            days["n_rows"][: kept - 1].sum()
        )
        if gap < max(_ISOLATED_DAYS, 5 * usual) or not is_few:
            break
        kept -= 1
    return days.head(kept), days.slice(kept)


def _nothing_possible(daily: "pl.DataFrame", *, now: dt.date, as_of: dt.date | None) -> str:
    seen = daily["period_start"].drop_nulls()
    dates = seen.dt.date().sort()
    span = f"times from {dates[0]} to {dates[-1]}" if len(dates) else "no times"
    return (
        f"data must hold rows dated between 1990-01-01 and {as_of or now}, got {span}. "
        "Check as_of, and the column that is named as time."
    )
