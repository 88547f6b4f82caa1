"""Is a bad argument refused in the one grammar of messages?"""

import datetime as dt
import math

import numpy as np
import pytest

from rcakit import validation
from rcakit.errors import ParameterError, RcaError


@pytest.mark.parametrize("bad", [True, "3", None, math.nan, math.inf, 0, 1.0])
def test_numbers_lie_in_bounds(bad):
    """Flags, text, not-a-number and bounds that are excluded are refused."""
    with pytest.raises(ParameterError, match=r"^alpha must be a number greater than 0 and less"):
        validation.check_number(bad, "alpha", gt=0, lt=1)


def test_numbers_of_numpy_are_numbers():
    """Scalars of numpy count as plain ones."""
    assert validation.check_number(np.float64(0.05), "alpha", gt=0) == 0.05
    assert validation.check_integer(np.int64(7), "days", ge=1) == 7


@pytest.mark.parametrize("bad", [7.5, True, "7", 0, 367])
def test_integers_are_whole_and_bounded(bad):
    """A fraction, a flag, text and what lies outside are refused with the bounds."""
    with pytest.raises(ParameterError, match=r"window_days must be a.* between 1 and 366, got"):
        validation.check_integer(bad, "window_days", ge=1, le=366)


def test_choices_suggest_the_near_miss():
    """A misspelt word is answered with the one that was meant."""
    with pytest.raises(
        ParameterError, match=r"one of 'up', 'down', got 'dwn'. Did you mean 'down'"
    ):
        validation.check_choice("dwn", "direction", ("up", "down"))


def test_one_name_is_a_list():
    """A single column name stands for a list of one."""
    assert validation.check_names("policy", "by") == ("policy",)
    assert validation.check_names(["a", "b"], "by") == ("a", "b")


@pytest.mark.parametrize(
    ("bad", "why"), [(["a", 3], "column name"), ([""], "column name"), (["a", "a"], "repetition")]
)
def test_names_are_distinct_words(bad, why):
    """Numbers, empty names and repetitions are refused."""
    with pytest.raises(ParameterError, match=why):
        validation.check_names(bad, "dimensions")


@pytest.mark.parametrize(
    "given",
    ["2026-03-31", dt.date(2026, 3, 31), dt.datetime(2026, 3, 31, 23), "2026-03-31T10:00:00Z"],
)
def test_dates_come_in_many_forms(given):
    """ISO text, a date and a moment all name their own day."""
    assert validation.check_date(given, "as_of") == dt.date(2026, 3, 31)


@pytest.mark.parametrize("bad", ["31.3.2026", "2026-02-30", "", None, "yesterday"])
def test_impossible_dates_are_refused(bad):
    """What is no day of the calendar is refused with an example."""
    with pytest.raises(ParameterError, match="as_of must be an ISO date such as"):
        validation.check_date(bad, "as_of")


@pytest.mark.parametrize("bad", [None, "2026-03-01", ["2026-03-01"], ["a", "b", "c"], ["x", "y"]])
def test_periods_have_two_days(bad):
    """Anything but two dates is refused."""
    with pytest.raises(ParameterError, match="must be"):
        validation.check_period(bad)


def test_periods_run_forward():
    """A period that ends before it starts says how to mend it."""
    with pytest.raises(ParameterError, match=r"two dates in order.*Swap them"):
        validation.check_period(["2026-03-02", "2026-03-01"])


def test_shown_values_stay_short():
    """An error never repeats five kilobytes, nor breaks its line."""
    shown = validation.shown("x\n" * 5000)
    assert len(shown) == 80
    assert "\n" not in shown


def test_parameter_errors_are_both():
    """The error is ours and a ValueError, so that either can be caught."""
    error = validation.refusal("days", "positive", -1)
    assert isinstance(error, RcaError)
    assert isinstance(error, ValueError)
    assert str(error) == "days must be positive, got -1."
