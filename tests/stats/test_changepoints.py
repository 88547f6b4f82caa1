"""Exact segmentation of counts and means."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rcakit.stats.changepoints import (
    count_dispersion,
    normal_cost,
    pelt,
    poisson_cost,
    segment_counts,
    segment_means,
)


def brute_force(cost, n, penalty, min_size):
    """Least penalised cost over every admissible segmentation."""
    best = np.inf
    for m in range(n):
        for changes in itertools.combinations(range(1, n), m):
            bounds = (0, *changes, n)
            if min(np.diff(bounds)) < min_size:
                continue
            total = sum(cost(np.array([a]), b)[0] for a, b in itertools.pairwise(bounds))
            best = min(best, total + penalty * m)
    return best


@pytest.mark.parametrize("min_size", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_pelt_matches_brute_force(seed, min_size):
    """The segmentation found costs exactly the least of all segmentations."""
    rng = np.random.default_rng(seed)
    y = rng.poisson(np.repeat(rng.uniform(1, 12, 4), 3)).astype(float)
    for cost in (poisson_cost(y, rng.uniform(0.5, 2, 12)), normal_cost(y)):
        changes = pelt(cost, 12, penalty=2.5, min_size=min_size)
        bounds = (0, *changes.tolist(), 12)
        found = sum(cost(np.array([a]), b)[0] for a, b in itertools.pairwise(bounds))
        assert_allclose(found + 2.5 * len(changes), brute_force(cost, 12, 2.5, min_size))


def test_shift_is_dated():
    """A shift by half is dated to the day, give or take two."""
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.poisson(50, 100), rng.poisson(75, 80)])
    found = segment_counts(y)
    assert len(found.changes) == 1
    assert abs(found.changes[0] - 100) <= 2
    assert_allclose(found.level, [50, 75], rtol=0.06)


def test_spike_makes_no_segment():
    """Two days of five-fold counts are not a level."""
    y = np.random.default_rng(2).poisson(40, 150)
    y[70:72] *= 5
    assert len(segment_counts(y).changes) == 0


def test_exposure_explains_the_jump():
    """A jump of the denominator is no change of the rate."""
    e = np.repeat([100.0, 300.0], 80)
    y = np.random.default_rng(3).poisson(0.2 * e)
    assert len(segment_counts(y, e).changes) == 0
    assert len(segment_counts(y).changes) == 1


def test_missing_days_are_bridged():
    """Missing days neither hide nor make a change."""
    rng = np.random.default_rng(4)
    y = np.concatenate([rng.poisson(30, 60), rng.poisson(60, 60)]).astype(float)
    y[20:30] = np.nan
    assert_array_equal(segment_counts(y).changes, [60])


def test_means_are_segmented():
    """A jump of three deviations is found in measurements, and nothing else."""
    rng = np.random.default_rng(5)
    y = np.concatenate([rng.normal(0, 1, 60), rng.normal(3, 1, 60)])
    found = segment_means(y)
    assert_allclose(found.changes, [60], atol=2)
    assert_allclose(found.level, [0, 3], atol=0.5)


def test_gain_is_the_likelihood_ratio():
    """The gain of a change is what joining its neighbours would cost."""
    y = np.repeat([10.0, 20.0], 50)
    found = segment_counts(y)
    ratio = 2 * (500 * np.log(10 / 15) + 1000 * np.log(20 / 15)) / found.dispersion
    assert_allclose(found.gain, [ratio])


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_series_has_no_change(value):
    """Constant series, all zeros too, are one segment."""
    assert len(segment_counts(np.full(100, value)).changes) == 0
    assert len(segment_means(np.full(100, value)).changes) == 0


def test_dispersion_ignores_jumps():
    """Neighbour differences see the noise, not the shift."""
    rng = np.random.default_rng(6)
    y = np.concatenate(
        [rng.negative_binomial(30, 1 / 3, 400), rng.negative_binomial(90, 1 / 3, 400)]
    )
    assert_allclose(count_dispersion(y.astype(float), np.ones(800)), 3, rtol=0.25)


def test_steady_series_stay_whole():
    """Few of a hundred steady overdispersed series are cut."""
    rng = np.random.default_rng(7)
    y = rng.negative_binomial(10, 1 / 3, (100, 365))
    assert sum(len(segment_counts(row).changes) > 0 for row in y) <= 8
