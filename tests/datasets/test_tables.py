"""The other tables, and what all tables promise."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rcakit.datasets.catalogue import SCENARIOS
from rcakit.datasets.sizes import SIZES
from rcakit.datasets.tables import TABLES, change_log
from rcakit.datasets.tables.hostile_names import HOSTILE_NAMES
from rcakit.datasets.world import World


@pytest.mark.parametrize("name", SCENARIOS["quiet"].tables)
def test_tables_keep_their_schema(story, name):
    """Every table has exactly the columns and types that the data dictionary shows."""
    promised = {column.name: column.dtype for column in TABLES[name].COLUMNS}
    assert dict(story.tables[name].schema) == promised


@pytest.mark.parametrize("name", SCENARIOS["quiet"].tables)
def test_tables_never_share_streams(story, name):
    """A table made alone equals the table made with all others."""
    world = World(SIZES["small"], seed=0)
    alone = TABLES[name].build(world, SCENARIOS[story.truth["scenario"]]).frame
    assert_frame_equal(alone, story.tables[name])


@pytest.mark.parametrize("name", ["denominators", "accounts"])
def test_causes_leave_other_tables(story, quiet, name):
    """A cause on reports changes neither exposure nor accounts."""
    assert_frame_equal(story.tables[name], quiet.tables[name])


@pytest.mark.parametrize(
    "name, key", [("reports", "report_id"), ("change_log", "change_id"), ("accounts", "account_id")]
)
def test_keys_are_unique(story, name, key):
    """Every row has a key of its own."""
    assert story.tables[name][key].is_unique().all()


def test_denominators_cover_every_cell(quiet):
    """There is one row with views for each day, region and surface."""
    denominators = quiet.tables["denominators"]
    assert denominators.height == 120 * 12 * 6
    assert denominators.select(pl.struct("date", "region", "surface").is_unique().all()).item()
    assert denominators["views_count"].min() > denominators["active_accounts_count"].min() > 0


def test_reports_stay_rare_events(quiet):
    """There are about fifty reports per million views."""
    n_views = quiet.tables["denominators"]["views_count"].sum()
    assert quiet.tables["reports"].height / n_views * 1e6 == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize("kind", HOSTILE_NAMES)
def test_every_hostile_kind_occurs(quiet, kind):
    """Every kind of hostile name belongs to at least one account."""
    assert HOSTILE_NAMES[kind] in quiet.tables["accounts"]["username"]


def test_tenth_of_names_hostile(quiet):
    """One account in ten has a hostile name."""
    assert quiet.tables["accounts"]["username"].is_in(
        list(HOSTILE_NAMES.values())
    ).mean() == pytest.approx(0.1)


def test_accounts_precede_the_period(quiet):
    """Every account was opened before the first day of the data."""
    assert (
        quiet.tables["accounts"]["created_at"].max() < quiet.tables["reports"]["created_at"].min()
    )


def test_changes_use_known_kinds(story):
    """The log uses the listed kinds, and is in order of time."""
    log = story.tables["change_log"]
    assert set(log["kind"]) <= set(change_log.KINDS)
    assert log["changed_at"].is_sorted()


def test_scopes_name_real_values(story):
    """Every scope is 'all' or names values that occur in the reports."""
    for scope in story.tables["change_log"]["scope"]:
        pairs = [pair.split("=") for pair in scope.split(";") if scope != "all"]
        assert all(value in story.tables["reports"][name] for name, value in pairs), scope


def test_cause_is_logged_before(story):
    """The change behind a cause is logged at most a day before the onset, with a scope that holds the segment."""
    for cause in story.truth["causes"]:
        entry = logged(story, cause["change_id"]) if cause["change_id"] else None
        if entry:
            lead = datetime.fromisoformat(cause["started_at"]) - entry["changed_at"]
            assert timedelta(0) <= lead <= timedelta(days=1)
            assert (
                dict(pair.split("=") for pair in entry["scope"].split(";")).items()
                <= cause["segment"].items()
            )


def test_three_decoys_near_end(story):
    """Every scenario logs three decoys in the last two weeks, and none is a cause or a fix."""
    period_end = datetime.fromisoformat(f"{story.truth['period'][1]}T00:00:00+00:00")
    decoys = {decoy["change_id"] for decoy in story.truth["decoys"]}
    guilty = {
        cause[key] for cause in story.truth["causes"] for key in ("change_id", "fix_change_id")
    }
    assert len(decoys) == 3
    assert not decoys & guilty
    assert all(logged(story, key)["changed_at"] > period_end - timedelta(days=14) for key in decoys)


def test_only_story_logged_late(story):
    """In the last three weeks the log holds nothing but causes, fixes and decoys."""
    period_end = datetime.fromisoformat(f"{story.truth['period'][1]}T00:00:00+00:00")
    late = story.tables["change_log"].filter(pl.col("changed_at") > period_end - timedelta(days=20))
    known = {decoy["change_id"] for decoy in story.truth["decoys"]}
    known |= {
        cause[key] for cause in story.truth["causes"] for key in ("change_id", "fix_change_id")
    }
    assert set(late["change_id"]) <= known


def logged(story, change_id: str) -> dict:
    """Look up one entry of the change log."""
    return story.tables["change_log"].row(by_predicate=pl.col("change_id") == change_id, named=True)
