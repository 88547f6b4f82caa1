"""The budget: is a data set there before an analyst looks away?"""

import time

import pytest

from rcakit.datasets import make


@pytest.mark.slow
@pytest.mark.parametrize("size, limit_seconds", [("small", 1), ("medium", 15)])
def test_sizes_keep_their_budget(size, limit_seconds):
    """A size is made within its processor time."""
    started = time.process_time()
    make("app_release_report_bug", size=size)
    assert time.process_time() - started < limit_seconds
