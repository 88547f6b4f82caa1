"""Detect: put counts on a grid, predict each period from its past, join odd ones to incidents."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rcakit import frames
from rcakit.spikes.engines import follow
from rcakit.spikes.family import FAMILIES, choose_family
from rcakit.spikes.grid import EmptyPeriods, Every, add_totals
from rcakit.spikes.judgement import Direction, Judge, judged
from rcakit.spikes.question import as_levels, check_length, read_question
from rcakit.spikes.result import SpikeResult
from rcakit.spikes.resuming import resumed
from rcakit.spikes.state import State
from rcakit.validation import check_choice

__all__ = ["detect"]


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
    month_days: bool = False,
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
    month_days
        Whether days of the month differ, as billing and payouts do; of days and hours, and only
        with some months of history.
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
    check_choice(family, "family", FAMILIES)
    ask = read_question(
        time=time,
        value=value,
        by=by,
        exposure=exposure,
        every=every,
        tz=tz,
        calendar=calendar,
        month_days=month_days,
        empty=empty,
        start=start,
        as_of=as_of,
        arrived_at=arrived_at,
    )
    judge = Judge(direction, alpha, confidence_level)
    earlier = State.load(state) if isinstance(state, str | Path) else state
    words = {"unit": ask.unit(unit), "library": frames.library(data)}
    if earlier is not None:
        return resumed(data, ask, judge, earlier, totals=totals, words=words)
    grid = ask.grid(data)
    check_length(grid)
    if totals and ask.keys:
        grid = add_totals(grid)
    chosen = choose_family(grid, value=value, family=family)
    if chosen == "gauge":
        grid = as_levels(grid)
    followed = follow(grid, chosen, direction=direction)
    settings = {**ask.settings(), "family": chosen, "totals": totals, "direction": direction}
    return judged(grid, followed, judge, settings=settings, words=words)
