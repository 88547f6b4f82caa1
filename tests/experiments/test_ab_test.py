"""Does a randomised comparison say what the numbers allow, and refuse what they do not?"""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import ab_test

DAY = dt.datetime(2026, 1, 1)


def rows(n: int = 800, seed: int = 0, lift: float = 0.5) -> pl.DataFrame:
    """Draw users in two arms, with a pre-period column, tasks and a market."""
    rng = np.random.default_rng(seed)
    arm = np.where(np.arange(n) % 2 == 0, "control", "new")
    before = rng.normal(10, 2, n)
    return pl.DataFrame(
        {
            "user_id": np.arange(n),
            "arm": arm,
            "pre_minutes": before,
            "minutes": 0.9 * before + rng.normal(0, 1, n) + lift * (arm == "new"),
            "overturned": rng.poisson(1, n).astype(float),
            "decisions": rng.poisson(8, n) + 1.0,
            "market": rng.choice(["br", "de", "us"], n),
        }
    )


def checks(result) -> dict[str, str]:
    """Return the status of every check."""
    return {check.check: check.status for check in result.checks}


def test_all_engines_agree(hold):
    """The same rows give the same table in every engine."""
    options = {
        "variant": "arm",
        "metrics": ["minutes", ("overturned", "decisions")],
        "strata": "market",
    }
    here, there = ab_test(rows(), **options), ab_test(hold(rows()), **options)
    for one, two in zip(here.effects, there.effects, strict=True):
        assert one.effect == pytest.approx(two.effect, rel=1e-9)
        assert one.effect_ci_upper == pytest.approx(two.effect_ci_upper, rel=1e-9)


def test_result_keeps_its_contract():
    """Tables, findings and charts follow the form of every result."""
    result = ab_test(rows(), variant="arm", metrics="minutes", segments="market")
    testing.check_result(result)
    assert result.plot().to_dict()["title"]


def test_welch_equals_textbook():
    """Without options a mean is compared by Welch's test."""
    from scipy import stats

    table = rows()
    sides = [table.filter(pl.col("arm") == arm)["minutes"].to_numpy() for arm in ("new", "control")]
    expected = stats.ttest_ind(*sides, equal_var=False)
    effect = ab_test(table, variant="arm", metrics="minutes", covariates={}).effects[0]
    assert effect.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert effect.effect_ci_lower == pytest.approx(expected.confidence_interval().low, rel=1e-9)


def test_pre_period_column_is_used():
    """A column named pre_<metric> takes noise away without being asked for."""
    plain = ab_test(rows(), variant="arm", metrics="minutes", covariates={}).effects[0]
    adjusted = ab_test(rows(), variant="arm", metrics="minutes").effects[0]
    width = [e.effect_ci_upper - e.effect_ci_lower for e in (adjusted, plain)]
    assert width[0] < 0.6 * width[1]
    assert "adjusted for pre_minutes" in adjusted.method


def test_one_row_per_cluster_is_welch():
    """Clusters of one row each give the error of independent rows."""
    plain = ab_test(rows(), variant="arm", metrics="minutes", covariates={}).effects[0]
    grouped = ab_test(
        rows(), variant="arm", metrics="minutes", covariates={}, randomised_by="user_id"
    ).effects[0]
    assert grouped.effect_ci_lower == pytest.approx(plain.effect_ci_lower, rel=1e-6)
    assert grouped.n_clusters == 800


def test_cluster_error_equals_statsmodels():
    """CR2 lies between the plain sandwich and its jackknife, and the effect is the regression's."""
    import statsmodels.api as sm

    table = rows().with_columns(team=pl.col("user_id") % 20)
    treated = (table["arm"] == "new").to_numpy().astype(float)
    model = sm.OLS(table["minutes"].to_numpy(), sm.add_constant(treated))
    fit = model.fit(
        cov_type="cluster", cov_kwds={"groups": table["team"].to_numpy(), "use_correction": False}
    )
    effect = ab_test(table, variant="arm", metrics="minutes", covariates={}, randomised_by="team")
    contrast = effect.effects[0]
    assert contrast.effect == pytest.approx(fit.params[1], rel=1e-9)
    half = (contrast.effect_ci_upper - contrast.effect_ci_lower) / 2
    # equal clusters, ten per arm: CR2 is the sandwich times sqrt(10 / 9), with 18 degrees of freedom
    assert half == pytest.approx(2.100922 * fit.bse[1] * (10 / 9) ** 0.5, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 100), st.integers(0, 10_000))
def test_scaling_and_order_change_nothing(factor, seed):
    """Another unit of measurement, or another order of rows, gives the same relative effect."""
    table = rows(200)
    moved = table.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        pl.col("minutes", "pre_minutes") * factor
    )
    one = ab_test(table, variant="arm", metrics="minutes").effects[0]
    two = ab_test(moved, variant="arm", metrics="minutes").effects[0]
    assert two.rel_effect == pytest.approx(one.rel_effect, rel=1e-6)
    assert two.pvalue == pytest.approx(one.pvalue, rel=1e-6)


def test_arms_swapped_flip_sign():
    """Naming the other arm control turns the effect around."""
    one = ab_test(rows(), variant="arm", metrics="minutes").effects[0]
    two = ab_test(rows(), variant="arm", metrics="minutes", control="new").effects[0]
    assert two.effect == pytest.approx(-one.effect)


def test_missing_outcomes_do_not_bias():
    """Rows without the metric leave only that metric, ratio and covariate included."""
    table = rows().with_columns(
        overturned=pl.when(pl.col("user_id") % 7 == 0).then(None).otherwise(pl.col("overturned"))
    )
    options = {"variant": "arm", "metrics": [("overturned", "decisions"), "minutes"]}
    whole = ab_test(table, **options)
    held = ab_test(table.filter(pl.col("overturned").is_not_null()), **options)
    assert whole.effects[0].effect == pytest.approx(held.effects[0].effect)
    assert whole.effects[1].n_control == 400


def test_quantile_near_the_mean_shift():
    """The median of a shifted distribution shifts with it."""
    result = ab_test(
        rows(4000, lift=2.0), variant="arm", metrics="minutes", quantiles={"minutes": 0.5}
    )
    effect = result.effects[1]
    assert effect.effect_ci_lower < 2.0 < effect.effect_ci_upper


def test_holm_for_primary_metrics():
    """Two primary metrics double the smaller p-value; an exploratory one costs nothing."""
    result = ab_test(
        rows(), variant="arm", metrics=["minutes", "overturned"], exploratory="decisions"
    )
    smaller = min(result.effects[:2], key=lambda e: e.pvalue)
    assert smaller.qvalue == pytest.approx(2 * smaller.pvalue)
    assert result.effects[2].qvalue == pytest.approx(result.effects[2].pvalue)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.2, "holds"), (0.01, "broken"), (0.055, "not shown")]
)
def test_guardrail_compares_with_margin(margin, verdict):
    """A guardrail holds only when the whole interval lies inside its margin."""
    result = ab_test(rows(), variant="arm", metrics="overturned", guardrails={"minutes": margin})
    assert result.effects[1].verdict == verdict


def test_sample_ratio_blocks_verdict():
    """Lost units withhold the verdict and say what to do."""
    table = rows().filter((pl.col("arm") == "control") | (pl.col("user_id") % 4 != 1))
    result = ab_test(table, variant="arm", metrics="minutes")
    assert checks(result)["sample_ratio"] == "block"
    assert result.effects[0].verdict == "withheld"
    assert result.findings()[0].strength == "withheld"


def test_ramp_up_is_no_mismatch():
    """A planned ramp-up is judged phase by phase, and compared within phases."""
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(10), 400)
    new = rng.random(4000) < np.where(day < 5, 0.1, 0.5)
    table = pl.DataFrame(
        {
            "at": [DAY + dt.timedelta(days=int(d)) for d in day],
            "arm": np.where(new, "new", "control"),
            "y": day + rng.normal(size=4000),
        }
    )
    phases = [
        ("2026-01-01", {"control": 0.9, "new": 0.1}),
        ("2026-01-06", {"control": 0.5, "new": 0.5}),
    ]
    result = ab_test(table, variant="arm", metrics="y", allocation=phases, time="at")
    assert checks(result)["sample_ratio"] == "pass"
    assert abs(result.effects[0].effect) < 0.3
    assert checks(ab_test(table, variant="arm", metrics="y"))["sample_ratio"] == "block"


def test_unplanned_looks_widen_interval():
    """Looking five times without a plan costs width, and is said aloud."""
    once = ab_test(rows(), variant="arm", metrics="minutes").effects[0]
    result = ab_test(rows(), variant="arm", metrics="minutes", looks=5)
    often = result.effects[0]
    assert often.effect_ci_upper - often.effect_ci_lower > 1.3 * (
        once.effect_ci_upper - once.effect_ci_lower
    )
    assert checks(result)["peeking"] == "warn"
    assert (
        checks(ab_test(rows(), variant="arm", metrics="minutes", looks=(6, 5)))["peeking"] == "warn"
    )


def test_verdict_follows_interval_under_looks():
    """At a planned look the p-value and the interval reject together."""
    for seed in range(12):
        effect = ab_test(
            rows(seed=seed, lift=0.2), variant="arm", metrics="minutes", looks=(2, 4)
        ).effects[0]
        outside = effect.effect_ci_lower > 0 or effect.effect_ci_upper < 0
        assert outside == (effect.pvalue < 0.05)


def test_few_clusters_are_withheld():
    """Three teams per arm show a permutation p-value and no verdict."""
    table = rows().with_columns(team=pl.col("user_id") % 6)
    result = ab_test(table, variant="arm", metrics="minutes", randomised_by="team")
    detail = next(c.detail for c in result.checks if c.check == "clusters")
    assert checks(result)["clusters"] == "block"
    assert "permutation p" in detail


def test_shared_reviewers_are_warned_of():
    """Reviewers who serve both arms let effects spill over."""
    table = rows().with_columns(reviewer_id=pl.col("user_id") // 2 % 10)
    result = ab_test(table, variant="arm", metrics="minutes", served_by="reviewer_id")
    assert checks(result)["spillover"] == "warn"


def test_switchback_uses_blocks():
    """Hours of one block count once, and hours after a switch can be left out."""
    hours = 24 * 14
    arm = np.repeat(np.where(np.random.default_rng(2).random(hours // 4) < 0.5, "a", "b"), 4)
    table = pl.DataFrame(
        {
            "at": [DAY + dt.timedelta(hours=i) for i in range(hours)],
            "arm": arm,
            "y": np.arange(hours) % 24.0,
        }
    )
    result = ab_test(table, variant="arm", metrics="y", time="at", block_hours=4, washout_hours=1)
    assert result.design == "switchback"
    assert result.effects[0].n_clusters == hours // 4
    assert result.effects[0].n_control + result.effects[0].n_treatment < hours


def test_switchback_names_crossed_blocks():
    """A block in both arms is named by its hour, and rows without a time are counted."""
    at = [DAY + dt.timedelta(hours=i) for i in range(48)]
    table = pl.DataFrame({"at": at, "arm": ["a", "b"] * 24, "y": np.arange(48.0)})
    with pytest.raises(SchemaError, match=r"every 'block of 4 h' one arm.*'2026-01-01 00:00'"):
        ab_test(table, variant="arm", metrics="y", time="at", block_hours=4)
    lost = table.with_columns(at=pl.when(pl.col("at") != at[7]).then(pl.col("at")))
    result = ab_test(lost, variant="arm", metrics="y", time="at", block_hours=1)
    assert "1 row without a time" in next(c.detail for c in result.checks if c.status == "warn")


def test_finer_rows_are_refused():
    """Several rows per unit are an error that prints the right call."""
    table = rows().with_columns(user_id=pl.col("user_id") // 4 * 2 + pl.col("user_id") % 2)
    with pytest.raises(
        ParameterError, match=r"finer than what was randomised. Use .*randomised_by='user_id'"
    ):
        ab_test(table, variant="arm", metrics="minutes", unit="user_id")


@pytest.mark.parametrize("option", ["unit", "randomised_by"])
def test_units_in_both_arms_are_refused(option):
    """A unit in both arms was not randomised."""
    table = rows().with_columns(user_id=pl.col("user_id") // 2)
    with pytest.raises(SchemaError, match=r"must give every .* one arm, got 400"):
        ab_test(table, variant="arm", metrics="minutes", **{option: "user_id"})


BAD = [
    (lambda t: t.filter(pl.col("arm") == "new"), {}, NotEnoughDataError, "at least two arms"),
    (lambda t: t.with_columns(minutes=pl.lit(3.0)), {}, NotEnoughDataError, "must vary"),
    (
        lambda t: t.with_columns(minutes=pl.lit(1e9)),
        {"covariates": {}},
        NotEnoughDataError,
        "must vary",
    ),
    (lambda t: t.with_columns(arm=pl.col("market")), {}, ParameterError, "treatment must name one"),
    (lambda t: t.head(3), {}, NotEnoughDataError, "at least 2 rows"),
    (lambda t: t, {"looks": (0, 3)}, ParameterError, r"looks\[0\] must be"),
    (lambda t: t, {"looks": "often"}, ParameterError, "looks must be"),
    (lambda t: t, {"allocation": {"control": 1.0}}, ParameterError, "a share for every arm"),
    (lambda t: t, {"control": "old"}, ParameterError, "control must be one of the arms"),
    (lambda t: t, {"block_hours": 4}, ParameterError, "needs time="),
    (lambda t: t, {"quantiles": {"minutes": 1.5}}, ParameterError, "quantiles"),
    (lambda t: t, {"covariates": {"other": "minutes"}}, ParameterError, "keyed by metrics"),
    (lambda t: t.drop("minutes"), {}, SchemaError, "'minutes' is missing"),
    (
        lambda t: t.with_columns(minutes=pl.lit(None, dtype=pl.Float64)),
        {},
        NotEnoughDataError,
        "400 of 400 rows missing in control",
    ),
    (lambda t: t.with_columns(minutes=pl.lit(math.inf)), {}, SchemaError, "must be finite"),
]


@pytest.mark.parametrize(("change", "options", "error", "message"), BAD)
def test_bad_input_is_named(change, options, error, message):
    """Every bad input says what was wrong and what to do."""
    with pytest.raises(error, match=message):
        ab_test(change(rows()), variant="arm", metrics="minutes", **options)


def test_negative_denominator_is_refused():
    """A ratio over a negative denominator has no meaning."""
    table = rows().with_columns(decisions=pl.col("decisions") - 5)
    with pytest.raises(SchemaError, match="'decisions' is a denominator and must not be negative"):
        ab_test(table, variant="arm", metrics=("overturned", "decisions"))


def test_hostile_names_stay_text():
    """Markup in arms, columns and segments is shown, never executed."""
    table = (
        rows().rename({"minutes": "<script>x</script>"}).with_columns(market=pl.lit("<b>*|</b>"))
    )
    result = ab_test(table, variant="arm", metrics="<script>x</script>", segments="market")
    assert "<script" not in result._repr_mimebundle_()["text/html"]
    testing.check_result(result)


@pytest.mark.filterwarnings("error")
def test_interval_covers_the_truth():
    """Nineteen of twenty intervals hold the true effect, within chance."""
    held = 0
    for seed in range(150):
        effect = ab_test(rows(160, seed=seed), variant="arm", metrics="minutes").effects[0]
        held += effect.effect_ci_lower <= 0.5 <= effect.effect_ci_upper
    assert 133 <= held <= 149
