"""How much counts scatter about their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rcakit.stats.filters.options import Floats

# A normal residual cut at 2.58 keeps 1 / 1.06 of its variance; with these two figures the
# residuals of simulated worlds, which are no normal ones, come out unbiased.
_CUT = 0.97
_CONSISTENCY = 1.04
_ODDS_MEMORY = 0.999


class Dispersion:
    """Variance over mean: a constant, or one plus a multiple of the mean, or a blend.

    Both forms are tracked on squared residuals, cut off where they are strange; the blend
    follows which of the two has predicted the squares better.

    Parameters
    ----------
    proportional, quadratic
        Shape (n,), changed in place: discounted sums of squared residuals over the mean, and
        of their excess over 1, over the mean.
    number
        Discounted number of residuals.
    log_odds
        Evidence for the second form.
    discount
        Discount of the first three.
    """

    __slots__ = (
        "_alpha",
        "_blend",
        "_discount",
        "_quadratic",
        "alpha_sum",
        "n",
        "odds",
        "phi_sum",
        "proportional",
    )

    def __init__(
        self,
        proportional: Floats,
        quadratic: Floats,
        number: Floats,
        log_odds: Floats,
        discount: float,
    ) -> None:
        self._discount = discount
        self.phi_sum, self.alpha_sum = proportional, quadratic
        self.n, self.odds = number, log_odds
        self._derive()

    def at(self, mean: Floats) -> Floats:
        """Variance over mean at this mean."""
        self._quadratic = self._alpha * mean
        self._quadratic += 1
        ratio = self._quadratic - self.proportional
        ratio *= self._blend
        ratio += self.proportional
        return ratio

    def learn(
        self, size: Floats, cap: Floats, mean: Floats, ratio: Floats, seen: Floats | None
    ) -> None:
        """Add one squared residual, freed of the part that is estimation error.

        `size` is the absolute residual in standard deviations that include that error;
        `mean` and `ratio` are what `at` was last given and gave.
        """
        square = np.minimum(size, _CUT * cap)
        square *= square
        square *= _CONSISTENCY
        square *= ratio
        gain = np.log(self.proportional / self._quadratic)
        gain += square / self.proportional
        gain -= square / self._quadratic
        gain *= 0.5
        surplus = square - 1
        surplus /= mean
        self.n *= self._discount
        if seen is None:
            self.n += 1
        else:
            self.n += seen
            square *= seen
            surplus *= seen
            gain *= seen
        self.odds *= _ODDS_MEMORY
        self.odds += gain
        self.phi_sum *= self._discount
        self.phi_sum += square
        self.alpha_sum *= self._discount
        self.alpha_sum += surplus
        self._derive()

    def _derive(self) -> None:
        self.proportional = np.maximum(self.phi_sum / self.n, 1)
        self._alpha = np.maximum(self.alpha_sum / self.n, 0)
        against = np.exp(np.minimum(-self.odds, 80))
        against += 1
        self._blend = np.divide(1, against, out=against)
