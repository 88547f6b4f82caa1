"""Which limits does a kind of chart draw around which statistic?"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rcakit.quality.chart_kinds import LARGEST_RANGE_SUBGROUP
from rcakit.quality.subgroups import Subgroups
from rcakit.stats import control_limits
from rcakit.stats.control_limits import Limits
from rcakit.validation import refusal

__all__ = ["chart_of", "positions"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_FAR = 99.0  # standard errors, where the standard error itself is zero


def chart_of(
    kind: str, groups: Subgroups, baseline: Flags, options: Mapping[str, float]
) -> tuple[list[Limits], float]:
    """Return the chart (two for cusum), and how much more than chance the rate varies."""
    total, size = groups.total, groups.size
    if kind in {"p", "np", "p_prime", "u", "u_prime", "c"}:
        return _attribute_chart(kind, total, size, baseline)
    if kind == "seasonal":
        return [_seasonal_chart(groups, baseline)], math.nan
    if kind in {"r", "xbar_r"}:
        if kind == "r":
            return [control_limits.r_limits(groups.value_range, size, baseline)], math.nan
        return [
            control_limits.xbar_limits(groups.mean, groups.value_range, size, baseline)
        ], math.nan
    if kind == "s":
        return [control_limits.s_limits(groups.deviation, size, baseline)], math.nan
    if kind == "xbar_s":
        by = "deviation"
        return [
            control_limits.xbar_limits(groups.mean, groups.deviation, size, baseline, by=by)
        ], math.nan
    plain = _measurement_chart(groups, baseline)
    if kind == "xmr":
        return [plain], math.nan
    if kind == "ewma":
        return [
            control_limits.ewma(
                plain.statistic,
                float(plain.center[0]),
                plain.sigma,
                weight=options["weight"],
                nsigmas=options["nsigmas"],
            )
        ], math.nan
    z = positions(plain)
    return list(
        control_limits.cusum(z, shift=options["shift"], decision=options["decision"])
    ), math.nan


def positions(limits: Limits) -> Floats:
    """Return the distance from the centre in standard errors, also where the error is zero."""
    gap = limits.statistic - limits.center
    known = limits.sigma > 0
    z = np.where(np.abs(gap) > 1e-12 * (1 + np.abs(limits.center)), np.sign(gap) * _FAR, 0.0)
    z[known] = gap[known] / limits.sigma[known]
    return z


def _attribute_chart(
    kind: str, total: Floats, size: Floats, baseline: Flags
) -> tuple[list[Limits], float]:
    if kind == "c":
        return [control_limits.c_limits(total, baseline)], math.nan
    if kind == "np":
        return [control_limits.np_limits(total, size, baseline)], math.nan
    is_share = kind.startswith("p")
    if is_share and np.any(total > size):
        raise refusal("kind", "'u' or 'u_prime' when a count exceeds its denominator", kind)
    plain = (control_limits.p_limits if is_share else control_limits.u_limits)(
        total, size, baseline
    )
    inside = plain.sigma[baseline]
    sigma_z = (
        control_limits.laney_sigma_z(plain.statistic[baseline], plain.center[baseline], inside)
        if np.all(inside > 0)
        else math.nan
    )
    if not kind.endswith("prime") or math.isnan(sigma_z):
        return [plain], sigma_z
    ceiling = 1.0 if is_share else None
    return [control_limits.laney_limits(plain, baseline, ceiling=ceiling)], sigma_z


def _seasonal_chart(groups: Subgroups, baseline: Flags) -> Limits:
    """Return limits that follow the weekday, with positions from negative binomial scores."""
    weekday = np.array([day.weekday() for day in groups.label])
    scores, expected, alpha = control_limits.negative_binomial_scores(
        groups.total, groups.size, weekday, baseline
    )
    lower, upper = control_limits.negative_binomial_limits(expected, alpha)
    rate = groups.total / groups.size
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(scores != 0, (rate - expected / groups.size) / scores, 1.0)
    return Limits(
        rate, expected / groups.size, lower / groups.size, upper / groups.size, np.abs(sigma)
    )


def _measurement_chart(groups: Subgroups, baseline: Flags) -> Limits:
    """Return the chart of means behind ewma and cusum: within-subgroup error where there is one."""
    if np.all(groups.size > 1) and np.any(groups.value_range > 0):
        if np.all(groups.size <= LARGEST_RANGE_SUBGROUP):
            return control_limits.xbar_limits(
                groups.mean, groups.value_range, groups.size, baseline
            )
        return control_limits.xbar_limits(
            groups.mean, groups.deviation, groups.size, baseline, by="deviation"
        )
    return control_limits.individuals(groups.mean, baseline)
