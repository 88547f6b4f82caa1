"""Baselines across a roll-out: only days with the present mix of values are compared with."""

import numpy as np
import pytest

from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.steadiness import last_days, steady_days

CODES = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def _history(daily: np.ndarray) -> History:
    """A history of 4 leaves from their daily values, shape (4, n_days)."""
    leaf, day = np.nonzero(daily)
    weekday = np.arange(daily.shape[1] + 1) % 7
    return History(leaf, day, daily[leaf, day].astype(float), weekday[:-1], weekday[-1:])


def _quiet(n_days: int = 70) -> np.ndarray:
    return np.random.default_rng(1).poisson(40, (4, n_days))


def test_quiet_history_stays_whole():
    """Without any drift every day is used."""
    assert steady_days(_history(_quiet()), codes=CODES, sizes=(2, 2)) == 70


@pytest.mark.parametrize("weeks", [2, 4, 6])
def test_rollout_cuts_the_history(weeks):
    """A value that appears some weeks before the period leaves only those weeks."""
    daily = _quiet()
    daily[2:, : 70 - 7 * weeks] = 0
    assert steady_days(_history(daily), codes=CODES, sizes=(2, 2)) == 7 * weeks


def test_past_burst_cuts_nothing():
    """A week that came and went is no change of the mix."""
    daily = _quiet()
    daily[0, 35:42] *= 6
    assert steady_days(_history(daily), codes=CODES, sizes=(2, 2)) == 70


def test_short_history_is_kept():
    """Two weeks are the least that says what is usual."""
    assert steady_days(_history(_quiet(14)), codes=CODES, sizes=(2, 2)) == 14


def test_last_days_keep_their_values():
    """Cutting moves the days to start at zero and loses nothing of what stays."""
    daily = _quiet(20)
    kept = last_days(_history(daily), 15)
    assert kept.n_days == 15
    assert kept.day.min() == 0
    assert kept.value.sum() == daily[:, 5:].sum()
