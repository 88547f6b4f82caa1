"""Put the aggregate on a grid: one row per series, one column per period, gaps filled truthfully."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rcakit import wording

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ALL",
    "EmptyPeriods",
    "Every",
    "Grid",
    "add_totals",
    "build_grid",
    "looks_per_week",
    "n_closed",
    "take_series",
]

Floats = NDArray[np.float64]
Every = Literal["1h", "1d", "1w", "1mo"]
EmptyPeriods = Literal["auto", "zero", "missing"]
Period = dt.date | dt.datetime

# Stands for "all values" of a key in a series of totals.
ALL = "(all)"
# A period without a single row in the whole table is a gap in the data, not a zero, where at
# least so many rows are usual.
_NEVER_EMPTY = 20.0
_DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True)
class Grid:
    """Counts of every series in every period.

    Attributes
    ----------
    keys
        Names of the columns that tell series apart.
    series
        One tuple of key values per series; `ALL` stands for every value.
    every
        Length of a period.
    days
        Every period from the first to the last: dates, or naive local times for hours.
    counts
        Shape (n_series, n_periods); nan before a series' first period and where data are missing.
    exposure
        What counts are in proportion to: the exposure column times the share of the period that
        could be seen (clock changes, completeness), same shape.
    trials
        The exposure column alone, same shape; None without one.
    squares
        Sums of squared row values, same shape; None where rows are counted.
    rows
        Number of rows, same shape.
    completeness
        Share of a period's events that has arrived, shape (n_periods,).
    completeness_error
        Its relative standard error, shape (n_periods,).
    arrival_dispersion
        Scatter of arrivals over binomial scatter.
    holidays
        Public holidays in each period, shape (n_periods,); None without a calendar.
    month_days
        Whether days of the month differ.
    caveats
        Sentences about gaps.
    """

    keys: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...]
    every: Every
    days: tuple[Period, ...]
    counts: Floats
    exposure: Floats
    trials: Floats | None
    squares: Floats | None
    rows: Floats
    completeness: Floats
    completeness_error: Floats
    arrival_dispersion: float = 1.0
    holidays: NDArray[np.int64] | None = None
    month_days: bool = False
    caveats: tuple[str, ...] = ()

    def with_caveats(self, *more: str) -> "Grid":
        """Return the grid with further caveats."""
        return replace(self, caveats=(*self.caveats, *more))


def take_series(grid: Grid, rows: NDArray[np.int64]) -> Grid:
    """Keep some of the series."""
    return replace(
        grid,
        series=tuple(grid.series[row] for row in rows),
        counts=grid.counts[rows],
        exposure=grid.exposure[rows],
        rows=grid.rows[rows],
        trials=None if grid.trials is None else grid.trials[rows],
        squares=None if grid.squares is None else grid.squares[rows],
    )


def n_closed(grid: Grid) -> int:
    """Count the periods that need not be looked at again: complete, and of hours whole days."""
    still_open = grid.completeness_error > 0
    end = int(np.argmax(still_open)) if still_open.any() else len(grid.days)
    if grid.every != "1h":
        return end
    hours = [day.hour for day in grid.days[:end] if isinstance(day, dt.datetime)]
    return max((i + 1 for i, hour in enumerate(hours) if hour == 23), default=0)


def looks_per_week(every: Every) -> float:
    """How often a week each series is looked at."""
    return {"1h": 168.0, "1d": 7.0, "1w": 1.0, "1mo": 1.0}[every]


def build_grid(
    table: "pl.DataFrame",
    *,
    keys: tuple[str, ...],
    value: str | None,
    exposure: str | None,
    every: Every,
    first: dt.date | None = None,
    last: dt.date | None = None,
    tz: str = "UTC",
    empty: EmptyPeriods = "auto",
    series: tuple[tuple[Any, ...], ...] | None = None,
    has_begun: NDArray[np.bool_] | None = None,
    usual: float | None = None,
) -> Grid:
    """Spread the aggregate over all periods from its first to its last.

    A period without rows is a true zero after a series has begun, and unknown before. A period
    without a row in the whole table, where many are usual, is a gap in the data. With an exposure
    of zero a period says nothing.

    Parameters
    ----------
    series, has_begun, usual
        When an earlier run is continued: its series, whether each had begun, and how many rows a
        period usually has. Rows of other series are left out.
    """
    table = table.drop_nulls("period_start")
    periods = _periods(table, every, first, last)
    table, series, row = _series(table, keys, series)
    column = np.searchsorted(
        np.array(periods, dtype="datetime64[us]"),
        table["period_start"].to_numpy().astype("datetime64[us]"),
    )
    shape = (len(series), len(periods))

    def spread(name: str) -> Floats:
        values = np.zeros(shape)
        np.add.at(values, (row, column), table[name].to_numpy().astype(float))
        return values

    rows = spread("n_rows")
    trials = spread(exposure) if exposure else None
    counts = spread(value or "n_rows")
    if value is not None:  # a period of which every value is missing was not measured
        counts[(rows > 0) & (spread("n_missing") >= rows)] = np.nan
    grid = Grid(
        keys=keys,
        series=series,
        every=every,
        days=periods,
        counts=counts,
        exposure=np.ones(shape) if trials is None else trials,
        trials=trials,
        squares=spread(f"{value}__squared") if value else None,
        rows=rows,
        completeness=np.ones(len(periods)),
        completeness_error=np.zeros(len(periods)),
    )
    return _with_clock(_with_gaps(grid, empty, has_begun, usual), tz)


def _periods(
    table: "pl.DataFrame", every: Every, first: dt.date | None, last: dt.date | None
) -> tuple[Period, ...]:
    """Return every period between the first and the last, in order."""
    low: Any = table["period_start"].min()
    high: Any = table["period_start"].max()
    if first is not None:
        low = min(low, dt.datetime.combine(first, dt.time()))
    if last is not None:
        end = last if isinstance(last, dt.datetime) else dt.datetime.combine(last, dt.time())
        high = max(high, end)
    if every == "1h":
        count = int((high - low).total_seconds() // 3600) + 1
        return tuple(low + dt.timedelta(hours=i) for i in range(count))
    low, high = low.date(), high.date()
    if every == "1mo":
        months = range(low.year * 12 + low.month - 1, high.year * 12 + high.month)
        return tuple(dt.date(m // 12, m % 12 + 1, 1) for m in months)
    step = 7 if every == "1w" else 1
    low -= dt.timedelta(days=low.weekday() if every == "1w" else 0)
    return tuple(low + dt.timedelta(days=i) for i in range(0, (high - low).days + 1, step))


def _series(
    table: "pl.DataFrame", keys: tuple[str, ...], known: tuple[tuple[Any, ...], ...] | None
) -> "tuple[pl.DataFrame, tuple[tuple[Any, ...], ...], NDArray[np.int64]]":
    """Return the rows of the series that are followed, their key values, and each row's series."""
    if not keys:
        return table, ((),), np.zeros(table.height, dtype=np.int64)
    unique = table.select(keys).unique(maintain_order=True)
    names = unique.rows()
    if known is not None:
        place = {values: i for i, values in enumerate(known)}
        numbers = [place.get(values, -1) for values in names]
    else:
        numbers = list(range(len(names)))
    unique = unique.with_columns(__series=np.array(numbers, dtype=np.int64))
    joined = table.join(unique, on=list(keys), nulls_equal=True, maintain_order="left")
    joined = joined.filter(joined["__series"] >= 0)
    return joined, known or tuple(names), joined["__series"].to_numpy().astype(np.int64)


def _with_gaps(
    grid: Grid, empty: EmptyPeriods, has_begun: NDArray[np.bool_] | None, usual: float | None
) -> Grid:
    """Blank what is unknown: before a series begins, and where the whole table has a gap."""
    counts = grid.counts.copy()
    begun = np.logical_or.accumulate(grid.rows > 0, axis=1)
    if has_begun is not None:
        begun |= has_begun[:, None]
    counts[~begun] = np.nan
    if grid.trials is not None:
        counts[grid.trials <= 0] = np.nan
    total = grid.rows.sum(axis=0)
    inside = begun.any(axis=0)
    blank = (total == 0) & inside
    if usual is None:
        usual = float(np.median(total[inside])) if inside.any() else 0.0
    is_gap = empty == "missing" or (empty == "auto" and usual >= _NEVER_EMPTY)
    if not (is_gap and blank.any()):
        return replace(grid, counts=counts)
    counts[:, blank] = np.nan
    completeness = np.where(blank, 0.0, grid.completeness)
    when = [wording.day(grid.days[i]) for i in np.flatnonzero(blank)]
    listed = ", ".join(when[:3]) + (f" and {len(when) - 3} more" if len(when) > 3 else "")
    caveat = (
        f"No rows at all in {wording.plural(len(when), 'period')} ({listed}) although about "
        f"{wording.amount(usual)} are usual: taken as missing data, not as zero."
    )
    return replace(grid, counts=counts, completeness=completeness).with_caveats(caveat)


def _with_clock(grid: Grid, tz: str) -> Grid:
    """Let exposure follow the length of a period: clock changes, months, the edges of weeks."""
    length = _lengths(grid.days, grid.every, tz)
    counts = np.where(length > 0, grid.counts, np.nan)
    return replace(grid, counts=counts, exposure=grid.exposure * length)


def _lengths(days: tuple[Period, ...], every: Every, tz: str) -> Floats:
    """Length of each period over the usual one; an hour that the clock skips has none."""
    ones = np.ones(len(days))
    if every == "1mo":
        after = [dt.date(d.year + d.month // 12, d.month % 12 + 1, 1) for d in days]
        return np.array([(b - _date(a)).days for a, b in zip(days, after, strict=True)]) / (
            _DAYS_PER_MONTH
        )
    if tz == "UTC" or every == "1w":
        return ones
    zone = ZoneInfo(tz)
    step = dt.timedelta(hours=1) if every == "1h" else dt.timedelta(days=1)
    starts = [d if isinstance(d, dt.datetime) else dt.datetime.combine(d, dt.time()) for d in days]
    if every == "1d":
        moments = [s.replace(tzinfo=zone).timestamp() for s in (*starts, starts[-1] + step)]
        return np.diff(moments) / 86_400
    offsets = [
        (s.replace(tzinfo=zone, fold=0).utcoffset(), s.replace(tzinfo=zone, fold=1).utcoffset())
        for s in starts
    ]
    # At a gap fold 0 keeps the offset before it, so that fold 1 is ahead; at a repeated hour behind.
    return np.array([1.0 if a == b else 0.0 if (b or a) > (a or b) else 2.0 for a, b in offsets])  # type: ignore[operator]


def _date(day: Period) -> dt.date:
    return day.date() if isinstance(day, dt.datetime) else day


def add_totals(grid: Grid) -> Grid:
    """Put the totals of each prefix of the keys, and of everything, before the series."""
    series = list(grid.series)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for depth in range(len(grid.keys)):
        for i, values in enumerate(series):
            name = (*values[:depth], *([ALL] * (len(grid.keys) - depth)))
            groups.setdefault(name, []).append(i)
    names = tuple(name for name in groups if len(groups[name]) > 1)

    def stacked(values: Floats | None, *, keep_gaps: bool = False) -> Floats | None:
        if values is None:
            return None
        known = np.isfinite(values)
        tops = [np.where(known, values, 0)[groups[name]].sum(axis=0) for name in names]
        if keep_gaps:
            seen = [known[groups[name]].any(axis=0) for name in names]
            tops = [np.where(s, t, np.nan) for s, t in zip(seen, tops, strict=True)]
        return np.concatenate([np.reshape(tops, (len(names), values.shape[1])), values])

    exposure = stacked(grid.exposure)
    if grid.trials is None and exposure is not None:
        exposure[: len(names)] = grid.exposure[0]
    counts = stacked(grid.counts, keep_gaps=True)
    rows = stacked(grid.rows)
    assert counts is not None
    assert exposure is not None
    assert rows is not None
    return replace(
        grid,
        series=(*names, *grid.series),
        counts=counts,
        exposure=exposure,
        trials=stacked(grid.trials),
        squares=stacked(grid.squares),
        rows=rows,
    )
