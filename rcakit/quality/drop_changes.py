"""Which logged change fits the beginning and the place of a fall of accuracy?"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rcakit import frames, wording
from rcakit.findings import Finding
from rcakit.results import Record

__all__ = ["LoggedChange", "logged_changes"]

_DAYS_BEFORE = 14
_MOST = 5
_NEEDED = ("changed_at", "title")


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One entry of the change log near the beginning, and whether it fits.

    Attributes
    ----------
    change_id, changed_at, title
        As logged.
    days_before
        Days from the change to the beginning; negative when it came after.
    misfit
        Why it does not fit; empty when it does.
    """

    change_id: str
    changed_at: dt.datetime
    title: str
    days_before: int
    misfit: str

    def finding(self, row: Record, level: float) -> Finding:
        """Say that a change coincides with the fall, or why it was set aside."""
        what = wording.quoted(self.title)
        when = wording.day(self.changed_at)
        claim = (
            f"{what} ({when}) was set aside: {self.misfit}."
            if self.misfit
            else f"It coincides with {what} ({when}): right time, and its scope holds the place."
        )
        return Finding(
            claim=claim,
            kind="ruled_out" if self.misfit else "matched_change",
            estimate=row["effect"],
            ci_lower=row["effect_ci_lower"],
            ci_upper=row["effect_ci_upper"],
            confidence_level=level,
            unit="share of decisions",
            n_obs=row["n_before"] + row["n_after"],
            method="time before the beginning and overlap of scope; a coincidence, not a proof",
            change_id=self.change_id,
            evidence={"changed_at": self.changed_at.isoformat()},
        )


def logged_changes(
    log: Any, *, started_at: dt.date, where: Mapping[str, str], slack_days: int
) -> tuple[LoggedChange, ...]:
    """Return the changes of two weeks before the beginning, those that fit first.

    Parameters
    ----------
    log
        Table with ``changed_at`` and ``title``, and where known ``change_id`` and ``scope``
        (``dimension=value;dimension=value`` or ``all``).
    started_at
        First day of the fall.
    where
        The segment of the fall; empty for everywhere.
    slack_days
        Days that the beginning may be off, when it was searched by week.
    """
    import polars as pl

    known = set(frames.columns(log))
    frames.check_columns(log, _NEEDED)
    names = [*_NEEDED, *(name for name in ("change_id", "scope") if name in known)]
    table = frames.collect(log, names)
    if not table["changed_at"].dtype.is_temporal():
        table = table.with_columns(frames.parse_times(pl.col("changed_at").cast(pl.String)))
    table = table.with_columns(pl.col("changed_at").cast(pl.Datetime("us")))
    found = []
    for i, row in enumerate(table.drop_nulls(list(_NEEDED)).iter_rows(named=True)):
        days = (started_at - row["changed_at"].date()).days
        if -3 - slack_days <= days <= _DAYS_BEFORE + slack_days:
            scope = _scope(row.get("scope"))
            found.append(
                LoggedChange(
                    str(row.get("change_id") or f"change {i + 1}"),
                    row["changed_at"],
                    str(row["title"]),
                    days,
                    _misfit(days, scope, where, slack_days),
                )
            )
    ranked = sorted(found, key=lambda change: (bool(change.misfit), abs(change.days_before)))
    return tuple(ranked[:_MOST])


def _scope(text: Any) -> dict[str, str]:
    """Read a scope as the log has it."""
    pairs = [part.partition("=") for part in str(text or "").split(";")]
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def _misfit(days: int, scope: Mapping[str, str], where: Mapping[str, str], slack_days: int) -> str:
    """Say why a change does not fit; nothing when it does."""
    if days < -slack_days:
        return "it came after the fall had begun"
    if not where:
        return "" if not scope else "it touched a part, and the fall is everywhere"
    if not scope:
        return "it touched everything, and the fall is not everywhere"
    if any(where.get(name, value) != value for name, value in scope.items()):
        return "it touched another place"
    return "" if set(scope) & set(where) else "its scope says nothing about the place"
