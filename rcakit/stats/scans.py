"""How likely is a sum over a few last steps, given what a filter expected of it?

Windows of a filter's forecasts, put together to one p-value per step: for counts, for shares of a
varying denominator, and for steps whose counts are still coming in.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats import beta_binomial
from rcakit.stats.bells import normal_quantile, student_score_tail
from rcakit.stats.filters import FilteredCounts, FilterState, rolling_sum
from rcakit.stats.negative_binomial import quantile
from rcakit.stats.overlapping import smallest_pvalue
from rcakit.stats.residuals import MEDIAN_SQUARE, cut_square
from rcakit.stats.tails import tail_pvalues

__all__ = [
    "Direction",
    "Law",
    "allow_for_estimated_spread",
    "best_window",
    "binomial_dispersion",
    "count_bounds",
    "decompose",
    "dispersion_at",
    "rate_windows",
    "share_bounds",
    "split",
    "widened_tails",
]

Floats = NDArray[np.float64]
Direction = str  # "up", "down" or "both"

_LEAST_MEAN = 1e-6
# Beyond this many exact quantiles a Cornish-Fisher expansion answers; a chart cannot tell them apart.
_MOST_EXACT = 20_000
_PRIOR_STEPS = 20.0
_FIRST_STEPS = 28
_IN_SAMPLE = 1.2  # seven seasons out of 28 days take a quarter, and the median is biased
_SMALL = 0.15
_EFFICIENCY = 0.4
_SETTLED = 60.0
_MOST_YOUNG = 200.0  # steps; then Student's law has a thousand degrees of freedom
_LEAST_DEGREES = 5.0


@dataclass(frozen=True, slots=True)
class Law:
    """What each step of N series was expected to bring, arrays of shape (N, T).

    Attributes
    ----------
    expected
        Mean.
    noise
        Variance of a step about its true mean; adds up over steps.
    error
        Squared relative error of the mean; shared by neighbouring steps.
    """

    expected: Floats
    noise: Floats
    error: Floats

    def variance(self) -> Floats:
        """Return the predictive variance of single steps."""
        return self.noise + self.error * self.expected**2


def dispersion_at(state: FilterState, mean: Floats) -> Floats:
    """Return variance over mean, as a filter believed when it stopped.

    Parameters
    ----------
    state
        Of N series.
    mean
        Shape (N, T).

    Notes
    -----
    The filter blends two forms, a constant and one plus a multiple of the mean, by the odds that
    the squared residuals gave; this reads the blend from the state.
    """
    seen = np.maximum(np.asarray(state.n_dispersion, dtype=float), 1e-9)
    constant = np.maximum(state.proportional / seen, 1)[:, None]
    slope = np.maximum(state.quadratic / seen, 0)[:, None]
    blend = 1 / (1 + np.exp(np.minimum(-np.asarray(state.log_odds_quadratic, float), 80)))[:, None]
    return constant + blend * (1 + slope * mean - constant)


def decompose(filtered: FilteredCounts) -> Law:
    """Split the predictive variance of a filter into noise and the error of the mean."""
    return split(filtered.expected, filtered.variance, filtered.state)


def split(expected: ArrayLike, variance: ArrayLike, state: FilterState) -> Law:
    """Split predictive variances by the dispersion that a filter believed in the end.

    Parameters
    ----------
    expected, variance
        Of the filter, shape (N, T).
    state
        Where it stopped.
    """
    mean = np.asarray(expected, dtype=float)
    total = np.asarray(variance, dtype=float)
    noise = np.minimum(mean * dispersion_at(state, mean), total)
    return Law(mean, noise, (total - noise) / np.maximum(mean, _LEAST_MEAN) ** 2)


def best_window(
    upper: Floats,
    lower: Floats,
    windows: tuple[int, ...],
    *,
    direction: Direction,
    n_before: Floats | None = None,
) -> tuple[Floats, NDArray[np.int16]]:
    """Return one p-value per step, and the signed window that gave it.

    Parameters
    ----------
    upper, lower
        One-sided p-values, shape (n_windows, N, T); nan where there is none.
    windows
        Lengths in steps.
    direction
        ``up``, ``down`` or ``both``.
    n_before
        Steps seen before each, for `allow_for_estimated_spread`; None leaves p-values alone.

    Returns
    -------
    pvalue
        Shape (N, T): the chance that the smallest over windows and directions falls so low;
        see `smallest_pvalue`.
    span
        Length of the window, negative where the sum is too low.
    """
    sides = {"up": ((1, upper),), "down": ((-1, lower),), "both": ((1, upper), (-1, lower))}
    pvalue = np.full(upper.shape[1:], np.nan)
    span = np.zeros(upper.shape[1:], dtype=np.int16)
    for sign, tails in sides[direction]:
        for width, tail in zip(windows, tails, strict=True):
            p = np.asarray(tail, dtype=float)
            better = np.isfinite(p) & ~(pvalue <= p)
            pvalue[better], span[better] = p[better], sign * width
    if n_before is not None:
        pvalue = allow_for_estimated_spread(pvalue, n_before)
    return smallest_pvalue(pvalue, windows, n_sides=len(sides[direction])), span


def allow_for_estimated_spread(pvalue: Floats, n_before: Floats) -> Floats:
    """Raise small p-values by what it costs to have estimated the spread from few steps.

    Parameters
    ----------
    pvalue
        One-sided; nan stays.
    n_before
        Steps that had been seen before, same shape.

    Notes
    -----
    A normal score over an estimated standard deviation follows Student's law. A robust estimate
    from few steps is worth about half of them; with more steps heavy tails hardly show, so that the
    degrees of freedom grow as the cube (chosen on simulated quiet series, see
    benchmarks/results/spikes_calibration.md).

    Examples
    --------
    >>> allow_for_estimated_spread(np.array([0.001]), np.array([40.0])).round(4)
    array([0.004])
    """
    out = pvalue.copy()
    young = n_before < _MOST_YOUNG
    small = young & (pvalue < _SMALL) & (pvalue > 0)
    n = n_before[small]
    degrees = np.maximum(_EFFICIENCY * n * (1 + (n / _SETTLED) ** 2), _LEAST_DEGREES)
    out[small] = student_score_tail(pvalue[small], degrees)
    return out


def widened_tails(
    counts: Floats,
    law: Law,
    level: Floats,
    extra: Floats,
    *,
    windows: tuple[int, ...],
    n_last: int,
) -> tuple[Floats, Floats]:
    """Redo the tails of the last steps with a variance that the filter could not know.

    Parameters
    ----------
    counts
        Shape (N, T); nan where missing.
    law
        From `decompose`.
    level
        Level before each step, shape (N, T); a window is expected at the level before it.
    extra
        Variance to add to each step, shape (N, T).
    windows
        Lengths in steps.
    n_last
        How many last steps to redo.

    Returns
    -------
    upper, lower
        Shape (n_windows, N, n_last); nan where the step is missing or the window not full.
    """
    n_steps = counts.shape[1]
    seen = np.isfinite(counts)
    base = np.where(seen, law.expected / np.maximum(level, 1e-12), 0.0)
    rows = [np.where(seen, a, 0.0).T for a in (counts, base, law.noise, extra)]
    upper = np.full((len(windows), len(counts), n_last), np.nan)
    lower = upper.copy()
    for i, width in enumerate(windows):
        ends = np.arange(max(n_steps - n_last, width - 1), n_steps)
        starts = ends - width + 1
        y, b, noise, more = (rolling_sum(row, width)[starts].T for row in rows)
        mean = np.maximum(level[:, starts] * b, _LEAST_MEAN)
        variance = noise + more + law.error[:, starts] * mean**2
        found = tail_pvalues(np.round(y), mean, np.maximum(variance, mean))
        for out, tail in zip((upper, lower), found, strict=True):
            out[i][:, ends - (n_steps - n_last)] = np.where(seen[:, ends], tail, np.nan)
    return upper, lower


def binomial_dispersion(
    successes: Floats, trials: Floats, share: Floats, error: Floats, *, start: Floats | None = None
) -> tuple[Floats, Floats]:
    """Follow how much more than binomially the days of each series scatter.

    Parameters
    ----------
    successes, trials, share
        Shape (N, T); the share is the forecast for the step.
    error
        Squared relative error of that forecast, shape (N, T); residuals are freed of it.
    start
        What was learned so far, shape (3, N): squared residuals, their number, and trials, summed; None
        begins anew.

    Returns
    -------
    dispersion
        Variance over binomial variance before each step, at least 1, shape (N, T).
    end
        What was learned by the last step, shape (3, N).

    Notes
    -----
    The share itself is taken to vary from step to step, so that the dispersion grows with the number
    of trials, 1 + (n - 1) rho, as in a beta-binomial law; rho is the excess of the mean squared Pearson
    residual over 1, per trial but one. Squares are cut at 2.58 standard deviations and multiplied by what
    the cut costs under a normal law. Starts from the median of the first steps, as if twenty steps had
    shown it.
    """
    spread = np.maximum(trials * share * (1 - share), 1e-9)
    seen = (np.isfinite(successes) & (trials > 0)).astype(float)
    square = np.where(seen > 0, (successes - trials * share) ** 2, 0) / spread
    size = np.where(seen > 0, trials, 0.0)
    learned = _first_scatter(square, size) if start is None else start.copy()
    out = np.empty_like(spread)
    for t in range(out.shape[1]):
        excess, others = learned[0] / learned[1] - 1, learned[2] / learned[1] - 1
        rho = np.maximum(excess, 0) / np.maximum(others, 1e-9)
        out[:, t] = phi = 1 + np.minimum(rho, 1) * np.maximum(size[:, t] - 1, 0)
        free = phi / (phi + error[:, t] * (trials * share)[:, t] ** 2 / spread[:, t])
        cut = cut_square(square[:, t] * free, phi)
        learned = 0.998 * learned + seen[:, t] * np.stack([cut, np.ones_like(cut), size[:, t]])
    return out, learned


def _first_scatter(square: Floats, size: Floats) -> Floats:
    """Return what the first steps of each series show: squares, number and trials, shape (3, N).

    The median of squared residuals over that of a chi-squared variable, at least 1; the fit of level
    and seasons has taken a share of them.
    """
    first = np.argsort(size[:, : 4 * _FIRST_STEPS] == 0, axis=1, kind="stable")[:, :_FIRST_STEPS]
    rows = np.arange(len(square))[:, None]
    shown = np.where(size[rows, first] > 0, square[rows, first], np.nan)
    shown[np.isnan(shown).all(axis=1)] = 0
    phi = np.maximum(_IN_SAMPLE * np.nanmedian(shown, axis=1) / MEDIAN_SQUARE, 1.0)
    usual = size[rows, first].sum(axis=1) / np.maximum((size[rows, first] > 0).sum(axis=1), 1)
    return _PRIOR_STEPS * np.stack([phi, np.ones_like(phi), usual])


def rate_windows(
    successes: Floats,
    trials: Floats,
    filtered: FilteredCounts,
    dispersion: Floats,
) -> tuple[Law, Floats, Floats]:
    """Compare shares with their forecast under a beta-binomial law.

    Parameters
    ----------
    successes, trials
        Shape (N, T).
    filtered
        From `filter_counts(successes, trials)`.
    dispersion
        From `binomial_dispersion`.

    Returns
    -------
    law
        Mean, noise and error of the successes.
    upper, lower
        Shape (n_windows, N, T).

    Notes
    -----
    The filter's relative error of the level rests on a Poisson variance or more; a share of p
    varies only (1 - p) times as much, so the error shrinks alike.
    """
    n = np.where(trials > 0, trials, 0.0)
    wide = decompose(filtered)
    share = np.clip(wide.expected / np.maximum(n, 1e-9), 1e-6, 1 - 1e-6)
    mean = n * share
    noise = dispersion * mean * (1 - share)
    error = wide.error * np.clip(noise / np.maximum(wide.noise, 1e-9), 0, 1)
    law = Law(mean, noise, error)
    level = np.asarray(filtered.level, dtype=float)
    seen = np.isfinite(successes) & (n > 0)
    base = np.where(seen, wide.expected / np.maximum(level, 1e-12), 0.0)
    upper = np.full((len(filtered.windows), *n.shape), np.nan)
    lower = upper.copy()
    judged = np.isfinite(filtered.pvalue_upper[0])
    for i, width in enumerate(filtered.windows):
        if n.shape[1] < width:
            continue
        rows = (np.where(seen, a, 0.0).T for a in (successes, n, base, noise))
        y, size, b, scatter = (rolling_sum(row, width).T for row in rows)
        first = slice(0, n.shape[1] - width + 1)
        p = np.clip(level[:, first] * b / np.maximum(size, 1e-9), 1e-6, 1 - 1e-6)
        spread = np.maximum(size * p * (1 - p), 1e-9)
        total = np.maximum(scatter + error[:, first] * (size * p) ** 2, spread)
        here = judged[:, width - 1 :]
        for out, tail in ((upper, beta_binomial.upper_tail), (lower, beta_binomial.lower_tail)):
            found = np.full(y.shape, np.nan)
            found[here] = tail(y[here], size[here], p[here], dispersion=(total / spread)[here])
            out[i][:, width - 1 :] = found
    return law, upper, lower


def count_bounds(law: Law, probability: float) -> Floats:
    """Return the quantile of each step's count, shape (N, T); nan without expectation.

    Notes
    -----
    Exact for small tables; beyond twenty thousand steps the Cornish-Fisher expansion in the
    skewness, which is off by less than one count (Johnson, Kemp & Kotz 2005, p. 62).
    """
    known = np.isfinite(law.expected)
    mean = np.maximum(law.expected[known], _LEAST_MEAN)
    variance = np.maximum(law.variance()[known], mean)
    bound = np.full(law.expected.shape, np.nan)
    if mean.size <= _MOST_EXACT:
        bound[known] = quantile(probability, mean, variance)
        return bound
    z, spread = float(normal_quantile(probability)), np.sqrt(variance)
    skew = (2 * variance / mean - 1) / spread
    bound[known] = np.maximum(np.round(mean + spread * (z + skew * (z * z - 1) / 6)), 0)
    return bound


def share_bounds(law: Law, trials: Floats, probability: float) -> Floats:
    """Return the quantile of each step's successes out of its trials: a beta law of equal variance."""
    from scipy.special import betaincinv

    p = np.clip(law.expected / np.maximum(trials, 1e-9), 1e-6, 1 - 1e-6)
    inflation = np.maximum(law.variance() / np.maximum(trials * p * (1 - p), 1e-9), 1.0)
    strength = np.maximum(trials / inflation - 1, 0.05)
    return trials * betaincinv(p * strength, (1 - p) * strength, probability)
