"""How far apart are two arms when whole groups (reviewers, teams, days) were randomised?

The randomised groups are the sample size, not the rows. Residuals are added up within each group,
inflated for the group's own pull on its arm's mean (CR2), and the degrees of freedom come from how
evenly the groups share the evidence.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.moments import Arm, Contrast

__all__ = ["ClusterCells", "clustered_contrast", "intraclass_correlation", "permutation_pvalue"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DENSE_CLUSTERS = 1500  # above, groups are so many that the leading term of the df is exact enough


@dataclass(frozen=True, slots=True)
class ClusterCells:
    """Sums by cluster and stratum.

    Attributes
    ----------
    cluster, stratum
        Index of the cluster and the stratum of each cell, shape ``(C,)``.
    arm
        0 for control and 1 for treatment, by cell, shape ``(C,)``.
    n_rows
        Rows in the cell, shape ``(C,)``.
    sums
        Sums of numerator, denominator, covariate numerator and denominator, shape ``(C, 4)``.
    products
        Sums of products of numerator and denominator, shape ``(C, 2, 2)``, for the intra-class
        correlation.
    """

    cluster: Integers
    stratum: Integers
    arm: Integers
    n_rows: Floats
    sums: Floats
    products: Floats


def clustered_contrast(cells: ClusterCells, *, adjust: bool) -> Contrast:
    """Compare two arms of randomised clusters.

    Parameters
    ----------
    cells
        Sums by cluster and stratum; every stratum has at least one cluster in each arm, and every
        arm at least two clusters.
    adjust
        Whether to use the covariate; it costs one degree of freedom.

    Notes
    -----
    The variance is CR2 of Bell and McCaffrey (2002, Survey Methodology 28, p. 173): for a difference
    of weighted means it divides the squared residual sum of cluster g by 1 - h_g, where h_g is the
    cluster's share of its arm. The degrees of freedom are Satterthwaite's under a working model
    with the estimated intra-class correlation (Imbens and Kolesár 2016, Review of Economics and
    Statistics 98, p. 705). With several strata h_g is the matching ratio of working variances.

    Rows count alike, so large clusters count more; treatment effects that grow with the size of a
    cluster are averaged over rows, not over clusters.
    """
    weights = _stratum_weights(cells)
    totals = _totals(cells, weights.size)
    pooled = np.einsum("s,ask->ak", weights, totals[..., 1:] / totals[..., :1])
    outcome = _residuals(cells, totals, pooled, weights, 0)
    slope, covariate = 0.0, np.zeros_like(outcome)
    if adjust:
        covariate = _residuals(cells, totals, pooled, weights, 2)
        alone = float(covariate @ covariate)
        slope = float(outcome @ covariate) / alone if alone > 0 else 0.0
    working = _WorkingModel(cells, totals, weights, intraclass_correlation(cells, pooled))
    arms = working.arms
    inflation = 1 / np.maximum(1 - working.leverage, 1e-12)
    squared = inflation * (outcome - slope * covariate) ** 2
    variances = [float(squared[arms == arm].sum()) for arm in (0, 1)]
    plain = float((inflation * outcome**2).sum())
    values = pooled[:, 0] / pooled[:, 1]
    if adjust:
        before = pooled[:, 2] / pooled[:, 3]
        share = [totals[arm, :, 0].sum() for arm in (0, 1)]
        values = values - slope * (before - np.average(before, weights=share))
    df = working.degrees_of_freedom(np.sqrt(inflation)) - float(adjust)
    return Contrast(
        control=Arm(float(values[0]), variances[0]),
        treatment=Arm(float(values[1]), variances[1]),
        df=max(df, 1.0),
        variance_ratio=sum(variances) / plain if plain > 0 else math.nan,
        n_clusters=arms.size,
        n_control=int(totals[0, :, 0].sum()),
        n_treatment=int(totals[1, :, 0].sum()),
    )


def intraclass_correlation(cells: ClusterCells, pooled: Floats) -> float:
    """Estimate how alike rows of one cluster are, by analysis of variance; between 0 and 1.

    Parameters
    ----------
    cells
        Sums by cluster and stratum.
    pooled
        Means by arm, shape ``(2, 4)``.

    References
    ----------
    Donner and Klar (2000), Design and Analysis of Cluster Randomization Trials, p. 8.
    """
    ratio = (pooled[:, 0] / pooled[:, 1])[cells.arm]
    contrast = np.stack([np.ones_like(ratio), -ratio], axis=1)
    squares = np.einsum("ci,cij,cj->c", contrast, cells.products, contrast)
    totals = np.einsum("ci,ci->c", contrast, cells.sums[:, :2])
    n = cells.n_rows
    between_df, within_df = n.size - 2, n.sum() - n.size
    if between_df < 1 or within_df < 1:
        return 0.0
    within = max(float((squares - totals**2 / n).sum()) / within_df, 0.0)
    between = float((totals**2 / n).sum()) / between_df
    typical = float(n.sum() - (n**2).sum() / n.sum()) / (n.size - 1)
    spread = between + (typical - 1) * within
    return float(np.clip((between - within) / spread, 0.0, 1.0)) if spread > 0 else 0.0


def permutation_pvalue(
    values: Floats, arm: Integers, *, rng: np.random.Generator, n_resamples: int = 4999
) -> float:
    """Test a difference of cluster means by re-assigning clusters to arms.

    All assignments are tried when there are at most 20 000 of them. With three clusters per arm
    the smallest p-value that can occur is 0.1.

    Parameters
    ----------
    values
        Mean of each cluster, shape ``(G,)``.
    arm
        0 or 1 per cluster, shape ``(G,)``.
    rng
        Generator for the assignments when there are too many to try all.
    """
    n, treated = values.size, int(arm.sum())
    centred = values - values.mean()
    seen = abs(centred[arm == 1].sum())
    if math.comb(n, treated) <= 20_000:
        chosen = itertools.combinations(range(n), treated)
        sums = np.array([centred[list(index)].sum() for index in chosen])
        return float(np.mean(np.abs(sums) >= seen - 1e-12))
    order = rng.permuted(np.tile(centred, (n_resamples, 1)), axis=1)
    sums = order[:, :treated].sum(axis=1)
    return float((1 + np.count_nonzero(np.abs(sums) >= seen - 1e-12)) / (1 + n_resamples))


def _stratum_weights(cells: ClusterCells) -> Floats:
    rows = np.bincount(cells.stratum, weights=cells.n_rows).astype(float)
    return np.asarray(rows / rows.sum())


def _totals(cells: ClusterCells, n_strata: int) -> Floats:
    """Add up rows and sums by arm and stratum, shape ``(2, S, 5)``."""
    totals = np.zeros((2, n_strata, 5))
    np.add.at(totals, (cells.arm, cells.stratum), np.column_stack([cells.n_rows, cells.sums]))
    return totals


def _residuals(
    cells: ClusterCells, totals: Floats, pooled: Floats, weights: Floats, first: int
) -> Floats:
    """Return each cluster's pull on its arm's ratio of columns ``first`` and ``first + 1``."""
    at = (cells.arm, cells.stratum)
    n_arm = totals[at][:, 0]
    means = totals[at][:, 1 + first : 3 + first] / n_arm[:, None]
    deviation = cells.sums[:, first : first + 2] - means * cells.n_rows[:, None]
    top, bottom = pooled[cells.arm, first], pooled[cells.arm, first + 1]
    pull = weights[cells.stratum] / n_arm * (deviation[:, 0] - top / bottom * deviation[:, 1])
    return np.bincount(cells.cluster, weights=pull / bottom).astype(float)


class _WorkingModel:
    """Rows of a cluster share a correlation; how far do residuals fall short, and how evenly?"""

    def __init__(self, cells: ClusterCells, totals: Floats, weights: Floats, icc: float) -> None:
        n_clusters = int(cells.cluster.max()) + 1
        self.arms = np.zeros(n_clusters, dtype=np.int64)
        self.arms[cells.cluster] = cells.arm
        size = cells.n_rows
        arm_size = totals[cells.arm, cells.stratum, 0]
        self._scale = weights[cells.stratum] / arm_size
        raw = np.bincount(cells.cluster, weights=self._scale**2 * size)
        lost = np.bincount(cells.cluster, weights=self._scale**2 * size**2 / arm_size)
        self.leverage = lost / raw
        self._share = size / arm_size
        self._variance = (1 - icc) * size + icc * size**2
        self._cells = cells

    def degrees_of_freedom(self, inflation: Floats) -> float:
        """Match the first two moments of the variance estimator under the working model."""
        expected, squared = 0.0, 0.0
        for arm in (0, 1):
            first, second = self._arm_moments(arm, inflation)
            expected, squared = expected + first, squared + second
        return expected**2 / squared if squared > 0 else math.nan

    def _arm_moments(self, arm: int, inflation: Floats) -> tuple[float, float]:
        """Return trace and squared norm of the covariance of the inflated residual sums."""
        inside = self._cells.arm == arm
        strata = np.unique(self._cells.stratum[inside])
        if strata.size == 1:
            return self._moments_of_one_stratum(inside, inflation)
        members = np.flatnonzero(self.arms == arm)
        if members.size > _DENSE_CLUSTERS:
            diagonal = np.bincount(
                self._cells.cluster[inside],
                weights=(self._scale**2 * self._variance)[inside],
                minlength=self.arms.size,
            )[members]
            return float(diagonal.sum()), float((diagonal**2).sum())
        position = np.full(self.arms.size, -1)
        position[members] = np.arange(members.size)
        covariance = np.zeros((members.size, members.size))
        for stratum in strata:
            here = inside & (self._cells.stratum == stratum)
            at = position[self._cells.cluster[here]]
            share, variance = self._share[here], self._variance[here]
            block = np.diag(variance) - np.outer(share, variance) - np.outer(variance, share)
            block += np.outer(share, share) * variance.sum()
            covariance[np.ix_(at, at)] += self._scale[here][0] ** 2 * block
        covariance *= np.outer(inflation[members], inflation[members])
        return float(np.trace(covariance)), float((covariance**2).sum())

    def _moments_of_one_stratum(
        self, inside: NDArray[np.bool_], inflation: Floats
    ) -> tuple[float, float]:
        """Return the same from sums over clusters, without the covariance itself.

        With every cluster in one cell the covariance is D - ab' - ba' + vaa', D diagonal.
        """
        factor = inflation[self._cells.cluster[inside]] * self._scale[inside]
        variance, total = self._variance[inside], float(self._variance[inside].sum())
        a, b, d = factor * self._share[inside], factor * variance, factor**2 * variance
        aa, ab, bb = float(a @ a), float(a @ b), float(b @ b)
        squared = float(d @ d) + 2 * (aa * bb + ab**2) + (total * aa) ** 2
        squared += 2 * total * float(d @ a**2) - 4 * float(d @ (a * b)) - 4 * total * aa * ab
        return float(d.sum()) - 2 * ab + total * aa, squared
