"""Did our change do it?

Three designs, one answer form: a randomised split (`ab_test`), everything at once on a date
(`pre_post`), a staged roll-out (`rollout`). `choose_design` finds the strongest that the rows
support, `evaluate` runs it and concludes, `adoption` says who took part, and `power` how much data
each design would need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcakit.experiments.checks import Check
    from rcakit.experiments.choosing import DesignChoice, DesignOption, choose_design
    from rcakit.experiments.conclusions import Evaluation, Guardrail
    from rcakit.experiments.evaluation import evaluate
    from rcakit.experiments.interruption import pre_post
    from rcakit.experiments.planning import power
    from rcakit.experiments.randomised import ab_test
    from rcakit.experiments.results import ExperimentResult, PowerResult, RolloutResult
    from rcakit.experiments.staggered import rollout
    from rcakit.experiments.uptake import AdoptionResult, adoption

__all__ = [
    "AdoptionResult",
    "Check",
    "DesignChoice",
    "DesignOption",
    "Evaluation",
    "ExperimentResult",
    "Guardrail",
    "PowerResult",
    "RolloutResult",
    "ab_test",
    "adoption",
    "choose_design",
    "evaluate",
    "power",
    "pre_post",
    "rollout",
]

_HOMES = {
    "AdoptionResult": "uptake",
    "Check": "checks",
    "DesignChoice": "choosing",
    "DesignOption": "choosing",
    "Evaluation": "conclusions",
    "Guardrail": "conclusions",
    "ExperimentResult": "results",
    "PowerResult": "results",
    "RolloutResult": "results",
    "ab_test": "randomised",
    "adoption": "uptake",
    "choose_design": "choosing",
    "evaluate": "evaluation",
    "power": "planning",
    "pre_post": "interruption",
    "rollout": "staggered",
}


def __getattr__(name: str) -> Any:
    """Load a design when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"rcakit.experiments.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rcakit.experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
