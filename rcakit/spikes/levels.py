"""Looking back: when did the level jump for good?"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.spikes.family import choose_family
from rcakit.spikes.grid import Grid, build_grid
from rcakit.stats.changepoints import segment_counts
from rcakit.validation import check_choice, check_date, check_integer, check_names, check_number

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Changepoint", "ChangepointResult", "changepoints"]

Floats = NDArray[np.float64]

_METHOD = "penalised likelihood (PELT) of weekday-adjusted counts"
_Z95 = 1.96
_PANELS = 12


@dataclass(frozen=True, slots=True)
class Changepoint:
    """A period from which on the level of one series was another."""

    series: tuple[Any, ...]
    changed_at: dt.date
    level_before: float
    level_after: float
    effect: float
    effect_ci_lower: float
    effect_ci_upper: float
    rel_effect: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class ChangepointResult(Result):
    """Levels of each series between jumps.

    Attributes
    ----------
    keys, series, days
        Key columns, key values of each series, and the periods.
    observed, level
        Shape (n_series, n_periods); the level carries its weekday pattern.
    level_lower, level_upper
        95 % band of single periods about the level, same shape.
    changes
        In order of time.
    unit
        What is counted.
    """

    keys: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...]
    days: tuple[Any, ...]
    observed: Floats
    level: Floats
    level_lower: Floats
    level_upper: Floats
    changes: tuple[Changepoint, ...]
    every: str
    unit: str
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "changepoints": MappingProxyType(
                {
                    "changed_at": "Date",
                    "level_before": "Float64",
                    "level_after": "Float64",
                    "effect": "Float64",
                    "effect_ci_lower": "Float64",
                    "effect_ci_upper": "Float64",
                    "rel_effect": "Float64",
                    "gain": "Float64",
                }
            )
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per jump."""
        names = self.tables[self._table(table)]
        return [
            dict(zip(self.keys, item.series, strict=True))
            | {name: getattr(item, name) for name in names}
            for item in self.changes
        ]

    def findings(self) -> tuple[Finding, ...]:
        """Return each jump, or that there was none."""
        if not self.changes:
            return (
                withheld(
                    "change",
                    f"No lasting change of level between {self.days[0]} and {self.days[-1]}.",
                    why="no split of the period fits better than one level by more than chance allows",
                    unit=self.unit,
                    method=_METHOD,
                    n_obs=int(np.nansum(self.observed)),
                ),
            )
        return tuple(self._finding(item) for item in self.changes)

    def _finding(self, item: Changepoint) -> Finding:
        where = dict(zip(self.keys, item.series, strict=True))
        scope = f" for {wording.segment(where)}" if where else ""
        word = "rose" if item.effect > 0 else "fell"
        step = {"1d": "day", "1w": "week", "1mo": "month"}[self.every]
        low, high = item.effect_ci_lower, item.effect_ci_upper
        return Finding(
            claim=(
                f"The usual number of {self.unit} a {step}{scope} {word} on {item.changed_at} from "
                f"{wording.amount(item.level_before)} to {wording.amount(item.level_after)}: "
                f"{wording.amount(item.effect, signed=True)} a {step} "
                f"(95 % interval {wording.interval(low, high, signed=True)})."
            ),
            kind="change",
            estimate=item.effect,
            ci_lower=low,
            ci_upper=high,
            unit=f"{self.unit} a {step}",
            n_obs=max(1, int(np.nansum(self.observed[self.series.index(item.series)]))),
            method=_METHOD,
            segment=where or None,
            evidence={"changed_at": item.changed_at, "gain": item.gain},
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw counts over the band of their levels; jumps are where the band steps."""
        from rcakit.plots.series import observed_and_expected

        changed = {item.series for item in self.changes}
        order = sorted(range(len(self.series)), key=lambda i: self.series[i] not in changed)
        rows = [
            dict(zip(self.keys, self.series[i], strict=True))
            | {"period_start": day, "observed": float(self.observed[i, t])}
            | {"expected": float(self.level[i, t])}
            | {"expected_lower": float(self.level_lower[i, t])}
            | {"expected_upper": float(self.level_upper[i, t])}
            for i in order[:_PANELS]
            for t, day in enumerate(self.days)
        ]
        return observed_and_expected(
            rows, [], keys=self.keys, unit=self.unit, title=self.reading(), every=self.every
        )


def changepoints(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    by: str | Sequence[str] = (),
    exposure: str | None = None,
    every: Literal["1d", "1w", "1mo"] = "1d",
    start: str | dt.date | None = None,
    as_of: str | dt.date | None = None,
    tz: str = "UTC",
    penalty: float | None = None,
    min_size: int = 7,
    unit: str | None = None,
) -> ChangepointResult:
    """Looking back over a whole history: when did the level jump for good?

    Parameters
    ----------
    data, time, value, by, exposure, every, start, as_of, tz, unit
        As in `detect`; values are counts or amounts.
    penalty
        Twice the log likelihood that a jump must gain; by default ``3 log(n_periods)``, which finds
        a jump in at most one steady series of fifty.
    min_size
        Least periods of a level. Shorter spells are spikes: use `detect`.

    Returns
    -------
    ChangepointResult
        Table ``changepoints``.

    Raises
    ------
    NotEnoughDataError
        Fewer than ``4 × min_size`` periods.

    Notes
    -----
    Weekday factors are the medians of each weekday's counts over the running mean of the week
    around it, so that jumps do not bend them. Then PELT with a quasi-Poisson likelihood (Killick,
    Fearnhead & Eckley 2012, JASA 107, 1590-1598); spikes are drawn in first. Not for levels that
    drift: a staircase comes out.
    """
    check_choice(every, "every", ("1d", "1w", "1mo"))
    min_size = check_integer(min_size, "min_size", ge=2, le=365)
    if penalty is not None:
        check_number(penalty, "penalty", gt=0)
    keys = check_names(by, "by")
    table = frames.aggregate(
        data,
        keys=keys,
        time=time,
        every=every,
        tz=tz,
        sums=tuple(dict.fromkeys(name for name in (value, exposure) if name)),
        squares=(value,) if value else (),
        start=None if start is None else check_date(start, "start"),
        end=None if as_of is None else check_date(as_of, "as_of"),
    )
    if table.drop_nulls("period_start").height == 0:
        raise NotEnoughDataError("data must hold rows with a time, got none. Check the dates.")
    grid = build_grid(table, keys=keys, value=value, exposure=exposure, every=every, tz=tz)
    if len(grid.days) < 4 * min_size:
        raise NotEnoughDataError(
            f"changepoints need at least {4 * min_size} periods, got {len(grid.days)}. "
            "Give more history, or a smaller min_size."
        )
    choose_family(grid, value=value, family="amount" if value else "count")
    parts = [_segments(grid, row, penalty, min_size) for row in range(len(grid.series))]
    level = np.stack([part[0] for part in parts])
    spread = np.stack([part[1] for part in parts])
    changes = sorted((c for part in parts for c in part[2]), key=lambda item: item.changed_at)
    return ChangepointResult(
        keys=keys,
        series=grid.series,
        days=grid.days,
        observed=grid.counts,
        level=level,
        level_lower=np.maximum(level - _Z95 * spread, 0),
        level_upper=level + _Z95 * spread,
        changes=tuple(changes),
        every=every,
        unit=unit or (wording.name(value) if value else "rows"),
        library=frames.library(data),
    )


def _segments(
    grid: Grid, row: int, penalty: float | None, min_size: int
) -> tuple[Floats, Floats, list[Changepoint]]:
    """Return the level of each period, its spread, and the jumps of one series."""
    counts = grid.counts[row]
    factor = _weekday_factors(counts / grid.exposure[row]) if grid.every == "1d" else np.ones(1)
    base = grid.exposure[row] * np.resize(factor, len(counts))
    if not np.isfinite(counts).any():
        return np.full(len(counts), np.nan), np.full(len(counts), np.nan), []
    found = segment_counts(counts, base, penalty=penalty, min_size=min_size)
    sizes = np.diff(np.append(found.starts, len(counts)))
    level = np.repeat(found.level, sizes) * base
    spread = np.sqrt(found.dispersion * np.maximum(level, 0))
    changes = []
    for i, start in enumerate(found.changes.tolist()):
        before, after = float(found.level[i]), float(found.level[i + 1])
        reach = _Z95 * float(np.hypot(found.level_se[i], found.level_se[i + 1]))
        changes.append(
            Changepoint(
                series=grid.series[row],
                changed_at=grid.days[start],
                level_before=before,
                level_after=after,
                effect=after - before,
                effect_ci_lower=after - before - reach,
                effect_ci_upper=after - before + reach,
                rel_effect=(after - before) / before if before > 0 else np.nan,
                gain=float(found.gain[i]),
            )
        )
    return level, spread, changes


def _weekday_factors(rate: Floats) -> Floats:
    """Return the usual size of each place in the week, mean 1, blind to jumps."""
    filled = np.where(np.isfinite(rate), rate, np.nanmedian(rate))
    week = np.convolve(np.pad(filled, 3, mode="edge"), np.full(7, 1 / 7), mode="valid")
    ratio = np.where(week > 0, filled / np.maximum(week, 1e-12), 1.0)
    factor = np.array([np.median(ratio[place::7]) for place in range(7)])
    return np.maximum(factor / max(float(factor.mean()), 1e-9), 1e-3)
