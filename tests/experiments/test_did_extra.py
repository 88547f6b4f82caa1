"""Do covariates, HonestDiD and synthetic differences answer behind the same call, or say what is missing?"""

import sys
import warnings

import numpy as np
import polars as pl
import pytest

from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.experiments import rollout

ARGUMENTS = {"unit": "vendor", "time": "week", "start": "start", "outcome": "y"}
COUNTIES = {"unit": "countyreal", "time": "year", "start": "start", "outcome": "lemp"}


@pytest.fixture
def counties(shared_data) -> pl.DataFrame:
    """Minimum wages and teen employment of counties."""
    return pl.read_csv(shared_data / "experiments" / "mpdta.csv").with_columns(
        pl.when(pl.col("first.treat") > 0).then(pl.col("first.treat")).alias("start")
    )


def panel() -> pl.DataFrame:
    """Draw forty vendors over twelve weeks, two waves and never, without an effect."""
    rng = np.random.default_rng(0)
    start = np.repeat([5, 8, 99, 99], 10)
    rows = [
        (
            f"v{i:02d}",
            t,
            None if start[i] == 99 else int(start[i]),
            i + 0.3 * t + rng.normal(0, 0.3),
        )
        for i in range(40)
        for t in range(12)
    ]
    return pl.DataFrame(rows, schema=["vendor", "week", "start", "y"], orient="row")


def one_wave(n_treated: int = 8) -> pl.DataFrame:
    """Draw vendors of which some began in week 8, with an effect of two."""
    is_treated = pl.col("vendor").is_in([f"v{i:02d}" for i in range(n_treated)])
    table = panel().with_columns(start=pl.when(is_treated).then(8).cast(pl.Int64))
    lift = pl.when(is_treated & (pl.col("week") >= 8)).then(2.0).otherwise(0.0)
    return table.with_columns(y=pl.col("y") + lift)


@pytest.mark.parametrize(
    ("comparison", "published"), [("never_treated", -0.0418), ("not_yet_treated", -0.0414)]
)
def test_covariates_meet_published_effect(counties, comparison, published):
    """Population as a covariate gives the effects of the vignette, to their printed digits."""
    pytest.importorskip("diff_diff")
    found = rollout(counties, **COUNTIES, covariates="lpop", comparison=comparison)
    assert found.overall.estimate == pytest.approx(published, abs=5e-5)
    testing.check_result(found)


def test_group_time_effects_equal_peers(counties):
    """Every effect of a wave in a period equals diff-diff's to ten digits."""
    package = pytest.importorskip("diff_diff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = package.CallawaySantAnna(control_group="never_treated").fit(
            counties.to_pandas(),
            outcome="lemp",
            unit="countyreal",
            time="year",
            first_treat="first.treat",
        )
    ours = rollout(counties, **COUNTIES, comparison="never_treated")
    cells = {(e.cohort, e.period): e.estimate for e in ours.effects if e.level == "cohort_period"}
    for (wave, period), cell in theirs.group_time_effects.items():
        if np.isfinite(cell["effect"]) and (str(wave), str(period)) in cells:
            assert cells[str(wave), str(period)] == pytest.approx(cell["effect"], abs=1e-10)
    assert len(cells) >= 12


def test_honest_breakdown_is_the_edge(counties):
    """The reported M is where HonestDiD's interval begins to hold zero."""
    package = pytest.importorskip("diff_diff")
    found = rollout(counties, **COUNTIES, comparison="never_treated", honest=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = (
            package.CallawaySantAnna(control_group="never_treated", base_period="universal")
            .fit(
                counties.to_pandas(),
                outcome="lemp",
                unit="countyreal",
                time="year",
                first_treat="first.treat",
            )
            .aggregate("event_study")
        )
        below = package.compute_honest_did(study, M=found.breakdown_m - 0.02)
        above = package.compute_honest_did(study, M=found.breakdown_m + 0.02)
    assert below.ci_ub < 0 < above.ci_ub
    assert "HonestDiD" in next(c.detail for c in found.checks if c.check == "breakdown")


def test_synthetic_differences_find_effect():
    """One wave against a weighted mixture: the effect, its interval, and the gaps."""
    pytest.importorskip("diff_diff")
    found = rollout(one_wave(), **ARGUMENTS, method="synthetic_did")
    assert found.overall.ci_lower < 2 < found.overall.ci_upper
    assert found.overall.estimate == pytest.approx(2, abs=0.3)
    assert [row["event_time"] for row in found.event_study] == list(range(-8, 4))
    assert [c.status for c in found.checks if c.check == "placebo_units"] == ["pass"]
    testing.check_result(found)


BAD = [
    (one_wave, {"covariates": "week"}, ParameterError, "must not be given together"),
    (panel, {}, ParameterError, "needs units that began in one period"),
    (lambda: one_wave(25), {}, NotEnoughDataError, "more untreated than treated"),
]


@pytest.mark.parametrize(("make", "options", "error", "message"), BAD)
def test_bad_synthetic_call_is_named(make, options, error, message):
    """What synthetic differences cannot do is said with what to do."""
    pytest.importorskip("diff_diff")
    with pytest.raises(error, match=message):
        rollout(make(), **ARGUMENTS, method="synthetic_did", **options)


@pytest.mark.parametrize(
    "options", [{"covariates": "week"}, {"honest": True}, {"method": "synthetic_did"}]
)
def test_missing_extra_is_named(options, monkeypatch):
    """Without diff-diff each option says what to install, and nothing else changes."""
    monkeypatch.setitem(sys.modules, "diff_diff", None)
    with pytest.raises(ParameterError, match=r"pip install rcakit\[did\]"):
        rollout(one_wave(), **ARGUMENTS, **options)
    assert rollout(one_wave(), **ARGUMENTS).overall.estimate == pytest.approx(2, abs=0.3)
