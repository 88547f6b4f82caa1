"""Looking back: between which days did the level stay the same, and where did it jump?

Penalised likelihood segmentation by PELT, exact, for counts with exposure (quasi-Poisson)
and for means. Feed it a deseasonalised series: put season times exposure into `exposure`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats.residuals import MEDIAN_SQUARE

Floats = NDArray[np.float64]
Cost = Callable[[NDArray[np.intp], int], Floats]

_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Stretches of constant level."""

    starts: NDArray[np.intp]  # (M + 1,) first step of each segment; the first is 0
    level: Floats  # (M + 1,) rate per unit of exposure, or mean
    level_se: Floats  # (M + 1,) standard error
    gain: Floats  # (M,) twice the log likelihood each change adds over merging its neighbours
    dispersion: float  # variance over mean, or variance
    penalty: float  # what a change had to gain

    @property
    def changes(self) -> NDArray[np.intp]:
        """First steps of the segments after the first, shape (M,)."""
        return self.starts[1:]


def pelt(cost: Cost, n_steps: int, *, penalty: float, min_size: int = 1) -> NDArray[np.intp]:
    """Find the segmentation of least cost plus penalty per change, exactly.

    Parameters
    ----------
    cost
        `cost(starts, end)` gives the costs of segments [start, end) for an array of starts.
        Splitting a segment must never raise the cost.
    n_steps
        Length of the series.
    penalty
        Added per change, in the units of the cost.
    min_size
        Least steps in a segment.

    Returns
    -------
    NDArray
        First steps of the segments after the first, ascending.

    Notes
    -----
    A start is dropped once it cannot win any more; with `min_size` above 1 only after
    another `min_size` steps, until when the rival segment is still too short.

    References
    ----------
    .. [1] Killick, Fearnhead & Eckley (2012). Optimal detection of changepoints with a linear
       computational cost. JASA 107, 1590-1598, theorem 3.1.

    Examples
    --------
    >>> y = np.repeat([1.0, 9.0], 5)
    >>> pelt(normal_cost(y), 10, penalty=3.0)
    array([5])
    """
    best = np.full(n_steps + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(n_steps + 1, dtype=np.intp)
    never = n_steps + 1
    starts = np.zeros(0, dtype=np.intp)
    expires = np.zeros(0, dtype=np.intp)
    for end in range(min_size, n_steps + 1):
        starts = np.append(starts, end - min_size)
        expires = np.append(expires, never)
        alive = (expires > end) & np.isfinite(best[starts])
        starts, expires = starts[alive], expires[alive]
        total = best[starts] + cost(starts, end)
        winner = int(np.argmin(total))
        best[end], previous[end] = total[winner] + penalty, starts[winner]
        beaten = total >= best[end]
        expires = np.where(beaten, np.minimum(expires, end + min_size), expires)
    return _trace_back(previous, n_steps)


def _trace_back(previous: NDArray[np.intp], end: int) -> NDArray[np.intp]:
    changes = []
    while previous[end] > 0:
        end = int(previous[end])
        changes.append(end)
    return np.array(changes[::-1], dtype=np.intp)


def poisson_cost(counts: ArrayLike, exposure: ArrayLike, *, dispersion: float = 1.0) -> Cost:
    """Give twice the negative quasi-Poisson log likelihood of segments, up to a constant.

    References
    ----------
    .. [1] McCullagh & Nelder (1989). Generalized Linear Models, 2nd ed., p. 326
       (quasi-likelihood with variance dispersion times mean).
    """
    total = np.concatenate([[0.0], np.cumsum(np.asarray(counts, dtype=np.float64))])
    width = np.concatenate([[0.0], np.cumsum(np.asarray(exposure, dtype=np.float64))])

    def cost(starts: NDArray[np.intp], end: int) -> Floats:
        y, e = total[end] - total[starts], width[end] - width[starts]
        ratio = np.where(y > 0, y, 1) / np.maximum(e, 1e-300)
        return 2 / dispersion * (y - y * np.log(ratio))

    return cost


def normal_cost(values: ArrayLike, *, variance: float = 1.0) -> Cost:
    """Give the sum of squares about segment means, over the variance."""
    y = np.asarray(values, dtype=np.float64)
    y = y - np.median(y)  # keeps the sums of squares from cancelling
    total = np.concatenate([[0.0], np.cumsum(y)])
    square = np.concatenate([[0.0], np.cumsum(y * y)])

    def cost(starts: NDArray[np.intp], end: int) -> Floats:
        y = total[end] - total[starts]
        return (square[end] - square[starts] - y * y / (end - starts)) / variance

    return cost


def segment_counts(
    counts: ArrayLike,
    exposure: ArrayLike | None = None,
    *,
    penalty: float | None = None,
    min_size: int = 7,
    outlier_z: float = 3.0,
) -> Segmentation:
    """Split a series of counts where its rate jumped for good.

    Parameters
    ----------
    counts
        Shape (T,); nan where missing.
    exposure
        What counts are proportional to between jumps: season times denominator; 1 if left out.
    penalty
        Twice the log likelihood a change must gain. `None` means 3 log(T), which on steady
        overdispersed counts finds a change in at most one series of fifty.
    min_size
        Least days of a level; shorter spells are spikes, not levels.
    outlier_z
        Counts this many standard deviations from the running median are drawn in to that
        bound first, so that a spike does not become a level of its own.

    Returns
    -------
    Segmentation

    Notes
    -----
    Assumes independent days of constant rate within segments. Where the level drifts, a
    staircase comes out: use the streaming filter there. Season left in the counts raises
    the dispersion and hides changes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.concatenate([rng.poisson(20, 60), rng.poisson(35, 60)])
    >>> segment_counts(y).changes
    array([60])
    """
    y = np.asarray(counts, dtype=np.float64)
    e = np.ones_like(y) if exposure is None else np.asarray(exposure, dtype=np.float64)
    seen = np.isfinite(y) & (e > 0)
    y, e = np.where(seen, y, 0.0), np.where(seen, e, 0.0)
    phi = count_dispersion(y[seen], e[seen])
    y[seen] = _draw_in(y[seen], e[seen], phi, 2 * min_size + 1, outlier_z)
    penalty = 3 * np.log(max(len(y), 2)) if penalty is None else penalty
    cost = poisson_cost(y, e, dispersion=phi)
    changes = pelt(cost, len(y), penalty=penalty, min_size=min_size)
    starts = np.concatenate([[0], changes]).astype(np.intp)
    total, width = np.add.reduceat(y, starts), np.add.reduceat(e, starts)
    width = np.where(width > 0, width, np.nan)
    error = np.sqrt(phi * np.maximum(total, 0.5)) / width
    return Segmentation(starts, total / width, error, _gains(cost, starts, len(y)), phi, penalty)


def segment_means(
    values: ArrayLike, *, penalty: float | None = None, min_size: int = 7
) -> Segmentation:
    """Split a series of measurements where its mean jumped for good.

    Parameters
    ----------
    values
        Shape (T,), without nan; logs of amounts, delays, scores.
    penalty, min_size
        As in `segment_counts`.

    Returns
    -------
    Segmentation
        `dispersion` is the variance of the noise, from differences of neighbours.
    """
    y = np.asarray(values, dtype=np.float64)
    variance = max(difference_variance(y), 1e-12)
    penalty = 3 * np.log(max(len(y), 2)) if penalty is None else penalty
    cost = normal_cost(y, variance=variance)
    starts = np.concatenate([[0], pelt(cost, len(y), penalty=penalty, min_size=min_size)])
    starts = starts.astype(np.intp)
    size = np.diff(np.append(starts, len(y)))
    level = np.add.reduceat(y, starts) / size
    gains = _gains(cost, starts, len(y))
    return Segmentation(starts, level, np.sqrt(variance / size), gains, variance, penalty)


def count_dispersion(counts: Floats, exposure: Floats) -> float:
    """Estimate variance over mean from differences of neighbours, blind to jumps.

    Notes
    -----
    The squared difference of neighbouring rates over its Poisson variance has mean phi; the
    median is taken, divided by that of chi-squared, so that jumps and spikes do not count.
    """
    rate = counts / exposure
    pooled = (counts[1:] + counts[:-1]) / (exposure[1:] + exposure[:-1])
    poisson = pooled * (1 / exposure[1:] + 1 / exposure[:-1])
    ratio = np.diff(rate) ** 2 / np.where(poisson > 0, poisson, np.inf)
    return max(1.0, float(np.median(ratio)) / MEDIAN_SQUARE) if len(ratio) else 1.0


def difference_variance(values: Floats) -> float:
    """Estimate the variance of the noise from differences of neighbours, blind to jumps."""
    steps = np.abs(np.diff(values))
    return float((_MAD_TO_SD * np.median(steps)) ** 2 / 2) if len(steps) else 0.0


def _draw_in(y: Floats, e: Floats, phi: float, width: int, outlier_z: float) -> Floats:
    """Bound counts by the running median rate plus or minus some standard deviations."""
    if len(y) < width:
        return y
    rate = np.pad(y / e, width // 2, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(rate, width), axis=1) * e
    reach = outlier_z * np.sqrt(phi * np.maximum(middle, 1.0))
    return np.clip(y, middle - reach, middle + reach)


def _gains(cost: Cost, starts: NDArray[np.intp], end: int) -> Floats:
    """What each change saves against joining the two segments it parts."""
    bounds = np.append(starts, end)
    gains = []
    for left, change, right in zip(bounds[:-2], bounds[1:-1], bounds[2:], strict=True):
        joined = cost(np.array([left]), right)[0]
        parted = cost(np.array([left]), change)[0] + cost(np.array([change]), right)[0]
        gains.append(joined - parted)
    return np.array(gains)
