"""Who decided what, was it right, and who noticed?

Work comes first: a day, a site, a region and, given these, a policy. Reviewers err more often in
hard policies. A third of decisions is audited, one in seven is appealed; audits and appeals both
miss some errors and invent a few. A cause changes one of these chances for the rows it touches,
with the same random numbers, so the world without it is still there under the same seed.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rcakit.datasets.processes.review import draw_each, noticed, scaled_chance
from rcakit.datasets.scenario import Cause, Scenario
from rcakit.datasets.tables.column import Built, Column, conform
from rcakit.datasets.world import World

ABOUT = "One row per decision of a reviewer, with what its audit and its appeal said, if there were any."

COLUMNS = (
    Column("decision_id", pl.String(), "", "Key of the decision."),
    Column("decided_date", pl.Date(), "UTC day", "Day of the decision."),
    Column("policy", pl.String(), "", "Rule that was judged; spam and nudity are easy."),
    Column("site", pl.String(), "", "Where the reviewer works; 6 sites."),
    Column("wave", pl.String(), "", "Training wave of the site: 1 or 2."),
    Column("reviewer_id", pl.String(), "", "Reviewer; 15 a site."),
    Column("region", pl.String(), "", "Region of the user: north or south."),
    Column("handle_hours", pl.Float64(), "hours", "From the report to the decision."),
    Column("audit_team", pl.String(), "", "Who audited: inhouse or vendor; null where nobody did."),
    Column("is_correct", pl.Boolean(), "", "Verdict of the audit; null without one."),
    Column("is_overturned", pl.Boolean(), "", "Outcome of the appeal; null without one."),
)

SITES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir")
REGIONS = ("north", "south")
AUDIT_TEAMS = ("inhouse", "vendor")
POLICIES = ("spam", "hate_speech", "nudity", "fraud", "legal_request")

_DECISIONS_PER_REPORT = 0.8
_WAVE = np.array(["1", "1", "1", "2", "2", "2"])
_REVIEWERS_PER_SITE = 15
_VENDOR_SHARE, _SOUTH_SHARE = 0.4, 0.4
_HARD = np.array([1, 3])  # hate speech, the hardest, and fraud
_POLICY_WEIGHT = np.array([0.4, 0.2, 0.25, 0.15, 0.0])
_POLICY_ERROR = np.array([0.03, 0.13, 0.05, 0.07, 0.12])
_AUDITED, _APPEALED = 0.35, 0.15
_AUDIT_FINDS, _AUDIT_INVENTS = 0.9, 0.01
_APPEAL_FINDS, _APPEAL_INVENTS = 0.8, 0.05
_HOURS, _HOURS_PER_ERROR = 4.0, 30.0

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Work:
    """What came in, and what the causes touch of it."""

    world: World
    causes: tuple[Cause, ...]
    day: Codes
    named: dict[str, NDArray[np.str_]]

    def touched(self, cause: Cause) -> Flags:
        """Say which cases a cause touches; one that acts on the policy cannot name one."""
        first = self.world.day_index(cause.first_day)
        inside = (self.day >= first) & (self.day < first + -(-cause.duration_hours // 24))
        for name, value in cause.segment.items():
            inside = inside & (self.named[name] == value)
        return np.asarray(inside)

    def factors(self, *measures: str) -> list[tuple[Flags, float]]:
        """Return what each cause on these measures touches, and its factor."""
        found = [cause for cause in self.causes if cause.measure in measures]
        return [(self.touched(cause), cause.effect) for cause in found]


@dataclass(frozen=True, slots=True)
class _Errors:
    """Which decisions are wrong: usually, as auditors see it, and truly."""

    is_usual: Flags
    is_seen: Flags
    is_wrong: Flags

    def added(self) -> Codes:
        """Return 1 for an error that a cause added, and -1 for one it spared."""
        return np.asarray(self.is_wrong.astype(np.int64) - self.is_usual)


def build(world: World, scenario: Scenario) -> Built:
    """Make the decisions."""
    work = _arrivals(world, scenario.causes_on("decisions"))
    policy, usual_policy = _policies(work)
    work.named["policy"] = np.array(POLICIES)[policy]
    usual_error = _POLICY_ERROR[policy]
    errors = _errors(work, usual_error)
    looks, is_invented = _second_looks(work, errors)
    frame = pl.DataFrame(
        {
            "decision_id": [f"d{i:07d}" for i in range(policy.size)],
            "decided_date": _dates(world, work.day),
            **work.named,
            "handle_hours": np.round(_hours(work, usual_error), 2),
            **looks,
        }
    )
    changed = {
        "hard_share": policy != usual_policy,
        "hardest_share": policy != usual_policy,
        "exclusive": policy != usual_policy,
        "error": errors.added(),
        "unseen_error": errors.added(),
        "audit_error": is_invented,
        "hours": np.ones(policy.size, dtype=np.bool_),
    }
    excess = {
        cause.cause_id: int(np.sum(changed[cause.measure] & work.touched(cause)))
        for cause in work.causes
    }
    return Built(conform(frame, COLUMNS), excess)


def _arrivals(world: World, causes: tuple[Cause, ...]) -> _Work:
    """Draw day, site, region and reviewer of every case."""
    rng = world.stream("decisions")
    n_rows = round(world.size.n_days * world.size.reports_per_day * _DECISIONS_PER_REPORT)
    day = np.sort(rng.integers(0, world.size.n_days, n_rows))
    site = rng.integers(0, len(SITES), n_rows)
    reviewer = site * _REVIEWERS_PER_SITE + rng.integers(0, _REVIEWERS_PER_SITE, n_rows)
    team = np.where(rng.random(n_rows) < _VENDOR_SHARE, AUDIT_TEAMS[1], AUDIT_TEAMS[0])
    named = {
        "site": np.array(SITES)[site],
        "wave": _WAVE[site],
        "reviewer_id": np.char.add("reviewer-", np.char.zfill(reviewer.astype(str), 3)),
        "region": np.where(rng.random(n_rows) < _SOUTH_SHARE, REGIONS[1], REGIONS[0]),
        "audit_team": team,
    }
    return _Work(world, causes, day, named)


def _policies(work: _Work) -> tuple[Codes, Codes]:
    """Draw the policy of every case, and what it would have been without the causes."""
    usual = np.tile(_POLICY_WEIGHT, (work.day.size, 1))
    weight = usual.copy()
    for measure, policies in (("hard_share", _HARD), ("hardest_share", _HARD[:1])):
        for touched, factor in work.factors(measure):
            weight[np.ix_(touched, policies)] *= factor
    for touched, share in work.factors("exclusive"):
        weight[touched] *= 1 - share
        weight[touched, -1] = share
    return (
        draw_each(weight, work.world.stream("decisions", "policy")),
        draw_each(usual, work.world.stream("decisions", "policy")),
    )


def _errors(work: _Work, usual_error: Floats) -> _Errors:
    """Draw which decisions are wrong, and why."""
    draw = work.world.stream("decisions", "errors").random(usual_error.size)
    return _Errors(
        is_usual=draw < usual_error,
        is_seen=draw < scaled_chance(usual_error, work.factors("error")),
        is_wrong=draw < scaled_chance(usual_error, work.factors("error", "unseen_error")),
    )


def _second_looks(work: _Work, errors: _Errors) -> tuple[dict[str, pl.Series], Flags]:
    """Draw who was audited and who appealed, what came of it, and which errors audits invent."""
    rng = work.world.stream("decisions", "second_looks")
    n_rows = work.day.size
    is_audited, is_appealed = rng.random(n_rows) < _AUDITED, rng.random(n_rows) < _APPEALED
    usual = np.full(n_rows, _AUDIT_INVENTS)
    draw = rng.random(n_rows)
    found, usually_found = (
        noticed(errors.is_seen, found_share=_AUDIT_FINDS, false_chance=chance, draw=draw)
        for chance in (scaled_chance(usual, work.factors("audit_error")), usual)
    )
    granted = noticed(
        errors.is_wrong,
        found_share=_APPEAL_FINDS,
        false_chance=_APPEAL_INVENTS,
        draw=rng.random(n_rows),
    )
    looks = {
        "audit_team": _only(work.named["audit_team"], is_audited),
        "is_correct": _only(~found, is_audited),
        "is_overturned": _only(granted, is_appealed),
    }
    return looks, is_audited & found & ~usually_found


def _hours(work: _Work, usual_error: Floats) -> Floats:
    """Draw how long each case took; hard policies take longer."""
    rng = work.world.stream("decisions", "hours")
    hours = rng.exponential(_HOURS + _HOURS_PER_ERROR * usual_error)
    for touched, factor in work.factors("hours"):
        hours = np.where(touched, hours * factor, hours)
    return hours


def _dates(world: World, day: Codes) -> pl.Series:
    """Turn days counted from the start into dates."""
    first = (world.started_at.date() - dt.date(1970, 1, 1)).days
    return pl.Series((day + first).astype(np.int32)).cast(pl.Date)


def _only(values: NDArray[Any], flags: Flags) -> pl.Series:
    """Keep values where a flag stands; null elsewhere."""
    return pl.select(pl.when(pl.Series(flags)).then(pl.Series(values)).otherwise(None)).to_series()
