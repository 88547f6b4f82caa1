"""What did yesterday's level lead us to expect of today's, for stocks such as backlogs?

A stock is measured, not counted: it moves by what came in less what went out, so its days hang
together. Each step is predicted from the one before plus the usual change on that weekday; the
spread of changes is learned robustly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.residuals import MEDIAN_SQUARE, OUTLIER_Z, cut_square

__all__ = ["FilteredGauge", "GaugeState", "filter_gauge", "looks_like_a_stock"]

Floats = NDArray[np.float64]

_DISCOUNT = 0.99
# Degrees of freedom of Student's laws: changes of some backlogs have heavy tails, of others none.
_DEGREES = np.array([4.0, 10.0, 100.0])[:, None]
_TRUST = np.log([0.3, 0.4, 0.3])[:, None]  # before anything was seen
_LEAST_TRUST = -7.0  # one change may bring a law back
_PRIOR_WEEKS = 4.0
_FIRST_STEPS = 28
_STOCK_CORRELATION = 0.9


@dataclass(frozen=True, slots=True)
class GaugeState:
    """What the filter of N stocks remembers; arrays end in the axis of series."""

    n_steps: int
    change: Floats  # (period, N) usual change on each phase
    weight: Floats  # (period, N) how many changes it rests on
    square: Floats  # (N,) discounted sum of squared residuals
    number: Floats  # (N,)
    log_weights: Floats  # (3, N) of the laws of changes, by how well each predicted
    recent: Floats  # (W, N) last values
    n_seen: Floats  # (N,)


@dataclass(frozen=True, slots=True)
class FilteredGauge:
    """One-step forecasts of N stocks, shape (N, T); tails (n_windows, N, T)."""

    expected: Floats
    variance: Floats
    pvalue_upper: Floats
    pvalue_lower: Floats
    state: GaugeState


def filter_gauge(
    values: Floats,
    *,
    period: int = 7,
    windows: tuple[int, ...] = (1, 2, 5),
    min_history: int = 14,
    state: GaugeState | None = None,
) -> FilteredGauge:
    """Follow many stocks and say how surprising each change was.

    Parameters
    ----------
    values
        Shape (N, T), equally spaced; nan where not measured. May be negative.
    period
        Steps in a season of changes.
    windows
        Spans of the changes that get p-values: today against the day before, two days before, …
    min_history
        Measurements that a series must have before it gets p-values.
    state
        Where an earlier call stopped.

    Notes
    -----
    A random walk with a seasonal drift (Harvey 1989, Forecasting, Structural Time Series Models,
    p. 170). A change over w steps has w times the variance of one. Tails are those of three Student
    laws with few, some and many degrees of freedom, mixed by how well each has predicted the changes
    so far. Starting values look ahead over the first 28 steps.

    Not for counts of events, whose days are independent given the mean, nor for stocks that
    are emptied at random times.

    Examples
    --------
    >>> backlog = 500 + np.cumsum(np.random.default_rng(0).normal(0, 5, (1, 60)), axis=1)
    >>> backlog[0, -1] += 80
    >>> bool(filter_gauge(backlog).pvalue_upper[0, 0, -1] < 1e-4)
    True
    """
    from scipy import special

    y = np.asarray(values, dtype=float)
    state = _first(y, period, max(windows)) if state is None else state
    change, weight = state.change.copy(), state.weight.copy()
    square, number, n_seen = state.square.copy(), state.number.copy(), state.n_seen.copy()
    log_weights = state.log_weights.copy()
    track = np.concatenate([state.recent.T, y], axis=1)  # (N, W + T)
    reach = max(windows)
    expected, variance = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    upper = np.full((len(windows), *y.shape), np.nan)
    lower = upper.copy()
    drifts = np.zeros((reach, len(y)))
    for t in range(y.shape[1]):
        phase = (state.n_steps + t) % period
        drifts = np.vstack([change[phase], drifts[:-1]])
        spread = np.sqrt(np.maximum(square / number, 1e-12))
        now = track[:, reach + t]
        before = track[:, reach + t - 1]
        expected[:, t], variance[:, t] = before + change[phase], spread**2
        weights = np.exp(log_weights - np.logaddexp.reduce(log_weights, axis=0))
        for i, w in enumerate(windows):
            z = (now - track[:, reach + t - w] - drifts[:w].sum(0)) / (spread * np.sqrt(w))
            tail = (weights * special.stdtr(_DEGREES, -z)).sum(axis=0)
            known = n_seen >= min_history
            upper[i, :, t], lower[i, :, t] = (np.where(known, p, np.nan) for p in (tail, 1 - tail))
        rest = now - before - change[phase]
        seen = np.isfinite(rest)
        log_weights += np.where(seen, _log_density(np.where(seen, rest, 0.0) / spread), 0.0)
        log_weights = np.maximum(log_weights - log_weights.max(axis=0), _LEAST_TRUST)
        cut = np.clip(np.where(seen, rest, 0.0), -OUTLIER_Z * spread, OUTLIER_Z * spread)
        change[phase] += np.where(seen, cut / (weight[phase] + 1), 0.0)
        weight[phase] = np.where(seen, _DISCOUNT * weight[phase] + 1, weight[phase])
        square = np.where(seen, _DISCOUNT * square + cut_square(rest**2, spread**2), square)
        number = np.where(seen, _DISCOUNT * number + 1, number)
        n_seen = n_seen + np.isfinite(now)
        # A gap is bridged by the forecast, so that the day after it can be judged.
        track[:, reach + t] = np.where(np.isfinite(now), now, expected[:, t])
    end = GaugeState(
        n_steps=state.n_steps + y.shape[1],
        change=change,
        weight=weight,
        square=square,
        number=number,
        log_weights=log_weights,
        recent=track[:, -reach:].T,
        n_seen=n_seen,
    )
    return FilteredGauge(expected, variance, upper, lower, end)


def _log_density(score: Floats) -> Floats:
    """Log densities of the Student laws, shape (3, N)."""
    from scipy import special

    half = (_DEGREES + 1) / 2
    constant = special.gammaln(half) - special.gammaln(_DEGREES / 2) - 0.5 * np.log(_DEGREES)
    density: Floats = constant - half * np.log1p(score**2 / _DEGREES)
    return density


def _first(y: Floats, period: int, reach: int) -> GaugeState:
    """Return starting values from the changes of the first steps."""
    steps = np.diff(y[:, : _FIRST_STEPS + 1], axis=1)
    known = np.isfinite(steps).any(axis=1)
    middle, spread = np.zeros(len(y)), np.ones(len(y))
    if known.any():
        middle[known] = np.nanmedian(steps[known], axis=1)
        rest = np.abs(steps[known] - middle[known, None])
        spread[known] = 1.4826 * np.nanmedian(rest, axis=1)
        flat = spread[known] == 0
        spread[known] = np.where(flat, np.nanmean(rest, axis=1), spread[known])
    number = np.full(len(y), 14.0)
    first = np.full(len(y), np.nan)
    for row, values in enumerate(y):
        measured = values[np.isfinite(values)]
        first[row] = measured[0] if len(measured) else np.nan
    return GaugeState(
        n_steps=0,
        change=np.tile(middle, (period, 1)),
        weight=np.full((period, len(y)), _PRIOR_WEEKS),
        square=np.maximum(spread, 1e-9) ** 2 * number,
        number=number,
        log_weights=np.tile(_TRUST, (1, len(y))),
        recent=np.tile(first, (reach, 1)),
        n_seen=np.zeros(len(y)),
    )


def looks_like_a_stock(values: Floats, *, period: int = 7) -> bool:
    """Tell whether most series hang together from day to day as a backlog does.

    Notes
    -----
    The lag-one correlation after the usual value of each phase is taken out, above .9 in the
    median series, and changes of neighbours that scatter far less than independent counts of
    this size could (below half of the Poisson variance of a difference) or values below zero.
    """
    y = np.asarray(values, dtype=float)
    found = []
    for row in y[:200]:
        if np.isfinite(row).sum() < 4 * period:
            continue
        seen = np.where(np.isfinite(row), row, np.nanmedian(row))
        usual = np.array([np.median(seen[p::period]) for p in range(period)])
        rest = seen - np.resize(usual, len(seen))
        if rest[1:].std() == 0 or rest[:-1].std() == 0:  # no correlation without variation
            found.append(False)
            continue
        correlation = float(np.corrcoef(rest[1:], rest[:-1])[0, 1])
        jumps = np.median(np.diff(rest) ** 2) / MEDIAN_SQUARE
        calm = seen.min() < 0 or jumps < 0.5 * 2 * max(seen.mean(), 1e-9)
        found.append(correlation > _STOCK_CORRELATION and bool(calm))
    return bool(found) and float(np.mean(found)) > 0.5
