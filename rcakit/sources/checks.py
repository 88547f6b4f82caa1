"""One function per check of the data: what was looked at, what was seen, what to do about it."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rcakit import frames, wording
from rcakit.sources.days import Days

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "DataCheck",
    "dimension_checks",
    "duplicate_check",
    "gap_check",
    "is_defect",
    "time_checks",
    "value_check",
    "zone_check",
]

Status = Literal["pass", "caution", "stop"]

# Rows beyond which whole-row duplicates are not counted: the set of rows would not fit in memory.
_DUPLICATE_ROWS = 5_000_000
# A day without rows means something only where days usually hold at least this many.
_BUSY_DAY = 5


@dataclass(frozen=True, slots=True)
class DataCheck:
    """One check of the data: what was looked at, what was seen, what to do about it."""

    check: str
    status: Status
    n_rows: int
    detail: str
    what_to_do: str = ""


def time_checks(days: Days, time: str) -> list[DataCheck]:
    """Count rows whose time is missing, impossible or cut off, and say how fresh the data are."""
    checks = [
        _counted(
            "rows without a time",
            days.undated,
            f"{wording.name(time)} is missing or cannot be read as a date",
            "Find out why the time is missing; these rows do not count.",
        ),
        _counted(
            "future dates",
            int(days.future["n_rows"].sum()),
            f"{wording.name(time)} lies after today, latest {_latest(days.future)}",
            "Correct the dates at the source; these rows do not count.",
        ),
        _counted(
            "impossible dates",
            int(days.ancient["n_rows"].sum()),
            f"{wording.name(time)} lies before 1990",
            "Look for a default date such as 1970-01-01; these rows do not count.",
        ),
        _counted(
            "dates cut off from the rest",
            int(days.isolated["n_rows"].sum()),
            f"{wording.name(time)} follows the regular data only after a long gap, latest {_latest(days.isolated)}",
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


def gap_check(days: Days, start: dt.date) -> DataCheck:
    """Name days without a single row where days are usually busy."""
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
        "Ask whether the feed was down on such a day.",
    )


def zone_check(data: Any, time: str) -> DataCheck:
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
        f"{wording.name(time)} mixes offsets ({listed}); all were converted, and times without one taken as UTC",
        "Check that times without an offset really are UTC.",
    )


def duplicate_check(window: Any) -> DataCheck:
    """Count rows that repeat another in every column."""
    n_rows = int(frames.aggregate(window)["n_rows"].sum())
    if n_rows > _DUPLICATE_ROWS:
        return DataCheck("duplicate rows", "pass", 0, "not looked for: too many rows")
    return _counted(
        "duplicate rows",
        frames.count_duplicates(window),
        "equal another row in every column within the window",
        "Remove them if one event can only give one row; they count here.",
    )


def value_check(window: Any, name: str) -> DataCheck:
    """Count rows in which a column that is added up is missing."""
    n_missing = int(frames.aggregate(window, sums=name)["n_missing"].sum())
    return _counted(
        f"missing {wording.name(name)}",
        n_missing,
        f"{wording.name(name)} is missing; it adds nothing to the sum",
        "Find out whether missing means zero.",
    )


def dimension_checks(window: Any, name: str) -> list[DataCheck]:
    """Look for missing values and for spellings that differ only by case."""
    import polars as pl

    values = frames.aggregate(window, keys=name)
    missing = values.filter(pl.col(name).is_null())["n_rows"].sum()
    checks = [
        _counted(
            f"missing {wording.name(name)}",
            int(missing),
            f"{wording.name(name)} is missing; it is treated as a value of its own",
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
                f"spellings of {wording.name(name)}",
                int(twins["n_rows"].sum()),
                f"{twins['folded'].n_unique()} values of {wording.name(name)} are written in more than one way "
                "(upper and lower case); each spelling counts apart",
                "Fold the spellings at the source if they mean the same.",
            )
        )
    return checks


def is_defect(check: DataCheck) -> bool:
    """Tell whether a check found something that a reader must know."""
    return check.status != "pass"
