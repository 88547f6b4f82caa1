"""Do the intervals of experiments hold what they promise, at length?"""

import pytest

from benchmarks import experiments_calibration


@pytest.mark.slow
@pytest.mark.parametrize("section", list(experiments_calibration.SECTIONS))
def test_section_keeps_its_bars(section):
    """Every row of the calibration lies within its bar."""
    simulate, runs = experiments_calibration.SECTIONS[section]
    outside = [row for row in simulate(runs) if not row[3] <= row[2] <= row[4]]
    assert not outside


def test_guard_rails_fire_and_rest():
    """A few runs of each guard rail, on its scenario and on the clean twin."""
    outside = [row for row in experiments_calibration.guard_rails(3) if row[2] > 0.4 and row[4] < 1]
    silent = [row for row in experiments_calibration.guard_rails(3) if row[2] < 0.6 and row[3] > 0]
    assert not outside
    assert not silent
