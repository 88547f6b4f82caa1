"""Does planning agree with R, with itself, and with the analysis it plans for?"""

import pytest

from rcakit import testing
from rcakit.errors import ParameterError
from rcakit.experiments import power


def test_means_equal_r():
    """power.t.test(n = 20, delta = 1) of R 4.2.2."""
    assert power("means", n=20, effect=1).answer["power"] == pytest.approx(0.8689528, abs=5e-8)


def test_proportions_equal_r():
    """power.prop.test(n = 50, p1 = .50, p2 = .75) of R 4.2.2."""
    answer = power("proportions", n=50, baseline=0.5, effect=0.25).answer
    assert answer["power"] == pytest.approx(0.7401659, abs=5e-8)


@pytest.mark.parametrize(
    ("design", "options"),
    [
        ("means", {}),
        ("means", {"looks": 5}),
        ("proportions", {"baseline": 0.2}),
        ("clusters", {"cluster_size": 50, "icc": 0.05}),
        ("switchback", {"cluster_size": 4, "icc": 0.5}),
        ("rollout", {"n_simulations": 60}),
        ("pre_post", {"n_simulations": 60}),
    ],
)
def test_effect_and_power_invert(design, options):
    """The effect found for a power has that power."""
    found = power(design, n=30, power=0.8, **options)
    again = power(design, n=30, effect=found.answer["effect"], **options)
    assert again.answer["power"] == pytest.approx(0.8, abs=0.02)
    testing.check_result(found)


def test_smallest_size_is_smallest():
    """One unit fewer misses the power."""
    n = power("means", effect=0.5, power=0.9).answer["n_treatment"]
    assert power("means", effect=0.5, n=n).answer["power"] >= 0.9
    assert power("means", effect=0.5, n=n - 1).answer["power"] < 0.9


def test_covariate_saves_its_share():
    """A pre-period column of correlation .7 halves the units."""
    plain = power("means", effect=0.1, power=0.8).answer["n_treatment"]
    adjusted = power("means", effect=0.1, power=0.8, covariate_correlation=0.7).answer[
        "n_treatment"
    ]
    assert adjusted / plain == pytest.approx(0.51, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effect": 1, "n": 10, "power": 0.8}, "exactly one of effect, n and power"),
        ({"n": 10}, "exactly one of effect, n and power"),
        ({"n": 1, "power": 0.8}, "n must be"),
        ({"n": 10, "power": 1.5}, "power must be"),
        ({"effect": 0, "power": 0.8}, "effect must differ from zero"),
    ],
)
def test_bad_plan_is_named(options, message):
    """A plan that cannot be solved says why."""
    with pytest.raises(ParameterError, match=message):
        power("means", **options)


def test_clusters_need_their_likeness():
    """Groups without size and likeness cannot be planned."""
    with pytest.raises(ParameterError, match="needs cluster_size= and icc="):
        power("clusters", n=10, power=0.8)
