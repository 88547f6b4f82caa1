"""Can these rows carry the question? Freshness, gaps, impossible dates, duplicates, odd values."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.validation import check_date, check_integer, check_names

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["DataCheck", "DataResult", "inspect", "suggest_dimensions", "unit_of"]

Status = Literal["pass", "caution", "stop"]

# A last day this far from the one before it is not where regular data end.
_ISOLATED_DAYS = 14
# Rows beyond which whole-row duplicates are not counted: the set of rows would not fit in memory.
_DUPLICATE_ROWS = 5_000_000
# A day without rows means something only where days usually hold at least this many.
_BUSY_DAY = 5
# A column with more values names things rather than describes them.
_MOST_VALUES = 200
_EARLIEST = dt.datetime(1990, 1, 1)  # noqa: DTZ001 - local time, as all period starts


@dataclass(frozen=True, slots=True)
class DataCheck:
    """One check of the data: what was looked at, what was seen, what to do about it."""

    check: str
    status: Status
    n_rows: int
    detail: str
    what_to_do: str = ""


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
    """

    as_of: dt.date
    first_day: dt.date
    n_rows: int
    n_used: int
    checks: tuple[DataCheck, ...]
    daily: tuple[Record, ...]
    unit: str
    library: frames.Library

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
            for check in sorted(self.checks, key=lambda check: not _is_defect(check))
        ]

    def shown_rows(self) -> list[Record]:
        """Return the checks that found a defect."""
        return [row for row in self.to_records() if row["status"] != "pass"]

    def reading(self) -> str:
        """Say what was read, and how many checks found a defect."""
        n_defects = sum(map(_is_defect, self.checks))
        outcome = (
            f"All {len(self.checks)} checks passed."
            if not n_defects
            else f"{n_defects} of {len(self.checks)} checks found something to know."
        )
        return f"{self.findings()[0].claim} {outcome}"

    def days_before(self, days: int) -> dt.date:
        """Return the day that lies so many days before ``as_of``, or the first with data."""
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
        return (read, *(_defect(check, self.n_rows) for check in self.checks if _is_defect(check)))

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
    days = _Days(daily, now=now, as_of=None if as_of is None else check_date(as_of, "as_of"))
    start = days.as_of - dt.timedelta(days=window_days - 1)
    window = frames.between(data, time=time, start=start, end=days.as_of, tz=tz)
    checks = (
        *_time_checks(days, time),
        _gap_check(days, start),
        _zone_check(data, time),
        _duplicate_check(window),
        *(_value_check(window, name) for name in sums),
        *(check for name in dimensions for check in _dimension_checks(window, name)),
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
        unit=value or "rows",
        library=frames.library(data),
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
        return value
    stem = Path(source).stem if isinstance(source, str) else ""
    return stem.replace("_", " ") if re.fullmatch(r"[a-z][a-z_]+s", stem) else "rows"


class _Days:
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


def _time_checks(days: _Days, time: str) -> list[DataCheck]:
    checks = [
        _counted(
            "rows without a time",
            days.undated,
            f"{time} is missing or cannot be read as a date",
            "Find out why the time is missing; these rows do not count.",
        ),
        _counted(
            "future dates",
            int(days.future["n_rows"].sum()),
            f"{time} lies after today, latest {_latest(days.future)}",
            "Correct the dates at the source; these rows do not count.",
        ),
        _counted(
            "impossible dates",
            int(days.ancient["n_rows"].sum()),
            f"{time} lies before 1990",
            "Look for a default date such as 1970-01-01; these rows do not count.",
        ),
        _counted(
            "dates cut off from the rest",
            int(days.isolated["n_rows"].sum()),
            f"{time} follows the regular data only after a long gap, latest {_latest(days.isolated)}",
            "Check these dates, or set as_of to include them.",
        ),
    ]
    if days.asked is not None and days.as_of < days.asked:
        checks.append(
            DataCheck(
                "freshness",
                "caution",
                0,
                f"the last row is of {days.as_of}, {(days.asked - days.as_of).days} days before "
                f"as_of {days.asked}",
                "Ask whether the export is late or the feed has stopped.",
            )
        )
    return checks


def _latest(days: "pl.DataFrame") -> str:
    return str(days["period_start"].dt.date().sort()[-1]) if days.height else "none"


def _counted(check: str, n_rows: int, detail: str, what_to_do: str) -> DataCheck:
    """Report a count of rows that should be zero."""
    if n_rows == 0:
        return DataCheck(check, "pass", 0, "none")
    return DataCheck(check, "caution", n_rows, detail, what_to_do)


def _gap_check(days: _Days, start: dt.date) -> DataCheck:
    """Name busy windows' days without a single row."""
    import polars as pl

    inside = days.used.filter(pl.col("period_start") >= dt.datetime.combine(start, dt.time()))
    seen = {at.date() for at in inside["period_start"]}
    if not seen:
        return DataCheck("days without rows", "pass", 0, "none")
    first = min(seen)
    every_day = [first + dt.timedelta(days=i) for i in range((days.as_of - first).days + 1)]
    empty = [day for day in every_day if day not in seen]
    usual = float(inside["n_rows"].median() or 0)  # type: ignore[arg-type]
    if not empty or usual < _BUSY_DAY or len(empty) > len(every_day) / 4:
        return DataCheck("days without rows", "pass", 0, "none where days are usually busy")
    listed = ", ".join(map(str, empty[:5])) + (" …" if len(empty) > 5 else "")
    return DataCheck(
        "days without rows",
        "caution",
        len(empty),
        f"no row on {listed}, where a day usually holds {wording.amount(usual)}",
        "Ask whether the feed was down: such a day counts as zero here.",
    )


def _zone_check(data: Any, time: str) -> DataCheck:
    """Tell whether text times carry different offsets, or none."""
    import narwhals as nw
    import polars as pl

    frame = nw.from_native(data)
    if frame.collect_schema()[time] != nw.String or not frame.implementation.is_polars():
        return DataCheck("time zones", "pass", 0, "one time zone")
    offset = pl.col(time).str.extract(r"(?i)T?.*\d(z|utc|[+-]\d\d:?\d\d)$").fill_null("none")
    has_hour = pl.col(time).str.contains(r"\d\d:\d\d")
    found = (
        frame.to_native().lazy().filter(has_hour).group_by(offset.alias("offset")).len().collect()
    )
    if found.height <= 1:
        return DataCheck("time zones", "pass", 0, "one time zone")
    listed = ", ".join(sorted(found["offset"].head(6)))
    return DataCheck(
        "time zones",
        "caution",
        int(found["len"].sum() - found["len"].max()),
        f"{time} mixes offsets ({listed}); all were converted, and times without one taken as UTC",
        "Check that times without an offset really are UTC.",
    )


def _duplicate_check(window: Any) -> DataCheck:
    n_rows = int(frames.aggregate(window)["n_rows"].sum())
    if n_rows > _DUPLICATE_ROWS:
        return DataCheck("duplicate rows", "pass", 0, "not looked for: too many rows")
    return _counted(
        "duplicate rows",
        frames.count_duplicates(window),
        "equal another row in every column within the window",
        "Remove them if one event can only give one row; they count here.",
    )


def _value_check(window: Any, name: str) -> DataCheck:
    n_missing = int(frames.aggregate(window, sums=name)["n_missing"].sum())
    return _counted(
        f"missing {name}",
        n_missing,
        f"{name} is missing; it adds nothing to the sum",
        "Find out whether missing means zero.",
    )


def _dimension_checks(window: Any, name: str) -> list[DataCheck]:
    """Look for missing values and for spellings that differ only by case."""
    import polars as pl

    values = frames.aggregate(window, keys=name)
    missing = values.filter(pl.col(name).is_null())["n_rows"].sum()
    checks = [
        _counted(
            f"missing {name}",
            int(missing),
            f"{name} is missing; it is treated as a value of its own",
            "Find out whether it is missing for a reason.",
        )
    ]
    if values[name].dtype == pl.String:
        folded = values.drop_nulls(name).with_columns(
            pl.col(name).str.strip_chars().str.to_lowercase().alias("folded")
        )
        twins = folded.filter(pl.len().over("folded") > 1)
        checks.append(
            _counted(
                f"spellings of {name}",
                int(twins["n_rows"].sum()),
                f"{twins['folded'].n_unique()} values of {name} are written in more than one way "
                "(upper and lower case); each spelling counts apart",
                "Fold the spellings at the source if they mean the same.",
            )
        )
    return checks


def _is_defect(check: DataCheck) -> bool:
    return check.status != "pass"


def _defect(check: DataCheck, n_rows: int) -> Finding:
    number = float(check.n_rows)
    return Finding(
        claim=f"{check.check.capitalize()}: {wording.amount(number)} — {check.detail}.",
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
