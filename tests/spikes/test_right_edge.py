"""Are late rows, open days and gaps told from drops?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit.spikes import detect


def test_late_rows_are_no_drop(late_rows):
    """Where a third of a day's rows is still under way, no drop is reported."""
    rows, _ = late_rows()
    result = detect(rows, time="at", arrived_at="came")
    assert not result.incidents
    assert result.completeness[0, -1] < 0.6


def test_without_arrivals_they_look_like_one(late_rows):
    """The same rows without their arrival look like a drop."""
    rows, _ = late_rows()
    assert any(i.kind == "drop" for i in detect(rows, time="at").incidents)


def test_loss_among_late_rows_is_found(late_rows):
    """A real loss in the last days is found although rows arrive late."""
    rows, _ = late_rows(1, mean=200)
    lost = pl.col("at").is_between(dt.datetime(2025, 5, 2), dt.datetime(2025, 5, 4))
    kept = rows.filter(~lost | (pl.int_range(pl.len()) % 3 == 0))
    kinds = [item.kind for item in detect(kept, time="at", arrived_at="came").incidents]
    assert "drop" in kinds


def test_replay_knows_only_the_past(late_rows):
    """A replay gives what a run on the extract of that day gave."""
    rows, _ = late_rows()
    day = dt.date(2025, 4, 20)
    then = rows.filter(pl.col("came") < dt.datetime(2025, 4, 21))
    replayed = detect(rows, time="at", arrived_at="came", as_of=day)
    lived = detect(then, time="at", arrived_at="came", as_of=day)
    assert replayed.to_json() == lived.to_json()


def test_moment_cuts_the_day(late_rows):
    """At noon the last day is compared with half a day."""
    rows, _ = late_rows()
    result = detect(rows, time="at", as_of="2025-04-20T12:00:00")
    assert 0.4 < result.completeness[0, -1] < 0.6
    assert result.days[-1] == dt.date(2025, 4, 20)


@pytest.mark.parametrize("every", ["1d", "1h"])
def test_moment_hides_later_rows(late_rows, every):
    """Rows after the moment change nothing, arrivals given or not."""
    rows, _ = late_rows(mean=150)
    moment = dt.datetime(2025, 4, 20, 12)
    seen = rows.filter(pl.col("at") < moment)
    replayed = detect(rows, time="at", as_of=moment, every=every)
    lived = detect(seen, time="at", as_of=moment, every=every)
    assert replayed.to_json() == lived.to_json()
    assert not replayed.incidents


def test_late_hours_are_no_drop(late_rows):
    """Hours whose rows come hours later are compared with the share that should be there."""
    rows, _ = late_rows(mean=1200, n_days=60)
    result = detect(rows, time="at", arrived_at="came", every="1h")
    assert not result.incidents
    assert result.completeness[0, -20] < 0.8
    assert np.nanmin(result.pvalue[0, -48:]) > 1e-4


def test_open_day_is_recognised(late_rows):
    """Rows that stop in the afternoon of the last day are no drop."""
    rows, _ = late_rows(mean=300)
    cut = rows.filter(pl.col("at") < dt.datetime(2025, 5, 5, 14, 0))
    result = detect(cut, time="at")
    assert any("is not over" in text for text in result.caveats)
    assert result.completeness[0, -1] < 0.7


def test_gap_is_missing_not_zero(daily, steady):
    """A day without any row, where hundreds are usual, is missing data."""
    days = [dt.date(2025, 1, 6) + dt.timedelta(days=i) for i in range(182)]
    table = pl.DataFrame({"day": days, "n": steady}).select(pl.col("day").repeat_by("n").explode())
    table = table.filter(pl.col("day") != days[100])
    result = detect(table, time="day")
    assert not [i for i in result.incidents if i.started_at == days[100]]
    assert any("missing data" in text for text in result.caveats)
    zero = detect(table, time="day", empty="zero")
    assert [i.kind for i in zero.incidents if i.started_at == days[100]] == ["drop"]
