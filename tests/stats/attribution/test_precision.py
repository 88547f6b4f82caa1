"""What a segment's own days and the rest of the period say about the size of its effect."""

import numpy as np
import pytest

from rcakit.stats.attribution.lattice import Lattice
from rcakit.stats.attribution.precision import clustered_variance, own_days

WEEKDAY = np.arange(70) % 7


def _own_days(seen, *, n_period_days=1):
    outside = np.full(len(seen), 1e6)
    return own_days(
        seen,
        outside,
        outside,
        per_event=1.0,
        squared=0.0,
        scale=1.0,
        weekday=WEEKDAY[: len(seen)],
        n_period_days=n_period_days,
    )


def test_plain_counts_keep_model(rng_counts):
    """Seventy Poisson days leave the model's variance about as it is, with 90 degrees of freedom."""
    days = _own_days(rng_counts(100.0, np.ones(70)))
    assert days.dispersion == pytest.approx(1.0, abs=0.3)
    assert days.degrees_of_freedom == 90


def test_wobbling_segment_is_noticed(rng_counts):
    """A segment whose level wobbles by 20 % has far more variance than counts of 100."""
    wobble = np.random.default_rng(1).lognormal(0.0, 0.2, 70)
    assert _own_days(rng_counts(100.0, wobble)).dispersion > 2.5


def test_own_weekend_is_no_wobble(rng_counts):
    """Half the events on Fridays and Saturdays is a rhythm, not noise."""
    weekend = np.where(np.isin(WEEKDAY, (4, 5)), 0.5, 1.0)
    assert _own_days(rng_counts(100.0, weekend)).dispersion < 1.4


def test_one_burst_is_bounded(rng_counts):
    """A day with ten times the usual counts for six deviations and no more."""
    seen = rng_counts(100.0, np.ones(70))
    seen[10] = 1000.0
    assert _own_days(seen).dispersion < 2.0


def test_few_blocks_say_nothing(rng_counts):
    """Seventy days hold three blocks of 21: the model stands, with its own 20 degrees of freedom."""
    days = _own_days(rng_counts(100.0, np.ones(70)), n_period_days=21)
    assert (days.dispersion, days.degrees_of_freedom) == (1.0, 20.0)


def test_unnamed_cause_widens_the_rest():
    """One value of twenty that doubled pulls the shared factor by 5 %; the deviation is at least that."""
    seen = np.where(np.repeat(np.arange(21), 3) == 5, 2.0, 1.0) * 1e4
    assert 0.045 < np.sqrt(_variance_around(seen)) < 0.06


def test_chance_does_not_widen_the_rest(rng_counts):
    """Poisson counts seldom disagree: in at least eight tables of ten the model stands."""
    tables = [rng_counts(1e4, np.ones(63)) for _ in range(50)]
    assert np.mean([_variance_around(seen) == 1.0 / 6e5 for seen in tables]) >= 0.8


def _variance_around(seen):
    """Relative variance around the first of 21 values, each in 3 leaves that were to hold 10,000."""
    codes = np.column_stack([np.repeat(np.arange(21), 3), np.tile(np.arange(3), 21)])
    columns = np.stack([seen, np.full(63, 1e4)])
    return clustered_variance(
        Lattice(codes, (21, 3), columns, max_depth=2),
        columns,
        np.flatnonzero(codes[:, 0] == 0),
        factor=seen[3:].mean() / 1e4,
        seen=0,
        expected=lambda sums: sums[1],
        modelled=1.0 / 6e5,
    )


@pytest.fixture
def rng_counts():
    """Draw Poisson counts of a mean times a profile."""
    rng = np.random.default_rng(7)
    return lambda mean, profile: rng.poisson(mean * profile).astype(float)
