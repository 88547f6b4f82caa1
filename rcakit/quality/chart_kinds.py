"""Which control chart fits the data, and why?"""

import datetime as dt
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from rcakit.errors import NotEnoughDataError
from rcakit.quality.subgroups import Subgroups, check_enough, part
from rcakit.stats import control_limits
from rcakit.validation import refusal

__all__ = ["KINDS", "LARGEST_RANGE_SUBGROUP", "Kind", "check_combination", "choose"]

Flags = npt.NDArray[np.bool_]
Kind = Literal[
    "auto",
    "xmr",
    "xbar_r",
    "xbar_s",
    "r",
    "s",
    "p",
    "np",
    "c",
    "u",
    "p_prime",
    "u_prime",
    "seasonal",
    "ewma",
    "cusum",
]

KINDS: tuple[str, ...] = get_args(Kind)
LARGEST_RANGE_SUBGROUP = 10  # beyond it a range wastes what a standard deviation keeps

_RATES = ("p", "np", "p_prime", "u", "u_prime")
_DAYS_FOR_SEASON = 28
# Laney's limits are for subgroups so large that chance hardly moves them; in small ones variation
# beyond chance is a signal to find, not noise to allow for.
_LARGE_SUBGROUP = 20


def check_combination(kind: str, value: str | None, denominator: str | None) -> None:
    """Refuse a chart whose columns were not given."""
    if kind in _RATES and denominator is None:
        raise refusal(
            "denominator",
            f"a column for a {kind} chart",
            denominator,
            "A rate is a count out of something.",
        )
    if denominator is not None and value is None:
        raise refusal("value", "the column of counts out of the denominator", value)
    if kind in {"xmr", "xbar_r", "xbar_s", "r", "s"} and value is None:
        raise refusal("value", f"a column of measurements for a {kind} chart", value)
    if kind in {"xbar_r", "xbar_s", "r", "s", "c"} and denominator is not None:
        raise refusal(
            "denominator",
            f"left out for a {kind} chart",
            denominator,
            "Use 'p', 'u' or their prime charts for rates.",
        )


def choose(
    kind: str, groups: Subgroups, value: str | None, denominator: str | None, baseline: Flags
) -> tuple[str, str]:
    """Return the chart that suits the data, and why."""
    if kind != "auto":
        _check_sizes(kind, groups)
        return kind, "asked for"
    check_enough(int(baseline.sum()))
    if denominator is not None:
        return _choose_rate(groups, baseline)
    whole = bool(np.all(groups.total == np.round(groups.total)) and np.all(groups.total >= 0))
    if value is None or (whole and np.all(groups.n_rows <= 1) and np.any(groups.total > 1)):
        return _choose_count(groups, baseline)
    if np.all(groups.size < 2):
        return "xmr", "one measurement per subgroup: individuals and moving ranges"
    if np.any(groups.size < 2):
        return "xmr", "some subgroups hold one measurement: subgroup means as individuals"
    if np.all(groups.size <= LARGEST_RANGE_SUBGROUP) and np.any(groups.value_range > 0):
        return "xbar_r", "several measurements per subgroup, at most ten: means with ranges"
    return "xbar_s", "more than ten measurements per subgroup: means with standard deviations"


def _choose_rate(groups: Subgroups, baseline: Flags) -> tuple[str, str]:
    inside = part(groups, np.flatnonzero(baseline))
    whole = np.all(inside.total == np.round(inside.total)) and np.all(
        inside.size == np.round(inside.size)
    )
    is_share = bool(whole and np.all(inside.total <= inside.size))
    all_in = np.ones(inside.size.shape, dtype=np.bool_)
    limits = (control_limits.p_limits if is_share else control_limits.u_limits)(
        inside.total, inside.size, all_in
    )
    if not np.all(limits.sigma > 0):
        return ("p" if is_share else "u"), "every subgroup has the same rate"
    ratio, pvalue = control_limits.dispersion(limits.statistic, limits.center, limits.sigma)
    sigma_z = control_limits.laney_sigma_z(limits.statistic, limits.center, limits.sigma)
    plain, what = ("p", "a share of cases") if is_share else ("u", "events per unit")
    expected = float(np.mean(inside.size)) * float(limits.center[0])
    if pvalue < 0.01 and sigma_z > 1.1 and expected >= _LARGE_SUBGROUP:
        return f"{plain}_prime", (
            f"{what}, varying {sigma_z:.1f} times as much as chance from one subgroup to the next "
            f"(dispersion {ratio:.1f}): plain {plain} limits would call most points signals"
        )
    return plain, f"{what}, varying no more than chance (dispersion {ratio:.1f})"


def _choose_count(groups: Subgroups, baseline: Flags) -> tuple[str, str]:
    count = groups.total[baseline]
    mean = float(np.mean(count))
    if mean == 0:
        return "c", "counts, all zero"
    weekly = _weekday_share(groups, baseline)
    if weekly is not None and weekly < 0.001:
        return "seasonal", "daily counts with a weekday pattern: limits follow the weekday"
    pvalue = control_limits.dispersion(
        count, np.full(count.shape, mean), np.sqrt(np.full(count.shape, mean))
    )[1]
    if pvalue < 0.01:
        return "xmr", "counts that vary more than chance: individuals and moving ranges"
    return "c", "counts that vary no more than chance"


def _weekday_share(groups: Subgroups, baseline: Flags) -> float | None:
    """Return the p-value of "all weekdays alike"; None where days are too few or no days."""
    from scipy import stats

    days = [groups.label[i] for i in np.flatnonzero(baseline)]
    if len(days) < _DAYS_FOR_SEASON or not all(isinstance(day, dt.date) for day in days):
        return None
    weekday = np.array([day.weekday() for day in days])
    if len(np.unique(weekday)) < 2:
        return None
    rate = np.sqrt(groups.total[baseline])
    parts = [rate[weekday == day] for day in np.unique(weekday)]
    if np.ptp(rate) == 0:
        return None
    return float(stats.kruskal(*parts).pvalue)


def _check_sizes(kind: str, groups: Subgroups) -> None:
    if kind in {"xbar_r", "xbar_s", "r", "s"} and np.any(groups.size < 2):
        raise NotEnoughDataError(
            f"a {kind} chart needs at least two measurements in every subgroup, got one. "
            "Use kind='xmr' for single measurements."
        )
    if kind in {"xbar_r", "r"} and not np.any(groups.value_range > 0):
        raise NotEnoughDataError(
            f"a {kind} chart needs ranges above zero; all measurements of each subgroup are equal "
            "or were reduced by every=. Use kind='xbar_s' or kind='xmr'."
        )
    if kind == "np" and np.ptp(groups.size) > 0:
        raise refusal("kind", "'p' when subgroups differ in size", kind)
    if kind == "seasonal" and not all(isinstance(day, dt.date) for day in groups.label):
        raise refusal("kind", "a chart other than 'seasonal' unless time holds days", kind)
