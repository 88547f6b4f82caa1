"""The streaming filter: what it expects, what it flags, and that it can stop and go on."""

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rcakit.stats.filters import FilterOptions, FilterState, filter_counts, rolling_sum

WEEK = np.array([1.2, 1.1, 1.0, 1.0, 1.1, 0.8, 0.8])


def poisson_series(mean, n_days=200, n_series=4, seed=5):
    """Weekly patterned Poisson counts."""
    rng = np.random.default_rng(seed)
    return rng.poisson(mean * WEEK[np.arange(n_days) % 7], size=(n_series, n_days)).astype(float)


def test_expectation_learns_the_week():
    """After half a year expectations are close to the truth on each weekday."""
    found = filter_counts(poisson_series(400, n_series=30))
    truth = 400 * WEEK[np.arange(180, 200) % 7]
    assert_allclose(found.expected[:, 180:].mean(axis=0), truth, rtol=0.03)


@pytest.mark.parametrize("split", [30, 100, 199])
def test_resumed_run_is_identical(split):
    """Stopping, saving, loading and going on gives the same bits as one run."""
    y = poisson_series(3, n_series=5)
    y[1, 60:70] = np.nan
    whole = filter_counts(y)
    first = filter_counts(y[:, :split])
    file = io.BytesIO()
    np.savez(file, **first.state.to_arrays())
    file.seek(0)
    second = filter_counts(y[:, split:], state=FilterState.from_arrays(np.load(file)))
    for name in ("expected", "variance", "pvalue_upper", "pvalue_lower", "level_shift"):
        assert_array_equal(getattr(second, name), getattr(whole, name)[..., split:])


def test_series_do_not_touch():
    """A series gets the same numbers alone as among others."""
    y = poisson_series(20)
    alone = filter_counts(y[2]).pvalue_upper[:, 0]
    assert_array_equal(alone, filter_counts(y).pvalue_upper[:, 2])


def test_spike_is_flagged_once():
    """A tripled day is highly improbable; the day after is not."""
    y = poisson_series(50, n_series=1)
    y[0, 150] *= 3
    p = filter_counts(y).pvalue_upper[0, 0]
    assert p[150] < 1e-10
    assert p[151] > 1e-3


def test_drop_is_flagged_below():
    """A halved day is improbable on the lower side only."""
    y = poisson_series(100, n_series=1)
    y[0, 150] //= 2
    found = filter_counts(y)
    assert found.pvalue_lower[0, 0, 150] < 1e-4
    assert found.pvalue_upper[0, 0, 150] > 0.99


@pytest.mark.parametrize("ratio", [0.4, 3.0])
def test_shift_becomes_new_level(ratio):
    """A lasting change is marked with its sign within ten days and then expected."""
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.poisson(80, 120), rng.poisson(80 * ratio, 80)]).astype(float)
    found = filter_counts(y)
    marks = np.flatnonzero(found.level_shift[0, 120:131]) + 120
    assert found.level_shift[0, marks[0]] == np.sign(ratio - 1)
    assert_allclose(found.expected[0, 140:].mean(), 80 * ratio, rtol=0.1)


def test_exposure_explains_a_rise():
    """Counts that follow their denominators are no surprise."""
    rng = np.random.default_rng(2)
    exposure = np.where(np.arange(150) < 120, 1000.0, 4000.0)
    found = filter_counts(rng.poisson(0.05 * exposure), exposure)
    assert found.pvalue_upper[0, 0, 120:].min() > 1e-4


def test_missing_days_have_no_pvalue():
    """Missing days get nan and do not move the level."""
    y = poisson_series(60, n_series=1)
    y[0, 100:110] = np.nan
    found = filter_counts(y)
    assert np.isnan(found.pvalue_upper[:, 0, 100:110]).all()
    assert_allclose(found.level[0, 110], found.level[0, 100], rtol=1e-3)


def test_zero_is_not_missing():
    """An outage reported as zeros is an improbable drop."""
    y = poisson_series(60, n_series=1)
    y[0, 150] = 0
    assert filter_counts(y).pvalue_lower[0, 0, 150] < 1e-10


@pytest.mark.parametrize("value", [0.0, 7.0, 1e6])
def test_constant_series_is_quiet(value):
    """A series that never changes raises nothing and keeps finite numbers."""
    found = filter_counts(np.full((1, 120), value))
    assert np.nanmin(found.pvalue_upper) > 0.001
    assert np.isfinite(found.expected).all()


def test_first_event_after_silence():
    """After months of zeros one event is no alarm, five on a day are."""
    y = np.zeros((2, 150))
    y[0, 140], y[1, 140] = 1, 5
    p = filter_counts(y).pvalue_upper[0, :, 140]
    assert p[0] > 1e-3
    assert p[1] < 1e-6


def test_late_start_is_learned():
    """A series that begins on day 100 gets p-values once it has a history."""
    y = poisson_series(30, n_series=1)
    y[0, :100] = np.nan
    found = filter_counts(y)
    assert np.isnan(found.pvalue_upper[0, 0, 113])
    assert np.isfinite(found.pvalue_upper[0, 0, 114:]).all()
    assert_allclose(found.expected[0, 150:].mean(), 30, rtol=0.1)


def test_short_series_get_pvalues():
    """Twenty-eight days are enough for p-values in the last two weeks."""
    y = poisson_series(30, n_days=28, n_series=1)
    y[0, 27] = 120
    found = filter_counts(y)
    assert found.pvalue_upper[0, 0, 27] < 1e-6
    assert np.isfinite(found.pvalue_upper[0, 0, 14:]).all()


def test_hourly_profile_is_learned():
    """Hours of the day and of the week are told apart."""
    hours = np.arange(24 * 7 * 8)
    mean = 40 * (1 + 0.6 * np.sin(2 * np.pi * hours / 24)) * WEEK[hours // 24 % 7]
    found = filter_counts(np.random.default_rng(3).poisson(mean), period=(24, 168))
    late = slice(24 * 7 * 6, None)
    assert np.abs(np.log(found.expected[0, late] / mean[late])).mean() < 0.08


def test_month_days_are_learned():
    """A surge on the first of each month is expected after some months."""
    day = np.arange(480) % 30
    mean = np.where(day == 0, 180.0, 60.0)
    y = np.random.default_rng(4).poisson(mean)
    found = filter_counts(y, period=7, phases=[day])
    assert_allclose(found.expected[0, 450], 180, rtol=0.2)
    assert_allclose(found.expected[0, 451:480].mean(), 60, rtol=0.1)


def test_windows_find_slow_rises():
    """A rise of one and a half deviations for five days shows in the longest window."""
    y = poisson_series(100, n_series=1)
    y[0, 150:155] += 20
    p = filter_counts(y).pvalue_upper[:, 0]
    assert p[-1, 154] < 0.002
    assert p[-1, 154] < p[0, 150:155].min()


def test_memory_is_an_option():
    """A shorter memory follows growth more closely."""
    mean = 100 * np.exp(0.01 * np.arange(200))
    y = np.random.default_rng(6).poisson(mean)
    quick = filter_counts(y, options=FilterOptions(discounts=(0.7,)))
    slow = filter_counts(y, options=FilterOptions(discounts=(0.99,), shift_steps=10_000))
    assert abs(quick.expected[0, -1] - mean[-1]) < abs(slow.expected[0, -1] - mean[-1])


def test_rolling_sum_matches_convolution():
    """Sums by doubling equal sums by convolution for every width."""
    x = np.arange(20.0) ** 2
    for width in range(1, 9):
        assert_allclose(rolling_sum(x, width), np.convolve(x, np.ones(width), "valid"))
