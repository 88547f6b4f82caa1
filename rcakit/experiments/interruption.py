"""Did the level change on the date when the change came for everyone?

The weakest of the designs: nothing is compared but the series with its own past (`periods`). So two
readings of that past are taken and the more cautious one is reported (`readings`), and every rival
explanation that the series can show is looked for.
"""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rcakit import frames, wording
from rcakit.errors import ParameterError
from rcakit.experiments import checks
from rcakit.experiments.periods import SEASON, Cut, Rows, Series, bring_series, refuse_constant
from rcakit.experiments.readings import (
    Model,
    Plan,
    Reading,
    model_checks,
    placebo_check,
    pvalue_of,
    read_series,
)
from rcakit.experiments.results import ExperimentResult, MetricEffect
from rcakit.results import Record
from rcakit.stats import moments
from rcakit.stats.interrupted import SeriesFit
from rcakit.validation import check_choice, check_date, check_integer, check_names, check_number

__all__ = ["pre_post"]

_MODEL_WORDS = {
    "autoregressive": "autoregressive errors (REML)",
    "local_level": "local level (REML)",
}


def pre_post(
    data: Any,
    *,
    time: str,
    value: str | None = None,
    denominator: str | None = None,
    at: str | dt.date,
    trigger_at: str | dt.date | None = None,
    controls: str | Sequence[str] = (),
    covariates: str | Sequence[str] = (),
    every: str = "1d",
    tz: str = "UTC",
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    season: int | Sequence[int] | None = None,
    slope: bool = False,
    log: bool = False,
    washout: int | None = None,
    model: Model = "cautious",
    definition_changed_at: str | dt.date | Sequence[str | dt.date] = (),
    confidence_level: float = 0.95,
) -> ExperimentResult:
    """Compare a series before and after a date on which everything changed at once.

    Parameters
    ----------
    data
        Table in any supported engine, one row per event or per period.
    time
        Timestamp or date column.
    value
        Column to add up per period; rows are counted when left out.
    denominator
        Column whose sum divides the sum of `value`, for a rate.
    at
        First day of the new way.
    trigger_at
        Day on which the spike began that provoked the change, if one did. The baseline then ends
        2 periods before it, and the first 14 periods after the change are left out, because a
        spike fades by itself (regression to the mean).
    controls
        Columns that the change cannot touch; they should not move (negative controls).
    covariates
        Columns that move the value whatever happens, such as traffic; averaged per period.
    every
        Length of a period: ``1h``, ``1d``, ``1w``, ``1mo``.
    tz
        Time zone whose days the periods are.
    start, end
        First and last day to use.
    season
        Periods per season, or several; 7 for days, 24 for hours, 12 for months, 52 for weeks when
        left out; 1 for none. A season needs two full rounds before the change.
    slope
        Also let the trend change at the date. The effect is then the average over the time after.
    log
        Model the logarithm: effects are relative.
    washout
        Periods to leave out after the change; 0, or 14 with a trigger, when left out.
    model
        ``cautious`` takes the wider interval of two models, regression with autoregressive errors
        and a level that wanders, unless neighbouring periods are unrelated. Either can be asked
        for alone.
    definition_changed_at
        Days on which the definition of the value changed.
    confidence_level
        Of every interval.

    Returns
    -------
    ExperimentResult
        Tables ``metrics``, ``checks`` and ``series``; `control` is the level expected without the
        change.

    Raises
    ------
    ParameterError
        The date lies outside the data, or an option is not allowed.
    NotEnoughDataError
        Fewer than 14 periods before or 3 after the date, or a value that never varies.

    Notes
    -----
    A straight trend and the season go on, as they were, without the change. When not to use it:
    something else changed on the same date (nothing in the series can tell them apart), or a part
    was not changed (compare with it: `rollout`).
    """
    at_day = check_date(at, "at")
    trigger_day = None if trigger_at is None else check_date(trigger_at, "trigger_at")
    if trigger_day is not None and trigger_day > at_day:
        raise ParameterError(
            f"trigger_at must not be after at, got {trigger_day} and {at_day}. "
            "It is the day on which the spike began."
        )
    alpha = 1 - check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_choice(model, "model", ("cautious", "autoregressive", "local_level"))
    check_choice(every, "every", tuple(SEASON))
    rows = Rows(
        time, value, denominator, check_names(controls, "controls"),
        check_names(covariates, "covariates"),
    )  # fmt: skip
    table = bring_series(data, rows, every=every, tz=tz, start=start, end=end)
    cut = Cut.of(table, at_day, trigger_day, washout, every=every)
    refuse_constant(table.outcome[cut.before], rows.name, " before the change")
    plan = Plan(
        seasons=_seasons(season, every, cut.n_before),
        slope=slope,
        log=log,
        alpha=alpha,
        model=model,
    )
    reading = read_series(table.outcome, table.covariates, cut, plan)
    moved = {
        name: read_series(series, table.covariates, cut, plan).pvalue
        for name, series in table.controls.items()
    }
    guard = (
        checks.enough_history(
            cut.n_before, cut.n_after, max(_asked(season, every)), seasonal=bool(plan.seasons)
        ),
        checks.trigger(cut.given, cut.detected, cut.baseline_end, cut.washout),
        checks.definition_changed(
            _days(definition_changed_at), table.starts[0].date(), table.starts[-1].date(), [at_day]
        ),
        checks.negative_controls(moved),
        placebo_check(reading, cut),
        *model_checks(reading),
        *([table.gaps] if table.gaps else ()),
    )
    return ExperimentResult(
        design="pre_post",
        effects=tuple(_effects(reading, rows.name, cut, plan, blocked=checks.is_blocked(guard))),
        checks=guard,
        series=tuple(_chart_rows(reading, table, cut, plan)),
        confidence_level=confidence_level,
        library=frames.library(data),
    )


def _asked(season: int | Sequence[int] | None, every: str) -> tuple[int, ...]:
    if season is None:
        return (SEASON[every],)
    listed = (season,) if isinstance(season, int) else tuple(season)
    return tuple(check_integer(item, "season", ge=1) for item in listed) or (1,)


def _seasons(season: int | Sequence[int] | None, every: str, n_before: int) -> tuple[int, ...]:
    return tuple(s for s in _asked(season, every) if s > 1 and 2 * s <= n_before)


def _days(given: str | dt.date | Sequence[str | dt.date]) -> list[dt.date]:
    listed = [given] if isinstance(given, str | dt.date) else list(given)
    return [check_date(day, "definition_changed_at") for day in listed]


def _effects(
    reading: Reading, name: str, cut: Cut, plan: Plan, *, blocked: bool
) -> list[MetricEffect]:
    fit = reading.chosen
    reach = moments.t_critical(plan.alpha, fit.df) * fit.standard_error
    ends = (fit.estimate, fit.estimate - reach, fit.estimate + reach)
    observed = float(np.mean(np.exp(reading.y[cut.after]) if plan.log else reading.y[cut.after]))
    if plan.log:
        relative = tuple(math.expm1(end) for end in ends)
        absolute = tuple(observed * (1 - math.exp(-end)) for end in ends)
    else:
        absolute = ends
        relative = tuple(_share(end, observed) for end in ends)
    pvalue = pvalue_of(fit)
    verdict = "no clear difference"
    if pvalue < plan.alpha:
        verdict = "higher" if fit.estimate > 0 else "lower"
    words = f"{_MODEL_WORDS[reading.chosen_name]}, {wording.amount(round(fit.df, 1))} df"
    common: dict[str, Any] = {
        "n_control": cut.n_before,
        "n_treatment": cut.n_after,
        "n_clusters": 0,
        "qvalue": pvalue,
    }
    effects = [
        MetricEffect(
            metric=name, method=checks.plain(f"interrupted series, {words}"),
            control=observed - absolute[0], treatment=observed,
            effect=absolute[0], effect_ci_lower=absolute[1], effect_ci_upper=absolute[2],
            rel_effect=relative[0], rel_effect_ci_lower=relative[1],
            rel_effect_ci_upper=relative[2], pvalue=pvalue,
            verdict="withheld" if blocked else verdict, **common,
        )
    ]  # fmt: skip
    if reading.slope_fit is not None:
        effects.append(_slope_effect(reading.slope_fit, name, plan, common, blocked=blocked))
    return effects


def _slope_effect(
    fit: SeriesFit, name: str, plan: Plan, common: dict[str, Any], *, blocked: bool
) -> MetricEffect:
    reach = moments.t_critical(plan.alpha, fit.df) * fit.standard_error
    pvalue = pvalue_of(fit)
    verdict = "no clear difference"
    if pvalue < plan.alpha:
        verdict = "higher" if fit.estimate > 0 else "lower"
    nothing: dict[str, Any] = dict.fromkeys(
        ("control", "treatment", "rel_effect", "rel_effect_ci_lower", "rel_effect_ci_upper"),
        math.nan,
    )
    return MetricEffect(
        metric=f"trend of {name} per period",
        method="interrupted series, change of slope",
        effect=fit.estimate,
        effect_ci_lower=fit.estimate - reach,
        effect_ci_upper=fit.estimate + reach,
        pvalue=pvalue,
        verdict="withheld" if blocked else verdict,
        **nothing,
        **{**common, "qvalue": pvalue},
    )


def _share(effect: float, observed: float) -> float:
    """Return the effect as a share of what was expected without it."""
    expected = observed - effect
    return effect / abs(expected) if expected * observed > 0 else math.nan


def _chart_rows(reading: Reading, table: Series, cut: Cut, plan: Plan) -> list[Record]:
    """Return observed and expected values; expected is what the past alone would continue to."""
    fit = reading.chosen
    without = reading.design.copy()
    without[:, 2 : 4 if plan.slope else 3] = 0
    out = ~cut.before & ~cut.after
    without[:, without.shape[1] - int(out.sum()) :] = 0
    expected = without @ fit.coefficients
    spread = np.sqrt(np.einsum("tk,kl,tl->t", without, fit.covariance, without))
    reach = moments.t_critical(plan.alpha, fit.df) * spread
    lines = np.array([reading.y, expected, expected - reach, expected + reach])
    values = (np.exp(lines) if plan.log else lines).T.tolist()
    phases = np.where(np.arange(cut.before.size) < cut.first, "left out", "washout")
    phases = np.where(cut.before, "before", np.where(cut.after, "after", phases)).tolist()
    return [
        {
            "period_start": start,
            "observed": observed,
            "expected": middle,
            "expected_lower": lower,
            "expected_upper": upper,
            "phase": phase,
        }
        for start, (observed, middle, lower, upper), phase in zip(
            table.starts, values, phases, strict=True
        )
    ]
