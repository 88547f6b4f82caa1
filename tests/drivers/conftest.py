"""Small tables of daily reports with and without a planted change."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

PERIOD = ("2026-02-09", "2026-02-11")
SHARED = Path(os.environ.get("RCAKIT_SHARED", Path(__file__).parents[2].parent / "shared"))


@pytest.fixture(scope="session")
def table() -> Callable[..., pl.DataFrame]:
    """Builder of 8 weeks of counts by platform, country and region; one segment may rise."""

    def build(factor: float = 1.0, *, platform="android", country="br", mean=6.0, seed=0):
        rng = np.random.default_rng(seed)
        rows = []
        regions = {"br": "latam", "mx": "latam", "de": "emea", "fr": "emea", "jp": "apac"}
        for day in range(45):
            at = dt.date(2026, 1, 1) + dt.timedelta(day)
            for p in ("android", "ios", "web"):
                for c, r in regions.items():
                    moved = (
                        day >= 39 and day <= 41 and platform in {p, None} and country in {c, None}
                    )
                    n = int(rng.poisson(mean * (factor if moved else 1.0)))
                    rows.append((at, p, c, r, n, n + int(rng.poisson(3 * mean))))
        names = ["day", "platform", "country", "region", "n", "seen"]
        return pl.DataFrame(rows, schema=names, orient="row")

    return build


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the open data; tests that need it skip where it is absent."""
    folder = SHARED / "data" / "attribution"
    if not folder.exists():
        pytest.skip("the open data are not there; set RCAKIT_SHARED")
    return folder
