"""Which value does a row get, given the values it already has?"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int64]
Shares: TypeAlias = NDArray[np.float64]


def zipf_shares(n_values: int, *, exponent: float = 1.0) -> Shares:
    """Share out 1 among ranks: the second value is half as common as the first, the third a third."""
    weights = np.arange(1, n_values + 1, dtype=np.float64) ** -exponent
    shares: Shares = weights / weights.sum()
    return shares


def draw_within(groups: Codes, shares: Shares, rng: np.random.Generator) -> Codes:
    """Draw one value per row from the distribution of the row's group.

    Parameters
    ----------
    groups
        Group of each row, 0 … n_groups - 1, shape (n_rows,).
    shares
        Weight of each value in each group, shape (n_groups, n_values); rows need not sum to 1.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        Value of each row, 0 … n_values - 1, shape (n_rows,).

    Notes
    -----
    Inverse-transform sampling for all rows at once: the cumulative shares of group g are laid on the interval
    [g, g + 1), so that one sorted search serves every group.
    """
    n_groups, n_values = shares.shape
    cumulative = np.cumsum(shares, axis=1)
    ladder = (cumulative / cumulative[:, -1:] + np.arange(n_groups)[:, np.newaxis]).ravel()
    found = np.searchsorted(ladder, groups + rng.random(len(groups)), side="right")
    # The sum of a group and a draw just below 1 can round up into the next group.
    values: Codes = np.minimum(found - groups * n_values, n_values - 1)
    return values


def draw_ranks(
    n_rows: int, n_ranks: int | Codes, rng: np.random.Generator, *, concentration: float = 1.0
) -> Codes:
    """Draw ranks 0 … n_ranks - 1, the lower the likelier.

    Parameters
    ----------
    n_rows
        How many to draw.
    n_ranks
        How many ranks there are: one number, or one per row, shape (n_rows,).
    rng
        Source of randomness.
    concentration
        1 draws evenly; at ``c`` the first share ``s`` of the ranks receives ``s ** (1 / c)`` of the draws.

    Returns
    -------
    numpy.ndarray
        Rank of each row, shape (n_rows,).
    """
    return (rng.random(n_rows) ** concentration * n_ranks).astype(np.int64)
