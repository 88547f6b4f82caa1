"""What did a staged roll-out do, wave by wave and period by period?

Each wave is compared with units not treated (yet), never with units treated earlier: comparing with
those is what makes two-way fixed effects wrong when effects grow or differ between waves.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "Aggregate",
    "GroupTime",
    "aggregate_effects",
    "breakdown_m",
    "early_and_late",
    "group_time_effects",
    "pre_trend_pvalue",
    "simultaneous_critical",
    "two_way_fixed_effects",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupTime:
    """Effects of each wave in each period.

    Attributes
    ----------
    wave, period
        Position in time of the first treated period and of the effect's period, shape ``(m,)``.
    estimate
        Average effect on the treated, shape ``(m,)``.
    influence
        Each unit's pull on each estimate, shape ``(n, m)``.
    start
        Position of each unit's first treated period; inf for never, shape ``(n,)``.
    """

    wave: Integers
    period: Integers
    estimate: Floats
    influence: Floats
    start: Floats

    @property
    def event_time(self) -> Integers:
        """Return periods since the wave's start; negative before it."""
        return self.period - self.wave


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A weighted average of effects.

    Attributes
    ----------
    estimate, standard_error, df
        With degrees of freedom from the waves that carry the variance.
    influence
        Each unit's pull, shape ``(n,)``.
    n_units
        Treated units behind it.
    """

    estimate: float
    standard_error: float
    df: float
    influence: Floats
    n_units: int


def group_time_effects(
    outcomes: Floats, start: Floats, *, control: str = "not_yet_treated"
) -> GroupTime:
    """Compare each wave with units not treated by then, against its last period before treatment.

    Parameters
    ----------
    outcomes
        Balanced panel, shape ``(n, T)``.
    start
        Position of the first treated period of each unit, at least 1; inf for never.
    control
        ``never_treated`` or ``not_yet_treated``.

    Notes
    -----
    Callaway and Sant'Anna (2021, Journal of Econometrics 225, p. 205, eq. 2.6 and 2.8), without
    covariates. Before treatment each period is compared with the one before it. When not to use
    it: units foresaw treatment and changed before it, or treatment ends again.
    """
    n, length = outcomes.shape
    waves = np.unique(start[np.isfinite(start)]).astype(np.int64)
    found: list[tuple[int, int, float]] = []
    pulls: list[Floats] = []
    for wave in waves:
        treated = start == wave
        for period in range(1, length):
            base = wave - 1 if period >= wave else period - 1
            free = np.isinf(start)
            if control == "not_yet_treated":
                free = (start > max(period, base)) & ~treated
            if not free.any():
                continue
            change = outcomes[:, period] - outcomes[:, base]
            pull = np.zeros(n)
            own, other = change[treated].mean(), change[free].mean()
            pull[treated] = (change[treated] - own) * n / treated.sum()
            pull[free] -= (change[free] - other) * n / free.sum()
            found.append((int(wave), period, float(own - other)))
            pulls.append(pull)
    table = np.array(found, dtype=float).reshape(-1, 3)
    influence = np.array(pulls).T if pulls else np.zeros((n, 0))
    return GroupTime(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], influence, start
    )


def aggregate_effects(
    effects: GroupTime,
    chosen: NDArray[np.bool_],
    *,
    cluster: Integers | None = None,
    small_sample: bool = True,
    random_sizes: bool = False,
) -> Aggregate:
    """Average effects, each wave weighted by its number of units.

    Parameters
    ----------
    effects
        From `group_time_effects`.
    chosen
        Which of them to average, shape ``(m,)``.
    cluster
        Index of the group (vendor, region) that was rolled out together; units when None.
    small_sample
        Divide each wave's variance by its size less one, and take degrees of freedom from it.
    random_sizes
        Whether the sizes of waves are themselves a draw (as in surveys), so that the noise of the
        weights is part of the error (Callaway and Sant'Anna 2021, p. 211). Waves of a roll-out
        are planned: the answer is then about these waves.

    Notes
    -----
    Degrees of freedom match the two moments of the sum of the waves' variances, as
    Welch and Satterthwaite do for two groups.
    """
    start = effects.start
    waves, estimates = effects.wave[chosen], effects.estimate[chosen]
    share = np.array([(start == wave).mean() for wave in waves])
    weights = share / share.sum()
    influence = effects.influence[:, chosen] @ weights
    if random_sizes:
        member = (start[:, None] == waves).astype(float) - share
        drift = member / share.sum() - member.sum(axis=1)[:, None] * share / share.sum() ** 2
        influence = influence + drift @ estimates
    error, df = _error(influence, start, cluster, small_sample=small_sample)
    treated = int(np.isin(start, np.unique(waves)).sum())
    return Aggregate(float(weights @ estimates), error, df, influence, treated)


def early_and_late(
    effects: GroupTime, *, cluster: Integers | None = None
) -> tuple[Aggregate, Aggregate, Aggregate] | None:
    """Average the first and the last third of each wave's treated periods; return them and their difference.

    Parameters
    ----------
    effects
        From `group_time_effects`.
    cluster
        As for `aggregate_effects`.

    Returns
    -------
    early, late, late minus early
        None when no wave has four treated periods.

    Notes
    -----
    Early and late hold the same waves with the same weights, so that a difference is one of time
    and not of who was treated when. Thirds have at least two periods.
    """
    early, late = np.zeros(effects.estimate.size), np.zeros(effects.estimate.size)
    for wave in np.unique(effects.wave):
        own = np.flatnonzero((effects.wave == wave) & (effects.event_time >= 0))
        if own.size < 4:
            continue
        size, n = max(own.size // 3, 2), float((effects.start == wave).sum())
        early[own[:size]], late[own[-size:]] = n / size, n / size
    if not early.any():
        return None
    total = early.sum()
    first, last = early / total, late / total
    return (
        _weighted(effects, first, cluster),
        _weighted(effects, last, cluster),
        _weighted(effects, last - first, cluster),
    )


def _weighted(effects: GroupTime, weights: Floats, cluster: Integers | None) -> Aggregate:
    influence = effects.influence @ weights
    error, df = _error(influence, effects.start, cluster, small_sample=True)
    treated = int(np.isin(effects.start, np.unique(effects.wave[weights != 0])).sum())
    return Aggregate(float(weights @ effects.estimate), error, df, influence, treated)


def pre_trend_pvalue(
    effects: GroupTime, *, cluster: Integers | None = None, rng: np.random.Generator
) -> tuple[float, int]:
    """Test that all differences before treatment are zero; return also how many there were.

    Notes
    -----
    A joint Wald test when units are many. With fewer than five units per difference its error rate
    breaks down, and the largest of several t values (every event time, and the average drift per
    period) is compared with its own simulated distribution instead (Montiel Olea and
    Plagborg-Møller 2019, Journal of Applied Econometrics 34, p. 1).
    """
    before = effects.event_time < 0
    n, cells = effects.start.size, int(before.sum())
    if cells == 0:
        return math.nan, 0
    if cluster is None and n >= 5 * cells:
        covariance = effects.influence[:, before].T @ effects.influence[:, before] / n**2
        values = effects.estimate[before]
        statistic = float(values @ np.linalg.pinv(covariance) @ values)
        return float(special.chdtrc(cells, statistic)), cells
    averages = [
        aggregate_effects(effects, effects.event_time == event, cluster=cluster)
        for event in np.unique(effects.event_time[before])
    ]
    averages.append(aggregate_effects(effects, before, cluster=cluster))
    usable = [a for a in averages if a.standard_error > 0]
    if not usable:
        return math.nan, cells
    largest = max(
        -float(special.ndtri(max(special.stdtr(a.df, -abs(a.estimate / a.standard_error)), 1e-300)))
        for a in usable
    )
    draws = _largest_draws([a.influence for a in usable], cluster, rng)
    return float((1 + np.count_nonzero(draws >= largest)) / (1 + draws.size)), cells


def simultaneous_critical(
    aggregates: list[Aggregate],
    alpha: float,
    *,
    cluster: Integers | None = None,
    rng: np.random.Generator,
) -> float:
    """Return the normal critical value with which all intervals hold at once."""
    draws = _largest_draws([a.influence for a in aggregates if a.standard_error > 0], cluster, rng)
    return max(float(np.quantile(draws, 1 - alpha)), -float(special.ndtri(alpha / 2)))


def breakdown_m(effects: GroupTime, overall: Aggregate, critical: float) -> float:
    """Return how large a drift, in units of the largest step before treatment, hides the effect.

    Notes
    -----
    A drift of M times the largest period-to-period difference seen before treatment shifts the
    effect of event time e by at most (e + 1) M of it (relative magnitudes; Rambachan and Roth 2023,
    Review of Economic Studies 90, p. 2563). The largest step is taken as estimated, noise
    included, which makes the value cautious; event times of fewer than half of the treated units are
    left out, because their steps are mostly noise. The `did` extra offers their full procedure.
    """
    before = effects.event_time < 0
    after = ~before
    if not before.any():
        return math.nan
    parts = [
        aggregate_effects(effects, effects.event_time == event)
        for event in np.unique(effects.event_time[before])
    ]
    most = max(part.n_units for part in parts)
    steps = [abs(part.estimate) for part in parts if 2 * part.n_units >= most]
    share = np.array([(effects.start == wave).sum() for wave in effects.wave[after]], dtype=float)
    lag = float(np.average(effects.event_time[after] + 1, weights=share))
    left = abs(overall.estimate) - critical * overall.standard_error
    return max(left, 0.0) / (lag * max(steps)) if max(steps) > 0 else math.inf


def two_way_fixed_effects(
    outcomes: Floats, start: Floats, *, weights: Floats | None = None
) -> tuple[float, float]:
    """Regress on unit and period effects; a contrast only, wrong when effects differ or grow.

    Parameters
    ----------
    outcomes, start
        As for `group_time_effects`.
    weights
        Of each cell, such as populations, shape ``(n, T)``; all alike when None.

    Returns
    -------
    slope, standard_error
        The error is clustered by unit.

    References
    ----------
    Goodman-Bacon (2021), Journal of Econometrics 225, p. 254.
    """
    n, length = outcomes.shape
    treated = (np.arange(length) >= start[:, None]).astype(float)
    d, y = (_without_unit_and_period(x, weights) for x in (treated, outcomes))
    w = np.ones_like(y) if weights is None else weights
    power = float((w * d * d).sum())
    if power <= 1e-12 * float((w * treated).sum()):
        return math.nan, math.nan
    slope = float((w * d * y).sum()) / power
    score = (w * (y - slope * d) * d).sum(axis=1)
    return slope, math.sqrt(n / (n - 1) * float(score @ score)) / power


def _without_unit_and_period(x: Floats, weights: Floats | None) -> Floats:
    """Return what unit and period effects leave of a panel."""
    if weights is None:
        return np.asarray(x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean())
    n, length = x.shape
    dummies = np.hstack([np.repeat(np.eye(n), length, axis=0), np.tile(np.eye(length), (n, 1))])
    root = np.sqrt(weights).ravel()
    effects = np.linalg.lstsq(dummies * root[:, None], x.ravel() * root, rcond=None)[0]
    return x - (dummies @ effects).reshape(n, length)


def _error(
    influence: Floats, start: Floats, cluster: Integers | None, *, small_sample: bool
) -> tuple[float, float]:
    """Return the standard error and its degrees of freedom.

    Within a wave, groups share its mean: each squared sum is divided by one less the group's share
    of the wave (CR2 of Bell and McCaffrey 2002, Survey Methodology 28, p. 173, for a mean).
    """
    n = influence.size
    if not small_sample and cluster is None:
        return math.sqrt(float(influence @ influence)) / n, math.inf
    group = np.arange(n) if cluster is None else cluster
    sums, size = np.bincount(group, weights=influence), np.bincount(group)
    wave = np.full(size.size, -1.0)
    wave[group] = start
    if not np.array_equal(wave[group], start):  # a group in several waves is no draw of any wave
        n_groups = int(np.count_nonzero(size))
        return math.sqrt(n_groups / max(n_groups - 1, 1) * float(sums @ sums)) / n, max(
            n_groups - 1.0, 1.0
        )
    variance, spread = 0.0, 0.0
    for own in (wave == one for one in np.unique(start)):
        share = size[own] / size[own].sum()
        if own.sum() < 2 or not sums[own].any():
            continue
        part = float((sums[own] ** 2 / (1 - share)).sum())
        variance, spread = variance + part, spread + part**2 / (float(own.sum()) - 1)
    df = variance**2 / spread if spread > 0 else math.nan
    return math.sqrt(variance) / n, df


def _largest_draws(
    influences: list[Floats], cluster: Integers | None, rng: np.random.Generator, n: int = 4000
) -> Floats:
    """Draw the largest of correlated normal statistics."""
    matrix = np.array(influences).T
    if cluster is not None:
        sums = np.zeros((int(cluster.max()) + 1, matrix.shape[1]))
        np.add.at(sums, cluster, matrix)
        matrix = sums
    covariance = matrix.T @ matrix
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(correlation)
    half = vectors * np.sqrt(np.maximum(values, 0))
    return np.abs(rng.standard_normal((n, scale.size)) @ half.T).max(axis=1)
