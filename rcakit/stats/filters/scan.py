"""P-values of every window that ends at a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.options import LEAST_MEAN, PRECISION
from rcakit.stats.memory import empty
from rcakit.stats.tails import tail_pvalues

if TYPE_CHECKING:
    from rcakit.stats.filters.options import FilterOptions, Floats

N_ROWS = 7  # counts, base, level, noise; error, drift and growth of the level


class Scan:
    """The last steps of a block, from which each window takes what it needs.

    Parameters
    ----------
    recent
        Shape (7, longest window - 1, n) where an earlier call stopped.
    n_steps
        Steps taken between two calls of `pvalues`.
    options
        The windows.
    """

    __slots__ = ("_back", "_cells", "_windows", "rows")

    def __init__(self, recent: Floats, n_steps: int, options: FilterOptions) -> None:
        self._windows, self._back = options.windows, recent.shape[1]
        self.rows = empty((N_ROWS, self._back + n_steps, recent.shape[2]), PRECISION)
        self.rows[:, : self._back] = recent
        # Count, mean and variance of every window of every step, and their two tails.
        self._cells = empty((5, n_steps, len(self._windows), recent.shape[2]), PRECISION)

    def at(self, step: int) -> Floats:
        """Where the seven numbers of a step belong, shape (7, n)."""
        return self.rows[:, self._back + step]

    def recent(self) -> Floats:
        """What a later call needs."""
        return self.rows[:, : self._back].copy()

    def pvalues(self, mean: Floats, variance: Floats, upper: Floats, lower: Floats) -> None:
        """Write the tails of the steps taken, and make room for the next.

        Parameters
        ----------
        mean, variance
            Shape (steps, n), of the single steps.
        upper, lower
            Shape (steps, windows, n), written.
        """
        n = len(mean)
        counts, means, variances, *tails = self._cells[:, :n]
        for i, width in enumerate(self._windows):
            if width == 1:
                counts[:, i] = self.rows[0, self._back : self._back + n]
                means[:, i], variances[:, i] = mean, variance
            else:
                self._window(width, counts[:, i], means[:, i], variances[:, i])
        if upper.flags.c_contiguous and lower.flags.c_contiguous:
            tail_pvalues(counts, means, variances, out=(upper, lower))
        else:
            upper[:], lower[:] = tail_pvalues(counts, means, variances, out=(tails[0], tails[1]))
        self.rows[:, : self._back] = self.rows[:, n : n + self._back].copy()

    def _window(self, width: int, counts: Floats, mean: Floats, variance: Floats) -> None:
        """Write count, mean and variance; the level is the one before the window's first step."""
        n = len(mean)
        rows = self.rows[:, self._back + 1 - width : self._back + n]
        counts[:], base, noise = (rolling_sum(rows[i], width) for i in (0, 1, 3))
        level, error, drift, rate = (rows[i, :n] for i in (2, 4, 5, 6))
        ahead = rate * ((width - 1) / 2)
        ahead += 1
        ahead *= level
        base *= ahead
        np.maximum(base, LEAST_MEAN, out=mean)
        # A level that wanders by a step's worth each day is off by the average of
        # 1, 2, ..., w such steps, whose variance this is.
        relative = drift * ((width + 1) * (2 * width + 1) / (6 * width))
        relative += error
        relative *= mean
        relative *= mean
        noise *= ahead
        noise += relative
        np.maximum(noise, mean, out=variance)


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
    parts, done, power, size = [], 0, rows, 1
    length = len(rows) - width + 1
    while size <= width:
        if width & size:
            parts.append(power[done : done + length])
            done += size
        if 2 * size <= width:
            power = power[:-size] + power[size:]
        size *= 2
    if len(parts) == 1:
        return parts[0].copy() if width == 1 else parts[0]
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    return total
