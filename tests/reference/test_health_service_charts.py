"""Do charts of health service figures have the limits and runs that R (qicharts2 0.8.1) prints?

Attendances of English accident and emergency departments seen within four hours, 20 weeks, as
printed in Mohammed, Panesar, Laney and Wilson (2013), BMJ Quality and Safety 22, p. 362; and
hospital infections with *Clostridium difficile* in 36 months, with the days in hospital that they
are counted in, as in the documentation of qicharts2.
"""

import datetime as dt

import polars as pl
import pytest

from rcakit import quality

SEEN = [
    266501, 264225, 276532, 281461, 269071, 261215, 270409, 279778, 270483, 270320,
    267923, 271478, 255353, 256820, 261835, 259144, 255910, 260863, 264465, 260989,
]  # fmt: skip
CAME = [
    280443, 276823, 291681, 296155, 282343, 275888, 283867, 295251, 284468, 282529,
    279618, 283932, 266629, 268091, 276803, 271578, 266005, 273520, 278574, 273772,
]  # fmt: skip
INFECTIONS = [
    17, 12, 27, 20, 20, 18, 22, 19, 19, 24, 17, 16, 24, 19, 19, 22, 25, 19,
    17, 6, 25, 17, 11, 14, 9, 11, 7, 13, 5, 5, 3, 5, 9, 4, 5, 9,
]  # fmt: skip
# 24 times the days: hours in hospital, which are whole numbers but for rounding.
HOSPITAL_DAYS = [
    14768.4166666667, 14460.3333333333, 16176.9166666667, 14226.5, 14816.25, 14335.2916666667,
    14964.5416666667, 14327.875, 13200.5833333333, 13855.625, 13794.5, 14070.8333333333,
    14496.8333333333, 14332.25, 14927, 13362.125, 14058.125, 14388.0833333333,
    14673.4166666667, 14153.5416666667, 13830.7083333333, 14171.375, 14637.9583333333,
    14713.0833333333, 14750.625, 14881.6666666667, 15203.75, 13589.75, 15111.5416666667,
    13729.9583333333, 13879.8333333333, 13895.8333333333, 13140.6666666667, 13372.9166666667,
    13959.375, 14181.3333333333,
]  # fmt: skip


def attendances(kind: str, rules: str = "limits") -> quality.ControlChartResult:
    """Chart the share of attendances seen in time."""
    rows = pl.DataFrame({"week": range(1, 21), "seen": SEEN, "came": CAME})
    return quality.control_chart(
        rows, time="week", value="seen", denominator="came", kind=kind, rules=rules
    )


def infections(**options: object) -> quality.ControlChartResult:
    """Chart infections per 10,000 days in hospital."""
    months = [dt.date(2012 + (10 + i) // 12, (10 + i) % 12 + 1, 1) for i in range(36)]
    exposure = [days / 10_000 for days in HOSPITAL_DAYS]
    rows = pl.DataFrame({"month": months, "n": INFECTIONS, "exposure": exposure})
    return quality.control_chart(
        rows, time="month", value="n", denominator="exposure", kind="u", **options
    )


def first(chart: quality.ControlChartResult) -> tuple[float, float, float]:
    """Return centre, lower and upper limit of the first point."""
    row = chart.to_records()[0]
    return row["center"], row["lower"], row["upper"]


def test_attendances_prime_chart():
    """The p' chart has sigma_z 10.64042, the printed limits and no signal."""
    chart = attendances("p_prime")
    assert chart.sigma_z == pytest.approx(10.64042, abs=5e-6)
    assert first(chart) == pytest.approx((0.95289971, 0.94012964, 0.96566978), abs=5e-9)
    assert chart.to_records("signals") == []


def test_attendances_plain_chart():
    """The plain p chart calls 16 of the 20 weeks signals."""
    chart = attendances("p")
    assert first(chart) == pytest.approx((0.95289971, 0.95169956, 0.95409986), abs=5e-9)
    assert len(chart.to_records("signals")) == 16


def test_attendances_per_unit_charts():
    """The u chart has 3 signals; the u' chart has sigma_z 2.309248 and the limits of p'."""
    assert len(attendances("u").to_records("signals")) == 3
    chart = attendances("u_prime")
    assert chart.sigma_z == pytest.approx(2.309248, abs=5e-7)
    assert first(chart) == pytest.approx((0.95289971, 0.94012964, 0.96566978), abs=5e-9)


def test_attendances_choose_prime_chart():
    """Left to itself the chart of a quarter of a million cases a week is a p' chart."""
    assert attendances("auto").kind == "p_prime"


def test_attendances_run_by_chance():
    """The longest run is 5 (at most 7) and there are 9 crossings (at least 6): no signal."""
    runs = attendances("p_prime", rules="anhoej").runs
    assert (runs.longest_run, runs.longest_run_max) == (5, 7)
    assert (runs.crossings, runs.crossings_min, runs.is_signal) == (9, 6, False)


def test_infections_runs_signal():
    """Frozen after 24 months: centre 13.0242, a run of 15 (at most 8), 10 crossings (13 or more)."""
    chart = infections(freeze_until=dt.date(2014, 10, 1), rules="anhoej")
    assert first(chart)[0] == pytest.approx(13.0242, abs=5e-5)
    runs = chart.runs
    assert (runs.longest_run, runs.longest_run_max) == (15, 8)
    assert (runs.crossings, runs.crossings_min, runs.is_signal) == (10, 13, True)


def test_infections_limits_of_all():
    """Limits of all 36 months are those that qicharts2 returns per 1,000 days, times ten."""
    expected = (10.380231037895133, 2.4267399952229274, 18.333722080567338)
    assert first(infections()) == pytest.approx(expected, rel=1e-9)
