"""Did the level change on the date when the change came for everyone?

The weakest of the designs: nothing is compared but the series with its own past. So two readings
of that past are taken and the more cautious one is reported, and every rival explanation that the
series can show is looked for.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.results import ExperimentResult, MetricEffect
from rcakit.results import Record
from rcakit.stats import interrupted, moments
from rcakit.stats.interrupted import SeriesFit
from rcakit.validation import check_choice, check_date, check_integer, check_names, check_number

__all__ = ["pre_post"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Model = Literal["cautious", "autoregressive", "local_level"]

_SEASON = {"1h": 24, "1d": 7, "1w": 52, "1mo": 12}
_STEP = {"1h": dt.timedelta(hours=1), "1d": dt.timedelta(days=1), "1w": dt.timedelta(weeks=1)}
_MOST_INDICATORS = 24  # a longer season is drawn by two waves instead of one bar per position
_NO_MEMORY = 1.5  # standard errors of a partial autocorrelation: below, no level wanders
_TRIGGER_GAP = 2  # periods between the end of the baseline and the onset of the spike
_TRIGGER_WASHOUT = 14  # periods for a spike to fade after the change
_TRIGGER_WINDOW = 14
_TRIGGER_ALARM, _TRIGGER_ONSET = 4.0, 1.5  # robust standard deviations


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
    check_choice(every, "every", tuple(_SEASON))
    rows = _Rows(
        time, value, denominator, check_names(controls, "controls"),
        check_names(covariates, "covariates"),
    )  # fmt: skip
    table = _series(data, rows, every=every, tz=tz, start=start, end=end)
    cut = _Cut.of(table, at_day, trigger_day, washout, every=every)
    plan = _Plan(
        seasons=_seasons(season, every, cut.n_before),
        slope=slope,
        log=log,
        alpha=alpha,
        model=model,
    )
    reading = _read(table.outcome, table.covariates, cut, plan)
    moved = {
        name: _read(series, table.covariates, cut, plan).pvalue
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
        _placebo(reading, cut),
        *_model_checks(reading, plan),
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


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which columns say what."""

    time: str
    value: str | None
    denominator: str | None
    controls: tuple[str, ...]
    covariates: tuple[str, ...]

    @property
    def name(self) -> str:
        if self.value is None:
            return "rows"
        return self.value if self.denominator is None else f"{self.value} / {self.denominator}"


@dataclass(frozen=True, slots=True)
class _Series:
    """Evenly spaced values."""

    starts: list[dt.datetime]
    outcome: Floats
    covariates: Floats
    controls: dict[str, Floats]
    gaps: Check | None


@dataclass(frozen=True, slots=True)
class _Plan:
    seasons: tuple[int, ...]
    slope: bool
    log: bool
    alpha: float
    model: Model


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which periods are before, after, and neither."""

    before: Mask
    after: Mask
    first: int
    washout: int
    given: dt.datetime | None
    detected: dt.datetime | None
    baseline_end: dt.datetime

    @property
    def n_before(self) -> int:
        return int(self.before.sum())

    @property
    def n_after(self) -> int:
        return int(self.after.sum())

    @classmethod
    def of(
        cls,
        table: _Series,
        at: dt.date,
        trigger: dt.date | None,
        washout: int | None,
        *,
        every: str,
    ) -> "_Cut":
        """Cut the series at the date, and before the spike that led to it."""
        starts = np.array(table.starts, dtype="datetime64[us]")
        first = int(np.searchsorted(starts, np.datetime64(dt.datetime.combine(at, dt.time()))))
        if first == 0 or first >= starts.size:
            raise ParameterError(
                f"at must lie inside the data ({table.starts[0]} to {table.starts[-1]}), got {at}. "
                "Bring earlier or later rows."
            )
        detected, onset = None, first
        if trigger is None:
            detected = _spike_before(table.outcome, first, _SEASON[every])
        else:
            moment = np.datetime64(dt.datetime.combine(trigger, dt.time()))
            onset = int(np.searchsorted(starts, moment))
        provoked = trigger is not None or detected is not None
        if detected is not None:
            onset = detected
        usual = _TRIGGER_WASHOUT if provoked else 0
        skipped = usual if washout is None else check_integer(washout, "washout", ge=0)
        last = max(onset - _TRIGGER_GAP, 0) if provoked else first
        index = np.arange(starts.size)
        before, after = index < last, index >= first + skipped
        if before.sum() < 14 or after.sum() < 3:
            raise NotEnoughDataError(
                f"there must be at least 14 periods before and 3 after the change, got "
                f"{before.sum()} and {after.sum()} (left out: {first - last} before, {skipped} "
                "after). Bring more history, wait, or use a finer every=."
            )
        return cls(
            before=before,
            after=after,
            first=first,
            washout=skipped,
            given=None if trigger is None else table.starts[onset],
            detected=None if detected is None else table.starts[detected],
            baseline_end=table.starts[last - 1],
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Both models of one series, and the one that is reported."""

    y: Floats
    design: Floats
    weights: Floats
    slope_weights: Floats | None
    autoregressive: SeriesFit
    local_level: SeriesFit
    chosen: SeriesFit
    chosen_name: str
    slope_fit: SeriesFit | None

    @property
    def pvalue(self) -> float:
        return _pvalue(self.chosen)


def _series(
    data: Any,
    rows: _Rows,
    *,
    every: str,
    tz: str,
    start: str | dt.date | None,
    end: str | dt.date | None,
) -> _Series:
    """Bring one value per period home; periods without rows are zeros, or gaps for a rate."""
    columns = (rows.value, rows.denominator, *rows.controls, *rows.covariates)
    table = frames.aggregate(
        data,
        time=rows.time,
        every=every,
        tz=tz,
        start=None if start is None else check_date(start, "start"),
        end=None if end is None else check_date(end, "end"),
        sums=tuple(dict.fromkeys(c for c in columns if c is not None)),
        lowest=() if rows.denominator is None else rows.denominator,
    )
    if table["period_start"].null_count():
        table = table.filter(table["period_start"].is_not_null())
    if table.height == 0:
        raise NotEnoughDataError("no row has a time in the asked-for window, got 0 periods.")
    if rows.denominator is not None and table[f"{rows.denominator}__lowest"].min() < 0:  # type: ignore[operator]
        raise SchemaError(f"column {rows.denominator!r} is a denominator and must not be negative.")
    found = table["period_start"].to_list()
    starts = _grid(found[0], found[-1], every)
    position = np.searchsorted(
        np.array(starts, dtype="datetime64[us]"), np.array(found, dtype="datetime64[us]")
    )

    def spread(values: Any) -> Floats:
        full = np.zeros(len(starts))
        full[position] = np.asarray(values, dtype=float)
        return full

    counts = spread(table["n_rows"])
    value = counts if rows.value is None else spread(table[rows.value])
    gaps = None
    if rows.denominator is not None:
        value, gaps = _rate(value, spread(table[rows.denominator]), starts)
    if float(np.ptp(value)) == 0:
        raise NotEnoughDataError(
            f"{rows.name!r} must vary, got the same value in every period. Check the column."
        )
    held = counts > 0
    covariates = [
        _filled(spread(table[name]) / np.maximum(counts, 1), held) for name in rows.covariates
    ]
    return _Series(
        starts=starts,
        outcome=value,
        covariates=np.array(covariates).T if covariates else np.zeros((len(starts), 0)),
        controls={name: spread(table[name]) for name in rows.controls},
        gaps=gaps,
    )


def _grid(first: dt.datetime, last: dt.datetime, every: str) -> list[dt.datetime]:
    if every == "1mo":
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [dt.datetime(m // 12, m % 12 + 1, 1) for m in months]  # noqa: DTZ001 - local time
    step = _STEP[every]
    return [first + i * step for i in range((last - first) // step + 1)]


def _rate(top: Floats, bottom: Floats, starts: list[dt.datetime]) -> tuple[Floats, Check | None]:
    held = bottom > 0
    if not held.any():
        raise NotEnoughDataError("the denominator is zero in every period.")
    rate = np.divide(top, bottom, out=np.zeros_like(top), where=held)
    if held.all():
        return rate, None
    empty = [wording.day(starts[i]) for i in np.flatnonzero(~held)]
    todo = "They were bridged in a straight line. Check whether rows are missing."
    return _filled(rate, held), checks.dropped("periods", empty, "denominator zero", todo)


def _filled(values: Floats, held: Mask) -> Floats:
    index = np.arange(values.size)
    return np.interp(index, index[held], values[held])


def _asked(season: int | Sequence[int] | None, every: str) -> tuple[int, ...]:
    if season is None:
        return (_SEASON[every],)
    listed = (season,) if isinstance(season, int) else tuple(season)
    return tuple(check_integer(item, "season", ge=1) for item in listed) or (1,)


def _seasons(season: int | Sequence[int] | None, every: str, n_before: int) -> tuple[int, ...]:
    return tuple(s for s in _asked(season, every) if s > 1 and 2 * s <= n_before)


def _days(given: str | dt.date | Sequence[str | dt.date]) -> list[dt.date]:
    listed = [given] if isinstance(given, str | dt.date) else list(given)
    return [check_date(day, "definition_changed_at") for day in listed]


def _spike_before(y: Floats, first: int, season: int) -> int | None:
    """Find the onset of a spike in the last periods before the change, or None."""
    quiet = first - _TRIGGER_WINDOW
    if quiet < max(2 * season, 14):
        return None
    usual = np.array([_median(y[p:quiet:season]) for p in range(season)])
    rest = y[:first] - usual[np.arange(first) % season]
    middle = _median(rest[:quiet])
    scale = 1.4826 * _median(np.abs(rest[:quiet] - middle))
    scale = max(scale, 0.8 * float(np.std(rest[:quiet])))
    if scale == 0:
        return None
    z = (rest - middle) / scale
    peak = quiet + int(np.argmax(np.abs(z[quiet:])))
    if abs(z[peak]) < _TRIGGER_ALARM:
        return None
    onset = peak
    while onset > 0 and z[onset - 1] * np.sign(z[peak]) > _TRIGGER_ONSET:
        onset -= 1
    return onset


def _median(values: Floats) -> float:
    """Return the median of a few values, many times faster than numpy does."""
    ordered, half = np.sort(values), values.size // 2
    return float(ordered[half] if values.size % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _design(covariates: Floats, cut: _Cut, plan: _Plan) -> tuple[Floats, Floats, Floats | None]:
    """Return the columns, the combination that is the effect, and the one that is its slope."""
    length = cut.before.size
    index = np.arange(length)
    step = (index >= cut.first).astype(float)
    parts = [np.ones((length, 1)), ((index - length / 2) / length)[:, None], step[:, None]]
    if plan.slope:
        parts.append((np.maximum(index - cut.first, 0) / length)[:, None])
    for season in plan.seasons:
        if season <= _MOST_INDICATORS:
            parts.append(interrupted.seasonal_columns(length, season))
        else:
            angle = 2 * math.pi * np.outer(index, [1, 2]) / season
            parts.append(np.column_stack([np.sin(angle), np.cos(angle)]))
    if covariates.shape[1]:
        used = np.log(np.maximum(covariates, 1e-12)) if plan.log else covariates
        parts.append((used - used.mean(axis=0)) / np.maximum(used.std(axis=0), 1e-12))
    out = np.flatnonzero(~cut.before & ~cut.after)
    parts.append((index[:, None] == out).astype(float))  # a period with its own column says nothing
    design = np.column_stack(parts)
    weights = np.zeros(design.shape[1])
    weights[2] = 1.0
    if not plan.slope:
        return design, weights, None
    weights[3] = float(np.mean((index - cut.first)[cut.after])) / length
    slope = np.zeros(design.shape[1])
    slope[3] = 1 / length
    return design, weights, slope


def _read(values: Floats, covariates: Floats, cut: _Cut, plan: _Plan) -> _Reading:
    """Fit both models and choose the one to report."""
    if plan.log and (values <= 0).any():
        raise ParameterError("log needs values above zero in every period, got zero or less.")
    y = np.log(values) if plan.log else values
    design, weights, slope = _design(covariates, cut, plan)
    if design.shape[0] - design.shape[1] < 8:
        raise NotEnoughDataError(
            f"{design.shape[0]} periods are too few for {design.shape[1]} columns. "
            "Set season=1, drop covariates, or bring more history."
        )
    scale = float(np.std(y)) or 1.0
    first = interrupted.fit_autoregressive(y / scale, design, weights, orders=(1, 2))
    second = interrupted.fit_local_level(y / scale, design, weights)
    first, second = _rescaled(first, scale), _rescaled(second, scale)
    names = ("autoregressive", "local_level")
    reach = [moments.t_critical(plan.alpha, f.df) * f.standard_error for f in (first, second)]
    remembers = max(first.memory) > _NO_MEMORY / math.sqrt(y.size)
    cautious = names[int(np.argmax(reach))] if remembers else names[0]
    name = cautious if plan.model == "cautious" else plan.model
    slope_fit = None
    if slope is not None:
        fitted = (
            interrupted.fit_autoregressive(y / scale, design, slope, orders=(1, 2))
            if name == "autoregressive"
            else interrupted.fit_local_level(y / scale, design, slope)
        )
        slope_fit = _rescaled(fitted, scale)
    chosen = first if name == "autoregressive" else second
    return _Reading(y, design, weights, slope, first, second, chosen, name, slope_fit)


def _rescaled(fit: SeriesFit, scale: float) -> SeriesFit:
    from dataclasses import replace

    return replace(
        fit,
        coefficients=fit.coefficients * scale,
        covariance=fit.covariance * scale**2,
        estimate=fit.estimate * scale,
        standard_error=fit.standard_error * scale,
    )


def _pvalue(fit: SeriesFit) -> float:
    return moments.two_sided_pvalue(fit.estimate / fit.standard_error, fit.df)


def _model_checks(reading: _Reading, plan: _Plan) -> list[Check]:
    kept = reading.chosen.residuals
    error = max(reading.autoregressive.standard_error, reading.local_level.standard_error)
    lags = min(10, kept.size // 5)
    del plan
    return [
        checks.model_agreement(
            reading.autoregressive.estimate, reading.local_level.estimate, error
        ),
        checks.history_memory(interrupted.ljung_box_pvalue(kept, lags, len(reading.chosen.memory))),
    ]


def _placebo(reading: _Reading, cut: _Cut) -> Check:
    """Look for the same kind of step on dates when nothing was changed."""
    n = cut.n_before
    if n < 40:
        return checks.placebo_dates(0, 0)
    dates = np.linspace(14, n - 10, 8).astype(np.int64)
    design = reading.design[:n]
    varying = np.ptp(design, axis=0) > 0
    varying[0] = True
    partial = np.clip(np.array(reading.autoregressive.memory), -0.95, 0.95)
    t = interrupted.step_statistics(reading.y[:n], design[:, varying], partial, dates)
    critical = moments.t_critical(0.05, reading.autoregressive.df)
    return checks.placebo_dates(int(np.count_nonzero(np.abs(t) > critical)), dates.size)


def _effects(
    reading: _Reading, name: str, cut: _Cut, plan: _Plan, *, blocked: bool
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
    pvalue = _pvalue(fit)
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


_MODEL_WORDS = {
    "autoregressive": "autoregressive errors (REML)",
    "local_level": "local level (REML)",
}


def _slope_effect(
    fit: SeriesFit, name: str, plan: _Plan, common: dict[str, Any], *, blocked: bool
) -> MetricEffect:
    reach = moments.t_critical(plan.alpha, fit.df) * fit.standard_error
    pvalue = _pvalue(fit)
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


def _chart_rows(reading: _Reading, table: _Series, cut: _Cut, plan: _Plan) -> list[Record]:
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
    phases = np.where(cut.before, "before", np.where(cut.after, "after", "left out")).tolist()
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
