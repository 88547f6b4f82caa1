"""Small worlds with a known ring in them."""

import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest

START = dt.datetime(2026, 3, 1)


def ring_rows(name: str = "bad", size: int = 12, *, day: int = 10) -> list[tuple]:
    """Make one ring: three types of attribute, each in overlapping groups of three."""
    return [
        (
            f"{name}{i}",
            f"{name}-{kind}{(i + shift) // 3}",
            kind,
            START + dt.timedelta(days=day, hours=i),
        )
        for i in range(size)
        for kind, shift in (("device", 0), ("card", 1), ("phone", 2))
    ]


def household_rows(n_homes: int = 300) -> list[tuple]:
    """Make homes of one to six that share an address, every third also a device."""
    rows = []
    for home in range(n_homes):
        for person in range(1 + home % 6):
            at = START + dt.timedelta(days=home % 60)
            rows.append((f"h{home}p{person}", f"home{home}", "address", at))
            if home % 3 == 0 and person < 3:
                rows.append((f"h{home}p{person}", f"tablet{home}", "device", at))
    return rows


def table(rows: list[tuple]) -> pl.DataFrame:
    """Name the columns."""
    names = ["account_id", "attribute", "attribute_type", "first_seen_at"]
    return pl.DataFrame(rows, schema=names, orient="row")


COLUMNS = {"account": "account_id", "attribute": "attribute", "attribute_type": "attribute_type"}


@pytest.fixture(scope="session")
def world() -> pl.DataFrame:
    """One ring of twelve among three hundred homes."""
    return table(ring_rows() + household_rows())


@pytest.fixture(scope="session")
def retweets() -> pl.DataFrame:
    """Real retweets with known co-action counts; skipped where the shared folder is absent."""
    beside = Path(__file__).parents[2].parent / "shared"
    path = Path(os.environ.get("RCAKIT_SHARED", beside)) / "data/coordination/retweets.parquet"
    if not path.exists():
        pytest.skip(f"shared data not found at {path}; set RCAKIT_SHARED")
    return pl.read_parquet(path)
