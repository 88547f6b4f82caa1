"""Did the level of a series change at a date, once its own memory is taken into account?

Neighbouring days resemble each other, so a series carries less evidence than its length says.
Regression with autoregressive errors, fitted by restricted maximum likelihood, pays for that; a
random-walk level is the second opinion, because a trend drawn with a ruler is not the only one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SeriesFit",
    "fit_autoregressive",
    "fit_local_level",
    "ljung_box_pvalue",
    "partial_to_coefficients",
    "seasonal_columns",
    "step_statistics",
]

Floats = NDArray[np.float64]

_EDGE = 0.985  # largest partial autocorrelation: beyond it a series is a random walk
_FEWEST_DF = 5.0
_STANDS_STILL = 0.5  # largest variance of the level over that of the noise
_FINE, _FINE_LEVEL = 0.09, 0.25  # spacing of the last grid, on the scales of the two searches

# From m memories, (m, p), to cross-products of whitened columns, (m, k, k), and log determinants.
_Gram = Callable[[Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class SeriesFit:
    """A fitted regression of one series.

    Attributes
    ----------
    coefficients
        One per column of the design, shape ``(k,)``.
    covariance
        Their covariance, shape ``(k, k)``.
    estimate, standard_error, df
        The asked-for combination of coefficients.
    memory
        Partial autocorrelations (autoregressive), or the variance of the level's daily step over
        the variance of the noise (local level).
    residuals
        One-step innovations, in units of their standard deviation, shape ``(T,)``.
    criterion
        Akaike's criterion, corrected for small samples, of the restricted likelihood.
    """

    coefficients: Floats
    covariance: Floats
    estimate: float
    standard_error: float
    df: float
    memory: tuple[float, ...]
    residuals: Floats
    criterion: float


def seasonal_columns(n_periods: int, season: int, first: int = 0) -> Floats:
    """Return indicator columns of a season, each against the last position, shape ``(T, s - 1)``."""
    position = (first + np.arange(n_periods)) % season
    indicators = (position[:, None] == np.arange(season - 1)).astype(float)
    return indicators - (position[:, None] == season - 1)


def partial_to_coefficients(partial: Floats) -> tuple[Floats, Floats]:
    """Turn partial autocorrelations into coefficients of every lower order.

    Parameters
    ----------
    partial
        Shape ``(..., p)``.

    Returns
    -------
    table, variance
        ``table[..., j, :j]`` holds the coefficients of order j, shape ``(..., p + 1, p)``;
        ``variance[..., j]`` the error variance of the best predictor from j values, in units of
        the innovation variance, shape ``(..., p + 1)``.

    References
    ----------
    Durbin and Levinson's recursion; Brockwell and Davis (1991), Time Series, p. 169.
    """
    p = partial.shape[-1]
    table = _coefficients_by_order(partial)
    variance = np.ones((*partial.shape[:-1], p + 1))
    variance[..., :p] = 1 / np.cumprod((1 - partial**2)[..., ::-1], axis=-1)[..., ::-1]
    return table, variance


def _coefficients_by_order(partial: Floats) -> Floats:
    p = partial.shape[-1]
    table = np.zeros((*partial.shape[:-1], p + 1, p))
    for j in range(p):
        last = partial[..., j]
        table[..., j + 1, j] = last
        earlier = table[..., j, :j]
        table[..., j + 1, :j] = earlier - last[..., None] * earlier[..., ::-1]
    return table


def fit_autoregressive(
    y: Floats, design: Floats, weights: Floats, *, orders: tuple[int, ...]
) -> SeriesFit:
    """Regress a series with autoregressive errors; the order with the least criterion wins.

    Parameters
    ----------
    y
        Evenly spaced values, shape ``(T,)``.
    design
        Columns, shape ``(T, k)``, of full rank.
    weights
        Combination of coefficients to estimate, shape ``(k,)``.
    orders
        Orders to try, each at least 1.

    Notes
    -----
    Restricted likelihood of Cooper and Thompson (1977, Biometrika 64, p. 625), on partial
    autocorrelations; quadratic forms from lagged cross-products (Box and Jenkins 1976, p. 276);
    degrees of freedom by Satterthwaite's rule from the observed information (Fai and Cornelius
    1996, Journal of Statistical Computation and Simulation 54, p. 363). Do not use it for fewer
    than about 40 periods, or when the variance changes at the date.
    """
    columns = np.column_stack([design, y])
    found = [_search_order(columns, order) for order in orders]
    gram, memory, criterion = min(found, key=lambda one: one[2])
    fit = _finish(gram, memory, weights, y.size, steps=np.full(memory.size, 0.02))
    partial = np.tanh(memory)
    white = _whiten(columns, partial)
    residuals = white[:, -1] - white[:, :-1] @ fit.coefficients
    return replace(fit, memory=tuple(partial.tolist()), residuals=residuals, criterion=criterion)


def fit_local_level(y: Floats, design: Floats, weights: Floats) -> SeriesFit:
    """Regress a series whose level wanders as a random walk.

    Parameters are those of `fit_autoregressive`; a constant must be among the columns.

    References
    ----------
    Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, p. 102. The
    covariance of a random walk is diagonalised by sines, so each candidate costs one small
    weighted regression.
    """
    basis, eigenvalues = _random_walk_basis(y.size)
    rotated = basis.T @ np.column_stack([design, y])

    def gram(memory: Floats) -> tuple[Floats, Floats]:
        scale = 1 + np.exp(memory) * eigenvalues
        return rotated.T @ (rotated / scale[:, :, None]), np.log(scale).sum(axis=1)

    best = _minimise(gram, y.size, bounds=(-16.0, 6.0), points=(25, 9), precision=_FINE_LEVEL)
    fit = _finish(gram, best, weights, y.size, steps=np.array([0.05]))
    scale = np.sqrt(1 + math.exp(best[0]) * eigenvalues)
    residuals = (rotated[:, -1] - rotated[:, :-1] @ fit.coefficients) / scale
    # A level that does not wander leaves ordinary regression, whose degrees of freedom are known;
    # the flat likelihood there would say next to nothing about them.
    stands_still = math.exp(best[0]) * float(eigenvalues.max()) < _STANDS_STILL
    df = float(y.size - weights.size) if stands_still else fit.df
    return replace(fit, memory=(math.exp(best[0]),), residuals=residuals, df=df)


def ljung_box_pvalue(residuals: Floats, n_lags: int, n_fitted: int) -> float:
    """Test whether innovations still remember their past.

    References
    ----------
    Ljung and Box (1978), Biometrika 65, p. 297.
    """
    from scipy import special

    centred = residuals - residuals.mean()
    n, power = centred.size, float(centred @ centred)
    lags = np.arange(1, n_lags + 1)
    correlations = np.array([centred[lag:] @ centred[:-lag] for lag in lags]) / power
    statistic = n * (n + 2) * float((correlations**2 / (n - lags)).sum())
    return float(special.chdtrc(max(n_lags - n_fitted, 1), statistic))


def step_statistics(
    y: Floats, design: Floats, partial: Floats, positions: NDArray[np.int64]
) -> Floats:
    """Return the t statistic of a step at each position, the memory of the series being known.

    Parameters
    ----------
    y, design
        As in `fit_autoregressive`.
    partial
        Partial autocorrelations, shape ``(p,)``.
    positions
        First period of each step, shape ``(m,)``.
    """
    steps = (np.arange(y.size)[:, None] >= positions).astype(float)
    white = _whiten(np.column_stack([design, y, steps]), partial)
    k = design.shape[1]
    basis, _ = np.linalg.qr(white[:, :k])
    rest = white[:, k:] - basis @ (basis.T @ white[:, k:])
    outcome, candidates = rest[:, 0], rest[:, 1:]
    power = np.einsum("tm,tm->m", candidates, candidates)
    slopes = candidates.T @ outcome / power
    left = outcome @ outcome - slopes**2 * power
    return slopes * np.sqrt(power * (y.size - k - 1) / left)


def _search_order(columns: Floats, order: int) -> tuple[_Gram, Floats, float]:
    """Find the memory of one order that fits best, and what the fit is worth."""
    lagged = _lagged_products(columns, order)
    length, width = columns.shape

    def gram(memory: Floats) -> tuple[Floats, Floats]:
        partial = np.clip(np.tanh(memory), -_EDGE, _EDGE)
        sides = np.ones((partial.shape[0], order + 1))
        sides[:, 1:] = -_coefficients_by_order(partial)[:, order]
        both = (sides[:, :, None] * sides[:, None, :]).reshape(partial.shape[0], -1)
        determinant = -np.log(1 - partial**2) @ np.arange(1, order + 1)
        return np.tensordot(both, lagged, axes=1), determinant

    edge = math.atanh(_EDGE)
    points = (25, 9) if order == 1 else (11, 13) if order == 2 else (7, 7)
    best = _minimise(gram, length, bounds=(-edge, edge), size=order, points=points, precision=_FINE)
    freedom = length - width + 1
    least = float(_restricted(*gram(best[None]), freedom)[0])
    return gram, best, least + _penalty(order + 1, freedom)


def _penalty(n_parameters: int, freedom: int) -> float:
    """Return what Akaike's criterion, corrected for small samples, charges for parameters."""
    return 2 * n_parameters * freedom / max(freedom - n_parameters - 1, 1)


def _lagged_products(columns: Floats, order: int) -> Floats:
    """Return the cross-products from which every quadratic form of the order follows.

    Shape ``((p + 1)^2, k, k)``; Box and Jenkins (1976), Time Series Analysis, p. 276, D_ij.
    """
    length = columns.shape[0]
    lags = range(order + 1)
    return np.array(
        [columns[i : length - j].T @ columns[j : length - i] for i in lags for j in lags]
    )


def _whiten(columns: Floats, partial: Floats) -> Floats:
    """Turn autoregressive columns into innovations of equal variance."""
    p = partial.size
    table, variance = partial_to_coefficients(partial)
    white = columns.copy()
    for lag in range(1, p + 1):
        white[p:] -= table[p, lag - 1] * columns[p - lag : -lag]
    for t in range(p):
        past = table[t, :t] @ columns[:t][::-1]
        white[t] = (columns[t] - past) / math.sqrt(variance[t])
    return white


def _restricted(grams: Floats, log_determinants: Floats, freedom: int) -> Floats:
    """Return minus twice the restricted log likelihoods, scale profiled out, less constants."""
    diagonals = np.log(np.diagonal(np.linalg.cholesky(grams), axis1=1, axis2=2))
    return 2 * freedom * diagonals[:, -1] + 2 * diagonals[:, :-1].sum(axis=1) + log_determinants


def _minimise(
    gram: _Gram,
    length: int,
    *,
    bounds: tuple[float, float],
    points: tuple[int, int],
    precision: float,
    size: int = 1,
) -> Floats:
    """Find the memory of the best fit: a grid, finer grids around its best point, a parabola.

    `points` per axis of the first grid and of the finer ones; `precision` is the spacing from
    which on the criterion is taken for a parabola.
    """
    centre, reach = np.full(size, sum(bounds) / 2), (bounds[1] - bounds[0]) / 2
    number, best, step, found = points[0], 0, math.inf, np.zeros((1,) * size)
    while step > precision:
        step = 2 * reach / (number - 1)
        offsets = step * (np.indices((number,) * size) - (number - 1) / 2)
        grid = np.clip(centre + offsets.reshape(size, -1).T, *bounds)
        grams, determinants = gram(grid)
        found = _restricted(grams, determinants, length - grams.shape[-1] + 1)
        best, found = int(np.argmin(found)), found.reshape(offsets.shape[1:])
        centre, reach, number = grid[best], step, points[1]
    return np.clip(centre + step * _vertex(found, best), *bounds)


def _vertex(found: Floats, best: int) -> Floats:
    """Return how far the parabola around the best point has its minimum, in steps of the grid."""
    at = np.array(np.unravel_index(best, found.shape))
    if (at == 0).any() or (at == np.array(found.shape) - 1).any():
        return np.zeros(found.ndim)

    def near(shift: NDArray[np.int64]) -> float:
        return float(found[tuple(at + shift)])

    units = np.eye(found.ndim, dtype=np.int64)
    gradient = np.array([near(u) - near(-u) for u in units]) / 2
    bend = np.diag([near(u) - 2 * near(0 * u) + near(-u) for u in units])
    for i, u in enumerate(units):
        for j, v in enumerate(units[:i]):
            mixed = near(u + v) - near(u - v) - near(v - u) + near(-u - v)
            bend[i, j] = bend[j, i] = mixed / 4
    if np.linalg.eigvalsh(bend)[0] <= 0:
        return np.zeros(found.ndim)
    return np.clip(-np.linalg.solve(bend, gradient), -1, 1)


def _finish(
    gram: _Gram, memory: Floats, weights: Floats, length: int, *, steps: Floats
) -> SeriesFit:
    """Estimate the combination of coefficients and how far its error can be trusted."""
    grams, determinants = gram(memory[None])
    products, k = grams[0], weights.size
    freedom = length - k
    inverse = np.linalg.inv(products[:k, :k])
    coefficients = inverse @ products[:k, k]
    variance = float(products[k, k] - products[k, :k] @ coefficients) / freedom
    covariance = variance * inverse
    return SeriesFit(
        coefficients=coefficients,
        covariance=covariance,
        estimate=float(weights @ coefficients),
        standard_error=math.sqrt(float(weights @ covariance @ weights)),
        df=_satterthwaite(gram, memory, math.log(variance), weights, freedom, steps=steps),
        memory=(),
        residuals=np.zeros(0),
        criterion=float(_restricted(grams, determinants, freedom)[0])
        + _penalty(memory.size + 1, freedom),
    )


def _satterthwaite(
    gram: _Gram,
    memory: Floats,
    log_variance: float,
    weights: Floats,
    freedom: int,
    *,
    steps: Floats,
) -> float:
    """Return 2 v^2 / var(v), with var(v) from the curvature of the likelihood at its maximum."""
    k, n = weights.size, memory.size + 1
    shifts = np.diag(np.append(steps, 0.02))
    up = np.repeat(shifts, n, axis=0)
    across = np.tile(shifts, (n, 1))
    around = np.concatenate([up + across, up - across, across - up, -up - across])
    grams, determinants = gram(np.concatenate([shifts, -shifts, around])[:, :-1] + memory)
    log_scale = log_variance + np.concatenate([shifts, -shifts, around])[:, -1]
    solved = np.linalg.solve(grams[: 2 * n, :k, :k], np.tile(weights[:, None], (2 * n, 1, 1)))
    log_v = log_scale[: 2 * n] + np.log(weights @ solved[..., 0].T)
    sizes = shifts.sum(axis=1)
    gradient = (log_v[:n] - log_v[n:]) / (2 * sizes)

    diagonals = np.diagonal(np.linalg.cholesky(grams[2 * n :]), axis1=1, axis2=2)
    shape = 2 * np.log(diagonals[:, :-1]).sum(axis=1) + determinants[2 * n :]
    at = log_scale[2 * n :]
    values = 0.5 * (freedom * at + diagonals[:, -1] ** 2 / np.exp(at) + shape)
    plus, mixed_one, mixed_two, minus = values.reshape(4, n, n)
    hessian = (plus - mixed_one - mixed_two + minus) / (4 * np.outer(sizes, sizes))
    try:
        uncertainty = float(gradient @ np.linalg.solve(hessian, gradient))
    except np.linalg.LinAlgError:
        uncertainty = math.nan
    if not uncertainty > 0:  # a flat or broken likelihood: claim next to nothing
        return _FEWEST_DF
    return float(np.clip(2 / uncertainty, _FEWEST_DF, freedom))


@lru_cache(maxsize=8)
def _random_walk_basis(length: int) -> tuple[Floats, Floats]:
    """Return eigenvectors and eigenvalues of min(s, t), the covariance of a random walk.

    Kept for the next series of the same length, and read-only therefore.
    """
    odd = 2 * np.arange(1, length + 1) - 1
    angles = odd * math.pi / (2 * length + 1)
    eigenvalues = 1 / (4 * np.sin(angles / 2) ** 2)
    times = np.arange(1, length + 1)
    vectors = np.sin(times[:, None] * angles) * (2 / math.sqrt(2 * length + 1))
    vectors.flags.writeable = eigenvalues.flags.writeable = False
    return vectors, eigenvalues
