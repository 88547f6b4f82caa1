"""Which units differ by more than chance and ordinary variation between units?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rcakit.stats.proportions import normal_quantile

__all__ = ["Funnel", "between_variance", "case_mix_expected", "fit_funnel", "rank_intervals"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_WINSORISED = 0.1
# Variance that a standard normal keeps when its outer tenths are winsorised; without it limits come
# out a sixth too narrow.
_KEPT_VARIANCE = 0.6787
_KEPT_UNITS = 0.6


@dataclass(frozen=True, slots=True)
class Funnel:
    """Limits, p-values and shrunken rates of units around one target."""

    target: float
    between_sd: float
    lower: Floats
    upper: Floats
    pvalue: Floats
    shrunken: Floats
    shrunken_sd: Floats


def between_variance(rate: Floats, sigma: Floats, target: float) -> float:
    """Return the variance between units that is left after chance, robust to real outliers.

    Squared z-scores are winsorised at the outer tenths before the method of moments, and scaled up
    by what winsorising takes from a normal sample.

    References
    ----------
    Spiegelhalter (2005), Stat. Med. 24, p. 1190; Spiegelhalter et al. (2012), J. R. Stat. Soc.
    A 175, p. 15.
    """
    z = (rate - target) / sigma
    low, high = np.quantile(z, [_WINSORISED, 1 - _WINSORISED])
    k, weight = z.size, 1 / sigma**2
    ratio = float(np.mean(np.clip(z, low, high) ** 2)) / _KEPT_VARIANCE
    room = float(weight.sum() - np.sum(weight**2) / weight.sum())
    return max(0.0, (k * ratio - (k - 1)) / room) if room > 0 else 0.0


def fit_funnel(
    count: Floats, size: Floats, *, confidence_level: float = 0.95, variance: Floats | None = None
) -> Funnel:
    """Judge units against their common rate, allowing for ordinary variation between them.

    Parameters
    ----------
    count, size
        Events and cases per unit, shape ``(units,)``.
    confidence_level
        Width of the funnel.
    variance
        Chance variance of each rate where it is not binomial (case-mix adjusted rates); the
        counts are then taken as expected-scaled.

    Notes
    -----
    When units vary more than chance they are judged by a t-distribution, because the extra variance
    is itself estimated from them: winsorised, it knows as much as six tenths of the units would.
    Exact binomial tails otherwise.
    """
    rate, target = count / size, float(count.sum() / size.sum())
    chance = target * (1 - target) / size if variance is None else variance
    sigma = np.sqrt(np.maximum(chance, 1e-15))
    between = between_variance(rate, sigma, target)
    spread = np.sqrt(sigma**2 + between)
    k = rate.size
    if between > 0:
        df = max(_KEPT_UNITS * (k - 1), 1.0)
        quantile = float(special.stdtrit(df, 0.5 + confidence_level / 2))
        pvalue = 2 * special.stdtr(df, -np.abs(rate - target) / spread)
    else:
        quantile = normal_quantile(confidence_level)
        pvalue = (
            _binomial_pvalue(count, size, target)
            if variance is None
            else 2 * special.ndtr(-np.abs(rate - target) / spread)
        )
    trust = between / (between + sigma**2)
    pooled = target * (1 - target) / size.sum()
    return Funnel(
        target=target,
        between_sd=float(np.sqrt(between)),
        lower=np.clip(target - quantile * spread, 0, None),
        upper=target + quantile * spread,
        pvalue=np.minimum(pvalue, 1.0),
        shrunken=target + trust * (rate - target),
        shrunken_sd=np.sqrt(trust * sigma**2 + (1 - trust) ** 2 * pooled),
    )


def case_mix_expected(
    count: Floats, size: Floats, unit: Ints, stratum: Ints, n_units: int
) -> tuple[Floats, Floats]:
    """Return expected events per unit at the strata's overall rates, and their chance variance.

    Parameters
    ----------
    count, size, unit, stratum
        One value per cell of unit and stratum.
    n_units
        Number of units.

    References
    ----------
    Breslow and Day (1987), Statistical Methods in Cancer Research II, p. 65 (indirect
    standardisation).
    """
    events = np.bincount(stratum, count)
    cases = np.bincount(stratum, size)
    overall = events / np.maximum(cases, 1e-12)
    expected = np.bincount(unit, size * overall[stratum], minlength=n_units)
    variance = np.bincount(unit, size * (overall * (1 - overall))[stratum], minlength=n_units)
    return expected.astype(float), variance.astype(float)


def rank_intervals(
    mean: Floats,
    sd: Floats,
    *,
    confidence_level: float,
    rng: np.random.Generator,
    n_draws: int = 4000,
) -> tuple[Ints, Ints]:
    """Return between which ranks each unit lies; 1 is the lowest rate.

    References
    ----------
    Goldstein and Spiegelhalter (1996), J. R. Stat. Soc. A 159, p. 385.
    """
    drawn = mean + sd * rng.standard_normal((n_draws, mean.size))
    ranks = np.argsort(np.argsort(drawn, axis=1), axis=1) + 1
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="nearest")
    return low.astype(np.int64), high.astype(np.int64)


def _binomial_pvalue(count: Floats, size: Floats, target: float) -> Floats:
    """Return the doubled smaller exact tail."""
    # binomial tails as incomplete beta functions, which also take effective (fractional) cases
    below = np.where(
        count < size, special.betainc(np.maximum(size - count, 1e-9), count + 1, 1 - target), 1.0
    )
    above = np.where(
        count > 0, special.betainc(np.maximum(count, 1e-9), size - count + 1, target), 1.0
    )
    return np.minimum(2 * np.minimum(below, above), 1.0)
