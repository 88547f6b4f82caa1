"""Rows in a DuckDB file: a table by name, or SQL that runs inside the file."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.errors import ParameterError, SourceError
from rcakit.validation import did_you_mean, shown

if TYPE_CHECKING:
    import duckdb

__all__ = ["ENDINGS", "read"]

ENDINGS = (".duckdb", ".ddb", ".db")

_TABLES = """
SELECT schema_name, table_name FROM duckdb_tables()
UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal
"""
_NAME = re.compile(r"^[\w.]+$")


def read(path: str, *, query: str | None = None) -> "duckdb.DuckDBPyRelation":
    """Open a table or a query of a DuckDB file, read-only; rows stay in the engine."""
    import duckdb

    if not Path(path).is_file():
        raise SourceError(f"source must exist, got {path!r}, which is no file. Check the path.")
    try:
        connection = duckdb.connect(path, read_only=True)
        found = connection.sql(_TABLES).fetchall()
    except duckdb.Error as problem:
        raise SourceError(_reason(path, problem, "Is it a DuckDB file?")) from None
    tables = {_said(schema, table): _quoted(schema, table) for schema, table in found}
    chosen = _only(tables, path) if query is None else query.removeprefix("main.")
    if chosen in tables:
        return connection.sql(f"SELECT * FROM {tables[chosen]}")  # noqa: S608 - names are quoted
    if query is None or _NAME.match(query):
        raise _unknown(chosen, tables, path)
    try:
        return connection.sql(query)
    except duckdb.Error as problem:
        raise SourceError(_reason(path, problem, "Check the SQL.")) from None


def _said(schema: str, table: str) -> str:
    return table if schema == "main" else f"{schema}.{table}"


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _only(tables: Collection[str], path: str) -> str:
    if len(tables) == 1:
        return next(iter(tables))
    listed = ", ".join(map(repr, list(tables)[:20])) or "none"
    raise ParameterError(
        f"query must name a table of {Path(path).name!r}, got None. Tables found: {listed}."
    )


def _unknown(name: str, tables: Collection[str], path: str) -> ParameterError:
    listed = ", ".join(map(repr, list(tables)[:20])) or "none"
    return ParameterError(
        f"query must be SQL or a table of {Path(path).name!r} ({listed}), got {shown(name)}. "
        f"{did_you_mean(name, tables)}".strip()
    )


def _reason(path: str, problem: Exception, hint: str) -> str:
    first_line = str(problem).strip().partition("\n")[0]
    return f"source {path!r} could not be read: {first_line[:300]}. {hint}"
