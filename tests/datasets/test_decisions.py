"""Is the planted cause of each story of review work in its tables, and do the analyses find it?"""

import datetime as dt

import polars as pl
import pytest

import rcakit
from rcakit import cohorts, quality
from rcakit.datasets.decisions import STORIES


def story(name: str) -> rcakit.datasets.Dataset:
    """Make the small tables of a story."""
    return rcakit.datasets.make(name, size="small", rng=0)


def alarm(data: rcakit.datasets.Dataset) -> str:
    """Return the verdict of the shared-error alarm, split at the onset (or late)."""
    weeks = data.tables["quality_weeks"]
    return quality.shared_error(
        weeks.head(weeks.height - 1),
        time="week_date",
        agreed="agreed_count",
        audited="audited_count",
        overturned="overturned_count",
        appealed="appealed_count",
        split_at=data.truth["onset"] or "2026-04-06",
    ).verdict


def test_every_story_is_a_scenario():
    """Each story can be made by its name and tells the truth."""
    for name in STORIES:
        data = rcakit.datasets.make(name, size="tiny", rng=1)
        assert data.truth["scenario"] == name
        assert set(data.tables) == {"decisions", "ratings", "quality_weeks", "change_log"}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("qa_drop_untrained_wave", "quality_fell"),
        ("shared_outdated_guideline", "shared_error"),
        ("quality_quiet", "no_alarm"),
    ],
)
def test_alarm_tells_stories_apart(name, verdict):
    """Only the story of the outdated guideline rings the shared-error alarm."""
    assert alarm(story(name)) == verdict


def test_untrained_wave_is_found():
    """After the onset hate speech is worse at the untrained sites, and spam is not."""
    data = story("qa_drop_untrained_wave")
    after = data.tables["decisions"].filter(
        pl.col("decided_date") >= dt.date.fromisoformat(data.truth["onset"]), pl.col("is_audited")
    )
    effects = {}
    for policy in ("hate_speech", "spam"):
        rows = after.filter(pl.col("policy") == policy)
        found = cohorts.compare(rows, cohort="wave", outcomes="is_correct", reference=1)
        effects[policy] = found.to_records()[0]
    assert effects["hate_speech"]["effect_ci_upper"] < -0.1
    assert effects["spam"]["effect_ci_lower"] < 0 < effects["spam"]["effect_ci_upper"]


def test_simpson_reversal_is_found():
    """The site with the hard work looks worse, and is better at equal policy."""
    data = story("simpson_reversal")
    rows = data.tables["decisions"].filter("is_audited")
    rows = rows.with_columns(is_wrong=~pl.col("is_correct"))
    rows = rows.with_columns(
        site=pl.when(pl.col("site") == "Fir").then("site").otherwise(pl.lit("others"))
    )
    found = cohorts.compare(rows, cohort="site", outcomes="is_wrong", adjust_for="policy")
    assert "the other way round" in found.reading()
    assert found.verdict().kind == "verdict"


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("apparent_disparity", "explained_by_mix"),
        ("real_disparity", "gap_remains"),
        ("quality_quiet", "no_gap"),
    ],
)
def test_disparities_are_told_apart(name, verdict):
    """Only the real gap remains at equal policy."""
    rows = story(name).tables["decisions"]
    found = cohorts.disparity(
        rows, group="region", outcome="handle_hours", adjust_for="policy", reference="north"
    )
    assert found.to_records()[0]["verdict"] == verdict


def test_inverted_rater_is_found():
    """The rater who swaps labels is marked, and nobody in the quiet story."""
    for name in ("inverted_reviewer", "quality_quiet"):
        data = story(name)
        found = quality.agreement(
            data.tables["ratings"], item="item_id", rater="rater_id", label="label", n_resamples=100
        )
        marked = [row["rater"] for row in found.to_records("raters") if row["is_inverted"]]
        assert marked == ([data.truth["inverted_rater"]] if data.truth["inverted_rater"] else [])
