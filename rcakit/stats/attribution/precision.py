"""How sure is the size of a named effect? Ask the segment's own days and the rest of the period.

The model that finds segments shares its variances over many of them. Once a few are named, more is worth
asking: did this very segment wobble more than the model says, and does the rest agree on what it shared?
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.sums import sum_by

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_PRIOR_BLOCKS = 20.0  # own blocks that the model's variance counts for
_MIN_BLOCKS = 4  # fewer say nothing
_MIN_DAYS_FOR_WEEKDAYS = 21  # three of each weekday
_BOUND = 6.0  # standard deviations beyond which a day in the history is an incident
_MIN_CLUSTERS = 3  # values of a dimension that can disagree
_DISAGREE = 0.05  # level at which values are taken to disagree by more than chance


@dataclass(frozen=True, slots=True)
class OwnDays:
    """What the days before the period say about one segment.

    Parameters
    ----------
    dispersion
        Variance of the segment over that of the model; 1 where nothing is known.
    degrees_of_freedom
        Blocks behind that figure, those of the model's prior included.
    """

    dispersion: float = 1.0
    degrees_of_freedom: float = np.inf


def own_days(
    seen: Floats,
    usual: Floats,
    outside: Floats,
    *,
    per_event: float,
    squared: float,
    scale: float,
    weekday: Integers,
    n_period_days: int,
) -> OwnDays:
    """Compare a segment's wobble before the period with what the model says.

    Parameters
    ----------
    seen
        Sum of the segment on every baseline day, shape (n_days,).
    usual
        What it would have been, up to a constant factor, had it moved with everything outside it.
    outside
        Sum of everything outside, which `usual` was made from.
    per_event, squared
        The model: a block of days with mean m has variance ``per_event * m + squared * m**2``.
    scale
        Variance-to-mean ratio of `outside`.
    weekday
        Weekday of every day.
    n_period_days
        Days are taken in blocks of this length.

    Notes
    -----
    Pearson's dispersion of the blocks, about the segment's share of the outside or, where that is nearer,
    about its shares on the seven weekdays. It is held to one as if the model's variance came from 20 blocks:
    the mean of an inverse gamma prior and these blocks, so intervals use Student's t with the sum of both.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., sec. 4.5.2 (Pearson's dispersion).
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sec. 2.6 (scaled inverse chi-square prior).
    """
    n_days = len(seen)
    n_blocks = n_days // n_period_days
    if n_blocks < _MIN_BLOCKS or seen.sum() <= 0 or outside.sum() <= 0:
        return OwnDays(1.0, _PRIOR_BLOCKS)

    fitted = usual * (seen.sum() / max(usual.sum(), 1e-12))
    sd = np.sqrt(per_event * fitted + squared * n_period_days * fitted**2)
    seen = np.minimum(seen, fitted + _BOUND * sd)  # an incident must not move the share itself

    def blocks(days: Floats) -> Floats:
        return days[n_days - n_blocks * n_period_days :].reshape(n_blocks, -1).sum(axis=1)

    whole, around = blocks(seen), np.maximum(blocks(outside), scale)

    def dispersion(share: Floats | float, n_fitted: float) -> float:
        mean = blocks(share * usual)
        variance = per_event * mean + mean**2 * (squared + scale / around)
        squares = np.minimum((whole - mean) ** 2 / np.maximum(variance, 1e-12), _BOUND**2)
        return float(squares.sum() / max(n_blocks - n_fitted, 1.0))

    own = dispersion(seen.sum() / max(usual.sum(), 1e-12), 1.0)
    if n_days >= _MIN_DAYS_FOR_WEEKDAYS:
        of_weekday = sum_by(weekday, seen, 7) / np.maximum(sum_by(weekday, usual, 7), 1e-12)
        own = min(own, dispersion(of_weekday[weekday], 7.0 * n_blocks / n_days))
    known = _PRIOR_BLOCKS + n_blocks
    return OwnDays((_PRIOR_BLOCKS + n_blocks * own) / known, known)


def days_of(history: History, inside: Mask, outside: Mask, values: Floats) -> tuple[Floats, Floats]:
    """Daily sums of the leaves inside and outside a segment, each of shape (n_days,).

    Parameters
    ----------
    history
        Daily leaf values.
    inside, outside
        Leaves of either, shape (n_leaves,).
    values
        Number to add up per entry of the history.
    """
    n_days = history.n_days
    days = []
    for leaves in (inside, outside):
        entry = np.flatnonzero(leaves[history.leaf])
        days.append(sum_by(history.day[entry], values[entry], n_days))
    return days[0], days[1]


def clustered_variance(
    lattice: Lattice,
    columns: Floats,
    own: Integers,
    *,
    factor: float,
    seen: int,
    expected: Callable[[Floats], Floats],
    modelled: float,
) -> float:
    """Relative variance of the factor of everything outside a segment, as its values disagree.

    Parameters
    ----------
    lattice
        Sums of everything that no other segment holds.
    columns
        The rows that the lattice sums, per leaf.
    own
        Leaves of the segment; they are left out.
    factor
        By which the outside moved.
    seen
        Row of what was observed.
    expected
        What was expected before that factor, from sums per group, shape (n_rows, n_groups).
    modelled
        Relative variance of the factor where nothing is hidden.

    Returns
    -------
    float
        `modelled`, or that of the dimension whose values disagree most, where they do so by more than chance.

    Notes
    -----
    A cause that was not named hides in a value of some dimension and pulls the shared factor. A sum of
    squared residuals by value is at least the square of that pull, so the interval reaches as far. The worst
    of several dimensions is always too much; so each must exceed the model by a chi-square test first.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73, 13-22, sec. 2 (variance from the residuals of whole clusters).
    Satterthwaite (1946), Biometrics Bulletin 2, 110-114 (degrees of freedom of a sum of unlike squares).
    """
    worst = modelled
    for cuboid in lattice.cuboids:
        if len(cuboid.dimensions) > 1:
            continue
        n = len(cuboid.keys)
        position = cuboid.group_of(lattice.codes[own]) - cuboid.start
        taken = np.array([sum_by(position, row, n) for row in columns[:, own]])
        sums = np.maximum(lattice.sums[:, cuboid.start : cuboid.start + n] - taken, 0.0)
        mean = factor * expected(sums)
        total = float(mean.sum())
        n_clusters = int(np.count_nonzero(mean > 1e-9 * max(total, 1e-300)))
        if n_clusters < _MIN_CLUSTERS or total <= 0.0:
            continue
        squares = float(((sums[seen] - mean) ** 2).sum())
        clustered = squares * n_clusters / (n_clusters - 1) / total**2
        freedom = max(total**2 / float((mean**2).sum()) - 1.0, 1.0)
        if clustered * freedom > modelled * special.chdtri(freedom, _DISAGREE):
            worst = max(worst, clustered)
    return worst
