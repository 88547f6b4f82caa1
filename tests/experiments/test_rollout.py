"""Does a staged roll-out find its effect, name what it drops, and refuse what it cannot read?"""

import numpy as np
import polars as pl
import pytest

from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import rollout

ARGUMENTS = {"unit": "vendor", "time": "week", "start": "start", "outcome": "y"}


def panel(lift: float = 1.0, seed: int = 0, n: int = 40, noise: float = 0.5) -> pl.DataFrame:
    """Draw vendors over twelve weeks in two waves and never."""
    rng = np.random.default_rng(seed)
    start = np.repeat([5, 8, 99, 99], n // 4)
    rows = [
        (f"v{i:02d}", t, None if start[i] == 99 else int(start[i]), i + 0.3 * t + rng.normal(0, noise) + lift * (t >= start[i]))
        for i in range(n)
        for t in range(12)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=["vendor", "week", "start", "y"], orient="row")


def status(result, check: str) -> str:
    """Return the status of one check."""
    return next(c.status for c in result.checks if c.check == check)


def test_all_engines_read_alike(hold):
    """The same panel gives the same effect in every engine."""
    here = rollout(panel(), **ARGUMENTS).overall
    assert rollout(hold(panel()), **ARGUMENTS).overall.estimate == pytest.approx(here.estimate)


def test_result_keeps_its_contract():
    """Tables, findings and the event study follow the form of every result."""
    result = rollout(panel(), **ARGUMENTS)
    testing.check_result(result)
    assert result.plot().to_dict()["title"]


def test_clean_rollout_names_a_cause():
    """A clean roll-out with an effect may say that it caused it."""
    result = rollout(panel(2.0), **ARGUMENTS)
    assert result.overall.ci_lower < 2.0 < result.overall.ci_upper
    assert "was caused by the roll-out" in result.reading()


def test_parted_trends_lose_the_cause():
    """When treated units moved apart before, the words stay at coincides with."""
    drift = panel(2.0).with_columns(
        y=pl.col("y")
        + pl.when(pl.col("start").is_not_null()).then(pl.col("week") * 0.8).otherwise(0.0)
    )
    result = rollout(drift, **ARGUMENTS)
    assert status(result, "pre_trends") == "warn"
    assert "coincides with" in result.reading()


def test_order_and_level_change_nothing():
    """Shuffled rows and a constant added to a unit leave every effect."""
    moved = panel().sample(fraction=1, shuffle=True, seed=3).with_columns(y=pl.col("y") + 1000)
    one, two = rollout(panel(), **ARGUMENTS), rollout(moved, **ARGUMENTS)
    for a, b in zip(one.effects, two.effects, strict=True):
        assert a.estimate == pytest.approx(b.estimate, abs=1e-9)


def test_band_is_wider_than_intervals():
    """The band that holds for all event times contains each interval."""
    for row in rollout(panel(), **ARGUMENTS).event_study:
        assert row["band_lower"] <= row["ci_lower"] <= row["ci_upper"] <= row["band_upper"]


def test_dropped_units_are_named():
    """Units with gaps, treated from the start, or alone in their wave are reported."""
    table = panel().filter((pl.col("vendor") != "v01") | (pl.col("week") != 3))
    table = table.with_columns(
        start=pl.when(pl.col("vendor") == "v02").then(0)
        .when(pl.col("vendor") == "v03").then(9).otherwise(pl.col("start"))
    )  # fmt: skip
    result = rollout(table, **ARGUMENTS)
    details = {c.check: c.detail for c in result.checks}
    assert "v01" in details["incomplete_units"]
    assert "v02" in details["always_treated"]
    assert "v03 (9)" in details["single_unit_waves"]


def test_single_unit_gets_a_twin():
    """One treated unit is compared with a mixture of the others, by placebos."""
    table = panel(0.0, noise=0.1).with_columns(
        start=pl.when(pl.col("vendor") == "v20").then(6).cast(pl.Int64),
        y=pl.col("y")
        + pl.when((pl.col("vendor") == "v20") & (pl.col("week") >= 6)).then(5.0).otherwise(0.0),
    )
    result = rollout(table, **ARGUMENTS)
    assert "synthetic control" in result.method
    assert result.overall.estimate == pytest.approx(5.0, abs=0.3)
    assert result.overall.pvalue == 1 / 40  # none of the 39 placebos has a larger gap
    testing.check_result(result)


def test_dates_and_numbers_agree():
    """Periods may be dates as well as whole numbers."""
    import datetime as dt

    day = dt.date(2026, 1, 5)
    dates = panel().with_columns(
        week=pl.lit(day) + pl.duration(days=pl.col("week") * 7),
        start=pl.lit(day) + pl.duration(days=pl.col("start") * 7),
    )
    assert rollout(dates, **ARGUMENTS).overall.estimate == pytest.approx(
        rollout(panel(), **ARGUMENTS).overall.estimate
    )


def test_fixed_effects_are_a_contrast():
    """Growing effects mislead two-way fixed effects, and the table shows both."""
    growing = panel(0.0).with_columns(
        y=pl.col("y") + (pl.col("week") - pl.col("start") + 1).clip(0).fill_null(0).cast(pl.Float64)
    )
    result = rollout(
        growing.filter(pl.col("start").is_not_null() | (pl.col("vendor") > "v35")), **ARGUMENTS
    )
    contrast = next(e for e in result.effects if e.level == "two_way_fixed_effects")
    assert contrast.estimate < result.overall.ci_lower


def test_group_time_effects_of_counties(shared_data):
    """Published effects of minimum wages are met to their printed digits."""
    table = pl.read_csv(shared_data / "experiments" / "mpdta.csv").with_columns(
        pl.when(pl.col("first.treat") > 0).then(pl.col("first.treat")).alias("start")
    )
    result = rollout(
        table,
        unit="countyreal",
        time="year",
        start="start",
        outcome="lemp",
        comparison="never_treated",
    )
    found = {(e.cohort, e.period): e.estimate for e in result.effects if e.level == "cohort_period"}
    # Callaway and Sant'Anna's package did, vignette
    assert found["2004", "2006"] == pytest.approx(-0.1373, abs=5e-5)
    assert found["2006", "2007"] == pytest.approx(-0.0412, abs=5e-5)
    assert result.overall.estimate == pytest.approx(-0.03995, abs=5e-6)
    assert "0.168" in next(c.detail for c in result.checks if c.check == "pre_trends")


def test_units_that_move_together_widen():
    """Units that share every shock tell less than their number says."""
    rng = np.random.default_rng(1)
    shocks = rng.normal(0, 3, (20, 12))
    table = panel().with_columns(
        pair=pl.col("vendor").str.slice(1).cast(pl.Int64) // 2,
    )
    shared = [shocks[pair, week] for pair, week in table.select("pair", "week").iter_rows()]
    table = table.with_columns(y=pl.col("y") + pl.Series(shared))
    alone, together = (
        rollout(table, **ARGUMENTS).overall,
        rollout(table, **ARGUMENTS, cluster="pair").overall,
    )
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.ci_upper - together.ci_lower > 1.2 * (alone.ci_upper - alone.ci_lower)


def test_group_alone_in_wave_blocks():
    """A wave that is one group shows no spread, so nothing is claimed."""
    table = panel().with_columns(site=pl.col("vendor").str.slice(1).cast(pl.Int64) // 10)
    check = next(
        c for c in rollout(table, **ARGUMENTS, cluster="site").checks if c.check == "clusters"
    )
    assert check.status == "block"
    assert "one group alone in each of these waves: 5, 8" in check.detail


BAD = [
    (lambda t: pl.concat([t, t.head(1)]), {}, SchemaError, "every unit-period must have one row"),
    (lambda t: t.with_columns(start=pl.when(pl.col("week") > 9).then(None).otherwise(pl.col("start"))), {}, SchemaError, "switches off"),
    (lambda t: t.with_columns(start=pl.lit(None, dtype=pl.Int64)), {}, NotEnoughDataError, "no unit is treated"),
    (lambda t: t.with_columns(start=pl.lit(50)), {}, NotEnoughDataError, "no unit is treated"),
    (lambda t: t.with_columns(start=pl.lit(6)), {}, NotEnoughDataError, "no untreated unit"),
    (lambda t: t.with_columns(start=pl.lit("soon")), {}, SchemaError, "must be of one kind"),
    (lambda t: t.with_columns(y=pl.lit(1.0)), {}, NotEnoughDataError, "'y' must vary"),
    (lambda t: t.with_columns(y=pl.lit(None, dtype=pl.Float64)), {}, NotEnoughDataError, "no unit-period holds column 'y'"),
    (lambda t: t.filter((pl.col("vendor").str.slice(1).cast(pl.Int64) + pl.col("week")) % 12 != 0), {}, NotEnoughDataError, "no unit is seen in every period"),
    (lambda t: t.with_columns(d=pl.lit(-1.0)), {"denominator": "d"}, SchemaError, "must not be negative"),
    (lambda t: t, {"comparison": "all"}, ParameterError, "comparison must be"),
    (lambda t: t, {"outcome": "z"}, SchemaError, "'z' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "options", "error", "message"), BAD)
def test_bad_panel_is_named(change, options, error, message):
    """Every bad panel says what was wrong and what to do."""
    with pytest.raises(error, match=message):
        rollout(change(panel()), **{**ARGUMENTS, **options})
