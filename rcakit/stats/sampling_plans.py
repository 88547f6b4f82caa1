"""How many cases must be checked, which ones, and what do they say about all?"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit.stats.proportions import normal_quantile, wilson

__all__ = [
    "AcceptancePlan",
    "acceptance_plan",
    "allocate",
    "operating_characteristic",
    "size_to_compare",
    "size_to_estimate",
    "weighted_share",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LARGEST_PLAN = 20_000


@dataclass(frozen=True, slots=True)
class AcceptancePlan:
    """Check ``n_sample`` cases; accept with at most ``acceptance_number`` errors."""

    n_sample: int
    acceptance_number: int
    producer_risk: float
    consumer_risk: float


def size_to_estimate(
    share: float, margin: float, *, population: float = math.inf, confidence_level: float = 0.95
) -> int:
    """Return the smallest sample whose Wilson interval is at most ``2 * margin`` wide.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., p. 75, with Wilson's interval instead of the
    normal one, which is too short near 0 and 1; finite population as p. 76.
    """
    low, high = 1, 2
    while _wilson_width(share, high, confidence_level) > 2 * margin:
        high *= 2
    while low < high:
        middle = (low + high) // 2
        too_wide = _wilson_width(share, middle, confidence_level) > 2 * margin
        low, high = (middle + 1, high) if too_wide else (low, middle)
    if not math.isfinite(population):
        return low
    return min(int(population), math.ceil(low / (1 + (low - 1) / population)))


def size_to_compare(
    share: float, difference: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the cases per group that find a difference of two shares, two-sided.

    References
    ----------
    Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, 3rd ed., p. 72.
    """
    other = share + difference if share + difference <= 1 else share - difference
    mean = (share + other) / 2
    z_alpha, z_power = normal_quantile(1 - alpha), float(special.ndtri(power))
    root = z_alpha * math.sqrt(2 * mean * (1 - mean)) + z_power * math.sqrt(
        share * (1 - share) + other * (1 - other)
    )
    return math.ceil((root / difference) ** 2)


def allocate(n_sample: int, population: Floats, share: Floats, *, minimum: int = 2) -> Ints:
    """Spread a sample over strata so that the overall share is known best (Neyman).

    Parameters
    ----------
    n_sample
        Cases to check in all.
    population, share
        Cases and expected share per stratum.
    minimum
        Cases to check in every stratum at least, so that each has an interval.

    References
    ----------
    Neyman (1934), J. R. Stat. Soc. 97, p. 580; Cochran (1977), p. 98.
    """
    floor = np.minimum(minimum, population)
    sizes = floor.astype(np.float64)
    need = population * np.sqrt(np.maximum(share * (1 - share), 0.0025))
    free = np.ones(population.shape, dtype=np.bool_)
    while free.any():
        left = n_sample - sizes[~free].sum()
        wished = left * need / need[free].sum()
        low = free & (wished < floor)
        high = free & (wished > population)
        if not (low.any() or high.any()):
            sizes[free] = wished[free]
            break
        bound = high if high.any() else low
        sizes[bound] = population[bound] if high.any() else floor[bound]
        free &= ~bound
    return np.minimum(np.ceil(sizes - 1e-9), population).astype(np.int64)


def operating_characteristic(plan: AcceptancePlan, error_rate: npt.ArrayLike) -> Floats:
    """Return the chance that a lot with these error rates is accepted.

    References
    ----------
    Montgomery (2013), Introduction to Statistical Quality Control, 7th ed., p. 657.
    """
    rate = np.asarray(error_rate, dtype=np.float64)
    return np.asarray(special.bdtr(plan.acceptance_number, plan.n_sample, rate))


def acceptance_plan(
    acceptable: float, rejectable: float, *, producer_risk: float, consumer_risk: float
) -> AcceptancePlan | None:
    """Return the smallest single-sampling plan that keeps both risks; None if none is feasible.

    Parameters
    ----------
    acceptable, rejectable
        Error rates of work that should pass, and that should not.
    producer_risk, consumer_risk
        Chance of rejecting the first and of accepting the second.

    References
    ----------
    Guenther (1969), J. Quality Technology 1, p. 82; Montgomery (2013), p. 660.
    """
    number = 0
    n_sample = 1
    while n_sample <= _LARGEST_PLAN:
        n_sample = _smallest(number, rejectable, consumer_risk, start=n_sample)
        accepted = float(special.bdtr(number, n_sample, acceptable))
        if accepted >= 1 - producer_risk:
            missed = float(special.bdtr(number, n_sample, rejectable))
            return AcceptancePlan(n_sample, number, 1 - accepted, missed)
        number += 1
    return None


def weighted_share(
    is_case: Floats,
    weight: Floats,
    stratum: Ints,
    *,
    population: Floats | None = None,
    confidence_level: float = 0.95,
) -> tuple[float, float, float, float]:
    """Return a weighted share with its interval and the effective sample size.

    Parameters
    ----------
    is_case, weight, stratum
        Per checked case: 0 or 1, how many cases it stands for, stratum from 0.
    population
        Cases per stratum, where known: strata then count by it, and what was checked is known for
        certain (finite population).
    confidence_level
        Of the interval.

    Returns
    -------
    estimate, ci_lower, ci_upper, n_effective

    Notes
    -----
    Stratified ratio estimate with linearised variance; Wilson's interval at the effective sample
    size, so that it stays inside 0 to 1 and does not collapse when no error was found.

    References
    ----------
    Cochran (1977), p. 142; Korn and Graubard (1998), Survey Methodology 24, p. 193.
    """
    n_strata = int(stratum.max()) + 1
    checked = np.bincount(stratum, minlength=n_strata).astype(np.float64)
    if population is not None:
        inside = np.bincount(stratum, weight, minlength=n_strata)
        weight = weight * (population / np.maximum(inside, 1e-12))[stratum]
    total = weight.sum()
    estimate = float(weight @ is_case / total)
    residual = weight * (is_case - estimate) / total
    mean = np.bincount(stratum, residual, minlength=n_strata) / np.maximum(checked, 1)
    square = np.bincount(stratum, (residual - mean[stratum]) ** 2, minlength=n_strata)
    left = np.ones(n_strata) if population is None else np.clip(1 - checked / population, 0, 1)
    factor = np.where(checked > 1, checked / np.maximum(checked - 1, 1), 1.0)
    variance = float(np.sum(left * factor * square))
    kish = float(total**2 / np.sum(weight**2))
    spread = estimate * (1 - estimate)
    n_effective = spread / variance if variance > 0 and spread > 0 else kish
    # no better than the weights allow: few errors make the variance itself unsure
    n_effective = min(n_effective, 2 * float(checked.sum())) if population is None else n_effective
    low, high = wilson(estimate * n_effective, n_effective, confidence_level=confidence_level)
    return estimate, float(low), float(high), n_effective


def _wilson_width(share: float, n_obs: int, confidence_level: float) -> float:
    low, high = wilson(share * n_obs, n_obs, confidence_level=confidence_level)
    return float(high - low)


def _smallest(number: int, rate: float, risk: float, *, start: int) -> int:
    """Return the smallest sample that accepts work of this error rate no more often than the risk."""
    low, high = max(start, number + 1), max(start, number + 1)
    while special.bdtr(number, high, rate) > risk:
        low, high = high, high * 2
        if high > 4 * _LARGEST_PLAN:
            return high
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (middle + 1, high) if special.bdtr(number, middle, rate) > risk else (low, middle)
        )
    return low
