"""Is the rhythm of a table told from its days?"""

import numpy as np
import pytest

from rcakit.stats.rhythm import occasions, rhythm

WEEKS = np.arange("2026-01-05", "2026-03-30", 7, dtype="datetime64[D]")
MONTHS = np.arange("2025-01", "2026-01", dtype="datetime64[M]").astype("datetime64[D]")
DAYS = np.arange("2026-01-05", "2026-02-05", dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("days", "every"),
    [
        (WEEKS, "1w"),
        (np.delete(WEEKS, 3), "1w"),
        (MONTHS, "1mo"),
        (MONTHS - 1, "1mo"),
        (DAYS, "1d"),
        (WEEKS[:4], "1d"),
        (np.append(WEEKS, WEEKS[-1] + 1), "1d"),
    ],
)
def test_rhythm_follows_from_days(days, every):
    """Weeks and months need one date each; a stray day or too few days mean daily."""
    assert rhythm(days) == every


@pytest.mark.parametrize(("days", "every"), [(WEEKS, "1w"), (MONTHS, "1mo"), (MONTHS - 1, "1mo")])
def test_occasions_fill_missing_dates(days, every):
    """A week or month without rows is due all the same."""
    due = occasions(days[0], days[-1], every=every, like=np.delete(days, 4))
    assert due.tolist() == days.tolist()
