"""What to do: each first step with the role that owns it, and how we will know that it worked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcakit import wording
from rcakit.findings import Finding, Kind

__all__ = ["Step", "baseline_of", "plan", "target_of"]

_OWNERS: dict[Kind, str] = {
    "matched_change": "Owner of the change",
    "driver": "Operations lead of the segment",
    "effect": "Programme manager",
    "difference": "Policy and operations lead",
    "concentration": "Investigations lead",
    "measurement": "Quality lead",
    "verdict": "Programme manager",
    "change": "Programme manager",
    "data_quality": "Owner of the data",
    "ruled_out": "Programme manager",
}
_NEXT_RUN = "the next run of this playbook"
# Verdicts that are no change of a number against what was expected, and how we will know then.
_VERDICT_SIGNALS = {
    "improved": f"The effect is on the same side of zero in {_NEXT_RUN}, and the guardrails hold.",
    "worsened": f"The harm is gone in {_NEXT_RUN}, after the change was undone or mended.",
    "mixed": f"What got worse is as before in {_NEXT_RUN}, and what got better stays so.",
    "faded": f"The effect by time since the start no longer falls in {_NEXT_RUN}.",
    "no_clear_effect": f"The interval is narrower in {_NEXT_RUN}, on more data.",
    "cannot_tell": f"What was missing is there in {_NEXT_RUN}, and it gives a verdict.",
    "rings_found": "Every ring was looked at by people, and what they decided is written down.",
    "no_rings": f"There is still none in {_NEXT_RUN}.",
    "gap_persists": f"The gap at equal mix is smaller in {_NEXT_RUN}.",
    "reviewers": f"Audited accuracy of the place named is back at its old level in {_NEXT_RUN}.",
    "guideline": f"Two ratings of the same case agree more often in {_NEXT_RUN}.",
    "shared_error": f"Audited accuracy of the place named is back at its old level in {_NEXT_RUN}.",
    "auditors": f"The audit teams find the same share of errors in {_NEXT_RUN}.",
    "mix": f"Accuracy at equal mix is unmoved in {_NEXT_RUN}.",
    "no_drop": f"There is still none in {_NEXT_RUN}.",
}
_VERDICT_OWNERS = {
    "rings_found": "Investigations lead",
    "no_rings": "Investigations lead",
    "reviewers": "Quality lead",
    "guideline": "Policy lead",
    "shared_error": "Quality lead",
    "auditors": "Quality lead",
    "mix": "Quality lead",
    "no_drop": "Quality lead",
}


# Verdicts on a number that moved away from what was expected.
_OF_A_CHANGE = frozenset({"localised", "broad", "mix", "no_evidence"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes
    ----------
    action
        What to do first.
    owner
        Role that owns it; a proposal.
    signal
        How we will know.
    """

    action: str
    owner: str
    signal: str


def plan(findings: Sequence[Finding], actions: Sequence[str]) -> tuple[Step, ...]:
    """Give each action its owner and its signal, from the finding that asks for it.

    Parameters
    ----------
    findings
        All findings of a run.
    actions
        Sentences, as `rcakit.report.actions` orders them.
    """
    asking = {step: item for item in reversed(findings) for step in item.next_steps}
    return tuple(
        Step(action, _owner(asking[action]), _signal(asking[action]))
        if action in asking
        else Step(action, "Programme manager", f"The finding is gone in {_NEXT_RUN}.")
        for action in actions
    )


def _owner(item: Finding) -> str:
    return _VERDICT_OWNERS.get(item.verdict or "", _OWNERS[item.kind])


def _signal(item: Finding) -> str:
    where = f" in {wording.segment(item.segment)}" if item.segment else ""
    unit = wording.visible(item.unit)
    if item.kind == "data_quality":
        return f"The check passes in {_NEXT_RUN}."
    if item.kind == "matched_change":
        return (
            f"{_capital(unit)} return to the expected level after the change is undone or mended."
        )
    if item.kind == "effect":
        return "The guardrails hold, and the interval stays on the same side of zero."
    if item.kind in {"measurement", "concentration", "difference"}:
        return f"The interval of {unit}{where} in {_NEXT_RUN} lies beyond today's."
    if item.kind == "verdict" and item.verdict in _VERDICT_SIGNALS:
        return _VERDICT_SIGNALS[item.verdict]
    target = target_of(item)
    if target:
        return f"{_capital(target)} in {_NEXT_RUN}."
    if item.kind == "verdict" and item.verdict not in _OF_A_CHANGE:
        return f"The answer is the same in {_NEXT_RUN}."
    return f"{_capital(unit)}{where} are within the expected range in {_NEXT_RUN}."


def baseline_of(item: Finding) -> str:
    """Say what was to be expected, when the finding knows it."""
    expected = _number(item.evidence, "expected", "reference_mean", "control", "center")
    if expected is None:
        return ""
    return f"{wording.amount(_rounded(expected))} {wording.visible(item.unit)}"


def target_of(item: Finding) -> str:
    """Say the level to return to, when the finding knows it."""
    expected = _number(item.evidence, "expected")
    if expected is None or item.estimate == 0:
        return ""
    bound = "at most" if item.estimate > 0 else "at least"
    where = f" in {wording.segment(item.segment)}" if item.segment else ""
    count = wording.amount(_rounded(expected))
    return f"{bound} about {count} {wording.visible(item.unit)}{where} over as many days"


def _number(evidence: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = evidence.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _rounded(number: float) -> float:
    return round(number) if abs(number) >= 10 else number


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
