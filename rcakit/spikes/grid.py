"""Put the aggregate on a grid: one row per series, one column per day, gaps filled truthfully."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Grid", "day_grid"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Counts of every series on every day.

    Attributes
    ----------
    keys
        Names of the columns that tell series apart.
    series
        One tuple of key values per series.
    days
        Every day from the first to the last.
    counts
        Shape (n_series, n_days); nan before a series' first day.
    exposure
        Same shape; ones without an exposure column.
    squares
        Sums of squared row values, same shape; None where rows are counted.
    weekday
        Monday is 0, shape (n_days,).
    completeness
        Share of a day's events that has arrived, same shape as counts.
    """

    keys: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...]
    days: tuple[dt.date, ...]
    counts: Floats
    exposure: Floats
    squares: Floats | None
    weekday: NDArray[np.int64]
    completeness: Floats


def day_grid(
    table: "pl.DataFrame", *, keys: tuple[str, ...], value: str | None, exposure: str | None
) -> Grid:
    """Spread the aggregate over all days from its first to its last.

    A day without rows is a true zero after a series has begun, and unknown before; with an
    exposure of zero a day says nothing, so it is unknown as well.
    """
    table = table.drop_nulls("period_start")
    first: Any = table["period_start"].min()
    last: Any = table["period_start"].max()
    n_days = (last - first).days + 1
    series: dict[tuple[Any, ...], int] = {}
    rows = (
        [series.setdefault(key, len(series)) for key in table.select(keys).rows()] if keys else []
    )
    row = np.asarray(rows or [0] * table.height)
    column = ((table["period_start"] - first).dt.total_days()).to_numpy()
    shape = (max(len(series), 1), n_days)
    counts, exposed = np.zeros(shape), np.zeros(shape)
    counts[row, column] = table[value or "n_rows"].to_numpy()
    exposed[row, column] = table[exposure].to_numpy() if exposure else 1.0
    if exposure is None:
        exposed[:] = 1.0
    squares = None
    if value is not None:
        squares = np.zeros(shape)
        squares[row, column] = table[f"{value}__squared"].to_numpy()
    begun = np.zeros(shape, bool)
    begun[row, column] = True
    begun = np.logical_or.accumulate(begun, axis=1)
    counts[~begun | (exposed <= 0)] = np.nan
    days = tuple(first.date() + dt.timedelta(days=i) for i in range(n_days))
    return Grid(
        keys=keys,
        series=tuple(series) or ((),),
        days=days,
        counts=counts,
        exposure=np.where(exposed > 0, exposed, 1.0),
        squares=squares,
        weekday=np.array([day.weekday() for day in days]),
        completeness=np.ones(shape),
    )
