"""False alarms of the streaming filter on clean simulated series."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rcakit.stats.filters import FilterOptions, filter_counts
from rcakit.stats.negative_binomial import randomised_pvalues

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from simulated_counts import WORLDS, World, replace, simulate


def clean(world: World, n_series: int, seed: int):
    """Counts of a world without planted events, and the filter's view of them."""
    quiet = replace(world, n_series=n_series, spike_share=0.0, shift_share=0.0)
    counts = simulate(quiet, seed).counts
    return counts, filter_counts(counts)


def test_small_pvalues_are_rare_enough():
    """One in a hundred upper p-values is below .01, give or take."""
    _, found = clean(WORLDS["standard"], 150, seed=31)
    assert 0.006 < np.nanmean(found.pvalue_upper[0, :, 365:] < 0.01) < 0.014


WORLD_NAMES = ["standard", "busy", "sparse", "missing days", "growth"]


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLD_NAMES)
def test_alarm_rates_match_nominal(world):
    """P(p < .01) and P(p < .001) of single days are within 30 % of nominal."""
    _, found = clean(WORLDS[world], 1500, seed=32)
    for alpha in (0.01, 0.001):
        assert 0.7 * alpha < np.nanmean(found.pvalue_upper[0, :, 365:] < alpha) < 1.3 * alpha


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLD_NAMES)
def test_scan_rates_match_nominal(world):
    """P(p < .01) and P(p < .001) of two and five days are within 30 % of nominal."""
    _, found = clean(WORLDS[world], 1500, seed=32)
    for p in found.pvalue_upper[1:, :, 365:]:
        for alpha in (0.01, 0.001):
            assert 0.7 * alpha < np.nanmean(p < alpha) < 1.3 * alpha


@pytest.mark.slow
def test_randomised_pvalues_are_uniform():
    """Randomised p-values of the second year spread evenly: no decile is off by 8 %."""
    counts, found = clean(WORLDS["standard"], 600, seed=33)
    cells = (a[:, 365:] for a in (counts, found.expected, found.variance))
    p = randomised_pvalues(*cells, rng=1)
    share = np.histogram(p, bins=10, range=(0, 1))[0] / p.size
    assert np.abs(share * 10 - 1).max() < 0.08


def test_short_history_is_not_noisy():
    """In the first month after the shortest history false alarms stay below twice nominal."""
    quiet = World(n_series=2000, n_days=42, spike_share=0.0, shift_share=0.0)
    p = filter_counts(simulate(quiet, 34).counts, options=FilterOptions()).pvalue_upper[0, :, 14:]
    assert np.nanmean(p < 0.01) < 0.02
    assert stats.kstest(p[np.isfinite(p)], "uniform").statistic < 0.08
