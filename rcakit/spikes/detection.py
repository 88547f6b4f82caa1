"""Detect: put counts on a day grid, predict each day from its past, join odd days to incidents."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.spikes.grid import Grid, day_grid
from rcakit.spikes.incidents import Direction, find_incidents, scan_pvalues
from rcakit.spikes.result import SpikeResult
from rcakit.stats.baselines import weekday_baseline
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.negative_binomial import quantile
from rcakit.validation import check_choice, check_date, check_integer, check_names, check_number

if TYPE_CHECKING:
    import polars as pl

__all__ = ["detect"]

# Days before the first prediction: two whole weeks, so that each weekday has been seen twice.
_MIN_HISTORY = 14


def detect(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    by: str | Sequence[str] = (),
    exposure: str | None = None,
    every: Literal["1d"] = "1d",
    direction: Direction = "both",
    start: str | dt.date | None = None,
    as_of: str | dt.date | None = None,
    window_days: int = 84,
    tz: str = "UTC",
    alpha: float = 0.01,
    confidence_level: float = 0.95,
    unit: str | None = None,
) -> SpikeResult:
    """When did a count change, and is it real?

    Parameters
    ----------
    data
        Table in any supported engine, one row per event or already counted.
    time
        Timestamp or date column.
    value
        Non-negative column to add up per day. Without it rows are counted.
    by
        Columns whose combinations are series of their own.
    exposure
        Column that the count is relative to (reviews, views); added up per day. The count is then
        expected in proportion to it.
    every
        Step of the grid; days.
    direction
        ``up``, ``down`` or ``both``.
    start, as_of
        First and last local day; by default the first and last with data.
    window_days
        Days of history that each day is predicted from.
    tz
        Time zone of the local days.
    alpha
        Share of false alarms among all alarms (Benjamini–Hochberg across days and series).
    confidence_level
        Of prediction intervals and of the interval of an excess.
    unit
        What is counted, for the sentences.

    Returns
    -------
    SpikeResult
        Tables ``periods`` and ``incidents``.

    Raises
    ------
    NotEnoughDataError
        Fewer than three weeks of days.
    ParameterError
        A count is negative.

    Notes
    -----
    Each day is predicted by level × weekday factor × exposure from the days before it, with
    negative binomial noise; windows of 1, 3 and 7 days are scanned. Days without rows between the
    first and last day of a series are true zeros. Not for series with strong yearly seasons and
    less than the season in the window, nor for amounts whose noise grows with single large rows:
    their spread is taken from the history only.

    Examples
    --------
    >>> import rcakit
    >>> reports = rcakit.datasets.make("quiet", size="tiny").tables["reports"]
    >>> rcakit.spikes.detect(reports, time="created_at").to_records("incidents")
    []
    """
    check_choice(every, "every", ("1d",))
    check_choice(direction, "direction", ("up", "down", "both"))
    check_number(alpha, "alpha", gt=0, lt=0.5)
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    window_days = check_integer(window_days, "window_days", ge=28, le=730)
    keys = check_names(by, "by")
    sums = tuple(dict.fromkeys(name for name in (value, exposure) if name))
    table = frames.aggregate(
        data,
        keys=keys,
        time=time,
        every=every,
        tz=tz,
        sums=sums,
        squares=(value,) if value else (),
        start=None if start is None else check_date(start, "start"),
        end=None if as_of is None else check_date(as_of, "as_of"),
    )
    _check_rows(table, value)
    grid = day_grid(table, keys=keys, value=value, exposure=exposure)
    if len(grid.days) <= _MIN_HISTORY + 1:
        raise NotEnoughDataError(
            f"spikes need at least {_MIN_HISTORY + 2} days, got {len(grid.days)} "
            f"({grid.days[0]} to {grid.days[-1]}). Give more history, or an earlier start."
        )
    return _detect_on(
        grid,
        direction=direction,
        window_days=window_days,
        alpha=alpha,
        confidence_level=confidence_level,
        unit=unit or (wording.name(value) if value else "rows"),
        library=frames.library(data),
    )


def _check_rows(table: "pl.DataFrame", value: str | None) -> None:
    if table.drop_nulls("period_start").height == 0:
        raise NotEnoughDataError(
            "data must hold rows with a time between start and as_of, got none. "
            "Check the dates, and the column that is named as time."
        )
    lowest: Any = 0 if value is None else table[value].min()
    if lowest < 0:
        raise ParameterError(
            f"value must be a count or amount that is never negative, got {lowest} "
            f"as a daily sum of {value!r}. Analyse gains and losses apart."
        )


def _detect_on(
    grid: Grid,
    *,
    direction: Direction,
    window_days: int,
    alpha: float,
    confidence_level: float,
    unit: str,
    library: frames.Library,
) -> SpikeResult:
    baseline = weekday_baseline(
        grid.counts,
        grid.exposure,
        grid.weekday,
        squares=grid.squares,
        window=window_days,
        min_history=_MIN_HISTORY,
    )
    variance = baseline.variance()
    pvalue, span = scan_pvalues(grid.counts, baseline, direction=direction)
    qvalue = benjamini_hochberg(pvalue)
    is_odd = np.nan_to_num(qvalue, nan=1.0) <= alpha
    tail = (1 - confidence_level) / 2
    incidents = find_incidents(
        grid, baseline, pvalue=pvalue, qvalue=qvalue, is_odd=is_odd, span=span, tail=tail
    )
    return SpikeResult(
        keys=grid.keys,
        series=grid.series,
        days=grid.days,
        observed=grid.counts,
        expected=baseline.expected,
        expected_lower=_bound(tail, baseline.expected, variance),
        expected_upper=_bound(1 - tail, baseline.expected, variance),
        pvalue=pvalue,
        qvalue=qvalue,
        is_anomalous=is_odd,
        completeness=grid.completeness,
        incidents=incidents,
        alpha=alpha,
        unit=unit,
        library=library,
    )


def _bound(
    probability: float, expected: NDArray[np.float64], variance: NDArray[np.float64]
) -> NDArray[np.float64]:
    known = np.isfinite(expected)
    bound = np.full(expected.shape, np.nan)
    bound[known] = quantile(probability, expected[known], variance[known])
    return bound
