"""Very many series, in blocks: the same judgement with less kept."""

import datetime as dt

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rcakit.errors import ParameterError
from rcakit.spikes import detect, screen


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Return 60 days of 40 series in two keys, one of which spikes on one day."""
    rng = np.random.default_rng(7)
    counts = rng.poisson(30, (40, 60))
    counts[17, 50] += 90
    counts[3, :20] = 0  # begins late
    return pl.DataFrame(
        {
            "day": [dt.date(2026, 1, 1) + dt.timedelta(days=i % 60) for i in range(2400)],
            "market": [f"m{i // 60 // 2}" for i in range(2400)],
            "kind": ["a" if i // 60 % 2 else None for i in range(2400)],
            "reports": counts.ravel(),
        }
    ).filter(pl.col("reports") > 0)


def ask(function, data, **options):
    """Ask either function for the same series."""
    return function(data, time="day", value="reports", by=["market", "kind"], **options)


@pytest.mark.parametrize("block_size", [1, 7, 1000])
def test_blocks_agree_with_whole(table, block_size):
    """However the series are cut into blocks, incidents are those of one run over all."""
    whole = ask(detect, table).to_frame("incidents")
    parts = ask(screen, table, block_size=block_size)
    assert parts.n_series == 40
    assert_frame_equal(parts.to_frame("incidents"), whole, rel_tol=1e-5)


def test_only_odd_series_stay(table):
    """The result holds the series that stand out, with all of their days."""
    found = ask(screen, table, block_size=8)
    assert found.series == (("m8", "a"),)
    assert found.observed.shape == (1, 60)


def test_quiet_screen_says_so(table):
    """Without an incident the sentence speaks of all series, and names the one it shows."""
    quiet = table.filter(pl.col("market") != "m8")
    found = ask(screen, quiet, block_size=8)
    assert found.incidents == ()
    assert "in any of 38 series" in found.findings()[0].claim


def test_duckdb_screens_alike(table):
    """A relation that is never brought home whole gives the same incidents."""
    relation = duckdb.from_arrow(table.to_arrow())
    found = ask(screen, relation, block_size=8)
    assert found.series == (("m8", "a"),)


def test_progress_is_told(table):
    """Each block is counted, in both passes."""
    told = []
    ask(screen, table, block_size=10, progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 8) for i in range(1, 9)]


def test_screen_needs_keys(table):
    """A single series is no screening."""
    with pytest.raises(ParameterError, match="use detect"):
        screen(table, time="day", by=[])
