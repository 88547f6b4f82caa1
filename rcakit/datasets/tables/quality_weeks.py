"""What did audits and appeals say, week by week?"""

import polars as pl

from rcakit.datasets.scenario import Scenario
from rcakit.datasets.tables import decisions
from rcakit.datasets.tables.column import Built, Column, conform
from rcakit.datasets.world import World

ABOUT = "One row per week: the decisions added up; the last week may be short."

COLUMNS = (
    Column("week_date", pl.Date(), "UTC day", "Monday of the week."),
    Column("audited_count", pl.Int64(), "decisions", "Audited decisions."),
    Column("agreed_count", pl.Int64(), "decisions", "Of these, called right."),
    Column("appealed_count", pl.Int64(), "decisions", "Appealed decisions."),
    Column("overturned_count", pl.Int64(), "decisions", "Of these, overturned."),
)


def build(world: World, scenario: Scenario) -> Built:
    """Add up the decisions by week."""
    weeks = (
        decisions.build(world, scenario)
        .frame.group_by(week_date=pl.col("decided_date").dt.truncate("1w"))
        .agg(
            audited_count=pl.col("is_correct").count(),
            agreed_count=pl.col("is_correct").sum(),
            appealed_count=pl.col("is_overturned").count(),
            overturned_count=pl.col("is_overturned").sum(),
        )
        .sort("week_date")
    )
    return Built(conform(weeks, COLUMNS))
