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
        Step(action, _OWNERS[asking[action].kind], _signal(asking[action]))
        if action in asking
        else Step(action, "Programme manager", f"The finding is gone in {_NEXT_RUN}.")
        for action in actions
    )


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
    target = target_of(item)
    if target:
        return f"{_capital(target)} in {_NEXT_RUN}."
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
