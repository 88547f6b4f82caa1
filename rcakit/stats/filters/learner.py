"""One block of series on its way through time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.dispersion import Dispersion
from rcakit.stats.filters.level import Level
from rcakit.stats.filters.mixture import Growth, Mixture
from rcakit.stats.filters.options import LEAST_MEAN, PRECISION
from rcakit.stats.filters.scan import Scan
from rcakit.stats.filters.season import Season
from rcakit.stats.filters.start import first_state
from rcakit.stats.filters.state import FilterState
from rcakit.stats.memory import empty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rcakit.stats.filters.clock import Clock
    from rcakit.stats.filters.options import FilterOptions, Floats

_NORMAL_SKEW_SHIFT = (2.58**2 - 1) / 6  # Cornish-Fisher shift of the 99.5 % point per skewness
_LEAST_CAP = 1.5
_LEAST_RESIDUAL = 1e-6
_CELLS = 1 << 17  # cells whose p-values are worked out together


@dataclass(frozen=True, slots=True)
class Output:
    """Result arrays, time first so that each step writes one row."""

    expected: Floats  # (T, n)
    variance: Floats
    level: Floats
    base: Floats
    upper: Floats  # (T, windows, n)
    lower: Floats
    shift: NDArray[np.int8]  # (T, n)

    @classmethod
    def empty(cls, n_series: int, n_steps: int, windows: tuple[int, ...]) -> Output:
        """Make room for the results."""
        shape = (n_steps, n_series)
        tails = (n_steps, len(windows), n_series)
        return cls(
            expected=empty(shape, PRECISION),
            variance=empty(shape, PRECISION),
            level=empty(shape, PRECISION),
            base=empty(shape, PRECISION),
            upper=empty(tails, PRECISION),
            lower=empty(tails, PRECISION),
            shift=np.zeros(shape, np.int8),
        )

    def block(self, series: slice) -> Output:
        """Views of some of the series."""
        return Output(*(getattr(self, f.name)[..., series] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Observed:
    """Counts of a block laid out time first."""

    y: Floats  # (T, n), 0 where missing
    exposure: Floats | None  # (T, n), 0 where missing
    seen: Floats | None  # (T, n), 1 observed, 0 missing; None if nothing is missing

    @classmethod
    def of(cls, counts: Floats, exposure: Floats | None) -> Observed:
        """Find what is missing: no finite count, or no positive exposure."""
        y = empty(counts.T.shape, PRECISION)
        y[:] = counts.T
        seen = np.isfinite(y)
        e = None
        if exposure is not None:
            e = np.array(exposure.T, dtype=PRECISION, order="C")
            seen &= e > 0
            e[~seen] = 0
        if seen.all():
            return cls(y, e, None)
        y[~seen] = 0
        return cls(y, e, seen.astype(PRECISION))

    def present(self) -> NDArray[np.bool_]:
        """What is not missing, shape (T, n)."""
        return np.ones(self.y.shape, bool) if self.seen is None else self.seen > 0


class Learner:
    """Forecast, compare and learn, step by step; all arrays end in the axis of series.

    Parameters
    ----------
    observed
        The counts of a block.
    clock
        Phase of each cycle.
    options
        Memory, robustness and windows.
    state
        Where an earlier call stopped; a first one is made from the counts if None.
    """

    __slots__ = (
        "_clock",
        "_dispersion",
        "_growth",
        "_level",
        "_mixture",
        "_n_seen",
        "_n_warm",
        "_observed",
        "_options",
        "_scan",
        "_seasons",
        "_start",
        "_steps_at_once",
    )

    def __init__(
        self, observed: Observed, clock: Clock, options: FilterOptions, state: FilterState | None
    ) -> None:
        self._start = 0 if state is None else state.n_steps
        n_steps, n_series = observed.y.shape
        self._observed, self._options = observed, options
        self._clock = clock.table(self._start, n_steps)
        self._n_warm = options.warmup_steps(clock.sizes())
        if state is None:
            state = first_state(
                observed.y,
                observed.exposure,
                observed.present(),
                self._clock,
                clock.sizes(),
                options,
            )
        self._steps_at_once = min(max(_CELLS // max(n_series, 1), 1), n_steps)
        self._take_up(state.copy())

    def _take_up(self, state: FilterState) -> None:
        options = self._options
        self._level = Level(
            state.level_counts,
            state.level_exposure,
            state.run,
            state.run_counts,
            state.run_exposure,
            options,
        )
        self._dispersion = Dispersion(
            state.proportional,
            state.quadratic,
            state.n_dispersion,
            state.log_odds_quadratic,
            options.dispersion_discount,
        )
        seasons = (
            state.season_counts,
            state.season_expected,
            state.season_factor,
            state.season_error,
        )
        self._seasons = [Season(*parts, options) for parts in zip(*seasons, strict=True)]
        self._mixture = Mixture(state.log_weights, options.mixture_memory)
        self._growth = Growth(options.discounts, len(state.run))
        self._scan = Scan(state.recent, self._steps_at_once, options)
        self._n_seen = state.n_seen

    def run(self, out: Output) -> FilterState:
        """Take every step, and work out p-values for some steps at a time."""
        n_steps = len(self._observed.y)
        for first in range(0, n_steps, self._steps_at_once):
            last = min(first + self._steps_at_once, n_steps)
            for t in range(first, last):
                self._step(t, out, self._scan.at(t - first))
            now = slice(first, last)
            self._scan.pvalues(out.expected[now], out.variance[now], out.upper[now], out.lower[now])
        self._blank(out)
        return self._freeze()

    def _step(self, t: int, out: Output, row: Floats) -> None:
        """Forecast one step, write the forecast down, and learn from what came."""
        growth, mixture = self._growth, self._mixture
        base, season_error = self._season_at(t)
        growth.extend(self._level.counts, self._level.exposure)
        level = mixture.average(growth.levels, out=out.level[t])
        mean = np.multiply(level, base, out=out.expected[t])
        np.maximum(mean, LEAST_MEAN, out=mean)
        ratio = self._dispersion.at(mean)
        scale = ratio / level
        error = mixture.average(growth.precision, out=row[4])
        error *= scale
        mixture.average_again(growth.wander, out=row[5])
        row[5] *= scale
        own = season_error * mean  # variance over mean of what other days do not share
        own += ratio
        variance = np.multiply(error, mean, out=out.variance[t])
        variance += own
        variance *= mean
        y, seen = self._observed.y[t], None
        row[0], row[1], row[2] = y, base, level
        np.multiply(base, own, out=row[3])
        np.multiply(growth.rate, mixture.weights[-1], out=row[6])
        if self._observed.seen is not None:
            seen = self._observed.seen[t]
            row[1] *= seen
            row[3] *= seen
            y = y + mean * (1 - seen)
        out.base[t] = row[1]
        out.shift[t] = self._learn(t, y, mean, variance, ratio, level, base, row, seen)

    def _learn(
        self,
        t: int,
        y: Floats,
        mean: Floats,
        variance: Floats,
        ratio: Floats,
        level: Floats,
        base: Floats,
        row: Floats,
        seen: Floats | None,
    ) -> NDArray[np.int8] | int:
        """Let each part learn from the step; a missing step has weight 0. Mark level shifts."""
        gap = y - mean
        unit, size, cap = _standardise(gap, mean, variance, self._options.outlier_z)
        weight = cap / np.maximum(size, _LEAST_RESIDUAL)
        weight *= weight
        np.minimum(weight, 1, out=weight)
        if seen is not None:
            weight *= seen
        gap *= weight
        gap += mean
        gap /= ratio
        self._mixture.learn(self._growth.levels, level, gap, base / ratio)
        counted = weight * y
        self._level.learn(counted, weight * base)
        shift = self._level.follow_run(unit, row[0], row[1], seen)
        if self._seasons:
            expected = weight * mean
            for season, phase in zip(self._seasons, self._clock[:, t], strict=True):
                season.learn(phase, counted, expected, self._dispersion.proportional)
        if self._start + t >= self._n_warm:  # before, the starting values know the step
            self._dispersion.learn(size, cap, mean, ratio, seen)
        return shift

    def _season_at(self, t: int) -> tuple[Floats, Floats]:
        """Season times exposure, and the relative variance of the season."""
        phases = self._clock[:, t]
        parts = [(s.factor[p], s.error[p]) for s, p in zip(self._seasons, phases, strict=True)]
        n_series = self._observed.y.shape[1]
        base, error = parts[0] if parts else (np.ones(n_series, PRECISION), _nothing(n_series))
        for more, more_error in parts[1:]:
            base, error = base * more, error + more_error
        if self._observed.exposure is not None:
            base = base * self._observed.exposure[t]
        return base, error

    def _blank(self, out: Output) -> None:
        """Take p-values away where nothing was seen, and where too little was seen before."""
        seen, before, least = self._observed.seen, self._n_seen, self._options.min_history
        if seen is None:
            early = np.arange(min(least, len(out.shift)))[:, None] + before < least
            self._n_seen = before + np.float32(len(out.shift))
        else:
            upto = before + np.cumsum(seen, axis=0, dtype=PRECISION)
            early = (seen == 0) | (upto - seen < least)
            self._n_seen = upto[-1]
        if early.any():
            for tails in (out.upper, out.lower):
                np.copyto(tails[: len(early)], np.nan, where=early[:, None])

    def _freeze(self) -> FilterState:
        level, dispersion = self._level, self._dispersion
        return FilterState(
            n_steps=self._start + len(self._observed.y),
            level_counts=level.counts,
            level_exposure=level.exposure,
            log_weights=self._mixture.log_weights,
            season_counts=tuple(season.counts for season in self._seasons),
            season_expected=tuple(season.expected for season in self._seasons),
            season_factor=tuple(season.factor for season in self._seasons),
            season_error=tuple(season.error for season in self._seasons),
            proportional=dispersion.phi_sum,
            quadratic=dispersion.alpha_sum,
            n_dispersion=dispersion.n,
            log_odds_quadratic=dispersion.odds,
            run=level.run,
            run_counts=level.run_counts,
            run_exposure=level.run_exposure,
            n_seen=self._n_seen,
            recent=self._scan.recent(),
        )


def _nothing(n_series: int) -> Floats:
    return np.zeros(n_series, PRECISION)


def _standardise(
    gap: Floats, mean: Floats, variance: Floats, outlier_z: float
) -> tuple[Floats, Floats, Floats]:
    """Pearson residuals within one, their sizes, and the size that is strange on their side.

    The bound follows the skewness of the law: what a normal law would call 2.58 standard
    deviations is farther out on the long side of a sparse count and nearer on the short side.
    Below one standard deviation nobody asks for the bound, so the bounded residual will do
    for the side.
    """
    spread = np.sqrt(variance)
    unit = gap / spread
    size = np.abs(unit)
    np.maximum(np.minimum(unit, 1, out=unit), -1, out=unit)
    cap = variance / mean
    cap *= 2
    cap -= 1
    cap /= spread
    cap *= _NORMAL_SKEW_SHIFT
    cap *= unit
    cap += outlier_z
    np.maximum(cap, _LEAST_CAP, out=cap)
    return unit, size, cap
