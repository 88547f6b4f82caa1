"""How much of the last days has arrived, and what will they come to?

Counts of recent days are incomplete when reports arrive late. From how long earlier events
took, the share arrived after each delay is estimated, and recent days are scaled up, with
the uncertainty of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rcakit.stats.negative_binomial import quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Completeness:
    """Share of a day's events that has arrived, by the days since."""

    share: Floats  # (L + 1,) arrived within 0, 1, ..., L days; the last is 1
    share_se: Floats  # (L + 1,) standard error
    dispersion: float  # scatter of arrivals over binomial scatter, at least 1
    n_events: int  # events the curve rests on

    def at(self, age_days: ArrayLike) -> tuple[Floats, Floats]:
        """Share and its standard error for days of these ages; complete beyond the last."""
        age = np.minimum(np.asarray(age_days, dtype=np.intp), len(self.share) - 1)
        return self.share[age], self.share_se[age]


@dataclass(frozen=True, slots=True)
class Nowcast:
    """What recent days will have counted once everything has arrived."""

    expected: Floats  # (D,)
    lower: Floats  # (D,)
    upper: Floats  # (D,)
    share: Floats  # (D,) arrived so far


def delay_triangle(
    event_day: ArrayLike, arrival_day: ArrayLike, *, first: int, as_of: int, max_delay: int
) -> Floats:
    """Count events by day of event and days until arrival.

    Parameters
    ----------
    event_day, arrival_day
        Day numbers, one per event, shape (E,). Arrivals before the event count as delay 0.
    first, as_of
        First event day, and the last day whose arrivals are known (all of it).
    max_delay
        Longest delay told apart; later arrivals are counted as of this delay.

    Returns
    -------
    Floats
        Shape (as_of - first + 1, max_delay + 1), nan where not yet known.

    Examples
    --------
    >>> delay_triangle([0, 0, 1], [0, 1, 1], first=0, as_of=1, max_delay=1)
    array([[ 1.,  1.],
           [ 1., nan]])
    """
    event = np.asarray(event_day, dtype=np.intp) - first
    delay = np.clip(np.asarray(arrival_day, dtype=np.intp) - first - event, 0, max_delay)
    arrived = np.asarray(arrival_day, dtype=np.intp) <= as_of
    n_days = as_of - first + 1
    kept = arrived & (event >= 0) & (event < n_days)
    triangle = np.zeros((n_days, max_delay + 1))
    np.add.at(triangle, (event[kept], delay[kept]), 1)
    age = n_days - 1 - np.arange(n_days)
    return np.where(np.arange(max_delay + 1) <= age[:, None], triangle, np.nan)


def estimate_completeness(triangle: ArrayLike, *, recent_days: int | None = None) -> Completeness:
    """Estimate the share arrived by delay, using days that are still incomplete too.

    Parameters
    ----------
    triangle
        From `delay_triangle`.
    recent_days
        For each delay use only so many of the latest days that have reached it; `None` uses
        all. Shorter follows a delay that changes, longer is steadier.

    Returns
    -------
    Completeness

    Notes
    -----
    Run backwards in time, the hazard of delay l is the share with delay l among those
    arrived within l days; days need not be complete to tell it [1]_. The share arrived
    within l is the product of one minus the later hazards, and its variance follows
    Greenwood's formula in reverse [2]_, times the dispersion of arrivals between days.

    Assumes that no event takes longer than the last delay, and that recent events arrive
    like earlier ones. Where weekends hold arrivals back, estimate weekdays apart.

    References
    ----------
    .. [1] Kalbfleisch & Lawless (1991). Regression models for right truncated data with
       applications to AIDS incubation times and reporting lags. Statistica Sinica 1, 19-32.
    .. [2] Lawless (1994). Adjustments for reporting delays and the prediction of occurred but
       not reported events. Canadian J. Statistics 22, 15-31, section 3.
    """
    cells = np.asarray(triangle, dtype=np.float64)
    known = np.isfinite(cells)
    if recent_days is not None:
        from_last = np.cumsum(known[::-1], axis=0)[::-1]
        known &= from_last <= recent_days
    arrived = np.where(known, cells, 0.0)
    within = np.where(known, np.cumsum(np.nan_to_num(cells), axis=1), 0.0)
    at_risk = within.sum(axis=0)
    hazard = arrived.sum(axis=0) / np.maximum(at_risk, 1.0)
    hazard[0] = 1.0  # everything that arrived within 0 days arrived on day 0
    phi = _arrival_dispersion(arrived, within, hazard)
    later = np.append(hazard[1:], 0.0)
    share = np.cumprod((1 - later)[::-1])[::-1]
    terms = later / (np.maximum(1 - later, 1e-9) * np.maximum(np.append(at_risk[1:], 1.0), 1.0))
    error = share * np.sqrt(phi * np.cumsum(terms[::-1])[::-1])
    return Completeness(share, error, phi, int(np.nan_to_num(cells).sum()))


def _arrival_dispersion(arrived: Floats, within: Floats, hazard: Floats) -> float:
    """Pearson statistic of arrivals given the hazard, per degree of freedom, at least 1."""
    expected = within[:, 1:] * hazard[1:]
    variance = expected * (1 - hazard[1:])
    # Cells that expect less than a count would dominate the statistic by their skewness.
    use = variance > 0.5
    pearson = ((arrived[:, 1:] - expected)[use] ** 2 / variance[use]).sum()
    return float(max(1.0, pearson / max(use.sum() - len(hazard) + 1, 1)))


def nowcast(
    observed: ArrayLike,
    age_days: ArrayLike,
    completeness: Completeness,
    *,
    confidence_level: float = 0.95,
) -> Nowcast:
    """Scale counts seen so far up to what they will come to, with prediction intervals.

    Parameters
    ----------
    observed
        Counts arrived so far, shape (D,).
    age_days
        Days since each event day; 0 is today.
    completeness
        From `estimate_completeness`.
    confidence_level
        Of the intervals.

    Returns
    -------
    Nowcast

    Notes
    -----
    With share F arrived and a flat prior on the total, the events still to come are negative
    binomial with size n + 1 and success probability F [1]_; dispersion of arrivals and the
    error of F widen that law by the delta method. Days with next to nothing arrived get very
    wide intervals: leave them out of comparisons rather than trust them.

    References
    ----------
    .. [1] Lawless (1994). Canadian J. Statistics 22, 15-31, section 4 (prediction of events
       not yet reported).
    """
    n = np.asarray(observed, dtype=np.float64)
    share, error = completeness.at(age_days)
    share = np.maximum(share, 1e-6)
    size = n + 1
    missing = size * (1 - share) / share
    variance = completeness.dispersion * missing / share + (size * error / share**2) ** 2
    tail = (1 - confidence_level) / 2
    open_days = missing > 1e-9
    lower, upper = n.copy(), n.copy()
    cells = missing[open_days], np.maximum(variance, missing)[open_days]
    lower[open_days] += np.maximum(quantile(tail, *cells), 0)
    upper[open_days] += quantile(1 - tail, *cells)
    return Nowcast(n + np.where(open_days, n * (1 - share) / share, 0), lower, upper, share)
