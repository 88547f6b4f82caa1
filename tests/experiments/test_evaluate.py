"""Does the verdict follow from design, guard rails and side effects, and never say too much?"""

import functools

import polars as pl
import pytest

import rcakit
from rcakit import testing
from rcakit.datasets.process_changes import TRIALS
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.experiments import adoption, choose_design, evaluate
from rcakit.experiments.conclusions import VERDICTS

ROLES = ("variant", "unit", "time", "start", "at")


def judged(data, change=lambda table: table, **options):
    """Choose a design for a scenario and evaluate it."""
    columns = dict(data.truth["columns"])
    table = change(data.tables[columns.pop("table")])
    roles = {part: columns.pop(part) for part in ROLES if part in columns}
    options = {"better": data.truth["better"], **columns, **options}
    return evaluate(table, choose_design(table, **roles), **options)


@functools.cache
def story(name: str, **options):
    """Evaluate a scenario once."""
    return judged(rcakit.datasets.make(name, rng=0), **options)


@pytest.mark.parametrize("name", TRIALS)
def test_planted_verdict_is_reached(name):
    """The verdict is the one that was planted, and its words are documented."""
    found = story(name)
    assert found.verdict == TRIALS[name].verdict
    assert set(VERDICTS) >= {found.verdict}
    testing.check_result(found)


@pytest.mark.parametrize("name", TRIALS)
def test_exactly_one_verdict_is_published(name):
    """The first finding is the one verdict, and nothing follows a refusal but what was measured."""
    kinds = [finding.kind for finding in story(name).findings()]
    assert kinds[0] == "verdict"
    assert kinds.count("verdict") == 1
    if story(name).verdict == "cannot_tell":
        assert set(kinds[1:]) <= {"measurement"}


def test_spoilt_units_can_be_left_out():
    """Without the wave that began early the others still answer."""
    data = rcakit.datasets.make("waves_contaminated", rng=0)
    assert "contamination" in story("waves_contaminated").findings()[0].withheld_because
    found = judged(data, exclude=data.truth["leave_out"])
    assert found.verdict == "improved"


def test_before_after_is_never_certain():
    """A series compared with its own past is at most moderate evidence, with its caveat."""
    verdict = story("everyone_on_a_day").findings()[0]
    assert verdict.strength == "moderate"
    assert verdict.claim.startswith("Perhaps")
    assert "Whatever else began on that day" in verdict.caveats[0]


def test_direction_decides_the_word():
    """The same effect improved, worsened or merely moved, by what was wanted."""
    data = rcakit.datasets.make("users_split", size="tiny", rng=0)
    words = [judged(data, better=wanted).verdict for wanted in ("lower", "higher", None)]
    assert words == ["improved", "worsened", "moved"]


def test_broken_guardrail_mixes_the_verdict():
    """A gain that breaks a guardrail is not called improved."""
    data = rcakit.datasets.make("users_split", rng=0)

    def harm(table):
        more = pl.when(pl.col("arm") == "control").then(0).otherwise(1)
        return table.with_columns(appeals_count=pl.col("appeals_count") + more)

    found = judged(data, harm)
    assert found.verdict == "mixed"
    assert "but appeals_count got worse" in found.findings()[0].claim


def test_moved_control_series_forbids():
    """A series that the change cannot touch, and that moved, leaves no answer."""
    data = rcakit.datasets.make("everyone_on_a_day", rng=0)
    found = judged(
        data, lambda t: t.with_columns(other=pl.col("reports_count") * 2), controls="other"
    )
    assert found.verdict == "cannot_tell"
    assert "negative controls" in found.findings()[0].claim


def test_no_design_no_verdict():
    """Rows that hold no design are answered with what is needed."""
    table = rcakit.datasets.make("users_split", size="tiny").tables["users"]
    found = evaluate(table, choose_design(table), outcome="violations_count")
    assert found.verdict == "cannot_tell"
    assert found.primary is None
    testing.check_result(found)


def test_rows_of_work_become_weeks():
    """Decisions are averaged by team and week, and agree with the weekly sums."""
    data = rcakit.datasets.make("waves_with_effect", size="tiny", rng=0)
    table = data.tables["team_weeks"]
    rows = table.select(
        "team_id", "week_date", "start_date",
        wrong=pl.struct("audited_count", "overturned_count").map_elements(
            lambda s: [True] * s["overturned_count"]
            + [False] * (s["audited_count"] - s["overturned_count"]),
            return_dtype=pl.List(pl.Boolean),
        ),
    ).explode("wrong")  # fmt: skip
    choice = choose_design(rows, unit="team_id", time="week_date", start="start_date")
    found = evaluate(rows, choice, outcome="wrong", better="lower")
    weekly = judged(data).primary.overall.estimate
    assert found.primary.overall.estimate == pytest.approx(weekly)


def test_adoption_measures_and_warns():
    """Adoption is the planted share, and the early wave is named."""
    columns = {"unit": "team_id", "time": "week_date", "start": "start_date"}
    work = {"adopted": "new_way_count", "of": "decisions_count"}
    for name, early in (("waves_with_effect", 0), ("waves_contaminated", 12)):
        table = rcakit.datasets.make(name, rng=0).tables["team_weeks"]
        found = adoption(table, **columns, **work)
        testing.check_result(found)
        assert found.reached == pytest.approx(0.9, abs=0.03)
        assert len(found.contaminated) == early


def test_fading_is_told_by_thirds():
    """Early, late and their difference stand in the table of effects."""
    primary = story("waves_fading").primary
    early, late = primary.at("early"), primary.at("late")
    assert early.ci_upper < 0
    assert late.ci_lower < 0 < late.ci_upper
    assert primary.at("late_minus_early").estimate == pytest.approx(late.estimate - early.estimate)


BAD = [
    ("users_split", {"outcome": None}, ParameterError, "outcome must be a column"),
    ("users_split", {"better": "up"}, ParameterError, "better must be"),
    ("users_split", {"guardrails": {"a / b / c": 0.1}}, ParameterError, "guardrails must be"),
    ("users_split", {"guardrails": {"appeals_count": "x"}}, ParameterError, "guardrails"),
    ("waves_with_effect", {"every": "1h"}, ParameterError, "every must be"),
    ("everyone_on_a_day", {"every": "2d"}, ParameterError, "every must be"),
]


@pytest.mark.parametrize(("name", "options", "error", "message"), BAD)
def test_bad_evaluation_is_named(name, options, error, message):
    """Every option that is not allowed says what is."""
    with pytest.raises(error, match=message):
        judged(rcakit.datasets.make(name, size="tiny"), **options)


def test_adoption_needs_a_start():
    """Units that never begin cannot adopt."""
    table = rcakit.datasets.make("waves_with_effect", size="tiny").tables["team_weeks"]
    table = table.with_columns(start_date=pl.lit(None, pl.Date))
    with pytest.raises(NotEnoughDataError, match="no unit began inside the data"):
        adoption(
            table, unit="team_id", time="week_date", start="start_date", adopted="new_way_count"
        )
