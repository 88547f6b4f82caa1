"""What was changed, when, and for whom?

Three sorts of entries: what the scenario needs, the releases of the app, and the routine of any week. Routine stops
three weeks before the end, so that only the scenario decides what lies near its cause.
"""

from itertools import count

import polars as pl

from rcakit.datasets.processes.rollout import releases
from rcakit.datasets.scenario import Change, Scenario, Segment
from rcakit.datasets.tables.column import TIMESTAMP, Built, Column, conform
from rcakit.datasets.world import World

KINDS = (
    "app_release",
    "data_pipeline",
    "external",
    "holiday",
    "model",
    "policy",
    "routing",
    "staffing",
    "ui",
    "vendor",
)

ABOUT = "One row per logged change; most of them did nothing to the numbers."

COLUMNS = (
    Column("change_id", pl.String(), "", "Key of the change, in order of time."),
    Column("changed_at", TIMESTAMP, "UTC timestamp", "When the change took effect."),
    Column("kind", pl.String(), "", f"One of {', '.join(KINDS)}."),
    Column("title", pl.String(), "", "What was changed, as logged."),
    Column(
        "scope",
        pl.String(),
        "",
        "Segment it touched, as `dimension=value;dimension=value`, or `all`.",
    ),
)

_QUIET_BEFORE_END_DAYS = 21
_DAYS_BETWEEN_ROUTINE = 6

_ROUTINE: tuple[tuple[str, str, Segment], ...] = (
    ("policy", "Clarified examples in the spam policy", {"policy": "spam"}),
    (
        "model",
        "Refreshed the nudity classifier",
        {"policy": "adult_nudity", "source": "classifier"},
    ),
    ("staffing", "Added a night shift for Hindi", {"language": "hi"}),
    ("routing", "Merged two queues for impersonation reports", {"policy": "impersonation"}),
    ("ui", "New icon in the live menu", {"surface": "live"}),
    ("vendor", "Moved Korean review to a second site", {"language": "ko"}),
    ("data_pipeline", "Rotated the keys of the report stream", {}),
    ("external", "Carrier outage in Nigeria", {"country": "NG"}),
    ("holiday", "Long weekend in Germany", {"country": "DE"}),
    (
        "model",
        "Lowered the fake-engagement threshold",
        {"policy": "fake_engagement", "source": "classifier"},
    ),
    ("policy", "New wording for regulated goods", {"policy": "regulated_goods"}),
)


def build(world: World, scenario: Scenario) -> Built:
    """Make the change log."""
    rows = [
        {"change_id": change_id, **_row(world, change)}
        for change_id, change in number(world, scenario).items()
    ]
    return Built(conform(pl.DataFrame(rows), COLUMNS))


def number(world: World, scenario: Scenario) -> dict[str, Change]:
    """Give every change its key, in order of time, so that a key says nothing about guilt."""
    changes = (*scenario.changes(), *_app_releases(world), *_routine(world))
    in_time = sorted(changes, key=lambda change: (change.day, change.time_of_day, change.title))
    return {f"chg{position:03d}": change for position, change in enumerate(in_time, start=1)}


def scope_text(scope: Segment) -> str:
    """Write a scope as the log has it."""
    return ";".join(f"{name}={value}" for name, value in scope.items()) or "all"


def _row(world: World, change: Change) -> dict[str, object]:
    """Write one entry."""
    return {
        "changed_at": world.instant(change.day, change.time_of_day),
        "kind": change.kind,
        "title": change.title,
        "scope": scope_text(change.scope),
    }


def _app_releases(world: World) -> list[Change]:
    """Log the first day of every version that came out during the period."""
    return [
        Change(
            day=release.day - world.size.n_days,
            time_of_day="10:00",
            kind="app_release",
            title=f"App {release.version}: staged roll-out begins",
            scope={"app_version": release.version},
        )
        for release in releases(world.size.n_days)
        if release.day >= 0
    ]


def _routine(world: World) -> list[Change]:
    """Log the small changes of ordinary weeks."""
    rng = world.stream("change_log")
    changes: list[Change] = []
    day = -world.size.n_days
    for position in count():
        day += int(rng.integers(2, 2 * _DAYS_BETWEEN_ROUTINE - 2, endpoint=True))
        if day >= -_QUIET_BEFORE_END_DAYS:
            return changes
        kind, title, scope = _ROUTINE[position % len(_ROUTINE)]
        changes.append(
            Change(day, f"{rng.integers(7, 19):02d}:{rng.integers(60):02d}", kind, title, scope)
        )
    return changes
