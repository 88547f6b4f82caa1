"""How much was there to report? Views and active accounts a day."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rcakit.datasets import vocabulary
from rcakit.datasets.processes.calendar import growth
from rcakit.datasets.processes.counts import mean_one_noise
from rcakit.datasets.scenario import Scenario
from rcakit.datasets.tables.column import Built, Column, conform
from rcakit.datasets.world import World

ABOUT = "Exposure: one row per day, region and surface. Complete for every day of the period."

COLUMNS = (
    Column("date", pl.Date(), "UTC day", "Day of the exposure."),
    Column("region", pl.String(), "", "Region of the viewer; the values of `reports.region`."),
    Column("surface", pl.String(), "", "Part of the product; the values of `reports.surface`."),
    Column(
        "views_count", pl.Int64(), "views", "Items shown on this surface in this region that day."
    ),
    Column(
        "active_accounts_count",
        pl.Int64(),
        "accounts",
        "Accounts that used this surface in this region that day.",
    ),
)

# Shaped like public transparency reports: a few dozen user reports per million views.
_VIEWS_PER_REPORT = 20_000
_VIEWS_PER_ACTIVE_ACCOUNT = 45
_GROWTH_PER_YEAR = 0.12
_NOISE_SD = 0.015
_WEEK = np.array([0.98, 0.97, 0.97, 0.98, 1.00, 1.05, 1.05])


def build(world: World, scenario: Scenario) -> Built:  # noqa: ARG001 (every table is built alike)
    """Make the daily exposure by region and surface."""
    rng = world.stream("denominators")
    views = _expected_views(world)
    accounts = views / _VIEWS_PER_ACTIVE_ACCOUNT
    index = pl.DataFrame({"date": _days(world)}).join(
        _cells(), how="cross", maintain_order="left_right"
    )
    frame = index.with_columns(
        views_count=pl.Series(
            (views * mean_one_noise(views.shape, _NOISE_SD, rng)).round().ravel()
        ),
        active_accounts_count=pl.Series(
            (accounts * mean_one_noise(views.shape, _NOISE_SD, rng)).round().ravel()
        ),
    )
    return Built(conform(frame, COLUMNS))


def _expected_views(world: World) -> NDArray[np.float64]:
    """Spread the views over days, regions and surfaces, shape (n_days, n_regions, n_surfaces)."""
    n_days = world.size.n_days
    days = (
        growth(n_days, per_year=_GROWTH_PER_YEAR)
        * _WEEK[np.arange(n_days) % 7]
        * world.day_effects()
    )
    cells = np.outer(vocabulary.region_shares(), vocabulary.surface_shares())
    views: NDArray[np.float64] = (
        world.size.reports_per_day * _VIEWS_PER_REPORT * days[:, np.newaxis, np.newaxis] * cells
    )
    return views


def _days(world: World) -> pl.Series:
    """Every day of the period."""
    return pl.date_range(world.started_at.date(), world.ended_at.date(), closed="left", eager=True)


def _cells() -> pl.DataFrame:
    """Every pair of region and surface."""
    regions = pl.DataFrame({"region": list(vocabulary.REGIONS)})
    return regions.join(
        pl.DataFrame({"surface": list(vocabulary.SURFACES)}),
        how="cross",
        maintain_order="left_right",
    )
