"""Does the room of cohorts refuse what it cannot answer, and say what to do?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit import cohorts
from rcakit.errors import SchemaError


@pytest.fixture
def rows() -> pl.DataFrame:
    """Return 400 cases of two sites."""
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "site": rng.choice(["a", "b"], 400),
            "policy": rng.choice(["x", "y"], 400),
            "hours": rng.exponential(size=400),
            "is_done": rng.integers(0, 2, 400),
        }
    )


def compared(rows, **options):
    """Compare the sites by hours unless told otherwise."""
    return cohorts.compare(rows, **({"cohort": "site", "outcomes": "hours"} | options))


@pytest.mark.parametrize("column", ["hours", "size"])
def test_infinite_values_are_refused(rows, column):
    """An infinite outcome or covariate is named, and capping is offered."""
    rows = rows.with_columns(size=pl.col("hours")).with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(float("inf")).otherwise(column).alias(column)
    )
    with pytest.raises(SchemaError, match=f"{column}' holds infinite values, got 1 of them"):
        compared(rows, adjust_for="size")


def test_equal_outcomes_differ_nowhere(rows):
    """Rounding errors of a regression on a constant are no gap."""
    found = compared(rows.with_columns(hours=pl.lit(1.0)), adjust_for="policy")
    assert found.verdict().verdict == "cannot_tell"
    assert any("one value in every row" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("bottom", [-1.0, 0.0])
def test_impossible_denominators_are_refused(rows, bottom):
    """A denominator is never negative, and not zero throughout."""
    rows = rows.with_columns(cases=pl.lit(bottom))
    with pytest.raises(SchemaError, match="A denominator is never negative"):
        compared(rows, outcomes=[("hours", "cases")])


def test_one_cluster_a_side_is_said(rows):
    """A cohort of one reviewer cannot be told from that reviewer."""
    found = compared(rows, cluster="site")
    assert np.isnan(found.to_records()[0]["effect_ci_lower"])
    assert any("cannot be told apart" in caveat for caveat in found.caveats)


def test_few_clusters_are_a_caveat(rows):
    """Intervals that rest on a few clusters say so."""
    rows = rows.with_columns(reviewer=pl.int_range(pl.len()) % 7)
    found = compared(rows.with_columns(site=pl.col("reviewer") % 2), cluster="reviewer")
    assert any("rest on 3 values of reviewer" in caveat for caveat in found.caveats)


def test_waits_are_not_extrapolated(rows):
    """A horizon beyond the data is cut, and a target nobody was followed to is unknown."""
    rows = rows.with_columns(is_done=pl.when(pl.col("hours") < 1).then(1).otherwise(0))
    found = cohorts.time_to_event(
        rows, cohort="site", duration="hours", observed="is_done", horizon=1e6, sla=1e6
    )
    assert found.horizon < 20
    assert np.isnan(found.to_records()[0]["attainment"])
    assert any("as far as every cohort was seen" in caveat for caveat in found.caveats)
    assert any("no case was followed for" in caveat for caveat in found.caveats)


def test_unfinished_period_makes_no_claim():
    """Units that had a day to return in are not compared with those that had a month."""
    start = [dt.date(2026, month, 1) for month in (1, 2, 3) for _ in range(100)]
    back = [day + dt.timedelta(days=35) for day in start[:200]]
    events = pl.DataFrame(
        {"account": [*range(300), *range(200), 299], "at": [*start, *back, dt.date(2026, 4, 1)]}
    )
    found = cohorts.retention(events, unit="account", time="at")
    rates = {row["started_at"].month: row for row in found.to_records() if row["age"] == 1}
    assert (rates[3]["active_rate"], rates[3]["is_complete"]) == (0.01, False)
    assert found.findings()[0].kind == "ruled_out"
