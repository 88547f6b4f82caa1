"""Small tables that the tests of spikes share."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

FIRST = dt.date(2025, 1, 6)


@pytest.fixture
def daily():
    """Return a function that puts daily values into a table."""

    def table(values, *, first=FIRST, name="n", **more):
        days = [first + dt.timedelta(days=i) for i in range(len(values))]
        return pl.DataFrame({"day": days, name: list(values), **more})

    return table


@pytest.fixture
def steady():
    """Return half a year of steady overdispersed counts."""
    return np.random.default_rng(11).negative_binomial(100, 0.5, 182)


@pytest.fixture
def late_rows():
    """Return a function that makes rows of which some arrive days late, up to a moment."""

    def rows(seed=0, *, n_days=120, mean=80, cut=None):
        rng = np.random.default_rng(seed)
        count = rng.poisson(mean, n_days)
        day = np.repeat(np.arange(n_days), count)
        hours = day * 24 + rng.uniform(0, 24, len(day))
        arrived = hours + rng.exponential(30, len(day))
        start = dt.datetime(2025, 1, 6)
        end = n_days * 24 if cut is None else cut
        kept = arrived < end
        at = [start + dt.timedelta(hours=float(h)) for h in hours[kept]]
        came = [start + dt.timedelta(hours=float(h)) for h in arrived[kept]]
        return pl.DataFrame({"at": at, "came": came}), count

    return rows
