"""Data sets that many tests look at, made once."""

import pytest

from rcakit.datasets import Dataset, make
from rcakit.datasets.catalogue import SCENARIOS


@pytest.fixture(
    scope="session",
    params=sorted(name for name, scenario in SCENARIOS.items() if "reports" in scenario.tables),
)
def story(request) -> Dataset:
    """Every scenario of user reports in turn, small."""
    return make(request.param)


@pytest.fixture(scope="session")
def bug() -> Dataset:
    """The planted report-button bug, small."""
    return make("app_release_report_bug")


@pytest.fixture(scope="session")
def quiet() -> Dataset:
    """The same days without a cause, small."""
    return make("quiet")
