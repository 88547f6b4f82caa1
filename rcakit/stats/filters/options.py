"""How fast the filter forgets, and what it takes for strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

# Seven digits are plenty for a state whose statistical error is above one percent, and
# single precision halves time and memory. Tail probabilities are refined in double precision.
PRECISION = np.float32

LEAST_MEAN = 1e-4  # expected counts are kept above this, so that ratios exist
LEAST_LEVEL_COUNTS = 0.3  # an all-zero series still expects a count now and then


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
