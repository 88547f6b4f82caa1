"""How many of these alarms would chance alone have raised?

Adjusted p-values for many tests at once. nan marks a test that was not made: it stays nan
and does not count.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Weight = Callable[[Floats, Floats], Floats]


def benjamini_hochberg(pvalues: ArrayLike, *, axis: int | None = None) -> Floats:
    """Give q-values: the smallest false discovery rate at which each test is called.

    Parameters
    ----------
    pvalues
        Any shape; nan = test not made.
    axis
        Adjust along this axis only (0: across series, day by day); `None` takes all at once.

    Returns
    -------
    Floats
        Same shape, within [0, 1].

    Notes
    -----
    Holds for independent and for positively dependent tests; use `benjamini_yekutieli`
    where dependence may be of any kind.

    References
    ----------
    .. [1] Benjamini & Hochberg (1995). Controlling the false discovery rate. JRSS B 57, p. 293.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.5]).round(3)
    array([0.04, 0.04, 0.04, 0.5 ])
    """
    return _along(pvalues, axis, lambda m, rank: m / rank, step_up=True)


def benjamini_yekutieli(pvalues: ArrayLike, *, axis: int | None = None) -> Floats:
    """Give q-values that hold under any dependence between the tests.

    References
    ----------
    .. [1] Benjamini & Yekutieli (2001). The control of the false discovery rate in multiple
       testing under dependency. Annals of Statistics 29, 1165-1188, theorem 1.3.
    """

    def weight(m: Floats, rank: Floats) -> Floats:
        harmonic = np.cumsum(1 / np.arange(1, rank.shape[0] + 1))
        return m / rank * harmonic[np.maximum(m.astype(int) - 1, 0)]

    return _along(pvalues, axis, weight, step_up=True)


def e_benjamini_hochberg(log_evalues: ArrayLike, *, log_shares: ArrayLike | None = None) -> Floats:
    """Give q-values from e-values; they hold under any dependence between the tests.

    Parameters
    ----------
    log_evalues
        Log of a variable whose mean is at most one where nothing happened, shape (n,).
    log_shares
        Log of the part of the error rate that each test was given beforehand, shape (n,); the parts
        add up to one at most. By default all are alike.

    Returns
    -------
    Floats
        Shape (n,), within [0, 1].

    Notes
    -----
    Called at a level q is the largest set of k tests whose e-values all reach
    1 / (q * k * share) [1]_. With shares given, tests whose e-values are the smallest may be left out.

    References
    ----------
    .. [1] Wang & Ramdas (2022). False discovery rate control with e-values. JRSS B 84, 822-852,
       sec. 4.

    Examples
    --------
    >>> e_benjamini_hochberg(np.log([400.0, 100.0, 1.0])).round(4)
    array([0.0075, 0.015 , 1.    ])
    """
    evidence = np.asarray(log_evalues, dtype=np.float64)
    n = max(len(evidence), 1)
    shares = np.full(len(evidence), -np.log(n)) if log_shares is None else np.asarray(log_shares)
    with np.errstate(over="ignore"):
        return benjamini_hochberg(np.exp(-evidence - shares) / n)


def holm(pvalues: ArrayLike, *, axis: int | None = None) -> Floats:
    """Give p-values adjusted so that one false call in the family is as rare as stated.

    References
    ----------
    .. [1] Holm (1979). A simple sequentially rejective multiple test procedure.
       Scandinavian J. Statistics 6, p. 67.

    Examples
    --------
    >>> holm([0.01, 0.02, 0.03]).round(3)
    array([0.03, 0.04, 0.04])
    """
    return _along(pvalues, axis, lambda m, rank: m - rank + 1, step_up=False)


def bonferroni(pvalues: ArrayLike, *, axis: int | None = None) -> Floats:
    """Give p-values multiplied by the number of tests made, at most 1.

    Examples
    --------
    >>> bonferroni([0.01, 0.5])
    array([0.02, 1.  ])
    """
    p = np.asarray(pvalues, dtype=np.float64)
    made = np.count_nonzero(~np.isnan(p), axis=axis, keepdims=True)
    return np.minimum(p * made, 1.0)


def _along(pvalues: ArrayLike, axis: int | None, weight: Weight, *, step_up: bool) -> Floats:
    """Sort, weigh by rank, make monotone, put back."""
    p = np.asarray(pvalues, dtype=np.float64)
    flat = p.reshape(-1, 1) if axis is None else np.moveaxis(p, axis, 0)
    order = np.argsort(flat, axis=0)  # nan last
    ranked = np.take_along_axis(flat, order, axis=0)
    made = np.count_nonzero(~np.isnan(flat), axis=0, keepdims=True).astype(float)
    rank = np.arange(1.0, len(flat) + 1).reshape((-1,) + (1,) * (flat.ndim - 1))
    adjusted = ranked * weight(made, rank)
    adjusted = (
        # fmin ignores the nans that sit at the end.
        np.fmin.accumulate(adjusted[::-1], axis=0)[::-1]
        if step_up
        else np.maximum.accumulate(adjusted, axis=0)
    )
    adjusted = np.where(np.isnan(ranked), np.nan, np.minimum(adjusted, 1.0))
    back = np.empty_like(flat)
    np.put_along_axis(back, order, adjusted, axis=0)
    return back.reshape(p.shape) if axis is None else np.moveaxis(back, 0, axis)
