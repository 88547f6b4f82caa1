"""Where did a share change, once the mix of work is held equal?

Cases come as cells: so many of them, so many successes, before or after a date. What each mix
stratum showed before is what it should show after; the rest, observed less expected, is the change
at equal mix. A segment explains it when the change inside is far more than chance and the rest of
the cells show none.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rcakit.stats.proportions import normal_quantile

__all__ = ["Cells", "Shift", "best_split", "change", "dispersion", "mix_effect", "shift_within"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FEWEST_IN_STRATUM = 20


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of a share with its interval, and how many cases it rests on."""

    effect: float
    ci_lower: float
    ci_upper: float
    error: float
    n_before: int
    n_after: int

    @property
    def z(self) -> float:
        """The effect in standard errors; 0 where nothing can be told."""
        return self.effect / self.error if self.error > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Cells:
    """Cases added up by day and attributes.

    Attributes
    ----------
    size, count
        Cases and successes per cell, shape ``(n_cells,)``.
    after
        Which cells lie in the period asked about.
    stratum
        Number of the mix stratum of each cell, from 0.
    block
        Number of the week of each cell, for the variation between weeks.
    """

    size: Floats
    count: Floats
    after: Flags
    stratum: Ints
    block: Ints

    @property
    def expected(self) -> Floats:
        """Share of successes that the stratum of each cell showed before.

        Strata with fewer than 20 cases before lean on all others.
        """
        before = ~self.after
        n = np.bincount(self.stratum, self.size * before)
        k = np.bincount(self.stratum, self.count * before)
        overall = float(k.sum() / max(n.sum(), 1e-300))
        lean = np.maximum(_FEWEST_IN_STRATUM - n, 0) + 1
        return np.asarray(((k + lean * overall) / (n + lean))[self.stratum])


def dispersion(cells: Cells) -> float:
    """Return how much more weeks vary within strata than chance lets them; at least 1.

    References
    ----------
    McCullagh and Nelder (1989), Generalized Linear Models, p. 127.
    """
    before = ~cells.after & (cells.size > 0)
    key = cells.stratum[before] * (int(cells.block.max(initial=0)) + 1) + cells.block[before]
    at = np.unique(key, return_inverse=True)[1]
    n, k = np.bincount(at, cells.size[before]), np.bincount(at, cells.count[before])
    share = np.bincount(at, (cells.size * cells.expected)[before]) / np.maximum(n, 1e-300)
    used = n * share * (1 - share) > 1
    df = int(used.sum()) - np.unique(cells.stratum[before]).size
    if df < 5:
        return 1.0
    pearson = (k - n * share)[used] ** 2 / (n * share * (1 - share))[used]
    return max(1.0, float(pearson.sum()) / df)


def change(cells: Cells, *, phi: float, confidence_level: float) -> Shift:
    """Return how the share of all cases changed, mix and all."""
    sides = [(cells.size @ side, cells.count @ side) for side in (~cells.after, cells.after)]
    (n, k), (m, j) = ((float(a), float(b)) for a, b in sides)
    if min(n, m) < 1:
        return _nothing(n, m)
    variance = sum((c + 1) * (s - c + 1) / (s + 2) ** 2 / s for s, c in ((n, k), (m, j)))
    return _shift(j / m - k / n, phi * variance, n, m, confidence_level)


def mix_effect(cells: Cells, *, phi: float, confidence_level: float) -> Shift:
    """Return how the share would have changed by the mix alone, each stratum as it was.

    References
    ----------
    Kitagawa (1955), JASA 50, p. 1181, at the rates of before.
    """
    before, after = cells.size * ~cells.after, cells.size * cells.after
    n, m = float(before.sum()), float(after.sum())
    if min(n, m) < 1:
        return _nothing(n, m)
    share = cells.expected
    was, now = float(before @ share) / n, float(after @ share) / m
    spread = float(before @ (share - was) ** 2) / n**2 + float(after @ (share - now) ** 2) / m**2
    own = np.bincount(cells.stratum, before)
    moved = np.bincount(cells.stratum, after) / m - own / n
    rate = np.bincount(cells.stratum, before * share) / np.maximum(own, 1e-300)
    estimated = float(np.sum(moved**2 * rate * (1 - rate) / np.maximum(own, 1)))
    return _shift(now - was, spread + phi * estimated, n, m, confidence_level)


def shift_within(cells: Cells, inside: Flags, *, phi: float, confidence_level: float) -> Shift:
    """Return how a segment's share changed at equal mix, against its own past.

    Parameters
    ----------
    cells
        All cells.
    inside
        Which of them the segment holds; all of them for the whole.
    phi
        From `dispersion`.
    confidence_level
        Of the interval.
    """
    expected = cells.expected
    moved, variance, sizes = [], [], []  # before, after
    for side in (~cells.after & inside, cells.after & inside):
        n, k = float(cells.size @ side), float(cells.count @ side)
        if n < 1:
            return _nothing(float(cells.size @ (~cells.after & inside)), n)
        moved.append((k - float((cells.size * expected) @ side)) / n)
        spread = (k + 1) * (n - k + 1) / (n + 2) ** 2
        # strata differ, so cases within them vary less than all together
        between = float(
            cells.size[side] @ (expected[side] - _mean(expected, cells.size, side)) ** 2
        )
        variance.append(max(spread - between / n, spread / 4) / n)
        sizes.append(n)
    return _shift(moved[1] - moved[0], phi * sum(variance), sizes[0], sizes[1], confidence_level)


def best_split(
    size: Floats, count: Floats, candidates: npt.NDArray[np.int64], *, sign: int
) -> tuple[Floats, Floats]:
    """Return, per candidate block, how far the share after it moved, in standard errors.

    Parameters
    ----------
    size, count
        Cases and successes per block of days, in order of time.
    candidates
        Blocks that could be the first of "after".
    sign
        -1 for a fall, 1 for a rise.

    Returns
    -------
    z, effect
        Positive z where the share moved in the direction asked; shape of ``candidates``.
    """
    z, effect = np.zeros(candidates.size), np.zeros(candidates.size)
    for i, first in enumerate(candidates):
        n, k = float(size[:first].sum()), float(count[:first].sum())
        m, j = float(size[first:].sum()), float(count[first:].sum())
        if min(n, m) < 1:
            continue
        pooled = (k + j + 1) / (n + m + 2)
        effect[i] = j / m - k / n
        z[i] = sign * effect[i] / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return z, effect


def _mean(values: Floats, size: Floats, side: Flags) -> float:
    return float(values[side] @ size[side]) / float(size[side].sum())


def _shift(effect: float, variance: float, n: float, m: float, confidence_level: float) -> Shift:
    error = math.sqrt(max(variance, 0.0))
    half = normal_quantile(confidence_level) * error
    return Shift(effect, effect - half, effect + half, error, int(n), int(m))


def _nothing(n: float, m: float) -> Shift:
    return Shift(math.nan, math.nan, math.nan, 0.0, int(n), int(m))
