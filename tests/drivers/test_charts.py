"""Charts of drivers: what they draw, and that the parts fit together."""

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest

from rcakit.drivers import explain
from rcakit.errors import ParameterError


@pytest.fixture(scope="module")
def result(table):
    """A result with one named segment."""
    return explain(
        table(4.0),
        time="day",
        period=("2026-02-09", "2026-02-11"),
        value="n",
        dimensions=["platform", "country"],
    )


@pytest.mark.parametrize("kind", ["causes", "days", "is_is_not"])
def test_every_chart_is_drawn(result, kind):
    """Each kind gives a specification with a title."""
    assert result.plot(kind).to_dict()["title"]["text"]


def test_waterfall_ends_where_observed(result):
    """The steps lead from expected to observed without a gap."""
    steps = result.plot().to_dict()["data"]["values"]
    for before, after in pairwise(steps[:-1]):
        assert after["start"] == pytest.approx(before["end"], abs=1e-3)
    assert steps[-2]["end"] == pytest.approx(steps[-1]["end"], abs=1e-3)


def test_siblings_of_the_segment_stayed(result):
    """What is inside stands apart from what is not."""
    rows = result.is_is_not()
    inside = [row["ratio"] for row in rows if row["is_inside"]]
    outside = [row["ratio"] for row in rows if not row["is_inside"]]
    assert min(inside) > 2 * max(outside)


def test_days_add_up_to_the_period(result):
    """Segments and everything else hold every row of the period once."""
    cells = [row["observed"] for row in result.by_day() if row["is_period"]]
    assert sum(cells) == pytest.approx(result.attribution.observed)


def test_unknown_chart_is_refused(result):
    """A kind that does not exist is named with those that do."""
    with pytest.raises(ParameterError, match="kind must be one of 'causes'"):
        result.plot("pie")


def test_steps_of_rates_have_intervals(table):
    """The line of a step of a ratio holds its end, in the unit of the ratio, at the level asked for."""
    options = {"time": "day", "period": ("2026-02-09", "2026-02-11"), "value": "n"}
    rate = explain(
        table(4.0),
        dimensions=["platform", "country"],
        denominator="seen",
        confidence_level=0.9,
        **options,
    )
    chart = rate.plot().to_dict()
    step = chart["data"]["values"][1]
    assert step["lower"] < step["end"] < step["upper"] < 1
    assert "90 % intervals" in str(chart["title"]["subtitle"])
    assert "(90 % interval" in rate.findings()[1].claim


def test_title_says_how_far_apart(result):
    """The title of is and is not holds the level inside and those beside it."""
    title = " ".join(result.plot("is_is_not").to_dict()["title"]["text"])
    assert "platform = android, country = br: 3.3 times" in title
    assert "usual level; beside it" in title


def test_mix_is_drawn_apart_from_rates():
    """A ratio that moved by mix alone has one step for the rates and one for the mix, and says so."""
    rows = [
        (dt.date(2026, 1, 1) + dt.timedelta(day), platform, side, round(n * rate), n)
        for day in range(40)
        for side in ("x", "y")
        for platform, rate, few, many in (("a", 0.1, 100, 900), ("b", 0.6, 900, 100))
        for n in [(few if day >= 35 else many) + 3 * (day % 5)]
    ]
    mixed = explain(
        pl.DataFrame(rows, schema=["day", "platform", "side", "bad", "n"], orient="row"),
        time="day",
        period=("2026-02-05", "2026-02-09"),
        value="bad",
        denominator="n",
        dimensions=["platform", "side"],
    )
    steps = mixed.plot().to_dict()["data"]["values"]
    assert [step["step"] for step in steps][1:3] == [["rates inside segments"], ["mix of segments"]]
    assert abs(steps[2]["end"] - steps[2]["start"]) > 10 * abs(steps[1]["end"] - steps[1]["start"])
    assert "rates inside them stayed" in mixed.findings()[0].claim
