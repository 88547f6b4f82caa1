"""Is a real change found, with an interval that holds the truth, and noise left alone?"""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

import rcakit
from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.spikes import detect

FIRST = dt.date(2026, 1, 5)
WEEK = np.array([1.2, 1.1, 1.0, 1.0, 1.1, 0.8, 0.8])


def _days(n):
    return [FIRST + dt.timedelta(days=i) for i in range(n)]


def _events(counts, first=FIRST, **columns):
    """Return one row per event of each day."""
    days = [first + dt.timedelta(days=i) for i in range(len(counts))]
    at = np.repeat(np.array(days, dtype="datetime64[D]"), np.asarray(counts, dtype=int))
    return pl.DataFrame({"at": at}).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def _counts(rng, n=84, mean=60.0, dispersion=1.5):
    """Return overdispersed daily counts with a weekday pattern."""
    usual = mean * np.resize(WEEK, n)
    return rng.negative_binomial(usual / (dispersion - 1), 1 / dispersion)


def _detect(counts, **options):
    return rcakit.spikes.detect(_events(counts), time="at", **options)


def test_planted_spikes_are_covered():
    """Over 30 seeds a doubled pair of days is found, and its interval mostly holds the truth."""
    found = covered = 0
    for seed in range(30):
        counts = _counts(np.random.default_rng(seed))
        added = np.array([60, 60])
        counts[-10:-8] += added
        incident = _detect(counts).largest(since=_days(84)[-11], until=_days(84)[-8])
        found += incident is not None
        if incident is not None:
            covered += incident.excess_ci_lower <= added.sum() <= incident.excess_ci_upper
    assert found >= 28
    assert covered >= 0.8 * found


def test_quiet_series_rarely_alarm():
    """Over 40 quiet series there are few with any incident at all."""
    alarmed = sum(bool(_detect(_counts(np.random.default_rng(s))).incidents) for s in range(40))
    assert alarmed <= 5


def test_busy_days_without_rows():
    """Where days are busy one without rows is unknown, unless it is said to be a zero."""
    counts = np.full(60, 80)
    counts[50] = 0
    unknown = _detect(counts)
    assert unknown.incidents == ()
    assert unknown.to_records()[50]["completeness"] == 0.0
    result = _detect(counts, empty="zero")
    (incident,) = result.to_records("incidents")
    assert (incident["kind"], incident["started_at"]) == ("drop", _days(60)[50])


@pytest.mark.parametrize("level", [0, 1, 7, 500])
def test_constant_series_stay_quiet(level):
    """A series without any variation, even of zeros, has no incident and no number that is lost."""
    table = pl.DataFrame({"at": _days(60), "n": [level] * 60})
    result = rcakit.spikes.detect(table, time="at", value="n")
    assert result.incidents == ()
    testing.check_result(result)


def test_bursts_after_silence_count():
    """Where nothing ever happened a burst is an incident whose interval holds its excess."""
    counts = np.zeros(60, dtype=int)
    counts[0], counts[-2] = 1, 40
    result = _detect(counts)
    assert result.incidents[0].peak_at == _days(60)[-2]
    testing.check_result(result)


def test_counted_rows_are_counts():
    """A table that holds one row of counts per day shows a jump by half."""
    counts = np.random.default_rng(1).poisson(1000, 60)
    counts[-3] = 1500
    table = pl.DataFrame({"at": _days(60), "n": counts})
    (incident,) = rcakit.spikes.detect(table, time="at", value="n").incidents
    assert incident.started_at == _days(60)[-3]
    assert incident.excess_ci_lower <= 500 <= incident.excess_ci_upper


def test_negative_values_are_refused():
    """Gains and losses in one column are no count."""
    table = pl.DataFrame({"at": _days(60), "n": [1] * 59 + [-5]})
    with pytest.raises(ParameterError, match="never negative, got -5"):
        rcakit.spikes.detect(table, time="at", value="n")


@pytest.mark.parametrize("n_days", [1, 15])
def test_short_histories_are_refused(n_days):
    """Two weeks and a bit are the least that can be judged."""
    with pytest.raises(NotEnoughDataError, match="at least 16 days, got"):
        _detect(np.full(n_days, 5))


def test_empty_windows_are_refused():
    """Dates that leave no rows are named as the reason."""
    with pytest.raises(NotEnoughDataError, match="got none"):
        _detect(np.full(60, 5), start="2027-01-01")


def test_late_series_begin_later():
    """A series is unknown before its first row, not zero, and its begin is no incident."""
    old, new = (
        _events(np.full(80, 30), place="a"),
        _events(np.full(40, 30), first=_days(80)[40], place="b"),
    )
    result = rcakit.spikes.detect(pl.concat([old, new]), time="at", by="place")
    before = [row for row in result.to_records() if row["place"] == "b"][:40]
    assert all(np.isnan(row["observed"]) for row in before)
    assert result.incidents == ()


def test_series_are_judged_apart():
    """With keys only the series that rose is named, with its key."""
    counts = np.full(60, 40)
    risen = counts.copy()
    risen[-3] = 140
    table = pl.concat([_events(counts, place="a"), _events(risen, place="b")])
    result = rcakit.spikes.detect(table, time="at", by="place")
    assert {row["place"] for row in result.to_records("incidents")} == {"b"}
    assert result.findings()[0].segment == {"place": "b"}


def test_exposure_explains_a_rise():
    """Twice the reviews bring twice the appeals: no incident once they are counted against."""
    views = np.full(60, 100)
    views[-5:] = 200
    table = pl.DataFrame({"at": _days(60), "views": views, "n": views // 5})
    days = table.select(pl.all().repeat_by("n")).explode(pl.all())
    events = days.with_columns(pl.lit(1).alias("n"), (pl.col("views") / pl.col("n")).alias("views"))
    plain = rcakit.spikes.detect(events, time="at")
    against = rcakit.spikes.detect(events, time="at", exposure="views")
    assert plain.incidents
    assert against.incidents == ()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_directions_are_kept(direction):
    """Who asks for drops hears of drops only."""
    counts = np.full(70, 60)
    counts[40], counts[60] = 200, 5
    kinds = {row["kind"] for row in _detect(counts, direction=direction).to_records("incidents")}
    assert kinds == {"spike" if direction == "up" else "drop"}


def test_lasting_rises_are_levels():
    """A rise that stays for two weeks is a new level, and is still on."""
    counts = np.full(84, 60)
    counts[-14:] = 120
    incident = _detect(counts).incidents[0]
    assert incident.kind == "level_shift_up"
    assert incident.ended_at is None


def test_period_is_given_or_found():
    """What is asked for is kept; else the strongest incident; else the last week."""
    counts = np.full(60, 60)
    quiet = _detect(counts)
    assert quiet.choose_period() == (_days(60)[-7], _days(60)[-1])
    assert quiet.choose_period(["2026-02-01", "2026-02-02"])[0] == dt.date(2026, 2, 1)
    counts[-5] = 200
    assert _detect(counts).choose_period()[0] == _days(60)[-5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "2d"}, "every must be one of '1h'"),
        ({"direction": "sideways"}, "direction must be one of"),
        ({"alpha": 0}, "alpha must be a number greater than 0"),
        ({"alpha": 0.5}, "alpha must be a number"),
        ({"empty": "nothing"}, "empty must be one of"),
        ({"family": "poisson"}, "family must be one of"),
        ({"by": ["at", "at"]}, "by must be a list without repetition"),
        ({"tz": "Mars/Olympus"}, "tz must be an IANA time zone"),
    ],
)
def test_bad_options_are_refused(options, message):
    """Each option is checked at the door."""
    with pytest.raises(ParameterError, match=message):
        _detect(np.full(60, 5), **options)


def test_missing_columns_are_named():
    """A column that is not there is named before anything is computed."""
    with pytest.raises(SchemaError, match=r"'made_at' is missing"):
        rcakit.spikes.detect(_events(np.full(60, 5)), time="made_at")


def test_same_rows_same_numbers():
    """The same call on the same rows gives the same numbers."""
    counts = _counts(np.random.default_rng(0))
    assert json.loads(_detect(counts).to_json()) == json.loads(_detect(counts).to_json())


def test_month_days_are_expected():
    """With month_days the run on the first of each month is no incident, and state goes on alike."""
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=i) for i in range(480)]
    mean = np.where([d.day == 1 for d in days], 180.0, 60.0)
    table = pl.DataFrame({"t": days, "n": np.random.default_rng(4).poisson(mean)})
    plain = detect(table, time="t", value="n")
    knowing = detect(table, time="t", value="n", month_days=True)
    late = [i for i in plain.incidents if i.started_at.day == 1 and i.started_at > days[300]]
    assert len(late) >= 4
    assert not [i for i in knowing.incidents if i.started_at > days[300]]
    begun = detect(table[:470], time="t", value="n", month_days=True)
    resumed = detect(table[470:], time="t", value="n", month_days=True, state=begun.state)
    np.testing.assert_array_equal(resumed.expected[0, -8:], knowing.expected[0, -8:])


def test_month_days_need_days():
    """Weeks have no day of the month."""
    table = pl.DataFrame({"t": [dt.date(2025, 1, 6)], "n": [1]})
    with pytest.raises(ParameterError, match="month_days"):
        detect(table, time="t", value="n", every="1w", month_days=True)


def test_quiet_hours_keep_their_promise():
    """Young hourly series fall below .01 about as often as that says, not ten times as often."""
    rng = np.random.default_rng(17)
    hours = [dt.datetime(2026, 1, 5) + dt.timedelta(hours=i) for i in range(24 * 25)]
    shape = (40, len(hours))
    mean = 200 * np.exp(rng.normal(0, 0.3, (40, 24)))[:, np.arange(shape[1]) % 24]
    counts = rng.negative_binomial(20, 20 / (20 + mean))
    table = pl.DataFrame(
        {"t": hours * 40, "s": np.repeat(np.arange(40), shape[1]), "n": counts.ravel()}
    )
    pvalue = detect(table, time="t", value="n", by="s", every="1h").pvalue
    assert 0.003 < (pvalue[np.isfinite(pvalue)] < 0.01).mean() < 0.015
