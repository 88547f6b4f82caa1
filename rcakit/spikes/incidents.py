"""Join odd days to incidents: kind, onset, peak, end, and the excess with its interval."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit.spikes.grid import Grid
from rcakit.stats.baselines import Baseline
from rcakit.stats.negative_binomial import lower_tail, quantile, upper_tail

__all__ = ["Direction", "Incident", "IncidentKind", "find_incidents", "scan_pvalues"]

Floats = NDArray[np.float64]
Direction = Literal["up", "down", "both"]
IncidentKind = Literal["spike", "drop", "level_shift_up", "level_shift_down"]

# A mild rise that lasts shows in a sum of days before it shows in one.
_WINDOWS = (1, 3, 7)
# Odd days at most this far apart belong to one incident.
_JOIN_DAYS = 2
# An incident that lasts this long is a new level.
_SHIFT_DAYS = 10


@dataclass(frozen=True, slots=True)
class Incident:
    """Days on which one series was not what its past had promised."""

    series: tuple[Any, ...]
    kind: IncidentKind
    started_at: dt.date
    ended_at: dt.date | None
    last_day: dt.date
    peak_at: dt.date
    observed: float
    expected: float
    excess: float
    excess_ci_lower: float
    excess_ci_upper: float
    rel_effect: float
    pvalue: float
    qvalue: float


def scan_pvalues(
    counts: Floats, baseline: Baseline, *, direction: Direction
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the p-value of each day and the signed window that gave it.

    For each window length the sum of the last days is compared with the sum of their predictions;
    the smallest p-value counts, times the number of windows and of directions that were tried.

    Returns
    -------
    pvalue
        Shape (n_series, n_days); nan without prediction.
    span
        Window length in days, negative when the sum is too low; same shape.
    """
    pvalue = np.full(counts.shape, np.nan)
    span = np.zeros(counts.shape, dtype=np.int64)
    tries = len(_WINDOWS) * (2 if direction == "both" else 1)
    for window in _WINDOWS:
        observed, mean, variance = _window_sums(counts, baseline, window)
        known = np.isfinite(mean)
        for sign in {"up": (1,), "down": (-1,), "both": (1, -1)}[direction]:
            tail = upper_tail if sign > 0 else lower_tail
            p = np.full(counts.shape, np.nan)
            p[known] = np.minimum(tail(observed[known], mean[known], variance[known]) * tries, 1)
            better = known & ~(pvalue <= p)
            pvalue[better], span[better] = p[better], sign * window
    return pvalue, span


def _window_sums(counts: Floats, baseline: Baseline, window: int) -> tuple[Floats, Floats, Floats]:
    """Return observed sum, predicted sum and its variance over the last days; nan if not all known."""
    known = np.isfinite(counts) & np.isfinite(baseline.expected)
    mean = _trailing(np.where(known, baseline.expected, np.nan), window)
    noise = _trailing(np.where(known, baseline.dispersion * baseline.expected, np.nan), window)
    shared = mean**2 * baseline.level_variance  # an error of the level does not average out
    return _trailing(np.where(known, counts, np.nan), window), mean, noise + shared


def _trailing(values: Floats, window: int) -> Floats:
    total = np.full(values.shape, np.nan)
    if values.shape[1] >= window:
        slices = np.lib.stride_tricks.sliding_window_view(values, window, axis=1)
        total[:, window - 1 :] = slices.sum(-1)
    return total


def find_incidents(
    grid: Grid,
    baseline: Baseline,
    *,
    pvalue: Floats,
    qvalue: Floats,
    is_odd: NDArray[np.bool_],
    span: NDArray[np.int64],
    tail: float,
) -> tuple[Incident, ...]:
    """Join odd days of each series, largest relative surprise first.

    The excess is observed minus predicted over the incident, with the prediction made from the
    days before it; its interval is that of the prediction, so it covers the events that were
    really added.
    """
    variance = baseline.variance()
    score = (grid.counts - baseline.expected) / np.sqrt(np.maximum(variance, 1e-12))
    found = [
        _incident(grid, baseline, row, days, sign, pvalue=pvalue, qvalue=qvalue, tail=tail)
        for row in np.flatnonzero(is_odd.any(1)).tolist()
        for sign in (1, -1)
        for days in _runs(is_odd[row] & (np.sign(span[row]) == sign), span[row], sign * score[row])
    ]
    return tuple(sorted(found, key=lambda item: (item.pvalue, -abs(item.excess))))


def _runs(
    odd: NDArray[np.bool_], span: NDArray[np.int64], score: Floats
) -> list[NDArray[np.int64]]:
    """Return the days of each incident: odd days with their windows, cut to where the excess is."""
    days: set[int] = set()
    for day in np.flatnonzero(odd).tolist():
        days |= set(range(max(0, day - abs(int(span[day])) + 1), day + 1))
    ordered = np.array(sorted(days), dtype=np.int64)
    if not len(ordered):
        return []
    joined = np.split(ordered, np.flatnonzero(np.diff(ordered) > _JOIN_DAYS) + 1)
    return [_densest(np.arange(run[0], run[-1] + 1), score) for run in joined]


def _densest(days: NDArray[np.int64], score: Floats) -> NDArray[np.int64]:
    """Return the stretch of days whose scores beyond one standard deviation add up highest.

    A window that raised the alarm may begin before the incident did (Bentley 1984, Communications
    of the ACM 27, 865-871: maximum sum of a contiguous stretch).
    """
    gains = np.concatenate([[0.0], np.cumsum(np.nan_to_num(score[days]) - 1.0)])
    lowest = np.minimum.accumulate(gains)
    end = int(np.argmax(gains - lowest))
    start = int(np.argmin(gains[: end + 1]))
    return days[start:end] if end > start else days


def _incident(
    grid: Grid,
    baseline: Baseline,
    row: int,
    days: NDArray[np.int64],
    sign: int,
    *,
    pvalue: Floats,
    qvalue: Floats,
    tail: float,
) -> Incident:
    days = days[np.isfinite(grid.counts[row, days]) & np.isfinite(baseline.expected[row, days])]
    observed = float(grid.counts[row, days].sum())
    expected = float(baseline.expected[row, days].sum())
    noise = float((baseline.dispersion[row, days] * baseline.expected[row, days]).sum())
    variance = noise + expected**2 * float(baseline.level_variance[row, days[0]])
    low, high = (float(quantile(p, expected, variance)) for p in (tail, 1 - tail))
    gap = grid.counts[row, days] - baseline.expected[row, days]
    is_ongoing = days[-1] >= len(grid.days) - _JOIN_DAYS
    last_day = grid.days[days[-1]]
    return Incident(
        series=grid.series[row],
        kind=_kind(len(days), sign),
        started_at=grid.days[days[0]],
        ended_at=None if is_ongoing else last_day,
        last_day=last_day,
        peak_at=grid.days[days[int(np.argmax(sign * gap))]],
        observed=observed,
        expected=expected,
        excess=observed - expected,
        # The middle of a skew prediction may lie outside it, where next to nothing is expected.
        excess_ci_lower=observed - max(high, expected),
        excess_ci_upper=observed - min(low, expected),
        rel_effect=(observed - expected) / expected if expected > 0 else np.nan,
        pvalue=float(np.nanmin(pvalue[row, days])),
        qvalue=float(np.nanmin(qvalue[row, days])),
    )


def _kind(n_days: int, sign: int) -> IncidentKind:
    if n_days >= _SHIFT_DAYS:
        return "level_shift_up" if sign > 0 else "level_shift_down"
    return "spike" if sign > 0 else "drop"
