"""How far do a cohort and the reference overlap, and how alike are they once weighted?"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rcakit import wording
from rcakit.cohorts.covariates import Covariates
from rcakit.cohorts.effects import Pair
from rcakit.cohorts.result import BALANCED, CohortResult
from rcakit.results import Record
from rcakit.stats import weighting

__all__ = ["NO_SUPPORT", "describe", "least_balanced", "overlap_caveats"]

Flags = npt.NDArray[np.bool_]

_FEWEST_EFFECTIVE = 10
_POOR_SUPPORT, NO_SUPPORT = 0.05, 0.5
_POOR_SIZE = 0.1


def describe(
    name: str,
    pair: Pair,
    fitted: weighting.Adjustment | None,
    kept: Flags,
    encoded: Covariates,
    at: npt.NDArray[np.int64],
) -> tuple[Record, list[Record]]:
    """Return the overlap of a cohort with the reference, and the balance of its covariates."""
    columns = encoded.columns if at.size == encoded.columns.shape[0] else encoded.columns[at]
    weight = np.full(pair.in_cohort.size, 1.0 if fitted is None else 0.0)
    if fitted is not None:
        weight[kept] = fitted.weight
    raw, adjusted = weighting.balance(columns, pair.in_cohort, weight, encoded.is_binary)
    size, alone = 0.0, 1.0
    if fitted is None:
        adjusted = np.full(columns.shape[1], np.nan)
    else:
        group, chance = fitted.in_cohort, fitted.propensity
        size = weighting.effective_size(fitted.weight[~group])
        without = (chance > chance[~group].max()) & (chance > 0.99)
        reference_sum = (~pair.in_cohort * kept).astype(np.float64) @ columns
        if (absent := encoded.is_binary & (reference_sum == 0)).any():
            without |= columns[np.ix_(kept, absent)].any(axis=1)
        alone = float(np.mean(without[group]))
    if size < _FEWEST_EFFECTIVE:
        alone = 1.0
    known = np.abs(adjusted[~np.isnan(adjusted)])
    described = {
        "cohort": name,
        "n_obs": int(pair.in_cohort.sum()),
        "n_reference": int((~pair.in_cohort).sum()),
        "n_trimmed": int((~kept).sum()),
        "n_effective_reference": size,
        "share_without_counterpart": alone,
        "largest_smd": float(known.max()) if known.size else math.nan,
    }
    smd = [
        {
            "cohort": name,
            "covariate": covariate,
            "level": level,
            "smd_raw": float(raw[i]),
            "smd_adjusted": float(adjusted[i]),
        }
        for i, (covariate, level) in enumerate(encoded.names)
    ]
    return described, smd


def overlap_caveats(described: Record, trim: float) -> list[str]:
    """Say what the overlap of a cohort with the reference lets nobody conclude."""
    who = wording.visible(described["cohort"])
    alone, size = described["share_without_counterpart"], described["n_effective_reference"]
    if alone > NO_SUPPORT:
        return [
            (
                f"{who} has no counterparts in the reference: nothing can be said at equal mix. "
                "Hold fewer covariates equal, or choose another reference."
            )
        ]
    said = []
    if alone > _POOR_SUPPORT:
        said.append(
            f"{wording.percent(alone)} of {who} has no counterpart in the reference; for "
            "these the adjusted effect rests on the outcome model alone."
        )
    if size < _POOR_SIZE * described["n_reference"]:
        said.append(
            f"Weighted to {who}, the reference counts as {wording.amount(round(size))} rows "
            f"of {wording.amount(described['n_reference'])}."
        )
    if described["largest_smd"] > BALANCED:
        said.append(
            f"{who} and the reference stay {described['largest_smd']:.2f} standard deviations "
            "apart in one covariate after weighting; the regression takes out the rest."
        )
    if described["n_trimmed"]:
        said.append(
            f"{wording.plural(described['n_trimmed'], 'row')} of {who} and the reference had a "
            f"propensity beyond {trim:g} and were left out."
        )
    return said


def least_balanced(rows: Sequence[Record]) -> tuple[Record, ...]:
    """Keep, per covariate and level, the largest difference before and the largest after.

    The two may be of different cohorts: a cohort that was unlike and is balanced must show in the
    first, one that stays unlike in the second.
    """
    kept: dict[tuple[str, str | None], Record] = {}
    for row in rows:
        found = kept.setdefault((row["covariate"], row["level"]), dict(row))
        for name in ("smd_raw", "smd_adjusted"):
            if math.isnan(found[name]) or abs(row[name]) > abs(found[name]):
                found[name] = row[name]
    return tuple(
        {name: row[name] for name in CohortResult.tables["balance"]} for row in kept.values()
    )
