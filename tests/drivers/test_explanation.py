"""The public call: verdicts, options, bad input."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rcakit
from rcakit.drivers import explain
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError

PERIOD = ("2026-02-09", "2026-02-11")
DIMENSIONS = ["platform", "country"]
SAMPLE = Path(__file__).parents[2] / "data_samples" / "app_release_report_bug"


def _explain(data, **options):
    given = {"time": "day", "period": PERIOD, "value": "n", "dimensions": DIMENSIONS}
    return explain(data, **(given | options))


def test_planted_segment_is_named(table):
    """A segment four times its usual level is named, and the interval holds that factor."""
    result = _explain(table(4.0))
    assert result.segments == ({"platform": "android", "country": "br"},)
    record = result.to_records()[0]
    assert record["rel_effect_ci_lower"] < 3 < record["rel_effect_ci_upper"]


def test_quiet_table_names_none(table):
    """Nothing planted, nothing named."""
    assert _explain(table()).verdict == "no_evidence"


def test_rise_of_everything_is_broad(table):
    """One shared factor is no list of segments."""
    result = _explain(table(2.0, platform=None, country=None))
    assert result.verdict == "broad"
    assert result.segments == ()


@pytest.mark.parametrize("days", [28, 56, 84])
def test_sample_cause_is_named_exactly(days):
    """The roll-out 39 days before the period does not blur the segment, whatever the baseline."""
    cause = json.loads((SAMPLE.parent / "truth.json").read_text())[SAMPLE.name]["causes"][0]
    result = explain(
        rcakit.read(str(SAMPLE / "reports.parquet")),
        time="created_at",
        period=cause["window"],
        dimensions=["platform", "app_version", "surface", "policy", "source", "region"],
        baseline=days,
    )
    assert result.segments[0] in [cause["segment"], *cause["acceptable"]]
    assert len(result.segments) == 1
    record = result.to_records()[0]
    assert record["effect_ci_lower"] < cause["excess"] < record["effect_ci_upper"]


def test_rate_parts_add_up(table):
    """Rate and mix part sum to the change of the rate."""
    numbers = _explain(table(2.0), denominator="seen").attribution
    assert numbers.rate_effect + numbers.mix_effect == pytest.approx(numbers.change, abs=1e-12)


def test_reversed_rate_raises_alarm():
    """The rate falls inside both platforms while the total rises: Simpson is named."""
    rows = []
    rng = np.random.default_rng(0)
    for day in range(40):
        at, late = dt.date(2026, 1, 1) + dt.timedelta(day), day >= 35
        for platform, rate, volume in (("a", 0.1, 900), ("b", 0.6, 100)):
            n = volume if not late else 1000 - volume
            moved = rate * (0.8 if late else 1.0)
            rows.append((at, platform, "x" if day % 2 else "y", int(rng.binomial(n, moved)), n))
    data = pl.DataFrame(rows, schema=["day", "platform", "side", "bad", "n"], orient="row")
    result = explain(
        data,
        time="day",
        period=("2026-02-05", "2026-02-09"),
        value="bad",
        denominator="n",
        dimensions=["platform", "side"],
    )
    assert any("Simpson" in note for note in result.notes)
    assert result.findings()[0].caveats == result.notes


def test_parent_is_named_where_child_adds_nothing(table):
    """Japan is all of its region: with a hierarchy the region is named, the country an alternative."""
    data = table(4.0, platform=None, country="jp")
    dimensions = ["platform", "country", "region"]
    result = _explain(data, dimensions=dimensions, hierarchy={"country": "region"})
    assert result.segments == ({"region": "apac"},)
    assert {"country": "jp"} in result.to_records()[0]["alternatives"]


def test_child_stands_where_siblings_were_quiet(table):
    """Brazil alone rose, so the region is not named."""
    data = table(4.0, platform=None, country="br")
    dimensions = ["platform", "country", "region"]
    result = _explain(data, dimensions=dimensions, hierarchy={"country": "region"})
    assert result.segments == ({"country": "br"},)


@pytest.mark.parametrize("value", [None, "n"])
@pytest.mark.parametrize(("outer", "named"), [("region", "region"), (None, "country")])
def test_hierarchy_holds_for_forecasts(value, outer, named):
    """Where every region holds one country, the region is named, but only with a hierarchy."""
    rng = np.random.default_rng(5)
    rows = [
        (country, country, place, 1, 60 / n)
        for country in "abcdefgh"
        for place in range(12)
        for n in [int(rng.poisson(150 if country == "c" else 60))]
        for _ in range(n)
    ]
    names = ["country", "region", "place", "n", "hoped"]
    result = explain(
        pl.DataFrame(rows, schema=names, orient="row"),
        dimensions=names[:3],
        value=value,
        expected="hoped",
        hierarchy={"country": outer} if outer else None,
    )
    assert result.segments == ({named: "c"},)


def test_broken_hierarchy_is_refused(table):
    """A platform lies in every country, so it cannot be nested in one."""
    with pytest.raises(ParameterError, match="every platform in one country, got 'android'"):
        _explain(table(), hierarchy={"platform": "country"})


def _rows(*, burst: bool) -> pl.DataFrame:
    """One row per report, with a reporter; a new one may send 80 on the last day."""
    rng = np.random.default_rng(3)
    rows = []
    for day in range(30):
        for _ in range(int(rng.poisson(60))):
            platform = str(rng.choice(["android", "ios"]))
            rows.append(
                (dt.date(2026, 1, 1) + dt.timedelta(day), platform, f"r{rng.integers(400)}")
            )
    extra = [(dt.date(2026, 1, 30), "ios", "hostile" if burst else f"r{k}") for k in range(80)]
    return pl.DataFrame(rows + extra, schema=["day", "platform", "reporter"], orient="row")


@pytest.mark.parametrize(("burst", "words"), [(True, "in few values"), (False, "over many values")])
def test_concentration_over_entities_is_told(burst, words):
    """A burst by one new reporter is told from one by many old ones, without the id."""
    result = explain(
        _rows(burst=burst),
        time="day",
        period=("2026-01-30", "2026-01-30"),
        dimensions=["platform"],
        entity="reporter",
        unit="reports",
    )
    finding = result.findings()[-1]
    assert finding.kind == "concentration"
    assert words in finding.claim
    assert "hostile" not in result.to_json()
    assert (result.entities.numbers.new_share > 0.5) == burst


def test_notes_tell_of_dimensions_that_cannot_help(table):
    """One value, all missing, some missing: each is said."""
    data = table().with_columns(
        one=pl.lit("x"),
        empty=pl.lit(None, dtype=pl.String),
        gaps=pl.when(pl.col("country") != "jp").then("country"),
        rest=pl.when(pl.col("country") == "fr").then(pl.lit("Other")).otherwise("country"),
    )
    notes = " ".join(_explain(data, dimensions=["platform", "one", "empty", "gaps", "rest"]).notes)
    for words in ("one has one value", "empty is missing in every row", "Missing values of gaps"):
        assert words in notes
    assert "rest is cut short" in notes


@pytest.mark.parametrize("dimension", ["one", "empty"])
def test_useless_dimension_alone_is_survived(table, dimension):
    """With nothing to search there is a total and no segment."""
    data = table(3.0).with_columns(one=pl.lit("x"), empty=pl.lit(None, dtype=pl.String))
    result = _explain(data, dimensions=[dimension])
    assert result.segments == ()
    assert result.notes


def test_gap_before_the_period_is_said(table):
    """Days between baseline and period are left out, and said to be."""
    result = _explain(table(), baseline=("2026-01-01", "2026-02-01"))
    assert any(note.startswith("7 days between") for note in result.notes)


def test_zero_baseline_is_a_caveat(table):
    """A value that was always zero before has no ratio."""
    data = table(3.0).with_columns(
        n=pl.when(pl.col("day") >= dt.date(2026, 2, 9)).then("n").otherwise(0)
    )
    assert any("baseline is zero" in note for note in _explain(data).notes)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"period": ("2027-01-01", "2027-01-02")}, NotEnoughDataError, "got none"),
        ({"period": ("2026-02-16", "2026-02-18")}, NotEnoughDataError, "got none"),
        ({"period": ("2026-01-05", "2026-01-06")}, NotEnoughDataError, "at least 14 days"),
        ({"value": "seen", "denominator": "n"}, ParameterError, "part of denominator"),
        ({"expected": "seen", "denominator": "seen"}, ParameterError, "exclude each other"),
        ({"hierarchy": {"city": "country"}}, ParameterError, "hierarchy must be one of"),
        ({"hierarchy": {"country": "country"}}, ParameterError, "got 'country' in itself"),
        ({"ordered": "city"}, ParameterError, "ordered must be one of"),
        ({"dimensions": ["country", "n"]}, ParameterError, "got 'n', which is given as value"),
        ({"dimensions": ["country", "day"]}, ParameterError, "got 'day', which is given as time"),
        ({"entity": "country", "expected": "seen"}, ParameterError, "usual for an entity"),
    ],
)
def test_bad_input_is_named(table, options, error, words):
    """Each wrong input has an error of its own."""
    with pytest.raises(error, match=words):
        _explain(table(), **options)


def test_lists_are_no_dimension(table):
    """A column of lists is refused by name, not by the engine."""
    with pytest.raises(SchemaError, match="'platform' must hold single values"):
        _explain(table().with_columns(pl.concat_list("platform")))


def test_missing_numbers_are_a_caveat(table):
    """Rows whose value is missing count as zero, and a reader is told how many."""
    data = table().with_columns(pl.when(pl.col("n") < 9).then("n"))
    assert any("A number is missing in" in note for note in _explain(data).notes)


@pytest.mark.parametrize(
    ("column", "value", "options", "words"),
    [
        ("n", None, {}, "must hold numbers, got a missing value in every row"),
        ("n", float("inf"), {}, "'n' must be finite"),
        ("seen", 0, {"denominator": "seen"}, "n = .* of seen = 0"),
        ("seen", 0.0, {"expected": "seen"}, "forecast above zero"),
    ],
)
def test_useless_columns_are_named(table, column, value, options, words):
    """Columns without anything to compare are refused by name."""
    useless = table().with_columns(pl.lit(value, dtype=pl.Float64).alias(column))
    with pytest.raises((NotEnoughDataError, ParameterError), match=words):
        _explain(useless, **options)


def test_negative_row_does_not_hide(table):
    """A negative row is found although the sum of its cell is positive."""
    extra = table().with_columns(n=pl.lit(-1, dtype=pl.Int64))
    with pytest.raises(ParameterError, match="must never be negative, got -1"):
        _explain(pl.concat([table(), extra]))


def test_negative_value_is_refused(table):
    """A count below zero is no count."""
    data = table().with_columns(n=pl.col("n") - 50)
    with pytest.raises(ParameterError, match="must never be negative"):
        _explain(data)


def test_many_values_are_searched(table):
    """Ten thousand accounts as a dimension are a note, not a crash."""
    data = (
        table(4.0).with_row_index("row").with_columns(account=(pl.col("row") * 7 % 2003).cast(str))
    )
    result = _explain(data, dimensions=["platform", "country", "account"], baseline=39)
    assert any("few of them are large enough" in note for note in result.notes)


def test_forecast_of_row_counts_needs_no_history(table):
    """Rows counted against a forecast per row are counts, not amounts."""
    now = table(4.0).filter(pl.col("day").is_between(dt.date(2026, 2, 9), dt.date(2026, 2, 11)))
    data = now.select(pl.all().repeat_by("n").explode()).drop_nulls("platform")
    data = data.with_columns(forecast=18 / pl.len().over("platform", "country"))
    result = explain(data, dimensions=DIMENSIONS, expected="forecast")
    assert result.attribution.observed == data.height
    assert result.attribution.expected == pytest.approx(270)
    assert "forecast of the total" in result.notes[0]


def test_no_dimension_is_said(table):
    """Without any dimension the total is judged, and where it comes from is left open."""
    found = explain(
        table(4.0, platform=None, country=None),
        time="day",
        period=PERIOD,
        value="n",
        dimensions=[],
    )
    assert found.verdict == "broad"
    assert "cannot be told without a dimension" in found.findings()[0].claim
    assert any("No dimension was given" in note for note in found.notes)
    assert found.plot("causes").to_dict()
