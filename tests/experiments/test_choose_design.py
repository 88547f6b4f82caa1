"""Is the strongest design found that the rows hold, and are the others refused with a reason?"""

import datetime as dt

import polars as pl
import pytest

import rcakit
from rcakit import testing
from rcakit.datasets.process_changes import TRIALS
from rcakit.errors import ParameterError, SchemaError
from rcakit.experiments import choose_design

ROLES = ("variant", "unit", "time", "start", "at")


def made(name: str, size: str = "tiny"):
    """Return table and roles of a scenario."""
    data = rcakit.datasets.make(name, size=size, rng=3)
    columns = data.truth["columns"]
    return data.tables[columns["table"]], {p: columns[p] for p in ROLES if p in columns}


def option(choice, design: str):
    """Return one design of a choice."""
    return next(o for o in choice.options if o.design == design)


@pytest.mark.parametrize("name", TRIALS)
def test_planted_design_is_chosen(name):
    """How the change came is read from the rows."""
    table, roles = made(name)
    assert choose_design(table, **roles).design == TRIALS[name].design


def test_all_engines_choose_alike(hold):
    """The choice does not depend on who holds the rows."""
    table, roles = made("reviewers_split")
    choice = choose_design(hold(table), **roles)
    assert choice.chosen.settings == {"randomised_by": "reviewer_id"}


def test_result_keeps_its_contract():
    """Table, finding and chart follow the form of every result."""
    table, roles = made("waves_with_effect")
    choice = choose_design(table, **roles)
    testing.check_result(choice)
    assert choice.plot().to_dict()["title"]
    assert [r["design"] for r in choice.to_records() if r["is_chosen"]] == ["rollout"]


def test_arms_in_turn_are_no_split():
    """Arms that follow one another on a day are a before-after comparison, whatever they are called."""
    table, _ = made("everyone_on_a_day")
    day = dt.date(2026, 5, 11)
    table = table.with_columns(
        arm=pl.when(pl.col("date") >= day).then(pl.lit("new")).otherwise(pl.lit("old"))
    )
    choice = choose_design(table, variant="arm", time="date")
    assert choice.design == "pre_post"
    assert choice.chosen.settings["at"] == "2026-05-11"
    assert "never run side by side" in option(choice, "randomised").reason


def test_unit_in_both_arms_is_refused():
    """Users who are in both arms were not drawn as users."""
    table, roles = made("users_split")
    twice = pl.concat([table, table.head(30).with_columns(arm=pl.lit("control"))])
    choice = choose_design(twice, **roles)
    assert choice.design == "none"
    assert "are in several arms" in option(choice, "randomised").reason


def test_repeated_unit_is_a_group():
    """Several rows of a user make the user the draw."""
    table, roles = made("users_split")
    choice = choose_design(pl.concat([table, table]), **roles)
    assert choice.design == "clusters"
    assert choice.chosen.settings["randomised_by"] == "user_id"


def test_late_arm_is_not_beside():
    """An arm that ran for the last days only was not run side by side."""
    table, _ = made("users_split")
    day = pl.col("assigned_date")
    late = table.filter((pl.col("arm") == "control") | (day >= dt.date(2026, 1, 16)))
    choice = choose_design(late, variant="arm", unit="user_id", time="assigned_date")
    assert choice.design == "none"
    assert "days that hold both arms" in option(choice, "randomised").reason


def test_few_turns_are_no_switchback():
    """Arms that took turns a few times prove nothing."""
    table, _ = made("everyone_on_a_day")
    arm = (pl.int_range(pl.len()) // 60 % 2 == 0).replace_strict({True: "a", False: "b"})
    choice = choose_design(table.with_columns(arm=arm), variant="arm", time="date")
    assert "took turns only" in option(choice, "switchback").reason


def test_one_start_for_all_is_a_date():
    """Units that all began on one day leave nobody to compare with."""
    table, roles = made("waves_with_effect")
    same = table.with_columns(start_date=pl.lit(dt.date(2026, 4, 20)))
    choice = choose_design(same, **roles)
    assert choice.design == "pre_post"
    assert choice.chosen.settings == {"at": "2026-04-20", "every": "1w"}


def test_single_changed_unit_gets_twin():
    """One changed unit among many is compared with a mixture of them."""
    table, roles = made("waves_with_effect")
    one = table.with_columns(
        start_date=pl.when(pl.col("team_id") == "team-03").then(pl.lit(dt.date(2026, 4, 6)))
    )
    assert choose_design(one, **roles).design == "synthetic_control"


def test_nothing_known_is_told():
    """Without arms, starts or a date the reading says what is needed."""
    table, _ = made("users_split")
    choice = choose_design(table)
    assert choice.design == "none"
    assert "Needed: a column with the arm" in choice.reading()
    assert choice.findings()[0].strength == "withheld"


def test_bad_choice_is_named():
    """Missing columns and impossible options are refused in words."""
    table, _ = made("users_split")
    with pytest.raises(SchemaError, match="'wing' is missing"):
        choose_design(table, variant="wing")
    with pytest.raises(ParameterError, match="block_hours must be"):
        choose_design(table, variant="arm", block_hours=0)
