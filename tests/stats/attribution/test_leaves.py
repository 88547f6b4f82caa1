"""Forecast of the total, weekday profiles, dispersion."""

import numpy as np
import pytest

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.leaves import dispersion_from_history, leaf_baseline, row_scale
from rcakit.stats.attribution.steadiness import without_bursts
from rcakit.stats.attribution.totals import forecast_total


def test_weekday_profile_is_followed():
    """A Sunday is forecast like Sundays."""
    weekday = np.arange(84) % 7
    totals = np.where(weekday == 6, 500.0, 1_000.0)
    forecast = forecast_total(totals, weekday=weekday, period_weekday=np.array([6]))
    assert forecast.mean == pytest.approx(500.0, rel=0.01)


def test_trend_is_continued():
    """Steady growth is expected to go on."""
    totals = 1_000.0 * np.exp(0.005 * np.arange(84))
    forecast = forecast_total(totals, weekday=np.arange(84) % 7, period_weekday=np.array([0]))
    assert forecast.has_trend
    assert forecast.mean == pytest.approx(1_000.0 * np.exp(0.005 * 84), rel=0.02)


def test_past_incident_does_not_lift():
    """Three days at ten times the usual level leave the forecast alone."""
    rng = np.random.default_rng(0)
    totals = rng.poisson(1_000.0, 84).astype(float)
    totals[30:33] *= 10.0
    forecast = forecast_total(totals, weekday=np.arange(84) % 7, period_weekday=np.array([0]))
    assert forecast.mean == pytest.approx(1_000.0, rel=0.03)


def test_empty_history_expects_nothing():
    """A history without rows gives expectation zero and no p-value below one."""
    forecast = forecast_total(np.zeros(30), weekday=np.arange(30) % 7, period_weekday=np.array([0]))
    assert forecast.mean < 1e-3
    assert forecast.pvalue(0.0) == 1.0


def test_expected_sums_to_forecast(reports):
    """Leaf expectations are shares of the forecast total."""
    codes, sizes, _, history = reports()
    baseline = leaf_baseline(history, codes=codes, sizes=sizes)
    assert baseline.expected.sum() == pytest.approx(baseline.total.mean)


def test_leaf_dispersion_is_recovered(reports):
    """Gamma leaf factors with squared variation 1/20 are measured as such."""
    codes, sizes, _, history = reports(mean=30.0)
    baseline = leaf_baseline(history, codes=codes, sizes=sizes)
    dispersion = dispersion_from_history(history, codes=codes, sizes=sizes, baseline=baseline)
    assert dispersion.leaf == pytest.approx(0.05, rel=0.15)
    assert max(by_value.max() for by_value in dispersion.segment) < 0.002


def test_row_scale_of_counts():
    """Rows of one have scale one, rows of mixed size the ratio of second to first moment."""
    history = History(
        np.zeros(2, int), np.arange(2), np.array([1.0, 9.0]), np.arange(2), np.arange(1)
    )
    assert row_scale(history, n_leaves=1) == (1.0, 1.0)
    mixed = History(
        *[getattr(history, f) for f in ("leaf", "day", "value", "weekday", "period_weekday")],
        None,
        np.array([1.0, 81.0]),
    )
    assert row_scale(mixed, n_leaves=1)[0] == pytest.approx(8.2)


def _sparse(counts):
    """A history of a leaf x day table, four weeks of it, and one day under study."""
    where, when = np.nonzero(counts)
    weekday = np.arange(counts.shape[1]) % 7
    value = counts[where, when].astype(float)
    return History(where, when, value, weekday, np.array([5]))


def test_clumps_of_rare_leaves_show():
    """Events that come four at a time have ratio four, and single ones one."""
    clumps = np.random.default_rng(0).poisson(0.02, (3_000, 28))
    assert row_scale(_sparse(4 * clumps), n_leaves=3_000) == pytest.approx((4.0, 4.0), rel=0.05)
    assert row_scale(_sparse(clumps), n_leaves=3_000) == pytest.approx((1.0, 1.0), abs=0.02)


def test_unlike_leaves_keep_their_own():
    """Steady and wobbly leaves are told apart where the history shows it."""
    rng = np.random.default_rng(1)
    spread = np.repeat([0.01, 1.0], 100)[:, None]
    history = _sparse(rng.poisson(20.0 * rng.gamma(1.0 / spread, spread, (200, 84))))
    codes, sizes = np.arange(200)[:, None], (200,)
    baseline = leaf_baseline(history, codes=codes, sizes=sizes)
    leaf = dispersion_from_history(history, codes=codes, sizes=sizes, baseline=baseline).leaf
    assert np.median(leaf[:100]) < 0.25
    assert np.median(leaf[100:]) == pytest.approx(1.0, rel=0.3)


def test_own_weekend_is_expected():
    """A value whose Saturdays are quiet is expected to be quiet on a Saturday, and that is no noise."""
    rng = np.random.default_rng(2)
    weekday = np.arange(84) % 7
    mean = np.where((np.arange(10) < 3)[:, None] & (weekday == 5), 20.0, 50.0)
    history = _sparse(rng.poisson(mean))
    codes, sizes = np.arange(10)[:, None], (10,)
    baseline = leaf_baseline(history, codes=codes, sizes=sizes)
    assert baseline.expected[:3] == pytest.approx(20.0, rel=0.12)
    noise = dispersion_from_history(history, codes=codes, sizes=sizes, baseline=baseline)
    assert noise.segment[0].max() < 0.005


def test_lost_days_are_no_level():
    """Two of four Saturdays without rows do not make Saturdays empty."""
    totals = np.full(28, 1_000.0)
    totals[[5, 12]] = 0.0
    weekday = np.arange(28) % 7
    forecast = forecast_total(totals, weekday=weekday, period_weekday=np.array([5]))
    assert forecast.mean == pytest.approx(1_000.0, rel=0.01)


def test_past_burst_sets_no_level():
    """One day that holds most of a leaf's baseline is brought down to its other days."""
    counts = np.full((3, 28), 2)
    counts[1, 10] = 200
    calm, n_bursts = without_bursts(_sparse(counts), n_leaves=3)
    assert n_bursts == 1
    assert calm.value.max() == pytest.approx(2.0)
