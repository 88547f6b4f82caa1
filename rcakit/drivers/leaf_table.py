"""The leaf table: one row per combination of dimension values, with its history and its period."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit.drivers.ordering import Cut
from rcakit.drivers.row_sizes import row_squares
from rcakit.errors import SchemaError
from rcakit.stats.attribution.history import History
from rcakit.stats.attribution.steadiness import steady_days
from rcakit.stats.rhythm import Rhythm, occasions

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LeafTable", "Span", "is_same", "leaf_table"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Span:
    """Days of the baseline and of the period; both ends of both belong to them.

    The baseline is None where a forecast stands in for it. Where the table holds one row a week
    or a month per segment (``every``), weeks or months are compared; ``like`` is a day with rows.
    """

    baseline: tuple[dt.date, dt.date] | None
    period: tuple[dt.date, dt.date]
    every: Rhythm = "1d"
    like: dt.date | None = None

    def occasions(self, first: dt.date, last: dt.date) -> NDArray[np.datetime64]:
        """Return the days from first to last on which rows are due."""
        anchor = np.array([self.like or first], dtype="datetime64[D]")
        return occasions(np.datetime64(first), np.datetime64(last), every=self.every, like=anchor)

    @property
    def n_baseline_days(self) -> int:
        """Number of baseline days; 0 with a forecast."""
        if self.baseline is None:
            return 0
        return (self.baseline[1] - self.baseline[0]).days + 1

    @property
    def n_period_days(self) -> int:
        """Number of days under study."""
        return (self.period[1] - self.period[0]).days + 1


@dataclass(frozen=True, slots=True, eq=False)
class LeafTable:
    """Leaves as integer codes, with what each showed.

    Attributes
    ----------
    dimensions
        Names.
    values
        Per dimension, the value of each code; a missing value is the last code, as None.
    codes
        Shape (n_leaves, n_dimensions).
    observed, denominator
        Sum over the period per leaf, shape (n_leaves,); the denominator is None for counts.
    usual
        Sum over the baseline per leaf, shape (n_leaves,), scaled to the length of the period; or
        the forecast.
    history
        Leaf × day values of the baseline; None when a forecast is given instead.
    daily
        Leaf, day (0 is the first of the period) and value of baseline and period, for charts.
    daily_at_risk
        Number at risk of each entry of `daily`; None for counts.
    cuts
        Where ordered dimensions are cut in two; their codes follow those of the dimensions.
    squares
        Sum of the squared sizes of the period's events per leaf, shape (n_leaves,), estimated where rows
        are sums made beforehand; None for counts.
    missing_share
        Share of the rows whose value, denominator or forecast is missing; they count as zero.
    """

    dimensions: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    codes: Integers
    observed: Floats
    denominator: Floats | None
    usual: Floats
    history: History | None
    daily: tuple[Integers, Integers, Floats] | None = None
    daily_at_risk: Floats | None = None
    cuts: tuple[Cut, ...] = ()
    squares: Floats | None = None
    missing_share: float = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values per dimension."""
        return tuple(len(values) for values in self.values)

    @property
    def searched_codes(self) -> Integers:
        """Codes of dimensions and cuts, shape (n_leaves, n_dimensions + n_cuts)."""
        parts = [cut.side[self.codes[:, cut.dimension]] for cut in self.cuts]
        return np.column_stack([self.codes, *parts]) if parts else self.codes

    @property
    def searched_sizes(self) -> tuple[int, ...]:
        """Number of codes per dimension and cut."""
        return (*self.sizes, *(cut.size for cut in self.cuts))

    @property
    def families(self) -> tuple[int, ...]:
        """Position of the dimension that each column of `searched_codes` belongs to."""
        return (*range(len(self.dimensions)), *(cut.dimension for cut in self.cuts))

    def with_cuts(self, cuts: tuple[Cut, ...]) -> "LeafTable":
        """Return the same table with ordered dimensions cut."""
        return replace(self, cuts=cuts)

    def with_missing(self, share: float) -> "LeafTable":
        """Return the same table with the share of rows that lack a number."""
        return replace(self, missing_share=share)

    def segment(self, codes: tuple[int, ...]) -> dict[str, Any]:
        """Return the dimension values that codes stand for; −1 means any and is left out."""
        values = [*self.values, *([cut.label(c) for c in range(cut.size)] for cut in self.cuts)]
        found = [
            (family, values[i][code])
            for i, (family, code) in enumerate(zip(self.families[: len(codes)], codes, strict=True))
            if code >= 0
        ]
        return {self.dimensions[family]: value for family, value in sorted(found, key=_first)}

    def inside(self, segment: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Tell which leaves belong to a segment; its names must be dimensions."""
        belongs = np.ones(len(self.codes), dtype=bool)
        for name, value in segment.items():
            i = self.dimensions.index(name)
            belongs &= np.isin(self.codes[:, i], self._codes_of(i, value))
        return belongs

    def values_of(self, segment: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
        """Return the plain values that a segment holds per dimension; a part of an ordered one has several."""
        return {
            name: tuple(self.values[i][code] for code in self._codes_of(i, value)) or (value,)
            for name, value in segment.items()
            for i in [self.dimensions.index(name)]
        }

    def _codes_of(self, dimension: int, value: Any) -> list[int]:
        values = self.values[dimension]
        codes = [code for code, known in enumerate(values) if is_same(known, value)]
        for cut in self.cuts if not codes else ():
            for part in range(cut.size):
                if cut.dimension == dimension and cut.label(part) == value:
                    codes = np.flatnonzero(cut.side == part).tolist()
        return codes


def leaf_table(
    table: "pl.DataFrame",
    *,
    dimensions: tuple[str, ...],
    span: Span | None,
    value: str | None,
    denominator: str | None,
    expected: str | None = None,
) -> LeafTable:
    """Turn the aggregate (leaves × days, or leaves alone) into arrays."""
    values, codes = _encode_all(table, dimensions)
    first, leaf = _leaves(codes)
    amount = table[value or "n_rows"].to_numpy().astype(float)
    below = table[denominator].to_numpy() if denominator else None
    n_leaves = len(first)
    if span is None or span.baseline is None:
        return LeafTable(
            dimensions,
            values,
            codes[first],
            _sum(leaf, amount, n_leaves),
            None if below is None else _sum(leaf, below, n_leaves),
            _sum(leaf, table[expected].to_numpy(), n_leaves) if expected else np.zeros(n_leaves),
            None,
        )
    day = _day_index(table, span.period[0])
    now = day >= 0
    before = ~now & ((amount != 0) | (below is not None))  # a row that holds nothing is no event
    due, due_now = span.occasions(*span.baseline), span.occasions(*span.period)
    seen = table["period_start"].to_numpy().astype("datetime64[D]")
    occasion = np.searchsorted(due, seen)
    squares = None
    if value:
        squares = row_squares(
            amount,
            table[f"{value}__squared"].to_numpy(),
            leaf=leaf,
            n_rows=table["n_rows"].to_numpy(),
            is_past=before,
            n_days=len(due),
        )
    history = History(
        leaf=leaf[before],
        day=occasion[before].astype(np.int64),
        value=amount[before],
        weekday=_weekdays(due, span.every),
        period_weekday=_weekdays(due_now, span.every),
        denominator=None if below is None else below[before],
        sum_squares=None if squares is None else squares[before],
    )
    leaf_codes = codes[first]
    n_steady = steady_days(history, codes=leaf_codes, sizes=tuple(map(len, values)))
    steady = before & (occasion >= len(due) - n_steady)
    return LeafTable(
        dimensions,
        values,
        leaf_codes,
        _sum(leaf[now], amount[now], n_leaves),
        None if below is None else _sum(leaf[now], below[now], n_leaves),
        _sum(leaf[steady], amount[steady], n_leaves) * len(due_now) / n_steady,
        history,
        (leaf, day, amount),
        None if below is None else below.astype(float),
        squares=None if squares is None else _sum(leaf[now], squares[now], n_leaves),
    )


def _encode_all(
    table: "pl.DataFrame", dimensions: tuple[str, ...]
) -> tuple[tuple[tuple[Any, ...], ...], Integers]:
    """Return the values of every dimension, and the codes of each row, shape (n_rows, n_dimensions)."""
    pairs = [_encode(table[name]) for name in dimensions]
    codes = np.empty((table.height, len(pairs)), dtype=np.int64)
    for j, (_, code) in enumerate(pairs):
        codes[:, j] = code
    return tuple(values for values, _ in pairs), codes


def _encode(column: "pl.Series") -> tuple[tuple[Any, ...], Integers]:
    """Return the values in order, missing last, and the code of each row."""
    import polars as pl

    if column.dtype.is_nested():
        raise SchemaError(
            f"column {column.name!r} must hold single values to be a dimension, got {column.dtype}. "
            "Take one part of it, or make it text."
        )
    if column.dtype not in {pl.String, pl.Boolean} and not column.dtype.is_integer():
        column = column.cast(pl.String)
    values = column.drop_nulls().unique().sort().to_list()
    codes = column.rank("dense").cast(pl.Int64) - 1
    if column.null_count():
        codes = codes.fill_null(len(values))
        values.append(None)
    return tuple(values), codes.to_numpy().astype(np.int64)


def _leaves(codes: Integers) -> tuple[Integers, Integers]:
    """Return the first row of each distinct combination, and the combination of each row."""
    key = np.zeros(len(codes), dtype=np.int64)
    first = np.zeros(min(len(codes), 1), dtype=np.int64)
    for column in codes.T:  # number the combinations anew at each step, so that keys never overflow
        _, first, key = np.unique(
            key * (int(column.max(initial=0)) + 1) + column, return_index=True, return_inverse=True
        )
    return first, key


def _sum(leaf: Integers, amount: Floats, n_leaves: int) -> Floats:
    return np.bincount(leaf, amount, minlength=n_leaves).astype(float)


def _day_index(table: "pl.DataFrame", origin: dt.date) -> Integers:
    start = dt.datetime.combine(origin, dt.time())
    return (table["period_start"] - start).dt.total_days().to_numpy().astype(np.int64)


def _weekdays(days: NDArray[np.datetime64], every: Rhythm) -> Integers:
    """Return the weekday of each day, Monday first; weeks and months have none."""
    if every != "1d":
        return np.zeros(len(days), dtype=np.int64)
    return (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def is_same(known: Any, asked: Any) -> bool:
    """Tell whether a value of the data is the one that is meant; dates and numbers compare as text."""
    return known == asked or (known is not None and asked is not None and str(known) == str(asked))
