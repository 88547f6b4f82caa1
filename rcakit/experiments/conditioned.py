"""What did the roll-out do among units that were alike before, told by the package diff-diff?"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from rcakit import frames
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.did_extra import diff_diff, long_rows
from rcakit.experiments.results import RolloutEffect
from rcakit.results import Record

if TYPE_CHECKING:
    from rcakit.experiments.staggered import Panel

__all__ = ["conditioned_effects", "conditioned_rows"]


def conditioned_effects(
    data: Any, panel: "Panel", covariates: Sequence[str], comparison: str, alpha: float
) -> tuple[list[RolloutEffect], list[Record], list[Check]]:
    """Estimate effects doubly robustly, given covariates measured before treatment.

    Parameters
    ----------
    data
        The caller's table.
    panel
        The balanced panel made from it; only its units are used.
    covariates
        Columns to condition on.
    comparison
        ``not_yet_treated`` or ``never_treated``.
    alpha
        One minus the confidence level.

    Raises
    ------
    ParameterError
        diff-diff is not installed.

    References
    ----------
    Callaway and Sant'Anna (2021), Journal of Econometrics 225, p. 205; Sant'Anna and Zhao (2020),
    Journal of Econometrics 219, p. 101.
    """
    package = diff_diff("covariates", list(covariates))
    rows = conditioned_rows(data, panel, covariates)
    model = package.CallawaySantAnna(control_group=comparison, estimation_method="dr", alpha=alpha)
    fitted = model.fit(
        rows,
        outcome="y",
        unit="unit",
        time="time",
        first_treat="first",
        covariates=list(covariates),
    )
    sizes = {w: int((panel.start == w).sum()) for w in np.unique(panel.start) if math.isfinite(w)}
    total = sum(sizes.values())
    overall = _effect("overall", "", "", fitted.overall_att, fitted.overall_se, total, alpha)
    effects = [overall]
    for (wave, period), cell in fitted.group_time_effects.items():
        names = (str(panel.periods[int(wave) - 1]), str(panel.periods[int(period) - 1]))
        n = sizes[int(wave) - 1]
        effects.append(_effect("cohort_period", *names, cell["effect"], cell["se"], n, alpha))
    before = [cell for (wave, period), cell in fitted.group_time_effects.items() if period < wave]
    return effects, _by_event_time(fitted, sizes, alpha), [_pre_trends(before)]


def conditioned_rows(data: Any, panel: "Panel", covariates: Sequence[str]) -> Any:
    """Return the panel with its covariates as a pandas table."""
    unit, time, _, _ = panel.columns
    own = frames.aggregate(data, keys=(unit, time), sums=tuple(covariates))
    return long_rows(panel).join(own, on=[unit, time], how="left").to_pandas()


def _effect(
    level: str, cohort: str, period: str, estimate: float, error: float, n: int, alpha: float
) -> RolloutEffect:
    reach = -float(special.ndtri(alpha / 2)) * error
    return RolloutEffect(
        level=level,
        cohort=cohort,
        period=period,
        estimate=float(estimate),
        ci_lower=float(estimate - reach),
        ci_upper=float(estimate + reach),
        pvalue=float(2 * special.ndtr(-abs(estimate / error))) if error > 0 else math.nan,
        n_units=n,
    )


def _by_event_time(fitted: Any, sizes: Mapping[float, int], alpha: float) -> list[Record]:
    table = fitted.aggregate("event_study").to_dataframe()
    z = -float(special.ndtri(alpha / 2))
    wide = -float(special.ndtri(alpha / (2 * max(len(table), 1))))  # Bonferroni: no draws are kept
    rows = []
    for event, att, se in zip(table["event_time"], table["att"], table["se"], strict=True):
        estimate, error = float(att), float(se)
        rows.append(
            {
                "event_time": int(event),
                "estimate": estimate,
                "ci_lower": estimate - z * error,
                "ci_upper": estimate + z * error,
                "band_lower": estimate - wide * error,
                "band_upper": estimate + wide * error,
                "n_units": sum(sizes.values()),
            }
        )
    return rows


def _pre_trends(before: Sequence[Mapping[str, float]]) -> Check:
    """Judge the largest difference before treatment, with Bonferroni's correction."""
    values = [abs(c["effect"] / c["se"]) for c in before if c["se"] > 0]
    pvalue = min(1.0, len(values) * 2 * float(special.ndtr(-max(values)))) if values else math.nan
    return checks.pre_trends(pvalue, len(values))
