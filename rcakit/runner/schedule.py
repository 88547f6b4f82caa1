"""What is due now? Runs by day, week or month, each once for the day that it is about.

::

    retries = 1
    timeout = 1800

    [[schedules]]
    name = "morning spikes"
    playbook = "metric_spike"
    every = "day"                # day, weekday, week or month
    at = "06:00"
    tz = "Europe/Lisbon"         # default UTC
    date_parameter = "as_of"     # is given the day that the run is about …
    days_back = 1                # … which is the day before it is due
    catch_up = 3                 # due days to make good after a standstill; default 1
    [schedules.parameters]
    source = "exports/reports.parquet"

A weekly schedule says ``on = "monday"``, a monthly one ``on = 1`` (up to 28).
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rcakit.errors import ParameterError
from rcakit.ledger import Ledger, open_ledger
from rcakit.playbook import Playbook, find
from rcakit.redaction import check_no_secrets
from rcakit.runner import folders
from rcakit.runner.batch import (
    LIMITS,
    Item,
    Limits,
    Summary,
    Task,
    Teller,
    check_keys,
    exclusive,
    read_toml,
    work_off,
)
from rcakit.runner.single import mend
from rcakit.validation import check_choice, check_integer, refusal

__all__ = ["Schedule", "due_days", "read_schedules", "run_due"]

_KEYS = {
    "name", "playbook", "every", "on", "at", "tz", "date_parameter", "days_back", "catch_up",
    "parameters",
}  # fmt: skip
_EVERY = ("day", "weekday", "week", "month")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# A run that was killed or cancelled is taken up again, but not for ever.
_MOST_ATTEMPTS = 3
_LONGEST_CATCH_UP = 366


@dataclass(frozen=True, slots=True)
class Schedule:
    """One playbook at set times.

    Attributes
    ----------
    name
        By which the ledger knows its runs.
    playbook, parameters
        What is run.
    every, on
        ``day``, ``weekday``, ``week`` (on a weekday, 0 is Monday) or ``month`` (on a day).
    at, tz
        Local time from which it is due.
    date_parameter
        Parameter that is given the logical date; None for none.
    days_back
        Days from the logical date to the day on which the run is due.
    catch_up
        How many of the last due days are run when they have not been.
    """

    name: str
    playbook: Playbook
    parameters: Mapping[str, Any] = field(default_factory=dict)
    every: str = "day"
    on: int = 0
    at: dt.time = dt.time(6)
    tz: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    date_parameter: str | None = None
    days_back: int = 1
    catch_up: int = 1

    def item(self, logical_date: dt.date) -> Item:
        """Return the run for one logical date, with checked parameters."""
        given = dict(self.parameters)
        if self.date_parameter is not None:
            given[self.date_parameter] = logical_date.isoformat()
        values = self.playbook.check(given)
        check_no_secrets(iter(values))
        return Item(self.playbook, values, given)


def run_due(
    path: str | Path,
    *,
    out: str | Path = "reports",
    now: str | dt.datetime | None = None,
    dry_run: bool = False,
    tell: Teller | None = None,
) -> Summary:
    """Run what is due by a schedule file and has not run yet.

    Parameters
    ----------
    path
        The file. While one call works on it, others return at once with nothing done.
    out
        Folder of the reports.
    now
        The time to take for now; naive times are UTC.
    dry_run
        Tell what is due, with the status ``due``, and run nothing.
    tell
        Called with each outcome, how many are done, and how many there are.
    """
    table = read_toml(path, {*LIMITS, "schedules"})
    schedules = read_schedules(path)
    home = folders.made(Path(out).absolute())
    with exclusive(Path(path)) as is_held, open_ledger(home) as ledger:
        if not is_held:
            return Summary((), 0)
        mend(ledger, home)
        moment = _moment(now)
        tasks = [task for schedule in schedules for task in _tasks(schedule, ledger, moment)]
        if dry_run:
            return Summary((), len(tasks), pending=tuple(str(task.item) for task in tasks))
        return work_off(tasks, Limits.read(table), out=home, tell=tell)


def read_schedules(path: str | Path) -> tuple[Schedule, ...]:
    """Read a schedule file; everything in it is checked before anything runs."""
    entries = read_toml(path, {*LIMITS, "schedules"}).get("schedules")
    if not isinstance(entries, list) or not entries:
        raise ParameterError(f"{Path(path).name} must have at least one [[schedules]], got none.")
    found = tuple(_schedule(entry) for entry in entries)
    names = [schedule.name for schedule in found]
    if len(set(names)) < len(names):
        raise refusal("name", "different for each of [[schedules]]", names)
    return found


def due_days(schedule: Schedule, now: dt.datetime) -> list[dt.date]:
    """Return the last days on which a schedule was due, oldest first, as many as it makes good.

    Parameters
    ----------
    now
        With a time zone.
    """
    day = now.astimezone(schedule.tz).date()
    days: list[dt.date] = []
    for _ in range(_LONGEST_CATCH_UP):
        due = dt.datetime.combine(day, schedule.at, tzinfo=schedule.tz)
        if len(days) < schedule.catch_up and due <= now and _is_due_on(schedule, day):
            days.append(day)
        day -= dt.timedelta(days=1)
    return days[::-1]


def _is_due_on(schedule: Schedule, day: dt.date) -> bool:
    if schedule.every == "weekday":
        return day.weekday() < 5
    if schedule.every == "week":
        return day.weekday() == schedule.on
    return schedule.every == "day" or day.day == schedule.on


def _tasks(schedule: Schedule, ledger: Ledger, now: dt.datetime) -> Iterator[Task]:
    """Return what has not run yet: one task for each due day."""
    job = f"schedule-{schedule.name}"
    known = {row["logical_date"]: row for row in reversed(ledger.runs(job=job))}
    for day in due_days(schedule, now):
        logical_date = day - dt.timedelta(days=schedule.days_back)
        note = {"job": job, "logical_date": logical_date.isoformat()}
        row = known.get(logical_date.isoformat())
        if row is not None:
            was_cut_off = row["status"] in {"killed", "cancelled"}
            if not was_cut_off or row["attempts"] >= _MOST_ATTEMPTS:
                continue
            note |= {"run_id": row["run_id"], "attempts": row["attempts"] + 1}
        yield Task(schedule.item(logical_date), note)


def _schedule(entry: Any) -> Schedule:
    if not isinstance(entry, Mapping):
        raise ParameterError(f"schedules must be tables written as [[schedules]], got {entry!r}.")
    check_keys(entry, _KEYS, "[[schedules]]")
    for name in ("name", "playbook"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise refusal(name, "a text in each of [[schedules]]", entry.get(name))
    every = check_choice(entry.get("every", "day"), "every", _EVERY)
    made = Schedule(
        name=entry["name"],
        playbook=find(entry["playbook"]),
        parameters=entry.get("parameters", {}),
        every=every,
        on=_on(every, entry.get("on")),
        at=_time(entry.get("at", "06:00")),
        tz=_zone(entry.get("tz", "UTC")),
        date_parameter=entry.get("date_parameter"),
        days_back=check_integer(entry.get("days_back", 1), "days_back", ge=0, le=31),
        catch_up=check_integer(entry.get("catch_up", 1), "catch_up", ge=1, le=31),
    )
    made.item(dt.date(2026, 1, 1))  # wrong parameters are refused now, not in the night
    return made


def _on(every: str, given: Any) -> int:
    if every == "week":
        return _DAYS.index(check_choice(given, "on", _DAYS, hint="It is the day of the week."))
    if every == "month":
        return check_integer(given, "on", ge=1, le=28, hint="It is the day of the month.")
    if given is not None:
        raise refusal("on", f"left out where every is {every!r}", given)
    return 0


def _time(given: Any) -> dt.time:
    try:
        return given if isinstance(given, dt.time) else dt.time.fromisoformat(str(given))
    except ValueError:
        raise refusal("at", "a time such as 06:00", given) from None


def _zone(given: Any) -> ZoneInfo:
    try:
        return ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise refusal("tz", "a time zone such as Europe/Lisbon", given) from None


def _moment(now: str | dt.datetime | None) -> dt.datetime:
    if now is None:
        return dt.datetime.now(dt.UTC)
    try:
        moment = dt.datetime.fromisoformat(now) if isinstance(now, str) else now
    except ValueError:
        raise refusal("now", "an ISO time such as 2026-03-31T06:05", now) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
