"""Attribute a change of a ratio, k events out of n at risk, to segments, to the mix, or to everything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution import evidence, precision, search
from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.leaves import extra_variation
from rcakit.stats.attribution.outcome import Attribution, ErrorRate, Segment, Verdict
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.attribution.totals import autocorrelation_factor
from rcakit.stats.decomposition import Kitagawa, kitagawa, simpson_alarm

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SHARE_OF_ALPHA_FOR_SEGMENTS = (
    0.6  # of the rest, half each for a shared change of rates and for the mix
)
_UNTRUSTED_DAYS = 14.0  # of history that say nothing yet about the wobble of single leaves
_PRIOR_EVENTS = 2.0  # events that hold a segment's own level to what its leaves' smoothed rates say
_LEAST_SHARED_SD = 0.02
_LEAST_FITTED = 0.2  # events a day that a cell needs to show its wobble
_LEAST_LEAVES = 20  # fewer cannot show how much leaves differ
_LEAST_BLOCKS = 6  # with fewer blocks a variance over blocks says nothing
_LEAST_DAYS_FOR_SLOPE = 14
_CLEAR_SLOPE = 3.0  # standard errors
_HIGHEST_RATE = 0.8  # per event; as far as it decides between a longer and a shorter description
_LEAST_FACTOR = 0.5  # of all rates, as far as it decides which groups could be significant
_SCREEN = 6.0
_TAIL_GAIN = 4.0
_FAR_DAY = 4.0  # robust standard deviations
_FAR_LOG_RATE = np.log(1.3)  # nobody calls a day an incident whose rate is 30 % off or less
_LEAST_EXPLAINED = 0.5  # share of the change of rates below which segments are not its place
_SPLIT = 0.5  # a mix verdict needs the mix to carry at least half of the change
_HIGHEST_FITTED = 0.995
_RATE_BAND = 0.05  # on the log-odds scale; leaves closer than this have one rate
_SHARES = np.linspace(0.005, 0.95, 40)  # of those without an event that get one
_STEPS = (np.arange(-39, 40) * 0.1, np.arange(-10, 11) * 0.01)  # of a log factor: coarse, then fine
_ODDS = np.exp(np.concatenate([-np.geomspace(0.1, 3.0, 10), np.geomspace(0.1, 4.0, 14)]))

EVENTS, AT_RISK, REFERENCE, PAST_EVENTS, PAST_REFERENCE, SQUARES, SPREAD = range(
    7
)  # rows of the lattice's sums


@dataclass(frozen=True, slots=True, eq=False)
class RateNoise:
    """How the events of a segment vary about their mean, given what it had at risk.

    Parameters
    ----------
    correlation
        Intra-leaf correlation of events over the period, the rho of a beta-binomial, shape (n_leaves,).
    segment
        Squared variation of a value's own factor, per dimension, shape (n_dimensions,).
    shared_sd
        Relative standard deviation of a factor on all rates over the period.
    degrees_of_freedom
        Of `shared_sd`.
    """

    correlation: Floats
    segment: Floats
    shared_sd: float
    degrees_of_freedom: int

    def segment_of(self, lattice: Lattice) -> Floats:
        """Squared variation of group factors, shape (n_groups,)."""
        by_cuboid = [self.segment[list(cuboid.dimensions)].sum() for cuboid in lattice.cuboids]
        return np.repeat(by_cuboid, [len(cuboid.keys) for cuboid in lattice.cuboids])


def leaf_rates(events: Floats, at_risk: Floats) -> Floats:
    """Baseline rate of every leaf, shrunk to the overall rate by a beta prior fitted to the leaves.

    Parameters
    ----------
    events, at_risk
        Baseline sums per leaf, shape (n_leaves,).

    References
    ----------
    Kleinman (1973), J. Amer. Statist. Assoc. 68, 46-54 (moment estimate of the beta-binomial).
    """
    overall = events.sum() / max(at_risk.sum(), 1e-12)
    spread = overall * (1.0 - overall)
    seen = at_risk > 0
    if spread <= 0.0 or seen.sum() < 2:  # half an event is as near to none or to all as is known
        return np.full(len(events), (events.sum() + 0.5) / (at_risk.sum() + 1.0))
    weight = at_risk[seen]
    between = float(((events[seen] - overall * weight) ** 2 / weight).sum() - spread * seen.sum())
    correlation = between / (spread * max(float(weight.sum()) - seen.sum(), 1e-12))
    correlation = min(max(correlation, 1e-3), 0.5)
    prior = 1.0 / correlation - 1.0
    return (events + prior * overall) / (at_risk + prior)


@dataclass(frozen=True, slots=True)
class RateModel:
    """Quasi-binomial segments against everything outside them, as the search needs them.

    Parameters
    ----------
    noise
        Variance model under no change.
    segment
        Squared variation of group factors, shape (n_groups,).
    values
        Groups of every dimension taken alone.
    """

    noise: RateNoise
    segment: Floats
    values: tuple[slice, ...]

    def moved(self, sums: Floats) -> tuple[Floats, Floats]:
        """Weighted sums: seen, and expected but for a factor."""
        return sums[EVENTS], _level(sums) * sums[REFERENCE]

    @property
    def expected_row(self) -> int:
        """Row of the sums that holds what was expected."""
        return REFERENCE

    @property
    def weighted_rows(self) -> tuple[int, int]:
        """Rows of weighted leaves: seen and expected."""
        return EVENTS, REFERENCE

    def evaluate(self, sums: Floats, totals: Floats, log_weight: Floats) -> search.Evaluation:
        """Compare each group's events with those expected from its own past and the outside's factor.

        The expectation is what the leaves' smoothed rates give on the period's numbers at risk, times the
        group's own past ratio of events to that reference: a change of mix inside the group moves it, and
        smoothing does not bias it.
        """
        level = _level(sums)
        usual = search.common_factor(sums[EVENTS], level * sums[REFERENCE], self.values)
        factor = search.keep_near(
            _outside_factor(sums, totals), usual, n_events=float(totals[EVENTS])
        )
        at_risk = _binomial_size(sums)
        mean = np.minimum(factor * level * sums[REFERENCE], 0.999 * at_risk)
        rate = mean / at_risk
        binomial = np.maximum(mean * (1.0 - rate), 1e-12)
        within, around = self._variances(sums, totals, mean, factor, binomial)
        variance = within * binomial + mean**2 * around
        inflation = np.maximum(1.0, variance / binomial)
        events = sums[EVENTS]
        alive = np.flatnonzero((events - mean) ** 2 > _SCREEN * variance)
        llr, log_qvalue = np.zeros(len(mean)), np.zeros(len(mean))
        # Adds up over parts of a group, which a binomial of unlike leaves does not; one scale for all.
        spared = 1.0 - min(float(totals[SQUARES] / max(totals[REFERENCE], 1e-12)), _HIGHEST_RATE)
        llr[alive] = search.weighted_llr(events[alive], mean[alive]) / spared
        evidence_of = binomial_llr(events[alive], at_risk[alive], rate[alive])
        hopeful = alive[evidence_of / inflation[alive] > log_weight[alive] - _TAIL_GAIN]
        log_tail = _mixed_log_tail(
            *(part[hopeful] for part in (events, at_risk, rate, within, around))
        )
        log_qvalue[hopeful] = np.minimum(0.0, log_tail + log_weight[hopeful])
        score = np.full(len(mean), -np.inf)
        score[alive] = llr[alive] - log_weight[alive]
        return search.Evaluation(mean, inflation, log_qvalue, llr, score)

    def _variances(
        self, sums: Floats, totals: Floats, mean: Floats, factor: Floats, binomial: Floats
    ) -> tuple[Floats, Floats]:
        """Variance of events given their mean over that of a binomial, and squared variation of the mean."""
        share = sums[REFERENCE] / np.maximum(totals[REFERENCE], 1e-12)
        outside = 1.0 / np.maximum(factor * (totals[REFERENCE] - sums[REFERENCE]), 1e-12)
        drift = self.segment / np.maximum(1.0 - share, 1e-6) ** 2
        within = np.maximum(1.0 + factor * sums[SPREAD] / binomial, 1e-3)
        known = within * binomial / np.maximum(mean, 1e-12) / (sums[PAST_EVENTS] + _PRIOR_EVENTS)
        return within, known + outside + drift

    def gain_of_rest(
        self, child: Floats, rest: Floats, evaluation: search.Evaluation, group: int
    ) -> float:
        """Nats by which the rest of a parent fits the child's odds ratio better than no change."""
        mean = float(_level(rest[:, None])[0] * rest[REFERENCE])
        factor = float(
            evaluation.mean[group] / max(_level(child[:, None])[0] * child[REFERENCE], 1e-12)
        )
        at_risk, at_risk_of_child = _binomial_size(np.column_stack([rest, child]))
        rate = min(factor * mean / at_risk, 0.999)
        if rest[AT_RISK] <= 0 or rate <= 0:
            return 0.0
        own = evaluation.mean[group] / at_risk_of_child
        seen = np.clip(child[EVENTS] / at_risk_of_child, 1e-6, 1 - 1e-6)
        odds = seen / (1.0 - seen) * (1.0 - own) / max(own, 1e-12)
        moved = odds * rate / (1.0 - rate + odds * rate)
        gain = rest[EVENTS] * np.log(moved / rate) + (at_risk - rest[EVENTS]) * np.log(
            (1.0 - moved) / (1.0 - rate)
        )
        return float(gain / evaluation.size[group])


class LeafFit:
    """How well one cause fits some leaves, each with its own rate and wobble.

    A cause moves all rates by one factor, or makes the same share of those without an event have one; nobody
    knows beforehand, so the better of both counts.

    Parameters
    ----------
    leaves
        Rows EVENTS to SQUARES, not weighted, shape (6, n_leaves).
    rates
        Baseline rate per leaf, shape (n_leaves,).
    correlation
        As in `RateNoise`.

    Notes
    -----
    Leaves of nearly the same rate are added up, so that a segment costs one pass over its leaves. Each counts
    as far as its wobble lets it.

    References
    ----------
    Rao & Scott (1992), Biometrics 48, 577-585 (counts divided by their design effect).
    """

    __slots__ = ("band", "events", "missed", "rate")

    def __init__(self, leaves: Floats, rates: Floats, correlation: Floats) -> None:
        weight = 1.0 / (1.0 + correlation * leaves[AT_RISK])
        rates = np.clip(rates, 1e-6, _HIGHEST_FITTED)
        band = np.round(special.logit(rates) / _RATE_BAND).astype(np.int64)
        bands, self.band = np.unique(band, return_inverse=True)
        self.rate = special.expit(bands * _RATE_BAND)
        self.events = weight * leaves[EVENTS]
        self.missed = weight * np.maximum(leaves[AT_RISK] - leaves[EVENTS], 0.0)

    def __call__(self, leaves: Integers, factor: float) -> float:
        """Log-likelihood ratio of the best cause in these leaves against the given factor on their rates."""
        band, n_bands = self.band[leaves], len(self.rate)
        events = sum_by(band, self.events[leaves], n_bands)
        missed = sum_by(band, self.missed[leaves], n_bands)
        usual = np.clip(factor * self.rate, 1e-9, _HIGHEST_FITTED)
        best, llr = 0.0, np.zeros(1)
        for steps in _STEPS:
            moved = np.clip(np.exp(best + steps)[:, None] * usual, 1e-9, _HIGHEST_FITTED)
            llr = np.log(moved / usual) @ events + np.log1p(-moved) @ missed
            best += float(steps[np.argmax(llr)])
        shared = np.clip(1.0 - (1.0 - _SHARES[:, None]) * (1.0 - usual), 1e-9, _HIGHEST_FITTED)
        by_share = np.log(shared / usual) @ events + np.log1p(-shared) @ missed
        return float(max(llr.max(), by_share.max()) - np.log1p(-usual) @ missed)


def _level(sums: Floats) -> Floats:
    """A group's past events over the reference its leaves gave, held to one by a few events."""
    return (sums[PAST_EVENTS] + _PRIOR_EVENTS) / (sums[PAST_REFERENCE] + _PRIOR_EVENTS)


def _reachable(sums: Floats) -> Floats:
    """Nats a group could show at most: every one at risk an event, or none."""
    at_risk = np.maximum(sums[AT_RISK], 1e-12)
    rate = np.clip(_level(sums) * sums[REFERENCE] / at_risk, 1e-9, 1.0 - 1e-9)
    return at_risk * np.maximum(-np.log(_LEAST_FACTOR * rate), -np.log1p(-rate))


def _binomial_size(sums: Floats) -> Floats:
    """Number at risk of the binomial with the mean and the variance of a group's events.

    Leaves with unlike rates p vary less than their pooled rate says: sum n p (1 - p), which is the variance
    of a binomial with the mean rate per event, sum n p**2 / sum n p, out of (sum n p)**2 / sum n p**2.

    References
    ----------
    Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, 3rd ed., sec. 3.12.2 (binomials of unlike
    rates).
    """
    matched = sums[REFERENCE] ** 2 / np.maximum(sums[SQUARES], 1e-12)
    return np.maximum(np.maximum(matched, sums[EVENTS]), 1e-12)


def _outside_factor(sums: Floats, totals: Floats) -> Floats:
    """Factor by which everything outside each group moved."""
    past = np.maximum(totals[PAST_EVENTS] - sums[PAST_EVENTS], 0.0) + 1.0
    past_reference = np.maximum(totals[PAST_REFERENCE] - sums[PAST_REFERENCE], 0.0) + 1.0
    reference = np.maximum(totals[REFERENCE] - sums[REFERENCE], 0.0) * past / past_reference
    return (np.maximum(totals[EVENTS] - sums[EVENTS], 0.0) + 1.0) / (reference + 1.0)


def _distance_from_past(sums: Floats) -> Floats:
    """Log-likelihood ratio of each group's rate against its own past, on the side where most of them moved."""
    at_risk = _binomial_size(sums)
    mean = np.minimum(_level(sums) * sums[REFERENCE], 0.999 * at_risk)
    llr = binomial_llr(sums[EVENTS], at_risk, mean / at_risk)
    moved = sums[EVENTS] - mean
    return np.where(moved * moved.sum() > 0, llr, 0.0)


def binomial_llr(events: Floats, at_risk: Floats, rate: Floats) -> Floats:
    """Log-likelihood ratio of the best rate against the given one."""
    missed = np.maximum(at_risk - events, 0.0)
    own = special.xlogy(events, np.maximum(events, 1e-300) / np.maximum(at_risk * rate, 1e-300))
    return np.maximum(
        0.0,
        own
        + special.xlogy(
            missed, np.maximum(missed, 1e-300) / np.maximum(at_risk * (1 - rate), 1e-300)
        ),
    )


def binomial_log_tail(events: Floats, at_risk: Floats, rate: Floats) -> Floats:
    """Log of the one-sided binomial tail on the side of the observation, for real-valued counts.

    References
    ----------
    Johnson, Kemp & Kotz (2005), Univariate Discrete Distributions, 3rd ed., eq. 3.37.
    """
    missed = np.maximum(at_risk - events, 0.0)
    above = events > at_risk * rate
    inside = np.where(above, events, missed)
    share = np.where(above, rate, 1.0 - rate)
    tail = special.betainc(np.maximum(inside, 1e-9), at_risk - inside + 1.0, share)
    bound = -binomial_llr(events, at_risk, rate)
    safe = tail > 1e-290
    return np.where(safe, np.minimum(np.log(np.where(safe, tail, 1.0)), 0.0), bound)


def _mixed_log_tail(
    events: Floats, at_risk: Floats, rate: Floats, within: Floats, around: Floats
) -> Floats:
    """Log of the tail of a binomial of design effect `within` whose mean is itself only known up to `around`.

    A mean from few past events has a gamma law, not a normal one. How much that thickens the tail is taken
    from counts of the same mean and variance: negative binomial against Poisson.

    References
    ----------
    Aitchison & Dunsmore (1975), Statistical Prediction Analysis, sec. 2.5 (predictive negative binomial).
    """
    exact = binomial_log_tail(events / within, at_risk / within, rate)
    scale = within * (1.0 - rate)
    seen, mean = events / scale, at_risk * rate / scale
    size = 1.0 / np.maximum(around, 1e-9)
    mixed, fixed = (
        evidence.negative_binomial_log_tail(seen, mean, s) for s in (size, np.full(len(mean), 1e9))
    )
    return np.minimum(exact + np.maximum(mixed - fixed, 0.0), 0.0)


def set_aside_incident_days(history: History) -> tuple[History, int]:
    """Drop baseline days whose overall rate was far from usual: an incident is not a baseline.

    Parameters
    ----------
    history
        Daily events and numbers at risk per leaf.

    Returns
    -------
    History without those days, and how many there were. At least half of the days stay.

    Notes
    -----
    A day goes when its log rate lies more than four robust standard deviations and more than log(1.3) from
    the median day.
    """
    events = sum_by(history.day, history.value, history.n_days)
    at_risk = sum_by(history.day, history.at_risk, history.n_days)
    level = np.log((events + 0.5) / (at_risk + 1.0))
    distance = np.abs(level - np.median(level))
    bound = max(_FAR_DAY * 1.4826 * float(np.median(distance)), _FAR_LOG_RATE)
    keep = distance <= bound
    if keep.all() or keep.sum() < 2:
        return history, 0
    entry = keep[history.day]
    position = np.cumsum(keep) - 1
    kept = History(
        leaf=history.leaf[entry],
        day=position[history.day[entry]],
        value=history.value[entry],
        weekday=history.weekday[keep],
        period_weekday=history.period_weekday,
        denominator=history.at_risk[entry],
    )
    return kept, int((~keep).sum())


def rate_noise(
    history: History, *, codes: Integers, sizes: tuple[int, ...], rates: Floats
) -> RateNoise:
    """Estimate the variance components of rates from how they wobbled before the period.

    Parameters
    ----------
    history
        Daily events (`value`) and numbers at risk (`denominator`) per leaf.
    codes, sizes
        Leaf table.
    rates
        Baseline rate per leaf, from `leaf_rates`.

    References
    ----------
    Williams (1982), Applied Statistics 31, 144-148 (extra-binomial variation by moments).
    """
    n_days, n_period = history.n_days, history.n_period_days
    mean = history.at_risk * rates[history.leaf]
    day_events = sum_by(history.day, history.value, n_days)
    day_mean = sum_by(history.day, mean, n_days)
    factor = day_events / np.maximum(day_mean, 1e-12)
    spared = sum_by(history.day, mean * (1.0 - rates[history.leaf]), n_days)
    noise = float((spared / np.maximum(day_mean, 1e-12) ** 2).mean())
    usual = day_mean > 0
    shared = max(0.0, float(np.var(factor[usual], ddof=1)) - noise) if usual.sum() > 2 else 0.05**2
    fitted = mean * factor[history.day]
    variance = fitted * (1.0 - np.minimum(rates[history.leaf] * factor[history.day], 1.0))
    of_leaf = sum_by(history.leaf, fitted, len(codes))[history.leaf]
    own = 1.0 - fitted / (of_leaf + _PRIOR_EVENTS)  # what fitting the leaf's own rate leaves over
    left = np.maximum(own - fitted / np.maximum(day_events[history.day], 1e-12), 0.0)
    # n (n - 1) p (1 - p): what the correlation multiplies
    pairs = np.maximum(history.at_risk - 1.0, 0.0) * variance
    correlation = _leaf_correlations(
        history, fitted=fitted, variance=variance * left, pairs=pairs * own, n_leaves=len(codes)
    )
    noisy = variance + correlation[history.leaf] * pairs
    by_dimension = np.zeros(len(sizes))
    for dimension, size in enumerate(sizes):
        if size > 1:
            by_dimension[dimension] = _value_component(
                history, codes[history.leaf, dimension], size, fitted, noisy
            )
    memory = 1.0 + (autocorrelation_factor(factor[usual] - 1.0) - 1.0) * (1.0 - 1.0 / n_period)
    memory = max(memory, _trend_factor(factor[usual]))
    return RateNoise(
        correlation=correlation / n_period,
        segment=by_dimension,
        shared_sd=max(_LEAST_SHARED_SD, float(np.sqrt(shared / n_period * memory))),
        degrees_of_freedom=max(1, int(usual.sum()) - 1),
    )


def _leaf_correlations(
    history: History, *, fitted: Floats, variance: Floats, pairs: Floats, n_leaves: int
) -> Floats:
    """Intra-leaf correlation of events on a day, shape (n_leaves,).

    One figure for all; a leaf with enough at risk gets its own as far as leaves differ by more than chance
    allows, plus one standard deviation of what is left unknown.

    References
    ----------
    Morris (1983), J. Amer. Statist. Assoc. 78, 47-55 (empirical Bayes by moments).
    """
    of_all = _component(history.value, fitted, variance, pairs)
    use = (fitted > _LEAST_FITTED) & (pairs > 0)
    leaf, noise, scale = history.leaf[use], variance[use], pairs[use]
    beyond = (history.value[use] - fitted[use]) ** 2 - noise
    usual = noise + of_all * scale
    weight = scale / usual**2
    information = sum_by(leaf, weight * scale, n_leaves)
    seen = np.flatnonzero(information > 0)
    if len(seen) < _LEAST_LEAVES or history.n_days <= _UNTRUSTED_DAYS:
        return np.full(n_leaves, of_all)
    own = sum_by(leaf, weight * beyond, n_leaves)[seen] / information[seen]
    skew = weight**2 * usual**2 * (2.0 + 1.0 / np.maximum(usual, 1e-12))
    error = sum_by(leaf, skew, n_leaves)[seen] / information[seen] ** 2
    precision = 1.0 / (error + of_all**2 + 1e-12)
    excess = precision * ((own - of_all) ** 2 - error)
    excess = np.minimum(excess, np.quantile(excess, 0.99))
    between = max(0.0, float(excess.sum() / precision.sum()))
    trust = between / (between + error)
    correlation = np.full(n_leaves, of_all + np.sqrt(between))
    correlation[seen] = of_all + trust * (own - of_all) + np.sqrt(between * (1.0 - trust))
    return np.clip(correlation, 0.0, 0.9)


def _trend_factor(factor: Floats) -> float:
    """Variance of the latest days about the mean of all, over that of any day, where a slope runs through.

    A level that still moves has moved furthest at the end, next to the period.
    """
    n_days = len(factor)
    if n_days < _LEAST_DAYS_FOR_SLOPE:
        return 1.0
    clock = (np.arange(n_days) - (n_days - 1) / 2) / n_days
    slope = float(clock @ factor / (clock @ clock))
    residual = factor - factor.mean() - slope * clock
    variance = max(float(residual @ residual) / (n_days - 2), 1e-12)
    if slope**2 * float(clock @ clock) < _CLEAR_SLOPE**2 * variance:
        return 1.0
    return 1.0 + (0.5 * slope) ** 2 / max(float(np.var(factor, ddof=1)), 1e-12)


def _value_component(
    history: History, code: Integers, size: int, fitted: Floats, variance: Floats
) -> float:
    """Squared variation of the period factor of a dimension's values, about their own level.

    Measured on days and on blocks as long as the period, so that slow changes of a value count as noise.
    """
    n_days, n_period = history.n_days, history.n_period_days
    tables = [
        sum_by(code * n_days + history.day, x, size * n_days).reshape(size, n_days)
        for x in (history.value, fitted, variance)
    ]
    longest = min(n_period, max(1, n_days // _LEAST_BLOCKS))
    by_day = _block_component(*tables, length=1) / n_period
    return by_day if longest == 1 else max(by_day, _block_component(*tables, length=longest))


def _block_component(events: Floats, mean: Floats, noise: Floats, *, length: int) -> float:
    """Squared variation of values' factors over blocks of `length` days; tables are (n_values, n_days)."""
    n_blocks = events.shape[1] // length
    events, mean, noise = (
        table[:, -n_blocks * length :].reshape(len(table), n_blocks, length).sum(axis=2)
        for table in (events, mean, noise)
    )
    whole = mean.sum(axis=1, keepdims=True) + _PRIOR_EVENTS
    level = (events.sum(axis=1, keepdims=True) + _PRIOR_EVENTS) / whole
    own = 1.0 - mean / whole  # what fitting the value's own level leaves over
    left = np.maximum(own - mean / np.maximum(mean.sum(axis=0), 1e-12), 0.0)
    mean = mean * level
    return _component(
        events.ravel(), mean.ravel(), (noise * level * left).ravel(), (mean**2 * own).ravel()
    )


def _component(events: Floats, fitted: Floats, variance: Floats, power: Floats) -> float:
    """Component of the variance that multiplies `power`, weighted towards cells that can show it."""
    use = (fitted > _LEAST_FITTED) & (power > 0)
    if use.sum() < 3:
        return 0.0
    squared, noise, scale = (events[use] - fitted[use]) ** 2, variance[use], power[use]
    weight = (scale / (noise + 0.02 * scale)) ** 2
    return extra_variation(squared, noise, scale, weight)


def attribute_ratios(
    codes: Integers,
    sizes: tuple[int, ...],
    observed: Floats,
    denominator: Floats,
    *,
    history: History,
    max_depth: int = 3,
    max_segments: int = 20,
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    hierarchy: Sequence[search.Nesting] = (),
    families: Sequence[int] | None = None,
) -> Attribution:
    """Name the segments whose rates explain a change of a ratio, or say that the mix or nothing does.

    Parameters
    ----------
    codes, sizes
        Leaf table, as in `counts.attribute_counts`.
    observed, denominator
        Events and numbers at risk per leaf over the period, shape (n_leaves,), events at most the latter.
    history
        Daily events and numbers at risk per leaf before the period (`value`, `denominator`).
    max_depth, max_segments, alpha, error_rate, confidence_level
        As in `counts.attribute_counts`.
    hierarchy
        Dimensions whose values lie inside those of another; the outer value is named when the rest of it
        moved too, or when it holds nothing else.
    families
        As in `lattice.Lattice`.

    Notes
    -----
    Segments are judged given their numbers at risk, so a pure change of mix names none. `excess` is in
    events; `rate_effect` and `mix_effect` are the segment's parts of the change of the overall ratio, and
    with those of all other leaves they sum to `change` exactly. Where no segment is named the rate part of
    the total is shrunk towards zero by what rates usually vary, and the mix part is the rest. Noise is
    quasi-binomial.

    References
    ----------
    Kulldorff (1997), Commun. Statist. Theory Meth. 26, 1481-1496 (Bernoulli scan); Kitagawa (1955), J. Amer.
    Statist. Assoc. 50, 1168-1194 (split); Efron & Morris (1973), J. Amer. Statist. Assoc. 68, 117-130
    (shrinkage by 1 - variance / square).
    """
    codes = np.asarray(codes, np.int64)
    history, n_set_aside = set_aside_incident_days(history)
    events, at_risk = np.asarray(observed, float), np.asarray(denominator, float)
    past_events = sum_by(history.leaf, history.value, len(codes))
    past_at_risk = sum_by(history.leaf, history.at_risk, len(codes))
    rates = leaf_rates(past_events, past_at_risk)
    noise = rate_noise(history, codes=codes, sizes=sizes, rates=rates)
    reference = at_risk * rates
    leaves = np.stack(
        [events, at_risk, reference, past_events, past_at_risk * rates, reference * rates]
    )
    columns = _weighted(leaves, rates, noise.correlation, history.n_days)
    lattice = Lattice(codes, sizes, columns, max_depth=max_depth, families=families)
    model = RateModel(noise, noise.segment_of(lattice), lattice.values)
    log_weight, n_candidates = search.candidate_weights(
        lattice, lattice.sums[REFERENCE], _reachable(lattice.sums)
    )
    finder = search.Search(
        lattice,
        columns,
        model=model,
        log_weight=log_weight,
        alpha=alpha * (_SHARE_OF_ALPHA_FOR_SEGMENTS if error_rate == "family_wise" else 1.0),
        # Without a single event in the baseline no segment differs from another in what is usual.
        max_segments=max_segments if past_events.any() else 0,
        error_rate=error_rate,
        hierarchy=hierarchy,
        fit=LeafFit(leaves, rates, noise.correlation),
    )
    leads = search.leads(lattice, _distance_from_past(lattice.sums) - log_weight)
    finder.run()
    parts = kitagawa(events, at_risk, past_events, past_at_risk, fallback_rate=rates)
    past = _Past(history, rates)
    segments = _describe_all(finder, leaves, noise, parts, past, confidence_level)
    composition = _composition_pvalue(history, rates, at_risk)
    conclusion = _conclude(
        finder, leaves, noise, segments, parts, composition, n_candidates, alpha, confidence_level
    )
    ranked = search.lead_with([segment.codes for segment in segments], leads)
    notes = conclusion.notes
    if n_set_aside:
        notes = (f"{n_set_aside} baseline days with unusual rates were set aside.", *notes)
    if simpson_alarm(parts, past_at_risk).is_reversed:
        reversal = (
            "The ratio moved against nearly all of its parts: the mix hides what the rates did."
        )
        notes = (*notes, reversal)
    return replace(conclusion, leads=ranked, notes=notes)


def _weighted(leaves: Floats, rates: Floats, correlation: Floats, n_days: int) -> Floats:
    """Rows of the lattice: leaves weighted by the inverse of their variance over that of a binomial.

    So a few large leaves that wobble do not drown the rest. A short history hardly knows how much they do;
    with two weeks or less every event counts the same. The last row is the variance beyond a binomial.

    References
    ----------
    Rao & Scott (1992), Biometrics 48, 577-585 (counts divided by their design effect).
    """
    at_risk = leaves[AT_RISK]
    trusted = correlation * max(0.0, 1.0 - _UNTRUSTED_DAYS / max(n_days, 1))
    weight = 1.0 / (1.0 + trusted * at_risk)
    beyond = weight * (1.0 + correlation * at_risk) - 1.0
    spread = weight * at_risk * rates * (1.0 - rates) * beyond
    return np.vstack([leaves * weight, spread])


def _composition_pvalue(history: History, rates: Floats, at_risk: Floats) -> float:
    """Is the ratio that baseline rates give on the period's mix unusual against the days before?"""
    n_days = history.n_days
    expected = sum_by(history.day, history.at_risk * rates[history.leaf], n_days)
    total = sum_by(history.day, history.at_risk, n_days)
    usual = total > 0
    if usual.sum() < 4:
        return 1.0
    daily = expected[usual] / total[usual]
    now = float((at_risk * rates).sum() / max(at_risk.sum(), 1e-12))
    spread = float(np.std(daily, ddof=1)) * np.sqrt(1.0 / history.n_period_days + 1.0 / usual.sum())
    if spread <= 0.0:
        return 1.0
    statistic = abs(now - float(total[usual] @ daily / total[usual].sum())) / spread
    return float(2.0 * special.stdtr(int(usual.sum()) - 1, -statistic))


def _describe_all(
    finder: search.Search,
    leaves: Floats,
    noise: RateNoise,
    parts: Kitagawa,
    past: "_Past",
    confidence_level: float,
) -> tuple[Segment, ...]:
    """Effect, intervals, error rates and near ties of every found segment, strongest first."""
    described = []
    for found in list(finder.found):
        finder.restore(found)
        evaluation = finder.evaluate()
        group = finder.lattice.group(found.codes)
        described.append(
            _describe_one(
                finder, evaluation, group, found, leaves, noise, parts, past, confidence_level
            )
        )
        finder.put_back(found)
    return finder.with_qvalues(sorted(described, key=lambda segment: -segment.log_evalue))


def _describe_one(
    finder: search.Search,
    evaluation: search.Evaluation,
    group: int,
    found: search.Found,
    leaves: Floats,
    noise: RateNoise,
    parts: Kitagawa,
    past: "_Past",
    confidence_level: float,
) -> Segment:
    """Numbers of one segment, its leaves being in the lattice and the other segments out of it."""
    weighted = finder.lattice.sums[:, group]
    own = leaves[:, found.leaves]
    plain = own.sum(axis=1)
    observed, at_risk = float(plain[EVENTS]), float(_binomial_size(plain[:, None])[0])
    factor = float(evaluation.mean[group] / (_level(weighted[:, None])[0] * weighted[REFERENCE]))
    mean = min(factor * float(_level(plain[:, None])[0] * plain[REFERENCE]), 0.999 * at_risk)
    rate = mean / at_risk
    within, around = _variance_parts(
        evaluation, group, weighted, own, factor, noise.correlation[found.leaves]
    )
    modelled = within + around * mean / (1.0 - rate)
    within, around = _checked(finder, noise, past, group, found, factor, rate, (within, around))
    inflation = within + around * mean / (1.0 - rate)
    log_qvalue = finder.log_qvalue_around(evaluation, group)
    log_weight = float(finder.log_weight[group])
    inner, outer = evidence.widths_after_selection(
        log_qvalue - log_weight,
        finder.log_hurdle - log_weight,
        confidence_level=confidence_level,
        spread=float(np.sqrt(inflation / modelled)),
    )
    below, above = (inner, outer) if observed > mean else (outer, inner)
    sd = float(np.sqrt(mean * (1.0 - rate) * inflation))
    everyone, usual = float(plain[AT_RISK]), mean / plain[AT_RISK]
    missed = max(1.0 - observed / everyone, 1.0 / everyone)
    design = within * _unlike(own[EVENTS], own[AT_RISK]) + around * observed / missed
    pooled = observed / design, everyone / design
    low, high = _rate_interval(*pooled, below)[0], _rate_interval(*pooled, above)[1]
    return Segment(
        codes=found.codes,
        observed=float(observed),
        expected=mean,
        excess=float(observed - mean),
        excess_lower=float(observed - mean - below * sd),
        excess_upper=float(observed - mean + above * sd),
        ratio=float(observed / mean),
        ratio_lower=float(low / usual),
        ratio_upper=float(high / usual),
        log_evalue=_log_evalue(observed / modelled, at_risk / modelled, rate),
        pvalue=float(min(1.0, 2.0 * np.exp(log_qvalue - log_weight))),
        qvalue=float(np.exp(log_qvalue)),
        n_leaves=len(found.leaves),
        rate_effect=float(parts.rate[found.leaves].sum()),
        mix_effect=float(parts.mix[found.leaves].sum()),
        alternatives=search.near_ties(finder, evaluation, group, found),
    )


def _unlike(events: Floats, at_risk: Floats) -> float:
    """Variance of the sum of leaves' events over that of one binomial; unlike leaves vary less.

    Every leaf with two or more at risk gives an unbiased guess, k (n - k) / (n - 1), of its own variance.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., eq. 3.8 (unbiased variance of a proportion).
    """
    everyone, seen = float(at_risk.sum()), float(events.sum())
    pooled = seen * (1.0 - seen / everyone)
    several = at_risk >= 2.0
    k, n = events[several], at_risk[several]
    own = float((k * (n - k) / np.maximum(n - 1.0, 1.0)).sum())
    own += pooled * float(at_risk[~several].sum()) / everyone
    return min(1.0, max(own, 0.5) / max(pooled, 0.5))


def _variance_parts(
    evaluation: search.Evaluation,
    group: int,
    weighted: Floats,
    own: Floats,
    factor: float,
    correlation: Floats,
) -> tuple[float, float]:
    """Variance of a segment's plain events: inside over that of a binomial, and squared variation of the mean.

    What the outside and the drift of the segment add is that of the weighted sum; leaves, and the past of
    the leaves, vary more than there.
    """
    past_events = own[PAST_EVENTS].sum()
    spared = np.maximum(own[REFERENCE] - own[SQUARES], 1e-12)
    within = 1.0 + float((correlation * own[AT_RISK] * spared).sum() / spared.sum())
    effective = evaluation.mean[group]
    binomial = effective * (1.0 - effective / _binomial_size(weighted[:, None])[0])
    inside = 1.0 + factor * weighted[SPREAD] / binomial
    around = (evaluation.size[group] - inside) * binomial / effective**2
    around += within / (past_events + _PRIOR_EVENTS)
    around -= inside / (weighted[PAST_EVENTS] + _PRIOR_EVENTS)
    return within, float(max(0.0, around))


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """Days before the period, and the baseline rate of every leaf, shape (n_leaves,)."""

    history: History
    rates: Floats


def _checked(
    finder: search.Search,
    noise: RateNoise,
    past: _Past,
    group: int,
    found: search.Found,
    factor: float,
    rate: float,
    parts: tuple[float, float],
) -> tuple[float, float]:
    """Variance parts of a segment, held against its own days and against the rest of the period."""
    within, around = parts
    sums, totals = finder.lattice.sums[:, group], finder.totals
    outside = 1.0 / max(factor * float(totals[REFERENCE] - sums[REFERENCE]), 1e-12)
    share = float(sums[REFERENCE] / max(totals[REFERENCE], 1e-12))
    drift = float(noise.segment_of(finder.lattice)[group]) / max(1.0 - share, 1e-6) ** 2
    clustered = precision.clustered_variance(
        finder.lattice,
        finder.columns,
        found.leaves,
        factor=factor,
        seen=EVENTS,
        expected=lambda sums: _level(sums) * sums[REFERENCE],
        modelled=outside,
    )
    history = past.history
    own = np.zeros(len(finder.alive), bool)
    own[found.leaves] = True
    events, around_events = precision.days_of(history, own, finder.alive & ~own, history.value)
    reference = history.at_risk * past.rates[history.leaf]
    usual, around_usual = precision.days_of(history, own, finder.alive & ~own, reference)
    days = precision.own_days(
        events,
        usual * around_events / np.maximum(around_usual, 1e-12),
        around_events,
        per_event=within * (1.0 - rate),
        squared=drift,
        scale=1.0,
        weekday=history.weekday,
        n_period_days=history.n_period_days,
    )
    rest = max(0.0, around - outside)
    return within * days.dispersion, rest * days.dispersion + clustered


def _log_evalue(events: float, at_risk: float, rate: float) -> float:
    """Likelihood ratio averaged over odds ratios fixed in advance."""
    moved = _ODDS * rate / (1.0 - rate + _ODDS * rate)
    llr = events * np.log(moved / rate) + (at_risk - events) * np.log((1.0 - moved) / (1.0 - rate))
    return float(special.logsumexp(llr) - np.log(len(_ODDS)))


def _rate_interval(events: float, at_risk: float, z: float) -> tuple[float, float]:
    """Wilson interval of a rate on effective counts, `z` standard deviations to either side.

    References
    ----------
    Wilson (1927), J. Amer. Statist. Assoc. 22, 209-212.
    """
    rate, n = events / at_risk, at_risk
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - width)), float(min(1.0, centre + width))


def _conclude(
    finder: search.Search,
    leaves: Floats,
    noise: RateNoise,
    segments: tuple[Segment, ...],
    parts: Kitagawa,
    composition: float,
    n_candidates: int,
    alpha: float,
    confidence_level: float,
) -> Attribution:
    """Put the total, the shared factor, the mix and the segments into one verdict."""
    events, at_risk = leaves.sum(axis=1)[[EVENTS, AT_RISK]]
    observed = float(events / at_risk)
    share = alpha * (1.0 - _SHARE_OF_ALPHA_FOR_SEGMENTS) / 2.0
    factor, factor_sd, factor_pvalue = _shared_factor(finder, noise)
    is_broad, is_mix = factor_pvalue <= share, composition <= share
    if is_mix and is_broad:
        is_broad = abs(parts.rate_total) > _SPLIT * abs(parts.change)
    # Segments that hold little of a change of all rates are not where it comes from.
    explained = sum(segment.rate_effect for segment in segments) * np.sign(parts.rate_total)
    names_it = bool(segments) and not (
        is_broad and explained < _LEAST_EXPLAINED * abs(parts.rate_total)
    )
    verdict: Verdict = (
        "localised" if names_it else "broad" if is_broad else "mix" if is_mix else "no_evidence"
    )
    rate_part = parts.rate_total
    if not segments:  # chance alone moves observed rates: what it usually does is not theirs
        usual = observed * float(np.hypot(factor_sd, noise.shared_sd))
        rate_part *= max(0.0, 1.0 - usual**2 / max(rate_part**2, 1e-300))
    z = special.ndtri(0.5 + confidence_level / 2.0)
    usual_mix = abs(parts.mix_total) if composition > 0.05 else 0.0
    sd = np.hypot(
        np.hypot(noise.shared_sd * observed, usual_mix),
        np.sqrt(observed * (1 - observed) / at_risk),
    )
    return Attribution(
        verdict=verdict,
        segments=segments,
        observed=observed,
        expected=observed - parts.change,
        change=parts.change,
        change_lower=float(parts.change - z * sd),
        change_upper=float(parts.change + z * sd),
        pvalue=float(
            2.0 * special.stdtr(noise.degrees_of_freedom, -abs(parts.change) / max(sd, 1e-300))
        ),
        shared_factor=factor,
        shared_factor_lower=factor * float(np.exp(-z * factor_sd)),
        shared_factor_upper=factor * float(np.exp(z * factor_sd)),
        shared_factor_pvalue=factor_pvalue,
        rate_effect=rate_part,
        mix_effect=parts.change - rate_part,
        mix_pvalue=composition,
        n_candidates=n_candidates,
        leads=(),
        notes=_notes(segments, is_mix=is_mix, is_broad=is_broad),
    )


def _shared_factor(finder: search.Search, noise: RateNoise) -> tuple[float, float, float]:
    """Factor on the rates outside the segments, its log standard error, and its p-value against usual days."""
    events, reference, past_events, past_reference = finder.totals[
        [EVENTS, REFERENCE, PAST_EVENTS, PAST_REFERENCE]
    ]
    if reference <= 0 or past_reference <= 0:
        return np.nan, np.nan, 1.0
    factor = (events + 0.5) / (reference * past_events / past_reference + 0.5)
    sd = np.sqrt(1.0 / (events + 0.5) + 1.0 / (past_events + 0.5))
    statistic = abs(np.log(factor)) / np.hypot(sd, noise.shared_sd)
    return (
        float(factor),
        float(sd),
        float(2.0 * special.stdtr(noise.degrees_of_freedom, -statistic)),
    )


def _notes(segments: tuple[Segment, ...], *, is_mix: bool, is_broad: bool) -> tuple[str, ...]:
    """Sentences a reader must know before believing the result."""
    notes = []
    if segments and is_broad:
        notes.append("Rates outside the segments moved too, beyond their usual day-to-day noise.")
    if segments and is_mix:
        notes.append("The mix moved too, beyond its usual day-to-day noise.")
    return tuple(notes)
