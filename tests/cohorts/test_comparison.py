"""Does a comparison hold like with like, and say so when it cannot?"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit import cohorts
from rcakit.cohorts import judging
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError


def simpson(seed: int = 0) -> pl.DataFrame:
    """Return a new site that is better in every policy, but works on the hard one."""
    rng = np.random.default_rng(seed)
    site = np.repeat(["old", "new"], [3000, 3000])
    is_hard = rng.random(6000) < np.where(site == "new", 0.8, 0.2)
    share = np.where(is_hard, 0.4, 0.1) - np.where(site == "new", 0.05, 0.0)
    return pl.DataFrame(
        {
            "site": site,
            "policy": np.where(is_hard, "hate", "spam"),
            "is_wrong": (rng.random(6000) < share).astype(int),
            "hours": rng.exponential(5, 6000),
        }
    )


def compare(rows: object, **options: object) -> cohorts.CohortResult:
    """Compare the sites' errors at equal policy."""
    given_options = {"outcomes": "is_wrong", "reference": "old", "adjust_for": "policy"} | options
    return cohorts.compare(rows, cohort="site", **given_options)


def test_simpson_reversal_is_said():
    """The site that looks worse is better at equal mix, and the finding says both."""
    row, reading = compare(simpson()).to_records()[0], compare(simpson()).reading()
    assert row["effect_ci_lower"] > 0
    assert row["adjusted_effect_ci_upper"] < 0
    assert "the other way round" in reading


def test_mix_and_rate_add_up():
    """The two parts of the raw effect add up to it."""
    row = compare(simpson()).to_records()[0]
    assert row["rate_effect"] + row["mix_effect"] == pytest.approx(row["effect"], abs=1e-12)
    assert row["rate_effect"] < 0 < row["mix_effect"]


def test_weighting_balances_the_mix():
    """After weighting no level is out of balance."""
    found = compare(simpson())
    assert max(abs(row["smd_raw"]) for row in found.to_records("balance")) > 1
    assert max(abs(row["smd_adjusted"]) for row in found.to_records("balance")) < 1e-6
    assert found.love_plot().to_dict()
    assert found.plot().to_dict()


def test_doubly_robust_equals_standardisation():
    """With one categorical covariate the effect is direct standardisation, exactly."""
    rows = simpson()
    wrong = rows.group_by("site", "policy").agg(pl.col("is_wrong").mean(), pl.len())
    cell = {(row["site"], row["policy"]): row for row in wrong.to_dicts()}
    size = {policy: cell["new", policy]["len"] for policy in ("hate", "spam")}
    gap = sum(
        n * (cell["new", policy]["is_wrong"] - cell["old", policy]["is_wrong"])
        for policy, n in size.items()
    ) / sum(size.values())
    assert compare(rows).to_records()[0]["adjusted_effect"] == pytest.approx(gap, abs=1e-8)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_order_and_names_never_matter(seed):
    """Shuffled rows and renamed policies give the same effect."""
    rows = simpson()
    renamed = rows.with_columns(pl.col("policy").replace({"hate": "z", "spam": "a"}))
    one = compare(rows).to_records()[0]["adjusted_effect"]
    assert compare(rows.sample(fraction=1, shuffle=True, seed=seed)).to_records()[0][
        "adjusted_effect"
    ] == pytest.approx(one, abs=1e-9)
    assert compare(renamed).to_records()[0]["adjusted_effect"] == pytest.approx(one, abs=1e-9)


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "lazy", "duckdb"])
def test_every_engine_compares_alike(library):
    """The same rows give the same outcome in any library."""
    import duckdb

    rows = simpson()
    arrow = rows.to_arrow()
    held = {
        "pandas": rows.to_pandas(),
        "pyarrow": arrow,
        "lazy": rows.lazy(),
        "duckdb": duckdb.connect().from_arrow(arrow),
    }[library]
    one, two = compare(held).to_records()[0], compare(rows).to_records()[0]
    assert one["adjusted_effect"] == pytest.approx(two["adjusted_effect"], abs=1e-9)


def test_no_overlap_withholds_the_effect():
    """A site whose policies the reference never saw gets no adjusted number."""
    rows = simpson().with_columns(
        policy=pl.when(pl.col("site") == "new").then(pl.lit("live")).otherwise("policy")
    )
    found = compare(rows)
    assert np.isnan(found.to_records()[0]["adjusted_effect"])
    assert found.findings()[0].strength == "withheld"
    assert any("no counterparts" in caveat for caveat in found.caveats)


def test_partial_overlap_is_a_caveat():
    """Policies that only the new site has are named as without counterpart."""
    rows = simpson()
    extra = rows.filter(pl.col("site") == "new").head(400).with_columns(policy=pl.lit("live"))
    found = compare(pl.concat([rows, extra]))
    assert found.to_records("overlap")[0]["share_without_counterpart"] == pytest.approx(400 / 3400)
    assert any("no counterpart" in caveat for caveat in found.caveats)


def test_missing_values_are_counted():
    """Missing covariates and outcomes stay visible as caveats."""
    rows = simpson().with_columns(
        policy=pl.when(pl.int_range(pl.len()) % 10 > 0).then("policy"),
        is_wrong=pl.when(pl.int_range(pl.len()) % 7 > 0).then("is_wrong"),
    )
    found = compare(rows)
    assert any("they count as a level" in caveat for caveat in found.caveats)
    assert any("is_wrong is missing" in caveat for caveat in found.caveats)
    assert np.isfinite(found.to_records()[0]["adjusted_effect"])


def test_small_cohorts_are_not_shown():
    """A cohort below the smallest cell has no numbers."""
    rows = pl.concat([simpson(), simpson().head(5).with_columns(site=pl.lit("tiny"))])
    row = next(row for row in compare(rows).to_records() if row["cohort"] == "tiny")
    assert np.isnan(row["effect"])


def test_outcomes_of_every_kind():
    """Shares, means, ratios and quantiles come in one table, with Holm's correction."""
    rows = simpson().with_columns(n=pl.lit(2))
    found = compare(rows, outcomes=["is_wrong", "hours", ("is_wrong", "n"), ("hours", 0.9)])
    assert [row["outcome"] for row in found.to_records()] == [
        "is_wrong",
        "hours",
        "is_wrong / n",
        "hours quantile 0.9",
    ]
    assert all(row["qvalue"] >= row["pvalue"] for row in found.to_records())
    ratio, share = found.to_records()[2], found.to_records()[0]
    assert ratio["adjusted_effect"] == pytest.approx(share["adjusted_effect"] / 2)


def test_one_cohort_is_refused():
    """One cohort cannot be compared."""
    with pytest.raises(NotEnoughDataError, match="at least two cohorts, got 1"):
        compare(simpson().filter(pl.col("site") == "old"))


def test_all_missing_covariate_is_refused():
    """A covariate without values is named."""
    rows = simpson().with_columns(policy=pl.lit(None, dtype=pl.String))
    with pytest.raises(NotEnoughDataError, match="'policy' has no value in any row"):
        compare(rows)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reference": "elsewhere"}, ParameterError, "reference must be one of the cohorts"),
        ({"adjust_for": "is_wrong"}, ParameterError, "neither cohort nor outcome"),
        ({"outcomes": "policy", "adjust_for": ()}, SchemaError, "'policy' must be numeric"),
        ({"trim": 0.7}, ParameterError, "trim must be a number"),
        ({"estimand": "atx"}, ParameterError, "estimand must be one of"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    """Each bad option is named with what is allowed."""
    with pytest.raises(error, match=message):
        compare(simpson(), **options)


def row_of(raw: float, adjusted: float, qvalue: float, half: float = 1.96) -> dict[str, float]:
    """Return a gap as it is and at equal mix, both with an error of one."""
    return {
        "effect": raw,
        "effect_ci_lower": raw - half,
        "effect_ci_upper": raw + half,
        "adjusted_effect": adjusted,
        "adjusted_effect_ci_lower": adjusted - half,
        "adjusted_effect_ci_upper": adjusted + half,
        "qvalue": qvalue,
    }


@pytest.mark.parametrize(
    ("raw", "adjusted", "qvalue", "word"),
    [
        (3.0, 3.0, 0.003, "gap_persists"),
        (2.2, 2.2, 0.03, "cannot_tell"),  # one in twenty is no evidence for a headline
        (-4.0, 4.0, 1e-4, "reversed_by_mix"),
        (0.5, 4.0, 1e-4, "hidden_by_mix"),
        (9.0, 0.5, 0.6, "explained_by_mix"),
        (11.0, 2.2, 0.03, "explained_by_mix"),  # most of the gap is gone, the rest may be chance
        (5.0, 2.2, 0.03, "cannot_tell"),  # half of the gap may be left
        (3.0, 1.5, 0.13, "cannot_tell"),
        (0.5, 0.5, 0.6, "no_gap"),
    ],
)
def test_words_ask_one_in_hundred(raw, adjusted, qvalue, word):
    """A gap at equal mix needs a q-value of 0.01; one between 0.01 and 0.05 is never a gap."""
    assert judging.judge(row_of(raw, adjusted, qvalue), alpha=0.05) == word


def test_quantile_knows_its_clusters():
    """The interval of a median widens when rows of one reviewer are alike."""
    rng = np.random.default_rng(4)
    site = rng.integers(0, 40, 2000)
    rows = pl.DataFrame(
        {"side": site % 2, "site": site, "y": rng.normal(size=40)[site] + rng.normal(size=2000)}
    )
    asked = {"cohort": "side", "reference": 0, "outcomes": [("y", 0.5)]}
    width = {
        name: row["effect_ci_upper"] - row["effect_ci_lower"]
        for name in (None, "site")
        for row in cohorts.compare(rows, cluster=name, **asked).to_records()
    }
    assert width["site"] > 3 * width[None]


def test_adjusted_median_equals_shift():
    """A shift of every value at equal mix is the shift of the median, and its error is fair."""
    rng = np.random.default_rng(5)
    is_new = rng.random(20_000) < 0.4
    hard = rng.normal(is_new.astype(float), 1.0)
    rows = pl.DataFrame({"new": is_new, "hard": hard, "y": hard + rng.normal(size=20_000)})
    row = cohorts.compare(
        rows, cohort="new", reference="false", outcomes=[("y", 0.5)], adjust_for="hard"
    ).to_records()[0]
    half = (row["adjusted_effect_ci_upper"] - row["adjusted_effect_ci_lower"]) / 2
    assert abs(row["adjusted_effect"]) < 2 * half < 0.15


def test_tied_quantile_has_no_interval():
    """The median of a number that is mostly zero gets a caveat that says what to do."""
    rows = simpson().with_columns(late_days=pl.col("is_wrong").cast(pl.Float64))
    found = compare(rows, outcomes=[("late_days", 0.5)])
    assert np.isnan(found.to_records()[0]["effect_ci_lower"])
    assert any("share of rows above a value" in caveat for caveat in found.caveats)


def test_love_plot_shows_the_worst_of_any_cohort():
    """A cohort that was far from the reference shows, even if another is worse balanced after."""
    rows = pl.concat([simpson(), simpson(1).filter(pl.col("site") == "old").with_columns(
        site=pl.lit("other")
    )])  # fmt: skip
    found = compare(rows)
    before = [abs(row["smd_raw"]) for row in found.to_records("balance_by_cohort")]
    assert max(abs(row["smd_raw"]) for row in found.to_records("balance")) == max(before) > 1


def test_outcomes_have_axes_of_their_own():
    """Shares and hours are not drawn on one axis."""
    drawn = compare(simpson(), outcomes=["is_wrong", "hours"]).plot().to_dict()
    assert len(drawn["vconcat"]) == 2
