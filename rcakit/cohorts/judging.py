"""Is a gap still there once like is compared with like? The one rule that all comparisons share."""

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rcakit.results import Record

__all__ = ["CohortVerdict", "judge"]

_SURER = 0.2  # a q-value of 0.01 where intervals are of 95 %

CohortVerdict = Literal[
    "gap_persists", "reversed_by_mix", "hidden_by_mix", "explained_by_mix", "no_gap", "cannot_tell"
]


def judge(row: "Record", *, alpha: float) -> CohortVerdict:
    """Compare a gap as it is with the gap at equal mix.

    Parameters
    ----------
    row
        With ``effect`` and ``adjusted_effect``, their intervals at level ``1 - alpha``, and
        ``qvalue``, which belongs to the adjusted effect.
    alpha
        Error of the intervals. A gap at equal mix must be five times surer than its interval: its
        q-value may be at most a fifth of this.

    Returns
    -------
    CohortVerdict
        ``gap_persists`` both as it is and at equal mix, in the same direction;
        ``reversed_by_mix`` the other way round at equal mix; ``hidden_by_mix`` only at equal mix,
        and ``explained_by_mix`` only as it is, where the interval at equal mix leaves the raw gap
        out, and half of it if it leaves out zero as well;
        ``no_gap`` neither; ``cannot_tell`` otherwise.

    Notes
    -----
    A gap that is not there is the worst this room can say, and a report that asks every morning
    asks often: at one error in twenty it would say so every month. One in a hundred is asked of
    the word; what lies between has its interval, and the word ``cannot_tell``.
    """
    low, high = row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]
    if math.isnan(low) or math.isnan(row["effect_ci_lower"]):
        return "cannot_tell"
    raw_is_gap = row["effect_ci_lower"] > 0 or row["effect_ci_upper"] < 0
    is_mix = not low <= row["effect"] <= high  # the mix moves the gap beyond chance
    if row["qvalue"] <= alpha * _SURER:
        if not raw_is_gap:
            return "hidden_by_mix" if is_mix else "cannot_tell"
        same_side = (row["effect"] > 0) == (row["adjusted_effect"] > 0)
        return "gap_persists" if same_side else "reversed_by_mix"
    if not raw_is_gap:
        return "no_gap" if low <= 0 <= high else "cannot_tell"
    # what may be left on the side of the raw gap, when the interval just leaves zero out
    left = high if row["effect"] > 0 else -low
    is_small = low <= 0 <= high or left < abs(row["effect"]) / 2
    return "explained_by_mix" if is_mix and is_small else "cannot_tell"
