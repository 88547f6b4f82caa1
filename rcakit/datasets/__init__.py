"""What does a Trust & Safety table look like when we know what happened to it?

Made-up tables (user reports, their denominators, a change log, accounts) with planted causes, for samples, tests,
documentation and benchmarks. Everything loads on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rcakit.datasets.dataset import Dataset
    from rcakit.datasets.generator import make, scenarios
    from rcakit.datasets.samples import write_samples

__all__ = ["Dataset", "make", "scenarios", "write_samples"]

_HOMES = {
    "Dataset": "dataset",
    "make": "generator",
    "scenarios": "generator",
    "write_samples": "samples",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
