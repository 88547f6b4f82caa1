"""Are incidents found, cut where they began, and measured with an honest interval?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit import datasets
from rcakit.spikes import detect
from rcakit.testing import check_result

_DAY = dt.timedelta(days=1)


def test_spike_has_its_days(daily, steady):
    """A spike of three days is one incident on exactly these days."""
    steady[150:153] += 120
    (incident,) = detect(daily(steady), time="day", value="n").incidents
    start = dt.date(2025, 1, 6) + 150 * _DAY
    assert (incident.kind, incident.started_at) == ("spike", start)
    assert incident.ended_at == start + 2 * _DAY
    assert incident.excess_ci_lower < 360 < incident.excess_ci_upper


def test_drop_is_told_apart(daily, steady):
    """A day with a third of its events is a drop."""
    steady[150] = 33
    (incident,) = detect(daily(steady), time="day", value="n").incidents
    assert (incident.kind, incident.peak_at) == ("drop", incident.started_at)
    assert incident.excess < 0


def test_lasting_rise_is_a_level(daily, steady):
    """A rise that stays is a new level, reported once."""
    steady[120:] = steady[120:] * 1.6
    (incident,) = detect(daily(steady), time="day", value="n").incidents
    assert incident.kind == "level_shift_up"
    assert abs((incident.started_at - dt.date(2025, 1, 6)).days - 120) <= 1


def test_return_is_no_drop(daily, steady):
    """The end of a rise of ten days is not an incident of its own."""
    steady[120:130] = steady[120:130] * 2
    kinds = [item.kind for item in detect(daily(steady), time="day", value="n").incidents]
    assert kinds == ["spike"]


def test_rise_goes_on(daily, steady):
    """An incident that reaches the last day has no end."""
    steady[-2:] += 150
    (incident,) = detect(daily(steady), time="day", value="n").incidents
    assert incident.ended_at is None


def test_direction_up_ignores_drops(daily, steady):
    """Only the side that is asked for is judged."""
    steady[150] = 20
    assert not detect(daily(steady), time="day", value="n", direction="up").incidents
    assert detect(daily(steady), time="day", value="n", direction="down").incidents


@pytest.mark.parametrize("name", ["app_release_report_bug", "global_rise", "ingestion_outage"])
def test_planted_cause_is_found(name):
    """The strongest incident of a made-up case begins within a day of the truth."""
    case = datasets.make(name, size="small", rng=1)
    result = detect(case.tables["reports"], time="created_at", arrived_at="ingested_at")
    first = dt.date.fromisoformat(case.truth["causes"][0]["window"][0])
    assert abs((result.largest().started_at - first).days) <= 1


def test_quiet_case_stays_quiet():
    """Five quiet cases together raise at most one incident."""
    cases = [datasets.make("quiet", size="tiny", rng=seed).tables["reports"] for seed in range(5)]
    found = [detect(case, time="created_at").incidents for case in cases]
    assert sum(map(len, found)) <= 1


def test_total_lists_its_parts(daily):
    """An incident of everything comes first; those of the parts are its children."""
    rng = np.random.default_rng(2)
    parts = []
    for name in "abc":
        counts = rng.poisson(60, 120)
        counts[100:103] += 70
        parts.append(daily(counts).with_columns(queue=pl.lit(name)))
    result = detect(pl.concat(parts), time="day", value="n", by="queue", totals=True)
    (top,) = [item for item in result.incidents if item.parent is None]
    assert top.series == ("(all)",)
    assert {item.series for item in result.children(top)} == {("a",), ("b",), ("c",)}
    assert len(result.findings()) == 1


def test_result_keeps_the_contract(daily, steady):
    """A result of several series does what every result promises."""
    steady[150:153] += 120
    table = pl.concat([daily(steady).with_columns(s=pl.lit(name)) for name in ("x", "<b>y</b>")])
    check_result(detect(table, time="day", value="n", by="s"))


def test_false_alarms_are_stated(daily, steady):
    """Result and findings say how many false alarms to expect."""
    result = detect(daily(steady), time="day", value="n", alpha=0.02)
    assert result.false_alarms_per_week == pytest.approx(0.02)
    assert any("false alarms" in text for text in result.findings()[0].caveats)


@pytest.mark.slow
def test_excess_covers_added_events():
    """The 95 % interval of the excess covers what was truly added, 93 to 97 times in 100."""
    from benchmarks.spikes_room import excess_coverage

    covered, n = excess_coverage(n_series=600)
    assert n > 300
    assert 0.93 <= covered <= 0.97


def test_season_is_a_rival_of_weeks():
    """What happens in the first two years of weeks may be the season, and says so."""
    weeks = [dt.date(2023, 1, 2) + dt.timedelta(weeks=i) for i in range(160)]
    season = 50 + 20 * np.cos(np.arange(160) / 52 * 2 * np.pi)
    counts = np.random.default_rng(3).poisson(season)
    counts[150] += 60
    table = pl.DataFrame({"t": weeks, "n": counts})
    findings = detect(table, time="t", value="n", every="1w").findings()
    late = [f for f in findings if f.evidence["started_at"] == weeks[150]]
    early = [f for f in findings if f.evidence["started_at"] < weeks[104]]
    assert len(late) == 1
    assert late[0].strength == "strong"
    assert early
    assert all("season of the year" in f.caveats[0] and f.strength != "strong" for f in early)


def test_excess_is_never_zero():
    """An alarm whose excess may be zero, seen from before it, is no incident."""
    hours = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=i) for i in range(24 * 35)]
    counts = np.random.default_rng(26).poisson(20 + 15 * np.sin(np.arange(len(hours)) / 24 * 6.28))
    table = pl.DataFrame({"t": hours, "n": counts})
    found = detect(table, time="t", value="n", every="1h", alpha=0.1)
    assert found.is_anomalous.any()
    assert found.incidents == ()
