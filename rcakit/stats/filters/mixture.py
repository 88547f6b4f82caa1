"""Levels of several memories, and which of them to believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.options import PRECISION
from rcakit.stats.memory import empty

if TYPE_CHECKING:
    from rcakit.stats.filters.options import Floats

_BETWEEN = 0.75  # of a standing and a wandering series, about (1/2 + 1) / 2
_MOST_REACH = 0.4  # of the log level: the extrapolation goes no farther


class Mixture:
    """Weights of the levels, by how well each has predicted of late.

    Parameters
    ----------
    log_weights
        Shape (K + 1, n), changed in place.
    memory
        Discount of the log likelihood.
    """

    __slots__ = ("_gain", "_memory", "_product", "_share", "log_weights", "weights")

    def __init__(self, log_weights: Floats, memory: float) -> None:
        self._memory, self.log_weights = memory, log_weights
        shape = log_weights.shape
        self.weights, self._product, self._gain = (empty(shape, PRECISION) for _ in range(3))
        self._normalise()

    def average(self, values: Floats, *, out: Floats) -> Floats:
        """Weighted mean over the levels."""
        np.multiply(self.weights, values, out=self._product)
        return np.add.reduce(self._product, axis=0, out=out)

    def average_again(self, factor: Floats, *, out: Floats) -> Floats:
        """Weighted mean of the values last averaged, times a factor of shape (K + 1, 1)."""
        self._product *= factor
        return np.add.reduce(self._product, axis=0, out=out)

    def learn(self, levels: Floats, level: Floats, y: Floats, base: Floats) -> None:
        """Add the quasi-log-likelihood of a (winsorised) count, relative to the mixture's.

        `y` and `base` are the count and the exposure over the dispersion.
        """
        gain, product = self._gain, self._product
        np.divide(levels, level, out=gain)
        np.log(gain, out=gain)
        gain *= y
        np.subtract(levels, level, out=product)
        product *= base
        gain -= product
        self.log_weights *= self._memory
        self.log_weights += gain
        self._normalise()

    def _normalise(self) -> None:
        self.log_weights -= np.maximum.reduce(self.log_weights, axis=0)
        np.exp(self.log_weights, out=self.weights)
        self.weights /= np.add.reduce(self.weights, axis=0)


class Growth:
    """One more level for the mixture: the quickest, carried forward along its own growth.

    A discounted level of memory m lags a series that grows at rate g by g m. The lags of the
    quickest and the slowest level tell g, and their log-linear extrapolation has no lag
    (Brown's double smoothing with two memories).

    A discounted level whose series wanders just as its discount supposes is off by a relative
    variance of one over its exposure (West & Harrison 1997, ch. 6.3); one whose series stands
    still only by 1 / (1 + d) of that, a weighted mean of independent steps. The slowest level
    stands for a series that stands still; the others lie in between, and so do their errors.
    """

    __slots__ = ("_certainty", "_gap", "_memory", "levels", "precision", "rate", "wander")

    def __init__(self, discounts: tuple[float, ...], n_series: int) -> None:
        quick, slow = 1 / (1 - min(discounts)), 1 / (1 - max(discounts))
        self._memory, self._gap = quick, max(slow - quick, 1.0)
        self.levels, self.precision = (
            empty((len(discounts) + 1, n_series), PRECISION) for _ in range(2)
        )
        self.rate: Floats = np.zeros(n_series, PRECISION)
        # Errors over what a wandering series would have, and what a step adds to their variance.
        slowest = max(discounts)
        shares = [1 / (1 + d) if d == slowest else _BETWEEN for d in discounts]
        self._certainty = np.array(shares, PRECISION)[:, None]
        steps = [0.0 if d == slowest else 1 / d - 1 for d in discounts]
        self.wander = np.array([*steps, 1 / min(discounts) - 1], PRECISION)[:, None]

    def extend(self, counts: Floats, exposure: Floats) -> None:
        """Work out the level of each discount and of the extrapolation, and their errors."""
        precision, levels = self.precision, self.levels
        np.divide(1, exposure, out=precision[:-1])
        np.multiply(counts, precision[:-1], out=levels[:-1])
        precision[:-1] *= self._certainty
        rate = np.log(levels[0] / levels[-2])
        rate /= self._gap
        most = _MOST_REACH / self._memory
        self.rate = np.maximum(np.minimum(rate, most, out=rate), -most, out=rate)
        reach = np.exp(rate * self._memory)
        np.multiply(levels[0], reach, out=levels[-1])
        np.divide((1 + self._memory / self._gap) ** 2, exposure[0], out=precision[-1])
