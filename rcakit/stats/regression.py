"""What would this week have counted, had the last years' pattern gone on?

Robust quasi-Poisson regression of many series on one design matrix (trend, harmonics,
weekday and holiday columns), and negative binomial p-values for new steps. One matrix product
per iteration serves all series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats.negative_binomial import lower_tail, upper_tail
from rcakit.stats.residuals import cut_square

Floats = NDArray[np.float64]

_ETA_BOUNDS = (-12.0, 25.0)  # log means outside are an artefact of empty baselines
_CONVERGED = 1e-7
# Shrinks slopes (not the level) of series that hold next to no information about them; a
# hundredth of a count's worth, so that it vanishes once there are counts.
_RIDGE = 0.01
_BELIEVED = 20.0  # forecasts that a fit's own word about its scatter counts for
_MEMORY = 0.975


@dataclass(frozen=True, slots=True)
class CountRegression:
    """Fitted log-linear means of N series on P columns over T steps."""

    coefficients: Floats  # (N, P) on the log scale
    covariance: Floats  # (N, P, P) of the coefficients, dispersion included
    dispersion: Floats  # (N,) variance over mean, at least 1
    fitted: Floats  # (N, T) expected counts
    weights: Floats  # (N, T) in 0..1; 0 where missing


@dataclass(frozen=True, slots=True)
class RegressionForecast:
    """Expected counts of new steps and how surprising the observed ones are."""

    windows: tuple[int, ...]
    expected: Floats  # (N, S)
    variance: Floats  # (N, S) of a count about `expected`, estimation error included
    pvalue_upper: Floats  # (n_windows, N, S) mid-p-value of the window that ends at the step
    pvalue_lower: Floats  # (n_windows, N, S)


class ForecastMisses:
    """By how much forecasts have missed so far, over what their fits believed: at least one.

    A fit knows how counts scatter about its curve, not how far a series strays from it afterwards.
    Mean squared error of the last forty forecasts or so, each cut at 2.58 standard deviations, as if
    twenty more had been right.

    Parameters
    ----------
    n_series
        Series that are forecast step by step.
    """

    def __init__(self, n_series: int) -> None:
        self._square, self._number = np.zeros(n_series), np.zeros(n_series)

    def widen(self, fit: CountRegression, chosen: NDArray[np.bool_]) -> CountRegression:
        """Let the variance of the chosen series be what forecasts have shown."""
        ratio = self._ratio(chosen)
        return replace(
            fit,
            dispersion=fit.dispersion * ratio,
            covariance=fit.covariance * ratio[:, None, None],
        )

    def learn(
        self, counts: Floats, mean: Floats, variance: Floats, chosen: NDArray[np.bool_]
    ) -> None:
        """Add a step of the chosen series, forecast by a widened fit; a missing one leaves no trace."""
        seen, ratio = np.isfinite(counts), self._ratio(chosen)
        square = np.where(seen, (counts - mean) ** 2, 0.0) / variance * ratio
        keep = np.where(seen, _MEMORY, 1.0)
        self._square[chosen] = keep * self._square[chosen] + cut_square(square, ratio)
        self._number[chosen] = keep * self._number[chosen] + seen

    def _ratio(self, chosen: NDArray[np.bool_]) -> Floats:
        square, number = self._square[chosen] + _BELIEVED, self._number[chosen] + _BELIEVED
        return np.maximum(square / number, 1.0)


def seasonal_design(
    steps: ArrayLike, *, period: float, n_harmonics: int = 1, trend: bool = True
) -> Floats:
    """Build columns for level, trend and the first harmonics of a season.

    Parameters
    ----------
    steps
        Times in steps, shape (T,); the trend is measured in periods from the last of them,
        so pass baseline and new steps together and split the rows.
    period
        Steps per season; fractions are fine (52.18 weeks, 365.25 days).
    n_harmonics
        Sine and cosine pairs. One bends like a year; a weekday pattern needs columns of its own.
    trend
        Whether to add a log-linear trend.

    Returns
    -------
    Floats
        Shape (T, 1 + trend + 2 n_harmonics).

    Examples
    --------
    >>> seasonal_design(range(3), period=52).shape
    (3, 4)
    """
    steps = np.asarray(steps, dtype=np.float64)
    columns = [np.ones_like(steps)]
    if trend:
        columns.append((steps - steps[-1]) / period)
    for k in range(1, n_harmonics + 1):
        angle = 2 * np.pi * k * steps / period
        columns += [np.cos(angle), np.sin(angle)]
    return np.column_stack(columns)


def fit_counts(
    counts: ArrayLike,
    design: ArrayLike,
    *,
    exposure: ArrayLike | None = None,
    outlier_z: float = 2.58,
    n_reweightings: int = 3,
    start: Floats | None = None,
) -> CountRegression:
    """Fit robust quasi-Poisson regressions to many series at once.

    Parameters
    ----------
    counts
        Shape (N, T); nan where missing.
    design
        Shape (T, P), first column constant.
    exposure
        What the counts are proportional to, broadcastable to (N, T); 1 if left out.
    outlier_z
        Counts above the fit by more than this many standard deviations weigh
        (outlier_z / z)^2, so that past outbreaks do not raise the expectation.
    n_reweightings
        Rounds of weighting; 0 fits plain quasi-Poisson.
    start
        Coefficients to start from, shape (N, P), such as those of last week's fit.

    Returns
    -------
    CountRegression

    Notes
    -----
    Iteratively reweighted least squares [1]_ with variance `dispersion` times the mean.
    Only upward residuals lose weight: an outbreak left in the baseline hides the next one,
    a low week does not. The dispersion is the Pearson statistic, with squared weights where
    [2]_ has single ones.

    Not for series with fewer than two seasons of history, nor for a level that jumped within
    the baseline: cut the baseline there first.

    References
    ----------
    .. [1] McCullagh & Nelder (1989). Generalized Linear Models, 2nd ed., p. 40 and 200.
    .. [2] Noufaily et al. (2013). An improved algorithm for outbreak detection in multiple
       surveillance systems. Statistics in Medicine 32, p. 1208-1210 (Anscombe residuals,
       threshold 2.58, dispersion).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fit = fit_counts(rng.poisson(20, (2, 104)), seasonal_design(range(104), period=52))
    >>> fit.coefficients.shape
    (2, 4)
    """
    y = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    x = np.asarray(design, dtype=np.float64)
    seen = np.isfinite(y).astype(np.float64)
    y = np.where(seen > 0, y, 0.0)
    offset = np.zeros((1, 1)) if exposure is None else np.log(np.atleast_2d(exposure))
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    beta = _level_only(y, seen, offset, x.shape[1]) if start is None else start
    beta = _iterate(y, x, products, offset, seen, beta, 25)
    weights = seen
    for _ in range(n_reweightings):
        weights = _outbreak_weights(y, x, products, offset, weights, beta, outlier_z) * seen
        beta = _iterate(y, x, products, offset, weights, beta, 6)
    mean = _mean(x, offset, beta)
    information = _information(products, weights * mean, x.shape[1])
    phi = _dispersion(y, mean, weights, x.shape[1])
    # The ridge keeps the matrix invertible when a column is constant over what was seen.
    covariance = np.linalg.inv(information) * phi[:, None, None]
    return CountRegression(beta, covariance, phi, mean, weights)


def forecast_counts(
    fit: CountRegression,
    counts: ArrayLike,
    design: ArrayLike,
    *,
    exposure: ArrayLike | None = None,
    windows: tuple[int, ...] = (1, 2),
) -> RegressionForecast:
    """Compare new steps with what the fit expects of them.

    Parameters
    ----------
    fit
        Fitted on steps before these.
    counts
        Shape (N, S), in time order; nan where missing (skipped within windows).
    design
        Shape (S, P): the same columns as in the fit.
    exposure
        As in `fit_counts`.
    windows
        Lengths of the scan windows; p-values of a window exist once it is full.

    Returns
    -------
    RegressionForecast

    Notes
    -----
    With variance phi times the mean, the sum over a window is negative binomial with the
    same phi [1]_, so a window's p-value needs no approximation beyond the estimated mean.
    The error of the mean adds g' C g, where C is the covariance of the coefficients and g
    the gradient of the window's sum (delta method).

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 218
       (sums of negative binomials of common success probability).
    """
    y = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    x = np.asarray(design, dtype=np.float64)
    offset = np.zeros((1, 1)) if exposure is None else np.log(np.atleast_2d(exposure))
    seen = np.isfinite(y)
    mean = _mean(x, offset, fit.coefficients)
    noise = fit.dispersion[:, None] * mean
    variance = noise + mean**2 * np.einsum("sp,npq,sq->ns", x, fit.covariance, x)
    gradient = np.where(seen, mean, 0)[:, :, None] * x
    upper = np.full((len(windows), *y.shape), np.nan)
    lower = upper.copy()
    for i, w in enumerate(windows):
        total, expected, scatter = (_window_sums(np.where(seen, a, 0), w) for a in (y, mean, noise))
        slope = _window_sums(gradient, w)
        scatter = scatter + np.einsum("nsp,npq,nsq->ns", slope, fit.covariance, slope)
        known = seen[:, w - 1 :]
        cells = (np.where(known, total, np.nan), np.maximum(expected, 1e-12), scatter)
        upper[i, :, w - 1 :], lower[i, :, w - 1 :] = upper_tail(*cells), lower_tail(*cells)
    return RegressionForecast(windows, mean, variance, upper, lower)


def _window_sums(values: Floats, width: int) -> Floats:
    """Sums of `width` consecutive steps along axis 1."""
    if values.shape[1] < width:
        return values[:, :0]
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=1).sum(axis=-1)


def _level_only(y: Floats, seen: Floats, offset: Floats, n_columns: int) -> Floats:
    """Coefficients of a constant rate."""
    exposure = (seen * np.exp(offset)).sum(axis=1)
    beta = np.zeros((len(y), n_columns))
    beta[:, 0] = np.log(np.maximum(y.sum(axis=1), 0.5) / np.maximum(exposure, 1e-12))
    return beta


def _mean(x: Floats, offset: Floats, beta: Floats) -> Floats:
    return np.exp(np.clip(beta @ x.T, *_ETA_BOUNDS) + offset)


def _information(products: Floats, weights: Floats, n_columns: int) -> Floats:
    """X' W X of every series, lightly ridged; one product for all series."""
    information = (weights @ products).reshape(-1, n_columns, n_columns)
    ridge = np.full(n_columns, _RIDGE)
    ridge[0] = 1e-9
    return information + np.diag(ridge)


def _iterate(
    y: Floats,
    x: Floats,
    products: Floats,
    offset: Floats,
    weights: Floats,
    beta: Floats,
    n_iterations: int,
) -> Floats:
    """Fisher scoring until every series stands still."""
    for _ in range(n_iterations):
        mean = _mean(x, offset, beta)
        information = _information(products, weights * mean, x.shape[1])
        score = (weights * (y - mean)) @ x
        step = np.linalg.solve(information, score[..., None])[..., 0]
        # A first step from a poor start may overshoot on the log scale.
        step = np.clip(step, -3, 3)
        beta = beta + step
        if np.abs(step).max(initial=0) < _CONVERGED:
            break
    return beta


def _dispersion(y: Floats, mean: Floats, weights: Floats, n_columns: int) -> Floats:
    """Weighted Pearson statistic per degree of freedom, at least 1."""
    # Squared weights: under the paper's single ones each past outbreak still adds 2.58^2,
    # which left the false positive rate a quarter below nominal in its own scenarios.
    pearson = (weights**2 * (y - mean) ** 2 / mean).sum(axis=1)
    return np.maximum(pearson / np.maximum(weights.sum(axis=1) - n_columns, 1), 1)


def _outbreak_weights(
    y: Floats,
    x: Floats,
    products: Floats,
    offset: Floats,
    weights: Floats,
    beta: Floats,
    outlier_z: float,
) -> Floats:
    """Weights that shrink with the square of large upward Anscombe residuals."""
    mean = _mean(x, offset, beta)
    n_columns = x.shape[1]
    inverse = np.linalg.inv(_information(products, weights * mean, n_columns))
    leverage = inverse.reshape(len(y), -1) @ products.T * mean * weights
    phi = _dispersion(y, mean, weights, n_columns)[:, None]
    anscombe = 1.5 * (np.cbrt(y) ** 2 - np.cbrt(mean) ** 2) / mean ** (1 / 6)
    z = anscombe / np.sqrt(phi * (1 - np.minimum(leverage, 0.9)))
    return np.where(z > outlier_z, (outlier_z / np.maximum(z, outlier_z)) ** 2, 1.0)
