"""What the sections of a page say: doubts, impact, timeline, actions, limits."""

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rcakit import wording
from rcakit.findings import Finding, json_safe
from rcakit.results import records_to_html, records_to_markdown

__all__ = ["SECTION_MIME", "Section", "actions", "doubts", "impact", "limits", "timeline"]

SECTION_MIME = "application/vnd.rcakit.section+json"


_SHARE = re.compile(r"shares? ")
_LEVELS = frozenset({"concentration", "measurement"})  # kinds that say how much, not how much more
_SIZED = frozenset({"verdict", "driver", "effect", "difference", "concentration"})
_NO_CAUSES = (
    "The findings describe where, when and for whom a number differs. They coincide with what was "
    "logged or compared; they do not prove what made it differ."
)
_ONLY_EFFECTS_ARE_CAUSES = (
    "Only an effect of a randomised test or of a clean roll-out speaks of a cause; everything else "
    "on this page describes what coincides."
)
_OF_A_CHANGE = frozenset({"localised", "broad", "mix", "no_evidence"})
_URGENT = (
    "matched_change", "driver", "effect", "difference", "concentration", "measurement",
    "verdict", "data_quality",
)  # fmt: skip


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
    name
        Which section of the page it is; the page takes it to its place by this name.
    """

    sentences: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    nothing: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return the section as plain text."""
        lines = [f"- {sentence}" for sentence in self.sentences]
        if self.rows:
            lines.append(records_to_markdown([dict(row) for row in self.rows], list(self.rows[0])))
        return "\n".join(lines) or self.nothing

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Show the section in a notebook, and carry it to the page."""
        del include, exclude
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences)
        html = f"<ul>{said}</ul>" if said else ""
        if self.rows:
            html += records_to_html([dict(row) for row in self.rows], list(self.rows[0]))
        return {
            SECTION_MIME: self.to_record(),
            "text/plain": str(self),
            "text/html": html or f"<p>{escape(self.nothing)}</p>",
        }

    def to_record(self) -> dict[str, Any]:
        """Return the section as plain JSON values."""
        return {
            "name": self.name,
            "sentences": list(self.sentences),
            "columns": list(self.rows[0]) if self.rows else [],
            "rows": [[json_safe(cell) for cell in row.values()] for row in self.rows],
            "nothing": self.nothing,
        }


def doubts(findings: Sequence[Finding]) -> Section:
    """Say what else could explain the change: data defects, changes set aside, caveats."""
    told = [
        item.claim
        for item in findings
        if item.kind == "ruled_out" or (item.kind == "data_quality" and "check" in item.evidence)
    ]
    told += [caveat for item in findings if item.kind != "ruled_out" for caveat in item.caveats]
    return Section(
        tuple(dict.fromkeys(told)),
        nothing="Nothing was found that speaks against the answer.",
        name="doubts",
    )


def impact(findings: Sequence[Finding]) -> Section:
    """Tell the size of the whole change and of each part, with intervals."""
    sized = _each_number_once(
        [item for item in findings if item.kind in _SIZED and item.withheld_because is None]
    )
    levels = {item.confidence_level for item in sized}
    column = f"{wording.percent(levels.pop())} interval" if len(levels) == 1 else "interval"
    is_change = any(item.kind not in _LEVELS and not _is_counted(item) for item in sized)
    size = "more (+) or less (−)" if is_change else "how much"
    rows = [
        {
            "what": _subject(item),
            size: _sized(item, item.estimate),
            column: _range(item),
            "unit": item.unit,
            "strength": item.strength,
        }
        for item in sized
    ]
    return Section(rows=tuple(rows), nothing="There is no impact to report.", name="impact")


def _each_number_once(sized: Sequence[Finding]) -> list[Finding]:
    """Leave out a verdict that only repeats the number of the effect behind it."""
    behind = {_number_of(item) for item in sized if item.kind != "verdict"}
    return [item for item in sized if item.kind != "verdict" or _number_of(item) not in behind]


def _number_of(item: Finding) -> tuple[Any, ...]:
    return (item.estimate, item.ci_lower, item.ci_upper, item.unit, item.confidence_level)


def _is_counted(item: Finding) -> bool:
    """Tell a count of what is there, which has no interval, from an estimate."""
    return item.estimate == item.ci_lower == item.ci_upper


def _sized(item: Finding, number: float) -> str:
    """Say a number as its finding means it: a change with its sign, a share in percent."""
    is_signed = item.kind not in _LEVELS and not _is_counted(item)
    if not _SHARE.match(item.unit):
        return wording.amount(_whole(number), signed=is_signed)
    said = wording.percent(number, signed=is_signed)
    return said.replace("%", "points") if is_signed else said


def _range(item: Finding) -> str:
    if _is_counted(item):
        return "counted"
    low, high = (_sized(item, bound) for bound in (item.ci_lower, item.ci_upper))
    if low.endswith("points") and high.endswith("points"):  # said once
        low = low.removesuffix("points").rstrip()
    return f"{low} to {high}"


def _subject(item: Finding) -> str:
    """Say what a number is about."""
    if item.segment:
        return wording.segment(item.segment)
    if item.kind == "verdict":
        return "the whole change" if item.verdict in _OF_A_CHANGE else "overall"
    return wording.visible(item.unit)


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
    return Section(
        rows=rows, nothing="There is no change whose course could be told.", name="timeline"
    )


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
    ranked = sorted(
        (item for item in findings if item.kind in _URGENT),
        key=lambda item: _URGENT.index(item.kind),
    )
    steps = dict.fromkeys(step for item in ranked for step in item.next_steps)
    return Section(tuple(list(steps)[:5]), nothing="Nothing needs doing.", name="actions")


def limits(findings: Sequence[Finding]) -> Section:
    """State the methods, and what they cannot say."""
    methods = dict.fromkeys(item.method for item in findings if item.method != "count")
    said = [f"Method: {method}." for method in methods]
    is_causal = any(item.kind == "effect" for item in findings)
    said.append(_ONLY_EFFECTS_ARE_CAUSES if is_causal else _NO_CAUSES)
    return Section(tuple(said), name="limits")


def _moment(value: Any) -> str:
    if isinstance(value, dt.datetime | dt.date):
        return wording.day(value)
    return wording.day(str(value).replace("T", " "))
