"""How would the past have gone on? Two models of one series, and the one that is reported."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.periods import Cut
from rcakit.stats import interrupted, moments
from rcakit.stats.interrupted import SeriesFit

__all__ = ["Model", "Plan", "Reading", "model_checks", "placebo_check", "pvalue_of", "read_series"]

Floats = NDArray[np.float64]
Model = Literal["cautious", "autoregressive", "local_level"]

_MOST_INDICATORS = 24  # a longer season is drawn by two waves instead of one bar per position
_NO_MEMORY = 1.5  # standard errors of a partial autocorrelation: below, no level wanders


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the models."""

    seasons: tuple[int, ...]
    slope: bool
    log: bool
    alpha: float
    model: Model


@dataclass(frozen=True, slots=True)
class Reading:
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
        """Return the p-value of the reported model."""
        return pvalue_of(self.chosen)


def read_series(values: Floats, covariates: Floats, cut: Cut, plan: Plan) -> Reading:
    """Fit both models and choose the one to report."""
    if plan.log and (values <= 0).any():
        raise ParameterError(
            f"log needs values above zero in every period, got {np.min(values):g}. Leave log out."
        )
    y = np.log(values) if plan.log else values
    design, weights, slope = _design(covariates, cut, plan)
    if design.shape[0] - design.shape[1] < 8:
        raise NotEnoughDataError(
            f"{design.shape[0]} periods are too few for {design.shape[1]} columns. "
            "Set season=1, drop covariates, or bring more history."
        )
    if covariates.shape[1] and np.linalg.matrix_rank(design) < design.shape[1]:
        raise ParameterError(
            "covariates must not repeat one another, the trend, the season or the change, got some "
            "that do. Leave them out one by one."
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
    return Reading(y, design, weights, slope, first, second, chosen, name, slope_fit)


def _design(covariates: Floats, cut: Cut, plan: Plan) -> tuple[Floats, Floats, Floats | None]:
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


def _rescaled(fit: SeriesFit, scale: float) -> SeriesFit:

    return replace(
        fit,
        coefficients=fit.coefficients * scale,
        covariance=fit.covariance * scale**2,
        estimate=fit.estimate * scale,
        standard_error=fit.standard_error * scale,
    )


def pvalue_of(fit: SeriesFit) -> float:
    """Return the two-sided p-value of an estimate."""
    return moments.two_sided_pvalue(fit.estimate / fit.standard_error, fit.df)


def model_checks(reading: Reading) -> list[Check]:
    """Ask whether the models agree, and whether they left a pattern in the series."""
    kept = reading.chosen.residuals
    error = max(reading.autoregressive.standard_error, reading.local_level.standard_error)
    lags = min(10, kept.size // 5)
    return [
        checks.model_agreement(
            reading.autoregressive.estimate, reading.local_level.estimate, error
        ),
        checks.history_memory(interrupted.ljung_box_pvalue(kept, lags, len(reading.chosen.memory))),
    ]


def placebo_check(reading: Reading, cut: Cut) -> Check:
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
