"""Is a gap still there once like is compared with like? The one rule that all comparisons share."""

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rcakit.results import Record

__all__ = ["CohortVerdict", "judge"]

CohortVerdict = Literal[
    "gap_persists", "reversed_by_mix", "hidden_by_mix", "explained_by_mix", "no_gap", "cannot_tell"
]


def judge(row: "Record", *, alpha: float) -> CohortVerdict:
    """Compare a gap as it is with the gap at equal mix.

    Parameters
    ----------
    row
        With ``effect`` and ``adjusted_effect``, their intervals, and ``qvalue``.
    alpha
        A gap at equal mix must also have a q-value up to this.

    Returns
    -------
    CohortVerdict
        ``gap_persists`` both as it is and at equal mix, in the same direction;
        ``reversed_by_mix`` the other way round at equal mix; ``hidden_by_mix`` only at equal mix,
        and ``explained_by_mix`` only as it is, where the interval at equal mix leaves the raw gap
        out;
        ``no_gap`` neither; ``cannot_tell`` otherwise.
    """
    low, high = row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]
    if math.isnan(low) or math.isnan(row["effect_ci_lower"]):
        return "cannot_tell"
    raw_is_gap = row["effect_ci_lower"] > 0 or row["effect_ci_upper"] < 0
    if not low <= 0 <= high:
        if not row["qvalue"] <= alpha:
            return "cannot_tell"
        if not raw_is_gap:
            return "cannot_tell" if low <= row["effect"] <= high else "hidden_by_mix"
        same_side = (row["effect"] > 0) == (row["adjusted_effect"] > 0)
        return "gap_persists" if same_side else "reversed_by_mix"
    if not raw_is_gap:
        return "no_gap"
    return "cannot_tell" if low <= row["effect"] <= high else "explained_by_mix"
