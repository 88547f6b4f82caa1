"""Is the excess carried by a handful of entities, and were they known before?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Concentration:
    """How the excess spreads over entities (accounts, reporters, merchants).

    Parameters
    ----------
    order
        Entities by excess, largest first, shape (n_entities,).
    excess
        Excess per entity in that order, shape (n_entities,).
    top_shares
        Share of the total positive excess in the top 1, 5, 10 and 100 entities.
    gini
        Gini coefficient of the period's values: 0 equal, near 1 a single actor.
    base_gini
        The same in the baseline, over entities seen there; nan without any.
    new_share
        Share of the positive excess from entities never seen in the baseline.
    n_entities, n_new
        Entities with a value in the period, and how many of them are new.
    n_half
        Fewest entities that together hold half the positive excess.
    """

    order: Integers
    excess: Floats
    top_shares: dict[int, float]
    gini: float
    base_gini: float
    new_share: float
    n_entities: int
    n_new: int
    n_half: int


def gini(values: Floats) -> float:
    """Gini coefficient of non-negative values, with the small-sample factor n / (n - 1).

    Returns nan for fewer than two values or a zero sum.

    References
    ----------
    Dixon et al. (1987), Ecology 68, 1548-1551 (unbiased form).
    """
    n, total = len(values), float(values.sum())
    if n < 2 or total <= 0.0:
        return np.nan
    ordered = np.sort(values)
    rank = np.arange(1, n + 1)
    return float(((2 * rank - n - 1) * ordered).sum() / (total * (n - 1)))


def concentration(
    observed: Floats, expected: Floats, *, is_known: NDArray[np.bool_]
) -> Concentration:
    """Say whether a few entities carry the excess, and whether they are new.

    Parameters
    ----------
    observed
        Value per entity in the period, shape (n_entities,), non-negative.
    expected
        Expected value per entity (its baseline scaled to the period), shape (n_entities,).
    is_known
        Whether the entity occurred in the baseline, shape (n_entities,).

    Notes
    -----
    Shares are of the positive excess, so entities that fell do not push shares above one. In sparse data a
    few entities always lead: compare `gini` with `base_gini`. Describes, does not test.
    """
    excess = observed - expected
    order = np.argsort(-excess, kind="stable")
    positive = np.maximum(excess[order], 0.0)
    total = float(positive.sum())
    cumulative = np.cumsum(positive) / total if total > 0 else np.zeros(len(positive))
    top = {
        k: float(cumulative[min(k, len(cumulative)) - 1]) if len(cumulative) else 0.0
        for k in (1, 5, 10, 100)
    }
    present = observed > 0
    fresh = np.maximum(excess, 0.0)[~is_known].sum()
    return Concentration(
        order=order,
        excess=excess[order],
        top_shares=top,
        gini=gini(observed[present]),
        base_gini=gini(expected[is_known]),
        new_share=float(fresh / total) if total > 0 else 0.0,
        n_entities=int(present.sum()),
        n_new=int((present & ~is_known).sum()),
        n_half=int(np.searchsorted(cumulative, 0.5) + 1) if total > 0 else 0,
    )
