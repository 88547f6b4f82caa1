"""How long do things take, when some have not ended yet?"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit.stats.proportions import normal_quantile

__all__ = [
    "Curve",
    "at_time",
    "concordance",
    "cox",
    "kaplan_meier",
    "log_rank",
    "quantile",
    "restricted_mean",
]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curve:
    """A survival curve: one value per different duration with an event."""

    at: Floats
    n_at_risk: Floats
    n_events: Floats
    survival: Floats
    variance: Floats  # Greenwood's sum: variance of log survival
    last: float  # longest duration observed, ended or not


def kaplan_meier(duration: Floats, observed: Flags) -> Curve:
    """Return the share still open after each duration.

    Parameters
    ----------
    duration
        Time until the event, or until observation stopped, shape ``(n,)``.
    observed
        Whether the event happened; False while the case is still open.

    References
    ----------
    Kaplan and Meier (1958), JASA 53, p. 457; Greenwood (1926), Reports on Public Health 33, p. 1.
    """
    order = np.argsort(duration, kind="stable")
    times, events = duration[order], observed[order]
    different, first = np.unique(times, return_index=True)
    n_events = np.add.reduceat(events.astype(np.float64), first)
    n_at_risk = (times.size - first).astype(np.float64)
    some = n_events > 0
    n_events, n_at_risk, different = n_events[some], n_at_risk[some], different[some]
    survival = np.cumprod(1 - n_events / n_at_risk).astype(np.float64)
    with np.errstate(divide="ignore"):
        variance = np.cumsum(n_events / (n_at_risk * (n_at_risk - n_events)))
    return Curve(different, n_at_risk, n_events, survival, variance, float(times[-1]))


def at_time(
    curve: Curve, time: npt.ArrayLike, *, confidence_level: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Return the share still open at given times, with log-log intervals; nan beyond the data.

    References
    ----------
    Kalbfleisch and Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd ed., p. 18.
    """
    wanted = np.atleast_1d(np.asarray(time, dtype=np.float64))
    place = np.searchsorted(curve.at, wanted, side="right") - 1
    survival = np.where(place >= 0, np.r_[curve.survival, 1.0][place], 1.0)
    variance = np.where(place >= 0, np.r_[curve.variance, 0.0][place], 0.0)
    low, high = _log_log(survival, variance, confidence_level)
    beyond = (wanted > curve.last) & (survival > 0)
    return tuple(np.where(beyond, np.nan, part) for part in (survival, low, high))  # type: ignore[return-value]


def quantile(
    curve: Curve, share: float, *, confidence_level: float = 0.95
) -> tuple[float, float, float]:
    """Return when a share of cases has ended, with its interval; nan (or inf) if not reached.

    References
    ----------
    Brookmeyer and Crowley (1982), Biometrics 38, p. 29.
    """
    low, high = _log_log(curve.survival, curve.variance, confidence_level)
    open_share = 1 - share

    def first(values: Floats) -> float:
        reached = np.flatnonzero(values <= open_share + 1e-12)
        return float(curve.at[reached[0]]) if reached.size else math.inf

    estimate = first(curve.survival)
    return (estimate if math.isfinite(estimate) else math.nan), first(low), first(high)


def restricted_mean(curve: Curve, horizon: float) -> tuple[float, float]:
    """Return the mean time open within a horizon, and its standard error.

    References
    ----------
    Klein and Moeschberger (2003), Survival Analysis, 2nd ed., p. 118.
    """
    inside = curve.at < horizon
    times = np.r_[0.0, curve.at[inside], horizon]
    heights = np.r_[1.0, curve.survival[inside]]
    areas = heights * np.diff(times)
    mean = float(areas.sum())
    after = np.cumsum(areas[::-1])[::-1][1:]  # area from each event time on
    risk, events = curve.n_at_risk[inside], curve.n_events[inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(risk > events, after**2 * events / (risk * (risk - events)), 0.0)
    n_events = events.sum()
    factor = n_events / (n_events - 1) if n_events > 1 else 1.0
    return mean, math.sqrt(float(parts.sum()) * factor)


def log_rank(duration: Floats, observed: Flags, group: Ints) -> tuple[float, int, float]:
    """Return chi-square, degrees of freedom and p-value of "all groups take equally long".

    Parameters
    ----------
    duration, observed
        As for `kaplan_meier`.
    group
        Number of the group of each case, from 0.

    References
    ----------
    Mantel (1966), Cancer Chemother. Rep. 50, p. 163; Klein and Moeschberger (2003), p. 206.
    """
    n_groups = int(group.max()) + 1
    times = np.unique(duration[observed])
    at_risk = np.empty((times.size, n_groups))
    events = np.empty((times.size, n_groups))
    for k in range(n_groups):
        mine = np.sort(duration[group == k])
        at_risk[:, k] = mine.size - np.searchsorted(mine, times, side="left")
        ended = duration[(group == k) & observed]
        events[:, k] = np.bincount(np.searchsorted(times, ended), minlength=times.size)
    total, dead = at_risk.sum(axis=1), events.sum(axis=1)
    share = at_risk / total[:, None]
    gap = (events - dead[:, None] * share).sum(axis=0)[:-1]
    scale = np.where(total > 1, dead * (total - dead) / np.maximum(total - 1, 1), 0.0)
    spread = np.einsum("t,tk,tl->kl", -scale, share, share) + np.diag(scale @ share)
    spread = spread[:-1, :-1]
    solution, _, rank, _ = np.linalg.lstsq(spread, gap, rcond=None)
    statistic = float(gap @ solution)
    return statistic, int(rank), float(special.chdtrc(rank, statistic)) if rank else math.nan


def cox(
    duration: Floats, observed: Flags, columns: Floats, *, max_steps: int = 30
) -> tuple[Floats, Floats]:
    """Return log hazard ratios of a Cox model and their standard errors; nan where none exist.

    Parameters
    ----------
    duration, observed
        As for `kaplan_meier`.
    columns
        Covariates without intercept, shape ``(n, k)``.

    Notes
    -----
    Ties as Efron. Risk sets are cumulative sums from the longest duration down, so that a step
    costs one pass over the rows, whatever the number of events.

    References
    ----------
    Cox (1972), J. R. Stat. Soc. B 34, p. 187; Efron (1977), JASA 72, p. 557.
    """
    order = np.argsort(-duration, kind="stable")
    time, ended, x = duration[order], observed[order], columns[order]
    scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    x = (x - x.mean(axis=0)) / scale
    slope = np.zeros(x.shape[1])
    last = -np.inf
    for _ in range(max_steps):
        likelihood, gradient, information = _cox_step(time, ended, x, slope)
        try:
            move = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        if float(gradient @ move) < 1e-10:
            return slope / scale, np.sqrt(np.diag(np.linalg.inv(information))) / scale
        if likelihood < last:
            move = move / 4
        last = likelihood
        slope = slope + np.clip(move, -2, 2)
    unknown = np.full(x.shape[1], np.nan)
    return unknown, unknown


def _cox_step(time: Floats, ended: Flags, x: Floats, slope: Floats) -> tuple[float, Floats, Floats]:
    """Return log likelihood, gradient and information; rows come longest first."""
    risk = np.exp(np.clip(x @ slope, -500, 500))
    weighted = x * risk[:, None]
    events = np.flatnonzero(ended)
    # equal times are neighbours: where does each event's tie begin, and where its risk set end?
    starts = np.searchsorted(-time, -time[events], side="left")
    stops = np.searchsorted(-time, -time[events], side="right")
    _, tie, size = np.unique(starts, return_inverse=True, return_counts=True)
    first = np.searchsorted(tie, np.arange(size.size))
    fraction = (np.arange(events.size) - first[tie]) / size[tie]
    at_risk = np.cumsum(risk)[stops - 1]
    dying = np.bincount(tie, risk[events])[tie]
    level = at_risk - fraction * dying
    sums = np.cumsum(weighted, axis=0)[stops - 1]
    dying_sums = np.stack(
        [np.bincount(tie, weighted[events, k]) for k in range(x.shape[1])], axis=1
    )[tie]
    mean = (sums - fraction[:, None] * dying_sums) / level[:, None]
    share = np.zeros(time.size + 1)
    np.add.at(share, stops - 1, 1 / level)  # every row up to `stops` was at risk then
    weight = np.cumsum(share[:-1][::-1])[::-1] * risk
    weight[events] -= np.bincount(tie, fraction / level)[tie] * risk[events]
    gradient = x[events].sum(axis=0) - mean.sum(axis=0)
    information = (x * weight[:, None]).T @ x - mean.T @ mean
    likelihood = float(np.sum(x[events] @ slope) - np.sum(np.log(level)))
    return likelihood, gradient, information


def concordance(duration: Floats, observed: Flags, risk: Floats, *, largest: int = 5000) -> float:
    """Return the share of comparable pairs in which the higher risk ended first.

    Above ``largest`` cases, evenly spaced ones stand for all.

    References
    ----------
    Harrell, Lee and Mark (1996), Stat. Med. 15, p. 370.
    """
    step = max(1, -(-duration.size // largest))
    time, ended, score = duration[::step], observed[::step], risk[::step]
    right = pairs = 0.0
    for i in np.flatnonzero(ended):
        # a case still open at the very time this one ended took longer
        later = (time > time[i]) | ((time == time[i]) & ~ended)
        pairs += later.sum()
        right += (score[later] < score[i]).sum() + 0.5 * (score[later] == score[i]).sum()
    return float(right / pairs) if pairs else math.nan


def _log_log(survival: Floats, variance: Floats, confidence_level: float) -> tuple[Floats, Floats]:
    z = normal_quantile(confidence_level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = np.log(survival)
        width = np.exp(z * np.sqrt(variance) / np.abs(log))
        low, high = survival**width, survival ** (1 / width)
    edge = (survival >= 1) | (survival <= 0)
    return np.where(edge, survival, low), np.where(edge, survival, high)
