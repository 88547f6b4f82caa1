"""Reporting delays: how complete recent days are, and what they will come to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rcakit.stats.delays import delay_triangle, estimate_completeness, nowcast

SHARE = np.array([0.35, 0.6, 0.75, 0.85, 0.92, 0.96, 0.99, 1.0])


def line_list(mean=60, n_days=90, seed=1, wobble=0.0):
    """Events with delays of a known law; `wobble` makes days differ in their delays."""
    rng = np.random.default_rng(seed)
    law = np.diff(np.append(0, SHARE))
    events, delays = [], []
    for day in range(n_days):
        chances = rng.dirichlet(law / wobble) if wobble else law
        each = rng.multinomial(rng.poisson(mean), chances)
        delays.append(np.repeat(np.arange(len(law)), each))
        events.append(np.full(each.sum(), day))
    event = np.concatenate(events)
    return event, event + np.concatenate(delays)


def known(event, arrival, as_of):
    """The triangle as it stood on a day."""
    return delay_triangle(event, arrival, first=0, as_of=as_of, max_delay=7)


def test_curve_matches_the_law():
    """Shares are recovered within three standard errors."""
    found = estimate_completeness(known(*line_list(), 89))
    assert (np.abs(found.share - SHARE) <= 3 * found.share_se + 1e-12).all()


def test_triangle_hides_the_future():
    """What has not arrived by the day is unknown, not zero."""
    triangle = known(*line_list(), as_of=40)
    assert triangle.shape == (41, 8)
    assert np.isnan(triangle[-1, 1:]).all()
    assert np.isfinite(triangle[:34]).all()


def test_complete_days_are_certain():
    """Days older than the longest delay are what they are."""
    found = nowcast([50.0, 50.0], [7, 30], estimate_completeness(known(*line_list(), 89)))
    assert_array_equal(found.lower, [50, 50])
    assert_array_equal(found.upper, [50, 50])


def test_nowcast_undoes_the_drop():
    """The last days look low as they stand and level once scaled up."""
    event, arrival = line_list(mean=300)
    triangle = known(event, arrival, 80)
    seen = np.nansum(triangle[-3:], axis=1)
    found = nowcast(seen, [2, 1, 0], estimate_completeness(triangle))
    assert seen[-1] < 150
    assert_allclose(found.expected, 300, rtol=0.2)


def test_changed_delay_is_followed():
    """A short memory sees that reports have become slower."""
    event, arrival = line_list(mean=200)
    slower = np.where(event >= 60, arrival + 1, arrival)
    triangle = known(event, slower, 89)
    short, long = (estimate_completeness(triangle, recent_days=d).share[1] for d in (14, None))
    assert short < 0.45 < long


def test_uneven_days_widen_intervals():
    """Days that differ in their delays show as dispersion and widen intervals."""
    even = estimate_completeness(known(*line_list(), 89))
    uneven = estimate_completeness(known(*line_list(wobble=0.05), 89))
    assert even.dispersion < 1.3 < uneven.dispersion
    assert np.ptp([nowcast([40], [1], c).upper[0] for c in (even, uneven)]) > 5


# Whole counts make intervals of sparse days hold more than they promise.
@pytest.mark.parametrize(("mean", "most"), [(8, 0.995), (60, 0.98), (600, 0.98)])
@pytest.mark.parametrize("wobble", [0.0, 0.03])
def test_intervals_cover_the_truth(mean, most, wobble):
    """Nominal 95 % intervals hold the final count in 90 to 98 % of incomplete days."""
    hits = []
    for seed in range(60):
        event, arrival = line_list(mean=mean, seed=100 + seed, wobble=wobble)
        triangle = known(event, arrival, 80)
        ages = np.arange(6)
        found = nowcast(
            np.nansum(triangle[80 - ages], axis=1), ages, estimate_completeness(triangle)
        )
        final = np.bincount(event, minlength=90)[80 - ages]
        hits.append((found.lower <= final) & (final <= found.upper))
    assert 0.90 <= np.mean(hits) <= most, np.mean(hits)
