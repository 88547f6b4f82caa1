"""What was usual before the period: the rate of every leaf, and how rates wobble."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.leaves import extra_variation
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.attribution.totals import autocorrelation_factor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
PRIOR_EVENTS = 2.0  # events that hold a segment's own level to what its leaves' smoothed rates say
UNTRUSTED_DAYS = 14.0  # of history that say nothing yet about the wobble of single leaves
_LEAST_SHARED_SD = 0.02
_LEAST_FITTED = 0.2  # events a day that a cell needs to show its wobble
_LEAST_LEAVES = 20  # fewer cannot show how much leaves differ
_LEAST_BLOCKS = 6  # with fewer blocks a variance over blocks says nothing
_LEAST_DAYS_FOR_SLOPE = 14
_CLEAR_SLOPE = 3.0  # standard errors
_FAR_DAY = 4.0  # robust standard deviations
_FAR_LOG_RATE = np.log(1.3)  # nobody calls a day an incident whose rate is 30 % off or less


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
    own = 1.0 - fitted / (of_leaf + PRIOR_EVENTS)  # what fitting the leaf's own rate leaves over
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
    if len(seen) < _LEAST_LEAVES or history.n_days <= UNTRUSTED_DAYS:
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
    whole = mean.sum(axis=1, keepdims=True) + PRIOR_EVENTS
    level = (events.sum(axis=1, keepdims=True) + PRIOR_EVENTS) / whole
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
