"""Robust quasi-Poisson regression of many series."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rcakit.stats.negative_binomial import upper_tail
from rcakit.stats.regression import fit_counts, forecast_counts, seasonal_design

WEEKS = np.arange(260)


def wavy(base=3.0, n_series=6, seed=1, extra=2):
    """Seasonal Poisson counts and their design, `extra` weeks beyond the baseline."""
    steps = np.arange(len(WEEKS) + extra)
    mean = np.exp(base + 0.5 * np.cos(2 * np.pi * steps / 52) + 0.002 * steps)
    counts = np.random.default_rng(seed).poisson(mean, size=(n_series, len(steps)))
    return counts.astype(float), mean, seasonal_design(steps, period=52)


def test_plain_fit_matches_statsmodels():
    """Without weights the coefficients and errors are those of a Poisson GLM."""
    sm = pytest.importorskip("statsmodels.api")
    y, _, x = wavy(n_series=1)
    ours = fit_counts(y, x, n_reweightings=0)
    glm = sm.GLM(y[0], x, family=sm.families.Poisson()).fit(scale="X2")
    assert_allclose(ours.coefficients[0], glm.params, atol=1e-4)
    if ours.dispersion[0] > 1:
        assert_allclose(ours.dispersion[0], glm.scale, rtol=1e-4)


def test_forecast_follows_the_season():
    """The next weeks' expectations are within five percent of the truth on average."""
    y, mean, x = wavy(n_series=40)
    fit = fit_counts(y[:, :-2], x[:-2])
    new = forecast_counts(fit, y[:, -2:], x[-2:])
    assert_allclose(new.expected.mean(axis=0), mean[-2:], rtol=0.05)


def test_past_outbreak_loses_weight():
    """An outbreak in the baseline barely moves the expectation."""
    y, mean, x = wavy(n_series=1)
    y[0, 205:209] *= 5
    robust = fit_counts(y, x)
    plain = fit_counts(y, x, n_reweightings=0)
    gap = [abs(np.log(f.fitted[0, 205:209] / mean[205:209])).mean() for f in (robust, plain)]
    assert gap[0] < gap[1] / 2
    assert robust.weights[0, 205:209].max() < 0.3


def test_two_week_window_is_exact():
    """With a known mean the two-week p-value is that of the summed law."""
    y, _, x = wavy()
    fit = fit_counts(y[:, :-2], x[:-2])
    new = forecast_counts(fit, y[:, -2:], x[-2:])
    gradient = (new.expected[:, :, None] * x[-2:]).sum(axis=1)
    error = np.einsum("np,npq,nq->n", gradient, fit.covariance, gradient)
    total = new.expected.sum(axis=1)
    expected = upper_tail(y[:, -2:].sum(axis=1), total, fit.dispersion * total + error)
    assert_allclose(new.pvalue_upper[1, :, 1], expected)


def test_exposure_scales_the_mean():
    """Doubling exposure and its counts' expectation leaves the coefficients alone."""
    y, _, x = wavy()
    once = fit_counts(y, x, exposure=np.full(y.shape, 2.0))
    assert_allclose(
        once.coefficients[:, 0], fit_counts(y, x).coefficients[:, 0] - np.log(2), atol=1e-3
    )


def test_missing_weeks_are_skipped():
    """Missing weeks weigh nothing and new missing weeks have no p-value."""
    y, _, x = wavy()
    y[:, 50:60] = np.nan
    y[0, -1] = np.nan
    fit = fit_counts(y[:, :-2], x[:-2])
    new = forecast_counts(fit, y[:, -2:], x[-2:])
    assert (fit.weights[:, 50:60] == 0).all()
    assert np.isnan(new.pvalue_upper[0, 0, 1])
    assert np.isfinite(new.pvalue_upper[0, 1:, 1]).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 500.0])
def test_constant_series_is_quiet(value):
    """Constant series, all zeros too, fit and raise nothing."""
    y = np.full((1, 106), value)
    x = seasonal_design(np.arange(106), period=52)
    new = forecast_counts(fit_counts(y[:, :-2], x[:-2]), y[:, -2:], x[-2:])
    assert np.nanmin(new.pvalue_upper) > 0.3


def test_series_do_not_touch():
    """A series fits the same alone as among others."""
    y, _, x = wavy()
    assert_allclose(
        fit_counts(y[3:4], x).coefficients[0], fit_counts(y, x).coefficients[3], atol=1e-5
    )
