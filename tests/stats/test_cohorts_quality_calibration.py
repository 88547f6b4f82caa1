"""Do charts, intervals and tests of cohorts and quality err as rarely as they promise?

The tables of the long runs are `benchmarks/results/calibration_*.md`; here the same simulations run
shorter.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def simulations(name: str) -> ModuleType:
    """Load a script of simulations, which is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failing(name: str, part: str, repeats: int) -> list[str]:
    """Return the rows of a part whose bar does not hold."""
    rows = getattr(simulations(name), part)(repeats, np.random.default_rng(20262))
    assert rows
    return [f"{what}: {value:.4f} ({bar})" for what, value, bar, holds in rows if not holds]


@pytest.mark.parametrize("part", ["laney", "seasonal", "rater_models", "audit_coverage"])
def test_quality_bars_hold_briefly(part):
    """A short simulation keeps the bars."""
    assert not failing("calibrate_quality", part, 60)


def test_weighting_is_doubly_robust_briefly():
    """A short simulation with one wrong model keeps bias and coverage."""
    assert not failing("calibrate_cohorts", "doubly_robust", 40)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        "laney",
        "seasonal",
        "agreement_coverage",
        "funnel_outliers",
        "rater_models",
        "audit_coverage",
        "capability_coverage",
        "shared_error_alarm",
    ],
)
def test_quality_bars_hold(part):
    """The long simulation keeps every bar of the quality room."""
    assert not failing("calibrate_quality", part, 400)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    ["doubly_robust", "raw_intervals", "adjusted_kinds", "waiting", "disparity_error"],
)
def test_cohort_bars_hold(part):
    """The long simulation keeps every bar of the cohorts room."""
    assert not failing("calibrate_cohorts", part, 600)
