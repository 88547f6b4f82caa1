"""Do control charts give the limits that textbooks and R (qcc 2.7, qicharts2 0.8.1) print?"""

import numpy as np
import polars as pl
import pytest

from rcakit import quality
from rcakit.stats import control_limits

ORANGE_JUICE = [
    12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22,
    8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6,
]  # fmt: skip
CIRCUITS = [
    21, 24, 16, 12, 15, 5, 28, 20, 31, 25, 20, 24, 16,
    19, 10, 17, 13, 22, 18, 39, 30, 24, 16, 19, 17, 15,
]  # fmt: skip
VISCOSITY = [
    33.75, 33.05, 34.0, 33.81, 33.46, 34.02, 33.68, 33.27, 33.49, 33.20, 33.62, 33.00, 33.54,
    33.12, 33.84,
]  # fmt: skip


def juice(values: list[int] = ORANGE_JUICE) -> pl.DataFrame:
    """Return samples of 50 cans with the number of faulty ones."""
    return pl.DataFrame({"sample": range(1, len(values) + 1), "faulty": values, "cans": 50})


def limits(result: quality.ControlChartResult) -> tuple[float, float, float]:
    """Return centre, lower and upper limit of the first point."""
    first = result.to_records()[0]
    return first["center"], first["lower"], first["upper"]


def test_orange_juice_p_chart():
    """The p chart of Montgomery's cans has qcc's limits and signals at 15 and 23."""
    chart = quality.control_chart(
        juice(), time="sample", value="faulty", denominator="cans", kind="p", rules="limits"
    )
    assert limits(chart) == pytest.approx((0.23133333, 0.052428, 0.410239), abs=5e-7)
    assert [row["at"] for row in chart.to_records("signals")] == [15, 23]


def test_orange_juice_np_chart():
    """The np chart of the same cans has qcc's limits."""
    chart = quality.control_chart(
        juice(), time="sample", value="faulty", denominator="cans", kind="np"
    )
    assert limits(chart) == pytest.approx((11.566667, 2.621377, 20.511956), abs=5e-7)


def test_orange_juice_without_signals():
    """Limits without the two signalling samples are those of the textbook."""
    kept = [x for i, x in enumerate(ORANGE_JUICE, 1) if i not in {15, 23}]
    chart = quality.control_chart(
        juice(kept), time="sample", value="faulty", denominator="cans", kind="p"
    )
    assert limits(chart) == pytest.approx((0.215, 0.040703, 0.389297), abs=5e-7)


@pytest.mark.parametrize(
    ("left_out", "expected", "signals"),
    [
        ((), (19.846154, 6.481447, 33.210861), [6, 20]),
        ((6, 20), (19.666667, 6.362532, 32.970801), []),
    ],
)
def test_circuit_boards_c_chart(left_out, expected, signals):
    """The c chart of circuit boards has qcc's limits with and without its signals."""
    kept = [x for i, x in enumerate(CIRCUITS, 1) if i not in left_out]
    rows = pl.DataFrame({"board": range(1, len(kept) + 1), "faults": kept})
    chart = quality.control_chart(rows, time="board", value="faults", kind="c", rules="limits")
    assert limits(chart) == pytest.approx(expected, abs=5e-7)
    assert [row["at"] for row in chart.to_records("signals")] == signals


def test_viscosity_individuals_chart():
    """The XmR chart of viscosity has qcc's limits, with the rounded constant 1.128."""
    rows = pl.DataFrame({"batch": range(15), "viscosity": VISCOSITY})
    chart = quality.control_chart(rows, time="batch", value="viscosity")
    assert chart.kind == "xmr"
    assert limits(chart) == pytest.approx((33.523333, 32.244838, 34.801829), abs=5e-7)


def test_dyed_cloth_u_limits():
    """Limits of a u chart follow the size of each sample (qcc: centre 1.4232558)."""
    size = np.array([10, 8, 13, 10, 9.5, 10, 12, 10.5, 12, 12.5])
    rows = pl.DataFrame(
        {"roll": range(10), "faults": [14, 12, 20, 11, 7, 10, 21, 16, 19, 23], "area": size}
    )
    chart = quality.control_chart(
        rows, time="roll", value="faults", denominator="area", kind="u"
    ).to_records()
    upper = {area: row["upper"] for area, row in zip(size, chart, strict=True)}
    assert chart[0]["center"] == pytest.approx(1.4232558, abs=5e-8)
    expected = {
        10: 2.555038,
        8: 2.688626,
        13: 2.415894,
        9.5: 2.58444,
        12: 2.456427,
        10.5: 2.527762,
        12.5: 2.435552,
    }
    for area, bound in expected.items():
        assert upper[area] == pytest.approx(bound, abs=5e-7)


@pytest.mark.parametrize(
    ("constant", "size", "expected"),
    [
        (control_limits.d2, 2, 1.128), (control_limits.d2, 5, 2.326), (control_limits.d2, 10, 3.078),
        (control_limits.d3, 2, 0.853), (control_limits.d3, 5, 0.864), (control_limits.d3, 10, 0.797),
        (control_limits.c4, 2, 0.7979), (control_limits.c4, 5, 0.9400), (control_limits.c4, 25, 0.9896),
    ],
)  # fmt: skip
def test_constants_match_textbook_table(constant, size, expected):
    """Constants agree with Montgomery (2013), appendix VI, to its printed digits."""
    digits = len(str(expected).partition(".")[2])
    assert round(constant(size), digits) == pytest.approx(expected, abs=1.01 * 10**-digits)


def test_c4_of_five_values():
    """The constant of standard deviations is exact to seven digits."""
    assert control_limits.c4(5) == pytest.approx(0.9399856, abs=5e-8)
