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

    def learn(self, counts: Floats, exposure: Floats) -> None:
        """Add a weighted step to every discount."""
        self.counts *= self._discounts
        self.counts += counts
        np.maximum(self.counts, LEAST_LEVEL_COUNTS, out=self.counts)
        self.exposure *= self._discounts
        self.exposure += exposure

    def follow_run(
        self, unit: Floats, y: Floats, base: Floats, seen: Floats | None
    ) -> NDArray[np.int8] | int:
        """Lengthen or end the run; where it has lasted, let it be the level and mark its sign.

        `unit` is the residual held within one standard deviation. A step that reaches it on
        the other side ends the run, a calm one takes two off it, a missing one (all three
        arguments 0) leaves it alone. Products and bounds of whole numbers stand for
        conditions: numpy is slow at choosing.
        """
        run = self.run
        side = np.trunc(unit)
        now = run * side
        np.maximum(now, 0, out=now)
        now *= side
        now += side
        calm = np.maximum(np.minimum(run, 2), -2)
        if seen is not None:
            calm *= seen
        np.subtract(run, calm, out=calm)
        calm *= 1 - np.abs(side, out=side)
        now += calm
        going_on = now * run
        np.minimum(np.maximum(going_on, 0, out=going_on), 1, out=going_on)
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
