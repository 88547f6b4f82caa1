"""What the sections of a page say: doubts, impact, timeline, actions, limits."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rcakit import wording
from rcakit.findings import Finding
from rcakit.results import records_to_html, records_to_markdown

__all__ = ["Section", "actions", "doubts", "impact", "limits", "timeline"]


@dataclass(frozen=True, slots=True)
class Section:
    """Sentences and a table; nothing in them is markup.

    Attributes
    ----------
    sentences
        Shown as a list.
    rows
        Records of a table, may be empty.
    nothing
        What to say when there is neither.
    """

    sentences: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    nothing: str = ""

    def __str__(self) -> str:
        """Return the section as plain text."""
        lines = [f"- {sentence}" for sentence in self.sentences]
        if self.rows:
            lines.append(records_to_markdown([dict(row) for row in self.rows], list(self.rows[0])))
        return "\n".join(lines) or self.nothing

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Show the section in a notebook."""
        del include, exclude
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        html = f"<ul>{said}</ul>" if said else ""
        if self.rows:
            html += records_to_html([dict(row) for row in self.rows], list(self.rows[0]))
        return {"text/plain": str(self), "text/html": html or f"<p>{escape(self.nothing)}</p>"}


def doubts(findings: Sequence[Finding]) -> Section:
    """Say what else could explain the change: data defects, changes set aside, caveats."""
    told = [
        item.claim
        for item in findings
        if item.kind == "ruled_out" or (item.kind == "data_quality" and "check" in item.evidence)
    ]
    told += [caveat for item in findings if item.kind != "ruled_out" for caveat in item.caveats]
    return Section(
        tuple(dict.fromkeys(told)), nothing="Nothing was found that speaks against the answer."
    )


def impact(findings: Sequence[Finding]) -> Section:
    """Tell the size of the whole change and of each segment, with intervals."""
    rows = [
        {
            "what": "the whole change"
            if item.kind == "verdict"
            else wording.segment(item.segment or {}),
            "more (+) or fewer (−)": wording.amount(_whole(item.estimate), signed=True),
            "95 % interval": wording.interval(
                _whole(item.ci_lower), _whole(item.ci_upper), signed=True
            ),
            "unit": item.unit,
            "strength": item.strength,
        }
        for item in findings
        if item.kind in {"verdict", "driver", "effect"} and item.withheld_because is None
    ]
    return Section(rows=tuple(rows), nothing="There is no impact to report.")


def _whole(number: float) -> float:
    """Round a count to whole ones; rates and small amounts keep their digits."""
    return round(number) if 10 <= abs(number) < math.inf else number


def timeline(findings: Sequence[Finding]) -> Section:
    """Order what happened: onset, peak and end of the change, and the logged changes around it."""
    events: list[tuple[str, str]] = []
    for item in findings:
        seen = item.evidence
        if item.kind == "change" and "started_at" in seen:
            events += _course(seen)
        if item.kind in {"matched_change", "ruled_out"} and "changed_at" in seen:
            events.append((_moment(seen["changed_at"]), item.claim))
    rows = tuple({"when (UTC)": when, "event": event} for when, event in sorted(events))
    return Section(rows=rows, nothing="There is no change whose course could be told.")


def _course(seen: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Tell onset, peak and end of a change, each day once."""
    told = {_moment(seen["started_at"]): "The change began"}
    for name, words in (("peak_at", "was largest"), ("ended_at", "ended")):
        if seen.get(name):
            day = _moment(seen[name])
            told[day] = f"{told[day]}, {words}" if day in told else f"The change {words}"
    return [(day, f"{words}.") for day, words in told.items()]


def actions(findings: Sequence[Finding]) -> Section:
    """List what to do next, strongest finding first."""
    order = ("matched_change", "driver", "effect", "verdict", "data_quality")
    ranked = sorted(
        (item for item in findings if item.kind in order), key=lambda item: order.index(item.kind)
    )
    steps = dict.fromkeys(step for item in ranked for step in item.next_steps)
    return Section(tuple(list(steps)[:5]), nothing="Nothing needs doing.")


def limits(findings: Sequence[Finding]) -> Section:
    """State the methods, and what they cannot say."""
    methods = dict.fromkeys(item.method for item in findings if item.method != "count")
    said = [f"Method: {method}." for method in methods]
    said.append(
        "The findings describe where and when a number moved. They coincide with what was logged; "
        "they do not prove what made it move."
    )
    return Section(tuple(said))


def _moment(value: Any) -> str:
    if isinstance(value, dt.datetime | dt.date):
        return wording.day(value)
    return str(value)
