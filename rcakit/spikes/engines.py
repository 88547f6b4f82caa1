"""Follow every series through time: what was expected of each period, and how surprising it was."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.spikes.family import Family
from rcakit.spikes.grid import Grid, n_closed
from rcakit.stats import scans
from rcakit.stats.filters import FilteredCounts, FilterOptions, FilterState, filter_counts
from rcakit.stats.gauges import FilteredGauge, GaugeState, filter_gauge
from rcakit.stats.scans import Direction, Law

__all__ = ["MIN_HISTORY", "REWIND", "TAIL", "Checkpoint", "Followed", "follow", "forecast_from"]

Floats = NDArray[np.float64]

# Observations before the first judgement: two whole weeks, so that each weekday has been seen twice.
MIN_HISTORY = 14
WINDOWS = (1, 2, 5)
# Periods that a saved state remembers, so that incidents that are still open can be told.
TAIL = 91
# Periods before the end of the state that are followed again, so that scan windows are whole.
REWIND = 7
_PERIODS: dict[str, tuple[int, ...]] = {"1d": (7,), "1h": (24, 168)}
_WARMUP = {"1d": 28, "1h": 336}
# By what share of itself the squared error of a level grows with each period that is not looked at.
_STRAYING = 0.2
_CYCLES_BACK = 4
# Rows larger than this many standard deviations of the period's total are set aside.
_LARGE_ROW = 3.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a filter stood before one period."""

    step: int
    state: FilterState | GaugeState
    dispersion: Floats | None = None  # of rates, shape (2, n_series)


@dataclass(frozen=True, slots=True)
class Followed:
    """Forecasts and judgements of every series in every period, shape (n_series, n_periods).

    Attributes
    ----------
    family
        The law.
    law
        Expectation and its two variances, in the unit of the values.
    pvalue
        Of the best scan window, adjusted for the windows and directions tried; nan if not judged.
    span
        That window's length, negative where the sum is too low.
    unit_size
        What one count stands for: 1 for counts, the size of a usual row for amounts; (n_series, 1).
    checkpoints
        Where the filter stood at some periods; empty for regressions.
    level, base
        Level before each period, and season times exposure, in units; None for regressions and
        gauges.
    variance
        Of each count as the filter gave it, in units; None for shares, regressions and gauges.
    n_set_aside
        Periods in which a single huge row was set aside.
    """

    family: Family
    law: Law
    pvalue: Floats
    span: NDArray[np.int16]
    unit_size: Floats
    checkpoints: tuple[Checkpoint, ...] = ()
    level: Floats | None = None
    base: Floats | None = None
    variance: Floats | None = None
    n_set_aside: int = 0


def follow(
    grid: Grid,
    family: Family,
    *,
    direction: Direction,
    unit_size: Floats | None = None,
    resume: Checkpoint | None = None,
) -> Followed:
    """Predict each period from those before it, and judge it.

    Parameters
    ----------
    grid
        Counts and exposure; all periods after the checkpoint when resuming.
    family
        From `choose_family`.
    direction
        Which side is judged.
    unit_size
        As found by an earlier run.
    resume
        Where an earlier run stopped.
    """
    if grid.every in {"1w", "1mo"}:
        from rcakit.spikes.regression import follow_by_regression

        return follow_by_regression(grid, family, direction=direction)
    if family == "gauge":
        return _follow_gauge(grid, direction=direction, resume=resume)
    unit = _unit_size(grid, family) if unit_size is None else unit_size
    counts, n_set_aside = _work_counts(grid, family, unit)
    if family == "rate":
        found = _follow_rate(grid, counts, direction=direction, resume=resume)
    else:
        found = _follow_counts(grid, counts, family, unit, direction=direction, resume=resume)
    return replace(found, n_set_aside=n_set_aside)


def _unit_size(grid: Grid, family: Family) -> Floats:
    """Return the value that counts as one event: for amounts, what makes days scatter like counts.

    The sum of squares over the sum is the variance over the mean of a compound Poisson sum; from
    the first eight weeks, so that the unit does not change as days come in.
    """
    if family != "amount" or grid.squares is None:
        return np.ones((len(grid.series), 1))
    early = slice(0, 8 * 7 if grid.every == "1d" else 8 * 168)
    total = np.nansum(grid.counts[:, early], axis=1)
    scale = grid.squares[:, early].sum(axis=1) / np.maximum(total, 1e-300)
    usual = float(np.median(scale[total > 0])) if (total > 0).any() else 1.0
    return np.where(total > 0, scale, usual)[:, None]


def _work_counts(grid: Grid, family: Family, unit: Floats) -> tuple[Floats, int]:
    """Return the counts that are followed: in units, and without single rows of huge size.

    Where the squares of a period exceed what its sum lets expect by far, one row stands out whose
    size is about the root of the excess.
    """
    if family != "amount" or grid.squares is None:
        return grid.counts, 0
    counts = np.nan_to_num(grid.counts)
    surplus = grid.squares - unit * counts
    huge = (surplus > _LARGE_ROW**2 * unit * counts) & (surplus > 0)
    rest = np.where(huge, np.maximum(counts - np.sqrt(np.maximum(surplus, 0)), 0), grid.counts)
    return rest / unit, int((huge & np.isfinite(grid.counts)).sum())


def _options(grid: Grid) -> FilterOptions:
    return FilterOptions(windows=WINDOWS, min_history=MIN_HISTORY, warmup=_WARMUP[grid.every])


def _phases(grid: Grid) -> tuple[NDArray[np.intp], ...]:
    """Holidays are a season of their own, ordinary or holiday, and so are days of the month."""
    phases = []
    if grid.holidays is not None:
        phases.append(np.minimum(grid.holidays, 1).astype(np.intp))
    if grid.month_days:
        phases.append(np.array([day.day - 1 for day in grid.days], dtype=np.intp))
    return tuple(phases)


def _stops(grid: Grid, start: int) -> list[int]:
    """Return the periods before which to keep the filter's state, the last complete one included."""
    n = len(grid.days)
    edge = n_closed(grid)
    spacing = 56 if len(grid.series) <= 5_000 else 182
    if grid.every == "1h":
        spacing *= 12
    earliest = start + (_WARMUP[grid.every] if start == 0 else 1)
    marks = {*range(0, start + n, spacing), *(start + edge - back for back in (TAIL, REWIND, 0))}
    return sorted(mark for mark in marks if earliest <= mark <= start + n)


def _run(
    grid: Grid, counts: Floats, resume: Checkpoint | None
) -> tuple[FilteredCounts, tuple[Checkpoint, ...]]:
    """Run the filter in stretches, keeping its state between them; the numbers do not depend on it."""
    start = 0 if resume is None else resume.step
    state = None if resume is None else resume.state
    bounds = [0, *(s - start for s in _stops(grid, start) if s < start + counts.shape[1])]
    bounds = sorted({*bounds, counts.shape[1]})
    parts, checkpoints = [], []
    for low, high in pairwise(bounds):
        part = filter_counts(
            counts[:, low:high],
            grid.exposure[:, low:high],
            period=_PERIODS[grid.every],
            phases=tuple(p[low:high] for p in _phases(grid)),
            options=_options(grid),
            state=state,  # type: ignore[arg-type]
        )
        state = part.state
        parts.append(part)
        checkpoints.append(Checkpoint(start + high, state))
    return _joined(parts), tuple(checkpoints)


def _joined(parts: list[FilteredCounts]) -> FilteredCounts:
    if len(parts) == 1:
        return parts[0]
    names = (
        "expected", "variance", "level", "base", "pvalue_upper", "pvalue_lower", "level_shift"
    )  # fmt: skip
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names
    }
    return FilteredCounts(windows=parts[0].windows, state=parts[-1].state, **arrays)


def _follow_counts(
    grid: Grid,
    counts: Floats,
    family: Family,
    unit: Floats,
    *,
    direction: Direction,
    resume: Checkpoint | None,
) -> Followed:
    filtered, checkpoints = _run(grid, counts, resume)
    law = scans.decompose(filtered)
    upper = np.array(filtered.pvalue_upper, dtype=float)
    lower = np.array(filtered.pvalue_lower, dtype=float)
    law = _with_late_rows(grid, counts, law, filtered, upper, lower)
    pvalue, span = scans.best_window(
        upper,
        lower,
        filtered.windows,
        direction=direction,
        n_before=_n_before(counts, filtered.state),
    )
    scaled = Law(law.expected * unit, law.noise * unit**2, law.error)
    level, base = (np.asarray(a, dtype=float) for a in (filtered.level, filtered.base))
    variance = np.asarray(filtered.variance, dtype=float)
    return Followed(family, scaled, pvalue, span, unit, checkpoints, level, base, variance)


def _n_before(counts: Floats, state: FilterState) -> Floats:
    """Return how many steps of each series had been seen before each step."""
    seen = np.isfinite(counts)
    from_here = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    before: Floats = np.asarray(state.n_seen, dtype=float)[:, None] - from_here
    return np.maximum(before, 1.0, out=before)


def _with_late_rows(
    grid: Grid,
    counts: Floats,
    law: Law,
    filtered: FilteredCounts,
    upper: Floats,
    lower: Floats,
) -> Law:
    """Widen the last periods by what is not known of their completeness; tails change in place."""
    open_at = np.flatnonzero(grid.completeness_error > 0)
    if not len(open_at):
        return law
    last = len(grid.days) - int(open_at[0])
    share, error = grid.completeness, grid.completeness_error
    extra = law.expected * (grid.arrival_dispersion - 1) * np.maximum(1 - share, 0)
    extra = np.where(error > 0, extra + (law.expected * error) ** 2, 0.0)
    judged = np.isfinite(upper[:, :, -last:])
    redone = scans.widened_tails(
        counts,
        law,
        np.asarray(filtered.level, dtype=float),
        extra,
        windows=filtered.windows,
        n_last=last,
    )
    for tails, new in zip((upper, lower), redone, strict=True):
        tails[:, :, -last:] = np.where(judged, new, np.nan)
    return Law(law.expected, law.noise + extra, law.error)


def _follow_rate(
    grid: Grid, counts: Floats, *, direction: Direction, resume: Checkpoint | None
) -> Followed:
    """Follow the rarer of events and non-events, and judge shares by a beta-binomial law."""
    trials = grid.exposure  # completeness included: what has not arrived is not a trial yet
    filtered, checkpoints = _run(grid, counts, resume)
    share = np.clip(filtered.expected / np.maximum(trials, 1e-9), 1e-6, 1 - 1e-6)
    start = None if resume is None else resume.dispersion
    error = np.nan_to_num(scans.decompose(filtered).error) * (1 - share)
    phi, _ = scans.binomial_dispersion(counts, trials, share, error, start=start)
    law, upper, lower = scans.rate_windows(counts, trials, filtered, phi)
    pvalue, span = scans.best_window(
        upper,
        lower,
        filtered.windows,
        direction=direction,
        n_before=_n_before(counts, filtered.state),
    )
    offset = 0 if resume is None else resume.step
    kept = []
    for mark in checkpoints:
        upto = mark.step - offset
        now = (a[:, :upto] for a in (counts, trials, share, error))
        _, end = scans.binomial_dispersion(*now, start=start)
        kept.append(replace(mark, dispersion=end))
    level, base = (np.asarray(a, dtype=float) for a in (filtered.level, filtered.base))
    unit = np.ones((len(counts), 1))
    return Followed("rate", law, pvalue, span, unit, tuple(kept), level, base)


def _follow_gauge(grid: Grid, *, direction: Direction, resume: Checkpoint | None) -> Followed:
    period = 7 if grid.every == "1d" else 24
    start = 0 if resume is None else resume.step
    state = None if resume is None else resume.state
    bounds = sorted({0, *(s - start for s in _stops(grid, start)), grid.counts.shape[1]})
    parts: list[FilteredGauge] = []
    checkpoints = []
    for low, high in pairwise(bounds):
        part = filter_gauge(
            grid.counts[:, low:high],
            period=period,
            windows=WINDOWS,
            min_history=MIN_HISTORY,
            state=state,  # type: ignore[arg-type]
        )
        state = part.state
        parts.append(part)
        checkpoints.append(Checkpoint(start + high, part.state))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in ("expected", "variance", "pvalue_upper", "pvalue_lower")
    }
    pvalue, span = scans.best_window(
        joined["pvalue_upper"], joined["pvalue_lower"], WINDOWS, direction=direction
    )
    law = Law(joined["expected"], joined["variance"], np.zeros_like(joined["expected"]))
    return Followed("gauge", law, pvalue, span, np.ones((len(pvalue), 1)), tuple(checkpoints))


def forecast_from(grid: Grid, followed: Followed, row: int, freeze_at: int, until: int) -> Law:
    """Say what a series would have brought, had nothing happened from some period on.

    Parameters
    ----------
    grid, followed
        Of the same periods.
    row
        The series.
    freeze_at, until
        The first period that may not be looked at, and the end of the forecast.

    Returns
    -------
    Law
        Arrays of shape (until - freeze_at,).

    Notes
    -----
    The level before `freeze_at` is carried forward; seasonal factors and dispersion are those of
    the cycle before. Like a random walk the level strays ever farther: its squared relative error
    grows by a fixed share per period.
    """
    ahead = np.arange(freeze_at, until)
    if followed.base is None or followed.level is None:
        law = followed.law
        return Law(law.expected[row, ahead], law.noise[row, ahead], law.error[row, ahead])
    same = _same_phase_before(grid, followed.base[row], freeze_at, until)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = followed.base[row, same] / grid.exposure[row, same]
        ratio = followed.law.noise[row, same] / followed.law.expected[row, same]
    unit = float(followed.unit_size[row, 0])
    mean = followed.level[row, freeze_at] * factor * grid.exposure[row, ahead] * unit
    if followed.family == "rate":
        mean = np.minimum(mean, grid.exposure[row, ahead])
    noise = mean * ratio + mean**2 * grid.completeness_error[ahead] ** 2
    error = followed.law.error[row, freeze_at] * (1 + _STRAYING * (ahead - freeze_at))
    return Law(mean, noise, error)


def _same_phase_before(grid: Grid, base: Floats, freeze_at: int, until: int) -> NDArray[np.int64]:
    """Return, for each period of a forecast, the last one before it that shares its season."""
    cycle = max(_PERIODS[grid.every])
    ahead = np.arange(freeze_at, until)
    out = ahead - cycle * ((ahead - freeze_at) // cycle + 1)
    for _ in range(_CYCLES_BACK):
        usable = (out >= 0) & (base[out] > 0)
        if grid.holidays is not None:
            usable &= grid.holidays[out] == 0
        out = np.where(usable, out, np.maximum(out - cycle, out % cycle))
    if grid.month_days:  # factors of a day of the month change once a month at most
        return np.where(base[ahead] > 0, ahead, out)
    if grid.holidays is not None:  # a holiday's factor is the day's own
        out = np.where((grid.holidays[ahead] > 0) & (base[ahead] > 0), ahead, out)
    return out
