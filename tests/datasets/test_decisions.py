"""Review work: is the planted cause of each scenario in its tables, and nothing else?"""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rcakit.datasets import Dataset, make
from rcakit.datasets.catalogue import SCENARIOS
from rcakit.datasets.review_work import REVIEW_TABLES
from rcakit.datasets.sizes import SIZES
from rcakit.datasets.tables import TABLES, change_log
from rcakit.datasets.world import World

REVIEW = sorted(name for name, scenario in SCENARIOS.items() if "decisions" in scenario.tables)


@pytest.fixture(scope="module", params=REVIEW)
def work(request) -> Dataset:
    """Every scenario of review work in turn, tiny."""
    return make(request.param, size="tiny")


@pytest.fixture(scope="module")
def usual() -> Dataset:
    """The same days without a cause, tiny."""
    return make("quality_quiet", size="tiny")


def test_tables_keep_their_schema(work):
    """Every table has exactly the columns and types that the data dictionary shows."""
    assert tuple(work.tables) == REVIEW_TABLES
    for name, table in work.tables.items():
        assert dict(table.schema) == {c.name: c.dtype for c in TABLES[name].COLUMNS}


def test_truth_is_plain_json(work):
    """The truth survives a round trip, and every cause changed something inside the period."""
    assert json.loads(json.dumps(work.truth)) == work.truth
    first, last = work.truth["period"]
    for cause in work.truth["causes"]:
        assert cause["excess"] != 0
        assert first <= cause["window"][0] <= cause["window"][1] <= last


def test_rest_of_work_unchanged(work, usual):
    """Before a cause, and outside its segment, every decision is that of the usual days."""
    mine, theirs = (data.tables["decisions"] for data in (work, usual))
    touched = pl.lit(value=False)
    for cause in work.truth["causes"]:
        if cause["table"] == "decisions":
            started = pl.lit(cause["window"][0]).str.to_date()
            inside = pl.col("decided_date") >= started
            for name, value in cause["segment"].items():
                inside &= pl.col(name) == value
            touched |= inside.fill_null(value=False)
    keys = mine.filter(~touched)["decision_id"]
    keys = keys.filter(keys.is_in(theirs.filter(~touched)["decision_id"].implode()))
    kept = [rows.filter(pl.col("decision_id").is_in(keys.implode())) for rows in (mine, theirs)]
    assert_frame_equal(*kept)


def test_logged_changes_are_known(work):
    """The log uses the listed kinds, and every decoy and cause of the truth is in it."""
    log = work.tables["change_log"]
    assert set(log["kind"]) <= set(change_log.KINDS)
    named = {decoy["change_id"] for decoy in work.truth["decoys"]}
    named |= {cause["change_id"] for cause in work.truth["causes"]} - {None}
    assert named <= set(log["change_id"])


def test_tables_never_share_streams():
    """A table made alone equals the table made with all others."""
    data = make("inverted_reviewer", size="tiny", rng=3)
    for name in REVIEW_TABLES:
        alone = TABLES[name].build(World(SIZES["tiny"], 3), SCENARIOS["inverted_reviewer"]).frame
        assert_frame_equal(alone, data.tables[name])


@pytest.mark.parametrize(
    ("scenario", "measured", "moved"),
    [
        ("qa_drop_untrained_wave", "is_correct", -0.3),
        ("shared_outdated_guideline", "is_overturned", 0.1),
        ("strict_audit_team", "is_correct", -0.05),
    ],
)
def test_planted_segment_moves(usual, scenario, measured, moved):
    """Inside segment and window the measure moves against the usual days."""
    (cause,) = make(scenario, size="tiny").truth["causes"]
    rates = [
        data.tables["decisions"]
        .filter(pl.col("decided_date") >= pl.lit(cause["window"][0]).str.to_date())
        .filter(*(pl.col(name) == value for name, value in cause["segment"].items()))[measured]
        .mean()
        for data in (make(scenario, size="tiny"), usual)
    ]
    assert abs(rates[0] - rates[1]) > abs(moved)
    assert (rates[0] - rates[1]) * moved > 0
