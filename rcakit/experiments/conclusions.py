"""What may be concluded of a change: a verdict, the number behind it, and what stands against it?"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from rcakit import frames, wording
from rcakit.experiments.checks import Check
from rcakit.experiments.choosing import DesignChoice
from rcakit.experiments.results import ExperimentResult, MetricEffect, RolloutResult, rivals
from rcakit.experiments.uptake import AdoptionResult
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result

if TYPE_CHECKING:
    import altair as alt

__all__ = ["VERDICTS", "Better", "Evaluation", "Guardrail", "Size"]

Better = Literal["higher", "lower"]

# What an evaluation may conclude.
VERDICTS = (
    "improved", "worsened", "moved", "mixed", "faded", "no_clear_effect", "cannot_tell",
)  # fmt: skip
# A warning of these kinds is a rival explanation that the data themselves offer.
_DISQUALIFYING = frozenset(
    {
        "baseline", "contamination", "missing_outcomes", "negative_controls", "placebo_dates",
        "placebo_units", "pre_trends",
    }
)  # fmt: skip
_HOW = {
    "randomised": "chance drew the rows",
    "clusters": "chance drew whole groups",
    "switchback": "chance drew the hours",
    "rollout": "changed units are compared with units not changed yet",
    "synthetic_control": "the changed unit is compared with a mixture of unchanged ones",
    "pre_post": "nothing but its own past is there to compare with",
}


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not get worse by more than a margin.

    Attributes
    ----------
    metric
        Column, or ``numerator / denominator``.
    margin
        Largest acceptable relative change, with its sign.
    rel_effect, rel_effect_ci_lower, rel_effect_ci_upper
        Relative change and its interval.
    n_obs
        Rows, periods or unit-periods behind it.
    verdict
        ``holds``, ``broken``, ``not shown`` or ``withheld``.
    """

    metric: str
    margin: float
    rel_effect: float
    rel_effect_ci_lower: float
    rel_effect_ci_upper: float
    n_obs: int
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Result):
    """The verdict on a change, with all that it rests on.

    Attributes
    ----------
    choice
        The design and why it was chosen.
    primary
        The answer of that design on the outcome; None when no design is possible.
    guardrails
        Metrics that must not get worse.
    adopted
        Adoption of the new way, when it was recorded.
    outcome
        Name of the outcome.
    better
        The wanted direction, if one was named.
    """

    choice: DesignChoice
    primary: ExperimentResult | RolloutResult | None
    guardrails: tuple[Guardrail, ...] = ()
    adopted: AdoptionResult | None = None
    outcome: str
    better: Better | None = None
    confidence_level: float = 0.95
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "metrics": MappingProxyType(
                {
                    "metric": "String",
                    "role": "String",
                    "effect": "Float64",
                    "effect_ci_lower": "Float64",
                    "effect_ci_upper": "Float64",
                    "rel_effect": "Float64",
                    "rel_effect_ci_lower": "Float64",
                    "rel_effect_ci_upper": "Float64",
                    "verdict": "String",
                }
            ),
            "checks": MappingProxyType(
                dict.fromkeys(("check", "status", "detail", "what_to_do"), "String")
            ),
        }
    )

    shown: ClassVar[tuple[str, ...]] = ("metric", "role", "effect", "rel_effect", "verdict")

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the guard rails of the primary result."""
        return () if self.primary is None else self.primary.checks

    @property
    def verdict(self) -> str:
        """Return one of `VERDICTS`."""
        if self._obstacles():
            return "cannot_tell"
        size = self._size()
        if self._has_faded():
            return "faded"
        if not size.is_clear:
            return "no_clear_effect"
        if self.better is None:
            return "moved"
        is_wanted = (size.estimate > 0) == (self.better == "higher")
        if not is_wanted:
            return "worsened"
        return "mixed" if any(g.verdict == "broken" for g in self.guardrails) else "improved"

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return outcome and guardrails, or the checks, as rows."""
        if self._table(table) == "checks":
            return [check.to_record() for check in self.checks]
        rows = [] if self.primary is None else [self._size().to_record(self.outcome, self.verdict)]
        return rows + [_guardrail_record(guardrail) for guardrail in self.guardrails]

    def shown_rows(self) -> list[Record]:
        """Return every metric with its intervals in words."""
        return [
            {
                "metric": row["metric"],
                "role": row["role"],
                "effect": _with_interval(row, "effect", wording.amount),
                "rel_effect": _with_interval(row, "rel_effect", wording.percent),
                "verdict": row["verdict"],
            }
            for row in self.to_records()
        ]

    def reading(self) -> str:
        """Say the verdict and the number behind it."""
        return " ".join(item.claim for item in self.findings()[:2])

    def findings(self) -> tuple[Finding, ...]:
        """Return the verdict first, then effect, guardrails, course and adoption."""
        told = () if self.adopted is None else self.adopted.findings()
        if self.verdict == "cannot_tell":
            return (self._withheld(), *told)
        assert self.primary is not None
        return (
            self._verdict(),
            *(self._dated(item) for item in self.primary.findings()[:1]),
            *(self._guardrail_finding(guardrail) for guardrail in self.guardrails),
            *self._course(),
            *told,
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the primary result; the designs when there is none."""
        return (self.choice if self.primary is None else self.primary).plot()

    def _obstacles(self) -> list[Check]:
        """Return what forbids an answer: blocks, and rivals that the data themselves offer."""
        if self.primary is None:
            return [Check("design", "block", self.choice.reading().rstrip("."), "")]
        return [
            check
            for check in self.checks
            if check.status == "block" or (check.status == "warn" and check.check in _DISQUALIFYING)
        ] or ([] if self._size().is_known else [Check("interval", "block", "no interval", "")])

    def _size(self) -> "Size":
        assert self.primary is not None
        return Size.of(self.primary)

    def _has_faded(self) -> bool:
        """Tell whether an early effect was clear, is no longer, and the two differ clearly.

        An early effect without a clear one overall is a second chance to find something: it is
        held to half of the error rate (Bonferroni).
        """
        if not isinstance(self.primary, RolloutResult):
            return False
        early, late, moved = (self.primary.at(n) for n in ("early", "late", "late_minus_early"))
        if early is None or late is None or moved is None:
            return False
        is_clear = [not part.ci_lower <= 0 <= part.ci_upper for part in (early, late, moved)]
        is_sure = self._size().is_clear or early.pvalue < (1 - self.confidence_level) / 2
        return is_clear == [True, False, True] and is_sure and early.estimate * moved.estimate < 0

    def _verdict(self) -> Finding:
        assert self.primary is not None
        size, verdict = self._size(), self.verdict
        return Finding(
            claim=self._claim(verdict, size),
            kind="verdict",
            estimate=size.estimate,
            ci_lower=size.lower,
            ci_upper=size.upper,
            unit=self.outcome,
            n_obs=size.n_obs,
            method=size.method,
            caveats=self._caveats(),
            evidence=MappingProxyType(
                {
                    "design": self.choice.design,
                    "why": self.choice.chosen.reason,
                    "rel_effect": size.relative[0],
                    "rivals": rivals(self.primary),
                    "counted": _COUNTED.get(self.choice.design, "rows"),
                }
            ),
            next_steps=(_NEXT[verdict],),
            verdict=verdict,
        )

    def _caveats(self) -> tuple[str, ...]:
        warned = [f"{c.detail}. {c.what_to_do}" for c in self.checks if c.status == "warn"]
        if self.choice.design == "pre_post":
            warned.insert(0, _OWN_PAST)
        return tuple(warned)

    def _withheld(self) -> Finding:
        obstacles = self._obstacles()
        why = "; ".join(f"{check.check.replace('_', ' ')}: {check.detail}" for check in obstacles)
        steps = [check.what_to_do for check in obstacles if check.what_to_do]
        steps += [f"{option.needed}." for option in self.choice.options if option.needed][:1]
        return withheld(
            "verdict",
            f"These data cannot tell whether the change moved {self.outcome}: {why}.",
            why=why,
            unit=self.outcome,
            method="guard rails",
            n_obs=0 if self.primary is None else self._size().n_obs,
            next_steps=tuple(dict.fromkeys(steps)),
            verdict="cannot_tell",
        )

    def _claim(self, verdict: str, size: "Size") -> str:
        how, name = _HOW[self.choice.design], self.outcome
        level = wording.percent(self.confidence_level)
        if verdict == "no_clear_effect":
            bounds = wording.interval(size.lower, size.upper, signed=True)
            told = f"{wording.amount(size.estimate, signed=True)}, {level} interval {bounds}"
            return f"No clear effect on {name}: {told}; {how}."
        if verdict == "faded":
            early, late = self._third("early"), self._third("late")
            return f"The effect on {name} has faded: {early} in the first third of the time, {late} in the last."
        direction = "higher" if size.estimate > 0 else "lower"
        told = "" if self._says_number() else f", {self._number(size)}"
        if verdict == "moved":
            return f"{_capital(name)} is {direction} with the change{told}; {how}."
        answer, course = {
            "improved": (self._yes(), "the wanted way"),
            "mixed": ("In part", "the wanted way"),
            "worsened": ("No", "the unwanted way"),
        }[verdict]
        harm = f", but {self._broken()} got worse" if verdict == "mixed" else ""
        return f"{answer}: {name} moved {course} ({direction}{told}){harm}; {how}."

    def _yes(self) -> str:
        """Say yes as firmly as the design allows."""
        assert self.primary is not None
        if self.choice.design == "pre_post":
            return "Perhaps"
        return "Probably" if rivals(self.primary) else "Yes"

    def _says_number(self) -> bool:
        """Tell whether the next sentence of an answer, an effect, holds the number."""
        return self.primary is not None and self.primary.findings()[0].kind == "effect"

    def _number(self, size: "Size") -> str:
        bounds = wording.interval(size.lower, size.upper, signed=True)
        level = wording.percent(self.confidence_level)
        said = f"{wording.amount(size.estimate, signed=True)}, {level} interval {bounds}"
        relative = size.relative[0]
        return (
            f"{said}, {wording.percent(relative, signed=True)}" if math.isfinite(relative) else said
        )

    def _third(self, level: str) -> str:
        assert isinstance(self.primary, RolloutResult)
        part = self.primary.at(level)
        assert part is not None
        bounds = wording.interval(part.ci_lower, part.ci_upper, signed=True)
        level = wording.percent(self.confidence_level)
        return f"{wording.amount(part.estimate, signed=True)} ({level} interval {bounds})"

    def _broken(self) -> str:
        return ", ".join(g.metric for g in self.guardrails if g.verdict == "broken")

    def _course(self) -> tuple[Finding, ...]:
        """Say whether the effect of a roll-out lasted."""
        if not isinstance(self.primary, RolloutResult):
            return ()
        moved = self.primary.at("late_minus_early")
        if moved is None or math.isnan(moved.ci_lower):
            return ()
        is_clear = not moved.ci_lower <= 0 <= moved.ci_upper
        words = "changed with time" if is_clear else "did not clearly change with time"
        settings = self.choice.chosen.settings
        return (
            Finding(
                claim=f"The effect on {self.outcome} {words}: {self._third('early')} in the first "
                f"third of the time, {self._third('late')} in the last.",
                kind="change",
                estimate=moved.estimate,
                ci_lower=moved.ci_lower,
                ci_upper=moved.ci_upper,
                unit=self.outcome,
                n_obs=self.primary.n_obs,
                method="last third less first third of the treated periods, same waves",
                evidence=MappingProxyType(
                    {"started_at": next(iter(settings.get("waves", ())), "")}
                ),
            ),
        )

    def _dated(self, finding: Finding) -> Finding:
        """Add the day of the change, which a timeline shows."""
        settings = self.choice.chosen.settings
        began = settings.get("at") or next(iter(settings.get("waves", ())), None)
        if began is None or finding.kind != "change":
            return finding
        return replace(
            finding, evidence=MappingProxyType({**finding.evidence, "started_at": began})
        )

    def _guardrail_finding(self, guardrail: Guardrail) -> Finding:
        numbers = (
            guardrail.rel_effect, guardrail.rel_effect_ci_lower, guardrail.rel_effect_ci_upper,
        )  # fmt: skip
        method = f"non-inferiority, margin {wording.percent(guardrail.margin, signed=True)}"
        if guardrail.verdict == "withheld" or any(map(math.isnan, numbers)):
            why = "it has no interval, or one of its checks blocks"
            return withheld(
                "change", f"No verdict on guardrail {guardrail.metric}: {why}.", why=why,
                unit="relative change", method=method, n_obs=guardrail.n_obs,
            )  # fmt: skip
        level, bounds = wording.percent(self.confidence_level), [
            wording.percent(end, signed=True) for end in numbers[1:]
        ]  # fmt: skip
        size = f"{wording.percent(numbers[0], signed=True)} ({level} interval {bounds[0]} to {bounds[1]})"
        limit = wording.percent(guardrail.margin, signed=True)
        return Finding(
            claim=f"Guardrail {guardrail.metric} {_GUARDRAIL_WORDS[guardrail.verdict]}: {size}, limit {limit}.",
            kind="change",
            estimate=numbers[0],
            ci_lower=numbers[1],
            ci_upper=numbers[2],
            unit="relative change",
            n_obs=guardrail.n_obs,
            method=method,
        )


_COUNTED = {
    "rollout": "units and periods", "synthetic_control": "units and periods", "pre_post": "periods",
}  # fmt: skip
_OWN_PAST = (
    "A series was compared with its own past. Whatever else began on that day looks the same: ask "
    "what did, and compare with a part that was not changed."
)
_NEXT = {
    "improved": "Keep the change, and look again when it has run as long once more.",
    "worsened": "Stop the change, or find out for whom it works.",
    "moved": "Decide whether this direction is wanted (better=).",
    "mixed": "Weigh the gain against the guardrail that broke before the change goes further.",
    "faded": "Find out what wears off (training, attention, adoption) before you roll out further.",
    "no_clear_effect": "Do not credit the change; plan the next test with experiments.power.",
}
_GUARDRAIL_WORDS = {"holds": "holds", "broken": "is broken", "not shown": "is not shown to hold"}


@dataclass(frozen=True, slots=True)
class Size:
    """One effect in one form, whatever the design."""

    estimate: float
    lower: float
    upper: float
    relative: tuple[float, float, float]
    is_clear: bool
    n_obs: int
    method: str

    @property
    def is_known(self) -> bool:
        """Tell whether there is an estimate with an interval."""
        return math.isfinite(self.estimate) and not math.isnan(self.lower)

    @classmethod
    def of(cls, result: ExperimentResult | RolloutResult) -> "Size":
        """Read the first effect of a result."""
        if isinstance(result, ExperimentResult):
            return cls._of_metric(result.effects[0])
        effect = result.overall
        ends = (effect.estimate, effect.ci_lower, effect.ci_upper)
        relative = (result.relative(ends[0]), result.relative(ends[1]), result.relative(ends[2]))
        is_clear = not effect.ci_lower <= 0 <= effect.ci_upper
        return cls(*ends, relative, is_clear, result.n_obs, result.method)

    @classmethod
    def _of_metric(cls, effect: MetricEffect) -> "Size":
        return cls(
            effect.effect,
            effect.effect_ci_lower,
            effect.effect_ci_upper,
            (effect.rel_effect, effect.rel_effect_ci_lower, effect.rel_effect_ci_upper),
            effect.verdict in {"higher", "lower"},
            effect.n_control + effect.n_treatment,
            effect.method,
        )

    def to_record(self, outcome: str, verdict: str) -> Record:
        """Return the effect as one row."""
        return {
            "metric": outcome,
            "role": "outcome",
            "effect": self.estimate,
            "effect_ci_lower": self.lower,
            "effect_ci_upper": self.upper,
            "rel_effect": self.relative[0],
            "rel_effect_ci_lower": self.relative[1],
            "rel_effect_ci_upper": self.relative[2],
            "verdict": verdict.replace("_", " "),
        }


def _with_interval(row: Record, name: str, say: Callable[..., str]) -> str:
    ends = (row[f"{name}_ci_lower"], row[f"{name}_ci_upper"])
    if math.isnan(row[name]):
        return ""
    told = say(row[name], signed=True)
    if any(map(math.isnan, ends)):
        return told
    return f"{told} ({say(ends[0], signed=True)} to {say(ends[1], signed=True)})"


def _guardrail_record(guardrail: Guardrail) -> Record:
    return {
        "metric": guardrail.metric,
        "role": f"guardrail, limit {wording.percent(guardrail.margin, signed=True)}",
        "effect": math.nan,
        "effect_ci_lower": math.nan,
        "effect_ci_upper": math.nan,
        "rel_effect": guardrail.rel_effect,
        "rel_effect_ci_lower": guardrail.rel_effect_ci_lower,
        "rel_effect_ci_upper": guardrail.rel_effect_ci_upper,
        "verdict": guardrail.verdict,
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
