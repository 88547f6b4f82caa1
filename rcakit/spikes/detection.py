"""Detect: put counts on a grid, predict each period from its past, join odd ones to incidents."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.spikes import right_edge
from rcakit.spikes.calendars import check_calendar, count_holidays
from rcakit.spikes.engines import MIN_HISTORY, REWIND, TAIL, Followed, follow
from rcakit.spikes.family import FAMILIES, choose_family
from rcakit.spikes.grid import (
    ALL,
    EmptyPeriods,
    Every,
    Grid,
    add_totals,
    build_grid,
    looks_per_week,
    n_closed,
)
from rcakit.spikes.incidents import find_incidents, nest
from rcakit.spikes.result import HourlySpikeResult, SpikeResult
from rcakit.spikes.right_edge import ARRIVAL, Snapshot
from rcakit.spikes.state import State
from rcakit.stats import scans
from rcakit.stats.bells import normal_quantile
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.rhythm import rhythm
from rcakit.stats.scans import Law
from rcakit.validation import check_choice, check_date, check_names, check_number, refusal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["detect"]

Floats = NDArray[np.float64]
Direction = Literal["up", "down", "both"]

_LEAST = {"1h": 338, "1d": MIN_HISTORY + 2, "1w": 10, "1mo": 10}
_NAMES = {"1h": "hours", "1d": "days", "1w": "weeks", "1mo": "months"}
# Days before a resumed run from which arrivals are read again to learn how late rows come.
_ARRIVALS_BACK = 130


def detect(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    by: str | Sequence[str] = (),
    exposure: str | None = None,
    every: Every = "1d",
    direction: Direction = "both",
    start: str | dt.date | None = None,
    as_of: str | dt.date | dt.datetime | None = None,
    arrived_at: str | None = None,
    tz: str = "UTC",
    family: Literal["auto", "count", "rate", "amount", "gauge"] = "auto",
    calendar: str | None = None,
    totals: bool = False,
    empty: EmptyPeriods = "auto",
    alpha: float = 0.01,
    confidence_level: float = 0.95,
    unit: str | None = None,
    state: State | str | Path | None = None,
) -> SpikeResult:
    """When did a count change, and is it real?

    Parameters
    ----------
    data
        Table in any supported engine, one row per event or already counted.
    time
        Timestamp or date column.
    value
        Column to add up per period, or to read as a level. Without it rows are counted.
    by
        Columns whose combinations are series of their own.
    exposure
        Column that the count is relative to (reviews, views); added up per period. Where no value
        exceeds it, the share is judged; otherwise the count is expected in proportion to it.
    every
        Length of a period: ``1h``, ``1d``, ``1w`` (from Monday) or ``1mo``. Hours and days are
        followed by a filter, weeks and months by a regression.
    direction
        ``up``, ``down`` or ``both``.
    start
        First local day; by default the first with data.
    as_of
        Last local day, or the moment (naive means UTC) whose knowledge is replayed: later rows are
        not looked at (of a day that is not over its whole hours are), nor, with `arrived_at`, rows
        that arrived later. By default the last day with data. A midnight without more stands for its whole day.
    arrived_at
        Column with the time at which a row arrived; recent days are then compared with the share
        of their rows that should have arrived by now.
    tz
        Time zone of the local days.
    family
        ``count``, ``rate`` (a share of the exposure), ``amount`` (rows of very different size), or
        ``gauge`` (a level such as a backlog, one value per period); ``auto`` chooses from the data,
        and ``result.family`` says what was chosen.
    calendar
        Code of a country such as ``DE`` or ``US-CA``, whose public holidays are expected to differ.
    totals
        Whether to follow the totals of each prefix of `by`, and of everything, too. Incidents of
        parts are then listed under those of their totals.
    empty
        What a period without a row in the whole table is: ``zero``, ``missing``, or ``auto``
        (missing where 20 rows or more are usual).
    alpha
        Share of false alarms among all alarms, for a week of looks at all series
        (Benjamini–Hochberg across series in each period). ``result.false_alarms_per_week`` says
        how many false alarms to expect.
    confidence_level
        Of prediction intervals and of the interval of an excess.
    unit
        What is counted, for the sentences.
    state
        ``result.state`` of an earlier call, or the file it was saved to. Only rows after its last
        day are used, and only those days are computed.

    Returns
    -------
    SpikeResult
        Tables ``periods`` and ``incidents``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 16 days (two weeks of hours, 10 weeks or months).
    ParameterError
        A value is negative and not a gauge; an option is not allowed.
    SchemaError
        A column is missing or has the wrong type.

    Notes
    -----
    Days and hours: a robust discounted Gamma-Poisson filter with weekday (hour-of-week) factors,
    scanned over the last 1, 2 and 5 periods; see `rcakit.stats.filters`. Weeks and months: a robust
    quasi-Poisson regression fitted before every period; see `rcakit.stats.regression`.

    Periods without rows are true zeros after a series has begun. Not for daily series with a strong
    yearly season that moves fast (give a `calendar` for holidays), nor for fewer than two weeks.

    Examples
    --------
    >>> import rcakit
    >>> reports = rcakit.datasets.make("quiet", size="tiny").tables["reports"]
    >>> rcakit.spikes.detect(reports, time="created_at").to_records("incidents")
    []
    """
    check_choice(every, "every", ("1h", "1d", "1w", "1mo"))
    check_choice(direction, "direction", ("up", "down", "both"))
    check_choice(family, "family", FAMILIES)
    check_choice(empty, "empty", ("auto", "zero", "missing"))
    check_number(alpha, "alpha", gt=0, lt=0.5)
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    keys = check_names(by, "by")
    if calendar is not None:
        check_calendar(calendar)
    ask = _Question(
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
    )
    judge = _Judge(direction, alpha, (1 - confidence_level) / 2)
    earlier = State.load(state) if isinstance(state, str | Path) else state
    words = {
        "unit": unit or (wording.name(value) if value else "rows"),
        "library": frames.library(data),
    }
    if earlier is not None:
        return _resumed(data, ask, judge, earlier, totals=totals, words=words)
    grid = ask.grid(data)
    _check_length(grid)
    if totals and keys:
        grid = add_totals(grid)
    chosen = choose_family(grid, value=value, family=family)
    if chosen == "gauge":
        grid = _levels(grid)
    followed = follow(grid, chosen, direction=direction)
    settings = {**ask.settings(), "family": chosen, "totals": totals, "direction": direction}
    return _result(grid, followed, judge, settings=settings, words=words)


@dataclass(frozen=True, slots=True)
class _Question:
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

    def settings(self) -> dict[str, Any]:
        """Return what a resumed run must share, as plain values."""
        names = ("time", "value", "exposure", "every", "tz", "arrived_at", "calendar", "empty")
        return {"by": list(self.keys), **{name: getattr(self, name) for name in names}}

    def grid(self, data: Any, earlier: State | None = None) -> Grid:
        """Bring one small aggregate home and spread it over the periods."""
        table = self._aggregate(data, earlier)
        _check_rows(table, self.value)
        triangle, last = None, None
        if self.arrived_at is not None:
            table, triangle, last = right_edge.arrived_rows(
                table, self.snapshot, self.keys, every=self.every
            )
            _check_rows(table, self.value)
        n_undated = int(table.filter(table["period_start"].is_null())["n_rows"].sum() or 0)
        n_missing = int(table["n_missing"].sum())
        table = table.drop_nulls("period_start")
        if earlier is not None:
            after = dt.datetime.combine(earlier.last_day + dt.timedelta(days=1), dt.time())
            table = table.filter(table["period_start"] >= after)
            _check_rows(table, self.value)
        low, high = _ends(table)
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
            first=first if earlier is not None else None,
            last=last,
            tz=self.tz,
            empty=self.empty,
            series=known,
            has_begun=has_begun,
            usual=usual,
        )


@dataclass(frozen=True, slots=True)
class _Judge:
    """What counts as odd."""

    direction: Direction
    alpha: float
    tail: float


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


def _check_rows(table: "pl.DataFrame", value: str | None) -> None:
    if table.drop_nulls("period_start").height == 0:
        raise NotEnoughDataError(
            "data must hold rows with a time between start and as_of, got none. "
            "Check the dates, and the column that is named as time."
        )
    if value is not None and not np.isfinite(table[value].to_numpy()).all():
        raise ParameterError(
            f"column {value!r} must hold finite numbers, got infinite ones. Remove or correct them."
        )


def _check_length(grid: Grid) -> None:
    least = _LEAST[grid.every]
    if len(grid.days) < least:
        raise NotEnoughDataError(
            f"spikes need at least {least} {_NAMES[grid.every]}, got {len(grid.days)} "
            f"({grid.days[0]} to {grid.days[-1]}). Give more history, or an earlier start."
        )


def _levels(grid: Grid) -> Grid:
    """Read values as levels: the mean of a period's rows; a period without a row is not measured."""
    counts = np.where(grid.rows > 0, np.nan_to_num(grid.counts) / np.maximum(grid.rows, 1), np.nan)
    n_more = int((grid.rows > 1).sum())
    more = wording.plural(n_more, "period")
    caveat = (f"{more} with more than one value: their mean was taken.",) if n_more else ()
    return replace(grid, counts=counts).with_caveats(*caveat)


def _result(
    grid: Grid,
    followed: Followed,
    judge: _Judge,
    *,
    settings: Mapping[str, Any],
    words: Mapping[str, Any],
    offset: int = 0,
) -> SpikeResult:
    """Judge all periods together, join the odd ones, and put everything into a result."""
    looks = looks_per_week(grid.every)
    qvalue = benjamini_hochberg(np.minimum(followed.pvalue * looks, 1), axis=0)
    is_odd = np.nan_to_num(qvalue, nan=1.0) <= judge.alpha
    incidents = find_incidents(
        grid, followed, qvalue=qvalue, is_odd=is_odd, tail=judge.tail, offset=offset
    )
    if settings["totals"]:
        incidents = nest(incidents)
    judged = np.isfinite(followed.pvalue).any(axis=0)
    n_odd = is_odd.sum(axis=0)[judged]
    caveats = grid.caveats
    if followed.n_set_aside:
        what = wording.plural(followed.n_set_aside, "period")
        caveats += (f"In {what} a single row of unusual size was set aside.",)
    early = ~np.isfinite(followed.pvalue)
    law = followed.law
    shown = Law(
        np.where(early & ~np.isfinite(grid.counts), np.nan, law.expected), law.noise, law.error
    )
    low, high = _bounds(grid, followed, shown, judge.tail)
    young = np.cumsum(np.isfinite(grid.counts), axis=1) <= (MIN_HISTORY if offset == 0 else 0)
    expected = np.where(young & early, np.nan, shown.expected)
    kind = HourlySpikeResult if grid.every == "1h" else SpikeResult
    return kind(
        keys=grid.keys,
        series=grid.series,
        days=grid.days,
        observed=grid.counts,
        expected=expected,
        expected_lower=np.where(np.isnan(expected), np.nan, low),
        expected_upper=np.where(np.isnan(expected), np.nan, high),
        pvalue=followed.pvalue,
        qvalue=qvalue,
        is_anomalous=is_odd,
        completeness=np.broadcast_to(grid.completeness, grid.counts.shape),
        incidents=incidents,
        alpha=judge.alpha,
        unit=words["unit"],
        library=words["library"],
        family=followed.family,
        every=grid.every,
        false_alarms_per_week=float(judge.alpha * np.maximum(n_odd, 1).mean())
        if len(n_odd)
        else 0.0,
        caveats=caveats,
        state=_state(grid, followed, qvalue, settings, offset),
    )


def _bounds(grid: Grid, followed: Followed, law: Law, tail: float) -> tuple[Floats, Floats]:
    """Return the prediction interval of each period under the law of its family."""
    if followed.family == "gauge":
        reach = float(normal_quantile(1 - tail)) * np.sqrt(law.variance())
        return law.expected - reach, law.expected + reach
    if followed.family == "rate":
        low, high = (scans.share_bounds(law, grid.exposure, p) for p in (tail, 1 - tail))
        return low, high
    unit = followed.unit_size
    scaled = Law(law.expected / unit, law.noise / unit**2, law.error)
    return scans.count_bounds(scaled, tail) * unit, scans.count_bounds(scaled, 1 - tail) * unit


def _state(
    grid: Grid, followed: Followed, qvalue: Floats, settings: Mapping[str, Any], offset: int
) -> State | None:
    """Keep what a next day needs: the tail up to the last complete period, and the filters' memory."""
    marks = followed.checkpoints
    edge = n_closed(grid)
    before = [m for m in marks if m.step <= offset + edge - TAIL]
    rewind = [m for m in marks if m.step == offset + edge - REWIND]
    if not rewind or not before:
        before = marks[:1] if marks and marks[0].step <= offset + edge - REWIND else ()  # type: ignore[assignment]
    if not rewind or not before:
        return None
    first = before[-1].step
    tail = slice(first - offset, edge)
    arrays: dict[str, Any] = {
        "counts": grid.counts,
        "exposure": grid.exposure,
        "rows": grid.rows,
        "expected": followed.law.expected,
        "noise": followed.law.noise,
        "error": followed.law.error,
        "pvalue": followed.pvalue,
        "qvalue": qvalue,
        "span": followed.span,
    }
    arrays |= {"variance": followed.variance} if followed.variance is not None else {}
    arrays |= {"level": followed.level} if followed.level is not None else {}
    arrays |= {"base": followed.base} if followed.base is not None else {}
    arrays |= {"trials": grid.trials} if grid.trials is not None else {}
    arrays |= {"squares": grid.squares} if grid.squares is not None else {}
    kept = {name: np.ascontiguousarray(values[:, tail]) for name, values in arrays.items()}
    kept["completeness"] = grid.completeness[tail]
    return State(
        settings=settings,
        series=grid.series,
        first_step=first,
        days=grid.days[tail],
        tail=kept,
        unit_size=followed.unit_size,
        checkpoints=tuple(m for m in marks if first <= m.step <= offset + edge),
    )


def _resumed(
    data: Any,
    ask: _Question,
    judge: _Judge,
    earlier: State,
    *,
    totals: bool,
    words: Mapping[str, Any],
) -> SpikeResult:
    """Go on where an earlier run stopped: only periods after its last day are computed."""
    asked = {**ask.settings(), "totals": totals, "direction": judge.direction}
    other = {k: v for k, v in asked.items() if earlier.settings[k] != v}
    if other:
        name = next(iter(other))
        raise refusal(
            name,
            f"{earlier.settings[name]!r} as in the state",
            other[name],
            "Or run without state.",
        )
    grid = ask.grid(data, earlier)
    if totals and ask.keys:
        grid = add_totals(grid)
    family = earlier.settings["family"]
    if family == "gauge":
        grid = _levels(grid)
    whole = _after_tail(earlier, grid, ask)
    n_tail = len(earlier.days)
    mark = earlier.first_step + n_tail - REWIND
    resume = next(m for m in earlier.checkpoints if m.step == mark)
    recent = _columns(whole, slice(n_tail - REWIND, None))
    new = follow(
        recent, family, direction=judge.direction, unit_size=earlier.unit_size, resume=resume
    )
    tail = earlier.tail
    fresh = slice(REWIND, None)
    before = _tail_law(earlier, new)
    law = Law(
        *(
            np.concatenate([getattr(before, name), getattr(new.law, name)[:, fresh]], axis=1)
            for name in ("expected", "noise", "error")
        )
    )
    old = tuple(m for m in earlier.checkpoints if m.step <= mark)
    followed = Followed(
        family=family,
        law=law,
        pvalue=np.concatenate([tail["pvalue"], new.pvalue[:, fresh]], axis=1),
        span=np.concatenate([tail["span"], new.span[:, fresh]], axis=1),
        unit_size=earlier.unit_size,
        checkpoints=(*old, *(m for m in new.checkpoints if m.step > mark)),
        level=_extended(tail.get("level"), new.level, fresh),
        base=_extended(tail.get("base"), new.base, fresh),
        variance=_extended(tail.get("variance"), new.variance, fresh),
        n_set_aside=new.n_set_aside,
    )
    return _result(
        whole,
        followed,
        judge,
        settings=earlier.settings,
        words=words,
        offset=earlier.first_step,
    )


def _tail_law(earlier: State, new: Followed) -> Law:
    """Return the forecasts of the tail, their variance split as a full run would split it now."""
    tail = earlier.tail
    if "variance" not in tail:
        return Law(tail["expected"], tail["noise"], tail["error"])
    unit = earlier.unit_size
    end: Any = new.checkpoints[-1].state
    law = scans.split(tail["expected"] / unit, tail["variance"], end)
    return Law(tail["expected"], law.noise * unit**2, law.error)


def _extended(tail: Floats | None, new: Floats | None, fresh: slice) -> Floats | None:
    if tail is None or new is None:
        return None
    return np.concatenate([tail, new[:, fresh]], axis=1)


def _after_tail(earlier: State, new: Grid, ask: _Question) -> Grid:
    """Put new periods after the tail of a state."""
    tail = earlier.tail

    def joined(name: str, values: Floats | None) -> Floats | None:
        return None if values is None else np.concatenate([tail[name], values], axis=1)

    n_tail = len(earlier.days)
    days = (*earlier.days, *new.days)
    whole = replace(
        new,
        days=days,
        counts=joined("counts", new.counts),  # type: ignore[arg-type]
        exposure=joined("exposure", new.exposure),  # type: ignore[arg-type]
        rows=joined("rows", new.rows),  # type: ignore[arg-type]
        trials=joined("trials", new.trials),
        squares=joined("squares", new.squares),
        completeness=np.concatenate([tail["completeness"], new.completeness]),
        completeness_error=np.concatenate([np.zeros(n_tail), new.completeness_error]),
    )
    if ask.calendar is None:
        return whole
    return replace(whole, holidays=count_holidays(ask.calendar, days, ask.every))


def _columns(grid: Grid, part: slice) -> Grid:
    """Return some periods of a grid."""

    def cut(values: Floats | None) -> Floats | None:
        return None if values is None else values[:, part]

    return replace(
        grid,
        days=grid.days[part],
        counts=grid.counts[:, part],
        exposure=grid.exposure[:, part],
        rows=grid.rows[:, part],
        trials=cut(grid.trials),
        squares=cut(grid.squares),
        completeness=grid.completeness[part],
        completeness_error=grid.completeness_error[part],
        holidays=None if grid.holidays is None else grid.holidays[part],
    )
