"""What may be concluded at a look before the end?

A planned number of looks spends the error rate bit by bit (group-sequential design). An open-ended
report needs an interval that holds at every look at once (confidence sequence).
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

__all__ = [
    "confidence_sequence_multiplier",
    "confidence_sequence_pvalue",
    "repeated_pvalue",
    "spending_boundaries",
]

_Z_MAX = 8.0  # a bound that no normal statistic reaches


@lru_cache(maxsize=256)
def spending_boundaries(n_looks: int, alpha: float, last: int | None = None) -> tuple[float, ...]:
    """Return two-sided critical values of z for equally spaced looks.

    The error rate is spent as O'Brien and Fleming would: hardly any at first, nearly all at the
    end, so that the last look costs little power.

    Parameters
    ----------
    n_looks
        Looks planned.
    alpha
        Two-sided error rate over all looks.
    last
        Compute only the first `last` boundaries.

    Notes
    -----
    Each side spends as Lan and DeMets (1983, Biometrika 70, p. 660, alpha_1*) propose;
    recursive integration of Armitage, McPherson and Rowe (1969, JRSS A 132, p. 236) with
    Gauss-Legendre nodes.
    """
    times = np.arange(1, n_looks + 1) / n_looks
    z = -special.ndtri(alpha / 4)
    spent = 4 * special.ndtr(-z / np.sqrt(times))
    steps = np.diff(spent, prepend=0.0)
    unit, unit_weights = np.polynomial.legendre.leggauss(48 + 2 * n_looks)
    step_sd = math.sqrt(1 / n_looks)
    nodes, mass = np.zeros(1), np.ones(1)
    boundaries: list[float] = []
    for look in range(last or n_looks):
        edge = _edge(nodes, mass, step_sd, steps[look], math.sqrt(times[look]))
        boundaries.append(edge / math.sqrt(times[look]))
        new = edge * unit
        density = np.exp(-0.5 * ((new[:, None] - nodes) / step_sd) ** 2) @ mass
        nodes, mass = new, density / (step_sd * math.sqrt(2 * math.pi)) * edge * unit_weights
    return tuple(boundaries)


def repeated_pvalue(statistic: float, look: int, n_looks: int) -> float:
    """Return the smallest overall error rate at which this look would reject.

    References
    ----------
    Jennison and Turnbull (1999), Group Sequential Methods, p. 189 (repeated confidence intervals)
    and p. 202 (the p-values that belong to them).
    """
    from scipy import optimize

    size = min(abs(statistic), _Z_MAX - 1e-6)

    def excess(log_alpha: float) -> float:
        return size - spending_boundaries(n_looks, math.exp(log_alpha), look)[look - 1]

    low, high = math.log(1e-12), math.log(0.999)
    if excess(low) >= 0 or excess(high) <= 0:
        return math.exp(low) if excess(low) >= 0 else 1.0
    return math.exp(float(optimize.brentq(excess, low, high, xtol=1e-6)))


def confidence_sequence_multiplier(n: float, planned: float, alpha: float) -> float:
    """Return by how many standard errors an always-valid interval reaches to each side.

    Parameters
    ----------
    n
        Independent units seen so far (clusters when clusters were randomised).
    planned
        Units at which the interval should be narrowest; fixed before the first look.
    alpha
        Error rate over all looks, however many.

    Notes
    -----
    Asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024, Annals
    of Statistics 52, p. 2618, theorem 2.2), with rho tuned by their eq. (3.11). It is asymptotic:
    do not begin to look below a few dozen units.
    """
    weight = n * _tuning(planned, alpha)
    return math.sqrt(2 * (weight + 1) / weight * math.log(math.sqrt(weight + 1) / alpha))


def confidence_sequence_pvalue(statistic: float, n: float, planned: float, alpha: float) -> float:
    """Return the smallest error rate at which the confidence sequence leaves zero out."""
    weight = n * _tuning(planned, alpha)
    exponent = -0.5 * statistic**2 * weight / (weight + 1)
    return min(1.0, math.sqrt(weight + 1) * math.exp(exponent))


def _tuning(planned: float, alpha: float) -> float:
    """Return rho squared, which makes the interval narrowest at the planned size."""
    logs = -2 * math.log(alpha)
    return (logs + math.log(logs + 1)) / planned


def _edge(nodes: np.ndarray, mass: np.ndarray, step_sd: float, spend: float, sd: float) -> float:
    """Find the bound that lets through exactly the error to spend at this look."""
    low, high = 0.0, _Z_MAX * sd
    for _ in range(60):
        middle = (low + high) / 2
        above = special.ndtr((nodes - middle) / step_sd)
        below = special.ndtr((-middle - nodes) / step_sd)
        too_many = float((above + below) @ mass) > spend
        low, high = (middle, high) if too_many else (low, middle)
    return (low + high) / 2
