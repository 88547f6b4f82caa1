"""Is the law chosen from the data, and does each keep quiet where it must?"""

import numpy as np
import polars as pl
import pytest

from rcakit.errors import ParameterError
from rcakit.spikes import detect


def test_rows_are_counts(daily):
    """Rows without a value are counts."""
    assert detect(daily([1] * 40), time="day").family == "count"


def test_share_is_a_rate(daily):
    """Whole values within their exposure are shares of it, and a change of the share is found."""
    rng = np.random.default_rng(0)
    trials = rng.poisson(500, 150)
    hits = rng.binomial(trials, 0.3)
    hits[120:123] = (trials[120:123] * 0.45).astype(int)
    table = daily(hits, views=trials)
    result = detect(table, time="day", value="n", exposure="views")
    assert result.family == "rate"
    assert [item.kind for item in result.incidents] == ["spike"]


def test_rate_ignores_its_volume(daily):
    """Twice the views with the same share is no incident."""
    rng = np.random.default_rng(1)
    trials = rng.poisson(500, 150)
    trials[120:123] *= 2
    table = daily(rng.binomial(trials, 0.3), views=trials)
    assert not detect(table, time="day", value="n", exposure="views").incidents


def test_large_row_is_no_incident():
    """One row of three hundred times the usual size, where sizes vary widely, raises no alarm."""
    rng = np.random.default_rng(4)
    day = np.repeat(np.arange(120), rng.poisson(80, 120))
    size = rng.lognormal(3, 1, len(day))
    size[np.flatnonzero(day == 100)[0]] = 9_000
    table = pl.DataFrame({"day": day, "size": size}).with_columns(
        day=pl.date(2025, 1, 6) + pl.duration(days=pl.col("day"))
    )
    result = detect(table, time="day", value="size")
    assert result.family == "amount"
    assert not result.incidents
    assert any("set aside" in text for text in result.caveats)


def test_many_rows_are_an_incident():
    """Twice as many rows of usual sizes are found."""
    rng = np.random.default_rng(5)
    usual = np.full(120, 80)
    usual[100:104] = 180
    day = np.repeat(np.arange(120), rng.poisson(usual))
    table = pl.DataFrame({"day": day, "size": rng.lognormal(3, 1, len(day))}).with_columns(
        day=pl.date(2025, 1, 6) + pl.duration(days=pl.col("day"))
    )
    assert detect(table, time="day", value="size").incidents


def test_backlog_is_a_gauge(daily):
    """A level that hangs together from day to day is a gauge, and its jump is found."""
    backlog = 800 + np.cumsum(np.random.default_rng(6).normal(0, 6, 200))
    backlog[150:] += 120
    result = detect(daily(backlog), time="day", value="n")
    assert result.family == "gauge"
    assert result.incidents[0].started_at <= result.days[150] <= result.incidents[0].last_day
    assert result.incidents[0].peak_at == result.days[150]


def test_backlog_may_be_negative(daily):
    """A gauge below zero is followed."""
    values = np.cumsum(np.random.default_rng(7).normal(0, 6, 100))
    assert detect(daily(values), time="day", value="n", family="gauge").family == "gauge"


def test_rate_needs_an_exposure(daily):
    """A rate without a denominator is refused."""
    with pytest.raises(ParameterError, match="family='rate' must have an exposure"):
        detect(daily([5] * 40), time="day", value="n", family="rate")


def test_negative_counts_are_refused(daily):
    """A count below zero is refused, and the gauge is named as a way out."""
    with pytest.raises(ParameterError, match="family='gauge'"):
        detect(daily([5] * 30 + [-1]), time="day", value="n", family="count")
