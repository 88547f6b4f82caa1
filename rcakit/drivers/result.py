"""DriverResult: the verdict, the segments that carry the change, and what could not be told."""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from rcakit import frames, wording
from rcakit.drivers.entities import EntityShares
from rcakit.drivers.leaf_table import LeafTable, Span
from rcakit.drivers.onset import day_series, onset_of
from rcakit.findings import SMALLEST_CELL, Finding
from rcakit.results import Record, Result
from rcakit.stats.attribution.outcome import Alternative, Attribution, ErrorRate, Segment, Verdict
from rcakit.stats.attribution.sums import sum_by
from rcakit.validation import check_choice

if TYPE_CHECKING:
    import altair as alt

__all__ = ["DriverResult"]

ChartKind = Literal["causes", "days", "is_is_not"]
_SMALL_PART = 0.1  # of a change: what rates inside did beside the mix is not worth a number
_FLOAT_COLUMNS = (
    "observed",
    "expected",
    "effect",
    "effect_ci_lower",
    "effect_ci_upper",
    "rel_effect",
    "rel_effect_ci_lower",
    "rel_effect_ci_upper",
    "share_of_change",
    "rate_effect",
    "mix_effect",
    "pvalue",
    "qvalue",
)


@dataclass(frozen=True, slots=True, eq=False)
class DriverResult(Result):
    """Which segments carry the change of a period.

    Attributes
    ----------
    attribution
        The numbers: verdict, total, segments.
    leaves
        The leaf table that the numbers come from.
    span
        Days of baseline and period; None with a forecast.
    unit
        What is counted.
    is_ratio
        Whether the metric is a ratio of sums; then observed and expected are numerators.
    notes
        What a reader must know before believing the split; also the caveats of the verdict.
    entities
        How the excess spreads over accounts and the like; None unless asked for.
    tz
        Time zone of the days.
    confidence_level
        Of all intervals.
    error_rate
        What was controlled over all candidates.
    """

    attribution: Attribution
    leaves: LeafTable
    span: Span | None
    unit: str
    is_ratio: bool
    library: frames.Library
    notes: tuple[str, ...] = ()
    entities: EntityShares | None = None
    tz: str = "UTC"
    confidence_level: float = 0.95
    error_rate: ErrorRate = "family_wise"

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "segments": MappingProxyType(
                {
                    "segment": "Struct",
                    **dict.fromkeys(_FLOAT_COLUMNS, "Float64"),
                    "alternatives": "String",
                }
            )
        }
    )

    shown: ClassVar[tuple[str, ...]] = (
        "segment",
        "observed",
        "expected",
        "effect",
        "effect_ci_lower",
        "effect_ci_upper",
        "share_of_change",
        "alternatives",
    )

    @property
    def verdict(self) -> Verdict:
        """``localised``, ``broad``, ``mix`` or ``no_evidence``."""
        return self.attribution.verdict

    @property
    def segments(self) -> tuple[dict[str, Any], ...]:
        """The named segments as dictionaries, strongest first."""
        return tuple(self.leaves.segment(item.codes) for item in self.attribution.segments)

    @property
    def onset(self) -> dt.date | None:
        """First local day on which what is named here moved; None with a forecast alone."""
        return None if self.span is None else onset_of(self.leaves, self.span, self.moved)

    @property
    def moved(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Leaves of the named segments, shape (n_leaves,); all of them where the change is broad."""
        if not self.segments or self.verdict == "broad":
            return np.ones(len(self.leaves.codes), dtype=bool)
        inside = [self.leaves.inside(segment) for segment in self.segments]
        return np.asarray(np.any(inside, axis=0))

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per named segment, strongest first."""
        self._table(table)
        return [self._record(item) for item in self.attribution.segments]

    def _record(self, item: Segment) -> Record:
        change = self.attribution.change
        return {
            "segment": self.leaves.segment(item.codes),
            "observed": item.observed,
            "expected": item.expected,
            "effect": item.excess,
            "effect_ci_lower": item.excess_lower,
            "effect_ci_upper": item.excess_upper,
            "rel_effect": item.ratio - 1,
            "rel_effect_ci_lower": item.ratio_lower - 1,
            "rel_effect_ci_upper": item.ratio_upper - 1,
            "share_of_change": item.excess / change if change and not self.is_ratio else math.nan,
            "rate_effect": item.rate_effect,
            "mix_effect": item.mix_effect,
            "pvalue": item.pvalue,
            "qvalue": item.qvalue,
            "alternatives": [self.leaves.segment(other.codes) for other in self._others(item)],
        }

    def _others(self, item: Segment) -> list[Alternative]:
        """Alternatives that are named otherwise: a part of one value is that value."""
        own, seen = self.leaves.segment(item.codes), self.leaves.segment
        return [other for other in item.alternatives if seen(other.codes) != own]

    def findings(self) -> tuple[Finding, ...]:
        """Return the verdict, each driver, and how concentrated the excess is."""
        return (
            self._verdict_finding(),
            *map(self._driver_finding, self.attribution.segments),
            *((self._entity_finding(self.entities),) if self.entities else ()),
        )

    def _entity_finding(self, entities: EntityShares) -> Finding:
        rising = [
            self.leaves.segment(item.codes) for item in self.attribution.segments if item.excess > 0
        ]
        where = f"in {wording.segment(rising[0])}" if len(rising) == 1 else "over everything"
        if len(rising) > 1:
            where = f"in the {len(rising)} segments that rose"
        return entities.finding(unit=self.unit, where=where)

    def plot(self, kind: ChartKind = "causes") -> "alt.TopLevelMixin":
        """Draw the split of the change.

        Parameters
        ----------
        kind
            ``causes``: from expected to observed, one step per segment. ``days``: segments by day.
            ``is_is_not``: values of the first segment beside their siblings that did not move.
        """
        from rcakit.plots import drivers as charts

        check_choice(kind, "kind", get_args(ChartKind))
        if kind == "days":
            title = f"{self._where_claim()}: each day against the usual one"
            return charts.segment_days(self.by_day(), unit=self.unit, title=title)
        if kind == "is_is_not":
            rows = self.is_is_not()
            return charts.is_and_is_not(rows, unit=self.unit, title=self._beside_claim(rows))
        numbers = self.attribution
        return charts.cause_waterfall(
            self.to_records(),
            expected=numbers.expected,
            observed=numbers.observed,
            unit=self.unit,
            title=self._verdict_claim(),
            at_risk=self._at_risk,
            parts=(numbers.rate_effect, numbers.mix_effect) if self.is_ratio else None,
            confidence_level=self.confidence_level,
        )

    def _beside_claim(self, rows: list[Record]) -> str:
        """Set the level of the first segment beside those of its siblings."""
        own = [row for row in rows if row["is_inside"] and row["dimension"] == rows[0]["dimension"]]
        usual = sum(row["usual"] for row in own)
        if not usual > 0:
            return "What moved, and what beside it did not"
        times = sum(row["observed"] for row in own) / usual
        claim = f"{wording.segment(self.segments[0])}: {times:.2g} times its usual level"
        beside = [row["ratio"] for row in rows if not row["is_inside"] and row["usual"] > 0]
        return f"{claim}; beside it {min(beside):.2g} to {max(beside):.2g}" if beside else claim

    @property
    def _at_risk(self) -> float | None:
        """Number at risk in the period; None unless the metric is a ratio."""
        below = self.leaves.denominator
        return None if below is None else float(below.sum())

    def is_is_not(self) -> list[Record]:
        """Set each value of the first segment beside its siblings, the other values held.

        Returns
        -------
        list of dict
            dimension, value, is_inside, observed, usual, ratio; at most eight siblings a dimension,
            the largest first, those below ten left out. Empty without a segment.
        """
        if not self.attribution.segments:
            return []
        leaves, rows = self.leaves, []
        segment = self.segments[0]
        inside = leaves.values_of(segment)
        for dimension in segment:
            j = leaves.dimensions.index(dimension)
            own = [i for i, value in enumerate(leaves.values[j]) if value in inside[dimension]]
            held = leaves.inside({name: v for name, v in segment.items() if name != dimension})
            seen, usual = (
                sum_by(leaves.codes[held, j], column[held], leaves.sizes[j])
                for column in (leaves.observed, self._usual())
            )
            largest = np.argsort(-(seen + usual), kind="stable")[: 8 + len(own)].tolist()
            siblings = [i for i in largest if i not in own]
            for i in (*own, *(i for i in siblings if max(seen[i], usual[i]) >= SMALLEST_CELL)):
                ratio = seen[i] / usual[i] if usual[i] > 0 else math.nan
                rows.append(
                    {
                        "dimension": dimension,
                        "value": leaves.values[j][i],
                        "is_inside": i in own,
                        "observed": float(seen[i]),
                        "usual": float(usual[i]),
                        "ratio": float(ratio),
                    }
                )
        return rows

    def _usual(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return what each leaf would have shown: its usual sum (of a rate: at its usual rate)."""
        leaves = self.leaves
        if leaves.denominator is None or leaves.history is None:
            usual = leaves.usual
            return usual * (self.attribution.expected / max(float(usual.sum()), 1e-12))
        n = len(leaves.codes)
        events = sum_by(leaves.history.leaf, leaves.history.value, n)
        at_risk = sum_by(leaves.history.leaf, leaves.history.at_risk, n)
        overall = events.sum() / max(float(at_risk.sum()), 1e-12)
        return leaves.denominator * np.where(
            at_risk > 0, events / np.maximum(at_risk, 1e-12), overall
        )

    def by_day(self, *, n_days: int = 28) -> list[Record]:
        """Compare every named segment, and everything else, with its own usual day.

        For a rate the usual is what the baseline rate gives on the day's numbers at risk.

        Parameters
        ----------
        n_days
            Days before the period to show.

        Returns
        -------
        list of dict
            segment (empty for everything else), day, observed, usual, log2_ratio, is_period.
        """
        if self.leaves.daily is None or self.span is None:
            return []
        owner = np.full(len(self.leaves.codes), len(self.segments))
        for k, segment in reversed(list(enumerate(self.segments))):
            owner[self.leaves.inside(segment)] = k
        rows = []
        for k, segment in enumerate((*self.segments, {})):
            series = day_series(self.leaves, self.span, owner == k)
            shown_days, sums, usual = (column[series[0] >= -n_days] for column in series)
            rows += [
                {
                    "segment": segment,
                    "day": self.span.period[0] + dt.timedelta(int(d)),
                    "observed": float(seen),
                    "usual": float(expected),
                    "log2_ratio": math.log2((seen + 0.5) / (expected + 0.5)),
                    "is_period": bool(d >= 0),
                }
                for d, seen, expected in zip(shown_days, sums, usual, strict=True)
            ]
        return rows

    def _verdict_claim(self) -> str:
        numbers = self.attribution
        total = self._total()
        if not self.leaves.dimensions and numbers.verdict != "no_evidence":
            return (
                f"The whole moved: {total}; where it comes from cannot be told without a dimension."
            )
        if numbers.verdict == "no_evidence":
            return (
                f"Nothing to explain: {total}, which is within what usual days bring, and no "
                "segment stands out."
            )
        if numbers.verdict == "broad":
            if numbers.segments:
                return (
                    f"The change is broad-based: {total}, and the segments that stand out hold "
                    "less than half of it."
                )
            return (
                f"The change is broad-based: {total}, and no segment explains it; everything "
                "moved together."
            )
        if numbers.verdict == "mix":
            rates = "stayed"
            if abs(numbers.rate_effect) >= _SMALL_PART * abs(numbers.change):
                rates = f"account for {_points(numbers.rate_effect)} points"
            return (
                f"The change is one of mix: {total}, because segments changed their weight "
                f"({_points(numbers.mix_effect)} points); rates inside them {rates}."
            )
        return f"{self._where_claim()}: {total}."

    def _where_claim(self) -> str:
        """Say in a few words where the change lies, without its size."""
        if self.verdict == "no_evidence":
            return "Nothing to explain"
        if self.verdict == "broad":
            return "The change is broad-based"
        if self.verdict == "mix":
            return "The change is one of mix"
        where = wording.segment(self.segments[0])
        if len(self.segments) > 1:
            where += f" and {wording.plural(len(self.segments) - 1, 'further segment')}"
        return f"The change is concentrated in {where}"

    @property
    def _method(self) -> str:
        noise = "negative binomial noise"
        if self.is_ratio:
            noise = "quasi-binomial noise"
        elif self.leaves.history is None:
            noise = "noise learnt from the period itself"
        control = "family-wise error control"
        if self.error_rate == "false_discovery":
            control = "control of the false discovery rate"
        return f"scan of all segments with {noise}, {control}"

    @property
    def _level(self) -> str:
        return f"{100 * self.confidence_level:g} %"

    def _total(self) -> str:
        numbers = self.attribution
        if self.is_ratio:
            return self._total_ratio()
        when = f"from {self.span.period[0]} to {self.span.period[1]} " if self.span else ""
        if self.span and self.span.period[0] == self.span.period[1]:
            when = f"on {self.span.period[0]} "
        direction = "more" if numbers.change > 0 else "fewer"
        return (
            f"{when}{wording.there_were(numbers.observed, self.unit)} where "
            f"{wording.amount(round(numbers.expected))} were expected, "
            f"{wording.amount(abs(round(numbers.change)))} {direction} ({self._level} interval "
            f"{wording.interval(round(numbers.change_lower), round(numbers.change_upper), signed=True)})"
        )

    def _total_ratio(self) -> str:
        numbers = self.attribution
        when = f"from {self.span.period[0]} to {self.span.period[1]} " if self.span else ""
        moved, low, high = (
            _points(x) for x in (numbers.change, numbers.change_lower, numbers.change_upper)
        )
        return (
            f"{when}the rate of {self.unit} was {wording.percent(numbers.observed)} where "
            f"{wording.percent(numbers.expected)} was expected, a change of {moved} percentage "
            f"points ({self._level} interval {low} to {high})"
        )

    def _verdict_finding(self) -> Finding:
        numbers = self.attribution
        return Finding(
            claim=self._verdict_claim(),
            kind="verdict",
            estimate=numbers.change,
            ci_lower=numbers.change_lower,
            ci_upper=numbers.change_upper,
            unit=f"rate of {self.unit}" if self.is_ratio else self.unit,
            n_obs=max(1, self._n_obs()),
            method=self._method,
            verdict=numbers.verdict,
            confidence_level=self.confidence_level,
            caveats=self.notes,
            evidence={
                "observed": numbers.observed,
                "expected": numbers.expected,
                "pvalue": numbers.pvalue,
                "shared_factor": numbers.shared_factor,
                "n_candidates": numbers.n_candidates,
                "period": self.span.period if self.span else None,
                "baseline": self.span.baseline if self.span else None,
            },
            next_steps=_VERDICT_STEPS[numbers.verdict],
        )

    def _n_obs(self) -> int:
        """Return how many observations stand behind the total."""
        if self.leaves.denominator is not None:
            return round(float(self.leaves.denominator.sum()))
        return round(max(self.attribution.observed, self.attribution.expected))

    def _driver_finding(self, item: Segment) -> Finding:
        segment = self.leaves.segment(item.codes)
        record = self._record(item)
        share = record["share_of_change"]
        of_change = ""
        if math.isfinite(share) and 0 < share <= 1.5:
            of_change = f", {wording.percent(min(share, 1.0))} of the whole change"
        same = [
            self.leaves.segment(other.codes) for other in self._others(item) if other.is_same_leaves
        ]
        near = [
            self.leaves.segment(other.codes)
            for other in self._others(item)
            if not other.is_same_leaves
        ]
        caveats = []
        if same:
            caveats.append(f"The same rows are also described by {wording.segment(same[0])}.")
        if near:
            caveats.append(
                "Almost as good a description: "
                + "; or ".join(wording.segment(other) for other in near[:3])
                + "."
            )
        return Finding(
            claim=(
                f"In {wording.segment(segment)} {wording.there_were(item.observed, self.unit)} "
                f"where {_about(item.expected)} were expected: "
                f"{wording.amount(abs(round(item.excess)))} "
                f"{'more' if item.excess > 0 else 'fewer'} ({self._level} interval "
                f"{wording.interval(round(item.excess_lower), round(item.excess_upper), signed=True)})"
                f"{of_change}."
            ),
            kind="driver",
            estimate=item.excess,
            ci_lower=min(item.excess_lower, item.excess),
            ci_upper=max(item.excess_upper, item.excess),
            unit=self.unit,
            n_obs=max(1, round(max(item.observed, item.expected))),
            method=self._method,
            segment=segment,
            confidence_level=self.confidence_level,
            caveats=tuple(caveats),
            evidence={name: record[name] for name in (*_FLOAT_COLUMNS, "alternatives")},
            next_steps=(f"Read a sample of cases from {wording.segment(segment)}.",),
        )


_VERDICT_STEPS: Mapping[Verdict, tuple[str, ...]] = MappingProxyType(
    {
        "localised": ("Ask the owner of the named segment what changed for it at the onset.",),
        "broad": (
            "Look for what acts on everything at once: logging, traffic, a policy, an event outside.",
        ),
        "mix": ("Ask what moved volume between segments; the rates inside them did not move.",),
        "no_evidence": ("Nothing needs doing; look again when more days are in.",),
    }
)


def _points(rate: float) -> str:
    return wording.percent(rate, signed=True).rstrip("% \u2009\u202f")


def _about(expected: float) -> str:
    return wording.amount(round(expected)) if expected >= 1 else "none or one"
