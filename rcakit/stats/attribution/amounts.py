"""Attribute the gap between amounts and a forecast of every leaf to segments.

For amounts (traffic, money, minutes) that come with a forecast per leaf and no history: the noise is
multiplicative, its size is learnt from the leaves themselves, and every leaf adds a log-likelihood ratio on a
grid of effects to all segments it belongs to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from rcakit.stats.attribution.candidates import Nesting, parents
from rcakit.stats.attribution.lattice import Cuboid, Lattice, members
from rcakit.stats.attribution.outcome import Alternative, Attribution, ErrorRate, Segment, Verdict
from rcakit.stats.attribution.search import MOST_GENEROUS
from rcakit.stats.multiplicity import e_benjamini_hochberg

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Integers = NDArray[np.int64]
Real = TypeVar("Real", Floats, Floats32)

_LARGEST = 2.0  # of the symmetric deviation 2 (f - v) / (f + v)
_SIZE_BINS = 8
_MIN_PER_BIN = 200  # leaves a bin needs for a stable 68 % point
_SMALLEST_SD = 0.01  # deviations are looked up to 0.01, and less than 1 % is nobody's root cause
_ONE_SD = 0.6827  # share of a normal within one standard deviation
_TAIL_SHARE = (
    0.02  # of the leaves on the quiet side, the most extreme; they show how heavy the tail is
)
_MIN_TAIL = 30  # leaves needed for the two parameters of a tail
_LIGHT_TAIL = 2.0  # a normal tail of 2 % starts at 2.05 and lies 0.37 beyond that on average
_LEAST_SCALE = 0.3  # standard deviations; a normal's tail beyond two of them has scale 0.37
_LEAST_DENSITY = np.exp(-40.0)  # no single leaf may count for more than about 40 nats
_STRAY = 0.02  # share of a cause's leaves that do not follow it
_SMALLEST_EFFECT = 0.1  # on the symmetric scale: a change by about 10 %
_NARROW, _WIDE = 0.05, 0.15  # spread of a cause's effect over its leaves
_TABLE_CELLS = 401  # the evidence of a leaf is looked up by its deviation, to 0.01
_NEAR_TIE = 2.0
_OPPOSED = 3.0  # nats by which some children must speak against a parent before it is narrowed
_SHIFTED = (
    1.0  # the shared deviation must exceed one leaf's standard deviation before it is followed
)


@dataclass(frozen=True, slots=True, eq=False)
class AmountNoise:
    """Noise of the symmetric deviations of leaves.

    Parameters
    ----------
    shift
        Deviation that all leaves share.
    sd
        Standard deviation per leaf, shape (n_leaves,).
    tail_start, tail_share, tail_scale, tail_shape
        Generalised Pareto tail of the standardised deviation beyond `tail_start`, from the quieter side.
    """

    shift: float
    sd: Floats
    tail_start: float
    tail_share: float
    tail_scale: float
    tail_shape: float

    def log_density(self, deviation: Floats, sd: float) -> Floats:
        """Log density of a deviation of a leaf with this standard deviation when nothing happened to it.

        A normal in the middle; outside, the normal or the estimated tail, whichever is higher.
        """
        standard = (deviation - self.shift) / sd
        beyond = np.maximum(np.abs(standard) - self.tail_start, 0.0) / self.tail_scale
        shape = self.tail_shape
        log_tail = -beyond if shape == 0 else -(1.0 / shape + 1.0) * np.log1p(shape * beyond)
        tail = np.log(self.tail_share / self.tail_scale) + np.where(beyond > 0, log_tail, -np.inf)
        bulk = np.maximum(_log_normal(standard, 1.0), tail) - np.log1p(2.0 * self.tail_share)
        return np.maximum(bulk - np.log(sd), np.log(_LEAST_DENSITY))


def symmetric_deviation(observed: Floats, expected: Floats) -> Floats:
    """Deviation 2 (f - v) / (f + v) of value v from forecast f, from -2 (f = 0) to 2 (v = 0).

    References
    ----------
    Li et al. (2019), ISSRE, "Generic and robust localization of multi-dimensional root causes", sec. III
    (the deviation score).
    """
    total = observed + expected
    return np.where(total > 0, 2.0 * (expected - observed) / np.where(total > 0, total, 1.0), 0.0)


def amount_noise(deviation: Floats, size: Floats) -> AmountNoise:
    """Learn the noise of leaves from the side that causes did not touch.

    Parameters
    ----------
    deviation
        Symmetric deviation per leaf, shape (n_leaves,).
    size
        Size of each leaf (larger of value and forecast): noise may depend on it, shape (n_leaves,).

    Notes
    -----
    Causes mostly push one way. In each size bin the smaller of the two one-sided 68 % points is the standard
    deviation, and the share of outliers comes from the side with fewer. Assumes that at most one direction is
    heavily contaminated in a bin.
    """
    centre = _half_sample_mode(deviation)
    spread = _one_sided_sd(deviation - centre)
    at_zero, at_centre = (
        float((np.abs(deviation - point) < spread).mean()) for point in (0.0, centre)
    )
    # A large cause can be the mode; it is a shared shift only if hardly any leaf stayed at zero.
    moved_together = abs(centre) > max(_SHIFTED * spread, 0.02) and at_zero < 0.25 * at_centre
    shift = centre if moved_together else 0.0
    centred = deviation - shift
    sd = np.empty_like(centred)
    n_bins = max(1, min(_SIZE_BINS, len(centred) // _MIN_PER_BIN))
    for part in np.array_split(np.argsort(size, kind="stable"), n_bins):
        sd[part] = _one_sided_sd(centred[part])
    standard = centred / sd
    return AmountNoise(float(shift), sd, *_quiet_tail(standard))


def _quiet_tail(standard: Floats) -> tuple[float, float, float, float]:
    """Start, share, scale and shape of the tail on the quieter side.

    The quieter side is the one whose extreme leaves lie nearer on average. Their spread beyond the start of
    the tail would not tell: a cause packs its leaves together, far out.
    """
    tails = []
    for side in (standard[standard > 0], -standard[standard < 0]):
        n_tail = max(_MIN_TAIL, int(_TAIL_SHARE * len(side)))
        if len(side) > 2 * n_tail:
            ordered = np.sort(side)
            start = ordered[-n_tail - 1]
            tails.append(
                (
                    float((ordered[-n_tail:] - start).mean()),
                    start,
                    n_tail / len(standard),
                    ordered[-n_tail:] - start,
                )
            )
    if not tails:
        return (2.0, 0.05, 1.0, 0.5)  # too few leaves to see a tail: assume a heavy one
    mean, start, share, excess = min(tails, key=lambda tail: tail[0] + tail[1])
    if (
        start + mean < _LIGHT_TAIL
    ):  # the least standard deviation hides the tail: as light as a normal's
        return (3.0, 1.0 / len(standard), 0.3, 0.0)
    rank = (np.arange(len(excess)) + 0.65) / len(excess)
    moment = float(((1.0 - rank) * excess).mean())
    shape = 2.0 - mean / max(mean - 2.0 * moment, 1e-9)
    if shape <= 0.0:
        return (
            float(start),
            float(share),
            max(mean, _LEAST_SCALE),
            0.0,
        )  # never lighter than exponential
    shape = min(shape, 0.8)
    return (float(start), float(share), max(mean * (1.0 - shape), _LEAST_SCALE), float(shape))


def _one_sided_sd(centred: Floats) -> float:
    """Smaller of the 68 % points of the two sides."""
    sides = [side for side in (centred[centred > 0], -centred[centred < 0]) if len(side) >= 20]
    points = [np.quantile(side, _ONE_SD) for side in sides] or [
        np.quantile(np.abs(centred), _ONE_SD)
    ]
    return float(max(_SMALLEST_SD, min(points)))


def _half_sample_mode(values: Floats) -> float:
    """Mode by halving the shortest half.

    References
    ----------
    Robertson & Cryer (1974), J. Amer. Statist. Assoc. 69, 1012-1016.
    """
    ordered = np.sort(values)
    while len(ordered) > 3:
        half = (len(ordered) + 1) // 2
        width = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        start = int(np.argmin(width))
        if len(ordered) < 64:  # the last halvings only chase ties
            return float(np.median(ordered))
        ordered = ordered[start : start + half]
    return float(np.median(ordered))


def effect_grid() -> tuple[Floats, Floats]:
    """Effects on the symmetric scale, both directions, and the spread each has over its leaves."""
    narrow = np.arange(_SMALLEST_EFFECT, _LARGEST + 1e-9, 0.1)
    wide = np.arange(0.3, _LARGEST + 1e-9, 0.2)
    effect = np.concatenate([narrow, -narrow, wide, -wide])
    spread = np.repeat([_NARROW, _WIDE], [2 * len(narrow), 2 * len(wide)])
    return effect, spread


def leaf_evidence(deviation: Floats, noise: AmountNoise) -> Floats32:
    """Log-likelihood ratio of every leaf for every effect, shape (n_leaves, n_effects).

    Null and cause are normals mixed with a uniform over all possible deviations, so one leaf can neither
    prove nor refute a segment on its own.
    """
    effect, spread = effect_grid()
    levels, level = np.unique(noise.sd, return_inverse=True)
    centres = np.linspace(-_LARGEST, _LARGEST, _TABLE_CELLS)
    cell = np.rint(
        (np.clip(deviation, -_LARGEST, _LARGEST) + _LARGEST) * (_TABLE_CELLS - 1) / (2 * _LARGEST)
    )
    table = np.empty((len(levels), _TABLE_CELLS, len(effect)), np.float32)
    uniform = -np.log(2 * _LARGEST)
    for row, sd in zip(table, levels, strict=True):
        quiet = noise.log_density(centres, sd)
        moved = np.logaddexp(
            np.log1p(-_STRAY)
            + _log_normal(centres[:, None] - noise.shift - effect, np.hypot(sd, spread)),
            np.log(_STRAY) + uniform,
        )
        row[:] = moved - quiet[:, None]
    return table[level, cell.astype(np.int64)]


def _log_normal(x: Floats, sd: Floats | float) -> Floats:
    return -0.5 * (x / sd) ** 2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)


def attribute_amounts(
    codes: Integers,
    sizes: tuple[int, ...],
    observed: Floats,
    expected: Floats,
    *,
    max_depth: int = 3,
    max_segments: int = 20,
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    hierarchy: Sequence[Nesting] = (),
    families: Sequence[int] | None = None,
) -> Attribution:
    """Name the segments that explain the gap between amounts and their forecasts, or say that none does.

    Parameters
    ----------
    codes
        Dimension codes per leaf, shape (n_leaves, n_dimensions).
    sizes
        Number of values per dimension.
    observed, expected
        Amount and forecast per leaf, shape (n_leaves,), non-negative.
    max_depth, max_segments, alpha, error_rate, confidence_level, hierarchy
        As in `counts.attribute_counts`.
    families
        As in `lattice.Lattice`.

    Notes
    -----
    The evidence of a segment is an e-value: the average over effects of a product of likelihood ratios. A
    union bound over all groups controls the family-wise error if the leaves' noise is independent and as
    estimated. Not for small counts, whose noise is not multiplicative: use `counts.attribute_counts`.

    References
    ----------
    Vovk & Wang (2021), Ann. Statist. 49, 1736-1754 (e-values). Kalander (2022), arXiv:2205.10004 (the task).
    """
    codes = np.asarray(codes, np.int64)
    used = np.flatnonzero((observed > 0) | (expected > 0))
    value, forecast = np.asarray(observed, float)[used], np.asarray(expected, float)[used]
    deviation = symmetric_deviation(value, forecast)
    noise = amount_noise(deviation, np.maximum(value, forecast))
    scan = _EvidenceScan(
        Lattice(
            codes[used], sizes, np.ones((1, len(used))), max_depth=max_depth, families=families
        ),
        leaf_evidence(deviation, noise),
        hierarchy,
    )
    if error_rate == "family_wise":
        found = scan.run(alpha=alpha, max_segments=max_segments)
    else:
        found = scan.discoveries(alpha=alpha, max_segments=max_segments)
    factor = (2.0 - noise.shift) / (2.0 + noise.shift)
    table = _Amounts(
        codes, np.asarray(observed, float), np.asarray(expected, float) * factor, used, noise.sd
    )
    segments = tuple(_describe(table, scan, one, confidence_level) for one in found)
    return _conclude(table, segments, noise, factor, scan, confidence_level)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    codes: tuple[int, ...]
    leaves: Integers
    log_evalue: float
    qvalue: float
    log_weight: float
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Amounts:
    codes: Integers
    observed: Floats
    expected: Floats
    used: Integers
    sd: Floats


class _EvidenceScan:
    """Greedy search on sums of leaf evidence."""

    __slots__ = (
        "alive",
        "evidence",
        "hierarchy",
        "lattice",
        "log_evalue",
        "log_weight",
        "n_leaves",
        "sums",
    )

    def __init__(
        self, lattice: Lattice, evidence: Floats32, hierarchy: Sequence[Nesting] = ()
    ) -> None:
        self.lattice, self.evidence, self.hierarchy = lattice, evidence, hierarchy
        self.alive = np.ones(len(evidence), bool)
        self.n_leaves = self.lattice.sums[0]
        self.sums = self._roll_up()
        depths = [len(cuboid.dimensions) for cuboid in self.lattice.cuboids]
        self.log_weight = np.concatenate(
            [
                np.full(
                    len(c.keys), np.log(max(depths) * depths.count(len(c.dimensions)) * len(c.keys))
                )
                for c in self.lattice.cuboids
            ]
        )
        self.log_evalue = _log_mean_exp(self.sums, self.log_weight)

    def _roll_up(self) -> Floats32:
        """Sum the leaves' evidence to every group, each cuboid from the smallest finer one already summed."""
        n_groups = len(self.lattice.depth)
        sums = np.empty((n_groups, self.evidence.shape[1]), np.float32)
        done: list[Cuboid] = []
        for cuboid in reversed(self.lattice.cuboids):
            finer = [other for other in done if set(cuboid.dimensions) < set(other.dimensions)]
            if finer:
                nearest = min(finer, key=lambda other: len(other.keys))
                source = sums[nearest.start : nearest.start + len(nearest.keys)]
                codes = dict(nearest.codes_by_dimension())
            else:
                source = self.evidence
                codes = {j: self.lattice.codes[:, j] for j in cuboid.dimensions}
            pairs = zip(cuboid.dimensions, cuboid.strides, strict=True)
            key = np.sum([codes[j] * stride for j, stride in pairs], axis=0)
            target = slice(cuboid.start, cuboid.start + len(cuboid.keys))
            sums[target] = _sum_by_group(
                np.searchsorted(cuboid.keys, key), source, len(cuboid.keys)
            )
            done.append(cuboid)
        return sums

    def run(self, *, alpha: float, max_segments: int) -> list[_Found]:
        """Take the best segment, remove its leaves, repeat while it is significant."""
        found: list[_Found] = []
        while len(found) < max_segments and len(self.log_evalue):
            score = self.log_evalue - self.log_weight
            group = int(np.argmax(score))
            if score[group] < -np.log(alpha):
                break
            group = self._shorten(self._narrow(group))
            segment = self.lattice.segment(group)
            leaves = np.flatnonzero(members(self.lattice.codes, segment) & self.alive)
            ties = self._near_ties(group, leaves)
            found.append(
                _Found(
                    segment,
                    leaves,
                    float(self.log_evalue[group]),
                    float(min(1.0, np.exp(-score[group]))),
                    float(self.log_weight[group]),
                    ties,
                )
            )
            self._shift(leaves, out=True)
        return found

    def discoveries(self, *, alpha: float, max_segments: int) -> list[_Found]:
        """Segments whose expected share of false names is `alpha`; leaves of all others are put back.

        References
        ----------
        Wang & Ramdas (2022), JRSS B 84, 822-852, sec. 4.
        """
        found = self.run(alpha=min(alpha * max_segments, MOST_GENEROUS), max_segments=max_segments)
        qvalues = e_benjamini_hochberg(
            [one.log_evalue for one in found], log_shares=[-one.log_weight for one in found]
        )
        for one in compress(found, qvalues > alpha):
            self._shift(one.leaves, out=False)
        named = zip(found, qvalues.tolist(), strict=True)
        return [replace(one, qvalue=q) for one, q in named if q <= alpha]

    def _narrow(self, group: int) -> int:
        """Step down to a child while, along one dimension, other children speak against the parent.

        Two equal causes side by side make their parent look best; its unaffected children then oppose the
        common effect by more than it costs to name the affected ones apart.
        """
        while True:
            effect = int(np.argmax(self.sums[group]))
            best_gain, narrower = _OPPOSED, None
            for children in self._children(group):
                support = self.sums[children, effect].astype(float)
                kept = support > self.log_weight[children]
                gain = (
                    -support[~kept].sum()
                    + self.log_weight[group]
                    - self.log_weight[children[kept]].sum()
                )
                if kept.any() and gain > best_gain:
                    best_gain, narrower = gain, int(children[np.argmax(support)])
            if narrower is None:
                return group
            group = narrower

    def _children(self, group: int) -> list[Integers]:
        """Groups one step narrower that split a group, one array per dimension (or level below)."""
        segment = self.lattice.segment(group)
        fixed = {j for j, code in enumerate(segment) if code >= 0}
        codes = self.lattice.codes[members(self.lattice.codes, segment) & self.alive]
        below = [
            {*fixed, level.child} - {level.parent}
            for level in self.hierarchy
            if level.parent in fixed
            and (level.parent_code[codes[:, level.child]] == segment[level.parent]).all()
        ]
        return [
            np.unique(cuboid.group_of(codes))
            for cuboid in self.lattice.cuboids
            for own in [set(cuboid.dimensions)]
            if own in below or (len(own) == len(fixed) + 1 and fixed < own)
        ]

    def _shorten(self, group: int) -> int:
        """Prefer the shorter or the outer description of the same leaves."""
        while True:
            wider = map(self.lattice.group, parents(self.lattice.segment(group), self.hierarchy))
            same = [other for other in wider if self.n_leaves[other] == self.n_leaves[group]]
            if not same:
                return group
            group = same[0]

    def _near_ties(self, group: int, leaves: Integers) -> tuple[Alternative, ...]:
        """Segments that share leaves with the chosen one and carry nearly the same evidence."""
        gap = self.log_evalue[group] - self.log_evalue
        ties = []
        for other in np.flatnonzero(gap <= _NEAR_TIE)[:50]:
            codes = self.lattice.segment(int(other))
            inside = members(self.lattice.codes, codes) & self.alive
            if other != group and inside[leaves].any():
                same = bool(inside.sum() == len(leaves) and inside[leaves].all())
                ties.append(Alternative(codes, float(gap[other]), same))
        return tuple(sorted(ties, key=lambda tie: tie.log_likelihood_gap)[:10])

    def _shift(self, leaves: Integers, *, out: bool) -> None:
        """Take leaves out of every group that holds them, or put them back; without any it is exactly empty.

        Added up in double precision: the rounding of thousands of leaves in single precision comes to nats.
        """
        sign = 1.0 if out else -1.0
        codes, moved = self.lattice.codes[leaves], sign * self.evidence[leaves].astype(float)
        for cuboid in self.lattice.cuboids:
            key = cuboid.key_of(codes)
            keys, local, count = np.unique(key, return_inverse=True, return_counts=True)
            groups = cuboid.start + np.searchsorted(cuboid.keys, keys)
            self.n_leaves[groups] -= sign * count
            left = self.sums[groups] - _sum_by_group(local, moved, len(keys))
            self.sums[groups] = np.where(self.n_leaves[groups, None] > 0, left, 0.0)
            self.log_evalue[groups] = _log_mean_exp(self.sums[groups], self.log_weight[groups])
        self.alive[leaves] = not out


def _sum_by_group(group: Integers, rows: Real, n_groups: int) -> Real:
    """Sum rows by group, as a sparse product in the precision of the rows."""
    if n_groups == 1:
        return rows.sum(axis=0, keepdims=True)
    ones = np.ones(len(group), rows.dtype)
    which = sparse.csr_array((ones, (group, np.arange(len(group)))), shape=(n_groups, len(group)))
    return cast("Real", which @ rows)


def _log_mean_exp(sums: Floats32, log_weight: Floats) -> Floats:
    """Log of the mean likelihood ratio over effects; groups without hope keep their maximum."""
    value = sums.max(axis=1).astype(float) - np.log(sums.shape[1])
    hopeful = np.flatnonzero(value > log_weight - 2.0)
    value[hopeful] = special.logsumexp(sums[hopeful].astype(float), axis=1) - np.log(sums.shape[1])
    return value


def _describe(
    table: _Amounts, scan: _EvidenceScan, found: _Found, confidence_level: float
) -> Segment:
    """Effect of one segment with normal intervals from the leaves' noise."""
    leaves = table.used[found.leaves]
    observed, expected = float(table.observed[leaves].sum()), float(table.expected[leaves].sum())
    noise = float(np.sqrt(((table.sd[found.leaves] * table.expected[leaves]) ** 2).sum()))
    z = special.ndtri(0.5 + confidence_level / 2.0)
    ratio = observed / expected if expected > 0 else np.inf
    width = z * noise * max(ratio, 0.05) / expected if expected > 0 else np.nan
    del scan
    return Segment(
        codes=found.codes,
        observed=observed,
        expected=expected,
        excess=observed - expected,
        excess_lower=observed - expected - z * noise,
        excess_upper=observed - expected + z * noise,
        ratio=ratio,
        ratio_lower=max(0.0, ratio - width),
        ratio_upper=ratio + width,
        log_evalue=found.log_evalue,
        pvalue=float(min(1.0, np.exp(-found.log_evalue))),
        qvalue=found.qvalue,
        n_leaves=len(leaves),
        rate_effect=np.nan,
        mix_effect=np.nan,
        alternatives=found.alternatives,
    )


def _conclude(
    table: _Amounts,
    segments: tuple[Segment, ...],
    noise: AmountNoise,
    factor: float,
    scan: _EvidenceScan,
    confidence_level: float,
) -> Attribution:
    """Total, shared factor and verdict."""
    total, forecast = float(table.observed.sum()), float(table.expected.sum() / factor)
    sd = float(np.sqrt(((table.sd * table.expected[table.used]) ** 2).sum()))
    z = special.ndtri(0.5 + confidence_level / 2.0)
    pvalue = float(2.0 * special.ndtr(-abs(total - forecast) / max(sd, 1e-300)))
    rest = table.used[scan.alive]
    outside = float(table.expected[rest].sum() / factor)
    shared = float(table.observed[rest].sum()) / outside if outside > 0 else np.nan
    shared_sd = float(np.sqrt(((table.sd[scan.alive] * table.expected[rest]) ** 2).sum())) / max(
        outside, 1e-300
    )
    shared_pvalue = 0.0 if noise.shift else 1.0
    verdict: Verdict = "localised" if segments else "broad" if noise.shift else "no_evidence"
    notes = [
        "No history: whether a shared shift is unusual cannot be judged beyond the noise of single leaves."
    ]
    if noise.shift:
        notes.append(
            "All leaves deviate from the forecast alike; segments are judged against that shift."
        )
    return Attribution(
        verdict=verdict,
        segments=segments,
        observed=total,
        expected=forecast,
        change=total - forecast,
        change_lower=total - forecast - z * sd,
        change_upper=total - forecast + z * sd,
        pvalue=pvalue,
        shared_factor=shared,
        shared_factor_lower=shared - z * shared_sd,
        shared_factor_upper=shared + z * shared_sd,
        shared_factor_pvalue=shared_pvalue,
        rate_effect=np.nan,
        mix_effect=np.nan,
        mix_pvalue=np.nan,
        n_candidates=len(scan.log_weight),
        leads=tuple(segment.codes for segment in segments),
        notes=tuple(notes),
    )
