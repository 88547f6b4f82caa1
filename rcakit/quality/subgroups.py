"""How do rows become subgroups, in time order, with nothing dropped in silence?"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rcakit import frames
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.validation import refusal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Subgroups", "baseline_of", "check_enough", "part", "phases", "read_subgroups"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Kinds of chart that count events, whose rows are summed and not measured.
_COUNTS = ("c", "seasonal")
_MEASURED = ("xmr", "ewma", "cusum")
# Fewer baseline subgroups than this give no limits (Montgomery 2013, p. 235 asks for 20 to 25).
_FEWEST_SUBGROUPS = 6


@dataclass(frozen=True, slots=True)
class Subgroups:
    """What is charted, in time order: labels, totals, sizes, and spread where rows were seen."""

    label: list[Any]
    phase: list[Any]
    total: Floats
    size: Floats
    n_rows: Floats
    value_range: Floats
    deviation: Floats
    n_missing: int

    @property
    def mean(self) -> Floats:
        """Return the mean (or rate) of each subgroup."""
        return self.total / self.size


def read_subgroups(
    data: Any,
    time: str,
    value: str | None,
    denominator: str | None,
    *,
    phase: str | None,
    every: str | None,
    tz: str,
    kind: str,
) -> Subgroups:
    """Reduce the rows to one subgroup per time (or period), where the rows live if possible."""
    import polars as pl

    keys = [phase] if phase else []
    sums = [name for name in (value, denominator) if name is not None]
    frames.check_columns(data, (time, *keys, *sums))
    if value is not None and denominator is None and every is None and kind not in _COUNTS:
        table = _measured(frames.collect(data, [time, *keys, value]), time, value, keys)
    else:
        if every is None:
            table = frames.aggregate(data, keys=[time, *keys], sums=sums, squares=sums[:1])
        else:
            table = frames.aggregate(
                data, keys=keys, time=time, every=every, tz=tz, sums=sums, squares=sums[:1]
            ).rename({"period_start": "__at"})
            table = table.rename({"__at": time} if time not in table.columns else {})
        frames.check_finite(table, sums)
        table = _counted(table, value, denominator, kind)
    lost = int(table.filter(pl.col(time).is_null())["n_rows"].sum())
    table = table.filter(pl.col(time).is_not_null()).sort(time)
    lost += int(table["n_missing"].sum())
    table = table.filter(pl.col("size") > 0)
    labels = [_plain(label) for label in table[time].to_list()]
    if phase is None and len(set(labels)) < len(labels):
        raise SchemaError(f"column {time!r} names a subgroup twice. Give every= to form periods.")
    return Subgroups(
        label=labels,
        phase=table[phase].to_list() if phase else [None] * table.height,
        n_missing=lost,
        **{
            name: table[name].to_numpy().astype(np.float64)
            for name in ("total", "size", "n_rows", "value_range", "deviation")
        },
    )


def baseline_of(groups: Subgroups, freeze_until: Any) -> Flags:
    """Return which subgroups set the limits: all, or those up to the freeze."""
    n = len(groups.label)
    if freeze_until is None:
        return np.ones(n, dtype=np.bool_)
    last = _plain(freeze_until)
    if n and isinstance(groups.label[0], dt.datetime | dt.date) and isinstance(last, str):
        last = dt.datetime.fromisoformat(last)
    try:
        inside = [_comparable(label) <= _comparable(last) for label in groups.label]
    except TypeError:
        raise refusal(
            "freeze_until",
            f"a value like those of the time column, such as {groups.label[0]!r}",
            freeze_until,
        ) from None
    return np.array(inside, dtype=np.bool_)


def check_enough(n_subgroups: int) -> None:
    """Refuse limits from fewer baseline subgroups than can set them."""
    if n_subgroups < _FEWEST_SUBGROUPS:
        raise NotEnoughDataError(
            f"control limits need at least {_FEWEST_SUBGROUPS} baseline subgroups, got "
            f"{n_subgroups}. Use a shorter period with every=, more history, longer phases, or a "
            "later freeze_until."
        )


def phases(labels: Sequence[Any]) -> list[npt.NDArray[np.int64]]:
    """Return the positions of each phase, phases in order of first appearance."""
    return [
        np.array([i for i, label in enumerate(labels) if label == name], dtype=np.int64)
        for name in dict.fromkeys(labels)
    ]


def part(groups: Subgroups, members: npt.NDArray[np.int64]) -> Subgroups:
    """Return some of the subgroups, such as those of a phase."""
    return Subgroups(
        label=[groups.label[i] for i in members],
        phase=[groups.phase[i] for i in members],
        total=groups.total[members],
        size=groups.size[members],
        n_rows=groups.n_rows[members],
        value_range=groups.value_range[members],
        deviation=groups.deviation[members],
        n_missing=groups.n_missing,
    )


def _measured(rows: "pl.DataFrame", time: str, value: str, keys: Sequence[str]) -> "pl.DataFrame":
    """Reduce measurements to number, total, range and standard deviation per subgroup."""
    import polars as pl

    if not (rows[value].dtype.is_numeric() or rows[value].dtype == pl.Boolean):
        raise SchemaError(f"column {value!r} must be numeric, got {rows[value].dtype}.")
    frames.check_finite(rows, [value])
    x = pl.col(value).cast(pl.Float64)
    return (
        rows.group_by(time, *keys)
        .agg(
            size=x.count(),
            total=x.sum(),
            n_rows=x.count(),
            n_missing=x.is_null().sum(),
            value_range=x.max() - x.min(),
            deviation=x.std().fill_null(0.0),
        )
        .with_columns(pl.col("value_range").fill_null(0.0))
    )


def _counted(
    table: "pl.DataFrame", value: str | None, denominator: str | None, kind: str
) -> "pl.DataFrame":
    """Name the totals of an aggregate the way the charts read them."""
    import polars as pl

    if value is not None and (denominator is not None or kind in _COUNTS):
        _check_counts(table, value, kind)
    known = pl.col("n_rows") - pl.col("n_missing")
    total = known.cast(pl.Float64) if value is None else pl.col(value)
    if denominator is not None:
        _check_denominator(table, denominator)
        size = pl.col(denominator)
    elif value is None or kind in _COUNTS:
        size = pl.lit(1.0)
    else:
        size = known.cast(pl.Float64)
    square = pl.lit(0.0) if value is None else pl.col(f"{value}__squared")
    variance = (square - total**2 / known) / (known - 1).clip(1)
    behind = size if denominator is not None else (total if value is None else known)
    return table.with_columns(
        total=total,
        size=size,
        deviation=variance.clip(0).sqrt(),
        value_range=pl.lit(0.0),
        n_rows=behind.cast(pl.Float64),
    )


def _check_counts(table: "pl.DataFrame", name: str, kind: str) -> None:
    """Refuse counts below zero; measurements may be."""
    lowest = float(table[name].to_numpy().min()) if table.height else 0.0
    if lowest < 0 and kind not in _MEASURED:
        raise SchemaError(
            f"column {name!r} must hold counts, which are not negative, got {lowest:g}. Use "
            "kind='xmr' for measurements."
        )


def _check_denominator(table: "pl.DataFrame", name: str) -> None:
    lowest = float(table[name].to_numpy().min()) if table.height else 0.0
    if lowest < 0:
        raise SchemaError(
            f"column {name!r} must not be negative, got {lowest}. A denominator counts cases."
        )


def _comparable(label: Any) -> Any:
    """Return a label on one scale: dates and times as naive times."""
    if isinstance(label, dt.datetime):
        return label.replace(tzinfo=None)
    return dt.datetime.combine(label, dt.time()) if isinstance(label, dt.date) else label


def _plain(label: Any) -> Any:
    """Return midnight timestamps as dates, so that a day reads as a day."""
    is_day = isinstance(label, dt.datetime) and label.time() == dt.time() and label.tzinfo is None
    return label.date() if is_day else label
