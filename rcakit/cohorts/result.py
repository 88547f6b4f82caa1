"""What is said about cohorts against their reference?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rcakit import frames, wording
from rcakit.cohorts.judging import CohortVerdict, judge
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result

if TYPE_CHECKING:
    import altair as alt

__all__ = ["BALANCED", "CohortResult"]

BALANCED = 0.1  # standard deviations (Austin 2011, p. 412)


@dataclass(frozen=True, slots=True)
class CohortResult(Result):
    """Outcomes of cohorts against a reference, as they are and at equal mix.

    Attributes
    ----------
    outcomes, balance, overlap, balance_by_cohort
        The rows of the tables. ``balance`` shows, per covariate and level, the largest
        difference of any cohort before weighting and after; ``balance_by_cohort`` shows all.
    reference
        The cohort compared with.
    adjust_for
        Covariates held equal.
    estimand
        Whose mix is held: ``att`` the cohort's, ``ate`` everybody's.
    caveats
        Sentences.
    confidence_level
        Of the intervals.
    library
        Where tables are handed back.
    """

    outcomes: tuple[Record, ...]
    balance: tuple[Record, ...]
    overlap: tuple[Record, ...]
    balance_by_cohort: tuple[Record, ...]
    reference: str
    adjust_for: tuple[str, ...]
    estimand: str
    caveats: tuple[str, ...]
    confidence_level: float
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "outcomes": {
            "outcome": "String",
            "cohort": "String",
            "n_obs": "Int64",
            "mean": "Float64",
            "reference_mean": "Float64",
            "effect": "Float64",
            "effect_ci_lower": "Float64",
            "effect_ci_upper": "Float64",
            "adjusted_effect": "Float64",
            "adjusted_effect_ci_lower": "Float64",
            "adjusted_effect_ci_upper": "Float64",
            "pvalue": "Float64",
            "qvalue": "Float64",
            "rate_effect": "Float64",
            "mix_effect": "Float64",
            "e_value": "Float64",
        },
        "balance": {
            "covariate": "String",
            "level": "String",
            "smd_raw": "Float64",
            "smd_adjusted": "Float64",
        },
        "overlap": {
            "cohort": "String",
            "n_obs": "Int64",
            "n_reference": "Int64",
            "n_trimmed": "Int64",
            "n_effective_reference": "Float64",
            "share_without_counterpart": "Float64",
            "largest_smd": "Float64",
        },
        "balance_by_cohort": {
            "cohort": "String",
            "covariate": "String",
            "level": "String",
            "smd_raw": "Float64",
            "smd_adjusted": "Float64",
        },
    }

    shown: ClassVar[tuple[str, ...]] = (
        "outcome",
        "cohort",
        "n_obs",
        "mean",
        "reference_mean",
        "effect",
        "adjusted_effect",
        "adjusted_effect_ci_lower",
        "adjusted_effect_ci_upper",
        "mix_effect",
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``outcomes`` (default), ``balance``, ``overlap`` or the rest."""
        return [dict(row) for row in getattr(self, self._table(table))]

    def findings(self) -> tuple[Finding, ...]:
        """Say per outcome and cohort what differs, and what is left at equal mix."""
        rows = sorted(self.outcomes, key=lambda row: (math.isnan(row["pvalue"]), row["pvalue"]))
        return tuple(self._finding(row) for row in rows)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw raw and adjusted differences with their intervals."""
        from rcakit.plots import cohorts

        return cohorts.effects(self.to_records(), reference=self.reference, title=self.reading())

    def word(self, row: Record) -> CohortVerdict:
        """Judge one row of ``outcomes``; without covariates nobody can say whether it is the mix."""
        if self.adjust_for:
            return judge(row, alpha=1 - self.confidence_level + 1e-12)
        return "no_gap" if row["effect_ci_lower"] <= 0 <= row["effect_ci_upper"] else "cannot_tell"

    def verdict(self) -> Finding:
        """Answer "who differs, and is it the mix?" in one sentence.

        The comparison that says most comes first: a gap at equal mix before one that the mix
        explains, that before one of which nobody can tell, and those before no gap.

        Returns
        -------
        Finding
            Of kind ``verdict``, with one of the words of `rcakit.cohorts.judging.judge`.
        """
        rows = sorted(self.outcomes, key=lambda row: (_RANK[self.word(row)], _clearness(row)))
        first, word = rows[0], self.word(rows[0])
        found = self._finding(first)
        claim = f"{found.claim.rstrip('.')}{self._others(rows[1:])}."
        shared: dict[str, Any] = {
            "claim": claim,
            "kind": "verdict",
            "verdict": word,
            "confidence_level": self.confidence_level,
            "caveats": (*self._unmeasured(first, word), *self.caveats),
            "next_steps": self._steps(first, word),
            "evidence": {**found.evidence, "counted": "cases"},
        }
        if word == "cannot_tell":
            why = found.withheld_because or self._doubt(first)
            return withheld(
                **shared, why=why, unit=found.unit, method=found.method, n_obs=found.n_obs
            )
        if word == "explained_by_mix":  # the number is that of the gap that was explained
            shared |= {
                "estimate": first["effect"],
                "ci_lower": first["effect_ci_lower"],
                "ci_upper": first["effect_ci_upper"],
            }
        return replace(found, **shared)

    def answer(self) -> tuple[Finding, ...]:
        """Return the verdict, and what the comparisons beside it say: for a report."""
        verdict = self.verdict()
        own = {"cohort": (verdict.segment or {}).get("cohort")}
        rest = [
            found
            for found in self.findings()
            if not (found.unit == verdict.unit and found.segment == own)
        ]
        return (verdict, *rest)

    def _doubt(self, row: Record) -> str:
        """Say why nobody can tell."""
        if not self.adjust_for:
            return "nothing was held equal"
        low, high = row["adjusted_effect_ci_lower"], row["adjusted_effect_ci_upper"]
        if low <= 0 <= high:
            return "the interval at equal mix holds both no gap and the gap as it is"
        return (
            f"a gap like that at equal mix comes by chance in {wording.percent(row['qvalue'])} of "
            f"such comparisons; {wording.percent((1 - self.confidence_level) / 5)} is asked for"
        )

    def _others(self, rows: Sequence[Record]) -> str:
        """Count what the other comparisons say."""
        counted = {
            said: n
            for word, said in _SAID.items()
            if (n := sum(self.word(row) == word for row in rows))
        }
        if not counted:
            return ""
        parts = ", ".join(f"{n} {said}" for said, n in counted.items())
        return f"; of {wording.plural(len(rows), 'other comparison')}, {parts}"

    def _unmeasured(self, row: Record, word: CohortVerdict) -> tuple[str, ...]:
        """Say how strong a factor that was not held equal would have to be."""
        if word not in _GAPS or not row["e_value"] > 1:
            return ()
        return (
            (
                "What was not held equal could explain it if it were tied to cohort and outcome by "
                f"a risk ratio of {row['e_value']:.1f} or more."
            ),
        )

    def _steps(self, row: Record, word: CohortVerdict) -> tuple[str, ...]:
        who, mix = wording.name(row["cohort"]), _listed(self.adjust_for)
        if word in _GAPS:
            return (
                (
                    f"Read cases of {who} and of {wording.name(self.reference)} side by side, from "
                    f"the same {mix}, with the cohort hidden."
                ),
            )
        if word == "explained_by_mix":
            return (f"Compare with {who} only at equal {mix} from now on.",)
        if word == "cannot_tell" and not self.adjust_for:
            return ("Name what must be equal for a fair comparison in adjust_for.",)
        if word == "cannot_tell":
            return ("Send some of the same work to both, or choose another reference.",)
        return ()

    def love_plot(self) -> "alt.TopLevelMixin":
        """Draw how unlike the cohorts are before and after weighting."""
        from rcakit.plots import cohorts

        worst = max(
            (
                abs(row["smd_adjusted"])
                for row in self.balance
                if not math.isnan(row["smd_adjusted"])
            ),
            default=math.nan,
        )
        title = (
            "No covariates were held equal."
            if not self.balance
            else f"After weighting the largest difference is {worst:.2f} standard deviations "
            f"({BALANCED} or less is balanced)."
        )
        return cohorts.love(self.to_records("balance"), title=title)

    def _finding(self, row: Record) -> Finding:
        adjusted = bool(self.adjust_for)
        name = "adjusted_effect" if adjusted else "effect"
        estimate, low, high = row[name], row[f"{name}_ci_lower"], row[f"{name}_ci_upper"]
        who, what = wording.name(row["cohort"]), wording.name(row["outcome"])
        method = "doubly robust weighting" if adjusted else "difference of groups as they are"
        common: dict[str, Any] = {
            "unit": what,
            "n_obs": row["n_obs"],
            "method": method,
            "caveats": self.caveats,
            "confidence_level": self.confidence_level,
            "segment": {"cohort": row["cohort"]},
        }
        if math.isnan(estimate) or math.isnan(low):
            return withheld(
                "difference",
                f"How {who} differs in {what} cannot be told.",
                why="too few rows, no counterparts in the reference, or nothing varies",
                **common,
            )
        return Finding(
            claim=self._claim(row, estimate, low, high),
            kind="ruled_out" if self.word(row) == "explained_by_mix" else "difference",
            estimate=estimate,
            ci_lower=low,
            ci_upper=high,
            evidence={
                key: row[key]
                for key in ("effect", "rate_effect", "mix_effect", "qvalue", "e_value")
            },
            **common,
        )

    def _claim(self, row: Record, estimate: float, low: float, high: float) -> str:
        """Say one comparison in a sentence."""
        who, what = wording.name(row["cohort"]), wording.name(row["outcome"])
        other, mix = wording.name(self.reference), _listed(self.adjust_for)
        raw = wording.amount(row["effect"], signed=True)
        numbers = (
            f"{wording.amount(estimate, signed=True)} ({wording.interval(low, high, signed=True)})"
        )
        if not self.adjust_for:
            if low <= 0 <= high:
                return f"No difference between {who} and {other} in {what} can be shown: {numbers}."
            return (
                f"{who} differs from {other} in {what} by {numbers} as it is; whether that is the "
                "mix cannot be told."
            )
        looks = "higher" if row["effect"] > 0 else "lower"
        return {
            "gap_persists": f"{who} differs from {other} in {what} by {numbers} at equal {mix}; as "
            f"it is the gap is {raw}, so the mix does not explain it.",
            "reversed_by_mix": f"{who} looks {looks} in {what} ({raw}), but at equal {mix} it is "
            f"the other way round: {numbers}.",
            "hidden_by_mix": f"{who} looks like {other} in {what} ({raw}), but differs by {numbers} "
            f"at equal {mix}.",
            "explained_by_mix": f"The difference of {who} in {what} ({raw}) is explained by its "
            f"mix: at equal {mix} it is {numbers}{'' if low <= 0 <= high else ', which may be chance'}.",
            "no_gap": f"No difference between {who} and {other} in {what} can be shown: {numbers}.",
            "cannot_tell": f"Whether {who} differs from {other} in {what} at equal {mix} cannot be "
            f"told: as it is the gap is {raw}, at equal {mix} {numbers}.",
        }[self.word(row)]


# Which verdict says most, and how the others are counted beside it.
_GAPS = frozenset({"gap_persists", "reversed_by_mix", "hidden_by_mix"})
_SAID: Mapping[CohortVerdict, str] = {
    "gap_persists": "keep their gap",
    "reversed_by_mix": "are reversed by the mix",
    "hidden_by_mix": "differ only at equal mix",
    "explained_by_mix": "are explained by the mix",
    "cannot_tell": "cannot be told",
    "no_gap": "show no gap",
}
_RANK: Mapping[CohortVerdict, int] = {
    "gap_persists": 0,
    "reversed_by_mix": 0,
    "hidden_by_mix": 0,
    "explained_by_mix": 1,
    "cannot_tell": 2,
    "no_gap": 3,
}


def _clearness(row: Record) -> tuple[float, float]:
    """Order rows of one verdict: smallest q-value, then largest raw gap in standard errors."""
    width = row["effect_ci_upper"] - row["effect_ci_lower"]
    size = abs(row["effect"]) / width if width > 0 else 0.0
    return (1.0 if math.isnan(row["qvalue"]) else row["qvalue"], -size)


def _listed(names: Sequence[str]) -> str:
    said = [wording.name(name) for name in names]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else ""
