"""Arrays that begin on a cache line."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["empty"]

_LINE = 64  # bytes


def empty(shape: tuple[int, ...], dtype: type[np.floating]) -> NDArray[np.floating]:
    """Make room for numbers, from the start of a cache line on.

    Parameters
    ----------
    shape
        Of the array; where rows are whole lines long, every row begins on a line.
    dtype
        Of the numbers.

    Notes
    -----
    numpy promises sixteen bytes only, and a vector instruction on data that straddle two lines takes
    twice as long.

    Examples
    --------
    >>> empty((3, 32), np.float32).ctypes.data % 64
    0
    """
    size, width = math.prod(shape), np.dtype(dtype).itemsize
    room = np.empty(size + _LINE // width, dtype)
    first = -room.ctypes.data % _LINE // width
    return room[first : first + size].reshape(shape)
