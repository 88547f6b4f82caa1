"""Of those who started together, how many are still here (or back again) later?"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats.proportions import newcombe_difference, wilson
from rcakit.validation import check_choice, check_integer, check_number

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["RetentionResult", "retention"]

Ints = npt.NDArray[np.int64]
Measure = Literal["active", "returned"]

_STEP_WORDS = {"1d": "day", "1w": "week", "1mo": "month"}


@dataclass(frozen=True, slots=True)
class RetentionResult(Result):
    """Share of a start period's units that are active (or came back) at each age.

    Attributes
    ----------
    rows
        The rows of the table.
    every
        Length of a period.
    measure
        ``active`` in that period, or ``returned`` by then.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    rows: tuple[Record, ...]
    every: str
    measure: Measure
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "retention": {
            "started_at": "Date",
            "age": "Int64",
            "started_count": "Int64",
            "active_count": "Int64",
            "active_rate": "Float64",
            "active_rate_ci_lower": "Float64",
            "active_rate_ci_upper": "Float64",
            "is_complete": "Boolean",
        }
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per start period and age."""
        self._table(table)
        return [dict(row) for row in self.rows]

    def findings(self) -> tuple[Finding, ...]:
        """Say whether later starters stay more or less than earlier ones, one period on."""
        step, method = (
            _STEP_WORDS[self.every],
            "share one period after the start, early against late",
        )
        first = [row for row in self.rows if row["age"] == 1 and row["is_complete"]]
        if len(first) < 2:
            return (
                withheld(
                    "change",
                    f"Whether later starters stay longer cannot be told yet: one {step} "
                    "after the start is known for fewer than two groups.",
                    why="too few start periods",
                    unit="share",
                    method=method,
                ),
            )
        middle = len(first) // 2
        parts = [
            (sum(row["active_count"] for row in side), sum(row["started_count"] for row in side))
            for side in (first[middle:], first[:middle])
        ]
        (late, n_late), (early, n_early) = parts
        low, high = newcombe_difference(late, n_late, early, n_early)
        effect = late / n_late - early / n_early
        same = low <= 0 <= high
        word = "are active" if self.measure == "active" else "came back"
        claim = (
            f"One {step} after the start {wording.percent(late / n_late)} of later starters {word}, "
            f"against {wording.percent(early / n_early)} of earlier ones"
            f"{': no difference to speak of' if same else ''}."
        )
        return (
            Finding(
                claim=claim,
                kind="ruled_out" if same else "change",
                estimate=effect,
                ci_lower=float(low),
                ci_upper=float(high),
                unit="share",
                n_obs=n_late + n_early,
                method=method,
                caveats=self.caveats,
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the heat map of start period by age."""
        from rcakit.plots import cohorts

        return cohorts.retention(
            self.to_records(), title=self.reading(), step=_STEP_WORDS[self.every]
        )


def retention(
    data: Any,
    *,
    unit: str,
    time: str,
    every: str = "1mo",
    measure: Measure = "active",
    max_age: int = 12,
    min_cell: int = 10,
    tz: str = "UTC",
    confidence_level: float = 0.95,
) -> RetentionResult:
    """Of reporters, creators or offenders who started together, how many are back later?

    Parameters
    ----------
    data
        Table with one row per event, in any supported engine.
    unit
        Column of who acts (account, reporter, creator).
    time
        Time of the event.
    every
        Length of a period: ``1d``, ``1w`` or ``1mo``.
    measure
        ``active``: has an event in that very period. ``returned``: has had a later event by then,
        the measure of relapse.
    max_age
        Periods after the start to follow.
    min_cell
        Start periods with fewer units are not shown.
    tz
        Time zone of the periods.
    confidence_level
        Of the Wilson intervals.

    Returns
    -------
    RetentionResult
        One row per start period and age; ages that lie in the future have no row, and those of
        the last period, which may go on, are not ``is_complete``.

    Raises
    ------
    NotEnoughDataError
        No start period with enough units.

    Notes
    -----
    The start is a unit's first event in the data, so the first periods hold units that began
    earlier; give more history than you read. The last period may be incomplete.

    References
    ----------
    Wilson (1927), JASA 22, p. 209.

    Examples
    --------
    >>> import datetime as dt, polars as pl, rcakit.cohorts as cohorts
    >>> events = pl.DataFrame({
    ...     "account": [*range(20), *range(5)],
    ...     "at": [dt.date(2026, 1, 5)] * 20 + [dt.date(2026, 2, 5)] * 5,
    ... })
    >>> cohorts.retention(events, unit="account", time="at").to_records()[1]["active_rate"]
    0.25
    """
    check_choice(every, "every", tuple(_STEP_WORDS))
    check_choice(measure, "measure", ("active", "returned"))
    check_integer(max_age, "max_age", ge=1, le=400)
    check_integer(min_cell, "min_cell", ge=1)
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    seen = frames.aggregate(data, keys=unit, time=time, every=every, tz=tz)
    lost = int(seen.filter(seen[unit].is_null() | seen["period_start"].is_null())["n_rows"].sum())
    seen = seen.drop_nulls([unit, "period_start"])
    if seen.height == 0:
        raise NotEnoughDataError("no event has both a unit and a time.")
    start, age, period = _ages(seen, unit, every)
    last = int(period.max())
    caveats = [
        (
            "The last period may be incomplete and does not enter the claim; units of the first "
            "periods may have begun earlier."
        )
    ]
    if lost:
        caveats.append(f"{wording.plural(lost, 'event')} without unit or time did not count.")
    rows: list[Record] = []
    small = 0
    for begin in np.unique(start):
        mine = age[start == begin]
        started = int(np.sum(mine == 0))
        if started < min_cell:
            small += 1
            continue
        oldest = min(max_age, last - int(begin))
        active = _counts(mine, oldest, measure, seen, start == begin, unit)
        rows += [
            row | {"is_complete": int(begin) + row["age"] < last}
            for row in _row_per_age(begin, every, started, active, confidence_level)
        ]
    if small:
        caveats.append(
            f"{wording.plural(small, 'start period')} with fewer than {min_cell} units "
            "are not shown."
        )
    if not rows:
        raise NotEnoughDataError(
            f"every start period has fewer than {min_cell} units. Use a longer period with every=."
        )
    return RetentionResult(tuple(rows), every, measure, tuple(caveats), frames.library(data))


def _ages(seen: "pl.DataFrame", unit: str, every: str) -> tuple[Ints, Ints, Ints]:
    """Return start, age and period of each unit and period, counted in periods."""
    import polars as pl

    at = pl.col("period_start")
    days = at.dt.date().cast(pl.Int32).cast(pl.Int64)
    number = {
        "1d": days,
        "1w": (days + 3) // 7,  # 1970-01-01 was a Thursday; weeks begin on Monday
        "1mo": at.dt.year().cast(pl.Int64) * 12 + at.dt.month().cast(pl.Int64) - 1,
    }[every]
    table = seen.with_columns(__period=number)
    table = table.with_columns(__start=pl.col("__period").min().over(unit))
    period, start = table["__period"].to_numpy(), table["__start"].to_numpy()
    return start, period - start, period


def _counts(
    age: Ints,
    oldest: int,
    measure: Measure,
    seen: "pl.DataFrame",
    mine: npt.NDArray[np.bool_],
    unit: str,
) -> Ints:
    """Return how many units are active at each age, or have returned by it."""
    if measure == "active":
        return np.bincount(age[age <= oldest], minlength=oldest + 1)
    who = seen[unit].rank("dense").to_numpy()[mine]
    later = age > 0
    order = np.lexsort((age[later], who[later]))
    first = np.unique(who[later][order], return_index=True)[1]
    returned = np.bincount(age[later][order][first], minlength=oldest + 1)[: oldest + 1]
    return np.cumsum(returned)


def _row_per_age(
    begin: int, every: str, started: int, active: Ints, confidence_level: float
) -> list[Record]:
    low, high = wilson(active, started, confidence_level=confidence_level)
    return [
        {
            "started_at": _first_day(int(begin), every),
            "age": age,
            "started_count": started,
            "active_count": int(active[age]),
            "active_rate": float(active[age] / started),
            "active_rate_ci_lower": float(low[age]),
            "active_rate_ci_upper": float(high[age]),
        }
        for age in range(active.size)
    ]


def _first_day(number: int, every: str) -> dt.date:
    if every == "1mo":
        return dt.date(number // 12, number % 12 + 1, 1)
    days = number if every == "1d" else number * 7 - 3
    return dt.date(1970, 1, 1) + dt.timedelta(days=days)
