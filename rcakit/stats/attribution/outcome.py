"""Where did a change come from: one segment, several, everywhere, the mix, or nowhere?

The public functions take a leaf table as arrays and return an `Attribution`: chosen segments with effects and
error control, the change of the total, the factor that everything shares, and a verdict.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ErrorRate = Literal["family_wise", "false_discovery"]
Verdict = Literal["localised", "broad", "mix", "no_evidence"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another segment that the data can hardly tell from the chosen one.

    Parameters
    ----------
    codes
        Code per dimension, -1 where any value is meant.
    log_likelihood_gap
        Nats by which it fits worse than the chosen one (negative: better, but a longer description).
    is_same_leaves
        Whether it holds exactly the same leaves, so no data can separate the two.
    """

    codes: tuple[int, ...]
    log_likelihood_gap: float
    is_same_leaves: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment that changed beyond what everything else did.

    Parameters
    ----------
    codes
        Code per dimension, -1 where any value is meant.
    observed
        Sum over the leaves of the segment that no earlier segment explains, so segments add up.
    expected
        What these leaves would have shown had they moved with the rest.
    excess, excess_lower, excess_upper
        Observed minus expected, with a predictive interval for the part that the cause added.
    ratio, ratio_lower, ratio_upper
        Rate ratio, observed over expected, with a profile-likelihood interval.
    log_evalue
        Log of the likelihood ratio averaged over fixed effects; above log(1 / alpha) times the number of
        candidates it is evidence on its own.
    pvalue, qvalue
        Two-sided p-value of this segment alone, and adjusted for all segments that were searched.
    n_leaves
        Number of leaves.
    rate_effect, mix_effect
        Kitagawa parts of the segment's contribution to the change of a ratio; nan for counts.
    alternatives
        Segments within 2 nats, best first.
    """

    codes: tuple[int, ...]
    observed: float
    expected: float
    excess: float
    excess_lower: float
    excess_upper: float
    ratio: float
    ratio_lower: float
    ratio_upper: float
    log_evalue: float
    pvalue: float
    qvalue: float
    n_leaves: int
    rate_effect: float
    mix_effect: float
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What explains the change of the total.

    Parameters
    ----------
    verdict
        `localised` (segments stand out), `broad` (everything moved together), `mix` (only the composition
        moved, for ratios) or `no_evidence`.
    segments
        Chosen segments, strongest first.
    observed, expected
        Total of the period and its forecast (for ratios: the ratio and the baseline ratio).
    change, change_lower, change_upper
        Observed minus expected with a prediction interval.
    pvalue
        Two-sided p-value of the total change.
    shared_factor, shared_factor_lower, shared_factor_upper, shared_factor_pvalue
        Factor by which everything outside the segments moved, and whether it is unusual.
    rate_effect, mix_effect
        Kitagawa parts of the total change of a ratio, summing to `change`; nan for counts.
    mix_pvalue
        Whether the composition moved unusually; nan for counts.
    n_candidates
        Number of segments that were searched.
    leads
        Segments to look at first, best first: the strongest chosen one, then those furthest from their own
        past in the direction of the total. A ranking, not a claim.
    notes
        Sentences a reader must know before believing the result.
    """

    verdict: Verdict
    segments: tuple[Segment, ...]
    observed: float
    expected: float
    change: float
    change_lower: float
    change_upper: float
    pvalue: float
    shared_factor: float
    shared_factor_lower: float
    shared_factor_upper: float
    shared_factor_pvalue: float
    rate_effect: float
    mix_effect: float
    mix_pvalue: float
    n_candidates: int
    leads: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]
