"""Does one aggregate mean the same in every engine?"""

import datetime as dt
from decimal import Decimal

import pandas as pd
import polars as pl
import pytest

from rcakit import frames
from rcakit.errors import ParameterError, SchemaError
from rcakit.testing import in_engine

ROWS = pl.DataFrame(
    {
        "at": [
            dt.datetime(2026, 3, 1, 23, 30),
            dt.datetime(2026, 3, 2, 0, 10),
            dt.datetime(2026, 3, 2, 5, 0),
            None,
            dt.datetime(2026, 3, 29, 3, 0),
        ],
        "policy": ["spam", None, "spam", "hate", "spam"],
        "surface": pl.Series(["video", "video", None, "live", "video"], dtype=pl.Categorical),
        "cost": [Decimal("1.5"), Decimal("2.25"), Decimal("0.25"), None, Decimal(4)],
        "is_appealed": [True, False, None, True, True],
        "views": [1.0, 2.0, float("nan"), None, 5.0],
    }
)


def test_counts_by_null_and_categorical_keys(hold):
    """A missing key is a group of its own, and a category is its text."""
    table = frames.aggregate(hold(ROWS), keys=("policy", "surface"))
    assert table.columns == ["policy", "surface", "n_rows", "n_missing"]
    assert table.select("policy", "surface", "n_rows").rows() == [
        ("hate", "live", 1),
        ("spam", "video", 2),
        ("spam", None, 1),
        (None, "video", 1),
    ]


def test_sums_decimals_booleans_and_nans(hold):
    """Decimals, booleans and not-a-number all add up to floats, and what is missing is counted."""
    table = frames.aggregate(hold(ROWS), sums=("cost", "is_appealed", "views"))
    assert table["cost"].to_list() == [8.0]
    assert table["is_appealed"].to_list() == [3.0]
    assert table["views"].to_list() == [8.0]
    assert table.schema["cost"] == pl.Float64


def test_squares_add_up_per_group(hold):
    """Squares are summed next to sums, for the scale of heavy-tailed amounts."""
    table = frames.aggregate(hold(ROWS), keys="policy", sums="cost", squares="cost")
    spam = table.row(by_predicate=pl.col("policy") == "spam", named=True)
    assert spam["cost__squared"] == pytest.approx(1.5**2 + 0.25**2 + 4**2)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_local_days_follow_time_zone(hold, zone):
    """The same moments fall on the same local days, naive or zoned, in every engine."""
    at = pl.col("at").dt.replace_time_zone("UTC")
    rows = ROWS if zone is None else ROWS.with_columns(at.dt.convert_time_zone(zone))
    table = frames.aggregate(hold(rows), time="at", tz="America/Sao_Paulo")
    assert table.select("period_start", "n_rows").rows() == [
        (dt.datetime(2026, 3, 1), 2),
        (dt.datetime(2026, 3, 2), 1),
        (dt.datetime(2026, 3, 29), 1),
        (None, 1),
    ]


@pytest.mark.parametrize(
    ("every", "starts"),
    [
        ("1h", [(1, 23), (2, 0), (2, 5), (29, 3)]),
        ("1d", [(1, 0), (2, 0), (29, 0)]),
        ("1w", [(23, 0), (2, 0), (23, 0)]),
        ("1mo", [(1, 0)]),
    ],
)
def test_truncates_to_each_step(hold, every, starts):
    """Hours, days, weeks from Monday and months start alike in every engine."""
    table = frames.aggregate(hold(ROWS), time="at", every=every)
    found = [(at.day, at.hour) for at in table["period_start"].drop_nulls()]
    assert found == starts


def test_keeps_days_inside_bounds(hold):
    """Both ends of a period belong to it, and rows without a time drop out."""
    table = frames.aggregate(
        hold(ROWS), time="at", start=dt.date(2026, 3, 2), end=dt.date(2026, 3, 29)
    )
    assert table["n_rows"].sum() == 3


def test_aggregates_bare_dates(hold):
    """A date is its own local day, whatever the time zone."""
    rows = ROWS.with_columns(pl.col("at").cast(pl.Date))
    table = frames.aggregate(hold(rows), time="at", tz="America/Sao_Paulo")
    assert table["period_start"][0] == dt.datetime(2026, 3, 1)


def test_empty_table_aggregates_to_nothing(hold):
    """No rows make no groups, with the same columns and types."""
    full = frames.aggregate(hold(ROWS), keys="policy", time="at", sums="views")
    empty = frames.aggregate(hold(ROWS.head(0)), keys="policy", time="at", sums="views")
    assert empty.height == 0
    assert empty.columns == full.columns


def test_reads_text_times(hold):
    """ISO text with an offset, a Z, no zone or a bare date is read as UTC."""
    text = [
        "2026-03-01T23:30:00+02:00",
        "2026-03-02 00:10:00Z",
        "2026-03-02",
        "2026-03-02T07:05",
        "2026-02-31",
    ]
    table = frames.aggregate(hold(pl.DataFrame({"at": text})), time="at", every="1h")
    hours = [(at.day, at.hour) for at in table["period_start"].drop_nulls()]
    assert hours == [(1, 21), (2, 0), (2, 7)]
    assert table["n_rows"].to_list() == [1, 2, 1, 1]


def test_between_keeps_local_days(hold):
    """Rows of a local day come back with their own columns."""
    kept = frames.between(
        hold(ROWS),
        time="at",
        start=dt.date(2026, 3, 1),
        end=dt.date(2026, 3, 1),
        tz="America/Sao_Paulo",
    )
    assert frames.columns(kept) == tuple(ROWS.columns)
    assert frames.aggregate(kept)["n_rows"].to_list() == [2]


def test_counts_duplicates_of_whole_rows(hold):
    """Only a row that repeats another in every column counts."""
    twice = pl.concat([ROWS.select("at", "policy"), ROWS.select("at", "policy").head(2)])
    assert frames.count_duplicates(hold(twice)) == 2


def test_numeric_keys_keep_their_type(hold):
    """A whole number stays a number, so that a segment can be looked up."""
    table = frames.aggregate(hold(pl.DataFrame({"severity": [1, 2, 2]})), keys="severity")
    assert table["severity"].to_list() == [1, 2]


def test_text_cannot_be_summed(hold):
    """A metric of words is refused with an example of what was found."""
    with pytest.raises(SchemaError, match=r"'policy' must be numeric, got .* such as 'spam'"):
        frames.aggregate(hold(ROWS), sums="policy")


def test_missing_column_is_named(hold):
    """The error lists the columns and the one that was probably meant."""
    with pytest.raises(SchemaError, match=r"'polcy' is missing.*Did you mean 'policy'\?"):
        frames.aggregate(hold(ROWS), keys="polcy")


def test_numbers_are_not_times(hold):
    """Epoch seconds are refused rather than read as nanoseconds."""
    with pytest.raises(SchemaError, match="must hold timestamps or dates"):
        frames.aggregate(hold(pl.DataFrame({"at": [1, 2]})), time="at")


def test_unreadable_text_times_are_refused(hold):
    """A column without one readable time says which form is read."""
    with pytest.raises(SchemaError, match="Use ISO 8601"):
        frames.aggregate(hold(pl.DataFrame({"at": ["31/12/2025"]})), time="at")


def test_unknown_time_zone_is_refused():
    """A zone that this machine does not know never becomes UTC silently."""
    with pytest.raises(ParameterError, match="tz must be an IANA time zone"):
        frames.aggregate(ROWS, time="at", tz="Mars/Olympus")


def test_list_is_not_a_table():
    """Anything but a table is refused in words."""
    with pytest.raises(SchemaError, match="data must be a table"):
        frames.columns([1, 2])


def test_mixed_objects_are_refused():
    """A pandas column of text and numbers is named."""
    with pytest.raises(SchemaError, match="'a' mixes kinds of values"):
        frames.aggregate(pd.DataFrame({"a": ["x", 1]}), keys="a")


def test_hands_tables_back_in_kind():
    """pandas gets pandas, pyarrow gets pyarrow, engines get polars."""
    for name, kind in (("pandas", "pandas"), ("pyarrow", "pyarrow"), ("duckdb", "polars")):
        table = frames.hand_back(ROWS.head(1), frames.library(in_engine(name, ROWS)))
        assert type(table).__module__.startswith(kind)


def test_products_add_up_per_group(hold):
    """Products of two columns are summed next to sums, and a missing factor counts as zero."""
    table = frames.aggregate(hold(ROWS), keys="policy", products=[("cost", "views")])
    spam = table.row(by_predicate=pl.col("policy") == "spam", named=True)
    assert spam["cost__times__views"] == pytest.approx(1.5 * 1.0 + 4 * 5.0)


def test_lowest_value_per_group(hold):
    """The smallest value of a group comes home with its sums."""
    rows = pl.DataFrame({"policy": ["spam", "spam", "hate"], "cost": [2.0, -3.0, 1.0]})
    table = frames.aggregate(hold(rows), keys="policy", lowest="cost")
    assert table["cost__lowest"].to_list() == [1.0, -3.0]


def test_not_a_number_is_missing(hold):
    """Null and not-a-number both count as missing, row by row."""
    assert frames.aggregate(hold(ROWS), sums=("views", "cost"))["n_missing"].to_list() == [2]


def test_rows_without_value_drop_out(hold):
    """Only rows that hold every named column stay."""
    kept = frames.without_missing(hold(ROWS), ("views", "is_appealed"))
    assert frames.aggregate(kept)["n_rows"].to_list() == [3]


def test_not_a_number_is_missing_in_products(hold):
    """A value that is not a number counts as missing in sums and products of every engine."""
    table = pl.DataFrame({"a": [1.0, float("nan"), 3.0], "b": [2.0, 5.0, None]})
    row = frames.aggregate(hold(table), sums=("a", "b"), products=[("a", "b")]).row(0, named=True)
    assert (row["n_rows"], row["n_missing"]) == (3, 2)
    assert (row["a"], row["b"], row["a__times__b"]) == (4.0, 7.0, 2.0)
