"""Does one small table give one aggregate, wherever its rows are?"""

import datetime as dt
import gzip
from pathlib import Path

import duckdb
import polars as pl
import pytest

import rcakit
from rcakit import frames

ROWS = pl.DataFrame(
    {
        "at": ["2026-03-01T00:00:00Z", "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z"],
        "policy": ["spam", "hate, or worse", None],
        "n": [1, 2, 3],
    }
)
SOURCES = (
    ("rows.csv", None),
    ("rows_semicolon.csv", None),
    ("rows.tsv", None),
    ("rows.csv.gz", None),
    ("rows.parquet", None),
    ("part-*.csv", None),
    ("part-[0-2].parquet", None),
    ("rows.jsonl", None),
    ("rows.jsonl.gz", None),
    ("one.duckdb", None),
    ("two.duckdb", "events"),
    ("two.duckdb", "main.events"),
    ("two.duckdb", "raw.events"),
    ("two.duckdb", "select * from events where n < 9"),
    ("rows.csv", "select * from data where n < 9"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Return a folder that holds the same rows in every kind of file."""
    folder = tmp_path_factory.mktemp("files")
    ROWS.write_csv(folder / "rows.csv")
    ROWS.write_csv(folder / "rows_semicolon.csv", separator=";")
    ROWS.write_csv(folder / "rows.tsv", separator="\t")
    ROWS.write_parquet(folder / "rows.parquet")
    ROWS.write_ndjson(folder / "rows.jsonl")
    for name in ("rows.csv", "rows.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    for part in range(3):
        ROWS.slice(part, 1).write_csv(folder / f"part-{part}.csv")
        ROWS.slice(part, 1).write_parquet(folder / f"part-{part}.parquet")
    with duckdb.connect(str(folder / "one.duckdb")) as one:
        one.execute(f"create table \"user rows\" as from '{folder}/rows.parquet'")
    with duckdb.connect(str(folder / "two.duckdb")) as two:
        two.execute(f"create table events as from '{folder}/rows.parquet'")
        two.execute("create table other as select 1 as x")
        two.execute("create schema raw")
        two.execute("create table raw.events as from events")
    return folder


@pytest.mark.parametrize(("name", "query"), SOURCES)
def test_sources_aggregate_to_same(files, name, query):
    """Every kind of file, a glob, a table and a query hold the same rows."""
    table = frames.aggregate(
        rcakit.read(str(files / name), query=query), keys="policy", time="at", sums="n"
    )
    assert table.select("policy", "period_start", "n_rows", "n").rows() == [
        ("hate, or worse", dt.datetime(2026, 3, 2), 1, 2.0),
        ("spam", dt.datetime(2026, 3, 1), 1, 1.0),
        (None, dt.datetime(2026, 3, 2), 1, 3.0),
    ]


def test_open_tables_pass_through(hold):
    """A table that is open already comes back as it is."""
    table = hold(ROWS)
    assert rcakit.read(table) is table


def test_files_stay_unread(files):
    """Files are opened lazily: no row is loaded before an analysis asks."""
    assert isinstance(rcakit.read(files / "rows.csv"), pl.LazyFrame)
    assert type(rcakit.read(files / "one.duckdb")).__name__ == "DuckDBPyRelation"
