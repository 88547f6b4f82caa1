"""How surprising is the smallest of several p-values whose windows all end at the same step?

A window of five days holds the window of two, so their p-values go together, and the smallest times
their number would be too cautious.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["smallest_pvalue"]

Floats = NDArray[np.float64]

_SCORES = np.linspace(-4.0, 9.0, 131)  # beyond them the multiple of the smallest is constant
_NODES = 32  # of the Gauss-Legendre rule: eight digits
_FARTHEST = 9.0  # standard deviations


def smallest_pvalue(pvalue: Floats, windows: tuple[int, ...], *, n_sides: int) -> Floats:
    """Turn the smallest of several one-sided p-values into one p-value.

    Parameters
    ----------
    pvalue
        The smallest over all windows and sides, any shape; nan stays.
    windows
        Lengths of the windows in steps; all end at the same step.
    n_sides
        1 if one tail was looked at, 2 if both.

    Returns
    -------
    Floats
        Probability that the smallest falls this low by chance.

    Notes
    -----
    Assumes independent steps and sums whose normal scores are normal. The chance that all sums stay
    within the same score follows by integrating from the shortest window to the longest, as in
    repeated significance tests [1]_; what leaves at each window is added up. Sparse counts can only
    have fewer different values, and stay on the safe side.

    References
    ----------
    .. [1] Armitage, McPherson & Rowe (1969). Repeated significance tests on accumulating data.
       JRSS A 132, 235-244.

    Examples
    --------
    >>> smallest_pvalue(np.array([0.001, 0.2]), (1, 2, 5), n_sides=2).round(4)
    array([0.0047, 0.6797])
    """
    logs, chances = _law(tuple(sorted(windows)), n_sides)
    with np.errstate(divide="ignore"):
        found = np.log(pvalue)
    below = np.minimum(found - logs[0], 0)  # -inf at zero
    return np.exp(np.interp(found, logs, chances) + below)


@lru_cache(maxsize=16)
def _law(windows: tuple[int, ...], n_sides: int) -> tuple[Floats, Floats]:
    """Logs of the smallest one-sided p-value, rising, and of the chance to fall so low."""
    scores = _SCORES[_SCORES >= 0] if n_sides == 2 else _SCORES
    tails = np.log([_tail(z) for z in scores])
    rule = np.polynomial.legendre.leggauss(_NODES)
    chances = np.log([min(_chance(z, windows, n_sides, rule), 1.0) for z in scores])
    return tails[::-1].copy(), chances[::-1].copy()


def _chance(
    score: float, windows: tuple[int, ...], n_sides: int, rule: tuple[Floats, Floats]
) -> float:
    """Chance that the sum over some window lies beyond this score of its own."""
    unit, weight = rule
    at, mass, done, left = np.zeros(1), np.ones(1), 0, 0.0
    for width in windows:
        spread, edge = math.sqrt(width - done), score * math.sqrt(width)
        left += float(mass @ _tails((edge - at) / spread))
        if n_sides == 2:
            left += float(mass @ _tails((edge + at) / spread))
        low = -edge if n_sides == 2 else -_FARTHEST * math.sqrt(width)
        half = (edge - low) / 2
        nodes = low + half * (1 + unit)
        density = np.exp(-0.5 * ((nodes[:, None] - at) / spread) ** 2) @ mass
        mass = half * weight * density / (spread * math.sqrt(2 * math.pi))
        at, done = nodes, width
    return left


def _tails(scores: Floats) -> Floats:
    return np.array([_tail(z) for z in scores])


def _tail(score: float) -> float:
    return 0.5 * math.erfc(score / math.sqrt(2))
