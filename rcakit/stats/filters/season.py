"""Seasonal factors that are learned day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rcakit.stats.filters.options import FilterOptions, Floats


class Season:
    """The factors of one cycle: pulled towards 1, mean 1, slowly forgetting.

    Parameters
    ----------
    counts, expected, factor, error
        Shape (period, n), changed in place: discounted counts per phase, what a factor of 1
        would have expected, the factor, and its relative variance.
    options
        Discount and prior.
    """

    __slots__ = ("_discount", "_prior", "counts", "error", "expected", "factor")

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

    def learn(self, phase: int, counts: Floats, mean: Floats, dispersion: Floats) -> None:
        """Add one step of this phase; `mean` holds the present factor."""
        seen, expected, factor = self.counts[phase], self.expected[phase], self.factor[phase]
        seen *= self._discount
        seen += counts
        expected *= self._discount
        expected += mean / factor
        pull = dispersion * self._prior
        certain = expected + pull
        pull += seen
        np.divide(pull, certain, out=factor)
        np.divide(dispersion, certain, out=self.error[phase])
        if phase == len(self.counts) - 1:
            centre = self.factor.mean(axis=0)
            self.counts /= centre
            self.factor /= centre
