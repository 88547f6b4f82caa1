"""Ordered dimensions: one value, or everything from it on?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit.drivers import explain
from rcakit.drivers.ordering import cuts_of
from rcakit.errors import ParameterError

VERSIONS = ["9.1", "9.2", "9.10", "10.0", "10.1", "10.2"]


def _explain(moved, **options):
    rng = np.random.default_rng(3)
    rows = [
        (dt.date(2026, 1, 1) + dt.timedelta(day), version, platform, int(rng.poisson(mean)))
        for day in range(45)
        for version in VERSIONS
        for platform in ("android", "ios", "web")
        for mean in [20.0 * (1.6 if day >= 42 and version in moved else 1.0)]
    ]
    table = pl.DataFrame(rows, schema=["day", "app_version", "platform", "n"], orient="row")
    return explain(
        table,
        time="day",
        period=("2026-02-12", "2026-02-14"),
        value="n",
        dimensions=["app_version", "platform"],
        **options,
    )


@pytest.mark.parametrize(
    ("moved", "named"),
    [
        (VERSIONS[4:], "from 10.1 on"),
        (VERSIONS[:3], "before 10.0"),
        (VERSIONS[3:4], "10.0"),
        (VERSIONS[:1], "9.1"),
        (VERSIONS[5:], "10.2"),
    ],
)
def test_versions_are_named_together(moved, named):
    """Neighbours that moved alike are one segment, in the order of versions; one alone stays one."""
    result = _explain(moved, ordered="app_version")
    assert result.segments == ({"app_version": named},)
    assert {"app_version": named} not in result.to_records()[0]["alternatives"]
    assert sorted(r["value"] for r in result.is_is_not() if r["is_inside"]) == sorted(moved)


@pytest.mark.parametrize("value", [None, "n"])
def test_ranges_hold_for_forecasts(value):
    """With a forecast instead of a baseline, versions that moved alike are one segment too."""
    rng = np.random.default_rng(5)
    rows = [
        (version, place, 1, 60 / n)
        for version in VERSIONS
        for place in range(12)
        for n in [int(rng.poisson(150 if version in VERSIONS[4:] else 60))]
        for _ in range(n)
    ]
    table = pl.DataFrame(rows, schema=["app_version", "place", "n", "hoped"], orient="row")
    options = {"dimensions": ["app_version", "place"], "value": value, "expected": "hoped"}
    assert explain(table, ordered="app_version", **options).segments == (
        {"app_version": "from 10.1 on"},
    )
    assert len(explain(table, **options).segments) == 2


def test_entities_of_a_range_are_found():
    """Accounts are counted over all versions of a range."""
    result = _explain(VERSIONS[4:], ordered="app_version", entity="platform")
    assert result.entities.numbers.excess.sum() == pytest.approx(
        result.to_records()[0]["effect"], rel=0.2
    )


def test_given_order_must_be_complete():
    """A value without a place is named."""
    with pytest.raises(ParameterError, match="ordered must list every value, got none for 'high'"):
        cuts_of(0, ["high", "low", "mid"], np.ones(3), ["low", "mid"])


def test_given_order_must_not_repeat():
    """A value with two places is named."""
    with pytest.raises(ParameterError, match="ordered must list every value once"):
        cuts_of(0, ["high", "low", "mid"], np.ones(3), ["low", "mid", "mid", "high"])


def test_many_values_are_cut_evenly():
    """Of a thousand build numbers eleven cuts are tried, and missing ones lie in no part."""
    cuts = cuts_of(0, [*range(1_000), None], np.ones(1_001), None)
    assert len(cuts) == 11
    assert all(cut.side[-1] == 2 for cut in cuts)
