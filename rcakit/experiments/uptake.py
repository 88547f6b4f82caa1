"""Who really works the new way, since when, and did anybody start too early?"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.findings import Finding
from rcakit.results import Record, Result
from rcakit.stats import moments
from rcakit.validation import check_choice, check_number

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["AdoptionResult", "adoption", "floor_start", "unit_periods"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionResult(Result):
    """How much of the work was done the new way, by time since each unit's start.

    Attributes
    ----------
    rows
        ``event_time`` (periods since the start), ``adoption_rate`` (mean over units), its interval
        ``ci_lower``, ``ci_upper``, and ``n_units``.
    contaminated
        Units that worked the new way before their start, or without one.
    checks
        The check of contamination.
    """

    rows: tuple[Mapping[str, Any], ...]
    contaminated: tuple[Any, ...]
    checks: tuple[Check, ...]
    reached: float
    reached_ci: tuple[float, float]
    n_units: int
    confidence_level: float = 0.95
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "adoption": MappingProxyType(
                {
                    "event_time": "Int64",
                    "adoption_rate": "Float64",
                    "ci_lower": "Float64",
                    "ci_upper": "Float64",
                    "n_units": "Int64",
                }
            ),
            "checks": MappingProxyType(
                dict.fromkeys(("check", "status", "detail", "what_to_do"), "String")
            ),
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return adoption by time since the start, or the check."""
        if self._table(table) == "checks":
            return [check.to_record() for check in self.checks]
        return [dict(row) for row in self.rows]

    def reading(self) -> str:
        """Say how much of the work is done the new way."""
        level = wording.percent(self.confidence_level)
        low, high = (wording.percent(end) for end in self.reached_ci)
        said = f"After the start {wording.percent(self.reached)} of the work of changed units is done the new way"
        said = f"{said} ({level} interval {low} to {high}, {wording.plural(self.n_units, 'unit')})."
        early = self.checks[0]
        return (
            said
            if early.status == "pass"
            else f"{said} {early.detail[:1].upper()}{early.detail[1:]}."
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return the share reached after the start."""
        early = [c for c in self.checks if c.status != "pass"]
        return (
            Finding(
                claim=self.reading(),
                kind="measurement",
                estimate=self.reached,
                ci_lower=self.reached_ci[0],
                ci_upper=self.reached_ci[1],
                unit="share of work",
                n_obs=self.n_units,
                method="mean over units of the share done the new way, t interval",
                caveats=tuple(f"{c.detail}. {c.what_to_do}" for c in early),
                next_steps=tuple(c.what_to_do for c in early),
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw adoption by time since the start."""
        from rcakit.plots import experiments as charts

        return charts.adoption(self.to_records(), title=self.reading())


def adoption(
    data: Any,
    *,
    unit: str,
    time: str,
    start: str,
    adopted: str,
    of: str | None = None,
    every: str = "1w",
    tz: str = "UTC",
    exclude: Sequence[Any] = (),
    tolerance: float = 0.1,
    confidence_level: float = 0.95,
) -> AdoptionResult:
    """Measure how much work was done the new way, and find units that began too early.

    Parameters
    ----------
    data
        Table in any supported engine, rows of work or one row per unit and period.
    unit, time, start
        As for `rollout`.
    adopted
        Column with the work done the new way: a count, or 0 and 1 per row.
    of
        Column with all work; rows are counted when left out.
    every
        Length of a period: ``1d``, ``1w``, ``1mo``.
    tz
        Time zone of the local days.
    exclude
        Units to leave out.
    tolerance
        Largest share of new-way work before the start that is still no contamination.
    confidence_level
        Of every interval.

    Returns
    -------
    AdoptionResult
        Tables ``adoption`` and ``checks``.

    Raises
    ------
    NotEnoughDataError
        No unit began inside the data.

    Notes
    -----
    Intervals are over units (Student's t), so that a busy unit counts once. The effect of a change
    that is adopted by half is that of offering it, not of using it. When not to use it: nobody
    recorded who worked which way; then contamination cannot be seen.
    """
    check_number(tolerance, "tolerance", ge=0, lt=1)
    alpha = 1 - check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    table = unit_periods(
        data, unit=unit, time=time, start=start, sums=(adopted, *([of] if of else [])),
        every=every, tz=tz,
    )  # fmt: skip
    table = table.filter(~table[unit].is_in(list(exclude))) if exclude else table
    shares = _shares(table, unit, start, adopted, of or "rows")
    since = shares["since"].to_numpy()
    if not np.any(since >= 0):
        raise NotEnoughDataError(
            f"no unit began inside the data, got no row after a start. Check column {start!r}."
        )
    early = _early(shares, unit, tolerance)
    after = shares.filter(shares["since"] > 0) if np.any(since > 0) else shares.filter(since >= 0)
    by_unit = after.group_by(unit).mean()["share"].to_numpy()
    reached = _interval(by_unit, alpha)
    return AdoptionResult(
        rows=tuple(_by_event_time(shares, alpha)),
        contaminated=tuple(early),
        checks=(checks.contamination([str(name) for name in early], tolerance),),
        reached=reached[0],
        reached_ci=(reached[1], reached[2]),
        n_units=by_unit.size,
        confidence_level=confidence_level,
        library=frames.library(data),
    )


def unit_periods(
    data: Any,
    *,
    unit: str,
    time: str,
    start: str,
    sums: tuple[str, ...],
    every: str,
    tz: str,
) -> "pl.DataFrame":
    """Bring one row per unit and period home, with the start moved to the period that holds it."""
    import polars as pl

    check_choice(every, "every", ("1d", "1w", "1mo"))
    frames.check_columns(data, (unit, time, start, *sums))
    present = frames.without_missing(data, sums) if sums else data
    table = frames.aggregate(present, keys=(unit, start), time=time, every=every, tz=tz, sums=sums)
    table = table.filter(pl.col(unit).is_not_null(), pl.col("period_start").is_not_null())
    table = table.rename({"period_start": "period", "n_rows": "rows"}).drop("n_missing")
    return table.with_columns(
        pl.col("period").dt.date(),
        pl.Series(start, [floor_start(value, every) for value in table[start]], pl.Date),
    )


def floor_start(value: Any, every: str) -> dt.date | None:
    """Return the first day of the period in which a unit began; null for never."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        day = value.date() if isinstance(value, dt.datetime) else value
        day = day if isinstance(day, dt.date) else dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        raise SchemaError(
            f"a start must be a date, got {str(value)[:40]!r}. Use dates such as 2026-03-31, and "
            "null for units that never began."
        ) from None
    if every == "1w":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if every == "1mo" else day


def _shares(table: "pl.DataFrame", unit: str, start: str, adopted: str, of: str) -> "pl.DataFrame":
    """Return the share of new-way work of each unit and period, and periods since its start."""
    import polars as pl

    periods = {day: i for i, day in enumerate(table["period"].unique().sort())}
    days = np.array(list(periods), dtype="datetime64[D]")
    begun = table[start].to_numpy().astype("datetime64[D]")
    at = np.searchsorted(days, begun).astype(float)
    at[np.isnat(begun) | (at >= days.size)] = math.inf
    now = np.array([periods[day] for day in table["period"]], dtype=float)
    return (
        table.select(
            unit, "period", share=pl.col(adopted) / pl.col(of), weight=pl.col(of).cast(pl.Float64)
        )
        .with_columns(since=pl.Series(now - at))
        .filter(pl.col("share").is_finite())
    )


def _early(shares: "pl.DataFrame", unit: str, tolerance: float) -> list[Any]:
    """Return units with a period before their start in which much was done the new way."""
    import polars as pl

    before = shares.filter(pl.col("since") < 0, pl.col("share") > tolerance, pl.col("weight") >= 5)
    return before[unit].unique().sort().to_list()


def _by_event_time(shares: "pl.DataFrame", alpha: float) -> list[Record]:
    known = shares.filter(shares["since"].is_finite())
    rows = []
    for (since,), part in known.group_by(["since"], maintain_order=False):
        mean, low, high = _interval(part["share"].to_numpy(), alpha)
        rows.append(
            {
                "event_time": int(since),
                "adoption_rate": mean,
                "ci_lower": low,
                "ci_upper": high,
                "n_units": part.height,
            }
        )
    return sorted(rows, key=lambda row: row["event_time"])


def _interval(values: Any, alpha: float) -> tuple[float, float, float]:
    mean = float(np.mean(values))
    if values.size < 2:
        return mean, 0.0, 1.0
    reach = moments.t_critical(alpha, values.size - 1.0) * float(np.std(values, ddof=1))
    reach /= math.sqrt(values.size)
    return mean, max(mean - reach, min(0.0, mean)), min(mean + reach, max(1.0, mean))
