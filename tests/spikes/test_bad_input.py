"""Does bad input give a named error or a caveat, never a silent wrong number?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.spikes import changepoints, detect


def test_constant_series_is_quiet(daily):
    """A series that never varies has no incident and finite bounds."""
    result = detect(daily([7] * 60), time="day", value="n")
    assert not result.incidents
    assert np.isfinite(result.expected_upper[:, 14:]).all()


def test_all_zero_series_is_quiet(daily):
    """A series of zeros has no incident."""
    assert not detect(daily([0] * 60), time="day", value="n").incidents


def test_three_points_are_refused(daily):
    """Three days are too few, and the error says how many are needed."""
    with pytest.raises(NotEnoughDataError, match="at least 16 days, got 3"):
        detect(daily([1, 2, 3]), time="day", value="n")


def test_missing_values_are_counted(daily, steady):
    """A value that is missing counts as zero, and a caveat says so."""
    values = steady.astype(float)
    values[60] = np.nan
    result = detect(daily(values), time="day", value="n")
    assert any("without a value" in text for text in result.caveats)


def test_rows_without_time_are_counted(daily, steady):
    """Rows without a day are left out, and a caveat says how many."""
    table = daily(steady)
    table = pl.concat([table, table.head(2).with_columns(day=pl.lit(None, pl.Date))])
    result = detect(table, time="day", value="n")
    assert any(text.startswith("2 rows without a time") for text in result.caveats)


def test_infinite_values_are_refused(daily):
    """An infinite value is refused."""
    with pytest.raises(ParameterError, match="finite"):
        detect(daily([1.0] * 30 + [np.inf]), time="day", value="n")


def test_order_of_rows_is_nothing(daily, steady):
    """Shuffled and split rows give the same result as sorted ones."""
    table = daily(steady)
    halves = pl.concat([table.with_columns(n=pl.col("n") * 0), table]).sample(
        fraction=1, shuffle=True, seed=1
    )
    one = detect(table, time="day", value="n", family="count")
    two = detect(halves, time="day", value="n", family="count")
    np.testing.assert_array_equal(one.pvalue, two.pvalue)


def test_late_start_is_not_zero(daily):
    """A series that starts late has no expectation, and no alarm, before it has a history."""
    rng = np.random.default_rng(12)
    old = daily(rng.poisson(30, 120)).with_columns(s=pl.lit("old"))
    new = daily(rng.poisson(30, 40), first=dt.date(2025, 3, 27)).with_columns(s=pl.lit("new"))
    result = detect(pl.concat([old, new]), time="day", value="n", by="s")
    row = result.series.index(("new",))
    assert np.isnan(result.observed[row, :80]).all()
    assert np.isnan(result.pvalue[row, :94]).all()
    assert not result.incidents


def test_early_end_is_a_drop(daily):
    """A series whose rows stop is a fall that goes on."""
    rng = np.random.default_rng(13)
    old = daily(rng.poisson(30, 120)).with_columns(s=pl.lit("old"))
    gone = daily(rng.poisson(30, 100)).with_columns(s=pl.lit("gone"))
    (incident,) = detect(pl.concat([old, gone]), time="day", value="n", by="s").incidents
    assert (incident.series, incident.kind) == (("gone",), "level_shift_down")
    assert incident.ended_at is None


@pytest.mark.parametrize("day", [dt.date(2025, 3, 30), dt.date(2024, 10, 27)])
def test_clock_change_is_no_incident(day):
    """A day of 23 or 25 hours is expected to bring as much less or more."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC) - dt.timedelta(days=80)
    hours = [start + dt.timedelta(hours=i) for i in range(90 * 24)]
    rng = np.random.default_rng(14)
    table = pl.DataFrame({"at": hours, "n": rng.poisson(400, len(hours))})
    result = detect(table, time="at", value="n", tz="Europe/Berlin")
    place = result.days.index(day)
    ratio = result.expected[0, place] / result.expected[0, place - 7]
    assert ratio == pytest.approx((23 if day.month == 3 else 25) / 24, rel=0.02)
    assert not result.incidents


def test_clock_change_in_hours():
    """The hour that is skipped is missing, the one that is repeated counts double."""
    start = dt.datetime(2024, 10, 1, tzinfo=dt.UTC)
    hours = [start + dt.timedelta(hours=i) for i in range(40 * 24)]
    table = pl.DataFrame({"at": hours, "n": np.random.default_rng(15).poisson(400, len(hours))})
    result = detect(table, time="at", value="n", tz="Europe/Berlin", every="1h")
    place = result.days.index(dt.datetime(2024, 10, 27, 2))
    assert result.expected[0, place] == pytest.approx(800, rel=0.05)
    assert not result.incidents


def test_weeks_use_the_regression(daily):
    """A week of twice the usual count is found in two years of weeks."""
    counts = np.random.default_rng(16).negative_binomial(60, 0.5, 728)
    counts[700:707] *= 2
    result = detect(daily(counts), time="day", value="n", every="1w", calendar=None)
    assert result.largest().started_at == result.days[100]


def test_holidays_are_expected():
    """A holiday that is always low is no drop with a calendar."""
    pytest.importorskip("holidays")
    import holidays

    days = [dt.date(2023, 1, 2) + dt.timedelta(days=i) for i in range(1090)]
    known = holidays.country_holidays("DE", years={2023, 2024, 2025})
    mean = [60 if day in known else 150 for day in days]
    table = pl.DataFrame({"day": days, "n": np.random.default_rng(17).poisson(mean)})
    low = {day for day in days[400:] if day in known}
    seen = {i.started_at for i in detect(table, time="day", value="n").incidents}
    knows = {i.started_at for i in detect(table, time="day", value="n", calendar="DE").incidents}
    assert len(seen & low) > 5
    assert not knows & low


def test_unknown_calendar_is_refused(daily):
    """A country that has no calendar is named."""
    pytest.importorskip("holidays")
    with pytest.raises(ParameterError, match="ISO 3166"):
        detect(daily([5] * 40), time="day", value="n", calendar="Atlantis")


def test_changepoints_tell_levels_from_spikes(daily, steady):
    """Looking back, a jump is found on its day and a spike is not a jump."""
    steady[40:42] += 200
    steady[100:] = steady[100:] * 1.5
    result = changepoints(daily(steady), time="day", value="n")
    assert [item.changed_at for item in result.changes] == [result.days[100]]
    assert result.changes[0].effect_ci_lower < 50 < result.changes[0].effect_ci_upper
