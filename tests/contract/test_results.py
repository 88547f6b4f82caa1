"""Does every result keep the promises of results, whatever holds the rows?"""

import datetime as dt
import functools
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import rcakit
from rcakit import testing
from rcakit.errors import ParameterError

HOSTILE = "<script>alert(1)</script>, led to | `x`"


def _rows() -> pl.DataFrame:
    """Return events of 60 days; one pair of values rises fourfold in the last three days."""
    rng = np.random.default_rng(7)
    days = [dt.datetime(2026, 1, 1, 12) + dt.timedelta(days=i) for i in range(60)]
    cells = [(day, os, place) for day in days for os in ("ios", HOSTILE) for place in "abc"]
    table = pl.DataFrame(cells, schema=["at", "os", "place"], orient="row")
    is_hit = (pl.col("os") == HOSTILE) & (pl.col("place") == "b") & (pl.col("at") >= days[-3])
    mean = table.select(pl.when(is_hit).then(40).otherwise(10)).to_series().to_numpy()
    events = table.select(pl.all().repeat_by(pl.Series(rng.poisson(mean)))).explode(pl.all())
    is_removed = pl.Series("n_removed", rng.binomial(1, 0.3, events.height))
    return events.with_columns(pl.lit(1).alias("n"), is_removed)


ROWS = _rows()
LOG = pl.DataFrame(
    {
        "changed_at": ["2026-02-26T10:00:00Z", "2026-02-20", "2026-02-28"],
        "title": [HOSTILE, "Too wide", "Too late"],
        "scope": ["place=b", "all", "place=b"],
    }
)
PERIOD = ("2026-02-27", "2026-03-01")


def _drivers(data, **more):
    return rcakit.drivers.explain(
        data, time="at", period=PERIOD, value="n", dimensions=["os", "place"], **more
    )


RESULTS = {
    "spikes": lambda data: rcakit.spikes.detect(data, time="at", value="n"),
    "spikes by": lambda data: rcakit.spikes.detect(data, time="at", value="n", by=["os", "place"]),
    "no spikes": lambda data: rcakit.spikes.detect(
        data, time="at", value="n", as_of="2026-02-20", direction="down"
    ),
    "drivers": _drivers,
    "ratio": lambda data: rcakit.drivers.explain(
        data, time="at", period=PERIOD, value="n_removed", denominator="n", dimensions="place"
    ),
    "no drivers": lambda data: rcakit.drivers.explain(
        data, time="at", period=("2026-02-10", "2026-02-12"), value="n", dimensions="place"
    ),
    "inspection": lambda data: rcakit.sources.inspect(
        data, time="at", value="n", dimensions=["os", "place"]
    ),
    "changes": lambda data: rcakit.drivers.match_changes(_drivers(data), LOG),
    "no log": lambda data: rcakit.drivers.match_changes(_drivers(data), None),
}


@functools.cache
def _result(name, engine="polars"):
    """Return a result, computed once for each engine."""
    return RESULTS[name](testing.in_engine(engine, ROWS))


@pytest.mark.parametrize("engine", testing.ENGINES)
@pytest.mark.parametrize("name", RESULTS)
def test_results_keep_the_contract(name, engine):
    """Each result is frozen, picklable, readable, and its findings are sentences with intervals."""
    testing.check_result(_result(name, engine))


@pytest.mark.parametrize("engine", testing.ENGINES)
@pytest.mark.parametrize("name", RESULTS)
def test_engines_give_equal_records(name, engine):
    """The engine that holds the rows never changes a number."""
    expected = json.loads(_result(name).to_json())
    assert json.loads(_result(name, engine).to_json()) == expected


@pytest.mark.parametrize("name", [name for name in RESULTS if name != "changes"])
def test_tables_come_back_alike(name):
    """pandas gets pandas, pyarrow gets pyarrow, and engines get polars."""
    kinds = {"pandas": pd.DataFrame, "pyarrow": pa.Table, "duckdb": pl.DataFrame}
    for engine, kind in kinds.items():
        result = _result(name, engine)
        assert all(isinstance(result.to_frame(table), kind) for table in result.tables)


@pytest.mark.parametrize("name", RESULTS)
def test_tables_hold_their_columns(name):
    """Even an empty table has its columns, with the types that were promised."""
    result = _result(name)
    for table, columns in result.tables.items():
        frame = result.to_frame(table)
        assert set(columns) <= set(frame.columns)
        kinds = {column: str(frame[column].dtype).partition("(")[0] for column in columns}
        wrong = {c: k for c, k in kinds.items() if k != columns[c] and k != "Null"}
        assert wrong == {}


@pytest.mark.parametrize("name", RESULTS)
def test_results_draw_themselves(name):
    """Each chart can be drawn, and no text of the data is markup in its specification."""
    specification = _result(name).plot().to_dict()
    assert specification["title"]


def test_hostile_values_are_found():
    """The planted segment is named although its value reads like a script and a claim."""
    result = _result("drivers")
    assert result.verdict == "localised"
    assert result.segments[0] == {"os": HOSTILE, "place": "b"}
    assert "“<script>" in result.findings()[0].claim


def test_markdown_escapes_hostile_values():
    """A value cannot break out of its cell."""
    text = _result("drivers").to_markdown()
    assert "<script>" not in text
    assert r"\<script\>" in text


def test_unknown_tables_are_refused():
    """A table that a result does not have is answered with those that it has."""
    with pytest.raises(ParameterError, match="table must be one of 'periods', 'incidents'"):
        _result("spikes").to_frame("incident")


def test_pandas_keeps_segments_whole():
    """In pandas a segment is the dictionary itself, with its own keys only."""
    table = _result("drivers", "pandas").to_frame()
    assert table["segment"][0] == {"os": HOSTILE, "place": "b"}
