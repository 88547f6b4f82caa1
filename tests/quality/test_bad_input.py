"""Does the room of quality refuse what it cannot answer, and say what to do?"""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rcakit import quality
from rcakit.errors import NotEnoughDataError, SchemaError


def days(values: list[float], **more: object) -> pl.DataFrame:
    """Return one value a day."""
    first = dt.date(2026, 1, 5)
    at = [first + dt.timedelta(days=i) for i in range(len(values))]
    return pl.DataFrame({"day": at, "value": values, **more})


def test_infinite_measurement_is_refused():
    """An infinite value is named, and capping is offered."""
    rows = days([1.0, 2.0, float("inf"), *np.arange(20.0)])
    with pytest.raises(SchemaError, match="'value' holds infinite values, got 1 of them"):
        quality.control_chart(rows, time="day", value="value")
    with pytest.raises(SchemaError, match="'value' holds infinite values"):
        quality.capability(rows, value="value", upper=30)


@pytest.mark.parametrize("options", [{"kind": "c"}, {"denominator": "n"}])
def test_negative_counts_are_refused(options):
    """A count below zero is no count; measurements may be negative."""
    rows = days([-1.0, *np.arange(20.0)], n=50)
    with pytest.raises(SchemaError, match="must hold counts, which are not negative, got -1"):
        quality.control_chart(rows, time="day", value="value", **options)
    assert quality.control_chart(rows, time="day", value="value", kind="xmr").kind == "xmr"


def test_unvarying_baseline_is_a_caveat():
    """Values that never change are in control, and suspicious."""
    found = quality.control_chart(days([3.0] * 30), time="day", value="value")
    assert any("does not vary at all" in caveat for caveat in found.caveats)


def test_fractions_are_no_counts():
    """Fractional counts break the limits of a count chart."""
    rows = days(list(np.random.default_rng(1).normal(10, 1, 40)))
    found = quality.control_chart(rows, time="day", value="value", kind="c")
    assert any("not whole numbers" in caveat for caveat in found.caveats)


def test_five_subgroups_give_no_limits():
    """Five subgroups are too few, and the message lists the ways out."""
    with pytest.raises(NotEnoughDataError, match=r"at least 6 baseline subgroups, got 5.*every="):
        quality.control_chart(days([1.0, 2, 1, 2, 1]), time="day", value="value")


def test_strata_without_decisions_are_refused():
    """An audit plan of empty strata is named."""
    rows = pl.DataFrame({"team": ["a", "b"], "n": [0, 0]})
    with pytest.raises(SchemaError, match="strata must hold decisions, got a population of 0"):
        quality.audit_plan(rows, stratum="team", population="n")


def test_infinite_label_is_refused():
    """A rating without bound is no rating."""
    rows = pl.DataFrame(
        {"item": [1, 1, 2, 2], "rater": ["a", "b"] * 2, "label": [1.0, float("inf"), 2.0, 2.0]}
    )
    with pytest.raises(SchemaError, match="'label' holds infinite values"):
        quality.agreement(rows, item="item", rater="rater", label="label", level="interval")
