"""Does a before-after comparison resist memory, seasons and spikes?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import pre_post

DAY = dt.datetime(2026, 1, 1)
AT = DAY + dt.timedelta(days=60)


def series(lift: float = 0.0, n: int = 90, seed: int = 0, memory: float = 0.4) -> pl.DataFrame:
    """Draw a daily value with a week, memory, and a lift after day 60."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(n)
    for t in range(1, n):
        noise[t] = memory * noise[t - 1] + rng.normal()
    y = 100 + 5 * (np.arange(n) % 7 == 0) + noise + lift * (np.arange(n) >= 60)
    return pl.DataFrame({"at": [DAY + dt.timedelta(days=i) for i in range(n)], "y": y})


def status(result, check: str) -> str:
    """Return the status of one check."""
    return next(c.status for c in result.checks if c.check == check)


def test_all_engines_read_alike(hold):
    """The same series gives the same effect in every engine."""
    here = pre_post(series(4.0), time="at", value="y", at=AT).effects[0]
    there = pre_post(hold(series(4.0)), time="at", value="y", at=AT).effects[0]
    assert there.effect == pytest.approx(here.effect)


def test_result_keeps_its_contract():
    """Tables, findings and the counterfactual chart follow the form of every result."""
    result = pre_post(series(6.0), time="at", value="y", at=AT)
    testing.check_result(result)
    assert result.plot().to_dict()["title"]
    assert len(result.to_records("series")) == 90


def test_finds_a_true_step():
    """A step of six is found, and only said to coincide."""
    result = pre_post(series(6.0), time="at", value="y", at=AT)
    effect = result.effects[0]
    assert effect.effect_ci_lower < 6 < effect.effect_ci_upper
    assert effect.verdict == "higher"
    assert "coincides with" in result.reading()


def test_no_step_is_rarely_claimed():
    """Noise with memory is not taken for an effect."""
    alarms = [
        pre_post(series(seed=s, memory=0.7), time="at", value="y", at=AT).effects[0].pvalue < 0.05
        for s in range(40)
    ]
    assert sum(alarms) <= 6


def test_shift_and_scale_change_nothing():
    """Another unit of measurement scales the effect and leaves the p-value."""
    one = pre_post(series(3.0), time="at", value="y", at=AT).effects[0]
    scaled = series(3.0).with_columns(y=pl.col("y") * 1000)
    two = pre_post(scaled, time="at", value="y", at=AT).effects[0]
    assert two.effect == pytest.approx(1000 * one.effect, rel=1e-6)
    assert two.pvalue == pytest.approx(one.pvalue, rel=1e-6)


def test_spike_cuts_the_baseline():
    """A spike before the change is found, cut out, and its fading is not an effect."""
    table = series(n=120)
    spike = np.zeros(120)
    spike[55:] = 12 * np.exp(-np.arange(65) / 5)
    result = pre_post(table.with_columns(y=pl.col("y") + spike), time="at", value="y", at=AT)
    assert status(result, "trigger") == "warn"
    assert result.effects[0].effect_ci_lower < 0 < result.effects[0].effect_ci_upper
    phases = [row["phase"] for row in result.to_records("series")]
    assert phases.count("washout") == 14
    assert phases.count("left out") >= 2


def test_lasting_level_is_no_spike():
    """A level that rose long before the change is part of the past, not a spike to cut out."""
    higher = np.where(np.arange(460) >= 360, 12.0, 0.0)
    table = series(n=460).with_columns(y=pl.col("y") + pl.Series(higher))
    result = pre_post(table, time="at", value="y", at=DAY + dt.timedelta(days=400))
    assert status(result, "trigger") == "pass"


def test_changed_definition_withholds():
    """An outcome defined anew at the launch cannot be compared with itself."""
    result = pre_post(series(6.0), time="at", value="y", at=AT, definition_changed_at=AT)
    assert result.effects[0].verdict == "withheld"
    assert result.findings()[0].strength == "withheld"


def test_moving_control_warns():
    """A control series that jumps on the same date points to something else."""
    table = series(6.0).with_columns(other=series(8.0, seed=5)["y"])
    result = pre_post(table, time="at", value="y", at=AT, controls="other")
    assert status(result, "negative_controls") == "warn"


def test_rows_are_counted_without_value():
    """Without a value rows are counted, and a day without rows is zero."""
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(90), rng.poisson(20, 90))
    table = pl.DataFrame({"at": [DAY + dt.timedelta(days=int(d)) for d in days]})
    result = pre_post(table, time="at", at=AT)
    assert result.effects[0].metric == "rows"
    assert sum(row["observed"] for row in result.to_records("series")) == len(days)


def test_slope_is_reported():
    """A change of trend has a row of its own."""
    table = series().with_columns(
        y=pl.col("y") + pl.Series(np.maximum(np.arange(90) - 60, 0) * 1.0)
    )
    result = pre_post(table, time="at", value="y", at=AT, slope=True)
    trend = result.effects[1]
    assert trend.effect_ci_lower < 1.0 < trend.effect_ci_upper


BAD = [
    ({"at": "2025-01-01"}, ParameterError, "at must lie inside the data"),
    ({"at": "2027-01-01"}, ParameterError, "at must lie inside the data"),
    ({"at": "2026-01-05"}, NotEnoughDataError, "at least 14 periods before"),
    ({"trigger_at": "2026-04-01"}, ParameterError, "must not be after at"),
    ({"trigger_at": "2025-01-01"}, ParameterError, "trigger_at must lie inside the data"),
    ({"start": "2030-01-01"}, NotEnoughDataError, "no row has a time from '2030-01-01'"),
    ({"value": "x"}, SchemaError, "'x' is missing"),
    ({"every": "1m"}, ParameterError, "every must be"),
    ({"model": "arima"}, ParameterError, "model must be"),
    ({"confidence_level": 95}, ParameterError, "confidence_level"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_input_is_named(options, error, message):
    """Every bad input says what was wrong and what is allowed."""
    with pytest.raises(error, match=message):
        pre_post(series(), **{"time": "at", "value": "y", "at": AT, **options})


def test_constant_series_is_refused():
    """A value that never varies has no interval."""
    with pytest.raises(NotEnoughDataError, match="must vary"):
        pre_post(series().with_columns(y=pl.lit(3.0)), time="at", value="y", at=AT)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"c": pl.lit(1.0)}, {"controls": "c"}, "'c' must vary"),
        ({"c": pl.lit(1.0)}, {"covariates": "c"}, "'c' must vary"),
        ({"c": pl.lit(0.0)}, {"denominator": "c"}, "the denominator is zero"),
        ({"c": pl.lit(-2.0)}, {"denominator": "c"}, "must not be negative, got -2"),
        ({"c": pl.col("at") >= AT}, {"covariates": "c"}, "must not repeat"),
        ({"y": pl.col("y") - 100}, {"log": True}, "Leave log out"),
    ],
)
def test_bad_column_is_named(columns, options, message):
    """A column that cannot play its part is refused by its name."""
    table = series().with_columns(**columns)
    with pytest.raises((NotEnoughDataError, ParameterError, SchemaError), match=message):
        pre_post(table, time="at", value="y", at=AT, **options)
