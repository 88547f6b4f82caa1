"""False alarms and detection of the regression in Noufaily's scenarios."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from noufaily_scenarios import RATES, detection, rolling_pvalues, simulate


def test_one_repetition_detects_outbreaks():
    """On one repetition the two-week scan finds a good part of the outbreaks."""
    data = simulate(1, seed=7)
    p = rolling_pvalues(data.counts)[1]
    assert detection(p, data.planted, (0.02,))[0] > 0.4


@pytest.mark.slow
def test_noufaily_bars_are_cleared():
    """Detection at equal false positive rates beats the published configuration's."""
    data = simulate(40, seed=8)
    p = rolling_pvalues(data.counts)
    assert (np.array(detection(p[1], data.planted, RATES)) > [0.431, 0.509, 0.605]).all()
    for alpha in RATES:
        assert 0.7 * alpha < (p[0][~data.planted] < alpha).mean() < 1.3 * alpha
