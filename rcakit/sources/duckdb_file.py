"""Rows in a DuckDB file: a table by name, or SQL that runs inside the file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.errors import ParameterError, SourceError
from rcakit.validation import did_you_mean, shown

if TYPE_CHECKING:
    import duckdb

__all__ = ["ENDINGS", "read"]

ENDINGS = (".duckdb", ".ddb", ".db")

_TABLES = """
SELECT table_name FROM duckdb_tables()
UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal
"""
_NAME = re.compile(r"^[\w.]+$")


def read(path: str, *, query: str | None = None) -> "duckdb.DuckDBPyRelation":
    """Open a table or a query of a DuckDB file, read-only; rows stay in the engine."""
    import duckdb

    if not Path(path).is_file():
        raise SourceError(f"source must exist, got {path!r}, which is no file. Check the path.")
    try:
        connection = duckdb.connect(path, read_only=True)
        tables = [row[0] for row in connection.sql(_TABLES).fetchall()]
    except duckdb.Error as problem:
        raise SourceError(_reason(path, problem)) from None
    if query is None:
        query = _only(tables, path)
    if _NAME.match(query):
        _check_known(query, tables, path)
        return connection.table(query)
    try:
        return connection.sql(query)
    except duckdb.Error as problem:
        raise SourceError(_reason(path, problem)) from None


def _only(tables: list[str], path: str) -> str:
    if len(tables) == 1:
        return tables[0]
    listed = ", ".join(map(repr, tables[:20])) or "none"
    raise ParameterError(
        f"query must name a table of {Path(path).name!r}, got None. Tables found: {listed}."
    )


def _check_known(name: str, tables: list[str], path: str) -> None:
    if name.rpartition(".")[2] not in tables:
        listed = ", ".join(map(repr, tables[:20])) or "none"
        raise ParameterError(
            f"query must be SQL or a table of {Path(path).name!r} ({listed}), got {shown(name)}. "
            f"{did_you_mean(name, tables)}".strip()
        )


def _reason(path: str, problem: Exception) -> str:
    first_line = str(problem).strip().partition("\n")[0]
    return f"source {path!r} could not be read: {first_line[:300]}. Is it a DuckDB file?"
