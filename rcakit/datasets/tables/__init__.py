"""The tables of a data set, one module each.

To add a table:

1. Write ``tables/<name>.py`` with ``COLUMNS`` (one `Column` each: they become the schema and the data dictionary),
   ``ABOUT`` (one sentence: what is a row?) and ``build(world, scenario) -> Built``.
2. Draw only from ``world.stream("<name>", ...)``: then no other table changes by a single byte.
3. List the module in ``TABLES`` below, and the name in the scenarios that show it.
"""

from types import ModuleType

from rcakit.datasets.tables import (
    accounts,
    change_log,
    decisions,
    denominators,
    quality_weeks,
    ratings,
    reports,
)

TABLES: dict[str, ModuleType] = {
    "reports": reports,
    "denominators": denominators,
    "change_log": change_log,
    "accounts": accounts,
    "decisions": decisions,
    "ratings": ratings,
    "quality_weeks": quality_weeks,
}
