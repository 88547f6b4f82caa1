"""Do funnel, audits, capability, Pareto and the shared-error alarm keep their word?"""

import numpy as np
import polars as pl
import pytest

from rcakit import quality
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.stats import sampling_plans


def sites(bad: float = 0.1, n: int = 20) -> pl.DataFrame:
    """Return sites with a tenth of errors, the first with another share."""
    rng = np.random.default_rng(2)
    share = np.r_[bad, np.full(n - 1, 0.1)]
    return pl.DataFrame(
        {"site": [f"s{i:02}" for i in range(n)], "errors": rng.binomial(1500, share), "n": 1500}
    )


def weeks(after: float, agreed: float = 0.95) -> pl.DataFrame:
    """Return twelve weeks whose overturn share changes in the middle."""
    overturned = np.where(np.arange(12) < 6, 20, round(200 * after))
    kept = np.where(np.arange(12) < 6, 1900, round(2000 * agreed))
    return pl.DataFrame(
        {
            "week": range(12),
            "agreed": kept,
            "audited": 2000,
            "overturned": overturned,
            "appealed": 200,
        }
    )


def alarm(rows: pl.DataFrame) -> quality.SharedErrorResult:
    """Run the shared-error alarm."""
    return quality.shared_error(
        rows,
        time="week",
        agreed="agreed",
        audited="audited",
        overturned="overturned",
        appealed="appealed",
    )


def test_funnel_names_only_the_outlier():
    """One site with double the errors stands apart; no other does."""
    found = quality.funnel(sites(0.2), unit="site", value="errors", denominator="n")
    apart = [row["unit"] for row in found.to_records() if row["position"] != "not separable"]
    assert apart == ["s00"]


def test_funnel_without_outlier_ranks_nobody():
    """Equal sites are not ranked, and the finding says why."""
    found = quality.funnel(sites(), unit="site", value="errors", denominator="n")
    assert "would rank chance" in found.reading()
    assert found.plot().to_dict()


def test_funnel_holds_case_mix_equal():
    """A site with hard cases only looks bad until the mix is held equal."""
    rng = np.random.default_rng(4)
    rows = pl.DataFrame({"site": np.repeat([f"s{i}" for i in range(10)], 800)})
    hard = rng.random(8000) < np.where(rows["site"] == "s0", 0.9, 0.1)
    rows = rows.with_columns(
        is_hard=hard, is_wrong=(rng.random(8000) < np.where(hard, 0.4, 0.05)).astype(int)
    )
    raw = quality.funnel(rows, unit="site", value="is_wrong").to_records()[0]
    equal = quality.funnel(rows, unit="site", value="is_wrong", adjust_for="is_hard").to_records()[
        0
    ]
    assert raw["position"] == "above"
    assert equal["position"] == "not separable"


def test_funnel_hides_small_teams():
    """Teams of fewer than ten people are pooled, never shown by name."""
    rows = pl.DataFrame({"team": np.repeat(list("abcdefg"), 200), "is_wrong": [0, 0, 0, 1] * 350})
    people = np.where(rows["team"].is_in(["f", "g"]), np.arange(1400) % 5, np.arange(1400) % 20)
    found = quality.funnel(
        rows.with_columns(person=people), unit="team", value="is_wrong", members="person"
    )
    names = {row["unit"] for row in found.to_records()}
    assert not names & {"f", "g"}
    assert "(small units together)" in names


def test_funnel_needs_three_units():
    """Two sites are a comparison, not a funnel."""
    with pytest.raises(NotEnoughDataError, match="at least 3 units"):
        quality.funnel(sites(n=2), unit="site", value="errors", denominator="n")


def test_alarm_rings_when_audits_miss():
    """Overturns rise while audits agree: reviewers and auditors share an error."""
    assert alarm(weeks(0.25)).verdict == "shared_error"
    assert "Audits missed it" in alarm(weeks(0.25)).reading()


def test_alarm_stays_quiet_otherwise():
    """Steady overturns ring nothing; a fall that audits see is called that."""
    assert alarm(weeks(0.1)).verdict == "no_alarm"
    assert alarm(weeks(0.25, agreed=0.8)).verdict == "quality_fell"


def test_alarm_without_appeals_cannot_tell():
    """Too few appeals are no evidence of anything."""
    rows = weeks(0.25).with_columns(overturned=pl.lit(0), appealed=pl.lit(1))
    assert alarm(rows).verdict == "cannot_tell"
    assert alarm(rows).findings()[0].strength == "withheld"


def test_acceptance_plan_keeps_both_risks():
    """Montgomery's plan for 1 % against 6 %: 89 cases, at most 2 errors (p. 660, by nomograph)."""
    plan = sampling_plans.acceptance_plan(0.01, 0.06, producer_risk=0.06, consumer_risk=0.1)
    assert (plan.n_sample, plan.acceptance_number) == (88, 2)
    assert plan.producer_risk <= 0.06
    assert plan.consumer_risk <= 0.1


def test_sample_size_reaches_its_margin():
    """The planned sample gives an interval as narrow as asked, and one case fewer does not."""
    from rcakit.stats.proportions import wilson

    n = quality.audit_plan(expected_accuracy=0.9, margin=0.03).n_sample
    for size, fits in ((n, True), (n - 1, False)):
        low, high = wilson(0.9 * size, size)
        assert (high - low <= 0.06) == fits


def test_comparison_size_equals_textbook():
    """0.25 against 0.40 at 5 % and 90 % needs 203 cases per group (Fleiss 1981, table A.3: 216
    with continuity correction).
    """
    assert sampling_plans.size_to_compare(0.25, 0.15, alpha=0.05, power=0.9) == 203


def test_allocation_fills_small_strata():
    """No stratum gets more cases than it has, and every one at least two."""
    drawn = sampling_plans.allocate(
        500, np.array([10_000.0, 3.0, 400.0]), np.array([0.9, 0.5, 0.5])
    )
    assert drawn[1] <= 3
    assert drawn.min() >= 2
    assert 500 <= drawn.sum() <= 502


def test_weights_undo_targeted_sampling():
    """Doubling the sample of the bad stratum leaves the estimate where it was."""
    rows = pl.DataFrame(
        {
            "ok": [1] * 90 + [0] * 10 + [1] * 50 + [0] * 50,
            "chance": [0.01] * 100 + [0.1] * 100,
            "kind": [None] * 90 + ["technical"] * 10 + [None] * 50 + ["false positive"] * 50,
        }
    )
    found = quality.audit_estimate(
        rows, is_correct="ok", sampling_probability="chance", error_type="kind"
    ).to_records()
    assert found[0]["estimate"] == pytest.approx((0.9 * 10_000 + 0.5 * 1_000) / 11_000)
    assert sum(row["estimate"] for row in found) == pytest.approx(1.0)


def test_audit_estimate_refuses_bad_weights():
    """A probability above one is no probability."""
    rows = pl.DataFrame({"ok": [1] * 20, "chance": [2.0] * 20})
    with pytest.raises(SchemaError, match="'chance' must be in"):
        quality.audit_estimate(rows, is_correct="ok", sampling_probability="chance")


def test_capability_of_skewed_waits_warns():
    """Waiting times are skewed: the counted share is the one to trust."""
    hours = np.random.default_rng(0).exponential(5, 300)
    found = quality.capability(pl.DataFrame({"hours": hours}), value="hours", upper=24)
    assert any("skewed" in caveat for caveat in found.caveats)


def test_sigma_level_of_classic_counts():
    """3.4 defects per million opportunities are six sigma."""
    rows = pl.DataFrame({"bad": [34], "n": [10_000_000]})
    found = quality.capability(rows, defects="bad", opportunities="n").to_records()
    assert found[1]["estimate"] == pytest.approx(6.0, abs=0.01)


def test_capability_needs_limits():
    """Capability without a specification has no meaning."""
    with pytest.raises(ParameterError, match="upper must be a number"):
        quality.capability(pl.DataFrame({"x": [1.0] * 20}), value="x")


def test_pareto_orders_and_marks():
    """The largest kinds come first, and the vital few carry four fifths."""
    rows = pl.DataFrame({"kind": ["a"] * 70 + ["b"] * 20 + [None] * 10})
    found = quality.pareto(rows, category="kind").to_records()
    assert [row["category"] for row in found] == ["a", "b", None]
    assert [row["is_vital"] for row in found] == [True, True, False]


def test_every_result_writes_json_and_charts():
    """Every result of the room can be serialised, drawn and read."""
    rng = np.random.default_rng(0)
    results = [
        alarm(weeks(0.2)),
        quality.audit_plan(goal="accept"),
        quality.audit_plan(goal="compare"),
        quality.pareto(pl.DataFrame({"k": list("aab")}), category="k"),
        quality.capability(pl.DataFrame({"x": rng.normal(size=50)}), value="x", upper=3),
        quality.audit_estimate(pl.DataFrame({"ok": [1] * 20}), is_correct="ok"),
    ]
    for result in results:
        assert result.to_json()
        assert result.plot().to_dict()
        assert all(finding.claim for finding in result.findings())
        for table in result.tables:
            assert result.to_frame(table) is not None
