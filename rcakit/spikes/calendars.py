"""How many public holidays fall into each period?"""

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import ParameterError
from rcakit.spikes.grid import Every

__all__ = ["check_calendar", "count_holidays"]


def check_calendar(code: str) -> str:
    """Return the code of a country, or of a part of one, whose public holidays are known.

    Parameters
    ----------
    code
        ISO 3166 code such as ``DE``, or with a subdivision, ``DE-BY``.
    """
    _holidays(code, {2026})
    return code


def _holidays(code: str, years: set[int]) -> Any:
    import holidays

    country, _, part = code.partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None, years=years)
    except (NotImplementedError, KeyError, AttributeError):
        raise ParameterError(
            f"calendar must be an ISO 3166 code such as 'DE' or 'US-CA', got {code!r}. "
            "Leave calendar out to ignore holidays."
        ) from None


def count_holidays(
    code: str, days: tuple[dt.date | dt.datetime, ...], every: Every
) -> NDArray[np.int64]:
    """Count the public holidays in each period; Sundays that are holidays anyway count too.

    Parameters
    ----------
    code
        Checked by `check_calendar`.
    days
        First day of each period.
    every
        Length of a period.

    Returns
    -------
    numpy.ndarray
        Shape (n_periods,). Moving feasts included; an hour counts its day.
    """
    first = [d.date() if isinstance(d, dt.datetime) else d for d in days]
    known = _holidays(code, {d.year for d in first} | {first[-1].year + 1})
    if every in {"1h", "1d"}:
        return np.array([int(d in known) for d in first])
    bounds = np.array([d.toordinal() for d in first])
    starts = np.array(sorted(d.toordinal() for d in known))
    length = 7 if every == "1w" else 31
    after = np.append(bounds[1:], bounds[-1] + length)
    return np.searchsorted(starts, after) - np.searchsorted(starts, bounds)
