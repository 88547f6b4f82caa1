"""Can every playbook that ships be run as it stands?"""

from pathlib import Path

import pytest

from rcakit import playbook

ROOT = Path(__file__).parents[2]
SHIPPED = [item for item in playbook.available() if item.path.is_relative_to(ROOT)]


def test_all_shipped_are_found():
    """The list is not empty, so that the next test can fail."""
    assert {item.name for item in SHIPPED} >= {"abuse_rings", "metric_spike", "quality_drop"}


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda item: item.name)
def test_default_source_is_shipped(shipped):
    """Without parameters a playbook reads a sample that ships with it."""
    source = next(item.default for item in shipped.parameters if item.name == "source")
    assert (ROOT / source).is_file()
