"""What did yesterday lead us to expect of today, in a hundred thousand series at once?

A robust discounted Gamma-Poisson filter. Each series is a level times seasonal factors times
exposure; all three are learned day by day, old days fade, strange days weigh little, and a
change that lasts becomes the new level. Each day gets its expectation, its variance and the
probability of a count so high or so low, over that day and over short scan windows.

The loop runs over time, the arithmetic over all series of a block; nothing is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.clock import Clock
from rcakit.stats.filters.learner import Learner, Observed, Output
from rcakit.stats.filters.options import FilterOptions
from rcakit.stats.filters.state import FilterState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from rcakit.stats.filters.options import Floats

# Most series per block: small enough that one block's state stays in the processor's cache,
# large enough that numpy's own cost of a call does not count.
_BLOCK = 12288
_LINE = 16


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
    periods = (period,) if isinstance(period, int) else tuple(period)
    clock = Clock(periods, tuple(np.asarray(p, dtype=np.intp) for p in phases))
    out = Output.empty(len(y), y.shape[1], options.windows)
    states = []
    size = -(-len(y) // max(-(-len(y) // _BLOCK), 1)) or 1
    size += -size % _LINE  # rows begin on cache lines
    for start in range(0, max(len(y), 1), size):
        block = slice(start, start + size)
        observed = Observed.of(y[block], None if e is None else e[block])
        before = None if state is None else state.take(block)
        states.append(Learner(observed, clock, options, before).run(out.block(block)))
    return FilteredCounts(
        windows=options.windows,
        expected=out.expected.T,
        variance=out.variance.T,
        level=out.level.T,
        base=out.base.T,
        pvalue_upper=out.upper.transpose(1, 2, 0),
        pvalue_lower=out.lower.transpose(1, 2, 0),
        level_shift=out.shift.T,
        state=FilterState.join(states),
    )
