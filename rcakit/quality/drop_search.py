"""Who or what does a fall of accuracy point at? The measures, the search and the verdict."""

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.quality.drop_changes import logged_changes
from rcakit.quality.drop_result import DropResult, DropVerdict
from rcakit.quality.raters import AgreementResult
from rcakit.results import Record
from rcakit.stats import falls
from rcakit.stats.falls import Cells, Shift
from rcakit.stats.proportions import normal_quantile

__all__ = ["WEEK", "Added", "Family", "Search"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Family = Literal["reviewers", "guideline", "auditors"]


@dataclass(frozen=True, slots=True)
class _Unseen:
    """What must be in the table for a verdict to stand against its rival."""

    family: Family
    reason: str


_NOT_SEEN: Mapping[str, _Unseen] = {
    "guideline": _Unseen(
        "reviewers", "no column says who decided, so one team cannot be told from all teams"
    ),
    "reviewers": _Unseen(
        "guideline", "no column says what the work was, so other work cannot be told from errors"
    ),
}

WEEK = 7
_FEWEST_CASES = 30
_MOST_SEGMENTS = 4_000
# Two explanations whose log-likelihoods differ by less than this are told apart by nothing:
# a Bayes factor of 20 (Kass and Raftery 1995, JASA 90, p. 777).
_CLEAR = 2 * math.log(20)
_SMALL_REST = 0.4  # outside the segment that explains a fall, next to what lies inside
_UNSEEN = 0.5  # appeals that rise by less than this share of the fall did not see it
_MARGIN = 0.02  # a fall below two points is none


@dataclass(frozen=True, slots=True)
class Added:
    """Cases of one measure by day and attributes."""

    day: Ints
    values: dict[str, npt.NDArray[np.str_]]
    size: Floats
    count: Floats

    def kept(self, which: Flags) -> "Added":
        """Return some of the cells."""
        values = {name: column[which] for name, column in self.values.items()}
        return Added(self.day[which], values, self.size[which], self.count[which])

    def cells(self, first: int, mix: Sequence[str]) -> Cells:
        """Split at a day; the mix columns together are the strata."""
        stratum = np.zeros(self.day.size, dtype=np.int64)
        for name in mix:
            codes = np.unique(self.values[name], return_inverse=True)[1]
            stratum = stratum * (int(codes.max(initial=0)) + 1) + codes
        stratum = np.unique(stratum, return_inverse=True)[1].astype(np.int64)
        block = (self.day - self.day.min()) // WEEK
        return Cells(self.size, self.count, self.day >= first, stratum, block)

    def weeks(self, last: int) -> tuple[Floats, Floats, Ints]:
        """Add up weeks counted back from the last day, and return the first day of each."""
        back = (last - self.day) // WEEK
        n_weeks = int(back.max()) + 1
        at = n_weeks - 1 - back
        starts = last + 1 - WEEK * np.arange(n_weeks, 0, -1)
        size, count = (np.bincount(at, x).astype(np.float64) for x in (self.size, self.count))
        return size, count, starts


@dataclass(frozen=True, slots=True)
class Search:
    """What is known before the verdict."""

    audits: Added
    appeals: Added | None
    roles: Mapping[str, Family]
    first: int
    level: float
    n_splits: int

    @property
    def mix(self) -> list[str]:
        """Columns of what the work was."""
        return [name for name, family in self.roles.items() if family == "guideline"]

    def check_enough(self, is_correct: str) -> None:
        """Refuse a comparison of next to nothing."""
        after = self.audits.day >= self.first
        sides = [int(self.audits.size[side].sum()) for side in (~after, after)]
        if min(sides) < _FEWEST_CASES:
            raise NotEnoughDataError(
                f"a fall needs at least {_FEWEST_CASES} values of {is_correct!r} before and "
                f"after {_date(self.first)}, got {sides[0]} and {sides[1]}. Choose a longer period "
                "or baseline."
            )

    def result(
        self, last: int, agreement: AgreementResult | None, log: Any, library: frames.Library
    ) -> DropResult:
        """Measure, search, judge."""
        audits = self.audits.cells(self.first, self.mix)
        phi = falls.dispersion(audits)
        every = np.ones(audits.size.size, dtype=np.bool_)
        accuracy = falls.change(audits, phi=phi, confidence_level=self.level)
        rate = falls.shift_within(audits, every, phi=phi, confidence_level=self.level)
        moved = falls.mix_effect(audits, phi=phi, confidence_level=self.level)
        overturn = self._appeal_shift(None)
        segments = self._segments(self.audits, audits, phi, rate, sign=-1)
        hidden = self._hidden_segments(overturn)
        n_inverted = _inverted(agreement)
        verdict, shown, reason = self._judge(
            accuracy, rate, moved, overturn, segments, hidden, n_inverted
        )
        best = shown[0] if shown and shown[0]["is_explanation"] else None
        return DropResult(
            measures=_measures(self, accuracy, rate, moved, overturn),
            segments=tuple(shown),
            weeks=_weeks(self.audits, self.appeals, last, shown),
            verdict=verdict,
            reason=reason,
            started_at=_date(self.first),
            ended_at=_date(last),
            is_searched=self.n_splits > 1,
            n_inverted=n_inverted,
            has_appeals=self.appeals is not None,
            changes=()
            if log is None
            else logged_changes(
                log,
                started_at=_date(self.first),
                where=best["where"] if best else {},
                slack_days=WEEK - 1 if self.n_splits > 1 else 0,
            ),
            confidence_level=self.level,
            library=library,
        )

    def _judge(
        self,
        accuracy: Shift,
        rate: Shift,
        moved: Shift,
        overturn: Shift | None,
        segments: list[Record],
        hidden: list[Record],
        n_inverted: int,
    ) -> tuple[DropVerdict, list[Record], str]:
        """Return the verdict, the segments that belong to it, and why it cannot be told."""
        fell = self._is_clear(accuracy, -1) or self._is_local(segments)
        rose = self._is_clear(overturn, 1) or self._is_local(hidden)
        harder = moved.ci_upper < 0 and accuracy.ci_upper < 0
        most = abs(moved.effect) > abs(rate.effect)
        if harder and most and (fell or self._is_clear(moved, -1)):
            return "mix", segments, ""
        if not fell and rose and overturn is not None:
            if self._audits_saw_nothing(accuracy, overturn, hidden):
                return "shared_error", hidden, ""
            return "cannot_tell", hidden, "appeals rose, and audits may or may not have seen it"
        if not fell and n_inverted:
            return "reviewers", segments, ""
        if not fell:
            if accuracy.ci_lower > -_MARGIN:
                return "no_drop", segments, ""
            return "cannot_tell", segments, "the interval holds both no fall and a large one"
        best = segments[0] if segments and segments[0]["is_explanation"] else None
        if best is None and rate.ci_upper >= 0:
            return "cannot_tell", segments, "neither the mix nor anything else is clear"
        if best is None:
            if self._unseen(overturn, rate):
                return "auditors", segments, ""
            return "cannot_tell", segments, _NOWHERE
        return self._named(best, segments, overturn, rate)

    def _is_local(self, segments: list[Record]) -> bool:
        """Tell whether one segment moved beyond chance, over all that were tried."""
        if not segments or not segments[0]["is_explanation"]:
            return False
        n_tried = len(segments) * self.n_splits
        return bool(segments[0]["z"] > normal_quantile(1 - (1 - self.level) / n_tried))

    def _audits_saw_nothing(self, accuracy: Shift, overturn: Shift, hidden: list[Record]) -> bool:
        """Tell whether audits rule out half the error that appeals revealed."""
        best = hidden[0] if hidden and hidden[0]["is_explanation"] else None
        if best is None:
            return accuracy.ci_lower > -max(_MARGIN, overturn.effect / 2)
        cells = self.audits.cells(self.first, self.mix)
        inside = np.ones(self.audits.day.size, dtype=np.bool_)
        for name, value in best["where"].items():
            inside &= self.audits.values[name] == value
        phi = falls.dispersion(cells)
        seen = falls.shift_within(cells, inside, phi=phi, confidence_level=self.level)
        return bool(seen.ci_lower > -_UNSEEN * best["effect"])

    def _named(
        self, best: Record, segments: list[Record], overturn: Shift | None, rate: Shift
    ) -> tuple[DropVerdict, list[Record], str]:
        """Turn the segment that explains the fall into a verdict, with appeals as the witness."""
        rival = next(
            (
                row
                for row in segments[1:]
                if row["family"] != best["family"] and best["fit"] - row["fit"] < _CLEAR
            ),
            None,
        )
        if rival is not None:
            both = f"{wording.segment(best['where'])} and {wording.segment(rival['where'])}"
            return "cannot_tell", segments, f"{both} explain it equally well"
        if best["family"] == "auditors":
            if self._is_clear(overturn, 1) and not self._unseen(overturn, rate):
                return "cannot_tell", segments, "the fall lies with auditors, yet appeals rose too"
            return "auditors", segments, ""
        within = self._appeal_shift(best["where"])
        fall = Shift(best["effect"], best["effect_ci_lower"], best["effect_ci_upper"], 1, 1, 1)
        if self._unseen(within, fall):
            return "auditors", segments, ""
        verdict: DropVerdict = "reviewers" if best["family"] == "reviewers" else "guideline"
        unknown = _NOT_SEEN[verdict]
        if unknown.family not in self.roles.values():
            return "cannot_tell", segments, unknown.reason
        return verdict, segments, ""

    def _is_clear(self, shift: Shift | None, sign: int) -> bool:
        """Tell whether a shift is beyond chance, also over all the beginnings that were tried."""
        if shift is None or math.isnan(shift.effect):
            return False
        level = 1 - (1 - self.level) / self.n_splits
        return sign * shift.z > normal_quantile(level)

    def _unseen(self, overturn: Shift | None, fall: Shift) -> bool:
        """Tell whether appeals rule out a rise as large as the fall lets expect."""
        if overturn is None or math.isnan(overturn.effect):
            return False
        return overturn.ci_upper < _UNSEEN * abs(fall.effect)

    def _appeal_shift(self, where: Mapping[str, str] | None) -> Shift | None:
        """Return the change of the overturn rate at equal mix, in a segment or everywhere."""
        if self.appeals is None:
            return None
        inside = np.ones(self.appeals.day.size, dtype=np.bool_)
        for name, value in (where or {}).items():
            if name not in self.appeals.values:
                return None
            inside &= self.appeals.values[name] == value
        cells = self.appeals.cells(self.first, self.mix)
        phi = falls.dispersion(cells)
        return falls.shift_within(cells, inside, phi=phi, confidence_level=self.level)

    def _hidden_segments(self, overturn: Shift | None) -> list[Record]:
        """Search the rise of overturns, which audits may not have seen."""
        if self.appeals is None or overturn is None:
            return []
        cells = self.appeals.cells(self.first, self.mix)
        phi = falls.dispersion(cells)
        return self._segments(self.appeals, cells, phi, overturn, sign=1)

    def _segments(
        self, table: Added, cells: Cells, phi: float, whole: Shift, *, sign: int
    ) -> list[Record]:
        """Return the segments that could explain a change, best first."""
        tried = list(_candidates(table, self.roles))[:_MOST_SEGMENTS]
        n_after = float(cells.size[cells.after].sum())
        rows = []
        for where in tried:
            inside = np.ones(table.day.size, dtype=np.bool_)
            for name, value in where.items():
                inside &= table.values[name] == value
            shift = falls.shift_within(cells, inside, phi=phi, confidence_level=self.level)
            if min(shift.n_before, shift.n_after) < _FEWEST_CASES or shift.error == 0:
                continue
            rest = falls.shift_within(cells, ~inside, phi=phi, confidence_level=self.level)
            n_alike = sum(len(other) == len(where) for other in tried)
            # what the model "only here" gains over "nowhere", less what searching gains by chance
            fit = max(sign * shift.z, 0.0) ** 2 - 2 * math.log(n_alike)
            rows.append(
                {
                    "segment": wording.segment(where),
                    "where": where,
                    "family": _family(where, self.roles),
                    "n_before": shift.n_before,
                    "n_after": shift.n_after,
                    "effect": shift.effect,
                    "effect_ci_lower": shift.ci_lower,
                    "effect_ci_upper": shift.ci_upper,
                    "rest_effect": rest.effect,
                    "rest_effect_ci_lower": rest.ci_lower,
                    "rest_effect_ci_upper": rest.ci_upper,
                    "share_of_change": shift.effect * shift.n_after / (whole.effect * n_after)
                    if whole.effect
                    else math.nan,
                    "fit": fit,
                    "z": sign * shift.z,
                    "is_explanation": _explains(shift, rest, whole, fit, sign),
                }
            )
        return sorted(rows, key=lambda row: -row["fit"])


def _explains(shift: Shift, rest: Shift, whole: Shift, fit: float, sign: int) -> bool:
    """Tell whether a segment moved, fits far better than everywhere, and leaves no rest."""
    everywhere = max(sign * whole.z, 0.0) ** 2
    inside, left = shift.effect * shift.n_after, rest.effect * rest.n_after
    return bool(
        sign * inside > 0
        and fit > _CLEAR
        and fit - everywhere > _CLEAR
        and (math.isnan(left) or left / inside < _SMALL_REST)
    )


_NOWHERE = (
    "it fell everywhere alike, and no column that was given tells who or what; a cause of this kind "
    "is not in the data"
)


def _candidates(table: Added, roles: Mapping[str, Family]) -> "itertools.chain[dict[str, str]]":
    """Return single values, and pairs of work with teams or with auditors."""
    levels = {
        name: [str(value) for value in np.unique(table.values[name])]
        for name in roles
        if name in table.values
    }
    singles = [{name: value} for name, values in levels.items() for value in values]
    pairs = [
        {one: a, other: b}
        for one, other in itertools.combinations(levels, 2)
        if {roles[one], roles[other]} in ({"guideline", "reviewers"}, {"guideline", "auditors"})
        for a in levels[one]
        for b in levels[other]
    ]
    return itertools.chain(singles, pairs)


def _family(where: Mapping[str, str], roles: Mapping[str, Family]) -> Family:
    """Return who a segment points at: auditors before reviewers before the guideline."""
    families = {roles[name] for name in where}
    order: tuple[Family, ...] = ("auditors", "reviewers", "guideline")
    return next(family for family in order if family in families)


def _inverted(agreement: AgreementResult | None) -> int:
    """Count the raters of the double-checked sample who swap labels."""
    return 0 if agreement is None else sum(row["is_inverted"] for row in agreement.raters)


def _measures(
    search: Search, accuracy: Shift, rate: Shift, moved: Shift, overturn: Shift | None
) -> tuple[Record, ...]:
    """Return one row per measure, before and after."""
    listed = [("accuracy", accuracy, search.audits), ("accuracy at equal mix", rate, None)]
    listed.append(("mix of work", moved, None))
    if overturn is not None:
        listed.append(("overturns at equal mix", overturn, search.appeals))
    rows = []
    for name, shift, table in listed:
        before, after = math.nan, math.nan
        if table is not None and not math.isnan(shift.effect):
            later = table.day >= search.first
            before, after = (
                float(table.count[side].sum() / table.size[side].sum()) for side in (~later, later)
            )
        rows.append(
            {
                "measure": name,
                "before": before,
                "after": after,
                "effect": shift.effect,
                "effect_ci_lower": shift.ci_lower,
                "effect_ci_upper": shift.ci_upper,
                "n_before": shift.n_before,
                "n_after": shift.n_after,
            }
        )
    return tuple(rows)


def _weeks(
    audits: Added, appeals: Added | None, last: int, segments: Sequence[Record]
) -> tuple[Record, ...]:
    """Return accuracy and overturns by week, in the best segment and elsewhere."""
    where = segments[0]["where"] if segments and segments[0]["is_explanation"] else {}
    rows: list[Record] = []
    for measure, table in (("audited accuracy", audits), ("overturned appeals", appeals)):
        if table is None:
            continue
        inside = np.ones(table.day.size, dtype=np.bool_)
        known = all(name in table.values for name in where)
        for name, value in where.items() if known else ():
            inside &= table.values[name] == value
        parts = [("in the segment", inside), ("elsewhere", ~inside)] if where and known else []
        for part, side in parts or [("everywhere", inside)]:
            if not side.any():
                continue
            size, count, starts = table.kept(side).weeks(last)
            rows += [
                {
                    "week_start": _date(int(start)),
                    "measure": measure,
                    "where": part,
                    "n_obs": int(n),
                    "rate": float(k / n),
                }
                for n, k, start in zip(size, count, starts, strict=True)
                if n >= 10
            ]
    return tuple(rows)


def _date(day: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(day))
