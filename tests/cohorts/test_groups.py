"""Do waiting times, disparities and retention keep their word?"""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from rcakit import cohorts
from rcakit.cohorts.fairness import _hidden
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError


def cases(n: int = 400) -> pl.DataFrame:
    """Return two queues, one twice as slow, a third of the cases still open."""
    rng = np.random.default_rng(0)
    slow = np.arange(n) % 2 == 1
    wait, stop = rng.exponential(np.where(slow, 20, 10)), rng.exponential(25, n)
    return pl.DataFrame(
        {
            "queue": np.where(slow, "slow", "fast"),
            "hours": np.minimum(wait, stop),
            "is_closed": (wait <= stop).astype(int),
        }
    )


def removals(*, real: bool, seed: int = 0) -> pl.DataFrame:
    """Return two regions with unlike policies; with a real gap, or with none at equal policy."""
    rng = np.random.default_rng(seed)
    region = np.repeat(["north", "south"], 3000)
    policy = np.where(rng.random(6000) < np.where(region == "south", 0.7, 0.3), "hate", "spam")
    share = np.where(policy == "hate", 0.5, 0.2) + (0.1 if real else 0.0) * (region == "south")
    return pl.DataFrame(
        {"region": region, "policy": policy, "is_removed": rng.random(6000) < share}
    )


def gap(rows: pl.DataFrame, **options: object) -> dict[str, object]:
    """Return the gap of the south."""
    return cohorts.disparity(
        rows,
        group="region",
        outcome="is_removed",
        adjust_for="policy",
        reference="north",
        **options,
    ).to_records()[0]


def test_open_cases_count_as_open():
    """Medians of exponential waits come out near the truth in spite of a third still open."""
    found = cohorts.time_to_event(
        cases(4000), cohort="queue", duration="hours", observed="is_closed", sla=10
    )
    median = {row["cohort"]: row["median"] for row in found.to_records()}
    assert median["fast"] == pytest.approx(10 * math.log(2), rel=0.1)
    assert median["slow"] == pytest.approx(20 * math.log(2), rel=0.1)
    attained = {row["cohort"]: row["attainment"] for row in found.to_records()}
    assert attained["fast"] == pytest.approx(1 - math.exp(-1), abs=0.03)


def test_slower_queue_is_named():
    """The finding says which queue waits longer, and the chart can be drawn."""
    found = cohorts.time_to_event(
        cases(), cohort="queue", duration="hours", observed="is_closed", reference="fast"
    )
    assert "slow waits longer than fast" in found.reading()
    assert found.plot().to_dict()
    assert found.to_json()


def test_nothing_ended_is_refused():
    """Without a single event nothing can be said about time."""
    rows = cases().with_columns(is_closed=pl.lit(0))
    with pytest.raises(NotEnoughDataError, match="no case has ended"):
        cohorts.time_to_event(rows, cohort="queue", duration="hours", observed="is_closed")


def test_negative_durations_are_refused():
    """An end before its start is a data error."""
    rows = cases().with_columns(-pl.col("hours"))
    with pytest.raises(SchemaError, match="'hours' must not be negative"):
        cohorts.time_to_event(rows, cohort="queue", duration="hours", observed="is_closed")


def test_apparent_gap_vanishes_at_equal_mix():
    """A gap made of policies alone is explained by them."""
    row = gap(removals(real=False))
    assert row["effect_ci_lower"] > 0
    assert row["verdict"] == "explained_by_mix"


def test_real_gap_remains_at_equal_mix():
    """A gap within policies remains, with its size."""
    row = gap(removals(real=True))
    assert row["verdict"] == "gap_remains"
    assert row["adjusted_effect"] == pytest.approx(0.1, abs=0.03)
    assert row["rate_effect"] + row["mix_effect"] == pytest.approx(row["effect"])


def test_gap_without_counterparts_cannot_be_told():
    """Regions that share no policy are compared with nothing."""
    rows = removals(real=True).with_columns(policy=pl.col("region"))
    assert gap(rows)["verdict"] == "cannot_tell"


def test_service_levels_are_standardised():
    """Hours are compared at equal policy by direct standardisation."""
    rng = np.random.default_rng(1)
    rows = removals(real=False).with_columns(
        hours=pl.when(pl.col("policy") == "hate").then(10.0).otherwise(4.0)
        + rng.exponential(3, 6000)
    )
    row = cohorts.disparity(
        rows, group="region", outcome="hours", adjust_for="policy", reference="north"
    ).to_records()[0]
    assert row["effect"] > 2
    assert row["verdict"] == "explained_by_mix"


def test_privacy_floor_cannot_be_lowered():
    """A floor below ten is refused, and so are groups below it."""
    with pytest.raises(ParameterError, match="privacy_floor must be a number at least 10"):
        gap(removals(real=True), privacy_floor=5)
    small = removals(real=True).head(3005)
    with pytest.raises(NotEnoughDataError, match="two groups of at least 10"):
        gap(small)


def test_hidden_cells_cannot_be_worked_out():
    """No row or column of the table hides exactly one cell."""
    size = np.array([[5.0, 50, 60, 70], [40, 30, 45, 90], [80, 20, 30, 40]])
    hidden = _hidden(size, 10)
    assert hidden[0, 0]
    assert 1 not in hidden.sum(axis=0)
    assert 1 not in hidden.sum(axis=1)


def test_retention_counts_returns_by_age():
    """Half of a start month is back a month later; the future has no cells."""
    rows = pl.DataFrame(
        {
            "account": [*range(40), *range(20), *range(100, 120)],
            "at": [dt.date(2026, 1, 10)] * 40
            + [dt.date(2026, 2, 10)] * 20
            + [dt.date(2026, 2, 11)] * 20,
        }
    )
    found = cohorts.retention(rows, unit="account", time="at")
    rates = {(row["started_at"], row["age"]): row["active_rate"] for row in found.to_records()}
    assert rates == {
        (dt.date(2026, 1, 1), 0): 1.0,
        (dt.date(2026, 1, 1), 1): 0.5,
        (dt.date(2026, 2, 1), 0): 1.0,
    }
    assert found.plot().to_dict()


def test_weeks_start_on_monday():
    """A week's cohort is dated by its Monday."""
    rows = pl.DataFrame({"account": range(12), "at": [dt.date(2026, 3, 8)] * 12})
    found = cohorts.retention(rows, unit="account", time="at", every="1w")
    assert found.to_records()[0]["started_at"] == dt.date(2026, 3, 2)


def test_returned_never_falls_with_age():
    """The share that has come back can only grow."""
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "account": rng.integers(0, 100, 1000),
            "at": [dt.date(2026, 1, 1) + dt.timedelta(int(d)) for d in rng.integers(0, 180, 1000)],
        }
    )
    found = cohorts.retention(rows, unit="account", time="at", measure="returned").to_frame()
    grown = found.with_columns(step=pl.col("active_count").diff().over("started_at"))
    assert grown["step"].drop_nulls().min() >= 0
