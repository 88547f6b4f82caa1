"""Can a finding say more than its evidence?"""

import dataclasses
import datetime as dt
import json
import math
import pickle
from decimal import Decimal

import numpy as np
import pytest

from rcakit import testing
from rcakit.errors import ParameterError
from rcakit.findings import LADDER, Finding, json_safe, rate_strength, withheld

NUMBERS = {"estimate": 50.0, "ci_lower": 40.0, "ci_upper": 60.0}
BASE = {"claim": "Reports rose.", "kind": "change", "unit": "reports", "n_obs": 200, "method": "m"}


@pytest.mark.parametrize(
    ("kind", "interval", "n_obs", "strength"),
    [
        ("driver", (40, 60), 100, "strong"),
        ("driver", (25, 75), 100, "strong"),
        ("driver", (24, 76), 100, "moderate"),
        ("driver", (40, 60), 99, "moderate"),
        ("driver", (40, 60), 30, "moderate"),
        ("driver", (40, 60), 29, "weak"),
        ("driver", (0, 100), 1000, "weak"),
        ("driver", (-1, 101), 1000, "weak"),
        ("driver", (40, 60), 9, "withheld"),
        ("matched_change", (49, 51), 10_000, "moderate"),
        ("matched_change", (-1, 101), 10_000, "weak"),
        ("ruled_out", (-10, 110), 30, "moderate"),
        ("ruled_out", (40, 60), 30, "weak"),
        ("ruled_out", (-10, 110), 29, "weak"),
        ("data_quality", (50, 50), 1, "strong"),
    ],
)
def test_strength_follows_the_rule(kind, interval, n_obs, strength):
    """Strength depends on kind, interval and size, and on nothing else."""
    low, high = interval
    rated = rate_strength(kind, estimate=50, ci_lower=low, ci_upper=high, n_obs=n_obs)
    assert rated == strength


def test_falls_rate_like_rises():
    """A loss is as well supported as a gain of the same size."""
    rise = rate_strength("driver", estimate=50, ci_lower=30, ci_upper=70, n_obs=500)
    fall = rate_strength("driver", estimate=-50, ci_lower=-70, ci_upper=-30, n_obs=500)
    assert rise == fall == "strong"


def test_strength_cannot_be_typed():
    """Nobody sets the strength by hand."""
    with pytest.raises(TypeError, match="strength"):
        Finding(**BASE, **NUMBERS, strength="strong")


@pytest.mark.parametrize("missing", ["estimate", "ci_lower", "ci_upper"])
def test_claims_need_an_interval(missing):
    """A claim without its number or interval is refused, with the way out."""
    numbers = {name: value for name, value in NUMBERS.items() if name != missing}
    with pytest.raises(ParameterError, match=r"must have an estimate.*Give withheld_because"):
        Finding(**BASE, **numbers)


def test_claims_need_observations():
    """A claim that rests on nothing is refused."""
    with pytest.raises(ParameterError, match="n_obs=0"):
        Finding(**{**BASE, "n_obs": 0}, **NUMBERS)


def test_intervals_must_be_ordered():
    """A lower bound above the upper one is refused."""
    with pytest.raises(ParameterError, match="ci_lower must be at most ci_upper"):
        Finding(**BASE, estimate=50, ci_lower=60, ci_upper=40)


def test_withheld_findings_say_why():
    """Without a number a finding says why there is none, and is rated as withheld."""
    finding = withheld("driver", "Cannot tell.", why="too few rows", unit="rows", method="m")
    assert finding.strength == "withheld"
    assert finding.to_record()["withheld_because"] == "too few rows"
    assert finding.to_record()["estimate"] is None


@pytest.mark.parametrize(
    "claim",
    [
        "The rise was caused by the release.",
        "Reports rose because of it.",
        "It is due to spam.",
        "The release LED TO reports.",
        "It resulted in bans.",
    ],
)
def test_causal_words_are_refused(claim):
    """No description may name a cause, in any of its disguises."""
    with pytest.raises(ParameterError, match="word ladder"):
        Finding(**{**BASE, "claim": claim}, **NUMBERS)


def test_only_effects_name_causes():
    """A randomised test or a clean rollout may say the last word of the ladder."""
    claim = f"The rise {LADDER[-1]} the release."
    assert Finding(**{**BASE, "kind": "effect", "claim": claim}, **NUMBERS).claim == claim


def test_quoted_data_may_say_anything():
    """A change titled with a causal word is no claim of ours, but words around it are."""
    claim = "It coincides with “Rollback due to a crash”."
    assert Finding(**{**BASE, "claim": claim}, **NUMBERS).claim == claim
    with pytest.raises(ParameterError, match="'due to'"):
        Finding(**{**BASE, "claim": "“Rollback” is due to “a crash”."}, **NUMBERS)


def test_absence_of_cause_is_sayable():
    """That no cause was found is an answer."""
    claim = "There is no cause in this data."
    assert Finding(**{**BASE, "claim": claim}, **NUMBERS).claim == claim


def test_unknown_kinds_are_refused():
    """A misspelt kind is named with the right one."""
    with pytest.raises(ParameterError, match="Did you mean 'driver'"):
        Finding(**{**BASE, "kind": "drivers"}, **NUMBERS)


def test_open_intervals_survive_writing():
    """An interval that is open on one side is the same after a trip through JSON."""
    finding = Finding(**BASE, estimate=50.0, ci_lower=40.0, ci_upper=math.inf)
    again = Finding.from_record(json.loads(json.dumps(finding.to_record(), allow_nan=False)))
    assert again.ci_upper == math.inf
    assert again.strength == finding.strength


def test_infinite_estimates_are_refused():
    """An estimate that is no number cannot be published."""
    with pytest.raises(ParameterError, match="must have an estimate"):
        Finding(**BASE, estimate=math.inf, ci_lower=0.0, ci_upper=math.inf)


def test_findings_are_frozen_values():
    """A finding cannot be changed, survives pickling, and keeps the contract."""
    finding = Finding(**BASE, **NUMBERS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.claim = "Nothing happened."
    assert pickle.loads(pickle.dumps(finding)) == finding  # noqa: S301
    testing.check_finding(finding)


def test_json_holds_plain_values_only():
    """Numbers of numpy, dates, tuples and not-a-number become what JSON knows."""
    value = {1: np.float64("nan"), "a": (dt.date(2026, 3, 1), np.int64(3)), "b": Decimal("1.5")}
    assert json_safe(value) == {"1": None, "a": ["2026-03-01", 3], "b": "1.5"}
    assert json_safe([True, None, "x", math.inf]) == [True, None, "x", None]
