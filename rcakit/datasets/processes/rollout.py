"""Which app version do people run, on which day?

Versions carry the same numbers on every platform and are counted from the end of the data, so that the newest one is
called 31.2.0 and came out seven weeks before the end at every size: long enough ago to be on most phones for a month.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DAYS_BETWEEN_RELEASES = 49
_NEWEST_VERSION = 312  # 31.2.0
_NEWEST_RELEASE_DAY = -47  # a Wednesday or Thursday at every size; nobody ships on a Sunday

_DAYS_TO_HALF = 5.0
_DAYS_PER_LOGIT = 1.5
_EVENTUAL_SHARE = 0.82  # of the people on older versions, those who will ever update
_N_VERSIONS_STILL_ALIVE = 3  # older ones than this hold less than 1 % of people


@dataclass(frozen=True, slots=True)
class Release:
    """One app version, and the day it came out (0 is the first day of the data; earlier is negative)."""

    version: str
    day: int


def releases(n_days: int) -> tuple[Release, ...]:
    """List the versions in use at some time of the period, oldest first."""
    newest = n_days + _NEWEST_RELEASE_DAY
    n_releases = newest // _DAYS_BETWEEN_RELEASES + 1 + _N_VERSIONS_STILL_ALIVE
    return tuple(
        Release(_version_name(_NEWEST_VERSION - age), newest - age * _DAYS_BETWEEN_RELEASES)
        for age in reversed(range(n_releases))
    )


def version_shares(n_days: int, *, delay_days: int = 0) -> NDArray[np.float64]:
    """Share of each version on each day.

    Parameters
    ----------
    n_days
        Length of the period.
    delay_days
        How much later than the release day this platform gets a version, as where a store reviews it first.

    Returns
    -------
    numpy.ndarray
        Shares that sum to 1 on each day, shape (n_days, n_versions), oldest version first.
    """
    release_days = np.array([release.day for release in releases(n_days)]) + delay_days
    days_out = np.arange(n_days)[:, np.newaxis] - release_days
    adopted = _EVENTUAL_SHARE / (1 + np.exp(-(days_out - _DAYS_TO_HALF) / _DAYS_PER_LOGIT))
    adopted[days_out < 0] = 0
    adopted[:, 0] = 1
    # Who runs a version took it up and has taken up no newer one.
    not_newer = np.cumprod(1 - adopted[:, ::-1], axis=1)[:, ::-1]
    shares: NDArray[np.float64] = adopted * np.column_stack([not_newer[:, 1:], np.ones(n_days)])
    return shares


def _version_name(number: int) -> str:
    """Turn 312 into 31.2.0."""
    return f"{number // 10}.{number % 10}.0"
