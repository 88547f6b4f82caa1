"""Which logged change is believed, and is every decoy set aside?"""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rcakit
from rcakit.errors import ParameterError, SchemaError

FIRST = dt.date(2026, 1, 5)
ONSET = "2026-03-02"


def _world(factor, seed=0):
    """Nine weeks of daily reports of two systems in four places, moved by a factor."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(63):
        for os in ("ios", "web"):
            for place in "abcd":
                at = FIRST + dt.timedelta(days=day)
                rows += [(at, os, place)] * int(rng.poisson(8 * factor(day, os, place)))
    return pl.DataFrame(rows, schema=["at", "os", "place"], orient="row")


def _explained(
    period, factor=lambda day, os, place: 5 if (os, place, day >= 56) == ("ios", "b", True) else 1
):
    return rcakit.drivers.explain(
        _world(factor), time="at", period=period, dimensions=["os", "place"]
    )


@pytest.fixture(scope="module")
def result():
    """Explain a rise of iOS in place b that begins on 2 March."""
    found = _explained((ONSET, "2026-03-08"))
    assert found.segments == ({"os": "ios", "place": "b"},)
    return found


@pytest.fixture(scope="module")
def late():
    """Explain the same rise over a period that begins before it."""
    return _explained(("2026-02-28", "2026-03-08"))


@pytest.fixture(scope="module")
def early():
    """Explain the same rise over a period that begins after it."""
    return _explained(("2026-03-04", "2026-03-08"))


@pytest.fixture(scope="module")
def steady():
    """Explain a rise of everything from 2 March on."""
    return _explained((ONSET, "2026-03-08"), lambda day, os, place: 1.6 if day >= 56 else 1.0)


def _match(result, at, scope, **more):
    row = {"changed_at": [at], "title": ["Release"], "scope": [scope]} | more
    return rcakit.drivers.match_changes(result, pl.DataFrame(row))


def test_fitting_changes_are_matched(result):
    """The change to the right scope on the evening before coincides, and is no proof."""
    (finding,) = _match(result, "2026-03-01T18:00:00Z", "os=ios;place=b").findings()
    assert finding.kind == "matched_change"
    assert finding.claim.startswith("It coincides with “Release”")
    assert finding.strength in {"moderate", "weak"}
    assert finding.caveats


@pytest.mark.parametrize(
    ("at", "scope", "reason"),
    [
        ("2026-03-03T09:00:00Z", "os=ios;place=b", "after the onset"),
        ("2026-03-01T18:00:00Z", "os=web;place=b", "of the excess lies in its scope"),
        ("2026-03-01T18:00:00Z", "all", "acts on much more than the segment"),
        ("2026-03-01T18:00:00Z", "team=blue", "names team, which is no dimension"),
        ("2026-03-01T18:00:00Z", "iOS users only", "“iOS users only” cannot be read"),
        ("2026-03-01T18:00:00Z", "os=ios; beta", "cannot be read"),
    ],
)
def test_decoys_are_set_aside(result, at, scope, reason):
    """Too late, elsewhere, too wide, unknown or unreadable: each is ruled out with its reason."""
    (finding,) = _match(result, at, scope).findings()
    assert finding.kind == "ruled_out"
    assert reason in finding.claim


def test_onset_is_the_segments_own(late):
    """A period that begins two days before the segment moved does not age the change that did it."""
    assert late.onset == dt.date(2026, 3, 2)
    found = _match(late, "2026-03-02T00:30:00Z", "os=ios;place=b")
    assert [m.days_before_onset for m in found.matches] == [0.0]
    assert found.matches[0].is_plausible


def test_onset_may_precede_period(early):
    """A period that begins two days after the segment moved is followed back to the day it did."""
    assert early.onset == dt.date(2026, 3, 2)


def test_days_are_local(late):
    """Eight in the evening in New York is the next day in UTC; the local day counts."""
    there = replace(late, tz="America/New_York")
    (match,) = _match(there, "2026-03-03T01:00:00Z", "os=ios;place=b").matches
    assert match.days_before_onset == 0.0


def test_broad_change_fits_everything(steady):
    """A rise of everything coincides with the change to everything, not with one to a part."""
    log = pl.DataFrame(
        {
            "change_id": ["part", "all", "long_ago", "after"],
            "changed_at": ["2026-03-01", "2026-03-01", "2026-02-17", "2026-03-03"],
            "title": ["Button", "Logging", "Pricing", "Undone"],
            "scope": ["os=ios;place=b", "all", "all", "all"],
        }
    )
    found = rcakit.drivers.match_changes(steady, log)
    assert steady.verdict == "broad"
    assert [m.change_id for m in found.matches if m.is_plausible] == ["all"]


def test_everything_does_not_fit_a_half(result):
    """A change to everything is set aside when what lies outside the segment stayed as it was."""
    half = rcakit.drivers.explain(
        _world(lambda day, os, _: 3.0 if os == "ios" and day >= 56 else 1.0),
        time="at", period=(ONSET, "2026-03-08"), dimensions=["os", "place"],
    )  # fmt: skip
    assert half.segments == ({"os": "ios"},)
    assert not _match(half, "2026-03-01", "all").matches[0].is_plausible


def test_old_changes_are_not_listed(result):
    """What changed a month before is no candidate."""
    found = _match(result, "2026-01-20", "os=ios;place=b")
    assert found.findings() == ()
    assert "so none fits" in found.reading()


def test_better_fit_sets_aside(result):
    """Of two changes that could fit, the clearly worse is set aside by name."""
    log = pl.DataFrame(
        {
            "change_id": ["wide", "exact"],
            "changed_at": ["2026-02-18", "2026-03-01"],
            "title": ["All of iOS", "Button"],
            "scope": ["os=ios", "os=ios;place=b"],
        }
    )
    found = rcakit.drivers.match_changes(result, log)
    matched = [f.change_id for f in found.findings() if f.kind == "matched_change"]
    assert matched == ["exact"]


def test_no_log_is_said(result):
    """Without a log nothing was compared, and that is what is said."""
    found = rcakit.drivers.match_changes(result, None)
    assert found.findings() == ()
    assert found.reading().startswith("No change log was given")


def test_titles_may_name_causes(result):
    """A title with causal words is quoted, never claimed."""
    found = _match(result, "2026-03-01", "os=ios;place=b", title=["Fix because of ” spam"])
    assert '“Fix because of " spam”' in found.findings()[0].claim


@pytest.mark.parametrize("at", ["01.03.2026", "soon"])
def test_unreadable_times_are_refused(result, at):
    """A log whose times cannot be read is never taken for an empty one."""
    with pytest.raises(SchemaError, match="'changed_at' must hold timestamps, got"):
        _match(result, at, "all")


def test_logs_need_their_columns(result):
    """A log without titles names what is missing."""
    with pytest.raises(SchemaError, match="column 'title' is missing"):
        rcakit.drivers.match_changes(result, pl.DataFrame({"changed_at": ["2026-03-01"]}))


@pytest.mark.parametrize("days", [0, 366, 1.5])
def test_windows_are_checked(result, days):
    """The days before the onset are a whole number in bounds."""
    with pytest.raises(ParameterError, match="max_days_before must be a"):
        rcakit.drivers.match_changes(result, None, max_days_before=days)


@pytest.mark.parametrize("text", ["2026-03-01T23:00:00+05:00", "2026-03-01 18:00", "2026-03-01"])
def test_times_come_in_forms(result, text):
    """Offsets, naive times and dates are all read as moments."""
    assert _match(result, text, "os=ios;place=b").findings()[0].kind == "matched_change"
