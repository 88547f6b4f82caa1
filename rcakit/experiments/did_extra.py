"""What do the package diff-diff's sensitivity analysis and synthetic differences say of a roll-out?

The package is the optional extra ``did``; everything here says so clearly when it is absent.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.results import RolloutEffect
from rcakit.results import Record
from rcakit.validation import shown

if TYPE_CHECKING:
    from rcakit.experiments.staggered import Panel

__all__ = ["diff_diff", "honest_breakdown", "long_rows", "synthetic_effects"]

_LARGEST_M = 4.0
_PRECISION = 0.01


def diff_diff(what: str, given: object) -> Any:
    """Import diff-diff, or say which option needs it and how to install it."""
    try:
        import diff_diff as package
    except ImportError:
        raise ParameterError(
            f"{what} needs the optional package diff-diff, got {shown(given)}. "
            f"Install it with `pip install rcakit[did]`, or leave {what} out."
        ) from None
    return package


def long_rows(panel: "Panel") -> Any:
    """Return the panel as a pandas table with whole numbers for periods, as diff-diff wants it."""
    import polars as pl

    unit, time, _, _ = panel.columns
    length = len(panel.periods)
    first = np.where(np.isfinite(panel.start), panel.start + 1, 0)
    return pl.DataFrame(
        {
            unit: [u for u in panel.units for _ in range(length)],
            time: list(panel.periods) * len(panel.units),
            "unit": np.repeat(np.arange(len(panel.units)), length),
            "time": np.tile(np.arange(1, length + 1), len(panel.units)),
            "first": np.repeat(first, length),
            "y": panel.outcomes.ravel(),
        }
    )


def honest_breakdown(
    panel: "Panel", comparison: str, alpha: float, rows: Any = None, covariates: Sequence[str] = ()
) -> tuple[float, Check]:
    """Find how large a drift, in units of the largest before treatment, the effect survives.

    Parameters
    ----------
    panel
        Units, periods, outcomes and starts.
    comparison
        ``not_yet_treated`` or ``never_treated``.
    alpha
        One minus the confidence level.
    rows
        The same as a pandas table with covariates, if there are any.
    covariates
        Their names.

    Returns
    -------
    value, check
        M of the mean over event times (every event time counts alike, unlike the overall effect,
        which weighs by units), at most 4, and the guard rail made from it.

    References
    ----------
    Rambachan and Roth (2023), Review of Economic Studies 90, p. 2563, relative magnitudes.
    """
    package = diff_diff("honest", "True")
    table = long_rows(panel).to_pandas() if rows is None else rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = package.CallawaySantAnna(
            control_group=comparison, base_period="universal", alpha=alpha
        )
        fitted = model.fit(
            table,
            outcome="y",
            unit="unit",
            time="time",
            first_treat="first",
            covariates=list(covariates) or None,
        )
        study = fitted.aggregate("event_study")

        def survives(m: float) -> bool:
            bounds = package.compute_honest_did(study, M=m, alpha=alpha)
            return not bounds.ci_lb <= 0 <= bounds.ci_ub

        value = _largest(survives)
    check = checks.breakdown(value, clear=value > 0)
    return value, replace(check, detail=f"{check.detail} (HonestDiD, mean over event times)")


def _largest(survives: Any) -> float:
    """Halve the range until the largest M that the effect survives is known."""
    if not survives(0.0):
        return 0.0
    low, high = 0.0, _LARGEST_M
    if survives(high):
        return high
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if survives(middle) else (low, middle)
    return low


def synthetic_effects(
    panel: "Panel", alpha: float, seed: int
) -> tuple[list[RolloutEffect], list[Record], list[Check]]:
    """Estimate one wave's effect by synthetic difference in differences.

    Parameters
    ----------
    panel
        Units, periods, outcomes and starts; one wave and never-treated units.
    alpha
        One minus the confidence level.
    seed
        Of the placebo draws.

    Raises
    ------
    ParameterError
        diff-diff is not installed, or units began in several waves.
    NotEnoughDataError
        Not more untreated than treated units, or fewer than two periods before the start.

    References
    ----------
    Arkhangelsky et al. (2021), American Economic Review 111, p. 4088; placebo variance, algorithm 4.
    """
    package = diff_diff("method", "synthetic_did")
    treated = np.isfinite(panel.start)
    waves = np.unique(panel.start[treated])
    if waves.size > 1:
        named = [str(panel.periods[int(wave)]) for wave in waves]
        raise ParameterError(
            f"method='synthetic_did' needs units that began in one period, got {shown(named)}. "
            "Leave other waves out with exclude=, or use method='group_time'."
        )
    first, n_treated = int(waves[0]), int(treated.sum())
    if (~treated).sum() <= n_treated or first < 2:
        raise NotEnoughDataError(
            "synthetic_did needs more untreated than treated units and 2 periods before the start, "
            f"got {(~treated).sum()}, {n_treated} and {first}. Use method='group_time'."
        )
    rows = long_rows(panel).to_pandas()
    rows["treated"] = (rows["first"] > 0).astype(int)
    periods = list(range(first + 1, len(panel.periods) + 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = package.SyntheticDiD(alpha=alpha, seed=seed, variance_method="placebo").fit(
            rows, outcome="y", treatment="treated", unit="unit", time="time", post_periods=periods
        )
    low, high = (float(end) for end in fitted.conf_int)
    overall = RolloutEffect(
        level="overall",
        cohort=str(panel.periods[first]),
        period="",
        estimate=float(fitted.att),
        ci_lower=low,
        ci_upper=high,
        pvalue=float(fitted.p_value),
        n_units=n_treated,
    )
    detail = f"{int((~treated).sum())} placebo units for {n_treated} treated"
    return [overall], _gaps(fitted, first), [Check("placebo_units", "pass", detail)]


def _gaps(fitted: Any, first: int) -> list[Record]:
    """Return treated less synthetic, period by period, without intervals."""
    before = np.asarray(fitted.treated_pre_trajectory) - np.asarray(fitted.synthetic_pre_trajectory)
    after = np.asarray(fitted.treated_post_trajectory) - np.asarray(
        fitted.synthetic_post_trajectory
    )
    level = float(np.asarray(fitted.time_weights_array) @ before)
    unknown = dict.fromkeys(("ci_lower", "ci_upper", "band_lower", "band_upper"), math.nan)
    return [
        {
            "event_time": t - first,
            "estimate": float(gap - level),
            **unknown,
            "n_units": fitted.n_treated,
        }
        for t, gap in enumerate(np.concatenate([before, after]))
    ]
