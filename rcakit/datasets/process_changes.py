"""What do tables look like when a way of working was changed, and we know what that did?

Made-up stories of changed processes, one for every way in which a change can come: chance chose the
users, the reviewers or the hours; teams changed wave after wave; everybody changed on a day. Some
changes do nothing, and some tables are broken in a way that forbids an answer.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rcakit.datasets.dataset import Dataset

STARTED_AT = dt.date(2026, 1, 5)  # a Monday

_SCALE = MappingProxyType({"tiny": 0.5, "small": 1.0, "medium": 4.0, "large": 16.0})
_Design = Literal["randomised", "clusters", "switchback", "rollout", "pre_post"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One change of a process.

    Attributes
    ----------
    description
        One line.
    design
        How the change came.
    verdict
        What a good analysis concludes.
    effect
        What the change does: a factor on the outcome (1 for nothing), once it is in full force.
    columns
        Which columns play which part; the parameters of an analysis.
    fades
        Whether the effect is gone after some weeks.
    lost_share
        Share of the changed arm's busier half whose rows never arrive.
    early_wave
        Whether the last wave works the new way long before its date.
    spike
        Whether a spike provoked the change, and fades by itself.
    verdict_without
        What to leave out, and the verdict without it.
    """

    description: str
    design: _Design
    verdict: str
    effect: float = 1.0
    columns: MappingProxyType[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    fades: bool = False
    lost_share: float = 0.0
    early_wave: bool = False
    spike: bool = False
    verdict_without: str | None = None


_USERS = MappingProxyType(
    {
        "table": "users",
        "outcome": "violations_count",
        "variant": "arm",
        "unit": "user_id",
        "guardrails": {"appeals_count": 0.15},
    }
)
_REVIEWS = MappingProxyType(
    {"table": "tasks", "outcome": "is_overturned", "variant": "arm", "unit": "task_id"}
)
_BLOCKS = MappingProxyType(
    {"table": "tasks", "outcome": "minutes", "variant": "arm", "time": "decided_at"}
)
_WAVES = MappingProxyType(
    {
        "table": "team_weeks",
        "outcome": "overturned_count",
        "denominator": "audited_count",
        "unit": "team_id",
        "time": "week_date",
        "start": "start_date",
        "adopted": "new_way_count",
        "adopted_of": "decisions_count",
        "guardrails": {"escalated_count / decisions_count": 0.2},
    }
)
_DAYS = MappingProxyType({"table": "days", "outcome": "reports_count", "time": "date"})

TRIALS: dict[str, Trial] = {
    "users_split": Trial(
        "Chance shows half of the users a clearer rule screen, and they break rules less often.",
        "randomised", "improved", 0.85, _USERS,
    ),
    "users_split_lost_rows": Trial(
        "The same split, but the app of the new arm fails to log part of its busy users.",
        "randomised", "cannot_tell", 1.0, _USERS, lost_share=0.4,
    ),
    "reviewers_split": Trial(
        "Chance gives half of the reviewers a checklist, and their decisions are overturned less.",
        "clusters", "improved", 0.7, _REVIEWS,
    ),
    "hours_switchback": Trial(
        "Chance switches the order of the queue by blocks of four hours, and decisions get faster.",
        "switchback", "improved", 0.9, _BLOCKS,
    ),
    "waves_with_effect": Trial(
        "Teams get a decision guide wave after wave, and their decisions are overturned less.",
        "rollout", "improved", 0.65, _WAVES,
    ),
    "waves_without_effect": Trial(
        "Teams get a decision guide wave after wave, and it changes nothing.",
        "rollout", "no_clear_effect", 1.0, _WAVES,
    ),
    "waves_fading": Trial(
        "Teams get a decision guide wave after wave; it helps at first and is forgotten.",
        "rollout", "faded", 0.5, _WAVES, fades=True,
    ),
    "waves_contaminated": Trial(
        "The last wave works with the guide weeks before its date, so it is no comparison.",
        "rollout", "cannot_tell", 0.65, _WAVES, early_wave=True, verdict_without="improved",
    ),
    "everyone_on_a_day": Trial(
        "Everybody changes on one day, and fewer reports come in.",
        "pre_post", "improved", 0.85, _DAYS,
    ),
    "launched_in_a_spike": Trial(
        "A spike provokes a change that does nothing; the spike fades by itself.",
        "pre_post", "no_clear_effect", 1.0, _DAYS, spike=True,
    ),
}  # fmt: skip


def make_trial(name: str, *, size: str, seed: int) -> Dataset:
    """Make the tables of one change.

    Parameters
    ----------
    name
        One of `TRIALS`.
    size
        As for `rcakit.datasets.make`; it scales users, tasks and reports, not the calendar.
    seed
        Where the random streams start.

    Returns
    -------
    Dataset
        The table that ``truth["columns"]["table"]`` names, and ``change_log``.
    """
    trial = TRIALS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    frame, launched = _MAKERS[trial.design](trial, _SCALE.get(size, 1.0), rng)
    log = pl.DataFrame(
        {
            "change_id": ["p00"],
            "changed_at": [launched],
            "kind": ["process"],
            "title": [trial.description],
            "scope": [""],
        }
    )
    table = trial.columns["table"]
    return Dataset({table: frame, "change_log": log}, _truth(name, trial, size, seed, launched))


def _users(trial: Trial, scale: float, rng: np.random.Generator) -> tuple[pl.DataFrame, dt.date]:
    """One row per user: who was drawn, and what the user did before and after."""
    n = round(6000 * scale)
    is_new = rng.random(n) < 0.5
    habit = rng.gamma(1.2, 1 / 1.2, n)
    before = rng.poisson(2.0 * habit)
    after = rng.poisson(2.0 * habit * np.where(is_new, trial.effect, 1.0))
    frame = pl.DataFrame(
        {
            "user_id": [f"u{i:06d}" for i in range(n)],
            "assigned_date": _dates(rng.integers(0, 14, n)),
            "arm": np.where(is_new, "new_screen", "control"),
            "country": rng.choice(["BR", "DE", "IN", "US"], n, p=[0.3, 0.1, 0.4, 0.2]),
            "pre_violations_count": before,
            "violations_count": after,
            "appeals_count": rng.poisson(0.5 * habit),
        }
    )
    lost = is_new & (after >= 2) & (rng.random(n) < trial.lost_share)
    return frame.filter(~lost), STARTED_AT


def _reviews(trial: Trial, scale: float, rng: np.random.Generator) -> tuple[pl.DataFrame, dt.date]:
    """One row per task; reviewers were drawn, and reviewers differ."""
    n_reviewers, n = 80, round(16_000 * scale)
    is_new = np.zeros(n_reviewers, dtype=bool)
    is_new[rng.permutation(n_reviewers)[: n_reviewers // 2]] = True
    skill = np.clip(rng.normal(0.12, 0.02, n_reviewers), 0.03, 0.3)
    reviewer = rng.integers(0, n_reviewers, n)
    chance = skill[reviewer] * np.where(is_new[reviewer], trial.effect, 1.0)
    frame = pl.DataFrame(
        {
            "task_id": [f"t{i:07d}" for i in range(n)],
            "decided_at": _moments(np.sort(rng.integers(0, 28 * 24 * 60, n))),
            "reviewer_id": [f"reviewer-{i:02d}" for i in reviewer],
            "arm": np.where(is_new[reviewer], "checklist", "control"),
            "policy": rng.choice(["spam", "hate_speech", "fraud"], n, p=[0.5, 0.3, 0.2]),
            "is_overturned": rng.random(n) < chance,
        }
    )
    return frame, STARTED_AT


def _blocks(trial: Trial, scale: float, rng: np.random.Generator) -> tuple[pl.DataFrame, dt.date]:
    """One row per task; blocks of four hours were drawn, and busy hours last."""
    n_hours, block, n = 28 * 24, 4, round(20_000 * scale)
    is_new = np.repeat(rng.random(n_hours // block) < 0.5, block)
    load = np.zeros(n_hours)
    for now in range(1, n_hours):
        load[now] = 0.6 * load[now - 1] + rng.normal(0, 0.05)
    minute = np.sort(rng.integers(0, n_hours * 60, n))
    hour = minute // 60
    usual = 12.0 * np.exp(load[hour]) * np.where(is_new[hour], trial.effect, 1.0)
    frame = pl.DataFrame(
        {
            "task_id": [f"t{i:07d}" for i in range(n)],
            "decided_at": _moments(minute),
            "arm": np.where(is_new[hour], "oldest_first", "control"),
            "reviewer_id": [f"reviewer-{i:02d}" for i in rng.integers(0, 40, n)],
            "minutes": np.round(usual * rng.gamma(2.0, 0.5, n), 2),
        }
    )
    return frame, STARTED_AT


def _waves(trial: Trial, scale: float, rng: np.random.Generator) -> tuple[pl.DataFrame, dt.date]:
    """One row per team and week; a third of the teams never changes within the weeks."""
    n_weeks, starts = 26, np.repeat([9, 13, 17, 99], [12, 12, 12, 14])
    n_teams = starts.size
    week = np.arange(n_weeks)
    usual = np.clip(rng.normal(0.12, 0.02, n_teams), 0.05, 0.2)
    shared = rng.normal(0, 0.004, n_weeks).cumsum()
    since = week - starts[:, None]
    begun = np.clip((since + 1) / 2, 0, 1)  # half of the way in the first week
    if trial.fades:
        begun = begun * np.clip(1 - (since - 2) / 4, 0, 1)
    works_new = np.where(since >= 0, 0.9, 0.0)
    if trial.early_wave:
        early = (starts == 17)[:, None] & (week >= 7)
        begun, works_new = np.where(early, 1.0, begun), np.where(early, 0.85, works_new)
    chance = np.clip((usual[:, None] + shared) * (1 - (1 - trial.effect) * begun), 0.005, 0.6)
    decisions = rng.poisson(400 * scale, (n_teams, n_weeks))
    audited = rng.binomial(decisions, 0.35)
    names = [f"team-{i:02d}" for i in range(n_teams)]
    dates = [STARTED_AT + dt.timedelta(weeks=int(first)) for first in starts]
    frame = pl.DataFrame(
        {
            "team_id": np.repeat(names, n_weeks),
            "site": np.repeat([f"site-{i % 5}" for i in range(n_teams)], n_weeks),
            "week_date": _dates(np.tile(week * 7, n_teams)),
            "start_date": [
                day if first < n_weeks else None
                for day, first in zip(dates, starts, strict=True)
                for _ in week
            ],
            "decisions_count": decisions.ravel(),
            "audited_count": audited.ravel(),
            "overturned_count": rng.binomial(audited, chance).ravel(),
            "escalated_count": rng.binomial(decisions, 0.05).ravel(),
            "new_way_count": rng.binomial(decisions, works_new).ravel(),
        }
    )
    return frame, STARTED_AT + dt.timedelta(weeks=9)


def _days(trial: Trial, scale: float, rng: np.random.Generator) -> tuple[pl.DataFrame, dt.date]:
    """One row per day: reports, and the appeals that the change cannot touch."""
    n_days, launch = 182, 126
    day = np.arange(n_days)
    memory = np.zeros((2, n_days))
    for today in range(1, n_days):
        memory[:, today] = 0.4 * memory[:, today - 1] + rng.normal(0, 0.04, 2)
    week = np.array([1.05, 1.02, 1.0, 1.0, 1.03, 0.92, 0.9])[day % 7]
    expected = 500 * scale * week * np.exp(memory[0])
    expected = expected * np.where(day >= launch, trial.effect, 1.0)
    if trial.spike:
        since = day - (launch - 5)
        expected = expected * (1 + 0.5 * np.where(since >= 0, np.exp(-since / 4), 0.0))
    frame = pl.DataFrame(
        {
            "date": _dates(day),
            "reports_count": rng.poisson(expected),
            "partner_reports_count": rng.poisson(200 * scale * week * np.exp(memory[1])),
        }
    )
    return frame, STARTED_AT + dt.timedelta(days=launch)


_MAKERS: dict[str, Callable[[Trial, float, np.random.Generator], tuple[pl.DataFrame, dt.date]]] = {
    "randomised": _users,
    "clusters": _reviews,
    "switchback": _blocks,
    "rollout": _waves,
    "pre_post": _days,
}


def _truth(name: str, trial: Trial, size: str, seed: int, launched: dt.date) -> dict[str, Any]:
    columns = dict(trial.columns)
    if trial.design == "pre_post":
        columns["at"] = launched.isoformat()
    return {
        "scenario": name,
        "size": size,
        "seed": seed,
        "design": trial.design,
        "verdict": trial.verdict,
        "effect": trial.effect,
        "launched": launched.isoformat(),
        "columns": columns,
        "better": "lower",
        "leave_out": [f"team-{i:02d}" for i in range(24, 36)] if trial.early_wave else [],
        "verdict_without": trial.verdict_without,
    }


def _dates(offsets: NDArray[np.int64]) -> pl.Series:
    first = (STARTED_AT - dt.date(1970, 1, 1)).days
    return pl.Series(np.asarray(offsets) + first).cast(pl.Int32).cast(pl.Date)


def _moments(minutes: NDArray[np.int64]) -> pl.Series:
    first = int(
        dt.datetime(STARTED_AT.year, STARTED_AT.month, STARTED_AT.day, tzinfo=dt.UTC).timestamp()
    )
    return pl.Series((minutes * 60 + first) * 1_000_000).cast(pl.Datetime("us", "UTC"))
