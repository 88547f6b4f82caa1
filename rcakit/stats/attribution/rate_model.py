"""Quasi-binomial events of segments, given their numbers at risk, against everything outside them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution import evidence
from rcakit.stats.attribution.model import (
    SCREEN,
    TAIL_GAIN,
    Evaluation,
    common_factor,
    keep_near,
    weighted_llr,
)
from rcakit.stats.attribution.rate_noise import PRIOR_EVENTS, RateNoise
from rcakit.stats.attribution.sums import sum_by

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_HIGHEST_RATE = 0.8  # per event; as far as it decides between a longer and a shorter description
_LEAST_FACTOR = 0.5  # of all rates, as far as it decides which groups could be significant
_HIGHEST_FITTED = 0.995
_RATE_BAND = 0.05  # on the log-odds scale; leaves closer than this have one rate
_SHARES = np.linspace(0.005, 0.95, 40)  # of those without an event that get one
_STEPS = (np.arange(-39, 40) * 0.1, np.arange(-10, 11) * 0.01)  # of a log factor: coarse, then fine
EVENTS, AT_RISK, REFERENCE, PAST_EVENTS, PAST_REFERENCE, SQUARES, SPREAD = range(
    7
)  # rows of the lattice's sums


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

    expected_row: ClassVar[int] = REFERENCE
    weighted_rows: ClassVar[tuple[int, int]] = (EVENTS, REFERENCE)

    noise: RateNoise
    segment: Floats
    values: tuple[slice, ...]

    def moved(self, sums: Floats) -> tuple[Floats, Floats]:
        """Weighted sums: seen, and expected but for a factor."""
        return sums[EVENTS], level_of(sums) * sums[REFERENCE]

    def evaluate(self, sums: Floats, totals: Floats, log_weight: Floats) -> Evaluation:
        """Compare each group's events with those expected from its own past and the outside's factor.

        The expectation is what the leaves' smoothed rates give on the period's numbers at risk, times the
        group's own past ratio of events to that reference: a change of mix inside the group moves it, and
        smoothing does not bias it.
        """
        level = level_of(sums)
        usual = common_factor(sums[EVENTS], level * sums[REFERENCE], self.values)
        factor = keep_near(_outside_factor(sums, totals), usual, n_events=float(totals[EVENTS]))
        at_risk = binomial_size(sums)
        mean = np.minimum(factor * level * sums[REFERENCE], 0.999 * at_risk)
        rate = mean / at_risk
        binomial = np.maximum(mean * (1.0 - rate), 1e-12)
        within, around = self._variances(sums, totals, mean, factor, binomial)
        variance = within * binomial + mean**2 * around
        inflation = np.maximum(1.0, variance / binomial)
        events = sums[EVENTS]
        alive = np.flatnonzero((events - mean) ** 2 > SCREEN * variance)
        llr, log_qvalue = np.zeros(len(mean)), np.zeros(len(mean))
        # Adds up over parts of a group, which a binomial of unlike leaves does not; one scale for all.
        spared = 1.0 - min(float(totals[SQUARES] / max(totals[REFERENCE], 1e-12)), _HIGHEST_RATE)
        llr[alive] = weighted_llr(events[alive], mean[alive]) / spared
        evidence_of = binomial_llr(events[alive], at_risk[alive], rate[alive])
        hopeful = alive[evidence_of / inflation[alive] > log_weight[alive] - TAIL_GAIN]
        log_tail = _mixed_log_tail(
            *(part[hopeful] for part in (events, at_risk, rate, within, around))
        )
        log_qvalue[hopeful] = np.minimum(0.0, log_tail + log_weight[hopeful])
        score = np.full(len(mean), -np.inf)
        score[alive] = llr[alive] - log_weight[alive]
        return Evaluation(mean, inflation, log_qvalue, llr, score)

    def _variances(
        self, sums: Floats, totals: Floats, mean: Floats, factor: Floats, binomial: Floats
    ) -> tuple[Floats, Floats]:
        """Variance of events given their mean over that of a binomial, and squared variation of the mean."""
        share = sums[REFERENCE] / np.maximum(totals[REFERENCE], 1e-12)
        outside = 1.0 / np.maximum(factor * (totals[REFERENCE] - sums[REFERENCE]), 1e-12)
        drift = self.segment / np.maximum(1.0 - share, 1e-6) ** 2
        within = np.maximum(1.0 + factor * sums[SPREAD] / binomial, 1e-3)
        known = within * binomial / np.maximum(mean, 1e-12) / (sums[PAST_EVENTS] + PRIOR_EVENTS)
        return within, known + outside + drift

    def gain_of_rest(
        self, child: Floats, rest: Floats, evaluation: Evaluation, group: int
    ) -> float:
        """Nats by which the rest of a parent fits the child's odds ratio better than no change."""
        mean = float(level_of(rest[:, None])[0] * rest[REFERENCE])
        factor = float(
            evaluation.mean[group] / max(level_of(child[:, None])[0] * child[REFERENCE], 1e-12)
        )
        at_risk, at_risk_of_child = binomial_size(np.column_stack([rest, child]))
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


def level_of(sums: Floats) -> Floats:
    """A group's past events over the reference its leaves gave, held to one by a few events."""
    return (sums[PAST_EVENTS] + PRIOR_EVENTS) / (sums[PAST_REFERENCE] + PRIOR_EVENTS)


def reachable(sums: Floats) -> Floats:
    """Nats a group could show at most: every one at risk an event, or none."""
    at_risk = np.maximum(sums[AT_RISK], 1e-12)
    rate = np.clip(level_of(sums) * sums[REFERENCE] / at_risk, 1e-9, 1.0 - 1e-9)
    return at_risk * np.maximum(-np.log(_LEAST_FACTOR * rate), -np.log1p(-rate))


def binomial_size(sums: Floats) -> Floats:
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


def distance_from_past(sums: Floats) -> Floats:
    """Log-likelihood ratio of each group's rate against its own past, on the side where most of them moved."""
    at_risk = binomial_size(sums)
    mean = np.minimum(level_of(sums) * sums[REFERENCE], 0.999 * at_risk)
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
