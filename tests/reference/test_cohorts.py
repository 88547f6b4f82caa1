"""Do cohort comparisons equal published values?"""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import special

from rcakit import cohorts
from rcakit.stats import standardisation, weighting

DATA = Path(__file__).parent / "data"
WELCH_FREEDOM = 307.13  # degrees of freedom of the trial's Welch test
COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")


@pytest.fixture(scope="module")
def lalonde() -> cohorts.CohortResult:
    """Return the comparison of trained with other workers, 614 rows."""
    rows = pl.read_csv(DATA / "lalonde.csv")
    return cohorts.compare(
        rows, cohort="treat", outcomes="re78", reference=0, adjust_for=COVARIATES
    )


def test_lalonde_raw_and_doubly_robust(lalonde):
    """Raw -635.03; doubly robust by weighted regression 1270.12."""
    row = lalonde.to_records()[0]
    assert row["effect"] == pytest.approx(-635.03, abs=5e-3)
    assert row["adjusted_effect"] == pytest.approx(1270.12, abs=6e-3)


@pytest.mark.parametrize(
    ("covariate", "level", "expected"),
    [
        ("age", None, -0.3094), ("educ", None, 0.0550), ("race", "black", 1.7615),
        ("race", "hispan", -0.3498), ("race", "white", -1.8819), ("married", None, -0.8263),
        ("nodegree", None, 0.2450), ("re74", None, -0.7211), ("re75", None, -0.2903),
    ],
)  # fmt: skip
def test_lalonde_balance_before_weighting(lalonde, covariate, level, expected):
    """Standardised differences are those of MatchIt's article, to four digits."""
    found = {
        (row["covariate"], row["level"]): row["smd_raw"] for row in lalonde.to_records("balance")
    }
    assert found[covariate, level] == pytest.approx(expected, abs=5e-5)


def test_lalonde_propensity_and_weighting():
    """Mean propensities .5774 and .1822, distance 1.7941, plain weighting 1214.07 (HC1 825.40)."""
    rows = pl.read_csv(DATA / "lalonde.csv")
    x = np.column_stack(
        [
            np.ones(614),
            *(rows[name] for name in ("age", "educ", "married", "nodegree", "re74", "re75")),
            rows["race"] == "black",
            rows["race"] == "hispan",
        ]
    ).astype(float)
    treated = rows["treat"].to_numpy() == 1
    fitted, _ = weighting.adjust(x, treated)
    e, y = fitted.propensity, rows["re78"].to_numpy()
    assert (e[treated].mean(), e[~treated].mean()) == pytest.approx((0.5774, 0.1822), abs=5e-5)
    distance = (e[treated].mean() - e[~treated].mean()) / e[treated].std(ddof=1)
    assert distance == pytest.approx(1.7941, abs=5e-5)
    weighted = y[treated].mean() - np.average(y[~treated], weights=fitted.weight[~treated])
    assert weighted == pytest.approx(1214.07, abs=6e-3)
    w, own = fitted.weight, np.where(treated, y[treated].mean(), y[treated].mean() - weighted)
    apart = [
        np.sum((w * (y - own))[side] ** 2) / w[side].sum() ** 2 for side in (treated, ~treated)
    ]
    assert np.sqrt(sum(apart) * 614 / 612) == pytest.approx(825.40, abs=5e-3)


def nsw(name: str) -> pl.DataFrame:
    """Return a table of the package causaldata, which the tests do not ship."""
    module = pytest.importorskip(f"causaldata.{name}")
    return pl.from_pandas(module.load_pandas().data)


def test_experimental_workers_differ_by_1794():
    """The trial: 1794.34, Welch p = 0.00789 and interval 474.01 to 3114.68."""
    rows = nsw("nsw_mixtape")
    row = cohorts.compare(rows, cohort="treat", outcomes="re78", reference=0).to_records()[0]
    assert row["n_obs"] == 185
    assert row["effect"] == pytest.approx(1794.34, abs=5e-3)
    assert row["pvalue"] == pytest.approx(0.00789, abs=5e-6)
    interval = (row["effect_ci_lower"], row["effect_ci_upper"])
    error = (row["effect"] - row["effect_ci_lower"]) / special.stdtrit(WELCH_FREEDOM, 0.975)
    assert error == pytest.approx(671.00, abs=6e-3)
    assert row["effect"] / error == pytest.approx(2.674, abs=5e-4)
    # the published bounds come from single precision, in which the upper is 3114.6753
    assert interval == pytest.approx((474.01, 3114.68), abs=6e-3)


def test_survey_workers_differ_by_minus_8498():
    """Trained workers against the survey: -8497.52 as they are; at equal mix the sign turns."""
    trial, survey = nsw("nsw_mixtape"), nsw("cps_mixtape")
    rows = pl.concat([trial.filter(pl.col("treat") == 1), survey], how="vertical_relaxed")
    covariates = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    found = cohorts.compare(
        rows, cohort="treat", outcomes="re78", reference=0, adjust_for=covariates
    )
    row = found.to_records()[0]
    assert row["effect"] == pytest.approx(-8497.52, abs=6e-3)
    assert row["adjusted_effect_ci_lower"] < 1794.34 < row["adjusted_effect_ci_upper"]
    assert "of 15" in found.caveats[0]  # the survey weighs as few workers


def survey_weighted(*, wraps: bool, trim: float = 0.0) -> weighting.Adjustment:
    """Weigh the survey to the trained workers by Cunningham's logit of powers (Mixtape, ch. 5)."""
    trial, survey = nsw("nsw_mixtape"), nsw("cps_mixtape")
    rows = pl.concat([trial.filter(pl.col("treat") == 1), survey], how="vertical_relaxed")
    whole = np.int8 if wraps else np.float64
    age, educ = (rows[name].to_numpy().astype(whole) for name in ("age", "educ"))
    plain = ["black", "hisp", "marr", "nodegree", "re74", "re75"]
    terms = np.column_stack(
        [age, age**2, age**3, educ, educ**2, educ * rows["re74"].to_numpy()]
        + [rows[name].to_numpy() for name in plain]
        + [rows[name].to_numpy() == 0 for name in ("re74", "re75")]
    ).astype(np.float64)
    design = np.column_stack([np.ones(len(terms)), (terms - terms.mean(0)) / terms.std(0)])
    fitted, kept = weighting.adjust(design, rows["treat"].to_numpy() == 1, trim=trim)
    earned = rows["re78"].to_numpy().astype(np.float64)[kept]
    return fitted, earned


def weighted_difference(*, wraps: bool, trim: float = 0.0) -> float:
    """Return the mean of trained workers less the weighted mean of the survey."""
    fitted, earned = survey_weighted(wraps=wraps, trim=trim)
    treated = fitted.in_cohort
    other = np.average(earned[~treated], weights=fitted.weight[~treated])
    return float(earned[treated].mean() - other)


@pytest.mark.parametrize(("trim", "expected"), [(0.0, 1494.6), (0.1, 2291.6)])
def test_survey_weighted_as_first_computed(trim, expected):
    """The first figures took powers of 8-bit ages, which wrap at 128 (50 squared is -60)."""
    assert weighted_difference(wraps=True, trim=trim) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("trim", "expected"), [(0.0, 1782.21), (0.1, 2741.13)])
def test_survey_weighted_with_true_powers(trim, expected):
    """With true powers statsmodels 0.15 (Logit, then numpy.average) gives 1782.21 and 2741.13."""
    assert weighted_difference(wraps=False, trim=trim) == pytest.approx(expected, abs=5e-3)


def regression(outcome: np.ndarray, columns: np.ndarray) -> tuple[float, dict[str, float]]:
    """Return the slope of the first column and its plain, HC1 and HC2 errors."""
    x = np.column_stack([columns, np.ones(len(columns))])
    bread = np.linalg.pinv(x.T @ x)
    slope = bread @ x.T @ outcome
    square = (outcome - x @ slope) ** 2
    spare = len(x) - x.shape[1]
    lever = np.einsum("ij,jk,ik->i", x, bread, x)
    meat = {
        "plain": (x.T @ x) * square.sum() / spare,
        "HC1": (x.T * square) @ x * len(x) / spare,
        "HC2": (x.T * (square / (1 - lever))) @ x,
    }
    return slope[0], {name: (bread @ part @ bread)[0, 0] ** 0.5 for name, part in meat.items()}


def test_regressions_beside_our_effects():
    """Our copies give the figures of plain regression: 1794, 1676.34, 699.13 and 1548.24."""
    names = ["treat", "age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    trial = nsw("nsw_mixtape").with_columns(pl.col([*names, "re78"]).cast(pl.Float64))
    survey = nsw("cps_mixtape").with_columns(pl.col([*names, "re78"]).cast(pl.Float64))
    both = pl.concat([trial.filter(pl.col("treat") == 1), survey])
    tables = ((trial, names[:1], 1794.34, "plain", 632.85), (trial, names, 1676.34, "HC2", 677.05),
              (both, names, 699.13, "HC1", 616.65))  # fmt: skip
    for rows, columns, effect, kind, error in tables:
        slope, errors = regression(rows["re78"].to_numpy(), rows.select(columns).to_numpy())
        assert (slope, errors[kind]) == pytest.approx((effect, error), abs=6e-3)
    rows = pl.read_csv(DATA / "lalonde.csv").with_columns(
        black=pl.col("race") == "black", hispan=pl.col("race") == "hispan"
    )
    names = ["treat", "age", "educ", "black", "hispan", "married", "nodegree", "re74", "re75"]
    x = rows.select(pl.col(names).cast(pl.Float64)).to_numpy()
    assert regression(rows["re78"].to_numpy(), x)[0] == pytest.approx(1548.24, abs=5e-3)


def test_cubic_propensity_finds_its_maximum():
    """Powers of age tied to each other neither stop the fit nor pass for no overlap."""
    trial, survey = nsw("nsw_mixtape"), nsw("cps_mixtape")
    rows = pl.concat([trial.filter(pl.col("treat") == 1), survey], how="vertical_relaxed")
    age = rows["age"].to_numpy().astype(float)
    powers = np.column_stack([age, age**2, age**3, rows["re74"].to_numpy()])
    design = np.column_stack([np.ones(len(age)), (powers - powers.mean(0)) / powers.std(0)])
    treated = rows["treat"].to_numpy() == 1
    fitted, _ = weighting.adjust(design, treated)
    score = design.T @ (treated - fitted.propensity)
    assert np.abs(score).max() < 1e-6


def test_waltons_flies_log_rank():
    """Log-rank chi-square 122.249, p 2.04e-28, medians 26 and 58 (lifelines)."""
    rows = pl.read_csv(DATA / "waltons_dataset.csv")
    found = cohorts.time_to_event(rows, cohort="group", duration="T", observed="E", unit="days")
    assert found.statistic == pytest.approx(122.249, abs=5e-4)
    assert found.pvalue == pytest.approx(2.04e-28, rel=3e-3)
    assert [row["median"] for row in found.to_records()] == [58, 26]


def test_rossi_prisoners_cox_model():
    """Coefficients of the Cox model of recidivism, its error and concordance (lifelines)."""
    rows = pl.read_csv(DATA / "rossi.csv")
    terms = [name for name in rows.columns if name not in {"week", "arrest"}]
    found = cohorts.time_to_event(
        rows, duration="week", observed="arrest", adjust_for=terms, unit="weeks"
    )
    slopes = {row["term"]: row["log_hazard_ratio"] for row in found.to_records("hazards")}
    expected = {
        "fin": -0.3794,
        "age": -0.0574,
        "race": 0.3139,
        "wexp": -0.1498,
        "mar": -0.4337,
        "paro": -0.0849,
        "prio": 0.0915,
    }
    assert slopes == pytest.approx(expected, abs=5e-5)
    assert found.to_records("hazards")[0]["standard_error"] == pytest.approx(0.1914, abs=5e-5)
    assert found.concordance == pytest.approx(0.6403, abs=5e-5)


def test_mantel_haenszel_equals_statsmodels():
    """Common odds ratio, interval and test agree with statsmodels' stratified tables."""
    from statsmodels.stats.contingency_tables import StratifiedTable

    tables = [
        np.array([[20, 30], [10, 40]]),
        np.array([[15, 5], [25, 20]]),
        np.array([[8, 9], [4, 12]]),
    ]
    size = np.array([t[0].sum() for t in tables], dtype=float)
    other = np.array([t[1].sum() for t in tables], dtype=float)
    ratio, low, high, pvalue = standardisation.cochran_mantel_haenszel(
        np.array([t[0, 0] for t in tables], dtype=float),
        size,
        np.array([t[1, 0] for t in tables], dtype=float),
        other,
    )
    theirs = StratifiedTable(tables)
    assert ratio == pytest.approx(theirs.oddsratio_pooled, rel=1e-12)
    assert (low, high) == pytest.approx(theirs.oddsratio_pooled_confint(), rel=1e-9)
    assert pvalue == pytest.approx(theirs.test_null_odds().pvalue, rel=1e-9)


def test_e_value_of_published_example():
    """A risk ratio of 3.9 (1.8 to 8.7) has E-values 7.26 and 3.00 (VanderWeele and Ding 2017)."""
    point, bound = weighting.e_value(3.9, 1.8, 8.7)
    assert (round(point, 2), round(bound, 2)) == (7.26, 3.0)
    assert weighting.e_value(1.2, 0.9, 1.5)[1] == 1.0
    assert math.isinf(weighting.e_value(0.0, 0.0, 0.5)[0])


def test_kitagawa_parts_add_up():
    """Rate and mix effect add up to the difference of the rates."""
    rate, other = np.array([0.1, 0.3]), np.array([0.2, 0.2])
    size, other_size = np.array([30.0, 70.0]), np.array([60.0, 40.0])
    parts = standardisation.kitagawa(rate, other, size, other_size)
    difference = rate @ size / 100 - other @ other_size / 100
    assert sum(parts) == pytest.approx(difference, abs=1e-12)
