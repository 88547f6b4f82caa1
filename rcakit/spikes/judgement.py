"""Judge all periods together, join the odd ones, and put everything into a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import wording
from rcakit.spikes.engines import MIN_HISTORY, REWIND, TAIL, Followed
from rcakit.spikes.grid import Every, Grid, looks_per_week, n_closed
from rcakit.spikes.incidents import find_incidents, nest
from rcakit.spikes.result import HourlySpikeResult, SpikeResult
from rcakit.spikes.state import State
from rcakit.stats import scans
from rcakit.stats.bells import normal_quantile
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.scans import Law
from rcakit.validation import check_choice, check_number

__all__ = ["Direction", "Judge", "judged"]

Floats = NDArray[np.float64]
Direction = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Judge:
    """What counts as odd."""

    direction: Direction
    alpha: float
    confidence_level: float

    def __post_init__(self) -> None:
        """Refuse what cannot be judged by."""
        check_choice(self.direction, "direction", ("up", "down", "both"))
        check_number(self.alpha, "alpha", gt=0, lt=0.5)
        check_number(self.confidence_level, "confidence_level", gt=0.5, lt=1)

    @property
    def tail(self) -> float:
        """Probability below an interval."""
        return (1 - self.confidence_level) / 2

    def qvalues(self, pvalue: Floats, every: Every) -> Floats:
        """Adjust the p-values of each period across series, for a week of looks."""
        weekly = np.minimum(pvalue * looks_per_week(every), 1)
        return benjamini_hochberg(weekly, axis=0)


def judged(
    grid: Grid,
    followed: Followed,
    judge: Judge,
    *,
    settings: Mapping[str, Any],
    words: Mapping[str, Any],
    offset: int = 0,
    qvalue: Floats | None = None,
) -> SpikeResult:
    """Judge all periods together, join the odd ones, and put everything into a result.

    Parameters
    ----------
    grid, followed
        Counts and forecasts.
    judge
        What counts as odd.
    settings, words
        Of the call.
    offset
        Columns by which the grid starts after the very first period.
    qvalue
        Of these series among more; of these alone when None.
    """
    if qvalue is None:
        qvalue = judge.qvalues(followed.pvalue, grid.every)
    is_odd = np.nan_to_num(qvalue, nan=1.0) <= judge.alpha
    incidents = find_incidents(
        grid, followed, qvalue=qvalue, is_odd=is_odd, tail=judge.tail, offset=offset
    )
    if settings["totals"]:
        incidents = nest(incidents)
    n_odd = is_odd.sum(axis=0)[np.isfinite(followed.pvalue).any(axis=0)]
    caveats = grid.caveats
    if followed.n_set_aside:
        what = wording.plural(followed.n_set_aside, "period")
        caveats += (f"In {what} a single row of unusual size was set aside.",)
    early = ~np.isfinite(followed.pvalue)
    law = followed.law
    shown = Law(
        np.where(early & ~np.isfinite(grid.counts), np.nan, law.expected), law.noise, law.error
    )
    low, high = _bounds(grid, followed, shown, judge.tail)
    young = np.cumsum(np.isfinite(grid.counts), axis=1) <= (MIN_HISTORY if offset == 0 else 0)
    expected = np.where(young & early, np.nan, shown.expected)
    kind = HourlySpikeResult if grid.every == "1h" else SpikeResult
    return kind(
        keys=grid.keys,
        series=grid.series,
        days=grid.days,
        observed=grid.counts,
        expected=expected,
        expected_lower=np.where(np.isnan(expected), np.nan, low),
        expected_upper=np.where(np.isnan(expected), np.nan, high),
        pvalue=followed.pvalue,
        qvalue=qvalue,
        is_anomalous=is_odd,
        completeness=np.broadcast_to(grid.completeness, grid.counts.shape),
        incidents=incidents,
        alpha=judge.alpha,
        confidence_level=judge.confidence_level,
        unit=words["unit"],
        library=words["library"],
        family=followed.family,
        every=grid.every,
        false_alarms_per_week=float(judge.alpha * np.maximum(n_odd, 1).mean())
        if len(n_odd)
        else 0.0,
        caveats=caveats,
        state=_state(grid, followed, qvalue, settings, offset),
    )


def _bounds(grid: Grid, followed: Followed, law: Law, tail: float) -> tuple[Floats, Floats]:
    """Return the prediction interval of each period under the law of its family."""
    if followed.family == "gauge":
        reach = float(normal_quantile(1 - tail)) * np.sqrt(law.variance())
        return law.expected - reach, law.expected + reach
    if followed.family == "rate":
        low, high = (scans.share_bounds(law, grid.exposure, p) for p in (tail, 1 - tail))
        return low, high
    unit = followed.unit_size
    scaled = Law(law.expected / unit, law.noise / unit**2, law.error)
    return scans.count_bounds(scaled, tail) * unit, scans.count_bounds(scaled, 1 - tail) * unit


def _state(
    grid: Grid, followed: Followed, qvalue: Floats, settings: Mapping[str, Any], offset: int
) -> State | None:
    """Keep what a next day needs: the tail up to the last complete period, and the filters' memory."""
    marks = followed.checkpoints
    edge = n_closed(grid)
    before = [m for m in marks if m.step <= offset + edge - TAIL]
    rewind = [m for m in marks if m.step == offset + edge - REWIND]
    if not rewind or not before:
        before = marks[:1] if marks and marks[0].step <= offset + edge - REWIND else ()  # type: ignore[assignment]
    if not rewind or not before:
        return None
    first = before[-1].step
    tail = slice(first - offset, edge)
    arrays: dict[str, Any] = {
        "counts": grid.counts,
        "exposure": grid.exposure,
        "rows": grid.rows,
        "expected": followed.law.expected,
        "noise": followed.law.noise,
        "error": followed.law.error,
        "pvalue": followed.pvalue,
        "qvalue": qvalue,
        "span": followed.span,
    }
    arrays |= {"variance": followed.variance} if followed.variance is not None else {}
    arrays |= {"level": followed.level} if followed.level is not None else {}
    arrays |= {"base": followed.base} if followed.base is not None else {}
    arrays |= {"trials": grid.trials} if grid.trials is not None else {}
    arrays |= {"squares": grid.squares} if grid.squares is not None else {}
    kept = {name: np.ascontiguousarray(values[:, tail]) for name, values in arrays.items()}
    kept["completeness"] = grid.completeness[tail]
    return State(
        settings=settings,
        series=grid.series,
        first_step=first,
        days=grid.days[tail],
        tail=kept,
        unit_size=followed.unit_size,
        checkpoints=tuple(m for m in marks if first <= m.step <= offset + edge),
    )
