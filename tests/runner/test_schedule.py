"""Is what is due run once for its day, and nothing else?"""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from rcakit import cli, playbook, runner
from rcakit.errors import ParameterError
from rcakit.ledger import open_ledger
from rcakit.runner.batch import exclusive
from rcakit.runner.schedule import Schedule, due_days

NOW = dt.datetime(2026, 4, 1, 6, 30, tzinfo=dt.UTC)  # a Wednesday
BOOK = playbook.Playbook


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ({}, ["2026-04-01"]),
        ({"at": dt.time(7)}, ["2026-03-31"]),
        ({"at": dt.time(7), "tz": ZoneInfo("Europe/Lisbon")}, ["2026-04-01"]),
        ({"catch_up": 3}, ["2026-03-30", "2026-03-31", "2026-04-01"]),
        (
            {"every": "weekday", "catch_up": 4},
            ["2026-03-27", "2026-03-30", "2026-03-31", "2026-04-01"],
        ),
        ({"every": "week", "on": 0}, ["2026-03-30"]),
        ({"every": "month", "on": 2, "catch_up": 2}, ["2026-02-02", "2026-03-02"]),
    ],
)
def test_due_days_follow_the_clock(options, days):
    """The last due days are those of the local clock, as many as are made good."""
    schedule = Schedule("s", BOOK(None), **options)
    assert [day.isoformat() for day in due_days(schedule, NOW)] == days


def _schedule(tmp_path, book, more=""):
    path = tmp_path / "s.toml"
    path.write_text(
        f'[[schedules]]\nname = "daily"\nplaybook = "{book}"\ndate_parameter = "as_of"\n{more}\n'
    )
    return path


def test_due_runs_run_once(tmp_path, write_book):
    """A due day is run once, with the day that it is about as a parameter; later calls do nothing."""
    book = write_book("assert as_of == '2026-03-31'", parameters="as_of: str = ''  # day")
    path, out = _schedule(tmp_path, book), tmp_path / "out"
    told = CliRunner().invoke(
        cli.main, ["run-due", str(path), "--out", str(out), "--now", NOW.isoformat(), "--dry-run"]
    )
    assert (told.exit_code, told.stdout) == (0, "Due:\n  small as_of=2026-03-31\n")
    done = runner.run_due(path, out=out, now=NOW)
    assert str(done) == "1 run: 1 ok."
    with open_ledger(out) as ledger:
        (row,) = ledger.runs()
    assert (row["status"], row["logical_date"], row["job"]) == (
        "ok",
        "2026-03-31",
        "schedule-daily",
    )
    assert str(runner.run_due(path, out=out, now=NOW + dt.timedelta(hours=9))) == "Nothing is due."


def test_failed_days_are_not_hammered(tmp_path, write_book):
    """A day whose run failed is not run again; one that was cut off is, three times at most."""
    path, out = (
        _schedule(tmp_path, write_book("1", parameters="as_of: str = ''  # day")),
        tmp_path / "out",
    )
    row = {"run_id": "r1", "playbook": "small", "parameters": {}, "started_at": "2026-04-01T06:00:00",
           "job": "schedule-daily", "logical_date": "2026-03-31"}  # fmt: skip
    for status, attempts, n_due in (
        ("failed", 1, 0),
        ("killed", 1, 1),
        ("killed", 3, 0),
        ("ok", 1, 0),
    ):
        with open_ledger(out) as ledger:
            ledger.record({**row, "status": status, "attempts": attempts})
        assert runner.run_due(path, out=out, now=NOW, dry_run=True).n_items == n_due


def test_second_call_leaves_at_once(tmp_path, write_book):
    """While one call works on a schedule, another does nothing and is no failure."""
    path = _schedule(tmp_path, write_book("1", parameters="as_of: str = ''  # day"))
    with exclusive(path):
        done = CliRunner().invoke(cli.main, ["run-due", str(path), "--out", str(tmp_path / "out")])
    assert (done.exit_code, done.stdout) == (0, "Nothing is due.\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('at = "25:00"', "at must be a time such as 06:00"),
        ('tz = "Europe/Lisboa"', "tz must be a time zone"),
        ('every = "hour"', "every must be one of 'day'"),
        ('every = "week"', "on must be one of 'monday'"),
        ('every = "month"\non = 31', "on must be a number between 1 and 28"),
        ("on = 3", "on must be left out where every is 'day'"),
        ("days_bak = 3", "unknown key 'days_bak'.*Did you mean 'days_back'"),
        ("[schedules.parameters]\nk = 3", "has no parameter 'k'"),
    ],
)
def test_wrong_schedules_are_refused(tmp_path, write_book, more, message):
    """Everything in a schedule is checked when it is read, not in the night."""
    path = _schedule(tmp_path, write_book("1", parameters="as_of: str = ''  # day"), more)
    with pytest.raises(ParameterError, match=message):
        runner.run_due(path, out=tmp_path / "out", now=NOW)
