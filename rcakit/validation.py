"""How are arguments checked, and in which words is a bad one refused?

Every check returns the value it checked, so that it can stand on the line that assigns it.
One grammar for all messages: ``{name} must be {allowed}, got {given}. {hint}``.
"""

import datetime as dt
import math
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, TypeVar

from rcakit.errors import ParameterError

__all__ = [
    "check_choice",
    "check_date",
    "check_integer",
    "check_names",
    "check_number",
    "check_period",
    "did_you_mean",
    "refusal",
    "shown",
]

_SHOWN_LENGTH = 80
_Word = TypeVar("_Word", bound=str)


def shown(value: object) -> str:
    """Return a value as an error message shows it: quoted, on one line, never long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"


def refusal(name: str, allowed: str, given: object, hint: str = "") -> ParameterError:
    """Build the error that says what was wrong, what was given and what is allowed."""
    return ParameterError(f"{name} must be {allowed}, got {shown(given)}. {hint}".strip())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean …?`` for a near miss, else an empty string."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def check_number(
    value: Any,
    name: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    hint: str = "",
) -> float:
    """Return a finite real number that lies within the bounds."""
    allowed = f"a number{_bounds(ge=ge, gt=gt, le=le, lt=lt)}"
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise refusal(name, allowed, value, hint)
    number = float(value)
    too_low = (ge is not None and number < ge) or (gt is not None and number <= gt)
    too_high = (le is not None and number > le) or (lt is not None and number >= lt)
    if too_low or too_high:
        raise refusal(name, allowed, value, hint)
    return number


def check_integer(
    value: Any, name: str, *, ge: int | None = None, le: int | None = None, hint: str = ""
) -> int:
    """Return a whole number that lies within the bounds."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise refusal(name, f"a whole number{_bounds(ge=ge, le=le)}", value, hint)
    return int(check_number(int(value), name, ge=ge, le=le, hint=hint))


def check_choice(value: _Word, name: str, choices: Collection[_Word], *, hint: str = "") -> _Word:
    """Return a word that is one of the choices."""
    if value not in choices:
        allowed = "one of " + ", ".join(repr(str(choice)) for choice in choices)
        near = did_you_mean(str(value), map(str, choices))
        raise refusal(name, allowed, value, f"{near} {hint}".strip())
    return value


def check_names(value: str | Sequence[str], name: str) -> tuple[str, ...]:
    """Return column names as a tuple: one name stands for a list of one."""
    names = (value,) if isinstance(value, str) else tuple(value)
    item: Any
    for item in names:
        if not isinstance(item, str) or not item:
            raise refusal(name, "a column name or a list of column names", value)
    twice = [item for item in dict.fromkeys(names) if names.count(item) > 1]
    if twice:
        raise refusal(name, "a list without repetition", value, f"Remove the second {twice[0]!r}.")
    return names


def check_date(value: str | dt.date | None, name: str) -> dt.date:
    """Return a calendar day from an ISO date, a date or a timestamp (its own day)."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        raise refusal(name, "an ISO date such as 2026-03-31", value) from None


def check_period(
    value: Sequence[str | dt.date] | None, name: str = "period"
) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a period; both days belong to it."""
    if value is None or isinstance(value, str) or len(value) != 2:
        raise refusal(name, "two ISO dates, first and last day", value)
    first, last = check_date(value[0], f"{name}[0]"), check_date(value[1], f"{name}[1]")
    if last < first:
        raise refusal(name, "two dates in order", [str(first), str(last)], "Swap them.")
    return first, last


def _bounds(
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> str:
    if ge is not None and le is not None:
        return f" between {ge} and {le}"
    words = [
        f"{word} {bound}"
        for word, bound in (
            ("at least", ge),
            ("greater than", gt),
            ("at most", le),
            ("less than", lt),
        )
        if bound is not None
    ]
    return f" {' and '.join(words)}" if words else ""
