"""Did our change do it?

Four designs, one answer form: a randomised split (`ab_test`), everything at once on a date
(`pre_post`), a staged roll-out (`rollout`), and how much data each would need (`power`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcakit.experiments.checks import Check
    from rcakit.experiments.interruption import pre_post
    from rcakit.experiments.planning import power
    from rcakit.experiments.randomised import ab_test
    from rcakit.experiments.results import ExperimentResult, PowerResult, RolloutResult
    from rcakit.experiments.staggered import rollout

__all__ = [
    "Check",
    "ExperimentResult",
    "PowerResult",
    "RolloutResult",
    "ab_test",
    "power",
    "pre_post",
    "rollout",
]

_HOMES = {
    "Check": "checks",
    "ExperimentResult": "results",
    "PowerResult": "results",
    "RolloutResult": "results",
    "ab_test": "randomised",
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
