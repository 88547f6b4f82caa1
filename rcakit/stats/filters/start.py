"""Starting values of the filter, from the first observations of each series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.options import LEAST_LEVEL_COUNTS, LEAST_MEAN, PRECISION
from rcakit.stats.filters.state import FilterState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rcakit.stats.filters.options import FilterOptions, Floats

_MOST_TAKEN = 0.75  # a phase seen once tells nothing about the scatter


def first_state(
    y: Floats,
    exposure: Floats | None,
    seen: NDArray[np.bool_],
    clock: NDArray[np.intp],
    sizes: tuple[int, ...],
    options: FilterOptions,
) -> FilterState:
    """Starting values from the first observations of each series."""
    n_cycles = len(options.discounts)
    n_warm = min(options.warmup_steps(sizes), len(y))
    rows = _first_rows(seen, n_warm)
    pick = np.arange(y.shape[1])
    present = seen[rows, pick]
    counts = np.where(present, y[rows, pick], 0)
    base: Floats = present.astype(PRECISION)
    if exposure is not None:
        base = base * exposure[rows, pick]
    level = _robust_level(counts, base)
    seasons = []
    mean = np.maximum(level * base, LEAST_MEAN)
    left = np.ones_like(mean)
    for phase, size in zip(clock, sizes, strict=True):
        at = phase[rows]
        factor, expected = _first_factors(counts, mean, present, at, size, options)
        # Half the weight: these days are seen again when the filter starts.
        seasons.append((factor * expected / 2, expected / 2))
        left *= 1 - np.take_along_axis(_taken_up(expected, present, at, options), at, axis=0)
        mean = mean * np.take_along_axis(factor, at, axis=0)
    phi = _first_dispersion(counts, mean, present, left)
    pull = options.season_prior * phi
    daily = base.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    zeros = np.zeros(y.shape[1], PRECISION)
    memory = np.broadcast_to(10 * np.where(daily > 0, daily, 1), (n_cycles, y.shape[1]))
    n_dispersion = zeros + 30
    state = FilterState(
        n_steps=0,
        level_counts=np.maximum(memory * level, LEAST_LEVEL_COUNTS),
        level_exposure=memory.copy(),
        log_weights=np.zeros((n_cycles + 1, y.shape[1])),
        season_counts=tuple(c for c, _ in seasons),
        season_expected=tuple(x for _, x in seasons),
        season_factor=tuple((c + pull) / (x + pull) for c, x in seasons),
        season_error=tuple(phi / (x + pull) for _, x in seasons),
        proportional=phi * n_dispersion,
        quadratic=(phi - 1) / np.maximum(level * daily, 1) * n_dispersion,
        n_dispersion=n_dispersion,
        log_odds_quadratic=zeros.copy(),
        run=zeros.copy(),
        run_counts=zeros.copy(),
        run_exposure=zeros.copy(),
        n_seen=zeros.copy(),
        recent=np.zeros((7, max(options.windows) - 1, y.shape[1]), PRECISION),
    )
    return _in_precision(state)


def _in_precision(state: FilterState) -> FilterState:
    arrays = state.to_arrays()
    return FilterState.from_arrays(
        {name: a if name == "n_steps" else a.astype(PRECISION) for name, a in arrays.items()}
    )


def _first_rows(seen: NDArray[np.bool_], n_rows: int) -> NDArray[np.intp]:
    """Rows of the first `n_rows` observations of each series, shape (n_rows, n)."""
    rows = np.repeat(np.arange(n_rows)[:, None], seen.shape[1], axis=1)
    gappy = np.flatnonzero(~seen[:n_rows].all(axis=0))
    if len(gappy):
        rows[:, gappy] = np.argsort(~seen[:, gappy], axis=0, kind="stable")[:n_rows]
    return rows


def _robust_level(counts: Floats, base: Floats) -> Floats:
    """Median of four means over quarters of the warm-up, but at least half of their mean."""
    quarters = [
        c.sum(axis=0) / np.maximum(b.sum(axis=0), 1e-12)
        for c, b in zip(np.array_split(counts, 4), np.array_split(base, 4), strict=True)
        if len(c)
    ]
    overall = counts.sum(axis=0) / np.maximum(base.sum(axis=0), 1e-12)
    exposure = np.maximum(base.sum(axis=0), 1e-12)
    return np.maximum(np.maximum(np.median(quarters, axis=0), overall / 2), 0.5 / exposure)


def _first_factors(
    counts: Floats,
    mean: Floats,
    present: NDArray[np.bool_],
    phase: NDArray[np.intp],
    size: int,
    options: FilterOptions,
) -> tuple[Floats, Floats]:
    """Seasonal factors of one cycle from the warm-up, and the counts they rest on."""
    bounded = np.minimum(counts, 4 * mean)  # one wild day must not become a season
    factor = np.ones((size, counts.shape[1]))
    expected = np.zeros_like(factor)
    for p in range(size):
        here = (phase == p) & present
        expected[p] = (mean * here).sum(axis=0)
        factor[p] = (bounded * here).sum(axis=0) + options.season_prior
        factor[p] /= expected[p] + options.season_prior
    return factor / factor.mean(axis=0), expected


def _taken_up(
    expected: Floats, present: NDArray[np.bool_], phase: NDArray[np.intp], options: FilterOptions
) -> Floats:
    """Share of the variance of a phase's counts that goes into its factor, pulled towards 1."""
    pull = expected / (expected + options.season_prior)
    number = np.stack([((phase == p) & present).sum(axis=0) for p in range(len(expected))])
    return np.minimum(pull * (2 - pull) / np.maximum(number, 1), _MOST_TAKEN)


def _first_dispersion(
    counts: Floats, mean: Floats, present: NDArray[np.bool_], left: Floats
) -> Floats:
    """Variance over mean from the median squared residual, at least 1."""
    square = np.where(present, (counts - mean) ** 2 / (mean * left), np.inf)
    number = present.sum(axis=0)
    middle = np.stack([np.maximum(number - 1, 0) // 2, np.minimum(number // 2, len(square) - 1)])
    median = np.take_along_axis(np.sort(square, axis=0), middle, axis=0).mean(axis=0)
    # .455 is the median of a chi-squared variable on one degree of freedom.
    return np.maximum(np.where(number > 0, median, 0) / 0.455, 1)
