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
    """Say what was found in at most three sentences: the verdict, its driver, what fits it.

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
    is_broad = verdict.verdict == "broad"
    drivers = [item for item in findings if item.kind == "driver" and not is_broad]
    matched = [item for item in findings if item.kind == "matched_change"]
    ruled_out = [item for item in findings if item.kind == "ruled_out"]
    sentences = [verdict.claim]
    if drivers:
        sentences.append(_capital(drivers[0].claim))
    if matched:
        sentences.append(matched[0].claim)
    elif ruled_out:
        looked = wording.plural(len(ruled_out), "logged change")
        sentences.append(f"None of the {looked} near the onset fits.")
    return Answer(tuple(sentences[:3]), _confidence(verdict), _why(verdict, drivers, ruled_out))


def _confidence(verdict: Finding) -> str:
    if verdict.verdict == "no_evidence" and verdict.strength == "weak":
        return "Medium confidence"  # an interval around zero is what "nothing happened" looks like
    return _CONFIDENCE[verdict.strength]


def _why(verdict: Finding, drivers: Sequence[Finding], ruled_out: Sequence[Finding]) -> str:
    searched = verdict.evidence.get("n_candidates")
    reasons = [f"it rests on {wording.amount(verdict.n_obs)} {verdict.unit}"]
    if searched:
        reasons.append(f"{wording.plural(int(searched), 'segment')} were compared")
    if drivers and drivers[0].caveats:
        reasons.append(f"but {_lower(drivers[0].caveats[0].rstrip('.'))}")
    elif ruled_out:
        reasons.append(f"{wording.plural(len(ruled_out), 'other logged change')} were set aside")
    return ", ".join(reasons) + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
