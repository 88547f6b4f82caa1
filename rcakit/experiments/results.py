"""What an experiment, a roll-out and a plan hand back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rcakit import frames, wording
from rcakit.experiments.checks import Check, is_blocked
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "ExperimentResult",
    "MetricEffect",
    "PowerResult",
    "RolloutEffect",
    "RolloutResult",
    "rivals",
]

Design = Literal["randomised", "clusters", "switchback", "pre_post", "rollout", "synthetic_control"]

_CHECKS = MappingProxyType(dict.fromkeys(("check", "status", "detail", "what_to_do"), "String"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEffect:
    """Treatment against control for one metric.

    Attributes
    ----------
    metric
        Column, or ``numerator / denominator``; with its segment when there is one.
    method
        Role and calculation in a few words.
    n_control, n_treatment
        Rows behind each side (periods, for a before-after comparison).
    n_clusters
        Randomised groups; 0 when rows themselves were randomised.
    control, treatment
        Value on each side; for a before-after comparison the counterfactual and the observed mean.
    effect, effect_ci_lower, effect_ci_upper
        Difference and its interval, in the unit of the metric.
    rel_effect, rel_effect_ci_lower, rel_effect_ci_upper
        Difference over control; nan bounds when control is not clearly different from zero.
    pvalue, qvalue
        For this metric alone; and over its family (Holm for primary, Benjamini-Hochberg for
        exploratory metrics and segments).
    verdict
        ``higher``, ``lower``, ``no clear difference``; for a guardrail ``holds``, ``broken``,
        ``not shown``; ``withheld`` when a check blocks.
    """

    metric: str
    method: str
    n_control: int
    n_treatment: int
    n_clusters: int
    control: float
    treatment: float
    effect: float
    effect_ci_lower: float
    effect_ci_upper: float
    rel_effect: float
    rel_effect_ci_lower: float
    rel_effect_ci_upper: float
    pvalue: float
    qvalue: float
    verdict: str

    def to_record(self) -> Record:
        """Return the effect as one row."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


_METRICS = MappingProxyType(
    {
        item.name: {"str": "String", "int": "Int64", "float": "Float64"}[
            item.type if isinstance(item.type, str) else item.type.__name__
        ]
        for item in fields(MetricEffect)
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult(Result):
    """Did the change do it, metric by metric, and what speaks against believing it?

    Attributes
    ----------
    design
        ``randomised``, ``clusters``, ``switchback`` or ``pre_post``.
    effects
        One per metric.
    segments
        The same by declared segment; may be empty.
    checks
        Guard rails.
    series
        Observed and expected value per period, for a before-after comparison.
    confidence_level
        Of the intervals.
    """

    design: Design
    effects: tuple[MetricEffect, ...]
    checks: tuple[Check, ...]
    segments: tuple[MetricEffect, ...] = ()
    series: tuple[Mapping[str, Any], ...] = ()
    confidence_level: float = 0.95
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "metrics": _METRICS,
            "checks": _CHECKS,
            "segments": _METRICS,
            "series": MappingProxyType(
                {
                    "period_start": "Datetime",
                    "observed": "Float64",
                    "expected": "Float64",
                    "expected_lower": "Float64",
                    "expected_upper": "Float64",
                    "phase": "String",
                }
            ),
        }
    )

    @property
    def is_blocked(self) -> bool:
        """Tell whether a check withholds the verdict."""
        return is_blocked(self.checks)

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return metrics, checks, segments or series as rows."""
        rows = {
            "metrics": lambda: [effect.to_record() for effect in self.effects],
            "checks": lambda: [check.to_record() for check in self.checks],
            "segments": lambda: [effect.to_record() for effect in self.segments],
            "series": lambda: [dict(row) for row in self.series],
        }
        return rows[self._table(table)]()

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding per metric, blocks first said aloud."""
        caveats = tuple(f"{c.detail}. {c.what_to_do}" for c in self.checks if c.status == "warn")
        blocks = [check for check in self.checks if check.status == "block"]
        if blocks:
            why = "; ".join(f"{check.check}: {check.detail}" for check in blocks)
            return tuple(self._withheld(effect, why, blocks) for effect in self.effects)
        return tuple(self._finding(effect, caveats) for effect in self.effects)

    def reading(self) -> str:
        """Say what was found, and what speaks against it."""
        warned = [check.check for check in self.checks if check.status == "warn"]
        said = " ".join(finding.claim for finding in self.findings()[:3])
        return f"{said} Read with care: {', '.join(warned)}." if warned else said

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the counterfactual of a before-after comparison, else the effects as a forest."""
        from rcakit.plots import experiments as charts

        if self.series:
            return charts.counterfactual(self.to_records("series"), title=self.reading())
        return charts.forest(self.to_records(), title=self.reading())

    def _withheld(self, effect: MetricEffect, why: str, blocks: list[Check]) -> Finding:
        return withheld(
            "effect",
            f"No verdict on {wording.visible(effect.metric)}: {why}.",
            why=why,
            unit=wording.visible(effect.metric),
            method=effect.method,
            n_obs=effect.n_control + effect.n_treatment,
            next_steps=tuple(check.what_to_do for check in blocks),
        )

    def _finding(self, effect: MetricEffect, caveats: tuple[str, ...]) -> Finding:
        n_obs = effect.n_control + effect.n_treatment
        metric = wording.visible(effect.metric)
        if math.isnan(effect.effect_ci_lower) or math.isnan(effect.effect):
            why = "the effect has no interval"
            return withheld(
                "effect", f"No verdict on {metric}: {why}.", why=why, unit=metric,
                method=effect.method, n_obs=n_obs,
            )  # fmt: skip
        return Finding(
            claim=_claim(effect, metric, self),
            kind="change" if self.design == "pre_post" else "effect",
            estimate=effect.effect,
            ci_lower=effect.effect_ci_lower,
            ci_upper=effect.effect_ci_upper,
            unit=metric,
            n_obs=n_obs,
            method=effect.method,
            caveats=caveats,
            evidence=MappingProxyType(
                {
                    "pvalue": effect.pvalue,
                    "qvalue": effect.qvalue,
                    "rel_effect": effect.rel_effect,
                    "rivals": rivals(self),
                }
            ),
        )


def _claim(effect: MetricEffect, metric: str, result: ExperimentResult) -> str:
    level = wording.percent(result.confidence_level)
    bounds = wording.interval(effect.effect_ci_lower, effect.effect_ci_upper, signed=True)
    size = f"{wording.amount(effect.effect, signed=True)} ({level} interval {bounds})"
    relative = wording.percent(effect.rel_effect, signed=True)
    if math.isfinite(effect.rel_effect):
        size = f"{size}, {relative}"
    if effect.verdict in {"holds", "broken", "not shown"}:
        return f"Guardrail {metric} {_GUARDRAIL_WORDS[effect.verdict]}: {size}."
    if effect.verdict not in {"higher", "lower"}:
        return f"No clear difference in {metric}: {size}."
    if result.design == "pre_post":
        return f"The change coincides with {effect.verdict} {metric}: {size}."
    return f"{metric[:1].upper()}{metric[1:]} is {effect.verdict} with the change: {size}."


_GUARDRAIL_WORDS = {
    "holds": "holds",
    "broken": "is broken",
    "not shown": "is not shown to hold",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEffect:
    """One effect of a staged roll-out.

    Attributes
    ----------
    level
        ``overall``, ``cohort``, ``cohort_period``; ``early``, ``late`` and ``late_minus_early``
        (first and last third of the treated periods); ``two_way_fixed_effects`` (a contrast only).
    cohort
        First treated period of the units; empty when several are averaged.
    period
        Period of the effect; empty when several are averaged.
    estimate, ci_lower, ci_upper, pvalue
        Effect on the treated, in the unit of the outcome.
    n_units
        Treated units behind it.
    """

    level: str
    cohort: str
    period: str
    estimate: float
    ci_lower: float
    ci_upper: float
    pvalue: float
    n_units: int

    def to_record(self) -> Record:
        """Return the effect as one row."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult(Result):
    """Did the roll-out do it, for whom, and how soon?

    Attributes
    ----------
    outcome
        What was measured.
    effects
        Overall, by cohort, by cohort and period; the overall one first.
    event_study
        Rows with ``event_time``, ``estimate``, ``ci_lower``, ``ci_upper``, the simultaneous band
        ``band_lower``, ``band_upper`` and ``n_units``.
    checks
        Guard rails, with every unit and cohort that was left out.
    breakdown_m
        How large a drift, in units of the largest step before treatment, hides the effect.
    treated_mean
        Mean outcome of treated units since their start.
    """

    outcome: str
    method: str
    effects: tuple[RolloutEffect, ...]
    event_study: tuple[Mapping[str, Any], ...]
    checks: tuple[Check, ...]
    n_obs: int
    breakdown_m: float = math.nan
    treated_mean: float = math.nan
    confidence_level: float = 0.95
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "effects": MappingProxyType(
                {
                    "level": "String",
                    "cohort": "String",
                    "period": "String",
                    "estimate": "Float64",
                    "ci_lower": "Float64",
                    "ci_upper": "Float64",
                    "pvalue": "Float64",
                    "n_units": "Int64",
                }
            ),
            "event_study": MappingProxyType(
                {
                    "event_time": "Int64",
                    "estimate": "Float64",
                    "ci_lower": "Float64",
                    "ci_upper": "Float64",
                    "band_lower": "Float64",
                    "band_upper": "Float64",
                    "n_units": "Int64",
                }
            ),
            "checks": _CHECKS,
        }
    )

    @property
    def overall(self) -> RolloutEffect:
        """Return the average effect on the treated."""
        return self.effects[0]

    def at(self, level: str) -> RolloutEffect | None:
        """Return the first effect of a level, such as ``late``; None when there is none."""
        return next((effect for effect in self.effects if effect.level == level), None)

    def relative(self, value: float) -> float:
        """Return an effect as a share of what treated units would have had without the change."""
        expected = self.treated_mean - self.overall.estimate
        return value / expected if expected > 0 else math.nan

    @property
    def is_blocked(self) -> bool:
        """Tell whether a check withholds the verdict."""
        return is_blocked(self.checks)

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return effects, the event study or checks as rows."""
        name = self._table(table)
        if name == "effects":
            return [effect.to_record() for effect in self.effects]
        if name == "event_study":
            return [dict(row) for row in self.event_study]
        return [check.to_record() for check in self.checks]

    def findings(self) -> tuple[Finding, ...]:
        """Return the overall effect; only a clean roll-out is called a cause."""
        outcome, effect = wording.visible(self.outcome), self.overall
        blocks = [check for check in self.checks if check.status == "block"]
        if blocks or math.isnan(effect.ci_lower):
            why = "; ".join(f"{check.check}: {check.detail}" for check in blocks)
            why = why or "the effect has no interval"
            return (
                withheld(
                    "effect", f"No verdict on {outcome}: {why}.", why=why, unit=outcome,
                    method=self.method, n_obs=self.n_obs,
                    next_steps=tuple(check.what_to_do for check in blocks),
                ),
            )  # fmt: skip
        warned = [c for c in self.checks if c.status == "warn" and c.check in _SERIOUS]
        return (
            Finding(
                claim=self._claim(effect, outcome, is_clean=not warned),
                kind="change" if warned else "effect",
                estimate=effect.estimate,
                ci_lower=effect.ci_lower,
                ci_upper=effect.ci_upper,
                unit=outcome,
                n_obs=self.n_obs,
                method=self.method,
                caveats=tuple(
                    f"{c.detail}. {c.what_to_do}" for c in self.checks if c.status == "warn"
                ),
                evidence=MappingProxyType(
                    {"breakdown_m": self.breakdown_m, "rivals": rivals(self)}
                ),
            ),
        )

    def _claim(self, effect: RolloutEffect, outcome: str, *, is_clean: bool) -> str:
        level = wording.percent(self.confidence_level)
        bounds = wording.interval(effect.ci_lower, effect.ci_upper, signed=True)
        size = f"{wording.amount(effect.estimate, signed=True)} ({level} interval {bounds})"
        if effect.ci_lower <= 0 <= effect.ci_upper:
            return f"No clear effect of the roll-out on {outcome}: {size}."
        direction = "higher" if effect.estimate > 0 else "lower"
        if is_clean:
            return f"The {direction} {outcome} of treated units was caused by the roll-out: {size}."
        return f"The roll-out coincides with {direction} {outcome}: {size}."

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the event study."""
        from rcakit.plots import experiments as charts

        return charts.event_study(self.to_records("event_study"), title=self.reading())


# A warning of these kinds means that the roll-out was not clean.
_SERIOUS = frozenset({"pre_trends", "breakdown", "definition", "contamination", "placebo_units"})


def rivals(result: "ExperimentResult | RolloutResult") -> list[str]:
    """Name the explanations that a design cannot rule out; they cap how strong a finding is."""
    if isinstance(result, RolloutResult):
        return [c.check for c in result.checks if c.status == "warn" and c.check in _SERIOUS]
    return ["whatever else began on that date"] if result.design == "pre_post" else []


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerResult(Result):
    """How much data does the question need, or how small an effect can it find?

    Attributes
    ----------
    design
        The design planned for.
    rows
        One per asked-for case: ``design, effect, n_control, n_treatment, n_clusters, power, alpha,
        method``; the answer first, then a curve around it.
    solved_for
        Which of effect, n and power was unknown.
    """

    design: str
    rows: tuple[Mapping[str, Any], ...]
    solved_for: str
    unit: str = "units"
    library: frames.Library = "polars"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "power": MappingProxyType(
                {
                    "design": "String",
                    "effect": "Float64",
                    "n_control": "Int64",
                    "n_treatment": "Int64",
                    "n_clusters": "Int64",
                    "power": "Float64",
                    "alpha": "Float64",
                    "method": "String",
                }
            )
        }
    )

    @property
    def answer(self) -> Mapping[str, Any]:
        """Return the row that was asked for."""
        return self.rows[0]

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the answer and its curve as rows."""
        self._table(table)
        return [dict(row) for row in self.rows]

    def findings(self) -> tuple[Finding, ...]:
        """Return nothing: a plan is not evidence."""
        return ()

    def reading(self) -> str:
        """Say the answer in a sentence."""
        row = self.answer
        size = f"{wording.amount(row['n_control'] + row['n_treatment'])} {self.unit}"
        return (
            f"{wording.visible(self.design)}: {size} find an effect of "
            f"{wording.amount(row['effect'])} in {wording.percent(row['power'])} of such tests "
            f"at a false alarm rate of {wording.percent(row['alpha'])}."
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw power against effect."""
        from rcakit.plots import experiments as charts

        return charts.power_curve(self.to_records(), title=self.reading())
