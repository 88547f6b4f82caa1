"""Squared residuals as a measure of scatter that a few strange steps do not rule."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEDIAN_SQUARE", "OUTLIER_Z", "cut_square"]

Floats = NDArray[np.float64]

MEDIAN_SQUARE = 0.4549  # median of a chi-squared variable on one degree of freedom
OUTLIER_Z = 2.58
_COST = 1.06  # what the cut takes from the mean of a chi-squared variable, given back


def cut_square(square: Floats, variance: Floats | float) -> Floats:
    """Cut squared residuals beyond 2.58 standard deviations, so that their mean stays the variance.

    Parameters
    ----------
    square
        Squared residuals; nan stays.
    variance
        What they are believed to be on average, broadcast to them.

    Notes
    -----
    The mean is kept for residuals of a normal law.

    Examples
    --------
    >>> cut_square(np.array([1.0, 100.0]), 1.0).round(3)
    array([1.06 , 7.056])
    """
    return np.minimum(square, OUTLIER_Z**2 * variance) * _COST
