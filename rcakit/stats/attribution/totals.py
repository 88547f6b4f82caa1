"""What should the total of the period have been, and how much do totals usually vary?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rcakit.stats.attribution.history import History

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_MIN_DAYS_FOR_WEEKDAYS = 21  # three of each weekday: fewer and the profile is mostly noise
_MIN_DAYS_FOR_TREND = 28  # a slope from fewer than four weeks extrapolates noise
_TREND_T = 2.5  # a slope must be this many standard errors from zero before it is used
_BIWEIGHT = 4.685  # tuning constant of Tukey's biweight, 95 % efficient under the normal (Holland & Welsch 1977)
_MIN_BLOCKS = 6  # with fewer blocks a variance over blocks says nothing
_EFFICIENCY = (
    0.6  # a robust variance is worth that of so many fewer days (simulated; MAD alone: 0.37)
)
_EMPTY_DAY = 0.1  # of the usual day; what lies below is a gap in the data, not a quiet day
_EMPTY_WEEKDAY = 0.5  # unless its weekday is usually that quiet


@dataclass(frozen=True, slots=True, eq=False)
class TotalForecast:
    """Forecast of the total over the period, with the noise the whole shares.

    Parameters
    ----------
    mean
        Expected total over the period, in the unit of the values.
    sd
        Standard deviation of the total about `mean`: counting noise, shared day effect and estimation.
    sd_estimation
        The part of `sd` that comes from the finite history.
    shared_sd
        Relative standard deviation of the shared day effect over the period.
    degrees_of_freedom
        Residual degrees of freedom of the fit.
    day_factor
        Fitted total of every baseline day, shape (n_days,).
    period_factor
        Expected total of every period day, shape (n_period_days,).
    has_trend, has_weekdays
        Whether a slope and a weekday profile were used.
    """

    mean: float
    sd: float
    sd_estimation: float
    shared_sd: float
    degrees_of_freedom: int
    day_factor: Floats
    period_factor: Floats
    has_trend: bool
    has_weekdays: bool

    def pvalue(self, total: float) -> float:
        """Two-sided p-value of a total as far from the forecast as this one."""
        n_days, n_period = len(self.day_factor), len(self.period_factor)
        if self.mean <= _NOTHING and n_days > 0:  # none was ever seen: Jeffreys' half an event
            share = n_period / (n_days + n_period)
            return float(min(1.0, 2.0 * special.betainc(total, 0.5, share))) if total > 0 else 1.0
        if self.mean <= 0.0:
            return 1.0
        if self.mean < _SMALL_TOTAL:
            size = self.mean**2 / max(self.sd**2 - self.mean, 1e-9 * self.mean)
            share = self.mean / (self.mean + size)
            upper = special.betainc(total, size, share) if total > 0 else 1.0
            lower = special.betaincc(total + 1.0, size, share)
            return float(min(1.0, 2.0 * min(upper, lower)))
        statistic = abs(np.log(max(total, 0.5) / self.mean)) * self.mean / self.sd
        return float(min(1.0, 2.0 * special.stdtr(self.degrees_of_freedom, -statistic)))

    def interval(self, *, confidence_level: float = 0.95) -> tuple[float, float]:
        """Prediction interval of the total when nothing has happened."""
        if self.mean <= 0.0:
            return (0.0, 0.0)
        width = (
            float(special.stdtrit(self.degrees_of_freedom, 0.5 + confidence_level / 2.0)) * self.sd
        )
        if self.mean < _SMALL_TOTAL:
            return (max(0.0, self.mean - width), self.mean + width)
        factor = float(np.exp(width / self.mean))
        return (self.mean / factor, self.mean * factor)


_NOTHING = 1e-2  # a forecast below this stands for a baseline of zeros
_SMALL_TOTAL = (
    50.0  # below this a log-scale t statistic is too coarse and the negative binomial tail is used
)


def forecast_total(
    totals: Floats, *, weekday: Integers, period_weekday: Integers, scale: float = 1.0
) -> TotalForecast:
    """Forecast the total of the period from the daily totals before it.

    A quasi-Poisson regression on weekday and, when it is clearly there, a linear trend on the log scale, with
    Tukey biweights so that past incidents do not move it.

    Parameters
    ----------
    totals
        Total of every baseline day, shape (n_days,), in time order, non-negative.
    weekday, period_weekday
        Weekday 0-6 of the baseline days and of the period days; the period follows the baseline directly.
    scale
        Variance-to-mean ratio of a total without any shared effect: 1 for counts.

    Notes
    -----
    Residuals that keep their sign from day to day widen the period's noise by the usual factor
    (1 + r) / (1 - r). Not for series with fewer than seven days or with a level shift in the baseline.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., ch. 6 and 9 (quasi-likelihood).
    Holland & Welsch (1977), Commun. Statist. A6, 813-827 (biweight).
    """
    n_days, n_period = len(totals), len(period_weekday)
    is_usable = ~_empty_days(totals, weekday)
    has_weekdays = n_days >= _MIN_DAYS_FOR_WEEKDAYS and totals.sum() >= 10 * n_days
    design, period_design = _calendar(weekday, period_weekday, has_weekdays=has_weekdays)
    has_trend, slope_left_out = False, 0.0
    fit = _fit_log_linear(design, totals, scale, is_usable)
    if n_days >= _MIN_DAYS_FOR_TREND and totals.sum() >= 2 * n_days:
        clock = (np.arange(n_days) - (n_days - 1) / 2) / n_days
        sloped = _fit_log_linear(np.column_stack([design, clock]), totals, scale, is_usable)
        coefficients, covariance, *_ = sloped
        inflation = autocorrelation_factor(sloped[4])
        has_trend = abs(coefficients[-1]) > _TREND_T * np.sqrt(covariance[-1, -1] * inflation)
        slope_left_out = 0.0 if has_trend else float(coefficients[-1])
        if has_trend:
            fit = sloped
            ahead = (n_days + np.arange(n_period) - (n_days - 1) / 2) / n_days
            period_design = np.column_stack([period_design, ahead])
    coefficients, covariance, fitted, dispersion, residuals = fit
    by_day = np.exp(period_design @ coefficients)
    mean = float(by_day.sum())
    gradient = by_day @ period_design
    inflation = autocorrelation_factor(residuals)
    shared = max(0.0, (dispersion - 1.0) * scale / max(fitted.mean(), 1e-12))
    memory = 1.0 + (inflation - 1.0) * (
        1.0 - 1.0 / n_period
    )  # one day has no neighbours to agree with
    sd_shared = np.sqrt(shared * memory * (by_day**2).sum()) / max(mean, 1e-12)
    variance_estimation = float(gradient @ covariance @ gradient) * inflation
    variance_estimation += (
        0.5 * slope_left_out * mean
    ) ** 2  # a slope too weak to follow may still be there
    variance = scale * mean + (sd_shared * mean) ** 2 + variance_estimation
    return TotalForecast(
        mean=mean,
        sd=float(np.sqrt(variance)),
        sd_estimation=float(np.sqrt(variance_estimation)),
        shared_sd=float(sd_shared),
        degrees_of_freedom=max(1, int(_EFFICIENCY * (n_days - len(coefficients)))),
        day_factor=fitted,
        period_factor=by_day,
        has_trend=bool(has_trend),
        has_weekdays=has_weekdays,
    )


def forecast_of(history: History, *, scale: float = 1.0) -> TotalForecast:
    """Forecast the total of a history's leaves."""
    return forecast_total(
        history.day_totals(),
        weekday=history.weekday,
        period_weekday=history.period_weekday,
        scale=scale,
    )


def _calendar(
    weekday: Integers, period_weekday: Integers, *, has_weekdays: bool
) -> tuple[Floats, Floats]:
    """Columns of the regression: one per weekday seen in the baseline, or a constant."""
    if not has_weekdays:
        return np.ones((len(weekday), 1)), np.ones((len(period_weekday), 1))
    seen = np.unique(weekday)
    period = (period_weekday[:, None] == seen).astype(float)
    unseen = period.sum(axis=1) == 0
    period[unseen] = 1.0 / len(seen)  # a weekday never seen gets the average day
    return (weekday[:, None] == seen).astype(float), period


def _empty_days(totals: Floats, weekday: Integers) -> NDArray[np.bool_]:
    """Days with far too little on a weekday that usually has more: rows got lost."""
    usual = float(np.median(totals))
    if usual < _SMALL_TOTAL:
        return np.zeros(len(totals), bool)
    low = totals < _EMPTY_DAY * usual
    most = np.array([totals[weekday == day].max(initial=0.0) for day in range(7)])
    return np.asarray(low & (most[weekday] >= _EMPTY_WEEKDAY * usual))


def _fit_log_linear(
    design: Floats, totals: Floats, scale: float, is_usable: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, float, Floats]:
    """Robust quasi-Poisson fit: coefficients, covariance, fitted values, dispersion, Pearson residuals."""
    totals = np.where(is_usable, totals, np.median(totals))  # any value: its weight is zero
    start = np.log(np.maximum(totals, 0.5 * max(totals.mean(), 1e-6)))
    coefficients = np.linalg.lstsq(design, start, rcond=None)[0]
    robust = is_usable.astype(float)
    dispersion = 1.0
    normal = np.eye(design.shape[1])
    fitted: Floats = totals
    residuals: Floats = np.zeros_like(totals)
    for _ in range(12):
        fitted = np.asarray(np.exp(np.clip(design @ coefficients, -30.0, 30.0)), float)
        working = design @ coefficients + (totals - fitted) / fitted
        weights = fitted * robust
        normal = (design * weights[:, None]).T @ design + 1e-9 * np.eye(design.shape[1])
        updated = np.linalg.solve(normal, design.T @ (weights * working))
        change = np.abs(updated - coefficients).max()
        coefficients = updated
        fitted = np.asarray(np.exp(np.clip(design @ coefficients, -30.0, 30.0)), float)
        residuals = np.where(is_usable, (totals - fitted) / np.sqrt(fitted * scale), 0.0)
        dispersion = max(1.0, _robust_variance(residuals, design.shape[1]))
        if fitted.mean() > _SMALL_TOTAL:  # small counts are skewed: biweights would bias them down
            ratio = residuals / (_BIWEIGHT * np.sqrt(dispersion))
            robust = np.where(is_usable & (np.abs(ratio) < 1.0), (1.0 - ratio**2) ** 2, 0.0)
        if change < 1e-6:
            break
    covariance = np.asarray(np.linalg.inv(normal) * dispersion * scale, float)
    return np.asarray(coefficients, float), covariance, fitted, float(dispersion), residuals


def _robust_variance(residuals: Floats, n_parameters: int) -> float:
    """Variance of residuals with those beyond 3.5 robust deviations brought back to that bound."""
    left = max(1, len(residuals) - n_parameters)
    # Fitted residuals are smaller than the noise; without the correction the bound would cut real noise.
    spread = 1.4826 * np.median(np.abs(residuals)) * np.sqrt(len(residuals) / left)
    bound = 3.5 * spread if spread > 0 else np.inf
    clipped = np.clip(residuals, -bound, bound)
    return float((clipped**2).sum() / left)


def autocorrelation_factor(residuals: Floats) -> float:
    """Variance of a mean over its value for independent days: (1 + r) / (1 - r) at lag one, at least 1."""
    if len(residuals) < 3 * _MIN_BLOCKS:
        return 1.0
    spread = 1.4826 * np.median(np.abs(residuals))
    centred = np.clip(residuals, -3.5 * spread, 3.5 * spread) if spread > 0 else residuals
    centred = centred - centred.mean()
    power = float((centred**2).sum())
    lag_one = float((centred[1:] * centred[:-1]).sum()) / power if power > 0 else 0.0
    lag_one -= 1.645 / np.sqrt(
        len(residuals)
    )  # only what exceeds chance, so white noise is not penalised
    lag_one = min(max(lag_one, 0.0), 0.8)
    return (1.0 + lag_one) / (1.0 - lag_one)
