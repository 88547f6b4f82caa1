"""Do charts of Montgomery's piston rings, computers and orange juice have R's limits and signals?

The measurements are printed in Montgomery, Introduction to Statistical Quality Control, tables 6.3
and 6.E.8 (piston rings), 7.2 (orange juice) and 7.8 (computers); limits are those of R qcc 2.7.
Sample 21 of the rings is 73.988 74.001 74.009 74.005 73.996, which gives qcc's mean range .02276.
"""

import numpy as np
import polars as pl
import pytest

from rcakit import quality
from rcakit.stats import run_rules

# Inside diameters in mm, as thousandths above 74; five rings a sample; 1-25 are phase I.
RINGS = [
    [30, 2, 19, -8, 8], [-5, -8, 1, 11, 4], [-12, 24, 21, 5, 2], [2, -4, -7, 15, 9],
    [-8, 7, 15, -11, 14], [9, -6, -3, -15, -7], [-5, 6, -6, 0, 5], [-15, 3, -7, 15, -12],
    [8, -5, 9, 5, 4], [-2, 0, -10, 7, -5], [-6, -2, -6, -5, -10], [4, 0, 7, 0, -4],
    [-17, 2, -2, -3, 12], [6, -33, -6, 0, -16], [12, 14, -2, -1, 7], [0, -16, 5, -2, -4],
    [-6, 12, -14, 5, 7], [6, 10, 18, 3, 0], [-16, 2, 3, 5, -3], [0, 10, 13, 20, 3],
    [-12, 1, 9, 5, -4], [4, -1, -10, 6, 9], [10, -11, -10, 9, 14], [15, 8, -7, 0, 10],
    [-18, -16, -5, 17, 13], [12, 15, 30, -14, 0], [-5, 10, -10, 15, 1], [-13, -1, -15, 0, -10],
    [8, 10, 3, -9, 6], [3, 0, 1, -14, -3], [-6, 3, 15, 20, 4], [8, 2, 18, -5, 5],
    [1, 4, -10, -4, -2], [15, 0, 16, 25, 0], [30, 5, 0, 16, 12], [1, -10, -5, 10, 24],
    [15, 20, 24, 5, 19], [35, 10, 12, 15, 26], [17, 13, 36, 25, 26], [10, 5, 29, 0, 20],
]  # fmt: skip
COMPUTERS = [10, 12, 8, 14, 10, 16, 11, 7, 10, 15, 9, 5, 7, 11, 12, 6, 8, 10, 7, 5]
LATER_JUICE = [9, 6, 12, 5, 6, 4, 6, 3, 7, 6, 2, 4, 3, 6, 5, 4, 8, 5, 6, 7, 5, 6, 3, 5]


def rings(n_samples: int = 40) -> pl.DataFrame:
    """Return one row per ring."""
    kept = RINGS[:n_samples]
    return pl.DataFrame(
        {
            "sample": np.repeat(np.arange(1, len(kept) + 1), 5),
            "diameter": 74 + np.ravel(kept) / 1000,
        }
    )


def chart(kind: str, n_samples: int = 40, **options: object) -> quality.ControlChartResult:
    """Chart the rings; limits come from the first 25 samples."""
    given = {"rules": "limits", "freeze_until": 25} | options
    return quality.control_chart(
        rings(n_samples), time="sample", value="diameter", kind=kind, **given
    )


@pytest.mark.parametrize(
    ("kind", "center", "lower", "upper"),
    [
        ("xbar_r", 74.001176, 73.988048, 74.014304),
        ("r", 0.02276, 0.0, 0.048125),
        ("s", 0.0092400366, 0.0, 0.019302),
    ],
)
def test_piston_rings_have_printed_limits(kind, center, lower, upper):
    """Limits of means, ranges and standard deviations are those that qcc prints."""
    first = chart(kind, 25).to_records()[0]
    assert first["center"] == pytest.approx(center, abs=5e-7)
    assert (first["lower"], first["upper"]) == pytest.approx((lower, upper), abs=5e-7)


def test_piston_rings_spread_in_control():
    """The process standard deviation is .0097850387 from ranges and .0098299767 from deviations."""
    by_range, by_deviation = (chart(kind, 25).to_records()[0] for kind in ("xbar_r", "xbar_s"))
    for row, expected in ((by_range, 0.0097850387), (by_deviation, 0.0098299767)):
        sigma = (row["upper"] - row["center"]) / 3 * np.sqrt(5)
        assert sigma == pytest.approx(expected, abs=5e-11)


def test_later_piston_rings_signal():
    """Samples 37 to 39 lie beyond the frozen limits, and the run above the centre reaches 40."""
    found = chart("xbar_r")
    assert [row["at"] for row in found.to_records("signals")] == [37, 38, 39]
    above = [row["statistic"] > row["center"] for row in found.to_records()]
    assert all(above[33:40])


def test_piston_rings_cusum():
    """In phase I nothing signals and the lower sum reaches 2.9113 at 14; then 37 to 40 signal."""
    early, found = chart("cusum", 25), chart("cusum")
    assert early.to_records("signals") == []
    assert sorted({row["at"] for row in found.to_records("signals")}) == [37, 38, 39, 40]


def test_piston_rings_ewma():
    """The last phase I limits are 73.9968 and 74.00555; 2.7 sigma finds 35 and 37 to 40."""
    early = chart("ewma", 25)
    last = early.to_records()[-1]
    assert (last["lower"], last["upper"]) == pytest.approx((73.9968, 74.00555), abs=6e-6)
    assert early.to_records("signals") == []
    found = chart("ewma", nsigmas=2.7)
    assert [row["at"] for row in found.to_records("signals")] == [35, 37, 38, 39, 40]


def test_computers_u_chart():
    """Nonconformities of five computers a sample: 1.93, .066133 to 3.793867."""
    rows = pl.DataFrame({"sample": range(20), "faults": COMPUTERS, "size": 5})
    first = quality.control_chart(
        rows, time="sample", value="faults", denominator="size", kind="u"
    ).to_records()[0]
    found = (first["center"], first["lower"], first["upper"])
    assert found == pytest.approx((1.93, 0.066133, 3.793867), abs=5e-7)


def test_later_orange_juice_p_chart():
    """After the machine was adjusted: .11083333, 0 to .244021."""
    rows = pl.DataFrame({"sample": range(31, 55), "faulty": LATER_JUICE, "cans": 50})
    first = quality.control_chart(
        rows, time="sample", value="faulty", denominator="cans", kind="p"
    ).to_records()[0]
    found = (first["center"], first["lower"], first["upper"])
    assert found == pytest.approx((0.11083333, 0.0, 0.244021), abs=5e-7)


@pytest.mark.parametrize(
    ("n_points", "longest", "crossings"),
    [(20, 7, 6), (36, 8, 13)],  # qicharts2 on accidents (20 weeks) and infections (36 months)
)
def test_run_limits_of_health_service(n_points, longest, crossings):
    """Longest run and fewest crossings allowed are those printed for 20 and 36 points."""
    values = np.tile([0.0, 1.0], n_points // 2)
    found = run_rules.anhoej(values, np.full(n_points, 0.5))
    assert found.longest_run_max == longest
    assert found.crossings_min == crossings


def test_health_service_runs_signal():
    """A run of 15 with 10 crossings among 36 points signals; 5 with 9 among 20 do not."""
    runs = [15, 1, 2, 3, 1, 4, 2, 1, 3, 2, 2]
    values = np.concatenate([np.full(n, i % 2) for i, n in enumerate(runs)]).astype(float)
    found = run_rules.anhoej(values, np.full(36, 0.5))
    assert (found.longest_run, found.crossings, found.is_signal) == (15, 10, True)
    runs = [5, 2, 1, 2, 1, 3, 1, 2, 1, 2]
    values = np.concatenate([np.full(n, i % 2) for i, n in enumerate(runs)]).astype(float)
    calm = run_rules.anhoej(values, np.full(20, 0.5))
    assert (calm.longest_run, calm.crossings, calm.is_signal) == (5, 9, False)
