"""What did yesterday lead us to expect of today, in a hundred thousand series at once?

A robust discounted Gamma-Poisson filter. Each series is a level times seasonal factors times
exposure; all three are learned day by day, old days fade, strange days weigh little, and a
change that lasts becomes the new level. Each day gets its expectation, its variance and the
probability of a count so high or so low, over that day and over short scan windows.

The loop runs over time, the arithmetic over all series of a block; nothing is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.negative_binomial import tail_pvalues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.floating]

# Series per block: small enough that one block's state stays in the processor's cache.
_BLOCK = 4096
# Seven digits are plenty for a state whose statistical error is above one percent, and
# single precision halves time and memory. Tail probabilities are refined in double precision.
_PRECISION = np.float32

_LEAST_MEAN = 1e-4  # expected counts are kept above this, so that ratios exist
_LEAST_LEVEL_COUNTS = 0.3  # an all-zero series still expects a count now and then
_NORMAL_SKEW_SHIFT = (2.58**2 - 1) / 6  # Cornish-Fisher shift of the 99.5 % point per skewness
_LEAST_CAP = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """How fast the filter forgets, and what it takes for strange.

    Parameters
    ----------
    discounts
        Daily discounts of the level, mixed by how well each predicted. A discount d has a
        memory of 1 / (1 - d) steps: 8, 17 and 40 days by default.
    mixture_memory
        Discount of the log predictive likelihood that weighs the discounts.
    season_discount
        Discount of a seasonal factor each time its phase comes round.
    season_prior
        Strength of the pull of seasonal factors towards 1: one over the variance expected
        among factors (8 means factors of 1 +/- .35).
    dispersion_discount
        Discount of the dispersion estimates.
    outlier_z
        Residuals beyond this many standard deviations lose weight.
    shift_steps
        This many steps in a row more than one standard deviation off on the same side start
        the level anew (a quiet step takes two off the count).
    windows
        Lengths in steps of the scan windows that get p-values.
    warmup
        Steps that set the starting values; `None` means four cycles of a weekly season, two
        of longer ones.
    min_history
        Observations a series must have before it gets p-values.
    """

    discounts: tuple[float, ...] = (0.88, 0.94, 0.975)
    mixture_memory: float = 0.995
    season_discount: float = 0.99
    season_prior: float = 8.0
    dispersion_discount: float = 0.998
    outlier_z: float = 2.58
    shift_steps: int = 6
    windows: tuple[int, ...] = (1, 2, 5)
    warmup: int | None = None
    min_history: int = 14

    def warmup_steps(self, periods: Sequence[int]) -> int:
        """Steps used for the starting values."""
        longest = max(periods, default=1)
        return self.warmup or (28 if longest <= 14 else 2 * longest)


@dataclass(frozen=True, slots=True)
class FilterState:
    """All that the filter remembers of N series: enough to go on exactly where it stopped.

    Arrays end in the axis of series. K discounts, W the longest scan window.
    """

    n_steps: int
    level_counts: Floats  # (K, N) discounted weighted counts
    level_exposure: Floats  # (K, N) discounted weighted exposure, season included
    log_weights: Floats  # (K + 1, N) of the discounts and of the extrapolation
    season_counts: tuple[Floats, ...]  # per cycle (period, N)
    season_expected: tuple[Floats, ...]  # per cycle (period, N)
    season_factor: tuple[Floats, ...]  # per cycle (period, N), as last worked out
    season_error: tuple[Floats, ...]  # per cycle (period, N) relative variance of the factor
    proportional: Floats  # (N,) discounted sum of squared residuals over the mean
    quadratic: Floats  # (N,) discounted sum of excess squared residuals over the mean squared
    n_dispersion: Floats  # (N,) discounted number of residuals
    log_odds_quadratic: Floats  # (N,) evidence for variance growing with the mean squared
    run: Floats  # (N,) signed length of the present run off the level
    run_counts: Floats  # (N,)
    run_exposure: Floats  # (N,)
    n_seen: Floats  # (N,) observations so far
    recent: Floats  # (7, W - 1, N) counts, base, level, noise; error, drift, growth of level

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Flat named arrays, ready for `numpy.savez`."""
        out: dict[str, NDArray[np.generic]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                out |= {f"{field.name}.{i}": part for i, part in enumerate(value)}
            else:
                out[field.name] = np.asarray(value)
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> FilterState:
        """Undo `to_arrays`; takes what `numpy.load` gives."""
        values: dict[str, object] = {}
        for field in fields(cls):
            if field.name.startswith("season"):
                n_cycles = sum(key.startswith(f"{field.name}.") for key in arrays)
                values[field.name] = tuple(arrays[f"{field.name}.{i}"] for i in range(n_cycles))
            else:
                values[field.name] = arrays[field.name]
        values["n_steps"] = int(arrays["n_steps"])
        return cls(**values)  # type: ignore[arg-type]

    def take(self, series: slice | NDArray[np.intp]) -> FilterState:
        """Keep some of the series."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return FilterState(
            **{
                name: tuple(part[..., series] for part in value)
                if isinstance(value, tuple)
                else (value if name == "n_steps" else value[..., series])
                for name, value in values.items()
            }
        )

    @staticmethod
    def join(states: Sequence[FilterState]) -> FilterState:
        """Put blocks of series side by side."""
        if len(states) == 1:
            return states[0]
        values = {}
        for field in fields(FilterState):
            parts = [getattr(state, field.name) for state in states]
            if isinstance(parts[0], tuple):
                values[field.name] = tuple(
                    np.concatenate(cycle, axis=-1) for cycle in zip(*parts, strict=True)
                )
            elif field.name == "n_steps":
                values[field.name] = parts[0]
            else:
                values[field.name] = np.concatenate(parts, axis=-1)
        return FilterState(**values)


@dataclass(frozen=True, slots=True)
class FilteredCounts:
    """One-step expectations and p-values of N series over T steps.

    P-values are one-sided mid-p-values, nan on missing steps and before `min_history`.
    """

    windows: tuple[int, ...]
    expected: Floats  # (N, T) counts
    variance: Floats  # (N, T) of the count about `expected`, estimation error included
    level: Floats  # (N, T) expected count per unit of exposure and season, before the step
    base: Floats  # (N, T) season times exposure; 0 where missing
    pvalue_upper: Floats  # (n_windows, N, T) of the window that ends at the step
    pvalue_lower: Floats  # (n_windows, N, T)
    level_shift: NDArray[np.int8]  # (N, T) +1 / -1 where the level was started anew
    state: FilterState


def filter_counts(
    counts: ArrayLike,
    exposure: ArrayLike | None = None,
    *,
    period: int | tuple[int, ...] = 7,
    phases: Sequence[ArrayLike] = (),
    options: FilterOptions | None = None,
    state: FilterState | None = None,
) -> FilteredCounts:
    """Follow many series of counts and say how surprising each step was.

    Parameters
    ----------
    counts
        Shape (N, T) or (T,), equally spaced in time; nan where nothing was observed.
    exposure
        What the counts are proportional to (denominators, share of the day seen, holiday
        factors), same shape or (T,); 1 if left out. Steps without positive exposure are
        missing.
    period
        Steps in a season: 7 for days, `(24, 168)` for hours (a daily profile and what the
        hour of the week adds to it), `()` for none.
    phases
        Further seasons on an irregular clock: for each, the phase of every step as integers
        from 0, shape (T,), such as day of the month minus one. Give them on every call.
    options
        Memory, robustness and windows; see `FilterOptions`.
    state
        Where an earlier call stopped. Counts then continue right after it.

    Returns
    -------
    FilteredCounts

    Notes
    -----
    Assumes that steps are independent given the mean, that seasons multiply the level, and
    that the variance is a multiple of the mean, or the mean plus a multiple of its square;
    the two are mixed by their likelihood. Starting values look ahead over the warm-up: give
    at least that many steps in the first call, then any split of the rest gives the same
    numbers to the last bit. The expectation for a window of w steps is the level before its
    first step carried forward, so a spike cannot lift its own yardstick. The mixture holds
    one level more than discounts: the quickest, extrapolated along its growth.

    P-values are per window and do not know of each other: the smallest of the windows 1, 2
    and 5 falls below .001 about twice as often as one of them (an incident of several days
    counts once). Single precision keeps expectations to four digits: beyond a million
    events a step, only series with next to no overdispersion would notice.

    Not for sums of amounts (few large values dominate: no count law), nor for stocks such as
    backlogs, whose days are not independent.

    References
    ----------
    .. [1] West & Harrison (1997). Bayesian Forecasting and Dynamic Models, 2nd ed., ch. 6.3
       (discounting) and 12 (mixtures of models).
    .. [2] Noufaily et al. (2013). An improved algorithm for outbreak detection in multiple
       surveillance systems. Statistics in Medicine 32, p. 1209 (weights (2.58 / z)^2).
    .. [3] Harvey & Fernandes (1989). Time series models for count or qualitative
       observations. JBES 7, 407-417 (the Gamma-Poisson filter).

    Examples
    --------
    >>> quiet = np.tile([20.0, 22, 19, 21, 20, 12, 11], 10)
    >>> quiet[-1] = 60
    >>> found = filter_counts(quiet)
    >>> bool(found.pvalue_upper[0, 0, -1] < 1e-6)
    True
    """
    options = options or FilterOptions()
    y = np.atleast_2d(np.asarray(counts))
    e = None if exposure is None else np.broadcast_to(exposure, y.shape)
    clock = _Clock(_as_tuple(period), tuple(np.asarray(p, dtype=np.intp) for p in phases))
    starts = range(0, max(len(y), 1), _BLOCK)
    out = _Output.empty(len(y), y.shape[1], options.windows)
    states = []
    for start in starts:
        block = slice(start, start + _BLOCK)
        learner = _Learner.begin(
            y[block],
            None if e is None else e[block],
            clock,
            options,
            None if state is None else state.take(block),
        )
        states.append(learner.run(out.block(block)))
    return out.freeze(options.windows, FilterState.join(states))


def _as_tuple(period: int | tuple[int, ...]) -> tuple[int, ...]:
    return (period,) if isinstance(period, int) else tuple(period)


@dataclass(frozen=True, slots=True)
class _Clock:
    """Which phase of each cycle a step falls on."""

    periods: tuple[int, ...]
    phases: tuple[NDArray[np.intp], ...]

    def sizes(self) -> tuple[int, ...]:
        """Number of factors of each cycle."""
        # An irregular cycle may not show all its phases in one call; 31 covers months.
        return (*self.periods, *(max(31, int(p.max()) + 1) for p in self.phases))

    def table(self, start: int, n_steps: int) -> NDArray[np.intp]:
        """Phases of the steps of this call, shape (n_cycles, n_steps)."""
        steps = np.arange(start, start + n_steps)
        rows = [steps % p for p in self.periods] + [p[:n_steps] for p in self.phases]
        return np.array(rows, dtype=np.intp).reshape(len(rows), n_steps)


@dataclass(slots=True)
class _Output:
    """Result arrays, time first so that each step writes one row."""

    expected: Floats
    variance: Floats
    level: Floats
    base: Floats
    upper: Floats
    lower: Floats
    shift: NDArray[np.int8]

    @classmethod
    def empty(cls, n_series: int, n_steps: int, windows: tuple[int, ...]) -> _Output:
        shape = (n_steps, n_series)
        rows = (np.empty(shape, _PRECISION) for _ in range(4))
        tails = (np.empty((len(windows), *shape), _PRECISION) for _ in range(2))
        return cls(*rows, *tails, np.zeros(shape, np.int8))

    def block(self, series: slice) -> _Output:
        return _Output(*(getattr(self, f.name)[..., series] for f in fields(self)))

    def freeze(self, windows: tuple[int, ...], state: FilterState) -> FilteredCounts:
        flat = (getattr(self, f.name).swapaxes(-1, -2) for f in fields(self))
        return FilteredCounts(windows, *flat, state)


@dataclass(slots=True)
class _Learner:
    """One block of series on its way through time; all arrays end in the axis of series."""

    y: Floats  # (T, n), 0 where missing
    exposure: Floats | None  # (T, n)
    seen: Floats | None  # (T, n) 1 observed, 0 missing; None if nothing is missing
    clock: NDArray[np.intp]  # (n_cycles, T)
    options: FilterOptions
    state: dict[str, Floats]
    cycles: list[_Season]
    n_steps: int

    @classmethod
    def begin(
        cls,
        counts: Floats,
        exposure: Floats | None,
        clock: _Clock,
        options: FilterOptions,
        state: FilterState | None,
    ) -> _Learner:
        """Lay the block out time first and take up the state, or make a first one."""
        y = np.ascontiguousarray(counts.T, dtype=_PRECISION)
        seen = np.isfinite(y)
        e = None
        if exposure is not None:
            e = np.ascontiguousarray(exposure.T, dtype=_PRECISION)
            seen &= e > 0
            e = np.where(seen, e, 0)
        start = 0 if state is None else state.n_steps
        table = clock.table(start, len(y))
        if state is None:
            state = _first_state(y, e, seen, table, clock.sizes(), options)
        all_seen = bool(seen.all())
        names = [f.name for f in fields(state) if not f.name.startswith(("season", "n_steps"))]
        return cls(
            y if all_seen else np.where(seen, y, 0),
            e,
            None if all_seen else seen.astype(_PRECISION),
            table,
            options,
            {name: np.array(getattr(state, name)) for name in names},
            [
                _Season(*(np.array(part) for part in parts), options)
                for parts in zip(
                    state.season_counts,
                    state.season_expected,
                    state.season_factor,
                    state.season_error,
                    strict=True,
                )
            ],
            start,
        )

    def run(self, out: _Output) -> FilterState:
        """Forecast, compare and learn, step by step; then scan the windows."""
        discounts = np.array(self.options.discounts, _PRECISION)[:, None]
        s = self.state
        dispersion = _Dispersion(s, self.options.dispersion_discount)
        mixture = _Mixture(s["log_weights"], self.options.mixture_memory)
        growth = _Growth(self.options.discounts, self.y.shape[1])
        wander = growth.wander  # what a step adds to the variance of a level, per variance
        noise, error, drift, rate = (np.empty_like(out.expected) for _ in range(4))
        for t in range(len(self.y)):
            base, season_error = self._season_at(t)
            precision, levels = growth.extend(s["level_counts"], s["level_exposure"])
            level = mixture.average(levels)
            mean = np.maximum(level * base, _LEAST_MEAN)
            ratio = dispersion.at(mean)
            scale = ratio / level
            level_error = mixture.average(precision) * scale
            variance = mean * (ratio + mean * (level_error + season_error))
            out.expected[t], out.variance[t], out.level[t] = mean, variance, level
            out.base[t], noise[t], error[t] = base, base * ratio, level_error
            rate[t] = growth.rate * mixture.weights[-1]
            drift[t] = mixture.average(precision * wander) * scale
            y, seen = self.y[t], None
            if self.seen is not None:
                seen = self.seen[t]
                y = np.where(seen > 0, y, mean)
            z, cap = _standardise(y, mean, variance, self.options.outlier_z)
            weight = np.minimum(1, np.square(cap / np.maximum(np.abs(z), 1e-6)))
            if seen is not None:
                weight *= seen
            mixture.learn(mean + weight * (y - mean), levels, level, base, ratio)
            out.shift[t] = self._learn_level(discounts, weight, y, base, z, seen)
            for season, phase in zip(self.cycles, self.clock[:, t], strict=True):
                season.learn(phase, weight * y, weight * mean, dispersion.proportional)
            dispersion.learn(z, cap, mean, variance, ratio, seen)
        s["log_weights"] = mixture.log_weights
        dispersion.save(s)
        self._scan(out, (noise, error, drift, rate))
        return self._freeze()

    def _season_at(self, t: int) -> tuple[Floats, Floats]:
        """Season times exposure, and the relative variance of the season."""
        base: Floats = np.ones(self.y.shape[1], _PRECISION)
        error: Floats = np.zeros(self.y.shape[1], _PRECISION)
        for season, phase in zip(self.cycles, self.clock[:, t], strict=True):
            base = base * season.factor[phase]
            error = error + season.error[phase]
        return (base if self.exposure is None else base * self.exposure[t]), error

    def _learn_level(
        self,
        discounts: Floats,
        weight: Floats,
        y: Floats,
        base: Floats,
        z: Floats,
        seen: Floats | None,
    ) -> NDArray[np.int8] | int:
        """Add the step to the level; where a run has lasted, let the run be the level."""
        s = self.state
        run, side = s["run"], np.sign(np.trunc(z))
        if seen is not None:
            y, base = y * seen, base * seen
        # A step on the other side ends the run, a calm step takes two off it.
        calm = np.minimum(np.maximum(run, -2), 2) * (side == 0)
        now = run * (side * run >= 0) + side - (calm if seen is None else calm * seen)
        going_on = now * run > 0
        s["run_counts"] = s["run_counts"] * going_on + y
        s["run_exposure"] = s["run_exposure"] * going_on + base
        s["run"] = now
        s["level_counts"] = np.maximum(
            discounts * s["level_counts"] + weight * y, _LEAST_LEVEL_COUNTS
        )
        s["level_exposure"] = discounts * s["level_exposure"] + weight * base
        lasting = np.abs(now) >= self.options.shift_steps
        if not lasting.any():
            return 0
        at = np.flatnonzero(lasting)
        mark = np.zeros(len(y), np.int8)
        mark[at] = np.sign(now[at])
        s["level_counts"][:, at] = np.maximum(s["run_counts"][at], _LEAST_LEVEL_COUNTS)
        s["level_exposure"][:, at] = s["run_exposure"][at]
        s["run"][at] = 0
        return mark

    def _scan(self, out: _Output, extra: tuple[Floats, ...]) -> None:
        """P-values of every window that ends at each step."""
        windows, s = self.options.windows, self.state
        counts = self.y
        if self.seen is not None:
            for rows in (out.base, extra[0]):
                rows *= self.seen
        rows = (counts, out.base, out.level, *extra)
        joined = [np.concatenate(pair) for pair in zip(s["recent"], rows, strict=True)]
        counts, base, level, noise, error, drift, rate = joined
        tail = len(counts) - (max(windows) - 1)
        s["recent"] = np.stack([r[tail:] for r in joined])
        n_seen = self._count_history()
        for i, w in enumerate(windows):
            if w == 1:
                cells = (self.y, out.expected, out.variance)
            else:
                first = slice(max(windows) - w, len(counts) - w + 1)
                total = [rolling_sum(r, w)[max(windows) - w :] for r in (counts, base, noise)]
                ahead = level[first] * (1 + rate[first] * ((w - 1) / 2))
                mean = np.maximum(ahead * total[1], _LEAST_MEAN)
                # A level that wanders by a step's worth each day is off by the average of
                # 1, 2, ..., w such steps, whose variance this is.
                astray = drift[first] * ((w + 1) * (2 * w + 1) / (6 * w))
                relative = error[first] + astray
                cells = (total[0], mean, ahead * total[2] + relative * mean * mean)
            out.upper[i], out.lower[i] = tail_pvalues(
                cells[0], cells[1], np.maximum(cells[2], cells[1])
            )
            for tails in (out.upper[i], out.lower[i]):
                if self.seen is not None:
                    tails[self.seen == 0] = np.nan
                _blank_early(tails, n_seen, self.options.min_history)

    def _count_history(self) -> Floats:
        """Observations before each step of this call, while any series is still young."""
        before = self.state["n_seen"]
        young = bool((before < self.options.min_history).any())
        if self.seen is None:
            rows = np.arange(len(self.y), dtype=_PRECISION)[:, None] + before
            self.state["n_seen"] = before + len(self.y)
        else:
            rows = before + np.cumsum(self.seen, axis=0) - self.seen
            self.state["n_seen"] = before + self.seen.sum(axis=0)
        return rows if young else rows[:0]

    def _freeze(self) -> FilterState:
        return FilterState(
            n_steps=self.n_steps + len(self.y),
            season_counts=tuple(season.counts for season in self.cycles),
            season_expected=tuple(season.expected for season in self.cycles),
            season_factor=tuple(season.factor for season in self.cycles),
            season_error=tuple(season.error for season in self.cycles),
            **self.state,
        )


def _blank_early(tails: Floats, n_seen: Floats, min_history: int) -> None:
    tails[: len(n_seen)][n_seen < min_history] = np.nan


def _standardise(
    y: Floats, mean: Floats, variance: Floats, outlier_z: float
) -> tuple[Floats, Floats]:
    """Pearson residuals, and beyond which size they are strange on their side.

    The bound follows the skewness of the law: what a normal law would call 2.58 standard
    deviations is farther out on the long side of a sparse count and nearer on the short side.
    """
    spread = np.sqrt(variance)
    z = (y - mean) / spread
    shift = (2 * variance / mean - 1) / spread * _NORMAL_SKEW_SHIFT
    return z, np.maximum(outlier_z + np.copysign(shift, z), _LEAST_CAP)


def rolling_sum(rows: Floats, width: int) -> Floats:
    """Sum each `width` consecutive rows, by doubling: few additions, same order everywhere.

    Parameters
    ----------
    rows
        Shape (T, ...).
    width
        Rows per sum, 1 to T.

    Returns
    -------
    Floats
        Shape (T - width + 1, ...). Unlike differences of cumulative sums, a sum does not
        depend on what came before its rows, not even in the last digit.

    Examples
    --------
    >>> rolling_sum(np.arange(6.0), 3)
    array([ 3.,  6.,  9., 12.])
    """
    total, done, power, size = None, 0, rows, 1
    length = len(rows) - width + 1
    while size <= width:
        if width & size:
            part = power[done : done + length]
            total = part if total is None else total + part
            done += size
        power, size = power[:-size] + power[size:], 2 * size
    return np.empty_like(rows[:0]) if total is None else total


class _Season:
    """The factors of one cycle: pulled towards 1, mean 1, slowly forgetting."""

    __slots__ = ("_discount", "_prior", "_turn", "counts", "error", "expected", "factor")

    def __init__(
        self,
        counts: Floats,
        expected: Floats,
        factor: Floats,
        error: Floats,
        options: FilterOptions,
    ) -> None:
        self.counts, self.expected = counts, expected
        self.factor, self.error = factor, error
        self._discount, self._prior = options.season_discount, options.season_prior

    def learn(self, phase: int, counts: Floats, expected: Floats, dispersion: Floats) -> None:
        """Add one step of this phase."""
        # `expected` holds the present factor; the sum wants what a factor of 1 would expect.
        self.counts[phase] = self._discount * self.counts[phase] + counts
        self.expected[phase] = self._discount * self.expected[phase] + expected / self.factor[phase]
        pull = self._prior * dispersion
        certain = self.expected[phase] + pull
        self.factor[phase] = (self.counts[phase] + pull) / certain
        self.error[phase] = dispersion / certain
        if phase == len(self.counts) - 1:
            centre = self.factor.mean(axis=0)
            self.counts /= centre
            self.factor /= centre


class _Mixture:
    """Weights of the level discounts, by how well each has predicted of late."""

    __slots__ = ("_memory", "log_weights", "weights")

    def __init__(self, log_weights: Floats, memory: float) -> None:
        self._memory, self.log_weights = memory, log_weights
        self._normalise()

    def average(self, values: Floats) -> Floats:
        """Weighted mean over the discounts."""
        return (self.weights * values).sum(axis=0)

    def learn(self, y: Floats, levels: Floats, level: Floats, base: Floats, ratio: Floats) -> None:
        """Add the quasi-log-likelihood of a (winsorised) count, relative to the mixture's."""
        gain = y * np.log(levels / level) - (levels - level) * base
        self.log_weights = self._memory * self.log_weights + gain / ratio
        self._normalise()

    def _normalise(self) -> None:
        self.log_weights = self.log_weights - self.log_weights.max(axis=0)
        weights = np.exp(self.log_weights)
        self.weights = weights / weights.sum(axis=0)


class _Growth:
    """One more level for the mixture: the quickest, carried forward along its own growth.

    A discounted level of memory m lags a series that grows at rate g by g m. The lags of the
    quickest and the slowest level tell g, and their log-linear extrapolation has no lag
    (Brown's double smoothing with two memories).
    """

    __slots__ = ("_gap", "_levels", "_memory", "_precision", "rate", "wander")

    _MOST_REACH = 0.4  # of the log level: the extrapolation goes no farther

    def __init__(self, discounts: tuple[float, ...], n_series: int) -> None:
        quick, slow = 1 / (1 - min(discounts)), 1 / (1 - max(discounts))
        self._memory, self._gap = quick, max(slow - quick, 1.0)
        self._levels = np.empty((len(discounts) + 1, n_series), _PRECISION)
        self._precision = np.empty_like(self._levels)
        self.rate: Floats = np.zeros(n_series, _PRECISION)
        steps = [1 / d - 1 for d in (*discounts, min(discounts))]
        self.wander = np.array(steps, _PRECISION)[:, None]

    def extend(self, counts: Floats, exposure: Floats) -> tuple[Floats, Floats]:
        """One over exposure, and level, of each discount and of the extrapolation."""
        precision, levels = self._precision, self._levels
        np.divide(1, exposure, out=precision[:-1])
        np.multiply(counts, precision[:-1], out=levels[:-1])
        rate, most = np.log(levels[0] / levels[-2]) / self._gap, self._MOST_REACH / self._memory
        self.rate = np.minimum(np.maximum(rate, -most), most)
        levels[-1] = levels[0] * np.exp(self.rate * self._memory)
        precision[-1] = precision[0] * (1 + self._memory / self._gap) ** 2
        return precision, levels


class _Dispersion:
    """Variance over mean: a constant, or one plus a multiple of the mean, or a blend.

    Both forms are tracked on squared residuals, cut off where they are strange; the blend
    follows which of the two has predicted the squares better.
    """

    __slots__ = (
        "_alpha",
        "_blend",
        "_discount",
        "_n",
        "_odds",
        "_phi_sum",
        "_alpha_sum",
        "proportional",
    )

    # A normal residual cut at 2.58 keeps 1 / 1.06 of its variance; the cut at .97 of it is
    # what makes residuals of the simulated worlds come out unbiased.
    _CUT = 0.97
    _CONSISTENCY = 1.06
    _ODDS_MEMORY = 0.999

    def __init__(self, state: dict[str, Floats], discount: float) -> None:
        self._discount = discount
        self._phi_sum, self._alpha_sum = state["proportional"], state["quadratic"]
        self._n, self._odds = state["n_dispersion"], state["log_odds_quadratic"]
        self._derive()

    def save(self, state: dict[str, Floats]) -> None:
        """Put the sums back."""
        state["proportional"], state["quadratic"] = self._phi_sum, self._alpha_sum
        state["n_dispersion"], state["log_odds_quadratic"] = self._n, self._odds

    def at(self, mean: Floats) -> Floats:
        """Variance over mean at this mean."""
        return self.proportional + self._blend * (1 + self._alpha * mean - self.proportional)

    def learn(
        self,
        z: Floats,
        cap: Floats,
        mean: Floats,
        variance: Floats,
        ratio: Floats,
        seen: Floats | None,
    ) -> None:
        """Add one squared residual, freed of the part that is estimation error."""
        square = np.square(np.minimum(np.abs(z), self._CUT * cap)) * self._CONSISTENCY * ratio
        quadratic = 1 + self._alpha * mean
        gain = 0.5 * (square / self.proportional - square / quadratic)
        gain += 0.5 * np.log(self.proportional / quadratic)
        excess = (square - 1) / mean
        if seen is None:
            self._n = self._discount * self._n + 1
        else:
            square, excess, gain = square * seen, excess * seen, gain * seen
            self._n = self._discount * self._n + seen
        self._odds = self._ODDS_MEMORY * self._odds + gain
        self._phi_sum = self._discount * self._phi_sum + square
        self._alpha_sum = self._discount * self._alpha_sum + excess
        self._derive()

    def _derive(self) -> None:
        self.proportional = np.maximum(self._phi_sum / self._n, 1)
        self._alpha = np.maximum(self._alpha_sum / self._n, 0)
        self._blend = 1 / (1 + np.exp(np.minimum(-self._odds, 80)))


def _first_state(
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
    base = present.astype(_PRECISION)
    if exposure is not None:
        base = base * exposure[rows, pick]
    level = _robust_level(counts, base)
    seasons = []
    mean = np.maximum(level * base, _LEAST_MEAN)
    for phase, size in zip(clock, sizes, strict=True):
        factor, expected = _first_factors(counts, mean, present, phase[rows], size, level, options)
        seasons.append((factor * expected, expected))
        mean = mean * np.take_along_axis(factor, phase[rows], axis=0)
    phi = _first_dispersion(counts, mean, present)
    pull = options.season_prior * phi
    daily = base.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    zeros = np.zeros(y.shape[1], _PRECISION)
    memory = np.broadcast_to(10 * np.where(daily > 0, daily, 1), (n_cycles, y.shape[1]))
    n_dispersion = zeros + 30
    state = FilterState(
        n_steps=0,
        level_counts=np.maximum(memory * level, _LEAST_LEVEL_COUNTS),
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
        recent=np.zeros((7, max(options.windows) - 1, y.shape[1]), _PRECISION),
    )
    return _in_precision(state)


def _in_precision(state: FilterState) -> FilterState:
    arrays = state.to_arrays()
    return FilterState.from_arrays(
        {name: a if name == "n_steps" else a.astype(_PRECISION) for name, a in arrays.items()}
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
    level: Floats,
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
    # Half the weight: these days are seen again when the filter starts.
    return factor / factor.mean(axis=0), expected / 2


def _first_dispersion(counts: Floats, mean: Floats, present: NDArray[np.bool_]) -> Floats:
    """Variance over mean from the median squared residual, at least 1."""
    square = np.where(present, (counts - mean) ** 2 / mean, np.nan)
    square[:, ~present.any(axis=0)] = 0
    # .455 is the median of a chi-squared variable on one degree of freedom.
    return np.maximum(1.1 * np.nanmedian(square, axis=0) / 0.455, 1)
