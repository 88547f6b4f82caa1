"""Which rows belong to which arm, stratum and randomised group?

One pass over the rows gives counts, sums and cross-products by arm (and stratum, and randomised
group): the cells from which everything else follows.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.metrics import Metric, needed_columns, needed_pairs
from rcakit.experiments.results import Design
from rcakit.validation import check_date, refusal, shown

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Arms",
    "Cells",
    "Layout",
    "Shares",
    "ask_cells",
    "codes",
    "count_gaps",
    "prepare",
    "present_cells",
    "read_arms",
    "read_phases",
    "refuse_finer_rows",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Shares = Mapping[Any, float]

_CLUSTER, _STRATUM = "__cluster", "__stratum"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns say what."""

    variant: str
    unit: str | None
    cluster: str | None
    strata: tuple[str, ...]
    time: str | None
    block_hours: int | None
    washout_hours: int
    phases: tuple[tuple[dt.date, Shares], ...]

    @property
    def design(self) -> Design:
        """Return which kind of split these columns describe."""
        if self.block_hours is not None:
            return "switchback"
        return "clusters" if self.cluster is not None else "randomised"

    @property
    def is_grouped(self) -> bool:
        """Tell whether groups or blocks were drawn instead of rows."""
        return self.design != "randomised"

    def check(self) -> None:
        """Refuse options that contradict one another."""
        if self.block_hours is not None and self.time is None:
            raise ParameterError("block_hours needs time=, the timestamp column, got None.")
        if self.block_hours is not None and self.cluster is not None:
            raise ParameterError(
                "block_hours and randomised_by must not be given together: a switchback randomises "
                "blocks of time. Leave one of them out."
            )


@dataclass(frozen=True, slots=True)
class Arms:
    """The two arms that are compared, and those that are not."""

    control: Any
    treatment: Any
    others: tuple[Any, ...] = ()

    def index(self, values: Sequence[Any]) -> Integers:
        """Return 0 for control, 1 for treatment and -1 for every other arm."""
        known = {self.control: 0, self.treatment: 1}
        return np.array([known.get(value, -1) for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of control and treatment, with the index of each one's arm, stratum and group."""

    table: "pl.DataFrame"
    arm: Integers
    stratum: Integers
    cluster: Integers

    @property
    def n_rows(self) -> Floats:
        """Return the rows of each cell."""
        return self.table["n_rows"].to_numpy().astype(float)

    def clusters_by_arm(self) -> tuple[int, int]:
        """Return how many groups control and treatment hold."""
        counts = [np.unique(self.cluster[self.arm == arm]).size for arm in (0, 1)]
        return counts[0], counts[1]

    def keep(self, mask: NDArray[np.bool_]) -> "Cells":
        """Return some of the cells, with their groups and strata counted anew."""
        kept = [np.unique(x[mask], return_inverse=True)[1] for x in (self.stratum, self.cluster)]
        return Cells(self.table.filter(mask), self.arm[mask], kept[0], kept[1])


def read_phases(allocation: Any, time: str | None) -> tuple[tuple[dt.date, Shares], ...]:
    """Read an allocation with dates: every day from which other shares held."""
    if allocation is None or isinstance(allocation, Mapping):
        return ()
    phases = [(check_date(first, "allocation date"), shares) for first, shares in allocation]
    if time is None:
        raise ParameterError(
            "allocation with dates needs time=, the column of assignment, got None."
        )
    if sorted(phases, key=lambda phase: phase[0]) != phases or not phases:
        raise refusal("allocation", "a list of (first day, shares) in order of time", allocation)
    return tuple(phases)


def refuse_finer_rows(data: Any, layout: Layout) -> None:
    """A row of a unit with several rows is not a draw: refuse it, and print the call that is right."""
    if layout.unit is None or layout.cluster is not None:
        return
    counts = frames.aggregate(data, keys=(layout.unit, layout.variant))
    n_rows, n_units = int(counts["n_rows"].sum()), counts[layout.unit].n_unique()
    _refuse_crossed(counts, layout.unit, layout.variant, layout.unit)
    if n_rows > n_units:
        raise ParameterError(
            f"unit must name one row each, got {wording.amount(n_rows)} rows of "
            f"{wording.amount(n_units)} different {layout.unit!r}: rows are finer than what was "
            f"randomised. Use ab_test(data, variant={layout.variant!r}, metrics=…, "
            f"randomised_by={layout.unit!r})."
        )


def _refuse_crossed(counts: "pl.DataFrame", group: str, variant: str, named: str) -> None:
    """Refuse units, groups or blocks that are in several arms; `named` is what users call them."""
    import polars as pl

    pairs = counts.filter(pl.col(variant).is_not_null(), pl.col(group).is_not_null())
    pairs = pairs.select(group, variant).unique()
    twice = pairs.group_by(group).len().filter(pl.col("len") > 1).sort(group)
    if twice.height:
        raise SchemaError(
            f"column {variant!r} must give every {named!r} one arm, got {twice.height} of them in "
            f"several arms, such as {shown(twice[group][0])}. Remove them, or find what was "
            "randomised."
        )


def ask_cells(data: Any, layout: Layout, metrics: Sequence[Metric]) -> "pl.DataFrame":
    """Ask the engine for counts, sums and cross-products: the one pass over the rows."""
    keys = [layout.variant, *([layout.cluster] if layout.cluster else []), *layout.strata]
    timed = layout.block_hours is not None or bool(layout.phases)
    return frames.aggregate(
        data,
        keys=tuple(dict.fromkeys(keys)),
        time=layout.time if timed else None,
        every="1h" if layout.block_hours is not None else "1d",
        sums=needed_columns(metrics),
        products=needed_pairs(metrics),
        lowest=tuple(dict.fromkeys(m.denominator for m in metrics if m.denominator)),
    )


def read_arms(values: Sequence[Any], control: Any, treatment: Any) -> Arms:
    """Find the two arms to compare among the values of the variant column."""
    found = sorted(
        {value for value in values if value is not None}, key=lambda v: (str(type(v)), v)
    )
    if len(found) < 2:
        raise NotEnoughDataError(
            f"variant must hold at least two arms, got {shown(found)}. "
            "A comparison needs rows of the old way and of the new one."
        )
    for name, value in (("control", control), ("treatment", treatment)):
        if value is not None and value not in found:
            raise refusal(name, f"one of the arms {shown(found)}", value)
    if control is None:
        named = [v for v in found if str(v).strip().lower() == "control" and v != treatment]
        control = (named or [v for v in found if v != treatment])[0]
    rest = [value for value in found if value != control]
    if treatment is None:
        if len(rest) > 1:
            raise ParameterError(
                f"treatment must name one of the arms {shown(rest)}, got None. Compare one at a "
                "time, and divide alpha by the number of comparisons."
            )
        treatment = rest[0]
    if treatment == control:
        raise refusal("treatment", "different from control", treatment)
    return Arms(control, treatment, tuple(v for v in rest if v != treatment))


def prepare(
    raw: "pl.DataFrame", layout: Layout, arms: Arms, metrics: Sequence[Metric]
) -> tuple[Cells, list[Check]]:
    """Index cells, and leave out what belongs to no arm, no group or to a lopsided stratum."""
    import polars as pl

    _refuse_negative_denominators(raw, metrics)
    table = _with_group(raw, layout)
    n_rows = int(table["n_rows"].sum())
    known = table.filter(pl.col(layout.variant).is_not_null(), pl.col(_CLUSTER).is_not_null())
    undated = 0
    if layout.design == "switchback":
        undated = int(raw.filter(pl.col("period_start").is_null())["n_rows"].sum())
    notes = [checks.assignment(n_rows - int(known["n_rows"].sum()), n_rows, undated)]
    if layout.cluster is not None:
        _refuse_crossed(known, _CLUSTER, layout.variant, layout.cluster)
    arm = arms.index(known[layout.variant].to_list())
    table, arm = known.filter(arm >= 0), arm[arm >= 0]
    stratum = codes(table, _STRATUM)
    cells = Cells(table, arm, stratum, codes(table, _CLUSTER))
    cells, names = _drop_lopsided(cells, layout)
    notes.append(
        checks.dropped(
            "strata", names, "too few in one arm", "Merge small strata, or leave strata= out."
        )
    )
    return cells, notes


def _refuse_negative_denominators(raw: "pl.DataFrame", metrics: Sequence[Metric]) -> None:
    for name in {metric.denominator for metric in metrics if metric.denominator}:
        least = raw[f"{name}__lowest"].min()
        if isinstance(least, float) and least < 0:
            raise SchemaError(
                f"column {name!r} is a denominator and must not be negative, got {least:g}. "
                "Filter or correct these rows."
            )
        if raw[name].sum() <= 0:
            raise NotEnoughDataError(
                f"column {name!r} is a denominator and adds up to zero. Choose another metric."
            )


def _with_group(raw: "pl.DataFrame", layout: Layout) -> "pl.DataFrame":
    """Name each cell's randomised group and stratum."""
    import polars as pl

    if layout.design == "switchback":
        return _with_blocks(raw, layout)
    group = pl.col(layout.cluster) if layout.cluster else pl.lit(0)
    stratum = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("(missing)") for name in layout.strata]
        or [pl.lit("all")],
        separator=", ",
    )
    if layout.phases:
        starts = [first for first, _ in layout.phases]
        day = pl.col("period_start").dt.date()
        phase = pl.sum_horizontal([(day >= first).cast(pl.Int32) for first in starts])
        stratum = pl.concat_str([stratum, phase.cast(pl.String)], separator=", phase ")
    return raw.with_columns(group.alias(_CLUSTER), stratum.alias(_STRATUM))


def _with_blocks(raw: "pl.DataFrame", layout: Layout) -> "pl.DataFrame":
    """Cut time into blocks, and leave out the hours after each switch."""
    import polars as pl

    length = layout.block_hours or 1
    hour = pl.col("period_start").dt.epoch("s") // 3600
    timed = raw.filter(pl.col("period_start").is_not_null()).with_columns(
        (hour // length).alias(_CLUSTER),
        (hour % length).alias("__hour"),
        pl.lit("all").alias(_STRATUM),
    )
    if timed.height == 0:
        raise NotEnoughDataError(
            f"column {layout.time!r} must hold a time in some row, got none. Check the column."
        )
    begun = pl.from_epoch((hour // length) * length * 3600).dt.to_string("%Y-%m-%d %H:%M")
    named = timed.with_columns(begun.alias("__begun"))
    _refuse_crossed(named, "__begun", layout.variant, f"block of {length} h")
    blocks = timed.group_by(_CLUSTER).agg(pl.col(layout.variant).first()).sort(_CLUSTER)
    switched = blocks.with_columns(
        (pl.col(layout.variant) != pl.col(layout.variant).shift(1))
        .fill_null(value=False)
        .alias("__new")
    )
    kept = timed.join(switched.select(_CLUSTER, "__new"), on=_CLUSTER)
    return kept.filter(~pl.col("__new") | (pl.col("__hour") >= layout.washout_hours))


def codes(table: "pl.DataFrame", name: str) -> Integers:
    """Number the values of a column from zero."""
    values = table[name].rank("dense").to_numpy().astype(np.int64) - 1
    return values if values.size else np.zeros(0, dtype=np.int64)


def _drop_lopsided(cells: Cells, layout: Layout) -> tuple[Cells, list[str]]:
    """Leave out strata in which an arm has too little to estimate a spread."""
    least = 1 if layout.is_grouped else 2
    size = np.zeros((2, int(cells.stratum.max(initial=-1)) + 1))
    weight = np.ones(cells.arm.size) if layout.is_grouped else cells.n_rows
    np.add.at(size, (cells.arm, cells.stratum), weight)
    good = np.all(size >= least, axis=0).reshape(-1)
    names = cells.table[_STRATUM].to_numpy()
    per = " in some stratum" if good.size > 1 else ""
    lost = sorted({str(names[i]) for i in range(names.size) if not good[cells.stratum[i]]})
    kept = cells.keep(good[cells.stratum]) if lost else cells
    if min(_draws(kept, layout)) < 2:
        what = "groups" if layout.is_grouped else "rows"
        held = _draws(cells, layout)
        raise NotEnoughDataError(
            f"each arm must hold at least 2 {what}{per}, got {held[0]} in control and {held[1]} in "
            "treatment. Wait for more, or use rollout() when units changed one after the other."
        )
    return kept, lost


def _draws(cells: Cells, layout: Layout) -> tuple[int, int]:
    """Return how many groups, or rows, each arm holds."""
    if layout.is_grouped:
        return cells.clusters_by_arm()
    n = [int(cells.n_rows[cells.arm == arm].sum()) for arm in (0, 1)]
    return n[0], n[1]


def present_cells(
    data: Any, layout: Layout, arms: Arms, metric: Metric, everything: Cells
) -> Cells:
    """Count again over the rows that hold a metric."""
    present = frames.without_missing(data, metric.outcome_columns)
    table = _with_group(ask_cells(present, layout, [metric]), layout)
    table = table.filter(table[_CLUSTER].is_not_null() & table[layout.variant].is_not_null())
    arm = arms.index(table[layout.variant].to_list())
    table, arm = table.filter(arm >= 0), arm[arm >= 0]
    present = Cells(table, arm, codes(table, _STRATUM), codes(table, _CLUSTER))
    if min(_draws(present, layout)) == 0:
        missing, rows, other, all_rows = count_gaps(everything, present)
        raise NotEnoughDataError(
            f"metric {metric.name!r} must hold values in both arms, got {missing:g} of {rows:g} "
            f"rows missing in control and {other:g} of {all_rows:g} in treatment. Check the column, "
            "or how it was joined."
        )
    return _drop_lopsided(present, layout)[0]


def count_gaps(everything: Cells, present: Cells) -> tuple[float, float, float, float]:
    """Return rows without the outcome and all rows, in control and in treatment."""
    rows = [everything.n_rows[everything.arm == arm].sum() for arm in (0, 1)]
    held = [present.n_rows[present.arm == arm].sum() for arm in (0, 1)]
    return rows[0] - held[0], rows[0], rows[1] - held[1], rows[1]
