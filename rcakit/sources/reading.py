"""Read a path, a glob, a URL or a frame: which kind of source is it?"""

from typing import Any

from rcakit import frames
from rcakit.errors import ParameterError, SourceError
from rcakit.sources import duckdb_file, files

__all__ = ["read"]


def read(source: Any, *, query: str | None = None) -> Any:
    """Open rows wherever they are, without loading them.

    Parameters
    ----------
    source
        A path, a glob such as ``exports/2026-*.parquet``, an http(s) URL of a Parquet file, or a
        table that is already open. CSV, Parquet and JSON lines (also gzipped CSV and JSON lines)
        and DuckDB files are told apart by their endings. A path below ``data_samples/`` that does
        not exist here is looked up among the samples that rcakit ships.
    query
        For a DuckDB file a table name or SQL; for other files SQL on a table called ``data``.

    Returns
    -------
    polars.LazyFrame, duckdb.DuckDBPyRelation or the table that was given
        Any of them is accepted by every analysis.

    Raises
    ------
    SourceError
        Nothing is there, it is empty, or it cannot be read.
    ParameterError
        The ending is unknown, or a query is needed to choose a table.

    Examples
    --------
    >>> import rcakit
    >>> reports = rcakit.read("data_samples/quiet/reports.parquet")
    >>> "policy" in reports.collect_schema()
    True
    """
    if not isinstance(source, str) and not hasattr(source, "__fspath__"):
        frames.columns(source)  # refuses what is not a table
        if query is not None:
            raise ParameterError(
                "query must be None for a table that is already open, got SQL. "
                "Filter the table before, or give the path of a file."
            )
        return source
    text, query = str(source), query or None
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme and scheme not in {"http", "https", "file"}:
        raise SourceError(
            f"source {scheme}:// is not supported. Read it with your own client and pass the "
            "table, or export it to Parquet or a DuckDB file."
        )
    text = text.removeprefix("file://")
    if text.endswith(duckdb_file.ENDINGS):
        return duckdb_file.read(text, query=query)
    return files.read(text, query=query)
