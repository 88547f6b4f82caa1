"""The answer: at most three sentences, how sure they are, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rcakit import wording
from rcakit.findings import Finding, Strength

__all__ = ["Answer", "compose"]

_CONFIDENCE: dict[Strength, str] = {
    "strong": "High confidence",
    "moderate": "Medium confidence",
    "weak": "Low confidence",
    "withheld": "Cannot tell",
}
_LEADING = frozenset({"effect", "difference", "concentration", "measurement"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader must know first.

    Attributes
    ----------
    sentences
        One to three.
    confidence
        ``High confidence``, ``Medium confidence``, ``Low confidence`` or ``Cannot tell``.
    why
        What the confidence rests on.
    """

    sentences: tuple[str, ...]
    confidence: str
    why: str

    def __str__(self) -> str:
        """Return the answer as plain text."""
        return "\n".join([*self.sentences, f"{self.confidence}: {self.why}"])

    def to_html(self) -> str:
        """Return the answer as inert HTML."""
        said = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences)
        return f"{said}<p><strong>{escape(self.confidence)}:</strong> {escape(self.why)}</p>"


def compose(findings: Sequence[Finding]) -> Answer:
    """Say what was found in at most three sentences: the verdict, what leads to it, what fits it.

    The second sentence is the first finding that is more than weak among drivers, effects,
    differences, concentrations and measurements; a change of everything has none.

    Parameters
    ----------
    findings
        All findings of a run.
    """
    verdict = next((item for item in findings if item.kind == "verdict"), None)
    if verdict is None:
        return Answer(
            ("This run published no verdict.",), "Cannot tell", "there is nothing to rate."
        )
    leads = _leads(verdict, findings)
    matched = [item for item in findings if item.kind == "matched_change"]
    ruled_out = [item for item in findings if item.kind == "ruled_out" and item.change_id]
    sentences = [verdict.claim]
    if leads:
        sentences.append(_capital(leads[0].claim))
    if matched:
        sentences.append(matched[0].claim)
    elif ruled_out:
        looked = wording.plural(len(ruled_out), "logged change")
        sentences.append(f"None of the {looked} near the onset fits.")
    return Answer(tuple(sentences[:3]), _confidence(verdict), _why(verdict, leads, ruled_out))


def _leads(verdict: Finding, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that say more about the verdict, in the order they were published."""
    if verdict.verdict in {"broad", "cannot_tell"}:
        return []
    return [
        item
        for item in findings
        if item.kind == "driver"
        or (item.kind in _LEADING and item.strength in {"moderate", "strong"})
    ]


def _confidence(verdict: Finding) -> str:
    said = verdict.verdict or ""
    if said == "cannot_tell":
        return _CONFIDENCE["withheld"]
    if said.startswith("no_") and verdict.strength == "weak":
        return "Medium confidence"  # an interval around zero is what "nothing happened" looks like
    return _CONFIDENCE[verdict.strength]


def _why(verdict: Finding, leads: Sequence[Finding], ruled_out: Sequence[Finding]) -> str:
    if verdict.withheld_because is not None:
        return f"{verdict.withheld_because.rstrip('.')}."
    searched = verdict.evidence.get("n_candidates")
    counted = verdict.evidence.get("counted", verdict.unit)
    reasons = [f"it rests on {wording.amount(verdict.n_obs)} {counted}"]
    if searched:
        reasons.append(f"{wording.plural(int(searched), 'segment')} were compared")
    doubted = [*leads[:1], verdict]
    caveats = [caveat for item in doubted for caveat in item.caveats]
    if caveats:
        reasons.append(f"but {_lower(caveats[0].rstrip('.'))}")
    elif ruled_out:
        reasons.append(f"{wording.plural(len(ruled_out), 'other logged change')} were set aside")
    return ", ".join(reasons) + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
