"""What is said about a fall of accuracy?"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rcakit import frames, wording
from rcakit.findings import Finding, withheld
from rcakit.quality.drop_changes import LoggedChange
from rcakit.quality.shared_error_alarm import MEASURES
from rcakit.results import Record, Result

if TYPE_CHECKING:
    import altair as alt

__all__ = ["DropResult", "DropVerdict"]

DropVerdict = Literal[
    "reviewers", "guideline", "shared_error", "mix", "auditors", "no_drop", "cannot_tell"
]

_METHOD = "accuracy before and after at equal mix, one segment searched, appeals as witness"
_STEPS: Mapping[str, tuple[str, ...]] = {
    "reviewers": (
        "Re-train the teams named, then audit 200 of their decisions at random.",
        "Re-open the decisions made in the segment since the fall began.",
    ),
    "guideline": (
        "Read twenty wrong decisions of the policy side by side with its guideline, and mend the text.",
    ),
    "shared_error": (
        "Let someone outside the team re-audit a random sample against the current guideline.",
        "Check that reviewers and auditors have the same version of the guideline.",
    ),
    "mix": ("Compare teams and weeks at equal mix, and set targets per kind of work.",),
    "auditors": (
        "Let a second auditor judge again, blind, what the auditors named called wrong.",
        "Hold corrective action against reviewers until that is done.",
    ),
    "cannot_tell": (
        "Record what is missing: the difficulty of cases, who audited, the version of the guideline.",
    ),
    "no_drop": (),
}


@dataclass(frozen=True, slots=True)
class DropResult(Result):
    """Why accuracy fell, as far as the data tell.

    Attributes
    ----------
    measures, segments, weeks
        The rows of the tables. In ``segments``, ``fit`` is twice the log-likelihood gained by a
        fall in this segment alone, less the price of the search; ``where`` is the segment as a
        dictionary.
    verdict
        ``reviewers`` (a team, or a team at one kind of work), ``guideline`` (one kind of work at
        all teams), ``shared_error`` (audits see nothing, appeals do), ``mix``, ``auditors``,
        ``no_drop`` or ``cannot_tell``.
    reason
        Why it cannot be told; empty otherwise.
    started_at, ended_at
        First and last day of the fall.
    is_searched
        Whether the beginning was searched.
    n_inverted
        Raters of the double-checked sample who swap labels.
    has_appeals
        Whether appeals were there as a witness.
    changes
        Logged changes near the beginning.
    confidence_level
        Of the intervals.
    library
        Where tables are handed back.
    """

    measures: tuple[Record, ...]
    segments: tuple[Record, ...]
    weeks: tuple[Record, ...]
    verdict: DropVerdict
    reason: str
    started_at: dt.date
    ended_at: dt.date
    is_searched: bool
    n_inverted: int
    has_appeals: bool
    changes: tuple[LoggedChange, ...]
    confidence_level: float
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "measures": MEASURES,
        "segments": {
            "segment": "String",
            "family": "String",
            "n_before": "Int64",
            "n_after": "Int64",
            "effect": "Float64",
            "effect_ci_lower": "Float64",
            "effect_ci_upper": "Float64",
            "rest_effect": "Float64",
            "rest_effect_ci_lower": "Float64",
            "rest_effect_ci_upper": "Float64",
            "share_of_change": "Float64",
            "fit": "Float64",
            "is_explanation": "Boolean",
        },
        "weeks": {
            "week_start": "Date",
            "measure": "String",
            "where": "String",
            "n_obs": "Int64",
            "rate": "Float64",
        },
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``measures`` (default), ``segments`` or ``weeks``."""
        name = self._table(table)
        return [{key: row[key] for key in self.tables[name]} for row in getattr(self, name)]

    def findings(self) -> tuple[Finding, ...]:
        """Return the verdict, the course of accuracy, the segment, and what was ruled out."""
        found = [self._verdict(), self._course()]
        if self.verdict in {"reviewers", "guideline", "auditors", "shared_error"} and self._best():
            found.append(self._segment())
        if self.verdict != "mix":
            found += self._mix_ruled_out()
        if self.has_appeals:
            found.append(self._appeals())
        if self.verdict not in {"no_drop", "cannot_tell"}:
            row = self._best() or self._measure("accuracy")
            found += [change.finding(row, self.confidence_level) for change in self.changes]
        return tuple(found)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw accuracy and overturns by week, in the segment and elsewhere."""
        from rcakit.plots import quality

        return quality.drop(
            self.to_records("weeks"), title=self._verdict().claim, started_at=self.started_at
        )

    def segment_plot(self) -> "alt.TopLevelMixin":
        """Draw the change in each segment that was tried, the best first."""
        from rcakit.plots import quality

        best = self._best()
        what = "overturns" if self.verdict == "shared_error" else "accuracy"
        title = (
            f"The change is concentrated in {wording.segment(best['where'])}."
            if best
            else "No single segment explains the change."
        )
        return quality.drop_segments(self.to_records("segments")[:12], title=title, what=what)

    def _measure(self, name: str) -> Record:
        return next(row for row in self.measures if row["measure"] == name)

    def _best(self) -> Record | None:
        first = self.segments[0] if self.segments else None
        return first if first is not None and first["is_explanation"] else None

    def _caveats(self) -> tuple[str, ...]:
        said = []
        if not self.has_appeals:
            said.append("No appeals were given: nobody but the auditors says what is right.")
        if self.is_searched:
            said.append("The beginning was searched by week; give the period if it is known.")
        said.append("Audits must be drawn at random for their accuracy to speak for all decisions.")
        return tuple(said)

    def _verdict(self) -> Finding:
        row = self._measure("accuracy")
        common: dict[str, Any] = {
            "unit": "share of audited decisions",
            "n_obs": row["n_before"] + row["n_after"],
            "method": _METHOD,
            "evidence": {"n_candidates": len(self.segments), "counted": "audited decisions"},
            "confidence_level": self.confidence_level,
            "caveats": self._caveats(),
            "next_steps": _STEPS[self.verdict],
            "verdict": self.verdict,
        }
        claim = self._claim(row)
        if self.verdict == "cannot_tell":
            return withheld("verdict", claim, why=self.reason, **common)
        if self.verdict == "shared_error":
            row = self._measure("overturns at equal mix")
            common |= {
                "unit": "share of appeals overturned",
                "n_obs": row["n_before"] + row["n_after"],
                "evidence": {"n_candidates": len(self.segments), "counted": "decided appeals"},
            }
        return Finding(
            claim=claim,
            kind="verdict",
            estimate=row["effect"],
            ci_lower=row["effect_ci_lower"],
            ci_upper=row["effect_ci_upper"],
            **common,
        )

    def _claim(self, row: Record) -> str:
        """Answer the question in one sentence."""
        moved = f"from {_share(row['before'])} to {_share(row['after'])}"
        went = "fell" if row["effect_ci_upper"] < 0 else "went"
        best = self._best()
        where = wording.segment(best["where"]) if best else "everything"
        if self.verdict == "reviewers" and best is None:
            raters = wording.plural(self.n_inverted, "rater")
            return (
                f"Audited accuracy did not fall ({moved}), but {raters} of the double-checked "
                f"sample label{'s' if self.n_inverted == 1 else ''} against all others: it is the "
                "reviewers, not the guideline."
            )
        return {
            "reviewers": f"Accuracy {went} {moved}, and it is the reviewers: the fall is concentrated "
            f"in {where}.",
            "guideline": f"Accuracy {went} {moved}, and it is the guideline: the fall is concentrated "
            f"in {where}, at all teams alike.",
            "shared_error": "Reviewers and auditors share an error: appeals are overturned more "
            f"often while audited accuracy stayed ({moved}).",
            "mix": f"Accuracy {went} {moved}, and it is explained by the mix of work: at equal work "
            "hardly anything changed.",
            "auditors": f"Accuracy {went} {moved}, and it is the auditors: "
            + (
                f"the fall is concentrated in {where}"
                + (", and appeals do not see it." if self._appeals_quiet() else ".")
                if best
                else "it fell everywhere they looked, and appeals do not see it."
            ),
            "no_drop": f"Accuracy did not fall by anything that matters ({moved}).",
            "cannot_tell": f"Why accuracy went {moved} cannot be told from these data.",
        }[self.verdict]

    def _appeals_quiet(self) -> bool:
        return self.has_appeals and self._measure("overturns at equal mix")["effect_ci_lower"] <= 0

    def _course(self) -> Finding:
        row = self._measure("accuracy")
        claim = (
            f"Audited accuracy was {_share(row['before'])} before and {_share(row['after'])} from "
            f"{self.started_at} to {self.ended_at}: {_points(row)}."
        )
        return _numbered(
            row,
            claim,
            kind="change",
            unit="share of audited decisions",
            level=self.confidence_level,
            evidence={
                "started_at": self.started_at.isoformat(),
                "seen_until": self.ended_at.isoformat(),  # the data end there, the fall need not
            },
        )

    def _segment(self) -> Finding:
        best = self._best()
        assert best is not None
        what = "Overturns" if self.verdict == "shared_error" else "Accuracy"
        claim = (
            f"{what} in {wording.segment(best['where'])} moved by {_points(best)} at equal mix, and "
            f"elsewhere by {_share(best['rest_effect'], signed=True)} points."
        )
        return _numbered(
            best,
            claim,
            kind="driver",
            unit="share of decisions in the segment",
            level=self.confidence_level,
            segment=best["where"],
            evidence={"share_of_change": best["share_of_change"], "family": best["family"]},
        )

    def _mix_ruled_out(self) -> list[Finding]:
        row = self._measure("mix of work")
        if math.isnan(row["effect"]):
            return []
        claim = f"The mix of work alone would have moved accuracy by {_points(row)}."
        return [
            _numbered(
                row,
                claim,
                kind="ruled_out",
                unit="share of audited decisions",
                level=self.confidence_level,
            )
        ]

    def _appeals(self) -> Finding:
        row = self._measure("overturns at equal mix")
        n_obs = row["n_before"] + row["n_after"]
        if math.isnan(row["effect"]):
            return withheld(
                "measurement",
                "Appeals are too few to be a witness.",
                why="no appeals before or after",
                unit="share of appeals overturned",
                method=_METHOD,
                n_obs=n_obs,
            )
        claim = (
            f"Appeals were overturned in {_share(row['before'])} of cases before and "
            f"{_share(row['after'])} after; at equal mix that is {_points(row)}."
        )
        return _numbered(
            row,
            claim,
            kind="measurement",
            unit="share of appeals overturned",
            level=self.confidence_level,
            caveats=("Who appeals may have changed; check the appeal rate too.",),
        )


def _numbered(row: Record, claim: str, *, level: float, **more: Any) -> Finding:
    """Build a finding from the numbers of a row."""
    return Finding(
        claim=claim,
        estimate=row["effect"],
        ci_lower=row["effect_ci_lower"],
        ci_upper=row["effect_ci_upper"],
        confidence_level=level,
        n_obs=row["n_before"] + row["n_after"],
        method=_METHOD,
        **more,
    )


def _share(value: float, *, signed: bool = False) -> str:
    """Say a share with one digit: a point of accuracy matters."""
    if math.isnan(value):
        return "unknown"
    sign = ("+" if value > 0 else "−") if signed else ""
    number = f"{sign}{abs(100 * value):.1f}"
    return number if signed else f"{number} %"


def _points(row: Record) -> str:
    """Say a change of a share in points, with its interval."""
    said = [_share(row[name], signed=True) for name in _NUMBERS]
    return f"{said[0]} points ({said[1]} to {said[2]})"


_NUMBERS = ("effect", "effect_ci_lower", "effect_ci_upper")
