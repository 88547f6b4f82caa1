"""Is the segment that changed named, and none where none did?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import rcakit
from rcakit import testing
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError

FIRST = dt.date(2026, 1, 5)
PERIOD = ("2026-03-02", "2026-03-08")  # the last 7 of 63 days
NAMES = ["os", "place", "policy"]


def _events(seed=0, *, times=1.0, where=None, everywhere=1.0, mean=6.0, places="abcd"):
    """Return events of 63 days; ``where`` rises by ``times`` in the last week, all by ``everywhere``."""
    rng = np.random.default_rng(seed)
    days = pl.DataFrame({"at": [FIRST + dt.timedelta(days=i) for i in range(63)]})
    cells = days
    for name, values in (("os", ["ios", "web"]), ("place", list(places)), ("policy", ["x", "y"])):
        cells = cells.join(pl.DataFrame({name: values}), how="cross")
    is_now = pl.col("at") >= dt.date.fromisoformat(PERIOD[0])
    inside = pl.all_horizontal(
        pl.lit(value=True), *(pl.col(k) == v for k, v in (where or {}).items())
    )
    factor = pl.when(is_now).then(everywhere).otherwise(1.0) * pl.when(is_now & inside).then(
        times if where else 1.0
    ).otherwise(1.0)
    rates = cells.select(factor * mean).to_series().to_numpy()
    counted = pl.Series(rng.negative_binomial(rates / 0.2, 1 / 1.2))
    return cells.select(pl.all().repeat_by(counted)).explode(pl.all())


def _explain(table, dimensions=NAMES, **options):
    options = {"time": "at", "period": PERIOD} | options
    return rcakit.drivers.explain(table, dimensions=dimensions, **options)


@pytest.mark.parametrize("where", [{"os": "ios"}, {"os": "web", "place": "c"}])
def test_planted_segments_are_named(where):
    """One attribute or two: the segment that rose is the first driver, and the verdict says so."""
    result = _explain(_events(times=3.0, where=where))
    assert result.verdict == "localised"
    assert result.segments[0] == where
    testing.check_result(result)


def test_excess_is_covered():
    """Over 20 seeds the interval of the excess mostly holds what was added."""
    covered = 0
    for seed in range(20):
        result = _explain(_events(seed, times=3.0, where={"place": "b"}))
        row = result.to_records()[0]
        covered += row["effect_ci_lower"] <= 7 * 4 * 6 * 2 <= row["effect_ci_upper"]
    assert covered >= 17


def test_lost_segments_are_named():
    """A segment that stopped is as visible as one that rose."""
    result = _explain(_events(times=0.05, where={"os": "ios", "place": "a"}))
    assert result.segments[0] == {"os": "ios", "place": "a"}
    assert result.to_records()[0]["effect"] < 0


def test_common_rises_are_broad():
    """Where everything rose no segment is named."""
    result = _explain(_events(everywhere=1.6))
    assert result.verdict == "broad"
    assert result.segments == ()


def test_quiet_weeks_stay_quiet():
    """Over 20 seeds noise is hardly ever given a segment."""
    named = [seed for seed in range(20) if _explain(_events(seed)).segments]
    assert len(named) <= 1


def _rated(seed=0, *, weights=(1, 1), rates=(0.1, 0.5), rate_now=None, weights_now=None):
    """Return decisions in two places with a removal rate each; the last week may differ."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(63):
        is_now = day >= 56
        share = weights_now if is_now and weights_now else weights
        rate = rate_now if is_now and rate_now else rates
        for place, w, p in zip("ab", share, rate, strict=True):
            n = rng.poisson(150 * w)
            at = FIRST + dt.timedelta(days=day)
            rows.append((at, place, "z", n, rng.binomial(n, p)))
    return pl.DataFrame(rows, schema=["at", "place", "team", "n", "k"], orient="row")


def test_mix_changes_are_told():
    """A ratio that moved because weights moved is called mix, and no rate is blamed."""
    table = _rated(weights=(1.0, 1.0), weights_now=(1.6, 0.4))
    result = _explain(table, ["place"], value="k", denominator="n")
    assert result.verdict == "mix"
    assert result.segments == ()
    testing.check_result(result)


def test_rate_changes_are_localised():
    """A rate that rose in one place is found there, although counts stayed."""
    table = _rated(rate_now=(0.3, 0.5))
    result = _explain(table, ["place", "team"], value="k", denominator="n")
    assert result.verdict == "localised"
    assert result.segments[0].get("place") == "a"


def test_forecasts_replace_baselines():
    """With a forecast per row neither time nor period is needed."""
    table = pl.DataFrame(
        {
            "place": list("abcdefgh"),
            "n": [100, 101, 300, 99, 98, 102, 100, 97],
            "hoped": [100.0] * 8,
        }
    )
    result = rcakit.drivers.explain(table, dimensions="place", value="n", expected="hoped")
    assert result.segments == ({"place": "c"},)
    assert result.span is None


def test_many_values_stay_honest():
    """A column of hundreds of values neither hides the segment nor invents one."""
    rng = np.random.default_rng(5)
    table = _events(times=3.0, where={"place": "b"})
    noisy = table.with_columns(
        account=pl.Series(rng.integers(0, 400, table.height)).cast(pl.String)
    )
    result = _explain(noisy, [*NAMES, "account"])
    assert result.segments[0] == {"place": "b"}
    assert all("account" not in segment for segment in result.segments)


def test_missing_values_are_values():
    """A missing value can be the segment that changed."""
    table = _events(times=3.0, where={"place": "b"}).with_columns(
        pl.col("place").replace({"b": None})
    )
    result = _explain(table)
    assert result.segments[0] == {"place": None}
    assert "(missing)" in result.findings()[0].claim


def test_one_value_explains_nothing():
    """A dimension with one value cannot tell anything apart, so the change is broad."""
    table = _events(everywhere=1.8).with_columns(team=pl.lit("only"))
    result = _explain(table, ["team"])
    assert result.verdict == "broad"
    assert result.segments == ()


def test_periods_outside_are_refused():
    """A period without data or without a baseline is refused with the dates."""
    table = _events()
    with pytest.raises(NotEnoughDataError, match="got none"):
        _explain(table, period=("2030-01-01", "2030-01-02"))
    with pytest.raises(NotEnoughDataError, match="baseline must hold at least 14 days"):
        _explain(table, period=("2026-01-10", "2026-01-12"))


def test_numerators_are_parts():
    """A value larger than its denominator is refused with the place where it is."""
    table = _rated().with_columns(pl.col("k") + 1000)
    with pytest.raises(ParameterError, match=r"must be a part of denominator, got k = .*place = "):
        _explain(table, ["place"], value="k", denominator="n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": None}, "period must be two ISO dates"),
        ({"time": None}, "time must name the time column"),
        ({"baseline": 3}, "baseline must be a number between 14"),
        ({"baseline": ("2026-02-01", "2026-03-03")}, "baseline must end before the period"),
        ({"max_depth": 0}, "max_depth must be a number between 1 and 6"),
        ({"alpha": 2}, "alpha must be a number"),
    ],
)
def test_bad_options_are_refused(options, message):
    """Each option is checked at the door."""
    with pytest.raises(ParameterError, match=message):
        _explain(_events(mean=1.0), **options)


def test_unknown_dimensions_are_suggested():
    """A misspelt column is answered with the one that was meant."""
    with pytest.raises(SchemaError, match=r"Did you mean 'place'\?"):
        _explain(_events(mean=1.0), ["plaice"])


def test_false_discoveries_are_owned():
    """Under a false discovery rate the method, a note and the q-values say so; other words are refused."""
    table = _events(times=3.0, where={"place": "b"})
    result = _explain(table, error_rate="false_discovery", alpha=0.05)
    assert result.segments[0] == {"place": "b"}
    assert "false discovery rate" in result.findings()[0].method
    assert "5.0\u202f% are expected not to have moved" in " ".join(result.notes)
    assert result.to_records()[0]["qvalue"] <= 0.05
    with pytest.raises(ParameterError, match="error_rate"):
        _explain(table, error_rate="fdr")


@pytest.mark.parametrize("mean", [0.4, 6.0])
def test_counts_made_beforehand_are_counts(mean):
    """Rows that hold counts say the same as one row per event, also where most cells are empty."""
    events = _events(times=4.0, where={"place": "b"}, mean=mean, places="abcdefghijkl")
    counted = events.group_by("at", *NAMES).agg(pl.len().cast(pl.Int64).alias("n"))
    one_by_one, at_once = _explain(events), _explain(counted, value="n")
    assert at_once.segments == one_by_one.segments == ({"place": "b"},)
    ours, theirs = at_once.to_records()[0], one_by_one.to_records()[0]
    for name in ("effect", "effect_ci_lower", "effect_ci_upper", "qvalue"):
        assert ours[name] == pytest.approx(theirs[name])


def test_whole_amounts_are_no_counts():
    """Rare rows of whole dollars are one event each, however large."""
    rng = np.random.default_rng(0)
    events = _events(mean=0.05, places="abcdefghijkl").unique(subset=["at", *NAMES])
    table = events.with_columns(amount=pl.Series(rng.integers(20, 90, events.height)))
    assert _explain(table, value="amount").leaves.history.sum_squares is not None
