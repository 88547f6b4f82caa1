"""What do the sizes of rows say about how events come?

A row may be one event that brings an amount; then a few huge rows make a rise that means nothing. Or it may be
a sum made beforehand, a count or an amount of one day and combination; then its size says nothing of the kind.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["row_squares"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_TWO_ROWS = 0.01  # of the cells may hold more than one row where rows are sums made beforehand
_EXPECTED_TWO = 0.05  # more cells than this would hold two rows if rows were single events
_FILLED = 0.5  # of the days of a leaf
_SHARE_WITH_GAPS = 0.9  # of days with rows; in leaves seen more often, days without say little
_LARGEST_CLUMP = 3.0  # events that come together; what brings more is an amount
_EVEN = 0.7  # scatter of days over that of single events, below which rows are finer sums
_MIN_LEAVES = 5  # fewer do not tell that scatter
_MIN_CELLS = 50  # fewer say nothing about the size of an event


def row_squares(
    amount: Floats,
    squared: Floats,
    *,
    leaf: Integers,
    n_rows: Integers,
    is_past: NDArray[np.bool_],
    n_days: int,
) -> Floats | None:
    """Sum of the squared sizes of the events in every cell, shape (n_cells,), or None for counts.

    Parameters
    ----------
    amount, squared
        Sum of the rows and of their squares, shape (n_cells,).
    leaf
        Leaf of every cell.
    n_rows
        Rows per cell.
    is_past
        Cells of the baseline, which alone are asked.
    n_days
        Days of the baseline; weeks or months where the table has one row for each.

    Notes
    -----
    Where a share p of a leaf's days has rows, random events come -log(1 - p) times a day. Sums made beforehand
    are known by this: cells with two rows are missing. Whole numbers that add up to about so many events are
    counts. Of other sums the cells of rare leaves hold one event mostly, so their squares tell the size of an
    event. What is beyond the usual in the period may be events as large as the largest of these: a sum cannot
    tell one huge event from many. Without rare leaves the scatter of days tells the size. Several rows a cell
    are single events, unless days scatter less than events of these sizes would: then they are finer sums.
    """
    if not is_past.any():
        return squared
    past, n_leaves = leaf[is_past], int(leaf.max()) + 1
    seen = np.bincount(past, minlength=n_leaves) / n_days
    if (n_rows[is_past] > 1).mean() > _TWO_ROWS:
        cells = amount[is_past], squared[is_past], n_rows[is_past]
        return squared * _evenness(*cells, past, n_leaves, n_days)
    if _is_counted(amount[is_past], past, seen, n_days):
        return None
    if not _is_summed(seen, n_days):
        return squared
    is_rare = seen[leaf] < _FILLED
    rare = is_rare & is_past
    if rare.sum() < _MIN_CELLS:
        return amount * _scatter_of_days(amount[is_past], past, n_leaves, n_days)
    size = float(squared[rare].sum() / max(amount[rare].sum(), 1e-300))
    usual = np.bincount(past, amount[is_past], minlength=n_leaves)[leaf] / n_days
    beyond = np.where(is_past, 0.0, np.maximum(amount - usual, 0.0))
    at_most = np.minimum(beyond, amount[rare].max())
    return np.where(is_rare, squared, size * (amount - beyond) + at_most * beyond)


def _evenness(
    amount: Floats, squared: Floats, n_rows: Integers, leaf: Integers, n_leaves: int, n_days: int
) -> float:
    """Scatter of days over what single events as large as the rows would make, where it is clearly below one.

    References
    ----------
    Daley & Vere-Jones (2003), An Introduction to the Theory of Point Processes I, 2nd ed., ex. 2.1.11 (variance of
    a compound Poisson sum: the expected sum of squares).
    """
    sums, squares, single, rows = (
        np.bincount(leaf, cells, minlength=n_leaves)
        for cells in (amount, amount**2, squared, n_rows)
    )
    use = rows >= n_days
    if use.sum() < _MIN_LEAVES:
        return 1.0
    scatter = squares - sums**2 / n_days
    ratio = float(np.median(scatter[use] / (single[use] * (1.0 - 1.0 / n_days))))
    return ratio if ratio < _EVEN else 1.0


def _is_summed(seen: Floats, n_days: int) -> bool:
    """Tell whether cells of one row each would often have held two, had rows been single events."""
    a_day = -np.log1p(-np.minimum(seen, n_days / (n_days + 1.0)))
    twos = 1.0 - (1.0 + a_day) * np.exp(-a_day)
    return bool(twos.sum() > _EXPECTED_TWO * seen.sum())


def _is_counted(amount: Floats, leaf: Integers, seen: Floats, n_days: int) -> bool:
    """Tell whether sums are counts: whole numbers, and in leaves with gaps about as many as gaps suggest."""
    if (amount != np.round(amount)).any():
        return False
    has_gaps = (seen > 0) & (seen < _SHARE_WITH_GAPS)
    if not has_gaps.any():
        return True
    events = -np.log1p(-seen[has_gaps]) * n_days
    sums = np.bincount(leaf, amount, minlength=len(seen))[has_gaps]
    return bool(np.median(sums / events) <= _LARGEST_CLUMP)


def _scatter_of_days(amount: Floats, leaf: Integers, n_leaves: int, n_days: int) -> float:
    """Variance over mean of the days of small leaves, where single events show most."""
    mean = np.bincount(leaf, amount, minlength=n_leaves) / n_days
    square = np.bincount(leaf, amount**2, minlength=n_leaves) / n_days
    small = (mean > 0) & (mean <= np.quantile(mean[mean > 0], 0.25))
    return float(np.median(square[small] / mean[small] - mean[small]))
