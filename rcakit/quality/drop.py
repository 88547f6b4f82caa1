"""Why did accuracy fall: the reviewers, the guideline, the mix of work, or the auditors?"""

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.quality.drop_result import DropResult, DropVerdict
from rcakit.quality.raters import AgreementResult
from rcakit.results import Record
from rcakit.stats import falls
from rcakit.stats.falls import Cells, Shift
from rcakit.stats.proportions import normal_quantile
from rcakit.validation import check_date, check_integer, check_names, check_number, refusal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["explain_drop"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Family = Literal["reviewers", "guideline", "auditors"]

_WEEK = 7
_FEWEST_WEEKS_BEFORE = 4
_FEWEST_CASES = 30
_MOST_SEGMENTS = 4_000
# Two explanations whose log-likelihoods differ by less than this are told apart by nothing:
# a Bayes factor of 20 (Kass and Raftery 1995, JASA 90, p. 777).
_CLEAR = 2 * math.log(20)
_SMALL_REST = 0.4  # outside the segment that explains a fall, next to what lies inside
_UNSEEN = 0.5  # appeals that rise by less than this share of the fall did not see it
_MARGIN = 0.02  # a fall below two points is none


@dataclass(frozen=True, slots=True)
class _Table:
    """Cases of one measure by day and attributes."""

    day: Ints
    values: dict[str, npt.NDArray[np.str_]]
    size: Floats
    count: Floats

    def kept(self, which: Flags) -> "_Table":
        """Return some of the cells."""
        values = {name: column[which] for name, column in self.values.items()}
        return _Table(self.day[which], values, self.size[which], self.count[which])

    def cells(self, first: int, mix: Sequence[str]) -> Cells:
        """Split at a day; the mix columns together are the strata."""
        stratum = np.zeros(self.day.size, dtype=np.int64)
        for name in mix:
            codes = np.unique(self.values[name], return_inverse=True)[1]
            stratum = stratum * (int(codes.max(initial=0)) + 1) + codes
        stratum = np.unique(stratum, return_inverse=True)[1].astype(np.int64)
        block = (self.day - self.day.min()) // _WEEK
        return Cells(self.size, self.count, self.day >= first, stratum, block)

    def weeks(self, last: int) -> tuple[Floats, Floats, Ints]:
        """Add up weeks counted back from the last day, and return the first day of each."""
        back = (last - self.day) // _WEEK
        n_weeks = int(back.max()) + 1
        at = n_weeks - 1 - back
        starts = last + 1 - _WEEK * np.arange(n_weeks, 0, -1)
        return np.bincount(at, self.size), np.bincount(at, self.count), starts


def explain_drop(
    data: Any,
    *,
    time: str,
    is_correct: str,
    teams: str | Sequence[str] = (),
    mix: str | Sequence[str] = (),
    auditors: str | Sequence[str] = (),
    is_overturned: str | None = None,
    period: tuple[str | dt.date, str | dt.date] | None = None,
    baseline_days: int = 84,
    search_days: int = 56,
    agreement: AgreementResult | None = None,
    confidence_level: float = 0.95,
    tz: str = "UTC",
) -> DropResult:
    """Did audited accuracy fall, and is it the reviewers, the guideline, the mix or the auditors?

    Parameters
    ----------
    data
        Table with one row per decision, in any supported engine.
    time
        Timestamp or date column of the decision.
    is_correct
        Verdict of the audit, 0/1 or boolean; missing where nobody audited.
    teams
        Columns of who decided: site, vendor, training wave. Never single persons.
    mix
        Columns of what the work was: policy, language, queue.
    auditors
        Columns of who audited: team or vendor.
    is_overturned
        Outcome of the appeal, 0/1 or boolean; missing where there was none or it is open. The only
        witness that is neither reviewer nor auditor.
    period
        First and last day of the fall; by default the week is searched in which a fall of accuracy
        or a rise of overturns began, and it lasts to the end.
    baseline_days
        Days before the period that it is compared with.
    search_days
        Days from the end in which the beginning is searched.
    agreement
        From `rcakit.quality.agreement` on a double-checked sample, for raters who swap labels.
    confidence_level
        Of the intervals.
    tz
        Time zone of the local days.

    Returns
    -------
    DropResult
        ``verdict`` is ``reviewers``, ``guideline``, ``shared_error``, ``mix``, ``auditors``,
        ``no_drop`` or ``cannot_tell``. Tables ``measures``, ``segments``, ``weeks``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 audited decisions before or after, or fewer than 5 weeks.
    ParameterError
        No column to look into, or one column in two roles.
    SchemaError
        A column is missing or not numeric.

    Notes
    -----
    The fall is first split into mix and rate: what each kind of work showed before is what the new
    mix should show. What is left is searched for the one segment (a value of any column, or a pair
    of work and team) that fits far better than all others and leaves no fall outside. A segment of
    teams reads as ``reviewers``, one of work alone as ``guideline``, one of auditors as
    ``auditors``. Appeals are the witness: if they see nothing of a fall that is large, the auditors
    changed; if they rise while audits see nothing, reviewers and auditors share an error. A fall
    that is everywhere alike is in none of these columns, and the verdict is ``cannot_tell``.

    Not for comparing groups at one time (`rcakit.cohorts.compare`), nor where audits are drawn
    because of a suspicion: their accuracy says nothing about all decisions.

    References
    ----------
    Kitagawa (1955), JASA 50, p. 1181; Kass and Raftery (1995), JASA 90, p. 777.

    Examples
    --------
    >>> import rcakit
    >>> data = rcakit.datasets.make("qa_drop_untrained_wave")
    >>> rcakit.quality.explain_drop(
    ...     data.tables["decisions"], time="decided_date", is_correct="is_correct",
    ...     teams=["wave", "site"], mix="policy", is_overturned="is_overturned",
    ... ).verdict
    'reviewers'
    """
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_integer(baseline_days, "baseline_days", ge=4 * _WEEK, le=730)
    check_integer(search_days, "search_days", ge=_WEEK, le=366)
    roles = _roles(teams, mix, auditors, taken=(time, is_correct, is_overturned))
    audits = _added_up(data, time, is_correct, [*roles], tz)
    outside = [name for name, family in roles.items() if family != "auditors"]
    appeals = None if is_overturned is None else _added_up(data, time, is_overturned, outside, tz)
    given = None if period is None else _days(period)
    first, last, n_splits = _period(audits, appeals, given, search_days, confidence_level)
    audits = audits.kept((audits.day >= first - baseline_days) & (audits.day <= last))
    if appeals is not None:
        appeals = appeals.kept((appeals.day >= first - baseline_days) & (appeals.day <= last))
    search = _Search(audits, appeals, roles, first, confidence_level, n_splits)
    search.check_enough(is_correct)
    return search.result(last, agreement, frames.library(data))


@dataclass(frozen=True, slots=True)
class _Search:
    """What is known before the verdict."""

    audits: _Table
    appeals: _Table | None
    roles: Mapping[str, Family]
    first: int
    level: float
    n_splits: int

    @property
    def mix(self) -> list[str]:
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
        self, last: int, agreement: AgreementResult | None, library: frames.Library
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
        if moved.ci_upper < 0 and abs(moved.effect) > abs(rate.effect) and accuracy.ci_upper < 0:
            if fell or self._is_clear(moved, -1):
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
        self, table: _Table, cells: Cells, phi: float, whole: Shift, *, sign: int
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


def _roles(
    teams: Any, mix: Any, auditors: Any, *, taken: Sequence[str | None]
) -> dict[str, Family]:
    """Return what each column stands for."""
    listed: list[tuple[str, Family]] = [
        *((name, "reviewers") for name in check_names(teams, "teams")),
        *((name, "guideline") for name in check_names(mix, "mix")),
        *((name, "auditors") for name in check_names(auditors, "auditors")),
    ]
    roles = dict(listed)
    if not roles:
        raise refusal("teams", "at least one column in teams, mix or auditors", teams)
    if len(roles) < len(listed) or set(roles) & set(taken):
        raise refusal("teams", "columns that have one role each", [name for name, _ in listed])
    return roles


def _added_up(data: Any, time: str, value: str, keys: Sequence[str], tz: str) -> _Table:
    """Add up a 0/1 column by day and attributes, where the rows live."""
    import polars as pl

    table = frames.aggregate(data, keys=keys, time=time, sums=value, tz=tz)
    table = table.with_columns(known=(pl.col("n_rows") - pl.col("n_missing")).cast(pl.Float64))
    table = table.filter(pl.col("known") > 0, pl.col("period_start").is_not_null())
    if table.height == 0:
        raise NotEnoughDataError(
            f"column {value!r} holds no value on any day. Check the filter and the column."
        )
    values = {
        name: table[name].cast(pl.String).fill_null("(missing)").to_numpy().astype(np.str_)
        for name in keys
    }
    day = table["period_start"].cast(pl.Date).cast(pl.Int32).to_numpy().astype(np.int64)
    return _Table(day, values, table["known"].to_numpy(), table[value].to_numpy())


def _days(period: tuple[Any, Any]) -> tuple[int, int]:
    first, last = (check_date(day, "period") for day in period)
    if first > last:
        raise refusal("period", "a first day before the last", period)
    start = dt.date(1970, 1, 1)
    return (first - start).days, (last - start).days


def _period(
    audits: _Table,
    appeals: _Table | None,
    given: tuple[int, int] | None,
    search_days: int,
    level: float,
) -> tuple[int, int, int]:
    """Return first and last day, and how many beginnings were tried.

    The week is taken that stands out most in any column's value; the last four weeks where none
    stands out beyond chance, so that a search among nothing does not choose the worst week.
    """
    if given is not None:
        return *given, 1
    last = int(audits.day.max())
    best, first, n_tried, n_weeks = -math.inf, last - 4 * _WEEK + 1, 0, 0
    for table, sign in ((audits, -1), (appeals, 1)):
        if table is None:
            continue
        within = table.kept(table.day <= last)
        for part in (within, *_parts(within)):
            size, count, starts = part.weeks(last)
            candidates = np.flatnonzero(
                (np.arange(size.size) >= _FEWEST_WEEKS_BEFORE) & (starts > last - search_days)
            )
            z, _ = falls.best_split(size, count, candidates, sign=sign)
            n_tried += candidates.size
            n_weeks = max(n_weeks, candidates.size)
            if candidates.size and z.max() > best:
                best, found = float(z.max()), int(starts[candidates[int(np.argmax(z))]])
    if n_tried == 0:
        raise NotEnoughDataError(
            f"a fall is searched in at least {_FEWEST_WEEKS_BEFORE + 1} weeks, got "
            f"{(last - int(audits.day.min())) // _WEEK + 1}. Give period=(first day, last day)."
        )
    stands_out = best > normal_quantile(1 - (1 - level) / n_tried)
    return found if stands_out else first, last, n_weeks


def _parts(table: _Table) -> "list[_Table]":
    """Return the cells of each value of each column."""
    return [
        table.kept(column == value)
        for column in table.values.values()
        for value in np.unique(column)
    ]


def _candidates(table: _Table, roles: Mapping[str, Family]) -> "itertools.chain[dict[str, str]]":
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
    search: _Search, accuracy: Shift, rate: Shift, moved: Shift, overturn: Shift | None
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
    audits: _Table, appeals: _Table | None, last: int, segments: Sequence[Record]
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
            size, count, starts = table.kept(side).weeks(last) if side.any() else ([], [], [])
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
