"""What should an analysis have found? The truth as plain JSON."""

from datetime import timedelta
from typing import Any

from rcakit.datasets.scenario import Cause, Change, Scenario
from rcakit.datasets.tables import change_log
from rcakit.datasets.world import World


def tell(world: World, scenario: Scenario, excess: dict[str, int]) -> dict[str, Any]:
    """Write down what was planted.

    Parameters
    ----------
    world, scenario
        What the data were made from.
    excess
        Rows that each cause truly added to the tables, or removed from them (below 0).

    Returns
    -------
    dict
        Plain JSON. Windows and the period include both days; timestamps are UTC.
    """
    keys = {_identity(change): key for key, change in change_log.number(world, scenario).items()}
    last_day = world.ended_at - timedelta(days=1)
    return {
        "scenario": scenario.name,
        "size": world.size.name,
        "seed": world.seed,
        "period": [world.started_at.date().isoformat(), last_day.date().isoformat()],
        "verdict": scenario.verdict,
        "causes": [_cause(world, cause, excess[cause.cause_id], keys) for cause in scenario.causes],
        "decoys": [
            {"change_id": keys[_identity(decoy.change)], "why": decoy.why}
            for decoy in scenario.decoys
        ],
    }


def _cause(world: World, cause: Cause, excess: int, keys: dict[str, str]) -> dict[str, Any]:
    """Write down one cause."""
    first_day = max(cause.first_day, -world.size.n_days)
    started_at = world.instant(first_day)
    ended_at = min(started_at + timedelta(hours=cause.duration_hours), world.ended_at)
    last_day = ended_at - timedelta(seconds=1)
    return {
        "cause_id": cause.cause_id,
        "table": cause.table,
        "window": [started_at.date().isoformat(), last_day.date().isoformat()],
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat(),
        "segment": cause.segment,
        "effect": cause.effect,
        **({} if cause.measure == "count" else {"measure": cause.measure}),
        "excess": excess,
        "change_id": keys[_identity(cause.change)] if cause.change else None,
        "fix_change_id": keys[_identity(cause.fix)] if cause.fix else None,
        "acceptable": list(cause.acceptable),
        "forbidden": list(cause.forbidden),
    }


def _identity(change: Change) -> str:
    """Name a change by what the log shows of it (its scope is a dict, so a change cannot be a key itself)."""
    return f"{change.day} {change.time_of_day} {change.title}"
