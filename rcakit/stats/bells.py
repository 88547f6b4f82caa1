"""The normal law and Student's, in plain numpy: a first call does not wait for SciPy's import.

`scipy.special` holds the same functions; importing it takes longer than following a series.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["normal_quantile", "student_score_tail"]

Floats = NDArray[np.float64]

# Coefficients of Wichura (1988), highest power first: numerator and denominator in the middle, in
# the tail, and far out.
_MIDDLE = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852545925,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
_TAIL = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
_FAR = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15,
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ),
)
_FRACTION_TERMS = 12  # six digits for tails of .05 and less, three for .15


def normal_quantile(probability: ArrayLike) -> Floats:
    """Return the standard normal score below which a share `probability` lies.

    Parameters
    ----------
    probability
        Any shape; 0 and 1 give infinities.

    References
    ----------
    .. [1] Wichura (1988). Algorithm AS 241: the percentage points of the normal distribution.
       Applied Statistics 37, 477-484 (PPND16, sixteen digits).

    Examples
    --------
    >>> normal_quantile(0.975).round(4)
    np.float64(1.96)
    """
    p = np.asarray(probability, dtype=np.float64)
    gap = p - 0.5
    middle = 0.180625 - gap * gap
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(-np.log(np.minimum(p, 1 - p)))
        outer = np.where(root <= 5, _ratio(root - 1.6, _TAIL), _ratio(root - 5, _FAR))
    outer = np.where(np.isinf(root), np.inf, outer)
    score = np.where(middle >= 0, gap * _ratio(middle, _MIDDLE), np.copysign(outer, gap))
    return np.asarray(score, dtype=np.float64)[()]


def student_score_tail(tail: ArrayLike, degrees: ArrayLike) -> Floats:
    """Return the Student tail beyond the score that has this normal tail.

    Parameters
    ----------
    tail
        Probability under the normal law, above 0 and at most .15.
    degrees
        Degrees of freedom, 1 to 1,000.

    Notes
    -----
    With t the normal score, P(T > t) = I_x(v/2, 1/2) / 2 at x = v / (v + t^2), by the continued
    fraction of the incomplete beta function [1]_.

    References
    ----------
    .. [1] Johnson, Kotz & Balakrishnan (1995). Continuous Univariate Distributions, vol. 2,
       2nd ed., p. 364; the fraction is DLMF 8.17.22.

    Examples
    --------
    >>> student_score_tail(0.025, 10.0).round(4)
    np.float64(0.0392)
    """
    p, v = np.broadcast_arrays(
        np.asarray(tail, dtype=np.float64), np.asarray(degrees, dtype=np.float64)
    )
    t = -normal_quantile(p)
    a, x = v / 2, v / (v + t * t)
    value = np.ones_like(x)
    for m in range(_FRACTION_TERMS, 0, -1):
        top = a + 2 * m
        value = 1 + m * (0.5 - m) * x / ((top - 1) * top * value)
        value = 1 - (a + m - 1) * (a + m - 0.5) * x / ((top - 2) * (top - 1) * value)
    front = a * np.log(x) + 0.5 * np.log1p(-x) + _log_gamma_step(a)
    return np.asarray(0.5 * np.exp(front) / (a * value), dtype=np.float64)[()]


def _ratio(x: Floats, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    """Quotient of two polynomials."""
    top, bottom = (np.polyval(c, x) for c in coefficients)
    return np.asarray(top / bottom, dtype=np.float64)


def _log_gamma_step(a: Floats) -> Floats:
    """Log of Gamma(a + 1/2) / (Gamma(a) Gamma(1/2)), by its series eight steps up.

    Gamma(a + 1/2) / Gamma(a) = sqrt(a) (1 - 1/(8a) + 1/(128a^2) + ...), DLMF 5.11.13.
    """
    up = np.ones_like(a)
    for j in range(8):
        up *= (a + j) / (a + j + 0.5)
    b = a + 8
    series = 1 - 1 / (8 * b) + 1 / (128 * b**2) + 5 / (1024 * b**3) - 21 / (32768 * b**4)
    return np.log(up * np.sqrt(b / np.pi) * series)
