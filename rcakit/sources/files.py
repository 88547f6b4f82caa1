"""Rows in files: CSV, Parquet and JSON lines, one file or a glob, opened lazily by polars."""

import zlib
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from rcakit.errors import ParameterError, SourceError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ENDINGS", "locate", "read"]

ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".jsonl": "lines",
    ".jsonl.gz": "lines",
    ".ndjson": "lines",
}

# The type of a CSV or JSON column is guessed from all rows of files up to this size together, for
# a fraction may come late; of larger ones from the first rows, for guessing is slow.
_WHOLE_BYTES = 4 * 1024 * 1024
_SAMPLE_ROWS = 10_000

_HEADER_LENGTH = 65_536

# In the wheel the samples lie inside the package, in a checkout beside it.
_PACKAGE = Path(__file__).resolve().parents[1]
_SAMPLE_HOMES = (_PACKAGE, _PACKAGE.parent)


def read(source: str, *, query: str | None = None) -> "pl.LazyFrame":
    """Open one file, a glob or a URL of one kind; ``query`` is SQL on a table called ``data``."""
    import polars as pl

    is_url = source.startswith(("http://", "https://"))
    paths = [source] if is_url else locate(source)
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1:
        raise ParameterError(f"source must match files of one kind, got {sorted(kinds)}.")
    try:
        frame = _scan(kinds.pop(), paths)
        if query is not None:
            frame = pl.SQLContext(data=frame).execute(query, eager=False)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as problem:
        raise SourceError(_reason(source, problem)) from None
    return frame


def locate(source: str) -> list[str]:
    """Return the files that a path or glob stands for; empty or missing ones are refused."""
    found = _matches(source)
    if not found and not Path(source).is_absolute() and Path(source).parts[:1] == ("data_samples",):
        for home in _SAMPLE_HOMES:
            found = found or _matches(str(home / source))
    if not found:
        raise SourceError(
            f"source must exist, got {source!r}, which matches no file. "
            f"The working folder is {Path.cwd().name!r}; check the path or the glob."
        )
    for path in found:
        if Path(path).is_dir():
            raise SourceError(
                f"source must be a file, got the folder {path!r}. Try {path}/*.parquet."
            )
        if Path(path).stat().st_size == 0:
            raise SourceError(f"file {path!r} is empty (0 bytes). Export it again.")
    return found


def _matches(source: str) -> list[str]:
    if has_magic(source) and not Path(source).exists():
        return sorted(glob(source, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    try:
        return [source] if Path(source).exists() else []
    except OSError:  # no file can have such a name
        return []


def _kind(path: str) -> str:
    name = path.partition("?")[0].lower() if "://" in path else path.lower()
    for ending, kind in ENDINGS.items():
        if name.endswith(ending):
            return kind
    allowed = ", ".join((*ENDINGS, ".duckdb", ".ddb", ".db"))
    raise ParameterError(f"source must end in one of {allowed}, got {Path(path).name!r}.")


def _scan(kind: str, paths: list[str]) -> "pl.LazyFrame":
    import polars as pl

    if kind == "parquet":
        return pl.scan_parquet(paths)
    return _scan_csv(paths) if kind == "csv" else _scan_lines(paths)


def _scan_csv(paths: list[str]) -> "pl.LazyFrame":
    import polars as pl

    return pl.scan_csv(
        paths,
        separator=_separator(paths[0]),
        try_parse_dates=True,
        infer_schema_length=_sample(paths),
        encoding="utf8-lossy",
        null_values=["", "NA", "NULL", "null", "NaN"],
    )


def _scan_lines(paths: list[str]) -> "pl.LazyFrame":
    import polars as pl

    return pl.scan_ndjson(paths, infer_schema_length=_sample(paths))


def _sample(paths: list[str]) -> int | None:
    """Return how many rows to guess types from; None for all."""
    local = [Path(path) for path in paths if "://" not in path]
    size = sum(path.stat().st_size for path in local)
    return None if local and size <= _WHOLE_BYTES else _SAMPLE_ROWS


def _separator(path: str) -> str:
    """Return the separator that the header line holds most of."""
    import gzip

    if path.endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as packed:
            header = str(packed.readline(_HEADER_LENGTH))
    else:
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            header = lines.readline(_HEADER_LENGTH)
    return max(",;\t|", key=header.count)


def _reason(source: str, problem: Exception) -> str:
    first_line = str(problem).strip().partition("\n")[0] or type(problem).__name__
    return (
        f"source {source!r} could not be read: {first_line[:300]}. "
        "Check that the file is complete and of the kind its ending says."
    )
