"""What the search must know about a kind of metric: how far groups are from their outside, and how sure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SCREEN = 6.0  # squared deviations below this are never significant over a whole lattice
TAIL_GAIN = (
    4.0  # an exact tail is smaller than exp(-likelihood ratio) by no more than this many nats
)
_AGREE = (
    0.1  # log scale; an outside whose factor differs more from the robust one holds other causes
)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Every group against everything outside it, given the leaves still in the lattice.

    Parameters
    ----------
    mean
        Mean of the group's sum had it moved with the outside, shape (n_groups,).
    size
        Size of the negative binomial of its weighted sum (of a rate: inflation of the variance).
    log_qvalue
        Log of the adjusted p-value, zero where hopeless, shape (n_groups,).
    llr
        Weighted log-likelihood ratio of the group's own rate, zero where hopeless. It adds up over parts of
        a group, so a parent and its child can be compared.
    score
        `llr` less the length of the description.
    """

    mean: Floats
    size: Floats
    log_qvalue: Floats
    llr: Floats
    score: Floats


class Model(Protocol):
    """What the search must be able to ask about groups.

    `expected_row` of the sums holds what was expected, `weighted_rows` hold the weighted leaves, seen and
    expected.
    """

    expected_row: ClassVar[int]
    weighted_rows: ClassVar[tuple[int, int]]

    def moved(self, sums: Floats) -> tuple[Floats, Floats]:
        """Weighted sums: seen, and expected but for a factor."""
        ...

    def evaluate(self, sums: Floats, totals: Floats, log_weight: Floats) -> Evaluation:
        """Compare each group with its complement."""
        ...

    def gain_of_rest(
        self, child: Floats, rest: Floats, evaluation: Evaluation, group: int
    ) -> float:
        """Nats by which the rest of a parent fits the child's effect better than no change."""
        ...


def common_factor(observed: Floats, expected: Floats, values: Sequence[slice]) -> float:
    """Factor that most values of some dimension share, whatever a few of them did.

    Parameters
    ----------
    observed, expected
        Sums per group, shape (n_groups,).
    values
        Groups of every dimension taken alone.

    Notes
    -----
    The weighted median over the values of a dimension ignores a cause confined to some of them; in other
    dimensions the same cause lifts every value. So the dimension whose median is nearest to one is taken.
    """
    medians = [_median_log_ratio(observed[groups], expected[groups]) for groups in values]
    return float(np.exp(min(medians, key=abs, default=0.0)))


def _median_log_ratio(observed: Floats, expected: Floats) -> float:
    """Median of log observed / expected, weighted by the root of the expected; of two halves the nearer to 0."""
    use = expected > 0
    if not use.any():
        return 0.0
    ratio = np.log((observed[use] + 0.5) / (expected[use] + 0.5))
    order = np.argsort(ratio)
    cumulative = np.cumsum(np.sqrt(expected[use])[order])
    middle = 0.5 * cumulative[-1]
    lower = ratio[order][np.searchsorted(cumulative, middle * 0.9)]
    upper = ratio[order][min(np.searchsorted(cumulative, middle * 1.1), len(ratio) - 1)]
    return float(lower if abs(lower) < abs(upper) else upper)


def keep_near(factor: Floats, usual: float, *, n_events: float) -> Floats:
    """Factors no further from the usual one than noise and a tenth allow."""
    width = np.exp(_AGREE + 3.0 / np.sqrt(max(n_events, 1.0)))
    return np.clip(factor, usual / width, usual * width)


def weighted_llr(seen: Floats, mean: Floats) -> Floats:
    """Quasi-Poisson log-likelihood ratio of a group's own factor against the mean it was to have."""
    mean = np.maximum(mean, 1e-12)
    return np.maximum(0.0, special.xlogy(seen, np.maximum(seen, 1e-12) / mean) - (seen - mean))
