"""How wide must an interval be when somebody looks more than once?"""

from dataclasses import dataclass
from typing import Literal

from scipy import special

from rcakit.experiments.checks import Check, peeking
from rcakit.stats import moments, sequential
from rcakit.validation import check_integer, refusal

__all__ = ["LookPlan", "Looks", "plan_looks"]

Looks = int | tuple[int, int] | Literal["open"] | None

# Units (or groups) at which an open-ended interval is narrowest, unless the caller knows better.
_PLANNED_UNITS, _PLANNED_CLUSTERS = 5000, 50


@dataclass(frozen=True, slots=True)
class LookPlan:
    """One rule for intervals and p-values at this look.

    Attributes
    ----------
    kind
        ``single``, ``planned`` (group-sequential) or ``open`` (confidence sequence).
    look, n_looks
        This look and the looks planned; both 1 unless ``planned``.
    planned_n
        Units at which an open-ended interval is narrowest; None for a default.
    widened
        Whether looks happened that nobody planned.
    declared
        Whether the caller said how often was looked.
    """

    kind: Literal["single", "planned", "open"]
    look: int = 1
    n_looks: int = 1
    planned_n: float | None = None
    widened: bool = False
    declared: bool = True

    def critical(self, alpha: float, df: float, n: float, *, clustered: bool) -> float:
        """Return how many standard errors the interval reaches."""
        if self.kind == "single":
            return moments.t_critical(alpha, df)
        if self.kind == "planned":
            z = sequential.spending_boundaries(self.n_looks, alpha, self.look)[-1]
        else:
            z = sequential.confidence_sequence_multiplier(n, self._planned(clustered), alpha)
        return moments.t_critical(2 * float(special.ndtr(-z)), df)

    def pvalue(
        self, statistic: float, alpha: float, df: float, n: float, *, clustered: bool
    ) -> float:
        """Return a p-value that holds at this look."""
        single = moments.two_sided_pvalue(statistic, df)
        if self.kind == "single":
            return single
        z = -float(special.ndtri(max(single, 1e-300) / 2))
        if self.kind == "planned":
            return sequential.repeated_pvalue(z, self.look, self.n_looks)
        return sequential.confidence_sequence_pvalue(z, n, self._planned(clustered), alpha)

    def check(self) -> Check:
        """Say how looks were paid for."""
        texts = {
            "single": "one look at the end",
            "planned": f"look {self.look} of {self.n_looks} planned, O'Brien-Fleming spending",
            "open": "open-ended looks, asymptotic confidence sequence",
        }
        return peeking(plan=texts[self.kind], declared=self.declared, widened=self.widened)

    def _planned(self, clustered: bool) -> float:  # noqa: FBT001
        return self.planned_n or (_PLANNED_CLUSTERS if clustered else _PLANNED_UNITS)


def plan_looks(looks: Looks, planned_n: float | None) -> LookPlan:
    """Read ``looks``: None, a number of unplanned looks, (this look, looks planned), or open."""
    allowed = "None, 'open', a number of looks taken, or (this look, looks planned)"
    if looks is None:
        return LookPlan("single", declared=False)
    if isinstance(looks, str):
        if looks != "open":
            raise refusal("looks", allowed, looks)
        return LookPlan("open", planned_n=planned_n)
    if isinstance(looks, tuple | list):
        if len(looks) != 2:
            raise refusal("looks", allowed, looks)
        look = check_integer(looks[0], "looks[0]", ge=1)
        n_looks = check_integer(looks[1], "looks[1]", ge=1, le=100)
        if look > n_looks:  # more looks than planned: the plan no longer holds
            return LookPlan("open", planned_n=planned_n, widened=True)
        return LookPlan("planned" if n_looks > 1 else "single", look, n_looks)
    taken = check_integer(looks, "looks", ge=1)
    if taken == 1:
        return LookPlan("single")
    return LookPlan("open", planned_n=planned_n, widened=True)
