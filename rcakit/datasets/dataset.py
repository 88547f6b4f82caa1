"""What does `make` hand out?"""

from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Dataset:
    """Made-up tables, and the truth about them.

    Parameters
    ----------
    tables
        One polars frame per table name: ``reports``, ``denominators``, ``change_log``, ``accounts``.
    truth
        What was planted, as plain JSON (see the README of the data samples for every key).
    """

    tables: dict[str, pl.DataFrame]
    truth: dict[str, Any]
