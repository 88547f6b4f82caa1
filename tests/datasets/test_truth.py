"""The truth: is what it says really in the data, in every scenario?"""

import json
from datetime import UTC, datetime
from functools import cache

import polars as pl
import pytest

from rcakit.datasets import make


def in_segment(reports: pl.DataFrame, segment: dict[str, str]) -> pl.DataFrame:
    """Keep the reports inside a segment."""
    return reports.filter(
        pl.lit(value=True), *(pl.col(name) == value for name, value in segment.items())
    )


def while_it_lasted(reports: pl.DataFrame, cause: dict) -> pl.DataFrame:
    """Keep the reports created while a cause lasted."""
    started_at, ended_at = (
        datetime.fromisoformat(cause[key]) for key in ("started_at", "ended_at")
    )
    return reports.filter(pl.col("created_at") >= started_at, pl.col("created_at") < ended_at)


@cache
def quiet_reports(size: str, seed: int) -> pl.DataFrame:
    """Make the reports of days on which nothing happened."""
    return make("quiet", size=size, rng=seed).tables["reports"]


def usual_reports(truth: dict) -> pl.DataFrame:
    """Give the reports of the same days, had nothing happened."""
    return quiet_reports(truth["size"], truth["seed"])


def test_truth_is_plain_json(story):
    """The truth survives a round trip through JSON."""
    assert json.loads(json.dumps(story.truth)) == story.truth


def test_excess_equals_counted_rows(story):
    """The excess is the number of rows by which the data differ from the days without the cause."""
    n_different = story.tables["reports"].height - usual_reports(story.truth).height
    assert n_different == sum(cause["excess"] for cause in story.truth["causes"])


def test_rest_of_world_unchanged(story):
    """Outside segment and time of a cause, every row is the one of the days without it."""
    reports, usual = (
        story.tables["reports"].drop("report_id"),
        usual_reports(story.truth).drop("report_id"),
    )
    for cause in story.truth["causes"]:
        touched = pl.concat(
            in_segment(while_it_lasted(rows, cause), cause["segment"]) for rows in (reports, usual)
        )
        reports, usual = (
            rows.join(touched, on=rows.columns, how="anti", nulls_equal=True)
            for rows in (reports, usual)
        )
    assert reports.equals(usual)


@pytest.mark.parametrize("scenario", ["app_release_report_bug", "global_rise", "ingestion_outage"])
def test_effect_matches_realised_ratio(scenario):
    """The rate inside the segment changes by the factor that the truth gives."""
    data = make(scenario)
    (cause,) = data.truth["causes"]
    inside = [
        in_segment(while_it_lasted(rows, cause), cause["segment"]).height
        for rows in (data.tables["reports"], usual_reports(data.truth))
    ]
    assert inside[0] / inside[1] == pytest.approx(cause["effect"], rel=0.15, abs=0.02)


def test_acceptable_segments_hold_excess(story):
    """Every acceptable segment holds the same rows as the segment itself."""
    for cause in story.truth["causes"]:
        expected = in_segment(story.tables["reports"], cause["segment"])
        assert all(
            in_segment(story.tables["reports"], segment).equals(expected)
            for segment in cause["acceptable"]
        )


def test_forbidden_segments_hold_rows(story):
    """Forbidden answers are tempting: each names rows that exist."""
    segments = [segment for cause in story.truth["causes"] for segment in cause["forbidden"]]
    assert all(in_segment(story.tables["reports"], segment).height > 0 for segment in segments)


def test_planted_segment_is_thick(bug):
    """The planted segment brings 15 or more reports on an ordinary day of its window."""
    (cause,) = bug.truth["causes"]
    usual = in_segment(while_it_lasted(usual_reports(bug.truth), cause), cause["segment"])
    assert usual.height / 5 >= 15


@pytest.mark.parametrize("seed", range(5))
def test_planted_cause_lifts_total(seed):
    """The planted cause adds a fifth or more to the daily total, at any seed."""
    truth = make("app_release_report_bug", rng=seed).truth
    (cause,) = truth["causes"]
    assert cause["excess"] / while_it_lasted(usual_reports(truth), cause).height >= 0.2


def test_buggy_version_was_established(bug):
    """For four weeks before the window, most Android users already ran the version."""
    started_at = datetime.fromisoformat(bug.truth["causes"][0]["started_at"])
    month = bug.tables["reports"].filter(
        pl.col("platform") == "android",
        pl.col("created_at").is_between(started_at - pl.duration(days=28), started_at),
    )
    assert month.select((pl.col("app_version") == "31.2.0").mean()).item() > 0.7


def test_windows_lie_in_period(story):
    """Every window lies inside the period, first day first."""
    first, last = story.truth["period"]
    assert all(
        first <= cause["window"][0] <= cause["window"][1] <= last for cause in story.truth["causes"]
    )


def test_period_starts_in_2026(story):
    """Every data set starts on the same Monday."""
    assert datetime.fromisoformat(story.truth["period"][0]).replace(tzinfo=UTC) == datetime(
        2026, 1, 5, tzinfo=UTC
    )


def test_verdicts_fit_their_causes(story):
    """A localised cause names a segment, a broad one does not, and quiet days have none."""
    segments = [bool(cause["segment"]) for cause in story.truth["causes"]]
    assert (
        segments
        == {"localised": [True], "broad": [False], "no_evidence": []}[story.truth["verdict"]]
    )


def test_sizes_keep_the_cause():
    """Another size has another period but the same cause, as long before the end."""
    tiny, small = (make("app_release_report_bug", size=size).truth for size in ("tiny", "small"))
    assert tiny["causes"][0]["segment"] == small["causes"][0]["segment"]
    assert days_to_end(tiny) == days_to_end(small) == 7


def days_to_end(truth: dict) -> int:
    """Count the days from the start of the first cause to the last day of the data."""
    return (
        datetime.fromisoformat(truth["period"][1])
        - datetime.fromisoformat(truth["causes"][0]["window"][0])
    ).days
