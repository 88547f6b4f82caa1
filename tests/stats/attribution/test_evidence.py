"""Intervals of what was named for being large."""

import numpy as np
import pytest
from scipy import stats

from rcakit.stats.attribution.evidence import widths_after_selection


def test_far_effects_keep_usual_interval():
    """Twenty deviations with a hurdle of five: 1.96 to either side."""
    tail, hurdle = stats.norm.logsf(20.0), stats.norm.logsf(5.0)
    assert widths_after_selection(tail, hurdle) == pytest.approx((1.96, 1.96), abs=0.01)


def test_close_calls_reach_no_effect():
    """What only just passed may be nothing; upwards 1 / 1.05 = .952 of a normal lies below 1.668."""
    at_hurdle = stats.norm.logsf(5.0)
    inner, outer = widths_after_selection(at_hurdle, at_hurdle)
    assert (inner, outer) == pytest.approx((5.0, 1.668), abs=0.01)


@pytest.mark.parametrize("effect", [3.0, 4.5, 5.5, 6.5, 9.0])
def test_selected_effects_are_covered(effect):
    """Of all that passes a hurdle of four and a half, 95 % of intervals hold the effect, whatever its size."""
    hurdle = stats.norm.logsf(4.5)
    quantiles = (np.arange(400) + 0.5) / 400.0
    z = stats.truncnorm(4.5 - effect, np.inf, loc=effect).ppf(quantiles)
    widths = [widths_after_selection(stats.norm.logsf(seen), hurdle) for seen in z]
    held = [s - inner <= effect <= s + outer for s, (inner, outer) in zip(z, widths, strict=True)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.005)


def test_estimated_noise_reaches_further():
    """With 20 degrees of freedom 2.086 replaces 1.96, and no interval passes no effect."""
    tail, hurdle = stats.norm.logsf(20.0), stats.norm.logsf(5.0)
    assert widths_after_selection(tail, hurdle, degrees_of_freedom=20) == pytest.approx(
        (2.086, 2.086), abs=0.01
    )
    close = widths_after_selection(hurdle, hurdle, degrees_of_freedom=20, spread=1.25)
    assert close[0] == pytest.approx(4.0, abs=1e-6)
