"""Both tails of millions of negative binomial counts, exact where it matters.

Most counts are where they were expected and a rough p-value will do for them; the few in a
tail get the exact one. Plain numpy, so that a first call does not wait for SciPy's import.
`negative_binomial` holds the same law where every digit of every cell counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rcakit.stats.memory import empty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Doubles = NDArray[np.float64]

# Cells worked on at a time, so that temporaries stay in the processor's cache.
_BODY_PIECE = 1 << 15
_SUM_PIECE = 1 << 14
_SCORE_PIECE = 1 << 13
_EXACT_PIECE = 1 << 14
# Where exact methods take over from the normal score: in tails below the first, plus the
# second times the skewness, and for laws more lopsided than the third.
_TAIL_AT_LEAST = 0.02
_TAIL_PER_SKEWNESS = 0.08
_LOPSIDED = 1.0
# Smaller means are summed term by term: there the Peizer-Pratt score errs by more than 10 %.
_SMALL_MEAN = 10.0
_MOST_TERMS = 20
_SUM_KEEPS_DIGITS = 0.005  # one minus a sum keeps four digits above this
# Laws of a smaller size, and lower tails of a handful of counts, are too lopsided for a score.
_SMALL_SIZE = 1.5
_HANDFUL = 4
_HANDFUL_TAIL = 0.06
_EXACT_BELOW = 0.001
# With this excess of variance over mean, relative to the mean, the law is Poisson to six digits.
_LEAST_EXCESS = 1e-6
# Six digits beyond three standard deviations, three digits beyond one and a half.
_FRACTION_TERMS = 12
_WIDE_FRACTION_TERMS = 60
_NEARLY_ZERO = 1e-30
_SERIES_FROM = 16.0  # Stirling's series has twelve digits from here on


def tail_pvalues(
    counts: Floats, mean: Floats, variance: Floats, *, out: tuple[Floats, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Give mid-p-values of both tails for millions of cells, exact where it matters.

    Parameters
    ----------
    counts, mean, variance
        Arrays of one shape without nan; `mean` positive, `variance` at least `mean`.
    out
        Two contiguous arrays of that shape to write into; new ones if left out.

    Returns
    -------
    tuple of Floats
        Upper and lower p-values, in the dtype of `mean`.

    Notes
    -----
    Three steps, each on fewer cells than the one before: in the body a normal score
    corrected for skewness, absolute error below .015; from a tail of .02 (earlier for
    lopsided laws) on the Peizer-Pratt score, relative error below 15 %; below .001 a
    continued fraction, exact to six digits. Means below 10 are summed term by term, which is
    exact. A cell gets the same numbers whatever its neighbours. Use `upper_tail` and
    `lower_tail` of `negative_binomial` where every digit counts.

    References
    ----------
    .. [1] Johnson, Kemp & Kotz (2005). Univariate Discrete Distributions, 3rd ed., p. 62
       (Cornish-Fisher) and p. 120 (Peizer-Pratt).
    .. [2] Page (1977). Approximations to the cumulative normal function. Applied
       Statistics 26, 75-76 (the logistic form; coefficients of Bowling et al. 2009,
       J. Industrial Eng. Management 2, 114-127, absolute error below .00014).

    Examples
    --------
    >>> upper, lower = tail_pvalues(np.array([90.0]), np.array([50.0]), np.array([50.0]))
    >>> upper.round(9), lower.round(9)
    (array([1.42e-07]), array([0.99999986]))
    """
    y, m, v = (np.ascontiguousarray(a).ravel() for a in (counts, mean, variance))
    tails = out or (empty(mean.shape, m.dtype.type), empty(mean.shape, m.dtype.type))
    upper, lower = (tail.reshape(-1) for tail in tails)
    with np.errstate(over="ignore"):
        at = _bodies(y, m, v, upper, lower)
    y, m, v = y[at], m[at], v[at]
    few = m < _SMALL_MEAN
    poor = []
    for chosen, method, size in (
        (few, _summed_tails, _SUM_PIECE),
        (~few, _score_tails, _SCORE_PIECE),
    ):
        for cells in _pieces(np.flatnonzero(chosen), size):
            upper[at[cells]], lower[at[cells]], again = method(y[cells], m[cells], v[cells])
            poor.append(cells[again])
    for cells in _pieces(np.concatenate([*poor, at[:0]]), _EXACT_PIECE):
        upper[at[cells]], lower[at[cells]] = _exact_tails(y[cells], m[cells], v[cells])
    return tails


def cumulative(counts: Doubles, mean: Doubles, variance: Doubles) -> Doubles:
    """Give P(Y <= y) for counts that are not in the middle of their law.

    Parameters
    ----------
    counts, mean, variance
        Arrays of one shape; counts of at least 0.

    Notes
    -----
    A continued fraction on the count's side of the mean: five digits where the score of the
    count is beyond two thirds, ten beyond one.
    """
    m = mean.astype(np.float64)
    excess = np.maximum(variance / m - 1, _LEAST_EXCESS)
    below = counts <= m
    # P(Y <= y) = I_p(r, y + 1) below, and above one less P(Y >= y + 1).
    y = np.maximum(np.where(below, counts, counts + 1), _NEARLY_ZERO).astype(np.float64)
    tail = _probability(y, m, excess) * _mills_ratio(y, m, excess, below, _WIDE_FRACTION_TERMS)
    return np.where(below, tail, 1 - tail)


def normal_score(counts: Floats, mean: Floats, variance: Floats) -> Doubles:
    """Peizer-Pratt score of counts, in double precision; see `peizer_pratt_score`."""
    return _peizer_pratt(*_doubles(counts, mean, variance))


def _pieces(places: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [places[start : start + size] for start in range(0, len(places), size)]


def _bodies(
    counts: Floats, mean: Floats, variance: Floats, upper: Floats, lower: Floats
) -> NDArray[np.intp]:
    """Write the normal scores' tails, piece by piece; return the places not to be trusted."""
    room = empty((4, min(_BODY_PIECE, len(mean))), mean.dtype.type)
    doubtful = np.empty(room.shape[1], bool)
    places = [np.empty(0, np.intp)]
    for start in range(0, len(mean), _BODY_PIECE):
        now = slice(start, start + _BODY_PIECE)
        n = len(mean[now])
        _body(counts[now], mean[now], variance[now], upper[now], doubtful[:n], room[:, :n])
        np.subtract(1, upper[now], out=lower[now])
        places.append(np.flatnonzero(doubtful[:n]) + start)
    return np.concatenate(places)


def _body(
    counts: Floats,
    mean: Floats,
    variance: Floats,
    upper: Floats,
    doubtful: NDArray[np.bool_],
    room: Floats,
) -> None:
    """Write the normal score's upper tail, and where it is not to be trusted; `room` is overwritten."""
    spread, z, lopsided, bend = room
    np.sqrt(variance, out=spread)
    np.subtract(counts, mean, out=z)
    z /= spread
    np.divide(variance, mean, out=lopsided)
    lopsided *= 2
    lopsided -= 1
    lopsided /= spread
    np.multiply(z, z, out=bend)
    np.minimum(bend, 9, out=bend)
    bend -= 1
    bend *= lopsided
    bend *= 1 / 6
    z -= bend
    _normal_body(z, out=upper)
    # The more lopsided the law, the earlier the normal score fails.
    reach = np.abs(np.subtract(upper, 0.5, out=z), out=z)
    reach += np.multiply(lopsided, _TAIL_PER_SKEWNESS, out=bend)
    np.greater(reach, 0.5 - _TAIL_AT_LEAST, out=doubtful)
    doubtful |= lopsided > _LOPSIDED


def _normal_body(z: Floats, *, out: Floats) -> None:
    """P(Z > z) by the logistic form of Page; good to four decimals, 0 where it overflows."""
    np.multiply(z, z, out=out)
    out *= 0.07056
    out += 1.5976
    out *= z
    np.exp(out, out=out)
    out += 1
    np.divide(1, out, out=out)


def _score_tails(
    counts: Floats, mean: Floats, variance: Floats
) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    """Tails by the Peizer-Pratt score, and where they are small or the score is poor."""
    y, m, excess = _doubles(counts, mean, variance)
    score = _peizer_pratt(y, m, excess)
    tail = _normal_tail(np.abs(score))
    upper = 0.5 - np.copysign(0.5 - tail, score)
    lower = 1 - upper
    poor = (tail < _EXACT_BELOW) | (m < _SMALL_SIZE * excess)
    poor |= (y < _HANDFUL) & (lower < _HANDFUL_TAIL)
    return upper, lower, poor


def _summed_tails(
    counts: Floats, mean: Floats, variance: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Tails of laws with a small mean, by adding probabilities from zero up to the count.

    Also gives where the upper tail has lost its digits, or the sum was cut off.
    """
    terms = np.minimum(counts, _MOST_TERMS).astype(np.uint32)
    order = _largest_first(terms)  # they need most terms
    m = mean[order]
    odds = variance[order]
    odds /= m
    np.maximum(odds, 1 + _LEAST_EXCESS, out=odds)
    excess = odds - 1  # exact, so that the quotient of the logarithm is
    term = np.log(odds)
    term *= m
    term /= excess
    np.exp(np.negative(term, out=term), out=term)
    ratio = np.divide(m, odds, out=m)  # of the probabilities of k + 1 and k, times k + 1
    np.divide(excess, odds, out=odds)
    below = np.zeros_like(term)
    unfinished = len(term) - np.cumsum(np.bincount(terms))
    for k, end in enumerate(unfinished[:-1]):
        below[:end] += term[:end]
        term[:end] *= ratio[:end]
        term[:end] *= 1 / (k + 1)
        ratio[:end] += odds[:end]
    term *= 0.5
    below += term
    lower = np.empty_like(below)
    lower[order] = below
    upper = 1 - lower
    return upper, lower, (upper < _SUM_KEEPS_DIGITS) | (counts > _MOST_TERMS)


def _largest_first(keys: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Order of at most 2^16 small keys: sorting them with their places beats argsort."""
    places = np.arange(len(keys), dtype=np.uint32)
    order = np.sort(((_MOST_TERMS - keys) << 16) | places) & 0xFFFF
    return order.astype(np.uint32, copy=False)


def _exact_tails(counts: Floats, mean: Floats, variance: Floats) -> tuple[Doubles, Doubles]:
    """Tails by continued fractions: the one on the count's side of the mean, and the rest."""
    small = mean < _SMALL_MEAN
    y, m, excess = _doubles(np.where(small, np.floor(counts), counts), mean, variance)
    below = y <= m
    share = _mills_ratio(y, m, excess, below, _FRACTION_TERMS)
    tail = _probability(y, m, excess) * (share - 0.5)
    return np.where(below, 1 - tail, tail), np.where(below, tail, 1 - tail)


def _mills_ratio(
    y: Doubles, mean: Doubles, excess: Doubles, below: NDArray[np.bool_], n_terms: int
) -> Doubles:
    """P(Y <= y) below the mean, and P(Y >= y) above it, over P(Y = y)."""
    success = 1 / (1 + excess)
    size, fail = mean / excess, excess * success
    # P(Y >= y) = I_q(y, r) above, P(Y <= y) = I_p(r, y + 1) below.
    ratio = _beta_fraction(
        np.where(below, size, y),
        np.where(below, success, fail),
        np.where(below, y + 1, mean) * success,
        n_terms,
    )
    ratio *= np.where(below, fail * (1 + y / size), 1)
    return ratio


def _doubles(counts: Floats, mean: Floats, variance: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """Count and mean in double precision, and the variance as an excess: v = m (1 + excess)."""
    m = mean.astype(np.float64)
    y = np.maximum(counts.astype(np.float64), _NEARLY_ZERO)
    return y, m, np.maximum(variance / m - 1, _LEAST_EXCESS)


def _peizer_pratt(y: Doubles, mean: Doubles, excess: Doubles) -> Doubles:
    """Normal score of a count, in the deviance form.

    The count is read as failures among y + s trials, s successes, failure probability
    excess / (1 + excess); Peizer & Pratt (1968), JASA 63, 1416-1456, eq. 2.24a.
    """
    success = 1 / (1 + excess)
    fail = excess * success
    s = np.maximum(mean / excess - 0.5, 1e-9)
    trials = y + s
    gap = y * success - s * fail
    distance = y + 1 / 6 - (trials + 1 / 3) * fail
    # Near the middle the deviance is half the squared gap over the binomial variance.
    scatter = trials * fail * success
    near = gap * gap < 1e-6 * scatter
    twice = np.where(near, 1 / scatter, 2 * _deviance(y, s, gap) / np.where(near, 1, gap * gap))
    return distance * np.sqrt(twice * trials / (trials + 1 / 6))


def _deviance(y: Doubles, s: Doubles, gap: Doubles) -> Doubles:
    """Half the binomial deviance of y failures and s successes, `gap` more than expected.

    y log(y / expected) + s log(s / expected), without loss of digits where both are close.
    """
    return np.maximum(-y * np.log1p(-gap / y) - s * np.log1p(gap / s), 0)


def _normal_tail(x: Doubles) -> Doubles:
    """P(Z > x) for x >= 0; Abramowitz & Stegun (1964), 26.2.17, absolute error below 7.5e-8."""
    t = 1 / (1 + 0.2316419 * x)
    total = np.full_like(t, 1.330274429)
    for coefficient in (-1.821255978, 1.781477937, -0.356563782, 0.319381530):
        total *= t
        total += coefficient
    return total * t * np.exp(-0.5 * x * x) * 0.3989422804014327


def _beta_fraction(a: Doubles, x: Doubles, bx: Doubles, n_terms: int) -> Doubles:
    """Continued fraction of I_x(a, b) a B(a, b) / (x^a (1 - x)^b), from its far end.

    DLMF 8.17.22; `bx` is the product b x, finite where b is not. A fixed number of terms
    keeps cells independent of each other.
    """
    value = np.ones_like(a)
    for m in range(n_terms, 0, -1):
        top = a + 2 * m
        value = 1 + m * (bx - m * x) / ((top - 1) * top * value)
        value = 1 - (a + (m - 1)) * ((a + (m - 1)) * x + bx) / ((top - 2) * (top - 1) * value)
    return 1 / value


def _probability(y: Doubles, mean: Doubles, excess: Doubles) -> Doubles:
    """P(Y = y) by the saddle point, exact through Stirling's error.

    References
    ----------
    .. [1] Loader (2000). Fast and accurate computation of binomial probabilities, sect. 2-3.
    """
    size = mean / excess
    trials = y + size
    exponent = _stirling_error(trials) - _stirling_error(size) - _stirling_error(y)
    exponent -= _deviance(y, size, (y - mean) / (1 + excess))
    return np.sqrt(size / (2 * np.pi * trials * y)) * np.exp(exponent)


def _stirling_error(x: Doubles) -> Doubles:
    """Give log Gamma(x + 1) less Stirling's formula: by its series, small x after eight steps up."""
    small = np.minimum(x, _SERIES_FROM)
    product = small + 1
    for j in range(2, 8):
        product *= small + j
    steps = (small + 7.5) * np.log(small + 8) - (small + 0.5) * np.log(small) - np.log(product) - 8
    inverse = 1 / np.where(x < _SERIES_FROM, x + 8, x)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return np.where(x < _SERIES_FROM, series + steps, series)
