"""The level of each series under several discounts, and when it starts anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.filters.options import LEAST_LEVEL_COUNTS, PRECISION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rcakit.stats.filters.options import FilterOptions, Floats


class Level:
    """Discounted counts over discounted exposure; a run that lasts becomes the level.

    Parameters
    ----------
    counts, exposure
        Shape (K, n), changed in place.
    run, run_counts, run_exposure
        Shape (n,), changed in place: signed length of the present run off the level, and what
        fell in it.
    options
        Discounts and `shift_steps`.
    """

    __slots__ = (
        "_discounts",
        "_shift_steps",
        "counts",
        "exposure",
        "run",
        "run_counts",
        "run_exposure",
    )

    def __init__(
        self,
        counts: Floats,
        exposure: Floats,
        run: Floats,
        run_counts: Floats,
        run_exposure: Floats,
        options: FilterOptions,
    ) -> None:
        self.counts, self.exposure = counts, exposure
        self.run, self.run_counts, self.run_exposure = run, run_counts, run_exposure
        self._discounts = np.array(options.discounts, PRECISION)[:, None]
        self._shift_steps = options.shift_steps

    def learn(self, weight: Floats, y: Floats, base: Floats) -> None:
        """Add a step to every discount."""
        self.counts *= self._discounts
        self.counts += weight * y
        np.maximum(self.counts, LEAST_LEVEL_COUNTS, out=self.counts)
        self.exposure *= self._discounts
        self.exposure += weight * base

    def follow_run(
        self, z: Floats, y: Floats, base: Floats, seen: Floats | None
    ) -> NDArray[np.int8] | int:
        """Lengthen or end the run; where it has lasted, let it be the level and mark its sign.

        A step more than one standard deviation off on the other side ends the run, a calm one
        takes two off it, a missing one (`z`, `y` and `base` are 0) leaves it alone.
        """
        run = self.run
        side = np.trunc(z)
        np.maximum(np.minimum(side, 1, out=side), -1, out=side)
        calm = np.maximum(np.minimum(run, 2), -2)
        calm *= side == 0
        if seen is not None:
            calm *= seen
        now = run * (side * run >= 0)
        now += side
        now -= calm
        going_on = now * run > 0
        self.run_counts *= going_on
        self.run_counts += y
        self.run_exposure *= going_on
        self.run_exposure += base
        run[:] = now
        lasting = np.abs(now, out=now) >= self._shift_steps
        return self._start_anew(np.flatnonzero(lasting)) if lasting.any() else 0

    def _start_anew(self, at: NDArray[np.intp]) -> NDArray[np.int8]:
        mark = np.zeros(len(self.run), np.int8)
        mark[at] = np.sign(self.run[at])
        self.counts[:, at] = np.maximum(self.run_counts[at], LEAST_LEVEL_COUNTS)
        self.exposure[:, at] = self.run_exposure[at]
        self.run[at] = 0
        return mark
