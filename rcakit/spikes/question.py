"""What is asked of a table, and the grid of counts that answers it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.spikes import right_edge
from rcakit.spikes.calendars import check_calendar, count_holidays
from rcakit.spikes.engines import MIN_HISTORY
from rcakit.spikes.grid import ALL, EmptyPeriods, Every, Grid, build_grid
from rcakit.spikes.right_edge import ARRIVAL, Snapshot
from rcakit.spikes.state import State
from rcakit.stats.rhythm import rhythm
from rcakit.validation import check_choice, check_date, check_names, refusal

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Question",
    "as_levels",
    "check_length",
    "check_rows",
    "read_question",
]

_LEAST = {"1h": 338, "1d": MIN_HISTORY + 2, "1w": 10, "1mo": 10}
_NAMES = {"1h": "hours", "1d": "days", "1w": "weeks", "1mo": "months"}
# Days before a resumed run from which arrivals are read again to learn how late rows come.
_ARRIVALS_BACK = 130


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the table."""

    time: str
    value: str | None
    keys: tuple[str, ...]
    exposure: str | None
    every: Every
    tz: str
    arrived_at: str | None
    calendar: str | None
    empty: EmptyPeriods
    start: dt.date | None
    snapshot: Snapshot | None
    month_days: bool = False
    span: tuple[dt.datetime, dt.datetime] | None = None  # first and last period of every grid

    def unit(self, given: str | None) -> str:
        """Say what is counted."""
        return given or (wording.name(self.value) if self.value else "rows")

    def settings(self) -> dict[str, Any]:
        """Return what a resumed run must share, as plain values."""
        names = (
            "time",
            "value",
            "exposure",
            "every",
            "tz",
            "arrived_at",
            "calendar",
            "empty",
            "month_days",
        )
        return {"by": list(self.keys), **{name: getattr(self, name) for name in names}}

    def grid(self, data: Any, earlier: State | None = None) -> Grid:
        """Bring one small aggregate home and spread it over the periods."""
        table = self._aggregate(data, earlier)
        check_rows(table, self.value)
        triangle, last = None, None
        if self.arrived_at is not None:
            table, triangle, last = right_edge.arrived_rows(
                table, self.snapshot, self.keys, every=self.every
            )
            check_rows(table, self.value)
        n_undated = int(table.filter(table["period_start"].is_null())["n_rows"].sum() or 0)
        n_missing = int(table["n_missing"].sum())
        table = table.drop_nulls("period_start")
        if earlier is not None:
            after = dt.datetime.combine(earlier.last_day + dt.timedelta(days=1), dt.time())
            table = table.filter(table["period_start"] >= after)
            check_rows(table, self.value)
        low, high = _ends(table) if self.span is None else (day.date() for day in self.span)
        days = table["period_start"].to_numpy().astype("datetime64[D]")
        is_stamped = rhythm(days) == self.every  # each week or month was added up beforehand
        if self.snapshot is not None:
            high = max(high, self.snapshot.day)
        grid = self._spread(table, earlier, self._end(high))
        grid = grid if is_stamped else _with_part_periods(grid, low, high)
        if triangle is not None and last is not None:
            grid = right_edge.scale_for_arrivals(grid, triangle, last)
        elif self.every == "1d":
            elapsed = right_edge.elapsed_share(
                data, time=self.time, tz=self.tz, last=high, snapshot=self.snapshot
            )
            grid = grid if elapsed is None else right_edge.scale_for_elapsed(grid, *elapsed)
        if self.calendar is not None:
            counted = count_holidays(self.calendar, grid.days, self.every)
            grid = replace(grid, holidays=counted)
        grid = replace(grid, month_days=self.month_days)
        return grid.with_caveats(*_row_caveats(n_undated, n_missing, self.value))

    def _aggregate(self, data: Any, earlier: State | None) -> "pl.DataFrame":
        start = self.start
        if earlier is not None:
            back = _ARRIVALS_BACK if self.arrived_at else 0
            start = earlier.last_day + dt.timedelta(days=1 - back)
        keys = self.keys
        if self.arrived_at is not None:
            by_hour = self.every == "1h"
            in_days = self.snapshot is not None and not by_hour
            data = frames.with_local_day(
                data,
                time=self.arrived_at,
                name=ARRIVAL,
                tz=self.tz,
                shift=self.snapshot.rest_of_day if self.snapshot and in_days else dt.timedelta(0),
                every="1h" if by_hour else "1d",
            )
            keys = (*keys, ARRIVAL)
        cut = self.snapshot if self.snapshot and self.snapshot.share_of_day < 1 else None
        table = frames.aggregate(
            data,
            keys=keys,
            time=self.time,
            every="1h" if self.every == "1h" or cut else "1d",
            tz=self.tz,
            sums=tuple(dict.fromkeys(name for name in (self.value, self.exposure) if name)),
            squares=(self.value,) if self.value else (),
            start=start,
            end=self.snapshot.day if self.snapshot else None,
        )
        if cut is None:
            return table
        # Of the last day only the whole hours before the moment were known then.
        known = table["period_start"].is_null() | (table["period_start"] <= cut.last_hour)
        table = table.filter(known)
        return table if self.every == "1h" else _rolled_up(table, keys, "1d")

    def _end(self, last_day: dt.date) -> dt.date | None:
        """Return the last period to show, if it is asked for: a day, or an hour."""
        if self.span is not None:
            return self.span[1]
        if self.snapshot is None:
            return None
        return self.snapshot.last_hour if self.every == "1h" else last_day

    def _spread(self, table: "pl.DataFrame", earlier: State | None, last: dt.date | None) -> Grid:
        known, has_begun, usual, first = None, None, None, self.start
        if earlier is not None:
            leaf = [i for i, values in enumerate(earlier.series) if ALL not in values]
            known = tuple(earlier.series[i] for i in leaf)
            has_begun = np.isfinite(earlier.tail["counts"][leaf]).any(axis=1)
            usual = float(np.median(earlier.tail["rows"][leaf].sum(axis=0)))
            first = earlier.last_day + dt.timedelta(days=1)
        if self.every in {"1w", "1mo"}:
            table = _rolled_up(table, self.keys, self.every)
        return build_grid(
            table,
            keys=self.keys,
            value=self.value,
            exposure=self.exposure,
            every=self.every,
            first=first if earlier is not None else self.span and self.span[0].date(),
            last=last,
            tz=self.tz,
            empty=self.empty,
            series=known,
            has_begun=has_begun,
            usual=usual,
        )


def read_question(
    *,
    time: str,
    value: str | None,
    by: str | Sequence[str],
    exposure: str | None,
    every: Every,
    tz: str,
    calendar: str | None,
    month_days: bool,
    empty: EmptyPeriods,
    start: str | dt.date | None,
    as_of: str | dt.date | dt.datetime | None,
    arrived_at: str | None = None,
) -> Question:
    """Check the options that say what is asked of a table; see `rcakit.spikes.detect`."""
    check_choice(every, "every", ("1h", "1d", "1w", "1mo"))
    check_choice(empty, "empty", ("auto", "zero", "missing"))
    keys = check_names(by, "by")
    if calendar is not None:
        check_calendar(calendar)
    if month_days and every in {"1w", "1mo"}:
        raise ParameterError(
            f"month_days is for days and hours, got every={every!r}. Leave month_days out."
        )
    return Question(
        time=time,
        value=value,
        keys=keys,
        exposure=exposure,
        every=every,
        tz=tz,
        arrived_at=arrived_at,
        calendar=calendar,
        empty=empty,
        start=None if start is None else check_date(start, "start"),
        snapshot=_snapshot(as_of, tz),
        month_days=month_days,
    )


def _snapshot(as_of: str | dt.date | dt.datetime | None, tz: str) -> Snapshot | None:
    """Read a day or a moment; naive moments are UTC."""
    if as_of is None:
        return None
    moment = as_of
    if isinstance(as_of, str) and len(as_of) > 10:
        try:
            moment = dt.datetime.fromisoformat(as_of)
        except ValueError:
            raise refusal("as_of", "an ISO date or timestamp", as_of) from None
    if not isinstance(moment, dt.datetime) or moment.time() == dt.time():
        return Snapshot(check_date(as_of, "as_of"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    local = moment.astimezone(ZoneInfo(frames.check_time_zone(tz)))
    passed = (local.hour + local.minute / 60 + local.second / 3600) / 24
    return Snapshot(local.date(), passed)


def _ends(table: "pl.DataFrame") -> tuple[dt.date, dt.date]:
    low: Any = table["period_start"].min()
    high: Any = table["period_start"].max()
    return low.date(), high.date()


def _rolled_up(table: "pl.DataFrame", keys: tuple[str, ...], every: Every) -> "pl.DataFrame":
    import polars as pl

    numbers = [name for name in table.columns if name not in {*keys, "period_start"}]
    rolled = table.with_columns(pl.col("period_start").dt.truncate(every))
    grouped = rolled.group_by(*keys, "period_start", maintain_order=True)
    return grouped.agg(pl.col(numbers).sum()).sort([*keys, "period_start"], nulls_last=True)


def _with_part_periods(grid: Grid, low: dt.date, high: dt.date) -> Grid:
    """Let the first and the last week or month count for the days of them that the data cover."""
    if grid.every not in {"1w", "1mo"}:
        return grid
    starts = [day.date() if isinstance(day, dt.datetime) else day for day in grid.days]
    length = 7 if grid.every == "1w" else 31
    after = [*starts[1:], (starts[-1] + dt.timedelta(days=length)).replace(day=1)]
    if grid.every == "1w":
        after[-1] = starts[-1] + dt.timedelta(days=7)
    share = np.ones(len(starts))
    share[0] *= (after[0] - low).days / (after[0] - starts[0]).days
    share[-1] *= ((high - starts[-1]).days + 1) / (after[-1] - starts[-1]).days
    if share[-1] == 1 and share[0] == 1:
        return grid
    caveats: tuple[str, ...] = ()
    if share[-1] < 1:
        elapsed = wording.percent(share[-1])
        caveats = (f"The last period is not over: it is expected at {elapsed} of a whole one.",)
    return replace(
        grid, exposure=grid.exposure * share, completeness=grid.completeness * share
    ).with_caveats(*caveats)


def _row_caveats(n_undated: int, n_missing: int, value: str | None) -> tuple[str, ...]:
    caveats = []
    if n_undated:
        caveats.append(f"{wording.plural(n_undated, 'row')} without a time were left out.")
    if n_missing and value:
        caveats.append(
            f"{wording.plural(n_missing, 'row')} without a value in {value!r} or its exposure "
            "add nothing; a period with nothing else is missing."
        )
    return tuple(caveats)


def check_rows(table: "pl.DataFrame", value: str | None) -> None:
    """Refuse a table without dated rows, or with infinite values."""
    if table.drop_nulls("period_start").height == 0:
        raise NotEnoughDataError(
            "data must hold rows with a time between start and as_of, got none. "
            "Check the dates, and the column that is named as time."
        )
    if value is not None and not np.isfinite(table[value].to_numpy()).all():
        raise ParameterError(
            f"column {value!r} must hold finite numbers, got infinite ones. Remove or correct them."
        )


def check_length(grid: Grid) -> None:
    """Refuse a grid that is too short to learn from."""
    least = _LEAST[grid.every]
    if len(grid.days) < least:
        raise NotEnoughDataError(
            f"spikes need at least {least} {_NAMES[grid.every]}, got {len(grid.days)} "
            f"({grid.days[0]} to {grid.days[-1]}). Give more history, or an earlier start."
        )


def as_levels(grid: Grid) -> Grid:
    """Read values as levels: the mean of a period's rows; a period without a row is not measured."""
    counts = np.where(grid.rows > 0, np.nan_to_num(grid.counts) / np.maximum(grid.rows, 1), np.nan)
    n_more = int((grid.rows > 1).sum())
    more = wording.plural(n_more, "period")
    caveat = (f"{more} with more than one value: their mean was taken.",) if n_more else ()
    return replace(grid, counts=counts).with_caveats(*caveat)
