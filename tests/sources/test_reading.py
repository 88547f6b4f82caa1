"""Does a file that cannot be read say what is wrong with it?"""

import gzip

import duckdb
import polars as pl
import pytest

import rcakit
from rcakit import frames
from rcakit.errors import ParameterError, SchemaError, SourceError

ROWS = pl.DataFrame({"at": ["2026-03-01", "2026-03-02"], "policy": ["spam", "hate"], "n": [1, 2]})


@pytest.fixture
def database(tmp_path):
    """Return the path of a DuckDB file with two tables."""
    path = tmp_path / "ops.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table events as select 1 as n")
        connection.execute("create table appeals as select 2 as n")
    return path


def test_missing_files_are_named(tmp_path):
    """A path that matches nothing is repeated, with where it was looked for."""
    with pytest.raises(SourceError, match=r"must exist, got .*nope\.csv.*working folder"):
        rcakit.read(tmp_path / "nope.csv")


@pytest.mark.parametrize("name", ["x" * 400 + ".csv", "a\0b.csv", "[.csv", "**/*.nothing"])
def test_impossible_names_are_missing(name):
    """Names that no file can have are missing files, not crashes."""
    with pytest.raises(SourceError, match="matches no file"):
        rcakit.read(name)


def test_empty_files_are_refused(tmp_path):
    """A file of zero bytes asks for a new export."""
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match=r"is empty \(0 bytes\). Export it again"):
        rcakit.read(tmp_path / "empty.csv")


def test_truncated_parquet_is_refused(tmp_path):
    """Half a download is recognised."""
    ROWS.write_parquet(tmp_path / "half.parquet")
    whole = (tmp_path / "half.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[:-20])
    with pytest.raises(SourceError, match=r"could not be read.*file is complete"):
        rcakit.read(tmp_path / "half.parquet")


@pytest.mark.parametrize("kept", [10, 40])
def test_truncated_gzip_is_refused(tmp_path, kept):
    """Half a compressed file is recognised too."""
    ROWS.write_csv(tmp_path / "rows.csv")
    packed = gzip.compress((tmp_path / "rows.csv").read_bytes())
    (tmp_path / "half.csv.gz").write_bytes(packed[:kept])
    with pytest.raises(SourceError, match="could not be read"):
        rcakit.read(tmp_path / "half.csv.gz")


def test_other_encodings_keep_rows(tmp_path):
    """A CSV of another encoding loses a letter, never a row."""
    text = "at,policy,n\n2026-03-01,café,1\n2026-03-02,spam,2\n"
    (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
    table = frames.aggregate(rcakit.read(tmp_path / "latin.csv"), keys="policy", sums="n")
    assert table["policy"].to_list() == ["caf�", "spam"]
    assert table["n"].sum() == 3


def test_wide_encodings_are_refused(tmp_path):
    """A CSV in UTF-16 shows the columns that it seems to have."""
    (tmp_path / "wide.csv").write_bytes("at,n\n2026-03-01,1\n".encode("utf-16"))
    with pytest.raises(SchemaError, match="column 'at' is missing"):
        frames.aggregate(rcakit.read(tmp_path / "wide.csv"), time="at")


def test_byte_order_marks_are_dropped(tmp_path):
    """What spreadsheet programs put before the header is no part of its name."""
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfat,n\n2026-03-01,1\n")
    assert frames.columns(rcakit.read(tmp_path / "bom.csv")) == ("at", "n")


def test_late_fractions_are_read(tmp_path):
    """A column of whole numbers may turn to fractions, and one of numbers to words, late."""
    rows = "2026-03-01,1,31\n" * 20_000 + "2026-03-01,0.5,31.2\n2026-03-01,1,beta\n"
    (tmp_path / "late.csv").write_text("at,n,app_version\n" + rows)
    table = frames.aggregate(rcakit.read(tmp_path / "late.csv"), keys="app_version", sums="n")
    assert table["n"].to_list() == [20_000.0, 0.5, 1.0]


def test_ragged_rows_are_refused(tmp_path):
    """A line with more cells than the header is an error of the file, in one line."""
    (tmp_path / "ragged.csv").write_text("at,n\n2026-03-01,1\n2026-03-02,1,2,3\n")
    with pytest.raises(SourceError, match="could not be read: found more fields") as refused:
        frames.aggregate(rcakit.read(tmp_path / "ragged.csv"), time="at", sums="n")
    assert "\n" not in str(refused.value)


def test_unknown_endings_list_known(tmp_path):
    """An ending that says nothing is answered with those that do."""
    (tmp_path / "rows.txt").write_text("a\n1\n")
    with pytest.raises(ParameterError, match=r"must end in one of \.parquet.*got 'rows\.txt'"):
        rcakit.read(tmp_path / "rows.txt")


def test_folders_suggest_a_glob(tmp_path):
    """A folder is answered with the glob that reads it."""
    with pytest.raises(SourceError, match=r"got the folder .*Try .*/\*\.parquet"):
        rcakit.read(tmp_path)


def test_mixed_kinds_are_refused(tmp_path):
    """A glob over files of two kinds names both."""
    ROWS.write_csv(tmp_path / "a.csv")
    ROWS.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ParameterError, match=r"one kind, got \['csv', 'parquet'\]"):
        rcakit.read(tmp_path / "*")


def test_differing_columns_are_refused(tmp_path):
    """Files of one glob must hold the same columns."""
    ROWS.write_csv(tmp_path / "a.csv")
    ROWS.rename({"n": "m"}).write_csv(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="could not be read"):
        rcakit.read(tmp_path / "*.csv")


def test_broken_json_lines_are_refused(tmp_path):
    """A line that is no JSON is an error of the source."""
    (tmp_path / "bad.jsonl").write_text('{"at": "2026-03-01"}\nnot json\n')
    with pytest.raises(SourceError, match="could not be read"):
        frames.aggregate(rcakit.read(tmp_path / "bad.jsonl"))


def test_databases_need_a_choice(database):
    """Where there are several tables, one must be named."""
    with pytest.raises(ParameterError, match=r"must name a table.*'appeals'"):
        rcakit.read(database)
    with pytest.raises(ParameterError, match="must name a table"):
        rcakit.read(database, query="")


def test_wrong_tables_are_suggested(database):
    """A misspelt table is answered with the one that was meant."""
    with pytest.raises(ParameterError, match=r"got 'event'. Did you mean 'events'\?"):
        rcakit.read(database, query="event")


@pytest.mark.parametrize("query", ["drop table events", "selct 1", "select nope from events"])
def test_bad_sql_is_answered(database, query):
    """SQL that fails, or that would change the file, is refused with its reason."""
    with pytest.raises(SourceError, match=r"could not be read.*Check the SQL"):
        rcakit.read(database, query=query)
    assert rcakit.read(database, query="events").fetchall() == [(1,)]


def test_text_is_no_database(tmp_path):
    """A file that only ends like a database is refused."""
    (tmp_path / "fake.duckdb").write_text("no database")
    with pytest.raises(SourceError, match="Is it a DuckDB file"):
        rcakit.read(tmp_path / "fake.duckdb")


def test_unknown_schemes_hide_secrets():
    """An address that cannot be read is refused without repeating its password."""
    with pytest.raises(SourceError, match="postgresql:// is not supported") as refused:
        rcakit.read("postgresql://me:secret@db/ops")
    assert "secret" not in str(refused.value)


def test_open_tables_take_no_query():
    """SQL on a table that is open already is refused."""
    with pytest.raises(ParameterError, match="query must be None"):
        rcakit.read(ROWS, query="select 1")


@pytest.mark.parametrize("thing", [None, 3, [1, 2], {"a": [1]}])
def test_only_tables_are_tables(thing):
    """Anything that is neither a path nor a table is refused in words."""
    with pytest.raises(SchemaError, match="data must be a table"):
        rcakit.read(thing)


def test_samples_are_found_anywhere(tmp_path, monkeypatch):
    """The samples that ship with rcakit can be named from any folder."""
    monkeypatch.chdir(tmp_path)
    table = rcakit.read("data_samples/quiet/reports.parquet")
    assert "policy" in frames.columns(table)
