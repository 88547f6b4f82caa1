"""Match changes: which entry of the change log fits the onset and the scope of what was found?"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from rcakit import frames, wording
from rcakit.drivers.result import DriverResult
from rcakit.errors import ParameterError, SchemaError
from rcakit.findings import SMALLEST_CELL, Finding, withheld
from rcakit.results import Record, Result
from rcakit.validation import check_integer, shown

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["ChangeMatch", "ChangeResult", "match_changes"]

_METHOD = "time before onset and overlap of scope; a coincidence, not a proof"

# A change explains a segment only if at least this much of the excess lies inside its scope.
_MIN_CONTAINED = 0.5
# Of two changes that fit, the worse is set aside when its score is below this share of the better.
_CLEARLY_WORSE = 0.5
# A change whose scope moved by less than this share of the movement inside the segments is too wide;
# one to everything is, when what lies outside the segments moved by less than half of theirs.
_MIN_DENSITY = 0.05

_Numbers = tuple[float, float, float, int]  # estimate, interval, observations
_UNKNOWN: _Numbers = (math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class ChangeMatch:
    """How one logged change relates to the segments found.

    The excess is that of the segments inside its scope where it is plausible, and that of the rest
    of its scope where it was set aside.
    """

    change_id: str
    changed_at: dt.datetime
    kind: str
    title: str
    scope_overlap: float
    days_before_onset: float
    score: float
    is_plausible: bool
    reason: str
    excess: float
    excess_ci_lower: float
    excess_ci_upper: float
    n_obs: int


@dataclass(frozen=True, slots=True)
class ChangeResult(Result):
    """Logged changes, best fit first.

    Attributes
    ----------
    matches
        All changes that were looked at.
    has_onset
        False where nothing changed, so nothing can coincide with it.
    was_asked
        False without a change log.
    unit
        What is counted.
    """

    matches: tuple[ChangeMatch, ...]
    has_onset: bool
    was_asked: bool
    unit: str
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "changes": MappingProxyType(
                {
                    "change_id": "String",
                    "changed_at": "Datetime",
                    "kind": "String",
                    "title": "String",
                    "scope_overlap": "Float64",
                    "days_before_onset": "Float64",
                    "score": "Float64",
                    "is_plausible": "Boolean",
                    "reason": "String",
                }
            )
        }
    )

    shown: ClassVar[tuple[str, ...]] = ("changed_at", "kind", "title", "is_plausible", "reason")

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per change, best fit first."""
        names = self.tables[self._table(table)]
        return [{name: getattr(match, name) for name in names} for match in self.matches]

    def findings(self) -> tuple[Finding, ...]:
        """Return the changes that fit, then those that were set aside, with the reason."""
        if not self.has_onset:
            return ()
        return tuple(
            self._matched(match) if match.is_plausible else self._ruled_out(match)
            for match in self.matches
        )

    def reading(self) -> str:
        """Say which change fits, or that none does."""
        if not self.was_asked:
            return "No change log was given, so no logged change was compared with it."
        if not self.has_onset:
            return "There is no change to explain, so no logged change was compared with it."
        fitting = [match for match in self.matches if match.is_plausible]
        if not self.matches:
            return "No change was logged near the onset, so none fits."
        if not fitting:
            looked = wording.plural(len(self.matches), "logged change")
            return f"None of the logged changes fits ({looked} near the onset)."
        return " ".join(self._matched(match).claim for match in fitting)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the changes around the onset."""
        from rcakit.plots.drivers import change_timeline

        return change_timeline(self.to_records(), title=self.reading())

    def _matched(self, match: ChangeMatch) -> Finding:
        return Finding(
            claim=(
                f"It coincides with {wording.quoted(match.title)} "
                f"({wording.name(match.kind)}, {match.reason})."
            ),
            kind="matched_change",
            change_id=match.change_id,
            caveats=(
                "Coinciding in time and scope is not proof; undoing the change would test it.",
            ),
            next_steps=("Ask the owner of this change, and compare the days after it was undone.",),
            **self._numbers(match),
        )

    def _ruled_out(self, match: ChangeMatch) -> Finding:
        claim = (
            f"{wording.quoted(match.title)} ({wording.name(match.kind)}) was set aside: "
            f"{match.reason}."
        )
        if not math.isfinite(match.excess):
            return withheld(
                "ruled_out",
                claim,
                why=match.reason,
                unit=self.unit,
                method=_METHOD,
                change_id=match.change_id,
            )
        return Finding(
            claim=claim, kind="ruled_out", change_id=match.change_id, **self._numbers(match)
        )

    def _numbers(self, match: ChangeMatch) -> dict[str, Any]:
        return {
            "estimate": match.excess,
            "ci_lower": match.excess_ci_lower,
            "ci_upper": match.excess_ci_upper,
            "unit": self.unit,
            "n_obs": max(1, match.n_obs),
            "method": _METHOD,
            "evidence": {
                "changed_at": match.changed_at,
                "scope_overlap": match.scope_overlap,
                "days_before_onset": match.days_before_onset,
                "score": match.score,
            },
        }


def match_changes(
    result: DriverResult,
    changes: Any,
    *,
    max_days_before: int = 14,
    max_days_after: int = 3,
) -> ChangeResult:
    """Which logged change fits the onset and the scope of the segments found?

    Parameters
    ----------
    result
        What `explain` found, with a period.
    changes
        Table with ``changed_at``, ``title`` and, if known, ``change_id``, ``kind`` and ``scope``.
        A scope is ``all`` or ``dimension=value`` pairs joined by ``;``; several values of one
        dimension are joined by ``|``. None when there is no change log.
    max_days_before
        Changes up to this many days before the onset are compared.
    max_days_after
        Changes up to this many days after it are listed too, and set aside for coming too late.

    Returns
    -------
    ChangeResult
        Best fit first. ``scope_overlap`` is the share of the excess that lies inside the scope.

    Raises
    ------
    SchemaError
        ``changed_at`` or ``title`` is missing.
    ParameterError
        The result has no period, so there is no onset to compare with.

    Notes
    -----
    The score is the share of the excess inside the scope, times how strongly the scope moved
    compared with the segments, times a factor that falls from 1 on the day before the onset to 0
    at ``max_days_before``. The onset is the first day on which the named segments themselves
    departed from usual, in the time zone of the days; ``changed_at`` stays in UTC. The score ranks
    coincidences; it does not test causes. Where a broad change was
    found, only changes to everything can fit.
    """
    first_day = result.onset
    if first_day is None:
        raise ParameterError("result must have a period, got one that was made from a forecast.")
    check_integer(max_days_before, "max_days_before", ge=1, le=365)
    check_integer(max_days_after, "max_days_after", ge=0, le=365)
    if changes is None:
        return ChangeResult(
            (), has_onset=False, was_asked=False, unit=result.unit, library=result.library
        )
    frames.check_columns(changes, ("changed_at", "title"))
    has_onset = result.verdict in {"localised", "broad"}
    onset = dt.datetime.combine(first_day, dt.time(), ZoneInfo(result.tz))
    rows = [
        row
        for row in _rows(changes)
        if -max_days_after <= _days_before(row["changed_at"], onset) <= max_days_before
    ]
    scored = [_score(result, row, onset, max_days_before) for row in rows] if has_onset else []
    return ChangeResult(
        _ranked(scored),
        has_onset=has_onset,
        was_asked=True,
        unit=result.unit,
        library=frames.library(changes),
    )


def _rows(changes: Any) -> list[Record]:
    """Read the change log: times as naive UTC, missing columns filled."""
    import narwhals as nw
    import polars as pl

    frame = nw.from_native(changes)
    frame = frame.collect(backend="polars") if isinstance(frame, nw.LazyFrame) else frame
    table: pl.DataFrame = frame.to_polars()
    dtype = table.schema["changed_at"]
    at = pl.col("changed_at")
    if dtype == pl.String:
        at = frames.parse_times(at)
    elif dtype == pl.Date:
        at = at.cast(pl.Datetime("us"))
    elif not isinstance(dtype, pl.Datetime):
        raise SchemaError(f"column 'changed_at' must hold timestamps or dates, got {dtype}.")
    table = _dated(table, at).with_row_index("row", offset=1)
    if isinstance(zoned := table.schema["changed_at"], pl.Datetime) and zoned.time_zone:
        table = table.with_columns(
            pl.col("changed_at").dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        )
    return [
        {
            "change_id": str(row.get("change_id") or f"row {row['row']}"),
            "changed_at": row["changed_at"],
            "kind": str(row.get("kind") or "change"),
            "title": str(row["title"] or "(no title)"),
            "scope": str(row.get("scope") or "all"),
        }
        for row in table.drop_nulls("changed_at").iter_rows(named=True)
    ]


def _dated(table: "pl.DataFrame", at: "pl.Expr") -> "pl.DataFrame":
    """Read the times of a change log; refuse one whose times cannot be read."""
    dated = table.with_columns(at)
    unread = table.filter(dated["changed_at"].is_null() & table["changed_at"].is_not_null())
    if unread.height:
        raise SchemaError(
            f"column 'changed_at' must hold timestamps, got {shown(unread['changed_at'][0])} "
            f"among others ({wording.plural(unread.height, 'row')}). "
            "Use ISO 8601, for example 2026-03-31T14:05:00Z or 2026-03-31."
        )
    return dated


def _days_before(changed_at: dt.datetime, onset: dt.datetime) -> float:
    """Return days from the change (naive UTC) to the onset; one on the first local day counts as zero."""
    local = changed_at.replace(tzinfo=dt.UTC).astimezone(onset.tzinfo)
    if local.date() == onset.date():
        return 0.0
    return (onset - local).total_seconds() / 86_400


def _score(
    result: DriverResult, row: Record, onset: dt.datetime, max_days_before: int
) -> ChangeMatch:
    days = _days_before(row["changed_at"], onset)
    leaves = result.leaves
    scope = _scope(row["scope"])
    if scope is None:
        return _match(row, days, reason=f"its scope {wording.quoted(row['scope'])} cannot be read")
    if unknown := [name for name in scope if name not in leaves.dimensions]:
        return _match(
            row,
            days,
            reason=f"its scope names {wording.name(unknown[0])}, which is no dimension here",
        )
    inside = np.ones(len(leaves.codes), dtype=bool)
    for name, values in scope.items():
        inside &= np.any([leaves.inside({name: value}) for value in values], axis=0)
    hit = result.moved
    excess = leaves.observed - _usual(result)
    total = float(np.abs(excess[hit].sum())) or math.nan
    contained = float(abs(excess[hit & inside].sum()) / total)
    usual = _usual(result)
    density = _density(excess, usual, inside, hit)
    is_wide = density < _MIN_DENSITY
    if not scope and usual[~hit].sum() >= _MIN_DENSITY * usual.sum():
        is_wide = _density(excess, usual, ~hit, hit) < _CLEARLY_WORSE
    timing = (
        max(0.0, min(1.0, (max_days_before + 1 - days) / max_days_before)) if days >= 0 else 0.0
    )
    return _match(
        row,
        days,
        contained=contained,
        is_wide=is_wide,
        score=contained * math.sqrt(density) * timing,
        inside_numbers=_inside_excess(result, contained),
        outside_numbers=_rest_excess(result, excess, inside, inside & ~hit),
        reason=_reason(days, contained, is_wide=is_wide),
    )


def _scope(text: str) -> dict[str, list[str]] | None:
    """Read ``dimension=value`` pairs; ``all`` is an empty scope, and other words are None."""
    if text.strip().lower() == "all":
        return {}
    parts = [part for part in text.split(";") if part.strip()]
    if not all("=" in part for part in parts):
        return None
    pairs = [part.partition("=") for part in parts]
    return {name.strip(): [v.strip() for v in values.split("|")] for name, _, values in pairs}


def _usual(result: DriverResult) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what each leaf would have shown: its baseline, scaled to the forecast of the total."""
    usual = result.leaves.usual
    return usual * (result.attribution.expected / max(float(usual.sum()), 1e-12))


def _density(excess: Any, usual: Any, inside: Any, hit: Any) -> float:
    """Return how strongly the scope moved, as a share of how strongly the segments moved."""
    of_scope = excess[inside].sum() / max(usual[inside].sum(), 0.5)
    of_hit = excess[hit].sum() / max(usual[hit].sum(), 0.5)
    return float(np.clip(of_scope / of_hit, 0.0, 1.0)) if of_hit else 0.0


def _inside_excess(result: DriverResult, contained: float) -> _Numbers:
    """Return the part of the segments' excess that lies in the scope, with its interval."""
    numbers = result.attribution
    parts = [
        (item.excess, item.excess_lower, item.excess_upper, item.observed)
        for item in numbers.segments
    ]
    parts = parts or [
        (numbers.change, numbers.change_lower, numbers.change_upper, numbers.observed)
    ]
    excess, lower, upper, observed = (float(sum(column)) for column in zip(*parts, strict=True))
    return contained * excess, contained * lower, contained * upper, round(max(observed, excess))


def _rest_excess(result: DriverResult, excess: Any, inside: Any, rest: Any) -> _Numbers:
    """Return the excess in the scope outside the segments, with a 95 % interval.

    Where the segments fill the scope there is no such rest, and the whole scope is told.
    """
    usual = _usual(result)
    part = rest if usual[rest].sum() >= SMALLEST_CELL else inside
    expected = float(usual[part].sum())
    numbers = result.attribution
    # The noise of a part: counting noise, and the part's share of the noise of the total.
    whole = (numbers.change_upper - numbers.change_lower) / 2
    share = expected / max(numbers.expected, 1e-12)
    half = math.hypot(1.96 * math.sqrt(2 * max(expected, 1.0)), whole * share)
    gap = float(excess[part].sum())
    n_obs = round(max(float(result.leaves.observed[part].sum()), expected))
    return gap, gap - half, gap + half, n_obs


def _reason(days: float, contained: float, *, is_wide: bool) -> str:
    n_days = round(abs(days), 1)
    when = wording.plural(n_days, "day") if abs(days) >= 1 else "less than a day"
    if days < 0:
        return f"it came {when} after the onset"
    if contained < _MIN_CONTAINED:
        return f"only {wording.percent(contained)} of the excess lies in its scope"
    before = "on the first day" if days == 0 else f"{when} before the onset"
    if is_wide:
        return f"it acts on much more than the segment, and the rest of its scope did not move ({before})"
    return f"{before}, with {wording.percent(contained)} of the excess in its scope"


def _match(
    row: Record,
    days: float,
    *,
    reason: str,
    contained: float = math.nan,
    is_wide: bool = True,
    score: float = 0.0,
    inside_numbers: _Numbers = _UNKNOWN,
    outside_numbers: _Numbers = _UNKNOWN,
) -> ChangeMatch:
    is_plausible = days >= 0 and contained >= _MIN_CONTAINED and not is_wide and score > 0
    excess, lower, upper, n_obs = inside_numbers if is_plausible else outside_numbers
    return ChangeMatch(
        change_id=row["change_id"],
        changed_at=row["changed_at"],
        kind=row["kind"],
        title=row["title"],
        scope_overlap=contained,
        days_before_onset=days,
        score=score,
        is_plausible=is_plausible,
        reason=reason,
        excess=excess,
        excess_ci_lower=lower,
        excess_ci_upper=upper,
        n_obs=n_obs,
    )


def _ranked(matches: list[ChangeMatch]) -> tuple[ChangeMatch, ...]:
    """Order by score, and set aside what a better fit makes unneeded."""
    from dataclasses import replace

    ordered = sorted(
        matches, key=lambda match: (-match.is_plausible, -match.score, match.change_id)
    )
    best = ordered[0] if ordered else None
    return tuple(
        replace(
            match,
            is_plausible=False,
            reason=f"{match.reason}, but {wording.quoted(best.title)} fits much better",
        )
        if best and match.is_plausible and match.score < _CLEARLY_WORSE * best.score
        else match
        for match in ordered
    )
