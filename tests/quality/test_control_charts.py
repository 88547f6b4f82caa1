"""Does the control chart choose, judge and refuse as it says?"""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcakit import quality
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError


def rates(n: int = 30, spread: float = 0.0, seed: int = 1) -> pl.DataFrame:
    """Return weekly errors out of some thousand decisions."""
    rng = np.random.default_rng(seed)
    size = rng.integers(3_000, 6_000, n)
    share = np.clip(rng.normal(0.1, spread, n), 0, 1)
    return pl.DataFrame({"week": range(n), "errors": rng.binomial(size, share), "decisions": size})


def chart(rows: object, **options: object) -> quality.ControlChartResult:
    """Chart errors out of decisions by week."""
    return quality.control_chart(
        rows, time="week", value="errors", denominator="decisions", **options
    )


def test_varying_rate_gets_prime_chart():
    """A rate that varies more than chance is charted with Laney's limits, and says why."""
    found = chart(rates(spread=0.01))
    assert found.kind == "p_prime"
    assert "varying" in found.why
    assert chart(rates()).kind == "p"


def test_daily_counts_get_weekday_limits():
    """Daily counts with quiet weekends are charted by weekday, and weekends do not signal."""
    days = [dt.date(2026, 1, 5) + dt.timedelta(i) for i in range(84)]
    usual = np.where([day.weekday() < 5 for day in days], 400, 80)
    rows = pl.DataFrame({"day": days, "n": np.random.default_rng(3).poisson(usual)})
    found = quality.control_chart(rows, time="day", value="n", rules="limits")
    assert found.kind == "seasonal"
    assert len(found.signals) <= 1
    plain = quality.control_chart(rows, time="day", value="n", kind="c", rules="limits")
    assert len(plain.signals) > 20


def test_frozen_limits_judge_later_points():
    """A shift after the freeze signals against the limits of before."""
    values = [10, 12, 11, 9, 10, 11, 12, 10, 9, 11, *[15] * 8]
    rows = pl.DataFrame({"batch": range(18), "hours": np.array(values) + 0.1})
    found = quality.control_chart(rows, time="batch", value="hours", freeze_until=9)
    assert "run_of_8" in {row["rule"] for row in found.to_records("signals")}
    assert found.to_records()[0]["center"] == pytest.approx(10.6)


def test_phases_have_their_own_limits():
    """Each phase is judged around its own centre."""
    rows = pl.DataFrame(
        {
            "batch": range(20),
            "hours": [1.1, 1.3] * 5 + [5.2, 5.4] * 5,
            "phase": ["before"] * 10 + ["after"] * 10,
        }
    )
    found = quality.control_chart(rows, time="batch", value="hours", kind="xmr", phase="phase")
    assert {round(row["center"], 2) for row in found.to_records()} == {1.2, 5.3}
    assert not found.signals


def test_subgroups_of_measurements_get_ranges():
    """Five measurements per sample give a chart of means with ranges."""
    rng = np.random.default_rng(5)
    rows = pl.DataFrame({"sample": np.repeat(np.arange(20), 5), "mm": rng.normal(74, 0.01, 100)})
    found = quality.control_chart(rows, time="sample", value="mm")
    assert found.kind == "xbar_r"
    assert (
        quality.control_chart(rows, time="sample", value="mm", kind="s").to_records()[0]["lower"]
        == 0
    )


@pytest.mark.parametrize("kind", ["ewma", "cusum"])
def test_small_lasting_shift_is_seen(kind):
    """Memory charts see a shift of one standard deviation that limits alone miss."""
    noise = np.random.default_rng(3).normal(size=60)
    values = noise + np.where(np.arange(60) < 24, 0.0, 1.0)
    rows = pl.DataFrame({"i": range(values.size), "x": values})
    found = quality.control_chart(rows, time="i", value="x", kind=kind, freeze_until=23)
    plain = quality.control_chart(
        rows, time="i", value="x", kind="xmr", rules="limits", freeze_until=23
    )
    assert found.signals
    assert not plain.signals


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "lazy", "duckdb"])
def test_every_engine_charts_alike(library):
    """The same rows give the same points in any library."""
    import duckdb

    rows = rates(spread=0.01)
    arrow = rows.to_arrow()
    held = {
        "pandas": rows.to_pandas(),
        "pyarrow": arrow,
        "lazy": rows.lazy(),
        "duckdb": duckdb.connect().from_arrow(arrow),
    }[library]
    found = chart(held)
    assert found.points == chart(rows).points
    assert isinstance(chart(rows.to_pandas()).to_frame(), pd.DataFrame)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(12)))
def test_row_order_never_matters(order):
    """Shuffled rows give the same chart."""
    rows = rates(12)
    assert chart(rows[list(order)]).points == chart(rows).points


def test_constant_values_do_not_signal():
    """A chart without variation has a caveat and no signal."""
    rows = pl.DataFrame({"week": range(10), "x": [3.5] * 10})
    found = quality.control_chart(rows, time="week", value="x")
    assert not found.signals
    assert any("does not vary" in caveat for caveat in found.findings()[0].caveats)


def test_five_subgroups_are_refused():
    """Five points give no limits, and the error says what to do."""
    with pytest.raises(NotEnoughDataError, match="at least 6 baseline subgroups, got 5"):
        chart(rates(5))


def test_few_subgroups_are_provisional():
    """Limits from ten points say that they are provisional."""
    assert any("provisional" in caveat for caveat in chart(rates(10)).findings()[0].caveats)


def test_hostile_labels_stay_inert():
    """Markup in a subgroup's name never reaches the notebook unescaped."""
    rows = pl.DataFrame(
        {"week": [f"<img src=x onerror=a>{i}" for i in range(8)], "x": [1.0, 2, 1, 2, 1, 2, 1, 9]}
    )
    found = quality.control_chart(rows, time="week", value="x")
    assert "<img" not in found._repr_mimebundle_()["text/html"]
    assert found.plot().to_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "pie"}, "kind must be one of"),
        ({"rules": "none"}, "rules must be one of"),
        ({"weight": 2}, "weight must be a number"),
        ({"freeze_until": "soon"}, "freeze_until must be a value like"),
    ],
)
def test_bad_options_are_refused(options, message):
    """Each bad option is named with what is allowed."""
    with pytest.raises(ParameterError, match=message):
        chart(rates(), **options)


def test_rate_needs_a_denominator():
    """A p chart without a denominator says so."""
    with pytest.raises(ParameterError, match="denominator must be a column for a p chart"):
        quality.control_chart(rates(), time="week", value="errors", kind="p")


def test_negative_denominator_is_refused():
    """A negative number of cases is a data error."""
    rows = rates().with_columns(-pl.col("decisions"))
    with pytest.raises(SchemaError, match="'decisions' must not be negative"):
        chart(rows)
