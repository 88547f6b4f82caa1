"""Sums by index: numpy's bincount, typed as what it returns when given weights."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def sum_by(index: Integers, values: ArrayLike, n: int) -> Floats:
    """Sum the values that share an index, shape (n,).

    Parameters
    ----------
    index
        Integers from 0 to n - 1, shape (n_values,).
    values
        Numbers to add up, shape (n_values,).
    n
        Length of the result; indices that do not occur get zero.
    """
    return np.bincount(index, np.asarray(values, float), minlength=n).astype(np.float64, copy=False)
