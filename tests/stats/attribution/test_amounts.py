"""Amounts with a forecast: noise from the quiet side, faults of any depth."""

import numpy as np
import pytest

from benchmarks.drivers_amounts_made import amount_instance
from rcakit.stats.attribution.amounts import amount_noise, attribute_amounts, symmetric_deviation


@pytest.fixture
def traffic():
    """Builder of 6 x 7 x 8 amounts with 5 % forecast error and a fault."""

    def build(segments=(), left=0.5, seed=0):
        rng = np.random.default_rng(seed)
        codes = np.indices((6, 7, 8)).reshape(3, -1).T
        forecast = 100.0 * rng.weibull(0.7, len(codes))
        value = forecast * (1.0 + 0.05 * rng.standard_normal(len(codes)))
        for segment in segments:
            inside = np.all([(c < 0) | (codes[:, j] == c) for j, c in enumerate(segment)], axis=0)
            value[inside] *= left
        return codes, (6, 7, 8), value, forecast

    return build


def test_deviation_is_symmetric():
    """Swapping value and forecast flips the sign; a value of zero gives two."""
    assert symmetric_deviation(
        np.array([1.0, 3.0, 0.0]), np.array([3.0, 1.0, 5.0])
    ) == pytest.approx([1.0, -1.0, 2.0])


@pytest.mark.parametrize(
    "segments", [[(2, -1, -1)], [(-1, 3, 4)], [(1, 2, 3), (4, 5, 6)], [(-1, 1, 2), (-1, 1, 5)]]
)
def test_faults_come_out_exactly(traffic, segments):
    """Planted faults, also two side by side under one parent, are all and alone."""
    result = attribute_amounts(*traffic(segments))
    assert {s.codes for s in result.segments} == set(segments)


def test_no_fault_names_nothing(traffic):
    """Forecast noise alone is no evidence."""
    assert attribute_amounts(*traffic()).verdict == "no_evidence"


def test_shared_shift_is_broad(traffic):
    """A forecast that is a third too high everywhere has no local cause."""
    codes, sizes, value, forecast = traffic()
    result = attribute_amounts(codes, sizes, value, 1.5 * forecast)
    assert result.verdict == "broad"


def test_contamination_leaves_noise_alone():
    """A third of the leaves pushed one way does not widen the noise (0.1, not 0.5)."""
    rng = np.random.default_rng(0)
    deviation = rng.normal(0.0, 0.1, 3_000)
    deviation[:1_000] += 1.0
    assert amount_noise(deviation, rng.random(3_000)).sd == pytest.approx(0.1, rel=0.3)


def test_tail_comes_from_quiet_side():
    """A fifth of the leaves packed at ten deviations leave the tail at that of a normal, about two."""
    rng = np.random.default_rng(1)
    deviation = rng.normal(0.0, 0.1, 5_000)
    deviation[:1_000] = rng.normal(1.0, 0.01, 1_000)
    assert amount_noise(deviation, rng.random(5_000)).tail_start < 3.0


def test_huge_fault_is_named_once():
    """Thousands of leaves that leave the table leave no rounding behind that is named again."""
    case = amount_instance("S", 20_007)
    result = attribute_amounts(case.codes, case.sizes, case.observed, case.expected, max_depth=5)
    assert sorted(s.codes for s in result.segments) == sorted(case.causes)


def test_discoveries_come_out_exactly(traffic):
    """Faults named under a false discovery rate; what was looked at and dropped is back in the rest."""
    planted = [(2, -1, -1), (-1, 3, 4), (1, 2, 3)]
    table = traffic(planted)
    result = attribute_amounts(*table, error_rate="false_discovery", alpha=0.05)
    assert {s.codes for s in result.segments} == set(planted)
    assert all(s.qvalue <= 0.05 for s in result.segments)
    quiet = attribute_amounts(*traffic(), error_rate="false_discovery", alpha=0.3)
    assert quiet.shared_factor == pytest.approx(attribute_amounts(*traffic()).shared_factor)


def test_dropped_discoveries_are_in_the_rest(traffic):
    """Without a name in the end the rest is everything, also where a first look had picked something up."""
    for left in np.linspace(0.5, 0.9, 40):
        table = traffic([(1, 2, 3)], left=left)
        result = attribute_amounts(*table, error_rate="false_discovery", alpha=0.05)
        if not result.segments:
            assert result.shared_factor == pytest.approx(table[2].sum() / table[3].sum())
