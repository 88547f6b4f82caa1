"""Negative binomial sums of counts, or of amounts that rows bring, against everything outside them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution import evidence
from rcakit.stats.attribution.model import (
    SCREEN,
    TAIL_GAIN,
    Evaluation,
    common_factor,
    keep_near,
    weighted_llr,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
OBSERVED, EXPECTED, WEIGHTED_OBSERVED, WEIGHTED_EXPECTED, TWICE_WEIGHTED, SQUARES = range(
    6
)  # rows of the lattice's sums; the last for amounts alone


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """How the sum of a segment varies about its mean when nothing has happened in it.

    Parameters
    ----------
    base
        Variance-to-mean ratio of a sum: 1 for counts.
    clump
        Variance-to-mean ratio of groups, shape (n_groups,).
    segment
        Squared variation of group factors, shape (n_groups,).
    history_ratio
        Relative variance that a finite history adds to every variance.
    prior_mean
        Mean that half an event in the history would give; for groups never seen before.
    values
        Groups of every dimension taken alone.
    """

    base: float
    clump: Floats
    segment: Floats
    history_ratio: float
    prior_mean: float
    values: tuple[slice, ...]


def leaf_columns(
    observed: Floats,
    expected: Floats,
    *,
    base: float,
    leaf: Floats | float,
    squares: Floats | None = None,
) -> Floats:
    """Numbers per leaf that the search needs, shape (5, n_leaves), or (6, n_leaves) with squares of rows.

    The weighted rows weight a leaf by the inverse of its variance-to-mean ratio, so that a few huge, wobbly
    leaves do not drown the rest; the weighted sum then has variance equal to its mean. The last row, the
    expectation weighted twice, tells how skewed that sum is.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., sec. 9.2 (quasi-likelihood weights).
    """
    weight = 1.0 / (base + leaf * expected)
    weighted = weight * expected
    rows = [observed, expected, weight * observed, weighted, base * weight * weighted]
    return np.stack(rows if squares is None else [*rows, weight**2 * squares])


@dataclass(frozen=True, slots=True)
class CountModel:
    """Negative binomial sums, as the search needs them.

    Parameters
    ----------
    noise
        Variance model under no change.
    """

    expected_row: ClassVar[int] = EXPECTED
    weighted_rows: ClassVar[tuple[int, int]] = (WEIGHTED_OBSERVED, WEIGHTED_EXPECTED)

    noise: Noise

    def moved(self, sums: Floats) -> tuple[Floats, Floats]:
        """Weighted sums: seen, and expected but for a factor."""
        return sums[WEIGHTED_OBSERVED], sums[WEIGHTED_EXPECTED]

    def evaluate(self, sums: Floats, totals: Floats, log_weight: Floats) -> Evaluation:
        """Compare each group with its complement.

        Parameters
        ----------
        sums
            Sums of `leaf_columns` per group, shape (5, n_groups) or (6, n_groups).
        totals
            The same sums over all leaves still in the lattice, shape (5,) or (6,).
        log_weight
            Log of the number of candidates each group stands for, shape (n_groups,).

        Notes
        -----
        A group is judged by its weighted sum (`leaf_columns`): the mean is its expectation times the realised
        factor of its complement; the variance is that of the group plus that of this estimate. Conditioning on
        the outside is Kulldorff's scan statistic. The tail is that of a scaled negative binomial with the mean,
        the variance and, where leaves wobble alone, the third cumulant of the weighted sum: with weights
        w = 1 / (1 + leaf * m) these are sum(w m), sum(w m) and sum(w m (2 - w)).

        References
        ----------
        Kulldorff (1997), Commun. Statist. Theory Meth. 26, 1481-1496, eq. 2.
        """
        noise = self.noise
        factor = _outside_factor(sums, totals, noise)
        seen, prior = sums[WEIGHTED_OBSERVED], noise.prior_mean / noise.base
        mean = factor * (sums[WEIGHTED_EXPECTED] + prior)
        least = factor * (sums[TWICE_WEIGHTED] + prior)  # no variance is smaller
        near = np.flatnonzero(
            ((seen - mean) ** 2 > SCREEN * least) & (sums[EXPECTED] < totals[EXPECTED])
        )
        variance, scale = _variance_and_scale(sums, totals, factor, noise, near)
        is_far = (seen[near] - mean[near]) ** 2 > SCREEN * variance
        alive, variance, scale = near[is_far], variance[is_far], scale[is_far]
        scale = np.maximum(scale, _own_scale(sums[:, alive], mean[alive]))
        size = np.full(len(mean), np.inf)
        size[alive] = evidence.negative_binomial_size(mean[alive] / scale, variance / scale**2)
        log_qvalue, llr = np.zeros(len(mean)), np.zeros(len(mean))
        scaled = seen[alive] / scale, mean[alive] / scale, size[alive]
        hopeful = evidence.negative_binomial_llr(*scaled) > log_weight[alive] - TAIL_GAIN
        log_tail = evidence.negative_binomial_log_tail(*(part[hopeful] for part in scaled))
        log_qvalue[alive[hopeful]] = np.minimum(0.0, log_tail + log_weight[alive[hopeful]])
        llr[alive] = weighted_llr(seen[alive], mean[alive])
        score = np.full(len(mean), -np.inf)
        score[alive] = llr[alive] - log_weight[alive]
        return Evaluation(
            factor * (sums[EXPECTED] + noise.prior_mean), size, log_qvalue, llr, score
        )

    def gain_of_rest(
        self, child: Floats, rest: Floats, evaluation: Evaluation, group: int
    ) -> float:
        """Nats by which the rest of a parent fits the child's rate ratio better than no change."""
        noise = self.noise
        factor = evaluation.mean[group] / (child[EXPECTED] + noise.prior_mean)
        mean = factor * rest[WEIGHTED_EXPECTED]
        ratio = max(child[WEIGHTED_OBSERVED] / max(factor * child[WEIGHTED_EXPECTED], 1e-12), 1e-9)
        moved = rest[WEIGHTED_OBSERVED] * np.log(ratio) - (ratio - 1.0) * mean
        return float(moved / (1.0 + noise.segment[group] * mean))


def _outside_factor(sums: Floats, totals: Floats, noise: Noise) -> Floats:
    """Realised factor of the complement of every group, kept near the factor that most values share."""
    outside = np.maximum(totals[WEIGHTED_EXPECTED] - sums[WEIGHTED_EXPECTED], 0.0)
    moved = np.maximum(totals[WEIGHTED_OBSERVED] - sums[WEIGHTED_OBSERVED], 0.0)
    prior = noise.prior_mean / noise.base
    usual = common_factor(sums[WEIGHTED_OBSERVED], sums[WEIGHTED_EXPECTED], noise.values)
    return keep_near(
        (moved + prior) / (outside + prior), usual, n_events=float(totals[WEIGHTED_OBSERVED])
    )


def _variance_and_scale(
    sums: Floats, totals: Floats, factor: Floats, noise: Noise, groups: Integers
) -> tuple[Floats, Floats]:
    """Variance and scale (of a negative binomial) of some groups' weighted sums, moved by `factor`."""
    factor, weighted = factor[groups], sums[WEIGHTED_EXPECTED, groups]
    prior = noise.prior_mean / noise.base
    expected, twice = weighted + prior, sums[TWICE_WEIGHTED, groups] + prior
    mean = factor * expected
    own = noise.clump[groups] / noise.base * mean
    own += factor * (factor - 1.0) * (expected - twice)  # the weights are those of factor one
    own = np.maximum(own, factor * twice)
    outside = np.maximum(totals[WEIGHTED_EXPECTED] - weighted, 1e-12)
    share = weighted / np.maximum(totals[WEIGHTED_EXPECTED], 1e-12)
    drift = noise.segment[groups] / np.maximum(1.0 - share, 1e-6) ** 2
    variance = own + mean**2 * (1.0 / np.maximum(factor * outside, 1e-12) + drift)
    return variance * (1.0 + noise.history_ratio), np.clip(twice / expected, 1e-3, 1.0)


def _own_scale(sums: Floats, mean: Floats) -> Floats:
    """Sum of squares over sum of the weighted rows of groups that rose; zero for counts and for falls.

    A sum divided by it counts as many equal rows as could have made it, so a segment with one huge row holds
    one event, however heavy the tail of rows is.

    References
    ----------
    Kish (1965), Survey Sampling, sec. 11.7 (effective number); de la Pena, Lai & Shao (2009), Self-Normalized
    Processes, ch. 2 (tails without moments).
    """
    if len(sums) <= SQUARES:
        return np.zeros(len(mean))
    seen = sums[WEIGHTED_OBSERVED]
    return np.where(seen > mean, sums[SQUARES] / np.maximum(seen, 1e-300), 0.0)


def distance_from_past(sums: Floats, noise: Noise) -> Floats:
    """Log-likelihood ratio of each group against its expectation, on the side where most of them moved."""
    seen, mean = sums[WEIGHTED_OBSERVED], sums[WEIGHTED_EXPECTED] + noise.prior_mean / noise.base
    return np.where((seen - mean) * (seen - mean).sum() > 0, weighted_llr(seen, mean), 0.0)
