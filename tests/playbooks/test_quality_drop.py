"""Does `quality_drop` say who or what accuracy fell with, and nothing where nothing is known?"""

import polars as pl
import pytest

import rcakit
from rcakit import playbook, quality, runner, testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError

SCENARIOS = (
    "qa_drop_untrained_wave",
    "shared_outdated_guideline",
    "unclear_guideline",
    "quality_mix_shift",
    "strict_audit_team",
    "unrecorded_difficulty",
    "inverted_reviewer",
    "quality_quiet",
)
COLUMNS = {
    "time": "decided_date",
    "is_correct": "is_correct",
    "is_overturned": "is_overturned",
    "teams": ["wave", "site"],
    "mix": "policy",
    "auditors": "audit_team",
}


def explained(scenario, seed=11, **options):
    """Explain the fall as the playbook does, and return the data as well."""
    data = rcakit.datasets.make(scenario, rng=seed)
    agreed = quality.agreement(
        data.tables["ratings"], item="item_id", rater="rater_id", label="label", n_resamples=100
    )
    given = COLUMNS | {"agreement": agreed, "changes": data.tables["change_log"]} | options
    return quality.explain_drop(data.tables["decisions"], **given), data


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_planted_cause_is_told(scenario):
    """Verdict, segment and logged change are those planted; a table holds the long run."""
    found, data = explained(scenario)
    assert found.verdict == data.truth["verdict"]
    testing.check_result(found)
    told = found.findings()
    assert [item.verdict for item in told if item.kind == "verdict"] == [found.verdict]
    drivers = [item.segment for item in told if item.kind == "driver"]
    planted = [cause for cause in data.truth["causes"] if cause["table"] == "decisions"]
    if drivers:
        assert drivers[0] == planted[0]["segment"]
        matched = {item.change_id for item in told if item.kind == "matched_change"}
        assert matched == {planted[0]["change_id"]}


@pytest.mark.parametrize(
    ("left_out", "reason"), [("teams", "says who decided"), ("mix", "says what the work was")]
)
def test_unseen_rival_cannot_be_ruled_out(left_out, reason):
    """Without teams no guideline is blamed, and without the work no team."""
    found, _ = explained("qa_drop_untrained_wave", **{left_out: []})
    assert found.verdict == "cannot_tell"
    assert reason in found.reason


def test_other_numbers_are_no_verdicts():
    """A column that is not 0/1 is refused."""
    data = rcakit.datasets.make("quality_quiet", size="tiny")
    rows = data.tables["decisions"].with_columns(is_correct=pl.lit(3))
    with pytest.raises(SchemaError, match="'is_correct' must hold 0 and 1"):
        quality.explain_drop(rows, **COLUMNS)


def test_beginning_is_found_to_the_week():
    """The search finds the week in which the fall began."""
    found, data = explained("qa_drop_untrained_wave")
    assert found.started_at.isoformat() == data.truth["causes"][0]["window"][0]


def test_given_period_is_kept():
    """A period that was given is not searched."""
    window = rcakit.datasets.make("unclear_guideline", rng=11).truth["causes"][0]["window"]
    found, _ = explained("unclear_guideline", period=tuple(window))
    assert (found.started_at.isoformat(), found.ended_at.isoformat()) == tuple(window)
    assert found.verdict == "guideline"
    assert not found.is_searched


def test_auditors_without_witness_are_doubted():
    """Without appeals and audit teams a stricter team cannot be seen, and nobody is blamed."""
    found, _ = explained("strict_audit_team", auditors=(), is_overturned=None)
    assert found.verdict == "cannot_tell"
    assert any("No appeals" in caveat for caveat in found.findings()[0].caveats)


def test_appeals_alone_reveal_auditors():
    """Where audit teams are not recorded, appeals that see nothing still point at auditors."""
    found, _ = explained("strict_audit_team", auditors=())
    assert found.verdict == "auditors"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"teams": (), "mix": (), "auditors": ()}, ParameterError, "at least one column"),
        ({"teams": "policy"}, ParameterError, "one role each"),
        ({"period": ("2026-05-01", "2026-04-01")}, ParameterError, "first day before the last"),
        ({"period": ("2026-01-01", "2026-05-04")}, NotEnoughDataError, "before and after"),
        ({"baseline_days": 3}, ParameterError, "baseline_days"),
    ],
)
def test_bad_questions_are_refused(options, error, message):
    """A question that cannot be answered is refused with what to do."""
    with pytest.raises(error, match=message):
        explained("quality_quiet", **options)


def test_run_names_untrained_wave(tmp_path):
    """The playbook itself, with the sample it comes with, publishes verdict, segment, change."""
    folder = "data_samples/qa_drop_untrained_wave"
    given = {"changes": f"{folder}/change_log.csv", "ratings": f"{folder}/ratings.parquet"}
    done = runner.run(playbook.find("quality_drop"), given, out=tmp_path)
    assert done.status == "ok", done.error
    testing.assert_finds(
        done.findings, verdict="reviewers", segments=[{"wave": "2", "policy": "hate_speech"}]
    )
    assert "Hate speech guideline v7" in done.answer.sentences[2]
