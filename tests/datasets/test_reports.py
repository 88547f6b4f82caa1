"""The reports: do they look like reports?"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from rcakit.datasets import make


@pytest.fixture(scope="module")
def year() -> pl.DataFrame:
    """Give 400 busy days without a cause."""
    return make("quiet", size="medium").tables["reports"]


@pytest.fixture(scope="module")
def daily(year) -> pl.DataFrame:
    """Reports a day over 400 days without a cause."""
    return year.group_by(pl.col("created_at").dt.date().alias("date")).len().sort("date")


def test_rate_matches_its_size(quiet):
    """Small means 120 days of about 500 reports."""
    assert quiet.tables["reports"].height / 120 == pytest.approx(500, rel=0.05)


def test_weekends_bring_more_reports(daily):
    """People report more on Saturday and Sunday than from Monday to Thursday."""
    means = (
        daily.group_by(pl.col("date").dt.weekday().alias("weekday"))
        .agg(pl.col("len").mean())
        .sort("weekday")
    )
    assert means["len"][5:].min() > means["len"][:4].max()


def test_offices_rest_at_weekends(quiet):
    """Partners, trusted flaggers and governments hardly report at weekends."""
    offices = quiet.tables["reports"].filter(
        pl.col("source").is_in(["partner", "trusted_flagger", "gov"])
    )
    assert offices.select((pl.col("created_at").dt.weekday() > 5).mean()).item() < 0.12


@pytest.mark.parametrize("surface", ["video", "comments", "messages", "live"])
def test_counts_scatter_beyond_poisson(year, surface):
    """Daily counts vary more than their mean, after weekday and growth."""
    reports = year.filter(pl.col("surface") == surface)
    counts = (
        reports.group_by(pl.col("created_at").dt.date().alias("date"))
        .len()
        .sort("date")["len"]
        .to_numpy()[:-1]
    )
    weekly_change = counts[7:] - counts[:-7]
    assert np.var(weekly_change) / (2 * counts.mean()) > 2


def test_reports_grow_over_year(daily):
    """The second half of the period is a little busier than the first."""
    halves = daily["len"][:196].mean(), daily["len"][196:392].mean()
    assert 1.03 < halves[1] / halves[0] < 1.15


def test_delays_have_right_median(quiet):
    """Half of the reports arrive within 20 minutes."""
    delays = (
        quiet.tables["reports"].select(pl.col("ingested_at") - pl.col("created_at")).to_series()
    )
    assert delays.median() == pytest.approx(timedelta(minutes=20), rel=0.05)


def test_extract_ends_at_midnight(story):
    """No report arrived after the extract was taken, or before it was made."""
    midnight = datetime.fromisoformat(f"{story.truth['period'][1]}T00:00:00+00:00") + timedelta(
        days=1
    )
    reports = story.tables["reports"]
    assert reports["ingested_at"].max() < midnight
    assert (reports["ingested_at"] > reports["created_at"]).all()


def test_last_day_runs_short(year):
    """Two to four percent of a day's reports arrive after its midnight, so the last day lacks them."""
    earlier = year.filter(pl.col("created_at").dt.year() == 2026)
    is_late = pl.col("ingested_at").dt.date() > pl.col("created_at").dt.date()
    assert 0.02 < earlier.select(is_late.mean()).item() < 0.04


def test_countries_lie_in_regions(quiet):
    """Every country belongs to one region."""
    regions = quiet.tables["reports"].group_by("country").agg(pl.col("region").n_unique())
    assert regions["region"].to_list() == [1] * 33


def test_languages_follow_their_countries(quiet):
    """Brazil writes Portuguese, and hardly anyone else does."""
    portuguese = quiet.tables["reports"].filter(pl.col("language") == "pt")
    assert portuguese["country"].unique().to_list() == ["BR"]


@pytest.mark.parametrize(
    "column, n_values", [("language", 18), ("region", 12), ("policy", 18), ("surface", 6)]
)
def test_dimensions_have_their_values(quiet, column, n_values):
    """Every value of a dimension occurs, the commonest several times as often as the median one."""
    counts = quiet.tables["reports"][column].value_counts()["count"]
    assert len(counts) == n_values
    assert counts.max() > 2 * counts.median()


def test_versions_belong_to_phones(quiet):
    """Web and server have no app version of their own; phones always have one."""
    reports = quiet.tables["reports"]
    is_phone = pl.col("platform").is_in(["android", "ios"])
    assert reports.filter(~is_phone, pl.col("app_version") != pl.col("platform")).is_empty()
    assert reports.filter(is_phone)["app_version"].str.contains(r"^\d+\.\d\.0$").all()


def test_versions_roll_out_in_order(quiet):
    """A newer version appears later than an older one."""
    phones = quiet.tables["reports"].filter(
        pl.col("app_version").is_in(["31.0.0", "31.1.0", "31.2.0"])
    )
    medians = phones.group_by("app_version").agg(pl.col("created_at").median()).sort("app_version")
    assert medians["created_at"].is_sorted()


def test_only_classifiers_lack_reporters(quiet):
    """A report has a reporter unless a classifier filed it."""
    reports = quiet.tables["reports"]
    assert (reports["reporter_id"].is_null() == (reports["source"] == "classifier")).all()


def test_reporters_live_where_reporting(quiet):
    """A user's report carries the country of the user's account."""
    joined = quiet.tables["reports"].join(
        quiet.tables["accounts"], left_on="reporter_id", right_on="account_id", suffix="_of_account"
    )
    assert joined.height == quiet.tables["reports"].filter(pl.col("source") == "user").height
    assert (joined["country"] == joined["country_of_account"]).all()


def test_targets_are_known_accounts(quiet):
    """Every reported account is in the accounts table."""
    assert (
        quiet.tables["reports"]["target_account_id"]
        .is_in(quiet.tables["accounts"]["account_id"].implode())
        .all()
    )
