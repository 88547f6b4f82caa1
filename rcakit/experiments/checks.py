"""What would make this comparison invalid, was it found, and what should be done about it?

Every guard rail is one function from numbers to a `Check`. A check that blocks withholds the
verdict; a check that warns travels with it.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from rcakit import wording
from rcakit.results import Record

__all__ = [
    "Check",
    "Status",
    "assignment",
    "baseline_balance",
    "breakdown",
    "carry_over",
    "contamination",
    "correlation_of_neighbours",
    "definition_changed",
    "dropped",
    "enough_clusters",
    "enough_history",
    "history_memory",
    "is_blocked",
    "missing_outcomes",
    "model_agreement",
    "negative_controls",
    "peeking",
    "placebo_dates",
    "plain",
    "pre_trends",
    "sample_ratio",
    "shared_capacity",
    "small_cohorts",
    "trigger",
    "unit_of_analysis",
]

Status = Literal["pass", "warn", "block"]

# Alarm levels are far below 5 %: a guard rail looks at every experiment ever run.
_SAMPLE_RATIO_ALARM = 1e-3
_IMBALANCE_ALARM = 1e-3
_FEW_CLUSTERS, _MANY_CLUSTERS = 4, 10
_SHARED_ROWS = 0.1
_PRE_TREND_ALARM = 0.05
_FRAGILE_BREAKDOWN = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One guard rail.

    Attributes
    ----------
    check
        Its name.
    status
        ``pass``, ``warn`` or ``block``.
    detail
        What was found, with its numbers.
    what_to_do
        The next step; empty when it passed.
    """

    check: str
    status: Status
    detail: str
    what_to_do: str = ""

    def to_record(self) -> Record:
        """Return the check as one row."""
        return {
            "check": self.check,
            "status": self.status,
            "detail": plain(self.detail),
            "what_to_do": plain(self.what_to_do),
        }


def plain(text: str) -> str:
    """Return text for a table cell: narrow spaces as ordinary ones."""
    return text.replace("\u202f", " ")


def is_blocked(checks: Sequence[Check]) -> bool:
    """Tell whether any check withholds the verdict."""
    return any(check.status == "block" for check in checks)


def sample_ratio(phases: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> Check:
    """Compare how many units each arm got with how many it should have got.

    Parameters
    ----------
    phases
        For every stretch of constant allocation: units by arm, and share by arm. A ramp-up is
        several phases; judged as one, its changing shares would raise a false alarm.

    References
    ----------
    Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD.
    """
    statistic, df, texts = 0.0, 0, []
    for counts, shares in phases:
        n = sum(counts.values())
        if n == 0:
            continue
        planned = sum(shares.values())
        expected = {arm: n * shares[arm] / planned for arm in counts}
        statistic += sum((counts[arm] - expected[arm]) ** 2 / expected[arm] for arm in counts)
        df += len(counts) - 1
        texts.append(
            ", ".join(
                f"{wording.visible(arm)}: {wording.amount(counts[arm])} "
                f"(planned {wording.amount(round(expected[arm], 1))})"
                for arm in counts
            )
        )
    pvalue = float(special.chdtrc(max(df, 1), statistic))
    detail = f"{'; '.join(texts)}; p = {pvalue:.2g}"
    if pvalue >= _SAMPLE_RATIO_ALARM:
        return Check("sample_ratio", "pass", detail)
    return Check(
        "sample_ratio",
        "block",
        detail,
        "Units went missing from an arm or the planned shares are wrong. Compare assignment logs "
        "with the rows here; if the split was not equal or changed, pass allocation=.",
    )


def assignment(n_unassigned: int, n_rows: int, n_undated: int = 0) -> Check:
    """Report rows that belong to no arm, or to no block of time."""
    detail = f"{wording.plural(n_unassigned, 'row')} of {wording.amount(n_rows)} without an arm"
    if n_undated:
        detail += f", and {wording.plural(n_undated, 'row')} without a time"
    if n_unassigned + n_undated == 0:
        return Check("assignment", "pass", detail)
    todo = "They were left out. Find out why they have no arm: the gap may differ between arms."
    return Check("assignment", "warn", detail, todo)


def unit_of_analysis(*, declared: bool, n_rows: float, n_units: float, column: str | None) -> Check:
    """Report whether rows or groups of rows were taken as randomised."""
    if not declared:
        return Check(
            "unit_of_analysis",
            "warn",
            "every row was taken as one independently randomised unit; nothing in the call says so",
            "Pass unit= (the id of a row's unit) or randomised_by= (the id that was randomised).",
        )
    detail = f"{wording.amount(n_rows)} rows of {wording.amount(n_units)} randomised units"
    return Check("unit_of_analysis", "pass", f"{detail} ({wording.visible(column)})")


def enough_clusters(n_control: int, n_treatment: int, pvalue: float | None) -> Check:
    """Ask for enough randomised groups; add the permutation p-value when they are few."""
    fewest = min(n_control, n_treatment)
    detail = f"{n_control} control and {n_treatment} treatment groups"
    if pvalue is not None:
        detail += f"; permutation p = {pvalue:.2g}"
    if fewest < _FEW_CLUSTERS:
        todo = "Randomise at least 4 groups per arm, or roll out in steps and use rollout()."
        return Check("clusters", "block", detail, todo)
    if fewest < _MANY_CLUSTERS:
        todo = "Few groups: read the permutation p-value beside the interval."
        return Check("clusters", "warn", detail, todo)
    return Check("clusters", "pass", detail)


def peeking(*, plan: str, declared: bool, widened: bool) -> Check:
    """Say how repeated looks were paid for."""
    if widened:
        todo = (
            "The interval was widened so that it holds at every look. Plan looks=(this, planned)."
        )
        return Check("peeking", "warn", plan, todo)
    if not declared:
        todo = "If you looked before, pass looks=; an interval for one look is then too narrow."
        return Check("peeking", "pass", f"{plan}; looks were not declared", todo)
    return Check("peeking", "pass", plan)


def baseline_balance(pvalues: Mapping[str, float]) -> Check:
    """Compare the arms before anything was changed."""
    if not pvalues:
        todo = "Pass covariates={metric: pre-period column} to check it and to gain precision."
        return Check("baseline", "pass", "no pre-period column to compare", todo)
    adjusted = {name: min(1.0, p * len(pvalues)) for name, p in pvalues.items()}
    worst = min(adjusted, key=lambda name: adjusted[name])
    detail = f"largest difference before the start: {worst}, p = {adjusted[worst]:.2g}"
    if adjusted[worst] >= _IMBALANCE_ALARM:
        return Check("baseline", "pass", detail)
    todo = "The arms differed before the change. Check the assignment before you read the effect."
    return Check("baseline", "warn", detail, todo)


def shared_capacity(share: float, column: str) -> Check:
    """Report how much work was done by people or systems that serve both arms."""
    detail = f"{wording.percent(share)} of rows handled by a {wording.visible(column)} in both arms"
    if share <= _SHARED_ROWS:
        return Check("spillover", "pass", detail)
    todo = (
        "What one arm saves the other may get: the difference can over- or understate the effect. "
        f"Randomise by {wording.visible(column)}, or switch everyone by time blocks."
    )
    return Check("spillover", "warn", detail, todo)


def missing_outcomes(missing: Mapping[str, tuple[float, float, float, float]]) -> Check:
    """Compare how often an outcome is missing in each arm.

    Parameters
    ----------
    missing
        Metric → missing and all rows in control, missing and all rows in treatment.
    """
    found = {name: _two_shares_pvalue(*cells) for name, cells in missing.items()}
    if not found:
        return Check("missing_outcomes", "pass", "no outcome is missing")
    worst = min(found, key=lambda name: found[name])
    m0, n0, m1, n1 = missing[worst]
    detail = f"{worst}: missing {wording.percent(m0 / n0)} in control, {wording.percent(m1 / n1)}"
    detail = f"{detail} in treatment, p = {found[worst]:.2g}"
    if found[worst] >= _IMBALANCE_ALARM:
        return Check("missing_outcomes", "pass", detail)
    todo = "Outcomes are missing more often in one arm. Follow up the missing rows before you read."
    return Check("missing_outcomes", "warn", detail, todo)


def dropped(name: str, items: Sequence[str], why: str, todo: str) -> Check:
    """Name what was left out of the comparison."""
    if not items:
        return Check(name, "pass", "nothing was left out")
    listed = ", ".join(wording.visible(item) for item in items[:5])
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return Check(name, "warn", f"{len(items)} left out ({why}): {listed}{more}", todo)


def contamination(units: Sequence[str], tolerance: float) -> Check:
    """Refuse to compare with units that worked the new way before their start."""
    if not units:
        detail = f"no unit did more than {wording.percent(tolerance)} of its work the new way early"
        return Check("contamination", "pass", detail)
    listed = ", ".join(wording.visible(name) for name in units[:5])
    more = f" and {len(units) - 5} more" if len(units) > 5 else ""
    detail = (
        f"{wording.plural(len(units), 'unit')} worked the new way before the start: {listed}{more}"
    )
    todo = "Leave these units out (exclude=), or correct their start, and run again."
    return Check("contamination", "block", detail, todo)


def carry_over(correlation: float, n_pairs: int) -> Check:
    """Ask whether one block still lives in the next one."""
    if n_pairs < 8 or not math.isfinite(correlation):
        return Check("carry_over", "pass", f"{n_pairs} neighbouring blocks, too few to judge")
    z = math.atanh(max(min(correlation, 0.999), -0.999)) * math.sqrt(n_pairs - 3)
    detail = f"correlation of neighbouring blocks {wording.amount(correlation)}"
    if 2 * float(special.ndtr(-abs(z))) >= 0.01:
        return Check("carry_over", "pass", detail)
    todo = "Blocks depend on each other. Use longer blocks, or washout_hours= after each switch."
    return Check("carry_over", "warn", detail, todo)


def definition_changed(
    changed: Sequence[dt.date], first: dt.date, last: dt.date, launch: Sequence[dt.date]
) -> Check:
    """Refuse to compare an outcome with itself under another definition."""
    inside = [day for day in changed if first < day <= last]
    if not inside:
        return Check("definition", "pass", "no change of the outcome's definition in the window")
    detail = f"the outcome's definition changed on {', '.join(map(str, inside))}"
    near = [day for day in inside if any(abs((day - at).days) <= 1 for at in launch)]
    if near or len(launch) == 1:
        todo = "Before and after are not the same quantity. Recompute the outcome under one definition."
        return Check("definition", "block", detail, todo)
    todo = "Units treated at different times share this change; still recompute if you can."
    return Check("definition", "warn", detail, todo)


def enough_history(n_before: int, n_after: int, season: int, *, seasonal: bool) -> Check:
    """Ask for two full seasons before the change and a few periods after it."""
    detail = f"{n_before} periods before, {n_after} after"
    if n_before < 14 or n_after < 3:
        todo = "Wait, or bring more history: 14 periods before and 3 after are the least."
        return Check("history", "block", detail, todo)
    if season > 1 and not seasonal:
        todo = f"Less than two seasons of {season} periods: the season was not modelled."
        return Check("history", "warn", detail, todo)
    return Check("history", "pass", detail)


def history_memory(pvalue: float) -> Check:
    """Ask whether the model left a pattern in the series that it does not know."""
    detail = f"Ljung-Box p of the residuals = {pvalue:.2g}"
    if pvalue >= 0.01:
        return Check("residual_memory", "pass", detail)
    todo = "Something periodic or slow is left in the series: set season=, or add covariates=."
    return Check("residual_memory", "warn", detail, todo)


def model_agreement(first: float, second: float, error: float) -> Check:
    """Compare two readings of the same series."""
    apart = abs(first - second) / error if error > 0 else 0.0
    detail = (
        f"autoregressive {wording.amount(first, signed=True)}, local level "
        f"{wording.amount(second, signed=True)}: {apart:.1f} standard errors apart"
    )
    if apart <= 1:
        return Check("model_agreement", "pass", detail)
    todo = "Model-dependent: the answer hangs on how the past is continued. Add a control series."
    return Check("model_agreement", "warn", detail, todo)


def negative_controls(pvalues: Mapping[str, float]) -> Check:
    """Ask whether series that the change cannot touch moved as well."""
    if not pvalues:
        todo = "Pass controls= with a series that the change cannot touch."
        return Check("negative_controls", "pass", "no control series given", todo)
    adjusted = {name: min(1.0, p * len(pvalues)) for name, p in pvalues.items()}
    moved = [name for name, p in adjusted.items() if p < 0.05]
    detail = ", ".join(f"{wording.visible(name)}: p = {p:.2g}" for name, p in pvalues.items())
    if not moved:
        return Check("negative_controls", "pass", detail)
    todo = "Something else changed on that date too. Look for it before you credit the change."
    return Check("negative_controls", "warn", detail, todo)


def placebo_dates(n_significant: int, n_dates: int) -> Check:
    """Ask how often an effect would be found on dates when nothing happened."""
    detail = f"{n_significant} of {n_dates} placebo dates before the change show an effect"
    if n_dates == 0:
        return Check("placebo_dates", "pass", "too little history for placebo dates")
    chance = float(special.bdtrc(n_significant - 1, n_dates, 0.05)) if n_significant else 1.0
    if chance >= 0.005 or n_significant < 3:
        return Check("placebo_dates", "pass", detail)
    todo = "This series jumps by itself. Do not read a jump at the launch as its effect."
    return Check("placebo_dates", "warn", detail, todo)


def trigger(
    given: dt.datetime | None, detected: dt.datetime | None, baseline_end: dt.datetime, washout: int
) -> Check:
    """Guard against regression to the mean: a change launched because of a spike."""
    if given is None and detected is None:
        return Check("trigger", "pass", "no spike just before the change")
    onset = wording.day(given or detected)
    detail = (
        f"a spike began on {onset}; the baseline ends on {wording.day(baseline_end)} and "
        f"{washout} periods after the change are left out"
    )
    if given is not None:
        return Check("trigger", "pass", detail)
    todo = (
        f"The spike was found, not declared: pass trigger_at='{onset}' if it provoked the change. "
        "A spike fades by itself; compare with a queue that was not changed."
    )
    return Check("trigger", "warn", detail, todo)


def pre_trends(pvalue: float, n_cells: int) -> Check:
    """Ask whether treated and untreated units moved alike before treatment."""
    if n_cells == 0 or not math.isfinite(pvalue):
        todo = "Bring earlier periods: parallel trends cannot be examined."
        return Check("pre_trends", "warn", "no period before treatment to compare", todo)
    detail = f"joint p of {wording.plural(n_cells, 'difference')} before treatment = {pvalue:.3g}"
    if pvalue >= _PRE_TREND_ALARM:
        return Check("pre_trends", "pass", detail)
    todo = "Weak evidence: units moved apart before treatment. Look for what chose the wave order."
    return Check("pre_trends", "warn", detail, todo)


def breakdown(value: float, *, clear: bool) -> Check:
    """Say how far trends may part before the effect is gone."""
    if not clear:
        return Check("breakdown", "pass", "the interval holds zero already")
    detail = (
        f"the effect survives drifts up to {value:.2g} times the largest step seen before treatment"
    )
    if value >= _FRAGILE_BREAKDOWN:
        return Check("breakdown", "pass", detail)
    todo = "Weak evidence: a drift half as large as those before treatment would explain it."
    return Check("breakdown", "warn", detail, todo)


def small_cohorts(sizes: Mapping[str, int]) -> Check:
    """Name cohorts whose own interval rests on few units."""
    small = {name: n for name, n in sizes.items() if n < 5}
    detail = ", ".join(f"{wording.visible(name)}: {n}" for name, n in sizes.items())
    if not small:
        return Check("cohort_sizes", "pass", f"units by cohort {detail}")
    todo = "Read the overall effect; a cohort of a few units has no interval to rely on."
    return Check("cohort_sizes", "warn", f"units by cohort {detail}", todo)


def _two_shares_pvalue(m0: float, n0: float, m1: float, n1: float) -> float:
    share = (m0 + m1) / (n0 + n1)
    error = math.sqrt(share * (1 - share) * (1 / n0 + 1 / n1))
    return 2 * float(special.ndtr(-abs(m0 / n0 - m1 / n1) / error)) if error > 0 else 1.0


def correlation_of_neighbours(values: np.ndarray) -> tuple[float, int]:
    """Return the correlation of each value with the next, and how many pairs there were."""
    centred = values - values.mean()
    power = float(centred @ centred)
    pairs = max(values.size - 1, 0)
    return (float(centred[1:] @ centred[:-1]) / power if power > 0 else math.nan), pairs
