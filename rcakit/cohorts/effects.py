"""How does one outcome of one cohort differ from the reference, as it is and at equal mix?"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rcakit.cohorts.result import CohortResult
from rcakit.results import Record
from rcakit.stats import weighting
from rcakit.stats.influence import difference_interval
from rcakit.stats.proportions import newcombe_difference, normal_quantile
from rcakit.stats.quantile_effects import adjusted_quantiles, raw_quantiles

__all__ = ["Kind", "Pair", "compared", "suppressed"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Kind = Literal["binary", "mean", "ratio", "quantile"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A cohort and the reference, row by row."""

    at: npt.NDArray[np.int64]
    in_cohort: Flags
    design: Floats | None
    estimand: str
    trim: float
    cluster: npt.NDArray[Any] | None
    grams: dict[bool, Floats] = field(default_factory=dict)

    def fit(self, seen: Flags | None = None) -> tuple[weighting.Adjustment | None, Flags]:
        """Fit the weights, on the rows seen; None without covariates or overlap."""
        everything = np.ones(self.in_cohort.size, dtype=np.bool_)
        if self.design is None:
            return None, everything
        if seen is None or seen.all():
            return weighting.adjust(
                self.design, self.in_cohort, estimand=self.estimand, trim=self.trim
            )
        fitted, part = weighting.adjust(
            self.design[seen], self.in_cohort[seen], estimand=self.estimand, trim=self.trim
        )
        kept = np.zeros(seen.size, dtype=np.bool_)
        kept[np.flatnonzero(seen)[part]] = True
        return fitted, kept


def suppressed(title: str, name: str, n_obs: int) -> Record:
    """Return a row without numbers, for a cohort too small to show."""
    row: Record = dict.fromkeys(CohortResult.tables["outcomes"], math.nan)
    return row | {"outcome": title, "cohort": name, "n_obs": n_obs}


def compared(
    title: str,
    kind: Kind,
    columns: list[Any],
    name: str,
    pair: Pair,
    fitted: weighting.Adjustment | None,
    kept: Flags,
    confidence_level: float,
) -> Record:
    """Compare one outcome of one cohort with the reference."""
    numbers = [column for column in columns if isinstance(column, np.ndarray)]
    seen = np.all([~np.isnan(column) for column in numbers], axis=0)
    group = _seen(pair.in_cohort, seen)
    inside, outside = int(group.sum()), int((~group).sum())
    if min(inside, outside) < 2:
        return suppressed(title, name, inside)
    values = [_seen(column, seen) for column in columns]
    cluster = _seen(pair.cluster, seen)
    raw = _raw(kind, values, group, cluster, confidence_level)
    if not seen.all() and fitted is not None:
        fitted, kept = pair.fit(seen)
    adjusted = (math.nan,) * 4
    if fitted is not None:
        used = [_seen(column, kept) for column in columns]
        adjusted = _adjusted(kind, used, fitted, _seen(pair.cluster, kept), confidence_level)
    grams = pair.grams if seen.all() else {}
    rate, mix = _split(kind, values, group, _seen(pair.design, seen), grams)
    effect, low, high, pvalue = adjusted if pair.design is not None else raw[2:]
    ratio = _risk_ratio(kind, values, group, raw, effect, low, high)
    return {
        "outcome": title,
        "cohort": name,
        "n_obs": inside,
        "mean": raw[0],
        "reference_mean": raw[1],
        "effect": raw[2],
        "effect_ci_lower": raw[3],
        "effect_ci_upper": raw[4],
        "adjusted_effect": adjusted[0],
        "adjusted_effect_ci_lower": adjusted[1],
        "adjusted_effect_ci_upper": adjusted[2],
        "pvalue": pvalue,
        "qvalue": math.nan,
        "rate_effect": rate,
        "mix_effect": mix,
        "e_value": weighting.e_value(*ratio)[0],
    }


def _seen(values: Any, rows: Flags) -> Any:
    """Return some rows of a column; all of them without a copy, and what is no column as it is."""
    return values[rows] if isinstance(values, np.ndarray) and not rows.all() else values


def _raw(
    kind: Kind, values: list[Any], group: Flags, cluster: npt.NDArray[Any] | None, level: float
) -> tuple[float, float, float, float, float, float]:
    """Return both means, their difference, its interval and p-value, as the groups are."""
    mean, other, influence = _raw_influence(kind, values, group, level)
    low, high, pvalue = difference_interval(
        mean - other,
        influence,
        values[1] if kind == "ratio" else np.ones(group.size),
        group,
        cluster=cluster,
        scale=max(abs(mean), abs(other)),
        confidence_level=level,
    )
    x = values[0]
    if kind == "mean" and cluster is None and np.all((x == 0) | (x == 1)):
        low, high = (
            float(bound)
            for bound in newcombe_difference(
                x[group].sum(), group.sum(), x[~group].sum(), (~group).sum(), confidence_level=level
            )
        )
    return mean, other, mean - other, low, high, pvalue


def _raw_influence(
    kind: Kind, values: list[Any], group: Flags, level: float
) -> tuple[float, float, Floats]:
    if kind == "quantile":
        return raw_quantiles(values[0], group, values[1], z=normal_quantile(level))
    top, n = values[0], group.size
    bottom = values[1] if kind == "ratio" else np.ones(n)
    means, scale = [], []
    for side in (group.astype(np.float64), 1.0 - group):
        base = float(bottom @ side)
        if base <= 0:
            return math.nan, math.nan, np.full(n, np.nan)
        means.append(float(top @ side) / base)
        scale.append(n / base)
    inside = scale[0] * (top - means[0] * bottom)
    return means[0], means[1], np.where(group, inside, -scale[1] * (top - means[1] * bottom))


def _adjusted(
    kind: Kind,
    values: list[Any],
    fitted: weighting.Adjustment,
    cluster: npt.NDArray[Any] | None,
    level: float,
) -> tuple[float, float, float, float]:
    """Return the adjusted effect with interval and p-value."""
    mean, other, moved, pull = _adjusted_influence(kind, values, fitted, level)
    if math.isnan(mean):
        return (math.nan,) * 4
    effect = mean - other
    low, high, pvalue = difference_interval(
        effect,
        moved,
        pull,
        fitted.in_cohort,
        cluster=cluster,
        n_terms=fitted.design.shape[1],
        scale=max(abs(mean), abs(other)),
        confidence_level=level,
    )
    return effect, low, high, pvalue


def _adjusted_influence(
    kind: Kind, values: list[Any], fitted: weighting.Adjustment, level: float
) -> tuple[float, float, Floats, Floats]:
    """Return both levels at equal mix, how rows move their difference, and their pull."""
    if kind == "quantile":
        return adjusted_quantiles(fitted, values[0], values[1], z=normal_quantile(level))
    mean, other, own, others, pull = weighting.adjusted_influence(fitted, values[0])
    if kind == "mean":
        return mean, other, own - others, pull
    base, other_base, own_base, others_base, _ = weighting.adjusted_influence(fitted, values[1])
    if min(base, other_base) <= 0:
        return math.nan, math.nan, own, pull
    mean, other = mean / base, other / other_base
    own, others = (own - mean * own_base) / base, (others - other * others_base) / other_base
    return mean, other, own - others, pull * values[1]


def _split(
    kind: Kind, values: list[Any], group: Flags, design: Floats | None, grams: dict[bool, Floats]
) -> tuple[float, float]:
    """Split the raw effect into rate and mix; nan for quantiles and without covariates."""
    if design is None or kind == "quantile":
        return math.nan, math.nan
    if kind == "mean":
        return weighting.oaxaca_blinder(design, values[0], group, grams=grams)
    bottom = values[1]
    some = bottom > 0
    ratio = np.divide(values[0], bottom, out=np.zeros_like(bottom), where=some)
    return weighting.oaxaca_blinder(design, ratio, group, weight=bottom)


def _risk_ratio(
    kind: Kind,
    values: list[Any],
    group: Flags,
    raw: tuple[float, ...],
    effect: float,
    low: float,
    high: float,
) -> tuple[float, float, float]:
    """Return the effect as a risk ratio: exact for rates, approximate for means.

    A difference of d standard deviations counts as ``exp(0.91 d)`` (VanderWeele and Ding 2017).
    """
    x = values[0]
    if kind == "quantile" or math.isnan(effect):
        return (math.nan,) * 3
    rate_like = kind == "ratio" or bool(np.all(x >= 0) and np.all(x == np.round(x)))
    if rate_like:
        base = raw[0] - effect  # what the reference would show at the cohort's mix
        return tuple(  # type: ignore[return-value]
            max(base + bound, 0.0) / base if base > 0 else math.nan for bound in (effect, low, high)
        )
    inside = group.astype(np.float64)
    spread = math.sqrt((_variance(x, inside) + _variance(x, 1.0 - inside)) / 2)
    if spread == 0:
        return (math.nan,) * 3
    return tuple(  # type: ignore[return-value]
        math.exp(min(0.91 * bound / spread, 700.0)) for bound in (effect, low, high)
    )


def _variance(x: Floats, mask: Floats) -> float:
    """Return the variance of some values; a mask costs a tenth of copying them."""
    n = float(mask.sum())
    apart = x - float(x @ mask) / n
    return float((apart * apart) @ mask) / max(n - 1, 1.0)
