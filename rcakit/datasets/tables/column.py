"""What does a table promise? Columns with a type, a unit and a meaning, and a frame that keeps to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

TIMESTAMP = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """One column, as the data dictionary shows it."""

    name: str
    dtype: pl.DataType
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Built:
    """A finished table, and how many rows each cause truly added (or removed: below 0)."""

    frame: pl.DataFrame
    excess: Mapping[str, int] = field(default_factory=dict)


def conform(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """Put a frame's columns into the promised order and types."""
    return frame.select(pl.col(column.name).cast(column.dtype) for column in columns)
