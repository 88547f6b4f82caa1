"""What do decisions, their audits and appeals look like when we know why quality moved?

Made-up stories of review work. Each story changes one thing in the same usual world: how often
decisions of a wave of sites, a policy or a reviewer are right, whom work is sent to, and whether
auditors see the errors. Appeals always find part of the true errors, whatever auditors think.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rcakit.datasets.dataset import Dataset
from rcakit.datasets.sizes import SIZES

STARTED_AT = dt.date(2026, 1, 5)  # a Monday

POLICIES = ("spam", "hate_speech", "nudity", "fraud")
_POLICY_SHARE = np.array([0.4, 0.2, 0.25, 0.15])
_POLICY_ERROR = np.array([0.03, 0.09, 0.05, 0.07])
SITES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir")
_WAVE_OF_SITE = (1, 1, 1, 2, 2, 2)
_REVIEWERS_PER_SITE = 15
_CHECKED_SHARE, _APPEALED_SHARE = 0.35, 0.15


@dataclass(frozen=True, slots=True)
class Story:
    """One change of the usual world, from a day counted from the end on.

    Attributes
    ----------
    description
        One line.
    verdict
        What a good analysis concludes.
    segment
        Whose decisions get worse; empty for nobody's.
    added_error
        By how much their chance of an error rises.
    first_day
        Day on which it sets in, from the end of the period.
    auditors_share_error
        Whether auditors call the added errors right.
    hard_work_site
        Site that is sent mostly the hardest policy.
    better_site
        Site whose decisions are better than others' at equal policy.
    slow_region
        Region whose cases take longer at equal policy; None when none does.
    hard_region
        Region with more cases of the slow policies.
    inverted_reviewer
        Whether one reviewer of the double-checked sample swaps labels.
    change
        Entry of the change log that brought it.
    """

    description: str
    verdict: str
    segment: tuple[tuple[str, Any], ...] = ()
    added_error: float = 0.0
    first_day: int = -28
    auditors_share_error: bool = False
    hard_work_site: str | None = None
    better_site: str | None = None
    slow_region: str | None = None
    hard_region: str | None = None
    inverted_reviewer: bool = False
    change: str | None = None


STORIES: dict[str, Story] = {
    "qa_drop_untrained_wave": Story(
        "Accuracy falls for hate speech, only at the sites not yet trained on its new guideline.",
        "localised",
        segment=(("policy", "hate_speech"), ("wave", 2)),
        added_error=0.4,
        change="Hate speech guideline v7 in force",
    ),
    "shared_outdated_guideline": Story(
        "Reviewers and auditors follow the same outdated guideline: audits see nothing, appeals do.",
        "shared_error",
        segment=(("policy", "fraud"),),
        added_error=0.3,
        auditors_share_error=True,
        change="Fraud guideline v3 in force",
    ),
    "simpson_reversal": Story(
        "A site looks worse because it is sent the hard work; at equal work it is better.",
        "reversal",
        hard_work_site="Fir",
        better_site="Fir",
    ),
    "apparent_disparity": Story(
        "One region waits longer, but only because its cases are of slower policies.",
        "explained_by_mix",
        hard_region="south",
    ),
    "real_disparity": Story(
        "One region waits longer at equal case mix.",
        "gap_remains",
        hard_region="south",
        slow_region="south",
    ),
    "inverted_reviewer": Story(
        "One reviewer of the double-checked sample swaps the labels.",
        "inverted_rater",
        inverted_reviewer=True,
    ),
    "quality_quiet": Story("Nothing happens to quality.", "no_evidence"),
}


def make_decisions(name: str, *, size: str, seed: int) -> Dataset:
    """Make the tables of one story.

    Parameters
    ----------
    name
        One of `STORIES`.
    size
        As for `rcakit.datasets.make`.
    seed
        Where the random streams start.

    Returns
    -------
    Dataset
        Tables ``decisions``, ``ratings`` (a sample labelled by several reviewers), ``quality_weeks``
        (audits and appeals per week) and ``change_log``.
    """
    story = STORIES[name]
    n_days = SIZES[size].n_days
    decisions = _decisions(story, n_days, SIZES[size].n_days * _per_day(size), seed)
    onset = STARTED_AT + dt.timedelta(days=n_days + story.first_day)
    tables = {
        "decisions": decisions,
        "ratings": _ratings(story, seed),
        "quality_weeks": _weeks(decisions),
        "change_log": _change_log(story, onset, n_days),
    }
    return Dataset(tables, _truth(name, story, size, seed, onset, n_days))


def _per_day(size: str) -> int:
    return {"tiny": 150, "small": 400, "medium": 4_000, "large": 20_000}.get(size, 400)


def _decisions(story: Story, n_days: int, n_rows: int, seed: int) -> pl.DataFrame:
    """Draw decisions with their audit and appeal."""
    rng = np.random.default_rng([seed, 1])
    day = np.sort(rng.integers(0, n_days, n_rows))
    site = rng.integers(0, len(SITES), n_rows)
    region = np.where(rng.random(n_rows) < 0.4, "south", "north")
    policy = _policies(story, site, region, rng)
    wave = np.array(_WAVE_OF_SITE)[site]
    added = _added_error(story, policy, wave, site, day, n_days)
    usual = _POLICY_ERROR[policy]
    usual = np.where(np.isin(site, _sites(story.better_site)), usual * 0.75, usual)
    wrong_usual = rng.random(n_rows) < usual
    wrong_added = rng.random(n_rows) < added
    wrong = wrong_usual | wrong_added
    seen = wrong_usual | (wrong_added & (not story.auditors_share_error))
    audited = rng.random(n_rows) < _CHECKED_SHARE
    # auditors miss one error in ten and call one right decision in a hundred wrong
    found = np.where(seen, rng.random(n_rows) < 0.9, rng.random(n_rows) < 0.01)
    appealed = rng.random(n_rows) < _APPEALED_SHARE
    granted = np.where(wrong, rng.random(n_rows) < 0.8, rng.random(n_rows) < 0.05)
    hours = rng.exponential(4.0 + 30.0 * usual * (1 if story.better_site is None else 0), n_rows)
    hours = hours * np.where(region == story.slow_region, 1.3, 1.0)
    reviewer = site * _REVIEWERS_PER_SITE + rng.integers(0, _REVIEWERS_PER_SITE, n_rows)
    return pl.DataFrame(
        {
            "decision_id": [f"d{i:07d}" for i in range(n_rows)],
            "decided_date": pl.Series(day).cast(pl.Int32) + (STARTED_AT - dt.date(1970, 1, 1)).days,
            "policy": np.array(POLICIES)[policy],
            "site": np.array(SITES)[site],
            "wave": wave,
            "reviewer_id": [f"reviewer-{i:03d}" for i in reviewer],
            "region": region,
            "handle_hours": np.round(hours, 3),
            "is_audited": audited,
            "is_correct": pl.Series(audited & ~found),
            "is_appealed": appealed,
            "is_overturned": pl.Series(appealed & granted),
        }
    ).with_columns(
        pl.col("decided_date").cast(pl.Date),
        pl.when("is_audited").then("is_correct").alias("is_correct"),
        pl.when("is_appealed").then("is_overturned").alias("is_overturned"),
    )


def _policies(
    story: Story, site: np.ndarray, region: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the policy of each decision; some sites and regions get harder ones."""
    usual = rng.choice(len(POLICIES), site.size, p=_POLICY_SHARE)
    slower = rng.choice(len(POLICIES), site.size, p=[0.1, 0.6, 0.1, 0.2])
    hardest = rng.choice(len(POLICIES), site.size, p=[0.02, 0.85, 0.03, 0.1])
    usual = np.where(region == story.hard_region, slower, usual)
    return np.where(np.isin(site, _sites(story.hard_work_site)), hardest, usual)


def _added_error(
    story: Story,
    policy: np.ndarray,
    wave: np.ndarray,
    site: np.ndarray,
    day: np.ndarray,
    n_days: int,
) -> np.ndarray:
    """Return by how much the story raises the chance of an error."""
    inside = day >= n_days + story.first_day
    columns = {"policy": np.array(POLICIES)[policy], "wave": wave, "site": np.array(SITES)[site]}
    for name, value in story.segment:
        inside = inside & (columns[name] == value)
    return np.where(inside, story.added_error, 0.0)


def _ratings(story: Story, seed: int) -> pl.DataFrame:
    """Draw a sample that five reviewers label independently."""
    rng = np.random.default_rng([seed, 2])
    n_items, skill = 600, np.array([0.93, 0.9, 0.88, 0.86, 0.84])
    if story.inverted_reviewer:
        skill[3] = 1 - skill[3]
    truth = rng.random(n_items) < 0.35
    right = rng.random((n_items, skill.size)) < skill
    label = np.where(right, truth[:, None], ~truth[:, None])
    return pl.DataFrame(
        {
            "item_id": np.repeat([f"i{i:04d}" for i in range(n_items)], skill.size),
            "rater_id": [f"rater-{i}" for i in range(skill.size)] * n_items,
            "label": np.where(label.ravel(), "violates", "keeps"),
        }
    )


def _weeks(decisions: pl.DataFrame) -> pl.DataFrame:
    """Add up audits and appeals per week."""
    return (
        decisions.group_by(week_date=pl.col("decided_date").dt.truncate("1w"))
        .agg(
            audited_count=pl.col("is_correct").count(),
            agreed_count=pl.col("is_correct").sum(),
            appealed_count=pl.col("is_overturned").count(),
            overturned_count=pl.col("is_overturned").sum(),
        )
        .sort("week_date")
    )


def _change_log(story: Story, onset: dt.date, n_days: int) -> pl.DataFrame:
    """Log the change of the story, and changes that did nothing."""
    end = STARTED_AT + dt.timedelta(days=n_days)
    entries = [
        (onset - dt.timedelta(days=2), "tool", "Review tool 5.2 released", ""),
        (end - dt.timedelta(days=6), "staffing", "Night shift at Alder doubled", "site=Alder"),
    ]
    if story.change:
        scope = ";".join(f"{name}={value}" for name, value in story.segment)
        entries.append((onset, "policy", story.change, scope))
    entries.sort(key=lambda entry: entry[0])
    return pl.DataFrame(
        [(f"q{i:02d}", *entry) for i, entry in enumerate(entries)],
        schema=["change_id", "changed_at", "kind", "title", "scope"],
        orient="row",
    )


def _truth(
    name: str, story: Story, size: str, seed: int, onset: dt.date, n_days: int
) -> dict[str, Any]:
    last = STARTED_AT + dt.timedelta(days=n_days - 1)
    return {
        "scenario": name,
        "size": size,
        "seed": seed,
        "period": [STARTED_AT.isoformat(), last.isoformat()],
        "verdict": story.verdict,
        "onset": onset.isoformat() if story.segment else None,
        "segment": dict(story.segment),
        "added_error": story.added_error,
        "auditors_share_error": story.auditors_share_error,
        "hard_work_site": story.hard_work_site,
        "better_site": story.better_site,
        "slow_region": story.slow_region,
        "inverted_rater": "rater-3" if story.inverted_reviewer else None,
    }


def _sites(name: str | None) -> list[int]:
    return [] if name is None else [SITES.index(name)]
