"""Follow weekly and monthly series by a regression that is fitted anew before every period."""

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import ParameterError
from rcakit.spikes.engines import Followed
from rcakit.spikes.family import Family
from rcakit.spikes.grid import Grid
from rcakit.stats import scans
from rcakit.stats.regression import ForecastMisses, fit_counts, forecast_counts, seasonal_design
from rcakit.stats.scans import Direction, Law

__all__ = ["follow_by_regression"]

Floats = NDArray[np.float64]

_WINDOWS = (1, 2)
_SEASON = {"1w": 365.25 / 7, "1mo": 12.0}
_LONGEST = {"1w": 261, "1mo": 60}
# Periods just before the one judged that are left out, so that an incident does not hide itself.
_GAP = {"1w": 4, "1mo": 1}
_LEAST = 8
_TREND_FROM = {"1w": 26, "1mo": 12}
_WEEK_AS_DAYS = 2.0


def follow_by_regression(grid: Grid, family: Family, *, direction: Direction) -> Followed:
    """Predict each period from up to five years before it.

    Notes
    -----
    Level; a trend from half a year of history on; one harmonic of the year from two years on;
    the number of public holidays where a calendar is given and has varied. Weeks just before the
    period are left out of the fit. See `rcakit.stats.regression`.
    """
    if family in {"rate", "gauge"}:
        if family == "gauge":
            raise ParameterError(
                "every must be '1h' or '1d' for a gauge, got "
                f"{grid.every!r}. Follow backlogs by day."
            )
        family = "count"
    unit = _unit(grid, family)
    counts = grid.counts / unit
    n_steps = counts.shape[1]
    expected, noise, error = (np.full(counts.shape, np.nan) for _ in range(3))
    upper, lower = (np.full((len(_WINDOWS), *counts.shape), np.nan) for _ in range(2))
    n_seen = np.cumsum(np.isfinite(counts), axis=1)
    misses = ForecastMisses(len(counts))
    for t in range(_LEAST, n_steps):
        first = max(0, t - _LONGEST[grid.every])
        gap = min(_GAP[grid.every], max(0, t - first - _LEAST))
        design = _design(grid, first, t + 1)
        past = slice(0, t - first - gap)
        exposure = np.maximum(grid.exposure[:, first : t + 1], 1e-9)
        enough = n_seen[:, t - 1 - gap] - (n_seen[:, first - 1] if first else 0) >= _LEAST
        if not enough.any():
            continue
        fit = fit_counts(
            counts[enough, first : t - gap], design[past], exposure=exposure[enough][:, past]
        )
        fit = misses.widen(fit, enough)
        new = forecast_counts(
            fit,
            counts[enough, t - 1 : t + 1],
            design[-2:],
            exposure=exposure[enough][:, -2:],
            windows=_WINDOWS,
        )
        mean = new.expected[:, -1]
        expected[enough, t], noise[enough, t] = mean, fit.dispersion * mean
        error[enough, t] = (
            np.maximum(new.variance[:, -1] - fit.dispersion * mean, 0) / np.maximum(mean, 1e-9) ** 2
        )
        misses.learn(counts[enough, t], mean, new.variance[:, -1], enough)
        for out, tails in ((upper, new.pvalue_upper), (lower, new.pvalue_lower)):
            out[:, enough, t] = tails[:, :, -1]
    n_before = np.maximum(_WEEK_AS_DAYS * (n_seen - 1.0), 1.0)  # few coefficients, soon known
    pvalue, span = scans.best_window(upper, lower, _WINDOWS, direction=direction, n_before=n_before)
    law = Law(expected * unit, noise * unit**2, error)
    law = _with_late_rows(grid, law)
    return Followed(family, law, pvalue, span, unit)


def _unit(grid: Grid, family: Family) -> Floats:
    if family != "amount" or grid.squares is None:
        return np.ones((len(grid.series), 1))
    total = np.nansum(grid.counts, axis=1, keepdims=True)
    return np.where(
        total > 0, grid.squares.sum(axis=1, keepdims=True) / np.maximum(total, 1e-300), 1
    )


def _with_late_rows(grid: Grid, law: Law) -> Law:
    extra = np.where(
        grid.completeness_error > 0, (law.expected * grid.completeness_error) ** 2, 0.0
    )
    return Law(law.expected, law.noise + extra, law.error)


def _design(grid: Grid, first: int, end: int) -> Floats:
    """Return the columns that this much history can carry."""
    season = _SEASON[grid.every]
    n_past = end - first - 1 - _GAP[grid.every]
    design = seasonal_design(
        range(first, end),
        period=season,
        n_harmonics=1 if n_past >= 2 * season - 1 else 0,
        trend=n_past >= _TREND_FROM[grid.every],
    )
    if grid.holidays is None:
        return design
    holidays = grid.holidays[first:end].astype(float)
    if (holidays[: max(n_past, 1)] > 0).sum() < 3:
        return design
    return np.column_stack([design, holidays])
