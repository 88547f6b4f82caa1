"""The only door to dataframes: check columns, aggregate in the engine, hand tables back.

An analysis asks the engine that holds the rows (pandas, polars eager or lazy, pyarrow, a DuckDB
relation, an Ibis table, a PySpark DataFrame: all through Narwhals) for one small aggregate and
then reasons on numpy arrays. The aggregate comes home as a polars frame, the same for every engine.

Only bare ``len`` and ``sum`` over derived columns are pushed to an engine. Conditions inside an
aggregation are silently dropped by some engines, and truncation to weeks or minutes fails on
others, so neither is asked of them.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rcakit.errors import SchemaError, SourceError
from rcakit.validation import check_choice, check_names, did_you_mean, refusal, shown

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl

__all__ = [
    "EVERY",
    "Library",
    "aggregate",
    "among",
    "between",
    "check_columns",
    "check_finite",
    "check_time_zone",
    "collect",
    "columns",
    "count_duplicates",
    "hand_back",
    "library",
    "parse_times",
    "with_local_day",
    "without_missing",
]

Library = Literal["pandas", "polars", "pyarrow"]

# Step of the time grid → truncation asked of the engine. Weeks are rolled up at home, from days.
EVERY = MappingProxyType({"1h": "1h", "1d": "1d", "1w": "1d", "1mo": "1mo"})

_TIME = "period_start"
_LOCAL = "__local_time"
_SMALL = 100_000  # rows; a pandas table below is moved to polars, where a step costs less


def library(data: Any) -> Library:
    """Return the dataframe library that tables for this caller are handed back in.

    Engines (DuckDB, Ibis, Spark) and lazy frames get polars.
    """
    module = type(data).__module__.partition(".")[0]
    return module if module in {"pandas", "pyarrow"} else "polars"  # type: ignore[return-value]


def columns(data: Any) -> tuple[str, ...]:
    """Return the column names of a table without reading its rows."""
    return tuple(_schema(_narwhal(data)))


def check_columns(data: Any, names: Iterable[str | None]) -> None:
    """Refuse a table that lacks one of the named columns; None stands for "not asked"."""
    found = columns(data)
    for name in names:
        if name is not None and name not in found:
            listed = ", ".join(map(repr, found[:20])) or "none"
            message = f"column {name!r} is missing. Columns found: {listed}."
            raise SchemaError(f"{message} {did_you_mean(name, found)}".strip())


def check_time_zone(tz: str) -> str:
    """Return the name of a time zone that this machine knows."""
    try:
        ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise refusal("tz", "an IANA time zone such as 'Europe/Berlin'", tz) from None
    return tz


def aggregate(
    data: Any,
    *,
    keys: str | Sequence[str] = (),
    time: str | None = None,
    every: str = "1d",
    tz: str = "UTC",
    start: dt.date | None = None,
    end: dt.date | None = None,
    sums: str | Sequence[str] = (),
    squares: str | Sequence[str] = (),
    products: Sequence[tuple[str, str]] = (),
    lowest: str | Sequence[str] = (),
) -> "pl.DataFrame":
    """Count rows and add up columns by keys and period, where the rows live.

    Parameters
    ----------
    data
        Table in any supported engine; never changed.
    keys
        Columns to group by. A missing value is a group of its own.
    time
        Timestamp or date column. Times without a zone are taken as UTC; text is parsed as ISO 8601.
    every
        Length of a period: ``1h``, ``1d``, ``1w`` (from Monday) or ``1mo``.
    tz
        Time zone whose local days (or hours) the periods are.
    start, end
        First and last local day to keep, both included; rows without a time then drop out.
    sums
        Numeric columns to add up; missing values count as zero and in ``n_missing``.
    squares
        Numeric columns whose squares to add up, as ``<name>__squared``.
    products
        Pairs of numeric columns whose products to add up, as ``<first>__times__<second>``.
    lowest
        Numeric columns whose smallest value to keep, as ``<name>__lowest``.

    Returns
    -------
    polars.DataFrame
        One row per group, sorted: the keys, ``period_start`` (naive local time, only with
        ``time``), ``n_rows``, ``n_missing`` (rows in which a column of ``sums`` is missing or not
        a number), the sums, the sums of squares and of products, and the smallest values as floats.

    Raises
    ------
    SchemaError
        A column is missing, the time column holds no times, or a column to add up is not numeric.
    """
    import narwhals as nw

    group, added, squared, least = (
        check_names(keys, "keys"),
        check_names(sums, "sums"),
        check_names(squares, "squares"),
        check_names(lowest, "lowest"),
    )
    numbers = tuple(
        dict.fromkeys((*added, *squared, *(n for pair in products for n in pair), *least))
    )
    truncation = EVERY[check_choice(every, "every", tuple(EVERY))]
    check_columns(data, (*group, time, *numbers))
    _check_free((*group, *added), time=time)
    wanted = dict.fromkeys((*group, *([time] if time else []), *numbers))
    frame = _narwhal(data)
    frame = _at_home_if_needed(frame.select(*wanted) if wanted else frame, time)
    is_whole = False
    if products or _is_small_pandas(frame):
        frame = _at_home(frame)
        is_whole = _is_without_null(frame, added)
        frame = frame.lazy() if frame.implementation.is_polars() else frame
    _check_numeric(frame, numbers)
    schema = _schema(frame)
    derived, window = [_key(name, schema[name]) for name in group], []
    if time is not None:
        frame, local = _local_time(frame, time, tz)
        derived.append(local.dt.truncate(truncation).alias(_TIME))
    if start is not None:
        window.append(nw.col(_TIME) >= dt.datetime.combine(start, dt.time()))
    if end is not None:
        after = dt.datetime.combine(end + dt.timedelta(days=1), dt.time())
        window.append(nw.col(_TIME) < after)
    by = [f"key:{name}" for name in group] + ([_TIME] if time else [])
    products_of = {f"sq:{name}": (name, name) for name in squared}
    products_of |= {f"times:{one}:{two}": (one, two) for one, two in products}
    asked = _Asked(by, derived, window, numbers, added, added, products_of, least)
    # Looking for not-a-number in every row takes as long as the sums (DuckDB) or a tenth of it
    # (polars); one such row makes a sum not-a-number, so that it is enough to look then.
    engine = frame.implementation
    is_trusting = bool(products) and (engine.is_duckdb() or engine.is_polars())
    first = asked._replace(counted=()) if is_trusting and is_whole else asked
    reduced = _added_up(frame, schema, first, is_guarded=not is_trusting)
    if is_trusting and _holds_nan(reduced):
        reduced = _added_up(frame, schema, asked, is_guarded=True)
    names = {f"key:{name}": name for name in group} | {f"sum:{name}": name for name in added}
    names |= {f"sq:{name}": f"{name}__squared" for name in squared}
    names |= {f"times:{one}:{two}": f"{one}__times__{two}" for one, two in products}
    names |= {f"least:{name}": f"{name}__lowest" for name in least}
    return _tidy(reduced.rename(names), group, time=time, every=every)


def between(data: Any, *, time: str, start: dt.date, end: dt.date, tz: str = "UTC") -> Any:
    """Keep the rows of a table whose local day lies in a period; same library, same columns."""
    check_columns(data, (time,))
    import narwhals as nw

    frame = _with_local_time(_at_home_if_needed(_narwhal(data), time), time, tz)
    first = dt.datetime.combine(start, dt.time())
    after = dt.datetime.combine(end + dt.timedelta(days=1), dt.time())
    kept = frame.filter(nw.col(_LOCAL) >= first, nw.col(_LOCAL) < after)
    return kept.drop(_LOCAL).to_native()


def among(data: Any, *, name: str, values: Sequence[Any]) -> Any:
    """Keep the rows whose value of a column, as `aggregate` gives it, is one of `values`.

    Parameters
    ----------
    data
        Table in any supported engine.
    name
        Column.
    values
        None stands for missing.

    Returns
    -------
    Same library, same columns.
    """
    check_columns(data, (name,))
    frame = _narwhal(data)
    key = _key(name, _schema(frame)[name])
    kept = key.is_in([value for value in values if value is not None])
    if None in values:
        kept = kept | key.is_null()
    return frame.filter(kept).to_native()


def collect(data: Any, names: Iterable[str]) -> "pl.DataFrame":
    """Bring the rows of the named columns home, for methods that need each row.

    Categories come as text and decimals as floats; missing and not-a-number both come as null.
    """
    import polars as pl

    wanted = list(dict.fromkeys(names))
    check_columns(data, wanted)
    table = _collect(_at_home_if_needed(_narwhal(data).select(*wanted), None))
    text = [name for name in wanted if table[name].dtype in {pl.Categorical, pl.Enum}]
    decimal = [name for name in wanted if table[name].dtype == pl.Decimal]
    real = [name for name in wanted if table[name].dtype.is_float()]
    return table.select(wanted).with_columns(
        pl.col(text).cast(pl.String),
        pl.col(decimal).cast(pl.Float64),
        pl.col(real).cast(pl.Float64).fill_nan(None),
    )


def check_finite(table: "pl.DataFrame", names: Iterable[str]) -> None:
    """Refuse infinite numbers in a table at home: no sum, mean or rank survives them."""
    for name in names:
        column = table[name]
        if not column.dtype.is_float():
            continue
        if count := int((~column.is_finite()).sum()):
            raise SchemaError(
                f"column {name!r} holds infinite values, got {count} of them. Leave those rows out, "
                "or cap the values before the analysis."
            )


def without_missing(data: Any, names: Sequence[str]) -> Any:
    """Keep the rows of a table in which none of the named columns is missing or not a number."""
    check_columns(data, names)
    frame = _narwhal(data)
    schema = _schema(frame)
    kept = frame.filter(*(~_is_missing(name, schema[name]) for name in names))
    return kept.to_native()


def with_local_day(
    data: Any,
    *,
    time: str,
    name: str,
    tz: str = "UTC",
    shift: dt.timedelta = dt.timedelta(0),
    every: Literal["1h", "1d"] = "1d",
) -> Any:
    """Add a column with the local day of a time, for a table that has two times per row.

    Parameters
    ----------
    data
        Table in any supported engine; never changed.
    time
        Timestamp or date column, such as the time of arrival.
    name
        Column to add; naive local midnights.
    tz
        Time zone of the local days.
    shift
        Added to the time first, so that a day may end at another hour than midnight.
    every
        ``1h`` gives the local hour instead.
    """
    check_columns(data, (time,))
    import narwhals as nw

    frame = _with_local_time(_at_home_if_needed(_narwhal(data), time), time, tz)
    local = nw.col(_LOCAL) + shift if shift else nw.col(_LOCAL)
    return frame.with_columns(local.dt.truncate(every).alias(name)).drop(_LOCAL).to_native()


def count_duplicates(data: Any) -> int:
    """Count rows that repeat an earlier row in every column."""
    import narwhals as nw

    frame = _narwhal(data)
    rows = _collect(frame.select(nw.len().alias("n")))["n"].item()
    different = _collect(frame.unique().select(nw.len().alias("n")))["n"].item()
    return int(rows) - int(different)


def hand_back(table: "pl.DataFrame", to: Library) -> Any:
    """Return a small table in the caller's dataframe library."""
    if to == "pandas":
        return table.to_pandas()
    return table.to_arrow() if to == "pyarrow" else table


def parse_times(text: "pl.Expr") -> "pl.Expr":
    """Read ISO 8601 text as UTC: with offset, ``Z``, without a zone, or a bare date.

    What cannot be read, or is no day of the calendar, becomes null.
    """
    import polars as pl

    tidy = (
        text.str.strip_chars()
        .str.replace(" ", "T", literal=True)
        .str.replace(r"(?i)(z| ?utc)$", "+00:00")
        .str.replace(r"T(\d\d:\d\d)($|[+-])", "T${1}:00${2}")
        .str.replace(r"([+-]\d\d):?(\d\d)$", "${1}:${2}")
    )
    with_zone = tidy.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
    )
    naive = tidy.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    day = tidy.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(
        with_zone, naive.dt.replace_time_zone("UTC"), day.dt.replace_time_zone("UTC")
    )


def _narwhal(data: Any) -> Any:
    import narwhals as nw

    try:
        return nw.from_native(data)
    except TypeError:
        allowed = "pandas, polars, pyarrow, a DuckDB relation, an Ibis table or a Spark DataFrame"
        raise SchemaError(
            f"data must be a table ({allowed}), got {type(data).__name__}. "
            "Read files with rcakit.read(...)."
        ) from None


def _schema(frame: Any) -> "dict[str, nw.dtypes.DType]":
    return dict(frame.collect_schema())


def _collect(frame: Any) -> "pl.DataFrame":
    """Bring a small table home as polars, whatever engine computed it."""
    import narwhals as nw
    from narwhals.exceptions import ComputeError as Malformed
    from polars.exceptions import ComputeError

    if isinstance(frame, nw.LazyFrame):
        try:
            frame = frame.collect(backend="polars")
        except (
            ComputeError,
            Malformed,
        ) as problem:  # a file that turns out to be malformed while it is read
            first = str(problem).strip().partition("\n")[0]
            raise SourceError(
                f"rows could not be read: {first[:300]}. Mend the file, or convert it to Parquet."
            ) from None
    table: pl.DataFrame = frame.to_polars()
    return table


def _at_home_if_needed(frame: Any, time: str | None) -> Any:
    """Move columns to polars where engines would not all read them the same way.

    That is text that stands for times, and pandas columns of Python objects.
    """
    import narwhals as nw

    schema = _schema(frame)
    text_time = time is not None and schema[time] in {nw.String, nw.Categorical, nw.Enum}
    if not text_time and not any(dtype == nw.Object for dtype in schema.values()):
        return frame
    if not frame.implementation.is_polars():
        frame = nw.from_native(_polars_from(frame).lazy())
    if time is not None and text_time:
        import polars as pl

        raw = frame.to_native()
        parsed = raw.with_columns(parse_times(pl.col(time).cast(pl.String)).alias(time))
        _check_readable(parsed, raw, time)
        frame = nw.from_native(parsed)
    return frame


def _is_small_pandas(frame: Any) -> bool:
    """Tell whether a pandas table is so small that its steps cost more than its rows."""
    return bool(frame.implementation.is_pandas()) and len(frame) <= _SMALL


def _at_home(frame: Any) -> Any:
    """Move tables of pandas and pyarrow to polars; others stay in their engine.

    polars plans many products of columns at once; pandas would build each as a column of its own.
    """
    import narwhals as nw

    if frame.implementation.is_pandas() or frame.implementation.is_pyarrow():
        return nw.from_native(_polars_from(frame))
    return frame


def _is_without_null(frame: Any, names: Iterable[str]) -> bool:
    """Tell whether a polars table is known to lack no value, which costs nothing to ask."""
    import polars as pl

    native = frame.to_native()
    return isinstance(native, pl.DataFrame) and not any(native[n].null_count() for n in names)


def _polars_from(frame: Any) -> "pl.DataFrame":
    """Convert to polars; name the column that mixes kinds of values."""
    import polars as pl

    native = frame.to_native()
    if not frame.implementation.is_pandas():
        return _collect(frame)
    taken = {}
    for name in native.columns:
        try:
            taken[name] = pl.from_pandas(native[name], nan_to_null=True)
        except Exception as mixed:  # noqa: BLE001 - polars and pyarrow raise a dozen kinds here
            raise SchemaError(
                f"column {name!r} mixes kinds of values ({type(mixed).__name__}). "
                f"Convert it first, for example with astype('string')."
            ) from None
    return pl.DataFrame(taken)


def _check_readable(parsed: Any, raw: Any, time: str) -> None:
    """Refuse a text column of which not one value can be read as a time."""
    import polars as pl

    some = parsed.lazy().select(pl.col(time).is_not_null().any()).collect().item()
    given = raw.lazy().select(pl.col(time).drop_nulls().first()).collect().item()
    if given is not None and not some:
        raise SchemaError(
            f"column {time!r} must hold timestamps, got text such as {shown(given)}. "
            "Use ISO 8601, for example 2026-03-31T14:05:00Z or 2026-03-31."
        )


def _check_free(names: Iterable[str], *, time: str | None) -> None:
    """Refuse columns whose names the aggregate uses itself, or an engine takes for a pattern."""
    taken = {"n_rows", "n_missing", *([_TIME] if time is not None else [])}
    for name in names:
        if name in taken or name == "*" or (name.startswith("^") and name.endswith("$")):
            raise SchemaError(
                f"column {name!r} has a name that rcakit keeps for itself. "
                "Rename it, for example by putting 'my_' before it."
            )


def _check_numeric(frame: Any, names: Iterable[str]) -> None:
    import narwhals as nw

    schema = _schema(frame)
    for name in names:
        dtype = schema[name]
        if dtype.is_numeric() or dtype == nw.Boolean:
            continue
        example = _collect(frame.select(nw.col(name)).head(1))[name]
        if len(example) == 0 or (dtype == nw.Unknown and example[0] is None):
            continue
        raise SchemaError(
            f"column {name!r} must be numeric, got {dtype} such as {shown(example[0])}. "
            "Convert it, or leave value out to count rows."
        )


def _key(name: str, dtype: Any) -> Any:
    import narwhals as nw

    column = nw.col(name)
    if dtype in {nw.Categorical, nw.Enum}:
        column = column.cast(nw.String)
    return column.alias(f"key:{name}")


def _number(name: str, dtype: Any, *, is_guarded: bool = True) -> Any:
    """Read a column as floats in which not-a-number is missing, too."""
    import narwhals as nw

    column = nw.col(name)
    if dtype == nw.Boolean:
        column = column.cast(nw.Int64)
    elif not dtype.is_numeric():  # an empty column of unknown type
        column = nw.lit(0)
    column = column.cast(nw.Float64)
    if dtype.is_float() and is_guarded:
        column = nw.when(~column.is_nan()).then(column)
    return column


def _is_missing(name: str, dtype: Any) -> Any:
    import narwhals as nw

    column = nw.col(name)
    return column.is_null() | column.is_nan() if dtype.is_float() else column.is_null()


def _with_local_time(frame: Any, time: str, tz: str) -> Any:
    """Add the moment as naive local time."""
    frame, local = _local_time(frame, time, tz)
    return frame.with_columns(local.alias(_LOCAL))


def _local_time(frame: Any, time: str, tz: str) -> tuple[Any, Any]:
    """Return the moment as naive local time, and the frame to ask it of.

    A bare date is its own local day.
    """
    import narwhals as nw

    check_time_zone(tz)
    dtype, column = _schema(frame)[time], nw.col(time)
    if dtype == nw.Date:
        return frame, column.cast(nw.Datetime("us"))
    if not isinstance(dtype, nw.Datetime):
        hint = "Convert epochs first, for example with polars.from_epoch."
        raise SchemaError(f"column {time!r} must hold timestamps or dates, got {dtype}. {hint}")
    is_zoned = dtype.time_zone is not None
    if not is_zoned and (tz == "UTC" or _holds_only_midnights(frame, time)):
        return frame, column.cast(nw.Datetime("us"))
    if frame.implementation.is_duckdb():
        return _with_duckdb_local_time(frame, time, tz, is_zoned=is_zoned), nw.col(_LOCAL)
    moment = column if is_zoned else column.dt.replace_time_zone("UTC")
    local = moment.dt.convert_time_zone(tz).dt.replace_time_zone(None)
    return frame, local.cast(nw.Datetime("us"))


def _holds_only_midnights(frame: Any, time: str) -> bool:
    """Tell whether naive timestamps are really dates, which pandas cannot store as such."""
    import narwhals as nw

    moment = nw.col(time)
    within_day = frame.select(time).filter(~moment.is_null(), moment != moment.dt.truncate("1d"))
    return _collect(within_day.head(1)).height == 0


def _with_duckdb_local_time(frame: Any, time: str, tz: str, *, is_zoned: bool) -> Any:
    """Let DuckDB rebase a timestamp itself: its own zone is that of the session."""
    import narwhals as nw

    quoted = '"' + time.replace('"', '""') + '"'
    moment = quoted if is_zoned else f"timezone('UTC', {quoted})"
    local = f"CAST(timezone('{tz}', {moment}) AS TIMESTAMP)"
    return nw.from_native(frame.to_native().project(f"*, {local} AS {_LOCAL}"))


class _Asked(NamedTuple):
    """What an aggregate adds up, by what; `counted` columns may lack values."""

    by: list[str]
    derived: list[Any]
    window: list[Any]
    numbers: tuple[str, ...]
    sums: tuple[str, ...]
    counted: tuple[str, ...]
    products_of: dict[str, tuple[str, str]]
    least: tuple[str, ...]


def _added_up(frame: Any, schema: Any, asked: _Asked, *, is_guarded: bool) -> "pl.DataFrame":
    """Derive numbers, products and what is missing, and add them up."""
    import narwhals as nw

    numbers = [
        _number(name, schema[name], is_guarded=is_guarded).alias(f"number:{name}")
        for name in asked.numbers
    ]
    if asked.derived or numbers:
        frame = frame.with_columns(*asked.derived, *numbers)
    frame = frame.filter(*asked.window) if asked.window else frame
    missing = [nw.col(f"number:{name}").is_null() for name in asked.counted]
    products = [
        (nw.col(f"number:{one}") * nw.col(f"number:{two}")).alias(alias)
        for alias, (one, two) in asked.products_of.items()
    ]
    if missing:
        products.append(reduce(or_, missing).cast(nw.Int64).alias("n_missing"))
    frame = frame.with_columns(*products) if products else frame
    totals = {"n_missing": "n_missing"} if missing else {}
    totals |= {f"sum:{name}": f"number:{name}" for name in asked.sums}
    totals |= {alias: alias for alias in asked.products_of}
    least = {f"least:{name}": f"number:{name}" for name in asked.least}
    return _reduce(frame, asked.by, totals, least)


def _holds_nan(table: "pl.DataFrame") -> bool:
    """Tell whether a sum or a smallest value is not a number."""
    return any(
        bool(column.is_nan().any())
        for column in table.iter_columns()
        if column.dtype.is_float() and column.name.startswith(("sum:", "sq:", "times:", "least:"))
    )


def _reduce(
    frame: Any, by: list[str], totals: dict[str, str], least: dict[str, str]
) -> "pl.DataFrame":
    """Group, count and add up: the one aggregation that every engine does alike."""
    import narwhals as nw
    import polars as pl

    added = [nw.col(source).sum().alias(alias) for alias, source in totals.items()]
    added += [nw.col(source).min().alias(alias) for alias, source in least.items()]
    if by:
        frame = frame.group_by(*by).agg(nw.len().alias("n_rows"), *added)
    else:
        frame = frame.select(nw.len().alias("n_rows"), *added)
    missing = pl.col("n_missing") if "n_missing" in totals else pl.lit(0).alias("n_missing")
    numbers = [name for name in (*totals, *least) if name != "n_missing"]
    return _collect(frame).select(
        *by,
        pl.col("n_rows").cast(pl.Int64).fill_null(0),
        missing.cast(pl.Int64).fill_null(0),
        pl.col(numbers).cast(pl.Float64).fill_null(0.0),
    )


def _tidy(
    table: "pl.DataFrame", keys: tuple[str, ...], *, time: str | None, every: str
) -> "pl.DataFrame":
    """Give equal tables an equal look: one type per kind of column, one order of rows."""
    import polars as pl

    text = [name for name in keys if table[name].dtype in {pl.Categorical, pl.Enum}]
    table = table.with_columns(pl.col(text).cast(pl.String)) if text else table
    if time is not None and table[_TIME].dtype != pl.Datetime("us"):
        table = table.with_columns(pl.col(_TIME).cast(pl.Datetime("us")))
    if every == "1w" and time is not None:
        numbers = [name for name in table.columns if name not in {*keys, _TIME}]
        table = (
            table.with_columns(pl.col(_TIME).dt.truncate("1w"))
            .group_by(*keys, _TIME)
            .agg(
                pl.col(name).min() if name.endswith("__lowest") else pl.col(name).sum()
                for name in numbers
            )
        )
    order = [*keys, *([_TIME] if time else [])]
    return table.sort(order, nulls_last=True) if order else table
