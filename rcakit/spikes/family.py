"""Which law do these numbers follow: counts, shares of a denominator, amounts, or a stock?"""

from typing import Literal, get_args

import numpy as np

from rcakit.errors import ParameterError
from rcakit.spikes.grid import Grid
from rcakit.stats.gauges import looks_like_a_stock

__all__ = ["FAMILIES", "Family", "choose_family"]

Family = Literal["count", "rate", "amount", "gauge"]
FAMILIES: tuple[str, ...] = ("auto", *get_args(Family))

# Rows whose sizes scatter more than this (mean square over squared mean) are amounts, not counts.
_ALIKE = 5.0


def choose_family(grid: Grid, *, value: str | None, family: str = "auto") -> Family:
    """Choose the law from the data, unless the caller has.

    Parameters
    ----------
    grid
        Counts on the grid.
    value
        Column that was added up; None where rows were counted.
    family
        The caller's choice.

    Notes
    -----
    A ``rate`` where every value is a whole number no larger than its exposure. A ``gauge`` where
    there is one value per period and the values hang together as a backlog does. An ``amount``
    where values are not whole, or rows differ greatly in size. A ``count`` otherwise.

    Raises
    ------
    ParameterError
        Values are negative, and the family is not a gauge; or a rate was asked for and the value
        exceeds its exposure.
    """
    known = grid.counts[np.isfinite(grid.counts)]
    lowest = float(known.min(initial=0.0))
    whole = bool((known == np.round(known)).all())
    one_row = bool(value) and float((grid.rows[grid.rows > 0] == 1).mean()) > 0.95
    within = grid.trials is not None and _within(grid)
    if family == "auto":
        period = 7 if grid.every == "1d" else 1
        if one_row and grid.trials is None and looks_like_a_stock(grid.counts, period=period):
            return "gauge"
        family = "rate" if within and whole and value else "count"
        if family == "count" and value and not (whole and (one_row or _rows_alike(grid))):
            family = "amount"
    if lowest < 0 and family != "gauge":
        raise ParameterError(
            f"value must be a count or amount that is never negative, got {lowest:g} as the sum "
            f"of {value!r} over a period. Analyse gains and losses apart, or give family='gauge' "
            "if it is a level such as a backlog."
        )
    if family == "rate" and not (within and whole):
        raise ParameterError(
            "family='rate' must have an exposure that no value exceeds, and whole numbers, got "
            f"{'no exposure' if grid.trials is None else 'values above it or fractions'}. "
            "Give exposure=, or leave family out."
        )
    return family  # type: ignore[return-value]


def _within(grid: Grid) -> bool:
    known = np.isfinite(grid.counts)
    return bool((grid.counts[known] <= grid.trials[known]).all())  # type: ignore[index]


def _rows_alike(grid: Grid) -> bool:
    if grid.squares is None:
        return True
    n, total = grid.rows.sum(), np.nansum(grid.counts)
    return bool(total <= 0 or grid.squares.sum() * n < _ALIKE * total**2)
