"""rcakit: from "reports jumped on Tuesday" to a page that a program manager can act on.

The public names, loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcakit import (
        cohorts,
        datasets,
        drivers,
        errors,
        experiments,
        graphs,
        quality,
        report,
        sources,
        spikes,
        testing,
    )
    from rcakit.findings import Finding
    from rcakit.redaction import secret
    from rcakit.sources import read

__version__ = "0.1.0"

_ROOMS = (
    "cohorts",
    "datasets",
    "drivers",
    "errors",
    "experiments",
    "graphs",
    "quality",
    "report",
    "sources",
    "spikes",
    "testing",
)
_NAMES = {
    "Finding": "rcakit.findings",
    "read": "rcakit.sources",
    "secret": "rcakit.redaction",
}

__all__ = [
    "Finding",
    "__version__",
    "cohorts",
    "datasets",
    "drivers",
    "errors",
    "experiments",
    "graphs",
    "quality",
    "read",
    "report",
    "secret",
    "sources",
    "spikes",
    "testing",
]


def __getattr__(name: str) -> Any:
    """Load a room or a name when it is first asked for."""
    if name in _ROOMS:
        return import_module(f"rcakit.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'rcakit' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
