"""Can these rows carry the question? Freshness, gaps, impossible dates, duplicates, odd values."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.sources.checks import (
    DataCheck,
    dimension_checks,
    duplicate_check,
    gap_check,
    is_defect,
    time_checks,
    value_check,
    zone_check,
)
from rcakit.sources.days import Days
from rcakit.stats.rhythm import Rhythm, rhythm
from rcakit.validation import check_date, check_integer, check_names

if TYPE_CHECKING:
    import altair as alt

# A column with more values names things rather than describes them.
_MOST_VALUES = 200
_LEAST_HISTORY = {"1d": 0, "1w": 3 * 366, "1mo": 5 * 366}

__all__ = ["DataResult", "inspect", "suggest_dimensions", "unit_of"]


@dataclass(frozen=True, slots=True)
class DataResult(Result):
    """What the data hold, and which defects a reader must know of.

    Attributes
    ----------
    as_of, first_day
        Last and first local day that hold data and count for the analysis.
    n_rows, n_used
        Rows in the table, and rows on days up to ``as_of``.
    checks
        Every check with its status.
    daily
        Rows per day: ``period_start``, ``n_rows``.
    unit
        What a row is, or the column that is added up.
    every
        Rhythm of the rows: ``1d``, or ``1w`` and ``1mo`` where each week or month was added up
        beforehand and carries one date.
    """

    as_of: dt.date
    first_day: dt.date
    n_rows: int
    n_used: int
    checks: tuple[DataCheck, ...]
    daily: tuple[Record, ...]
    unit: str
    library: frames.Library
    every: Rhythm = "1d"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "checks": MappingProxyType(
                {
                    "check": "String",
                    "status": "String",
                    "n_rows": "Int64",
                    "detail": "String",
                    "what_to_do": "String",
                }
            ),
            "daily": MappingProxyType({"period_start": "Date", "n_rows": "Int64"}),
        }
    )

    shown: ClassVar[tuple[str, ...]] = ("status", "check", "n_rows", "detail", "what_to_do")

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the checks, defects first, or the rows per day."""
        if self._table(table) == "daily":
            return [dict(row) for row in self.daily]
        return [
            {name: getattr(check, name) for name in self.tables["checks"]}
            for check in sorted(self.checks, key=lambda check: not is_defect(check))
        ]

    def shown_rows(self) -> list[Record]:
        """Return the checks that found a defect."""
        return [row for row in self.to_records() if row["status"] != "pass"]

    def reading(self) -> str:
        """Say what was read, and how many checks found a defect."""
        n_defects = sum(map(is_defect, self.checks))
        outcome = (
            f"All {len(self.checks)} checks passed."
            if not n_defects
            else f"{n_defects} of {len(self.checks)} checks found something to know."
        )
        return f"{self.findings()[0].claim} {outcome}"

    def days_before(self, days: int) -> dt.date:
        """Return the day that lies so many days before ``as_of``, or the first with data.

        A table by the week or month goes back three or five years at least: it has few rows.
        """
        days = max(days, _LEAST_HISTORY[self.every])
        return max(self.first_day, self.as_of - dt.timedelta(days=days))

    def findings(self) -> tuple[Finding, ...]:
        """Return what was read, then each defect."""
        read = Finding(
            claim=(
                f"The table holds {wording.plural(self.n_rows, 'row')}; "
                f"{wording.amount(self.n_used)} of them lie on days from {self.first_day} "
                f"to {self.as_of} and count here."
            ),
            kind="data_quality",
            estimate=float(self.n_used),
            ci_lower=float(self.n_used),
            ci_upper=float(self.n_used),
            unit="rows",
            n_obs=self.n_rows,
            method="count",
            evidence={"as_of": self.as_of, "first_day": self.first_day},
        )
        return (read, *(_defect(check, self.n_rows) for check in self.checks if is_defect(check)))

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the rows per day."""
        from rcakit.plots.series import daily_rows

        return daily_rows(
            list(self.daily), title=f"{wording.amount(self.n_used)} rows up to {self.as_of}"
        )


def inspect(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    denominator: str | None = None,
    dimensions: Sequence[str] = (),
    as_of: str | dt.date | None = None,
    window_days: int = 112,
    tz: str = "UTC",
    today: str | dt.date | None = None,
) -> DataResult:
    """Can these rows carry the question?

    Parameters
    ----------
    data
        Table in any supported engine.
    time, value, denominator, dimensions
        Columns that the analysis will use. Without ``value`` rows are counted.
    as_of
        Last day to count, as if nothing later were known. By default the last day with rows that
        is not in the future and not cut off from the rest by two weeks or more.
    window_days
        Days up to ``as_of`` in which gaps, duplicates and odd values are looked for.
    tz
        Time zone of the local days.
    today
        The day after which dates are impossible; the clock's by default.

    Returns
    -------
    DataResult

    Raises
    ------
    SchemaError
        A column is missing or of the wrong type.
    NotEnoughDataError
        The table has no rows, or none with a possible time up to ``as_of``.

    Notes
    -----
    Nothing is repaired. Rows without a time, in the future or after ``as_of`` do not count in any
    analysis of the window; all other defects are counted and said.

    Examples
    --------
    >>> import rcakit
    >>> data = rcakit.read("data_samples/quiet/reports.parquet")
    >>> rcakit.sources.inspect(data, time="created_at").checks[0].status
    'pass'
    """
    window_days = check_integer(window_days, "window_days", ge=1, le=3660)
    dimensions = check_names(dimensions, "dimensions")
    now = dt.datetime.now(dt.UTC).date() if today is None else check_date(today, "today")
    sums = tuple(dict.fromkeys(name for name in (value, denominator) if name))
    daily = frames.aggregate(data, time=time, tz=tz, sums=sums)
    n_rows = int(daily["n_rows"].sum())
    if n_rows == 0:
        raise NotEnoughDataError(
            "data must hold rows, got an empty table. Check the path, the query and the export."
        )
    days = Days(daily, now=now, as_of=None if as_of is None else check_date(as_of, "as_of"))
    start = days.as_of - dt.timedelta(days=window_days - 1)
    window = frames.between(data, time=time, start=start, end=days.as_of, tz=tz)
    checks = (
        *time_checks(days, time),
        gap_check(days, start),
        zone_check(data, time),
        duplicate_check(window),
        *(value_check(window, name) for name in sums),
        *(check for name in dimensions for check in dimension_checks(window, name)),
    )
    used = days.used
    return DataResult(
        as_of=days.as_of,
        first_day=used["period_start"][0].date(),
        n_rows=n_rows,
        n_used=int(used["n_rows"].sum()),
        checks=checks,
        daily=tuple(
            {"period_start": at.date(), "n_rows": n}
            for at, n in used.select("period_start", "n_rows").rows()
        ),
        unit=wording.name(value) if value else "rows",
        library=frames.library(data),
        every=rhythm(used["period_start"].to_numpy().astype("datetime64[D]")),
    )


def suggest_dimensions(data: Any, *, leave_out: Sequence[str | None] = ()) -> tuple[str, ...]:
    """Return the columns worth searching: text or yes/no, with 2 to 200 values each.

    Parameters
    ----------
    data
        Table in any supported engine.
    leave_out
        Columns that play another part.
    """
    import narwhals as nw

    schema = nw.from_native(data).collect_schema()
    wordy = {nw.String, nw.Categorical, nw.Enum, nw.Boolean}
    names = [name for name, kind in schema.items() if kind in wordy and name not in leave_out]
    return tuple(
        name
        for name in names
        if not name.endswith("_id")
        and 2 <= frames.aggregate(data, keys=name).height <= _MOST_VALUES
    )


def unit_of(source: object, value: str | None) -> str:
    """Say what is counted: the column that is added up, else what the file is called."""
    if value is not None:
        return wording.name(value)
    stem = Path(source).stem if isinstance(source, str) else ""
    return stem.replace("_", " ") if re.fullmatch(r"[a-z][a-z_]+s", stem) else "rows"


def _defect(check: DataCheck, n_rows: int) -> Finding:
    number = float(check.n_rows)
    return Finding(
        claim=f"{check.check[:1].upper()}{check.check[1:]}: {wording.amount(number)} — {check.detail}.",
        kind="data_quality",
        estimate=number,
        ci_lower=number,
        ci_upper=number,
        unit="days" if check.check in {"days without rows", "freshness"} else "rows",
        n_obs=max(n_rows, 1),
        method="count",
        next_steps=(check.what_to_do,) if check.what_to_do else (),
        evidence={"check": check.check, "status": check.status},
    )
