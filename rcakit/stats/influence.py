"""How sure is a difference of two groups, given how far each row moves it?

An estimate that is a smooth function of means moves with each row by its influence. The squares of
the influences add up to its variance; how many rows carry the weight says how well that variance
is itself known.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["difference_interval"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_FEWEST_FREEDOM = 1.0
_ROUNDING = 1e-11  # of a mean, after a regression on hundreds of columns


def difference_interval(
    effect: float,
    influence: Floats,
    pull: Floats,
    in_cohort: Flags,
    *,
    cluster: npt.NDArray[np.int64] | None = None,
    n_terms: int = 1,
    scale: float = 0.0,
    confidence_level: float = 0.95,
) -> tuple[float, float, float]:
    """Return the interval of a difference of two groups, and the p-value of "no difference".

    Parameters
    ----------
    effect
        The difference.
    influence
        How each row moves the effect, times ``n``; shape ``(n,)``.
    pull
        What one more unit of the row's outcome would do to the effect, up to a factor common to
        its group; shape ``(n,)``. Ones for plain means.
    in_cohort
        Which rows belong to the cohort.
    cluster
        Number of each row's cluster from 0, where rows are not independent.
    n_terms
        Coefficients estimated in each group, at least 1 for its mean.
    scale
        Size of the two means; variation below their rounding error counts as none.
    confidence_level
        Of the interval.

    Returns
    -------
    ci_lower, ci_upper, pvalue
        nan where a group has fewer than two rows (or clusters) or nothing varies.

    Notes
    -----
    With ones as pull and no clusters this is Welch's test, to the last digit. Otherwise each
    group's degrees of freedom are the effective number of rows (or clusters) that carry its pull,
    less one, and the two groups are combined as Welch and Satterthwaite do: freedom depends on
    the weights, not on the values, so a heavy tail of the outcome does not pass for few rows.
    Clusters enter with their bias correction for one mean (CR2), and carry as much as their size
    and the likeness of their rows (intra-cluster correlation) say.

    References
    ----------
    Welch (1947), Biometrika 34, p. 28; Satterthwaite (1946), Biometrics Bulletin 2, p. 110; Kish
    (1965), Survey Sampling, p. 427; Bell and McCaffrey (2002), Survey Methodology 28, p. 169.
    """
    parts = [
        _group_variance(influence, pull, side, cluster, n_terms) for side in (in_cohort, ~in_cohort)
    ]
    if cluster is None:
        total = sum(variance for variance, _ in parts)
    else:
        total = _clustered_variance(influence, pull, in_cohort, cluster)
    # what is left of equal values after a regression is rounding, not variation
    noise = (_ROUNDING * scale * influence.size) ** 2 / influence.size
    if math.isnan(effect) or not total > noise or any(freedom < 1e-9 for _, freedom in parts):
        return (math.nan,) * 3
    split = sum(variance for variance, _ in parts)
    df = split**2 / sum(variance**2 / freedom for variance, freedom in parts)
    df = max(df, _FEWEST_FREEDOM)
    error = math.sqrt(total) / influence.size
    half = float(special.stdtrit(df, 0.5 + confidence_level / 2)) * error
    pvalue = float(2 * special.stdtr(df, -abs(effect) / error))
    return effect - half, effect + half, pvalue


def _group_variance(
    influence: Floats,
    pull: Floats,
    side: Flags,
    cluster: npt.NDArray[np.int64] | None,
    n_terms: int,
) -> tuple[float, float]:
    """Return what a group adds to the variance (times n²), and its degrees of freedom."""
    if cluster is None:
        # sums with a mask cost a tenth of copying the rows of a side
        mask = side.astype(np.float64)
        n, size = float(mask.sum()), pull**2
        lost = n / max(n - n_terms, 1)
        square = float((size * size) @ mask)
        effective = float(size @ mask) ** 2 / square if square > 0 else 0.0
        return float((influence * influence) @ mask) * lost, effective - 1
    moved, weight = influence[side], pull[side]
    at = np.unique(cluster[side], return_inverse=True)[1]
    summed, alike = np.bincount(at, moved), np.bincount(at, np.abs(weight))
    corrected = summed**2 / np.maximum(1 - alike / alike.sum(), 1e-12)
    apart = np.bincount(at, weight**2)  # what a cluster carries if its rows were independent
    inflated = float(summed @ summed) / max(float(moved @ moved), 1e-300) - 1
    largest = float(alike @ alike) / max(float(apart.sum()), 1e-300) - 1
    likeness = min(max(inflated / largest, 0.0), 1.0) if largest > 1e-9 else 0.0
    spread = apart + likeness * (alike**2 - apart)
    return float(corrected.sum()), _cluster_freedom(spread, alike / alike.sum())


def _clustered_variance(
    influence: Floats, pull: Floats, in_cohort: Flags, cluster: npt.NDArray[np.int64]
) -> float:
    """Return the variance times n² when a cluster may have rows of both groups."""
    n_clusters = int(cluster.max()) + 1
    moved = np.zeros(n_clusters)
    for side in (in_cohort, ~in_cohort):
        summed = np.bincount(cluster[side], influence[side], minlength=n_clusters)
        share = np.bincount(cluster[side], np.abs(pull[side]), minlength=n_clusters)
        moved += summed / np.sqrt(np.maximum(1 - share / share.sum(), 1e-12))
    return float(moved @ moved)


def _cluster_freedom(spread: Floats, share: Floats) -> float:
    """Return the degrees of freedom of a corrected sum of squares of cluster totals.

    Parameters
    ----------
    spread
        Variance of each cluster's total under the working model, up to a factor.
    share
        Share of its group's weight that each cluster carries.

    Notes
    -----
    Totals are taken from their group's mean, so they covary:
    ``v_g [g = h] - s_g v_h - s_h v_g + s_g s_h V``. With the corrections ``1 / sqrt(1 - s_g)`` on
    both sides of this matrix, the freedom is its squared trace over the trace of its square (Bell
    and McCaffrey 2002, p. 174). The matrix is a diagonal and rank two, so sums over clusters do.
    """
    scale, total = 1 / np.maximum(1 - share, 1e-12), float(spread.sum())
    rest = share * share * total - 2 * share * spread
    trace = float(scale @ (spread + rest))
    of_share, of_spread = float(scale @ share**2), float(scale @ spread**2)
    of_both = float(scale @ (share * spread))
    low_rank = (
        2 * of_share * of_spread
        + 2 * of_both**2
        + total**2 * of_share**2
        - 4 * total * of_share * of_both
    )
    square = float(scale**2 @ ((spread + rest) ** 2 - rest**2)) + low_rank
    return trace**2 / square if square > 0 else 0.0
