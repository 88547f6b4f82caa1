"""Finding: one claim with its number, interval, evidence and caveats.

A report is findings in reading order. A finding cannot be built without an interval and a number
of observations, unless it is withheld and says why; its strength follows from `rate_strength`, and
is never typed by hand.
"""

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from rcakit.errors import ParameterError
from rcakit.validation import check_choice

__all__ = [
    "KINDS",
    "LADDER",
    "SMALLEST_CELL",
    "Finding",
    "Kind",
    "Strength",
    "json_safe",
    "rate_strength",
    "withheld",
]

Kind = Literal[
    "data_quality",
    "change",
    "driver",
    "matched_change",
    "ruled_out",
    "effect",
    "verdict",
    "difference",
    "measurement",
    "concentration",
]
Strength = Literal["strong", "moderate", "weak", "withheld"]

KINDS: tuple[Kind, ...] = get_args(Kind)

# Words for the link between a change and what may explain it, weakest first. Only a randomised
# test or a clean rollout (kind "effect") may say the last.
LADDER = ("coincides with", "is concentrated in", "is explained by", "was caused by")

# Fewer observations than this are neither evidence nor publishable.
SMALLEST_CELL = 10

_FEW = 30
_MANY = 100
# "Caused by" in other words. "No cause in this data" is an answer and stays allowed.
_CAUSAL = re.compile(
    r"\b(was caused|is caused|were caused|caused by|because of|due to|led to|resulted in)\b",
    re.IGNORECASE,
)
# What stands in curly quotes was said by the data (`wording.quoted`).
_QUOTED = re.compile(r"“[^”]*”")


def rate_strength(
    kind: Kind,
    *,
    estimate: float,
    ci_lower: float,
    ci_upper: float,
    n_obs: int,
    has_rivals: bool = False,
) -> Strength:
    """Rate how well a claim is supported, from its interval and size alone.

    Parameters
    ----------
    kind
        A match in time and scope (``matched_change``) is never more than moderate; for
        ``ruled_out`` the claim is that nothing is there, so an interval around zero supports it.
    estimate, ci_lower, ci_upper
        The number and its interval, in the unit of the finding; zero means "no difference".
    n_obs
        Observations behind the number.
    has_rivals
        Whether the evidence names ``rivals``: explanations that the design cannot rule out, such as
        whatever else began on the day of a before-after comparison. Never more than moderate then.

    Returns
    -------
    {"strong", "moderate", "weak", "withheld"}
        ``withheld`` below 10 observations. ``strong`` needs 100 observations and an interval
        whose bound nearest to zero keeps at least half of the estimate; ``moderate`` needs 30
        and an interval that leaves zero out; anything else is ``weak``.
    """
    if kind == "data_quality":
        return "strong"  # rows were counted, not estimated
    if n_obs < SMALLEST_CELL:
        return "withheld"
    excludes_zero = ci_lower > 0 or ci_upper < 0
    if kind == "ruled_out":
        return "moderate" if not excludes_zero and n_obs >= _FEW else "weak"
    if not excludes_zero or n_obs < _FEW:
        return "weak"
    nearest = min(abs(ci_lower), abs(ci_upper))
    is_capped = kind == "matched_change" or has_rivals
    if not is_capped and n_obs >= _MANY and nearest >= abs(estimate) / 2:
        return "strong"
    return "moderate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim with its number, interval, evidence and caveats.

    Attributes
    ----------
    claim
        A sentence a program manager understands, with its number, in the words of `LADDER`.
    kind
        What sort of claim; one of `KINDS`.
    estimate, ci_lower, ci_upper
        The number and its interval in `unit`; all nan when withheld.
    confidence_level
        Coverage of the interval, between 0 and 1.
    unit
        What is counted, for example ``reports``.
    n_obs
        Observations behind the number.
    method
        The calculation in a few words.
    caveats, next_steps
        Sentences.
    evidence
        Further numbers behind the claim, JSON-safe.
    segment
        For a driver: dimension → value.
    change_id
        For a matched or ruled-out entry of the change log.
    verdict
        For the verdict: a word of the analysis that reached it (``localised``, ``broad``, ``mix``
        …). One that begins with ``no_`` says that nothing is there, ``cannot_tell`` that the data
        do not decide.
    withheld_because
        Why there is no number; a finding without interval cannot be built without it.
    strength
        Follows from `rate_strength`.
    """

    claim: str
    kind: Kind
    estimate: float = math.nan
    ci_lower: float = math.nan
    ci_upper: float = math.nan
    confidence_level: float = 0.95
    unit: str
    n_obs: int
    method: str
    caveats: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    next_steps: tuple[str, ...] = ()
    segment: Mapping[str, Any] | None = None
    change_id: str | None = None
    verdict: str | None = None
    withheld_because: str | None = None
    strength: Strength = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a claim without a number, or one that says more than its evidence."""
        check_choice(self.kind, "kind", KINDS)
        if self.kind != "effect" and (word := _CAUSAL.search(_QUOTED.sub("", self.claim))):
            raise ParameterError(
                f"claim must stay on the word ladder {LADDER[:3]}, got {word.group()!r}. "
                "Only a randomised test or a clean rollout may name a cause."
            )
        strength: Strength = "withheld"
        if self.withheld_because is None:
            self._check_number()
            strength = rate_strength(
                self.kind,
                estimate=self.estimate,
                ci_lower=self.ci_lower,
                ci_upper=self.ci_upper,
                n_obs=self.n_obs,
                has_rivals=bool(self.evidence.get("rivals")),
            )
        object.__setattr__(self, "strength", strength)

    def _check_number(self) -> None:
        numbers = (self.estimate, self.ci_lower, self.ci_upper)
        is_known = math.isfinite(self.estimate) and not any(map(math.isnan, numbers))
        if not is_known or self.n_obs < 1:
            raise ParameterError(
                f"a finding must have an estimate, an interval and n_obs, got {numbers} and "
                f"n_obs={self.n_obs}. Give withheld_because to say why there is no number."
            )
        if self.ci_lower > self.ci_upper:
            raise ParameterError(f"ci_lower must be at most ci_upper, got {numbers[1:]}.")

    def to_record(self) -> dict[str, Any]:
        """Return every field as plain JSON values; what does not apply to the kind is left out."""
        record = {item.name: json_safe(getattr(self, item.name)) for item in fields(self)}
        optional = ("segment", "change_id", "verdict", "withheld_because")
        return {k: v for k, v in record.items() if v is not None or k not in optional}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Finding":
        """Rebuild a finding from `to_record`; its strength is rated anew."""
        known = {item.name for item in fields(cls) if item.init}
        given = {key: value for key, value in record.items() if key in known}
        # JSON knows no infinity: a bound that is missing beside an estimate is an open one.
        is_withheld = given.get("estimate") is None
        missing = (("estimate", math.nan), ("ci_lower", -math.inf), ("ci_upper", math.inf))
        for name, unbounded in missing:
            if given.get(name) is None:
                given[name] = math.nan if is_withheld else unbounded
        for name in ("caveats", "next_steps"):
            given[name] = tuple(given.get(name, ()))
        return cls(**given)


def withheld(kind: Kind, claim: str, *, why: str, unit: str, method: str, **more: Any) -> Finding:
    """Build a finding without a number, which says why there is none."""
    n_obs = int(more.pop("n_obs", 0))
    return Finding(
        claim=claim, kind=kind, unit=unit, n_obs=n_obs, method=method, withheld_because=why, **more
    )


def json_safe(value: Any) -> Any:
    """Turn a value into plain JSON: no nan, no numpy scalars, dates as ISO text."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [json_safe(item) for item in value]
    if hasattr(value, "item"):
        return json_safe(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else str(value)
