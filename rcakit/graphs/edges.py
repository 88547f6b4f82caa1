"""The door of the room: which edges of accounts and attributes count, and what was left out?

Hubs are dropped where the rows live. Without times pairs are counted there too, and only the edges
of accounts that share two attributes with someone come home; with times one attribute may do, and
the edges come home that are part of a cycle (the 2-core).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames
from rcakit.errors import SchemaError
from rcakit.stats.rings import (
    Sightings,
    Traits,
    accounts_in_pairs,
    attribute_weight,
    degree_cap,
    in_core,
    moments,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Edges", "known_accounts", "read_edges"]

_ACCOUNT, _KIND, _ATTRIBUTE, _SEEN, _DEGREE = (
    "account_id",
    "attribute_type",
    "attribute",
    "seen_at",
    "n_total",
)
_ONE_KIND = "attribute"
_LEAST_SHARED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Edges that came home, and what was left behind.

    Attributes
    ----------
    sightings
        Account and attribute per edge, each combination once, and its place in time.
    traits
        Degree, type and weight per attribute.
    seen_at
        First sighting per edge in microseconds since 1970 (UTC), or None without times; the
        smallest integer stands for unknown.
    account_ids
        Name per account code, sorted.
    attributes
        One row per attribute code: attribute_type, attribute, n_total.
    kinds
        Name per kind code.
    hub_degree
        Attributes with at least so many accounts count for nothing.
    n_accounts, n_edges
        In the whole table, after nulls and repetitions were left out.
    n_comparable
        Attributes of at least two accounts that are no hub.
    n_rows, n_null_rows, n_repeated_rows
        Rows, rows without account or attribute, and rows that repeat an edge.
    hubs
        One row per attribute type: attribute_type, n_hubs, n_edges, largest.
    """

    sightings: Sightings
    traits: Traits
    seen_at: NDArray[np.int64] | None
    account_ids: "pl.Series"
    attributes: "pl.DataFrame"
    kinds: tuple[str, ...]
    hub_degree: int
    n_accounts: int
    n_edges: int
    n_comparable: int
    n_rows: int
    n_null_rows: int
    n_repeated_rows: int
    hubs: "pl.DataFrame"

    @property
    def account(self) -> NDArray[np.int64]:
        """Account per edge."""
        return self.sightings.account

    @property
    def attribute(self) -> NDArray[np.int64]:
        """Attribute per edge."""
        return self.sightings.attribute


def read_edges(
    data: Any,
    *,
    account: str,
    attribute: str,
    attribute_type: str | None,
    time: str | None,
    hub_degree: int,
    pair_budget: int,
) -> Edges:
    """Reduce a table to the edges that can tell something about rings.

    Parameters
    ----------
    data
        Table in any supported engine.
    account, attribute, attribute_type, time
        Columns.
    hub_degree
        Attributes with at least so many accounts are hubs.
    pair_budget
        Pairs that may be counted; the hub degree is lowered until they fit.
    """
    frames.check_columns(data, (account, attribute, attribute_type, time))
    rows, in_engine = _rows(data, account, attribute, attribute_type, time)
    n_rows, n_usable = _n_rows(rows)
    counted = (_EdgesInEngine if in_engine else _EdgesAtHome)(rows, is_timed=time is not None)
    histogram, n_edges = counted.histogram, counted.n_edges
    cap = degree_cap(
        histogram[_DEGREE].to_numpy().astype(np.int64),
        histogram["n_attributes"].to_numpy().astype(np.int64),
        budget=pair_budget,
        highest=hub_degree - 1,
    )
    home = counted.kept(cap)
    return _coded(
        home,
        hub_degree=cap + 1,
        n_accounts=counted.n_accounts,
        n_edges=n_edges,
        n_comparable=_n_comparable(histogram, cap),
        n_rows=n_rows,
        n_null_rows=n_rows - n_usable,
        n_repeated_rows=n_usable - n_edges,
        hubs=_hubs(histogram, cap),
    )


def known_accounts(known: Any) -> frozenset[str]:
    """Return account ids as text: from a list, a set, or a Series of any library."""
    if known is None:
        return frozenset()
    if isinstance(known, str):
        raise SchemaError(
            f"known_bad must be a collection of account ids, got the text {known!r}. "
            "Put it into a list."
        )
    values = known.to_pylist() if hasattr(known, "to_pylist") else list(known)
    return frozenset(str(value) for value in values if value is not None)


def _rows(
    data: Any, account: str, attribute: str, attribute_type: str | None, time: str | None
) -> tuple[Any, bool]:
    """Name and type the columns; say whether the rows stay in an engine (DuckDB, Ibis, Spark)."""
    import narwhals as nw

    frame = nw.from_native(data)
    in_engine = isinstance(frame, nw.LazyFrame) and not frame.implementation.is_polars()
    text = [_text(account, _ACCOUNT), _text(attribute, _ATTRIBUTE)]
    if attribute_type is None:
        text.append(nw.lit(_ONE_KIND).alias(_KIND))
    else:
        text.append(_text(attribute_type, _KIND))
    if time is not None:
        frame = nw.from_native(_with_times(frame, time))
        text.append(nw.col(time).alias(_SEEN))
    rows = frame.select(*text)
    return (rows if in_engine else nw.from_native(_polars(rows).lazy())), in_engine


def _text(name: str, alias: str) -> Any:
    import narwhals as nw

    return nw.col(name).cast(nw.String).alias(alias)


def _with_times(frame: Any, time: str) -> Any:
    """Check that the time column holds times; text is read as ISO 8601, at home."""
    import narwhals as nw

    dtype = frame.collect_schema()[time]
    if isinstance(dtype, nw.Datetime) or dtype == nw.Date:
        return frame.to_native()
    if dtype in {nw.String, nw.Categorical, nw.Enum, nw.Object}:
        import polars as pl

        table = _polars(frame)
        return table.with_columns(frames.parse_times(pl.col(time).cast(pl.String)).alias(time))
    raise SchemaError(
        f"column {time!r} must hold timestamps or dates, got {dtype}. "
        "Convert epochs first, for example with polars.from_epoch."
    )


def _polars(frame: Any) -> "pl.DataFrame":
    import narwhals as nw

    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(backend="polars")
    table: pl.DataFrame = frame.to_polars()
    return table


def _home(frame: Any) -> "pl.DataFrame":
    return _polars(frame)


def _count(name: str) -> Any:
    import narwhals as nw

    return nw.len().alias(name)


def _usable() -> Any:
    """A row counts when account and attribute are there and not empty."""
    import narwhals as nw

    there = [~nw.col(name).is_null() & (nw.col(name) != "") for name in (_ACCOUNT, _ATTRIBUTE)]
    return there[0] & there[1]


def _tidied(rows: Any) -> Any:
    """Keep what is usable; a missing type is a type of its own."""
    import narwhals as nw

    return rows.filter(_usable()).with_columns(nw.col(_KIND).fill_null("(missing)"))


def _n_rows(rows: Any) -> tuple[int, int]:
    n_rows = int(_home(rows.select(_count("n")))["n"].item())
    n_usable = int(_home(rows.filter(_usable()).select(_count("n")))["n"].item())
    return n_rows, n_usable


def _edges(rows: Any) -> Any:
    """Keep every edge once, with its first sighting."""
    import narwhals as nw

    rows = _tidied(rows)
    by = (_ACCOUNT, _KIND, _ATTRIBUTE)
    has_time = _SEEN in rows.collect_schema().names()
    return rows.group_by(*by).agg(nw.col(_SEEN).min()) if has_time else rows.unique(subset=None)


class _EdgesInEngine:
    """Edges that stay where the rows live until they are few."""

    def __init__(self, rows: Any, *, is_timed: bool) -> None:
        self._edges, self._is_timed = _edges(rows), is_timed
        self._degree = self._edges.group_by(_KIND, _ATTRIBUTE).agg(_count(_DEGREE))
        self.histogram = _home(self._degree.group_by(_KIND, _DEGREE).agg(_count("n_attributes")))
        self.n_edges = int((self.histogram[_DEGREE] * self.histogram["n_attributes"]).sum())
        accounts = self._edges.select(_ACCOUNT).unique().select(_count("n"))
        self.n_accounts = int(_home(accounts)["n"].item())

    def kept(self, cap: int) -> "pl.DataFrame":
        """Bring home what can be in a ring when attributes of more than `cap` accounts are dropped."""
        import narwhals as nw

        telling = self._degree.filter(nw.col(_DEGREE) >= _LEAST_SHARED, nw.col(_DEGREE) <= cap)
        kept = self._edges.join(telling, on=[_KIND, _ATTRIBUTE], how="inner")
        if not self._is_timed:
            return _home(kept.join(_accounts_in_pairs(kept), on=[_ACCOUNT], how="inner"))
        for by in ([_ACCOUNT], [_KIND, _ATTRIBUTE], [_ACCOUNT]):
            held = kept.group_by(*by).agg(_count("n_held")).filter(nw.col("n_held") > 1)
            kept = kept.join(held.select(*by), on=by, how="inner")
        home = _home(kept)
        account, attribute = _codes(home)
        return home.filter(in_core(account, attribute))


class _EdgesAtHome:
    """Edges in memory, as numbers: text is compared once, when it gets its number."""

    def __init__(self, rows: Any, *, is_timed: bool) -> None:
        import polars as pl

        self._edges, self._is_timed = _home(_tidied(rows)), is_timed
        self._account, self._attribute = _codes(self._edges)
        if _has_repeats(self._account, self._attribute):
            self._edges = _home(_edges(rows))
            self._account, self._attribute = _codes(self._edges)
        self._degree = np.bincount(self._attribute)
        kind = pl.Series(_KIND, self._edges[_KIND].gather(_first_at(self._attribute)))
        self.histogram = (
            pl.DataFrame([kind, pl.Series(_DEGREE, self._degree)])
            .group_by(_KIND, _DEGREE)
            .agg(pl.len().alias("n_attributes"))
        )
        self.n_edges = self._edges.height
        self.n_accounts = int(self._account.max(initial=-1)) + 1

    def kept(self, cap: int) -> "pl.DataFrame":
        """Keep what can be in a ring when attributes of more than `cap` accounts are dropped."""
        import polars as pl

        degree = self._degree[self._attribute]
        telling = np.flatnonzero((degree >= _LEAST_SHARED) & (degree <= cap))
        account, attribute = self._account[telling], self._attribute[telling]
        # With times the 2-core; else accounts in pairs with two attributes, which lie in the core.
        core = in_core(account, attribute)
        telling, account, attribute = telling[core], account[core], attribute[core]
        if not self._is_timed:
            paired = accounts_in_pairs(account, attribute, self.n_accounts)[account]
            telling = telling[paired]
        return self._edges[telling].with_columns(pl.Series(_DEGREE, degree[telling]))


def _accounts_in_pairs(kept: Any) -> Any:
    """Name the accounts that share at least two telling attributes with one other account."""
    import narwhals as nw

    several = kept.group_by(_ACCOUNT).agg(_count("n_held")).filter(nw.col("n_held") > 1)
    left = kept.join(several.select(_ACCOUNT), on=[_ACCOUNT], how="inner")
    left = left.select(_ACCOUNT, _KIND, _ATTRIBUTE)
    right = left.rename({_ACCOUNT: "other_id"})
    pairs = left.join(right, on=[_KIND, _ATTRIBUTE], how="inner")
    pairs = pairs.filter(nw.col(_ACCOUNT) != nw.col("other_id"))
    counted = pairs.group_by(_ACCOUNT, "other_id").agg(_count("n_shared"))
    return counted.filter(nw.col("n_shared") >= _LEAST_SHARED).select(_ACCOUNT).unique()


def _codes(edges: "pl.DataFrame") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number accounts and attributes 0, 1, …; an attribute is another one in another type.

    Attributes are told apart by hashes of 64 bits: two of a million fall together in one table of
    forty million.
    """
    import polars as pl

    names = edges[_ACCOUNT].cast(pl.Categorical).to_physical().to_numpy()
    hashes = edges.select(_KIND, _ATTRIBUTE).hash_rows().to_numpy()
    attribute = np.unique(hashes, return_inverse=True)[1]
    return _dense(names.astype(np.int64)), attribute.astype(np.int64)


def _dense(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Close the gaps between numbers."""
    there = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    there[code] = 1
    return (np.cumsum(there) - 1)[code]


def _first_at(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one place for every number from 0 on."""
    at = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    at[code] = np.arange(len(code))
    return at


def _has_repeats(account: NDArray[np.int64], attribute: NDArray[np.int64]) -> bool:
    edges = np.sort(account * (int(attribute.max(initial=-1)) + 1) + attribute)
    return bool((edges[1:] == edges[:-1]).any())


def _n_comparable(histogram: "pl.DataFrame", cap: int) -> int:
    import polars as pl

    telling = histogram.filter(pl.col(_DEGREE).is_between(_LEAST_SHARED, cap))
    return int(telling["n_attributes"].sum())


def _hubs(histogram: "pl.DataFrame", cap: int) -> "pl.DataFrame":
    import polars as pl

    return (
        histogram.filter(pl.col(_DEGREE) > cap)
        .group_by(_KIND)
        .agg(
            pl.col("n_attributes").sum().alias("n_hubs"),
            (pl.col("n_attributes") * pl.col(_DEGREE)).sum().alias("n_edges"),
            pl.col(_DEGREE).max().alias("largest"),
        )
        .sort(_KIND)
    )


def _coded(kept: "pl.DataFrame", *, hub_degree: int, **counts: Any) -> Edges:
    """Give accounts, attributes and types numbers in the order of their names."""
    import polars as pl

    names = [_KIND, _ATTRIBUTE, _DEGREE]
    attributes = kept.select(names).unique().sort(names).with_row_index("__attribute")
    accounts = kept.select(_ACCOUNT).unique().sort(_ACCOUNT).with_row_index("__account")
    kept = kept.join(attributes.drop(_DEGREE), on=[_KIND, _ATTRIBUTE]).join(accounts, on=_ACCOUNT)
    kept = kept.sort("__account", "__attribute")
    kinds = tuple(attributes[_KIND].unique().sort().to_list())
    number = {name: code for code, name in enumerate(kinds)}
    coded = kept[_KIND].replace_strict(number, return_dtype=pl.Int64) if kinds else kept[_KIND]
    account = kept["__account"].to_numpy().astype(np.int64)
    attribute = kept["__attribute"].to_numpy().astype(np.int64)
    kind = coded.to_numpy().astype(np.int64) if kinds else np.zeros(0, dtype=np.int64)
    degree = attributes[_DEGREE].to_numpy().astype(np.int64)
    seen, before, until = None, np.zeros(len(account)), np.ones(len(account))
    if _SEEN in kept.columns:
        micro = kept[_SEEN].cast(pl.Datetime("us")).cast(pl.Int64)
        is_known = micro.is_not_null().to_numpy()
        seen = micro.fill_null(np.iinfo(np.int64).min).to_numpy()
        before, until = moments(seen, is_known, kind)
    kind_of = np.zeros(len(degree), dtype=np.int64)
    kind_of[attribute] = kind
    weight = attribute_weight(degree, hub_degree)
    return Edges(
        sightings=Sightings(account, attribute, before, until),
        traits=Traits(degree, kind_of, weight, degree <= hub_degree / 2),
        seen_at=seen,
        account_ids=accounts[_ACCOUNT],
        attributes=attributes.drop("__attribute"),
        kinds=kinds,
        hub_degree=hub_degree,
        **counts,
    )
