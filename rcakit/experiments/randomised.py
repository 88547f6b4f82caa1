"""Did the change do it, when chance decided who got it?

One pass over the rows gives counts, sums and cross-products by arm (and stratum, and randomised
group); everything else is arithmetic on that small table.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.experiments.looks import LookPlan, Looks, plan_looks
from rcakit.experiments.metrics import (
    Metric,
    Name,
    needed_columns,
    needed_pairs,
    quadruple,
    read_metrics,
)
from rcakit.experiments.results import Design, ExperimentResult, MetricEffect
from rcakit.stats import clusters, moments, multiplicity
from rcakit.stats import quantiles as quantile_stats
from rcakit.stats.moments import Contrast
from rcakit.validation import check_date, check_integer, check_names, check_number, refusal, shown

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ab_test"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Shares = Mapping[Any, float]

_CLUSTER, _STRATUM, _ARM, _SEGMENT = "__cluster", "__stratum", "__arm", "__segment"
_FEW_GROUPS = 10


def ab_test(
    data: Any,
    *,
    variant: str,
    metrics: Name | Sequence[Name],
    unit: str | None = None,
    randomised_by: str | None = None,
    covariates: Mapping[Name, Name] | None = None,
    strata: str | Sequence[str] = (),
    allocation: Shares | Sequence[tuple[str | dt.date, Shares]] | None = None,
    looks: Looks = None,
    control: Any = None,
    treatment: Any = None,
    exploratory: Name | Sequence[Name] = (),
    guardrails: Mapping[Name, float] | None = None,
    quantiles: Mapping[str, float] | None = None,
    segments: str | Sequence[str] = (),
    served_by: str | None = None,
    time: str | None = None,
    block_hours: int | None = None,
    washout_hours: int = 0,
    planned_n: float | None = None,
    confidence_level: float = 0.95,
    rng: int = 0,
) -> ExperimentResult:
    """Compare a change with the old way, when chance decided which rows got it.

    Parameters
    ----------
    data
        Table in any supported engine; a row is a unit, or a task of a unit (then say which).
    variant
        Column that names the arm.
    metrics
        Columns to average; a pair ``(numerator, denominator)`` is a ratio of sums. Proportions are
        means of 0 and 1, counts are means.
    unit
        Column with the id of a row's unit. A unit with several rows is refused, with the call that
        analyses it.
    randomised_by
        Column with the id that was randomised (reviewer, team, user with many tasks): rows of one
        id are one draw, whatever their number.
    covariates
        Metric → column measured before the start, which takes noise away (CUPED). When left out,
        columns named ``pre_<metric>`` are used; ``{}`` uses none. A missing value counts as zero.
    strata
        Columns known before the start; effects are averaged over their values.
    allocation
        Planned share by arm, or ``[(first day, shares), …]`` when it changed (then `time` is
        needed). Equal shares when left out.
    looks
        None or 1 for a single look at the end; ``(this look, looks planned)``; ``"open"`` for a
        report that anyone may read any day; a number of looks that nobody planned.
    control, treatment
        Values of `variant`; the control is otherwise the value named control, else the first in
        order. With more than two arms name the treatment.
    exploratory
        Metrics to look at without claiming.
    guardrails
        Metric → largest acceptable relative change, with its sign: ``{"appeal_rate": 0.05}`` may
        rise by at most 5 %.
    quantiles
        Column → quantile, for example ``{"minutes": 0.9}``; every row of the column comes home.
    segments
        Columns for which effects by value were declared before the start.
    served_by
        Column of the shared capacity (reviewer, vendor), to warn of spillover between arms.
    time, block_hours, washout_hours
        For a switchback (everybody switches by blocks of time): the timestamp column, the length
        of a block, and the hours to leave out after a switch.
    planned_n
        For open-ended looks: units (or groups) at which the interval should be narrowest. Choose
        it before the first look.
    confidence_level
        Of every interval.
    rng
        Seed of the permutation p-value, shown with fewer than 10 groups per arm.

    Returns
    -------
    ExperimentResult
        Tables ``metrics``, ``checks`` and ``segments``.

    Raises
    ------
    SchemaError
        A column is missing, a unit or a block is in both arms, a denominator is negative.
    ParameterError
        Rows are finer than the unit, or an option is not allowed.
    NotEnoughDataError
        Fewer than two arms, fewer than two units or groups in an arm, or a metric that never varies.

    Notes
    -----
    Intervals are per metric; verdicts use the adjusted p-value (Holm for primary metrics,
    Benjamini-Hochberg for exploratory ones). When not to use it: the arms were not drawn by chance
    (see `rcakit.cohorts`), or the change came for everyone on a date (`pre_post`).
    """
    alpha = 1 - check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    wanted = read_metrics(
        metrics,
        exploratory=exploratory,
        guardrails=guardrails,
        covariates=covariates,
        found=frames.columns(data),
    )
    plan = plan_looks(looks, planned_n)
    layout = _Layout(
        variant=variant,
        unit=unit,
        cluster=randomised_by,
        strata=check_names(strata, "strata"),
        time=time,
        block_hours=None
        if block_hours is None
        else check_integer(block_hours, "block_hours", ge=1),
        washout_hours=check_integer(washout_hours, "washout_hours", ge=0),
        phases=_read_phases(allocation, time),
    )
    columns = check_names(segments, "segments")
    frames.check_columns(
        data, (variant, unit, randomised_by, *layout.strata, time, served_by, *columns)
    )
    layout.check()
    _refuse_finer_rows(data, layout)

    raw = _cells(data, layout, wanted)
    arms = _read_arms(raw[variant].to_list(), control, treatment)
    cells, notes = _prepare(raw, layout, arms, wanted)
    contrasts, asides = _contrasts(data, cells, layout, arms, wanted)
    notes += asides
    judge = _Judge(plan=plan, alpha=alpha, layout=layout)
    effects = [judge.effect(*pair) for pair in zip(wanted, contrasts, strict=True)]
    effects += _quantile_effects(judge, data, quantiles or {}, arms)
    by_segment = [
        effect
        for column in columns
        for effect in _segment_effects(judge, data, column, arms, wanted)
    ]
    guard = (
        _sample_ratio(raw, layout, arms, allocation, cells),
        *_group_checks(cells, layout, wanted, rng),
        plan.check(),
        _balance(cells, layout, wanted),
        *([_spillover(data, served_by, variant, arms)] if served_by else ()),
        *notes,
    )
    blocked = checks.is_blocked(guard)
    return ExperimentResult(
        design=layout.design,
        effects=_with_verdicts(effects, wanted, alpha, blocked=blocked),
        segments=_with_segment_verdicts(by_segment, alpha, blocked=blocked),
        checks=guard,
        confidence_level=confidence_level,
        library=frames.library(data),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
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
        if self.block_hours is not None:
            return "switchback"
        return "clusters" if self.cluster is not None else "randomised"

    @property
    def is_grouped(self) -> bool:
        return self.design != "randomised"

    def check(self) -> None:
        if self.block_hours is not None and self.time is None:
            raise ParameterError("block_hours needs time=, the timestamp column, got None.")
        if self.block_hours is not None and self.cluster is not None:
            raise ParameterError(
                "block_hours and randomised_by must not be given together: a switchback randomises "
                "blocks of time. Leave one of them out."
            )


@dataclass(frozen=True, slots=True)
class _Arms:
    control: Any
    treatment: Any
    others: tuple[Any, ...] = ()

    def index(self, values: Sequence[Any]) -> Integers:
        """Return 0 for control, 1 for treatment and -1 for every other arm."""
        known = {self.control: 0, self.treatment: 1}
        return np.array([known.get(value, -1) for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of control and treatment, with the index of each one's arm, stratum and group."""

    table: "pl.DataFrame"
    arm: Integers
    stratum: Integers
    cluster: Integers

    @property
    def n_rows(self) -> Floats:
        return self.table["n_rows"].to_numpy().astype(float)

    def clusters_by_arm(self) -> tuple[int, int]:
        counts = [np.unique(self.cluster[self.arm == arm]).size for arm in (0, 1)]
        return counts[0], counts[1]

    def keep(self, mask: NDArray[np.bool_]) -> "_Cells":
        kept = [np.unique(x[mask], return_inverse=True)[1] for x in (self.stratum, self.cluster)]
        return _Cells(self.table.filter(mask), self.arm[mask], kept[0], kept[1])


def _read_phases(allocation: Any, time: str | None) -> tuple[tuple[dt.date, Shares], ...]:
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


def _refuse_finer_rows(data: Any, layout: _Layout) -> None:
    """A row of a unit with several rows is not a draw: refuse it, and print the call that is right."""
    if layout.unit is None or layout.cluster is not None:
        return
    counts = frames.aggregate(data, keys=(layout.unit, layout.variant))
    n_rows, n_units = int(counts["n_rows"].sum()), counts[layout.unit].n_unique()
    _refuse_crossed(counts, layout.unit, layout.variant)
    if n_rows > n_units:
        raise ParameterError(
            f"unit must name one row each, got {wording.amount(n_rows)} rows of "
            f"{wording.amount(n_units)} different {layout.unit!r}: rows are finer than what was "
            f"randomised. Use ab_test(data, variant={layout.variant!r}, metrics=…, "
            f"randomised_by={layout.unit!r})."
        )


def _refuse_crossed(counts: "pl.DataFrame", group: str, variant: str) -> None:
    import polars as pl

    pairs = counts.filter(pl.col(variant).is_not_null(), pl.col(group).is_not_null())
    pairs = pairs.select(group, variant).unique()
    twice = pairs.group_by(group).len().filter(pl.col("len") > 1).sort(group)
    if twice.height:
        example = shown(twice[group][0])
        raise SchemaError(
            f"column {variant!r} must give every {group!r} one arm, got {twice.height} of them in "
            f"several arms, such as {example}. Remove them, or find the id that was randomised."
        )


def _cells(data: Any, layout: _Layout, metrics: Sequence[Metric]) -> "pl.DataFrame":
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


def _read_arms(values: Sequence[Any], control: Any, treatment: Any) -> _Arms:
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
    return _Arms(control, treatment, tuple(v for v in rest if v != treatment))


def _prepare(
    raw: "pl.DataFrame", layout: _Layout, arms: _Arms, metrics: Sequence[Metric]
) -> tuple[_Cells, list[Check]]:
    """Index cells, and leave out what belongs to no arm, no group or to a lopsided stratum."""
    import polars as pl

    _refuse_negative_denominators(raw, metrics)
    table = _with_group(raw, layout)
    n_rows = int(table["n_rows"].sum())
    known = table.filter(pl.col(layout.variant).is_not_null(), pl.col(_CLUSTER).is_not_null())
    notes = [checks.assignment(n_rows - int(known["n_rows"].sum()), n_rows)]
    if layout.is_grouped:
        _refuse_crossed(known.rename({layout.variant: _ARM}), _CLUSTER, _ARM)
    arm = arms.index(known[layout.variant].to_list())
    table, arm = known.filter(arm >= 0), arm[arm >= 0]
    stratum = _codes(table, [_STRATUM])
    cells = _Cells(table, arm, stratum, _codes(table, [_CLUSTER]))
    cells, names = _drop_lopsided(cells, layout)
    notes.append(
        checks.dropped(
            "strata", names, "too few in one arm", "Merge small strata, or leave strata= out."
        )
    )
    if layout.design == "switchback":
        notes.append(_carry_over(cells, metrics))
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


def _with_group(raw: "pl.DataFrame", layout: _Layout) -> "pl.DataFrame":
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


def _with_blocks(raw: "pl.DataFrame", layout: _Layout) -> "pl.DataFrame":
    """Cut time into blocks, and leave out the hours after each switch."""
    import polars as pl

    length = layout.block_hours or 1
    hour = pl.col("period_start").dt.epoch("s") // 3600
    timed = raw.filter(pl.col("period_start").is_not_null()).with_columns(
        (hour // length).alias(_CLUSTER),
        (hour % length).alias("__hour"),
        pl.lit("all").alias(_STRATUM),
    )
    _refuse_crossed(timed, _CLUSTER, layout.variant)
    blocks = timed.group_by(_CLUSTER).agg(pl.col(layout.variant).first()).sort(_CLUSTER)
    switched = blocks.with_columns(
        (pl.col(layout.variant) != pl.col(layout.variant).shift(1))
        .fill_null(value=False)
        .alias("__new")
    )
    kept = timed.join(switched.select(_CLUSTER, "__new"), on=_CLUSTER)
    return kept.filter(~pl.col("__new") | (pl.col("__hour") >= layout.washout_hours))


def _codes(table: "pl.DataFrame", names: list[str]) -> Integers:
    values = table[names[0]].rank("dense").to_numpy().astype(np.int64) - 1
    return values if values.size else np.zeros(0, dtype=np.int64)


def _drop_lopsided(cells: _Cells, layout: _Layout) -> tuple[_Cells, list[str]]:
    """Leave out strata in which an arm has too little to estimate a spread."""
    least = 1 if layout.is_grouped else 2
    size = np.zeros((2, int(cells.stratum.max(initial=-1)) + 1))
    weight = np.ones(cells.arm.size) if layout.is_grouped else cells.n_rows
    np.add.at(size, (cells.arm, cells.stratum), weight)
    good = np.all(size >= least, axis=0).reshape(-1)
    names = cells.table[_STRATUM].to_numpy()
    lost = sorted({str(names[i]) for i in range(names.size) if not good[cells.stratum[i]]})
    kept = cells.keep(good[cells.stratum]) if lost else cells
    counts = kept.clusters_by_arm() if layout.is_grouped else tuple(
        int(kept.n_rows[kept.arm == arm].sum()) for arm in (0, 1)
    )  # fmt: skip
    if min(counts) < 2:
        what = "groups" if layout.is_grouped else "rows"
        raise NotEnoughDataError(
            f"each arm must hold at least 2 {what}, got {counts[0]} in control and {counts[1]} in "
            "treatment. Wait for more, or use rollout() when units changed one after the other."
        )
    return kept, lost


def _contrast(cells: _Cells, layout: _Layout, metric: Metric, *, adjust: bool = True) -> Contrast:
    """Compare the arms on one metric."""
    sums, products = quadruple(metric, cells.table)
    use = adjust and metric.before is not None
    if layout.is_grouped:
        grouped = _by_group_and_stratum(cells, sums, products)
        return clusters.clustered_contrast(grouped, adjust=use)
    n_strata = int(cells.stratum.max()) + 1
    n, total = np.zeros((2, n_strata)), np.zeros((2, n_strata, 4))
    squares = np.zeros((2, n_strata, 4, 4))
    at = (cells.arm, cells.stratum)
    np.add.at(n, at, cells.n_rows)
    np.add.at(total, at, sums)
    np.add.at(squares, at, products)
    means, covariances = moments.means_and_covariances(n, total, squares)
    return moments.independent_contrast(n, means, covariances, adjust=use)


def _by_group_and_stratum(cells: _Cells, sums: Floats, products: Floats) -> clusters.ClusterCells:
    n_strata = int(cells.stratum.max()) + 1
    code = cells.cluster * n_strata + cells.stratum
    unique, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    rows, total = np.zeros(unique.size), np.zeros((unique.size, 4))
    squares = np.zeros((unique.size, 2, 2))
    np.add.at(rows, inverse, cells.n_rows)
    np.add.at(total, inverse, sums)
    np.add.at(squares, inverse, products[:, :2, :2])
    return clusters.ClusterCells(
        cells.cluster[first], cells.stratum[first], cells.arm[first], rows, total, squares
    )


def _contrasts(
    data: Any, cells: _Cells, layout: _Layout, arms: _Arms, metrics: Sequence[Metric]
) -> tuple[list[Contrast], list[Check]]:
    """Compare every metric; one with missing values is counted again over the rows that hold it."""
    found, missing = [], {}
    has_gaps = int(cells.table["n_missing"].sum()) > 0
    for metric in metrics:
        own = cells
        if has_gaps:
            own = _present_cells(data, layout, arms, metric)
            gaps = _gaps(cells, own)
            if gaps[0] + gaps[2] > 0:
                missing[metric.name] = gaps
        contrast = _contrast(own, layout, metric)
        if not contrast.standard_error > 0:
            raise NotEnoughDataError(
                f"metric {metric.name!r} must vary, got the same value in every row (or group) of "
                "both arms. Check the column, or choose another metric."
            )
        found.append(contrast)
    return found, [checks.missing_outcomes(missing)]


def _present_cells(data: Any, layout: _Layout, arms: _Arms, metric: Metric) -> _Cells:
    present = frames.without_missing(data, metric.outcome_columns)
    table = _with_group(_cells(present, layout, [metric]), layout)
    table = table.filter(table[_CLUSTER].is_not_null() & table[layout.variant].is_not_null())
    arm = arms.index(table[layout.variant].to_list())
    table, arm = table.filter(arm >= 0), arm[arm >= 0]
    return _drop_lopsided(
        _Cells(table, arm, _codes(table, [_STRATUM]), _codes(table, [_CLUSTER])), layout
    )[0]


def _gaps(everything: _Cells, present: _Cells) -> tuple[float, float, float, float]:
    rows = [everything.n_rows[everything.arm == arm].sum() for arm in (0, 1)]
    held = [present.n_rows[present.arm == arm].sum() for arm in (0, 1)]
    return rows[0] - held[0], rows[0], rows[1] - held[1], rows[1]


@dataclass(frozen=True, slots=True)
class _Judge:
    """From contrasts to intervals and p-values, under one plan of looks."""

    plan: LookPlan
    alpha: float
    layout: _Layout

    def effect(self, metric: Metric, contrast: Contrast) -> MetricEffect:
        """Judge one metric."""
        return self.judge(metric.name, self._method(metric, contrast), contrast)

    def judge(self, name: str, method: str, contrast: Contrast) -> MetricEffect:
        """Put an interval and a p-value on a contrast."""
        grouped = contrast.n_clusters > 0
        n = contrast.n_clusters if grouped else contrast.n_control + contrast.n_treatment
        critical = self.plan.critical(self.alpha, contrast.df, n, clustered=grouped)
        reach = critical * contrast.standard_error
        relative = moments.fieller(contrast, critical)
        pvalue = self.plan.pvalue(contrast.statistic, self.alpha, contrast.df, n, clustered=grouped)
        return MetricEffect(
            metric=name,
            method=checks.plain(method),
            n_control=contrast.n_control,
            n_treatment=contrast.n_treatment,
            n_clusters=contrast.n_clusters,
            control=contrast.control.value,
            treatment=contrast.treatment.value,
            effect=contrast.effect,
            effect_ci_lower=contrast.effect - reach,
            effect_ci_upper=contrast.effect + reach,
            rel_effect=relative[0],
            rel_effect_ci_lower=relative[1],
            rel_effect_ci_upper=relative[2],
            pvalue=pvalue,
            qvalue=math.nan,
            verdict="no clear difference",
        )

    def _method(self, metric: Metric, contrast: Contrast) -> str:
        words = {
            "primary": "",
            "exploratory": "exploratory: ",
            "guardrail": f"guardrail, margin {wording.percent(metric.margin, signed=True)}: ",
        }[metric.role]
        words += "ratio of sums" if metric.denominator else "mean"
        words += self._errors()
        if metric.before is not None:
            saved = wording.percent(1 - contrast.variance_ratio)
            columns = " / ".join(wording.visible(c) for c in metric.before if c)
            words += f", adjusted for {columns} ({saved} less variance)"
        if self.layout.strata or self.layout.phases:
            words += ", stratified"
        return words

    def _errors(self) -> str:
        if self.layout.design == "switchback":
            return f", CR2 by blocks of {self.layout.block_hours} h"
        if self.layout.cluster is not None:
            return f", CR2 by {wording.visible(self.layout.cluster)}"
        return ", Welch t"

    def quantile_effect(
        self, rows: "pl.DataFrame", column: str, q: float, arms: _Arms
    ) -> MetricEffect:
        """Compare a quantile of every row's value."""
        arm = arms.index(rows[self.layout.variant].to_list())
        values = rows[column].to_numpy().astype(float)
        group = _codes(rows, [self.layout.cluster]) if self.layout.cluster else None
        sides, n_groups = [], 0
        for side in (0, 1):
            inside = arm == side
            if inside.sum() < 10:
                raise NotEnoughDataError(
                    f"quantiles need at least 10 rows per arm, got {inside.sum()} of {column!r}."
                )
            own = None
            if group is not None:
                own = np.unique(group[inside], return_inverse=True)[1]
                n_groups += int(own.max()) + 1
            sides.append(quantile_stats.quantile_arm(values[inside], q, own))
        counts = [int((arm == side).sum()) for side in (0, 1)]
        df = (n_groups if group is not None else sum(counts)) - 2
        contrast = Contrast(
            control=sides[0], treatment=sides[1], df=float(df), n_clusters=n_groups,
            n_control=counts[0], n_treatment=counts[1],
        )  # fmt: skip
        name = f"{100 * q:g} % quantile of {column}"
        return self.judge(name, f"quantile, Woodruff{self._errors()}", contrast)


def _quantile_effects(
    judge: _Judge, data: Any, wanted: Mapping[str, float], arms: _Arms
) -> list[MetricEffect]:
    effects = []
    for column, q in wanted.items():
        share = check_number(q, f"quantiles[{column!r}]", gt=0, lt=1)
        names = [judge.layout.variant, column]
        names += [judge.layout.cluster] if judge.layout.cluster else []
        rows = frames.collect(frames.without_missing(data, names), names)
        effects.append(judge.quantile_effect(rows, column, share, arms))
    return effects


def _segment_effects(
    judge: _Judge, data: Any, column: str, arms: _Arms, metrics: Sequence[Metric]
) -> list[MetricEffect]:
    """Compare the arms within every value of a segment declared beforehand."""
    layout = replace(judge.layout, strata=(*judge.layout.strata, column))
    raw = _cells(data, layout, metrics)
    effects = []
    for (value,), part in raw.group_by([column], maintain_order=True):
        try:
            cells, _ = _prepare(part, judge.layout, arms, metrics)
        except NotEnoughDataError:
            continue
        for metric in metrics:
            contrast = _contrast(cells, judge.layout, metric)
            if contrast.standard_error > 0:
                named = wording.segment({column: value})
                effect = judge.effect(metric, contrast)
                effects.append(replace(effect, metric=f"{metric.name} [{named}]"))
    return effects


def _with_verdicts(
    effects: Sequence[MetricEffect], metrics: Sequence[Metric], alpha: float, *, blocked: bool
) -> tuple[MetricEffect, ...]:
    """Adjust p-values within each family, and say what follows."""
    roles = [metric.role for metric in metrics]
    roles += ["primary"] * (len(effects) - len(roles))  # quantiles are claims as well
    margins = [metric.margin for metric in metrics] + [None] * (len(effects) - len(metrics))
    adjusted = np.full(len(effects), np.nan)
    rules = {"primary": multiplicity.holm, "exploratory": multiplicity.benjamini_hochberg}
    for role, rule in rules.items():
        chosen = [i for i, own in enumerate(roles) if own == role]
        adjusted[chosen] = rule([effects[i].pvalue for i in chosen])
    return tuple(
        replace(
            effect,
            qvalue=float(qvalue),
            verdict="withheld" if blocked else _verdict(effect, float(qvalue), margin, alpha),
        )
        for effect, qvalue, margin in zip(effects, adjusted, margins, strict=True)
    )


def _with_segment_verdicts(
    effects: Sequence[MetricEffect], alpha: float, *, blocked: bool
) -> tuple[MetricEffect, ...]:
    adjusted = multiplicity.benjamini_hochberg([effect.pvalue for effect in effects])
    return tuple(
        replace(
            effect,
            qvalue=float(qvalue),
            verdict="withheld" if blocked else _verdict(effect, float(qvalue), None, alpha),
        )
        for effect, qvalue in zip(effects, adjusted, strict=True)
    )


def _verdict(effect: MetricEffect, qvalue: float, margin: float | None, alpha: float) -> str:
    if margin is not None:
        return _guardrail_verdict(effect, margin)
    if not qvalue < alpha:
        return "no clear difference"
    return "higher" if effect.effect > 0 else "lower"


def _guardrail_verdict(effect: MetricEffect, margin: float) -> str:
    """Compare the relative interval with the margin (non-inferiority)."""
    lower, upper = effect.rel_effect_ci_lower, effect.rel_effect_ci_upper
    if margin < 0:
        lower, upper, margin = -upper, -lower, -margin
    if upper < margin:
        return "holds"
    return "broken" if lower > margin else "not shown"


def _sample_ratio(
    raw: "pl.DataFrame", layout: _Layout, arms: _Arms, allocation: Any, cells: _Cells
) -> Check:
    """Count what was randomised (rows, groups or blocks) against the plan, phase by phase."""
    if layout.is_grouped:
        counted = dict(zip((arms.control, arms.treatment), cells.clusters_by_arm(), strict=True))
        shares = allocation if isinstance(allocation, Mapping) else dict.fromkeys(counted, 1.0)
        return checks.sample_ratio([(counted, _shares(shares, counted))])
    names = (arms.control, arms.treatment, *arms.others)
    if not layout.phases:
        counted = _count_arms(raw, layout.variant, names)
        shares = allocation or dict.fromkeys(counted, 1.0)
        return checks.sample_ratio([(counted, _shares(shares, counted))])
    import polars as pl

    day, phases = pl.col("period_start").dt.date(), []
    for i, (first, shares) in enumerate(layout.phases):
        inside = day >= first
        if i + 1 < len(layout.phases):
            inside &= day < layout.phases[i + 1][0]
        active = tuple(name for name in names if shares.get(name, 0) > 0)
        counted = _count_arms(raw.filter(inside), layout.variant, active)
        if len(active) > 1:
            phases.append((counted, _shares(shares, counted)))
    return checks.sample_ratio(phases)


def _count_arms(raw: "pl.DataFrame", variant: str, names: Sequence[Any]) -> dict[str, float]:
    import polars as pl

    return {name: float(raw.filter(pl.col(variant) == name)["n_rows"].sum()) for name in names}


def _shares(shares: Any, counted: Mapping[Any, float]) -> dict[Any, float]:
    if not isinstance(shares, Mapping) or not set(counted) <= set(shares):
        raise refusal(
            "allocation", f"a share for every arm {shown(sorted(map(str, counted)))}", shares
        )
    return {arm: check_number(shares[arm], f"allocation[{arm!r}]", gt=0) for arm in counted}


def _group_checks(
    cells: _Cells, layout: _Layout, metrics: Sequence[Metric], rng: int
) -> list[Check]:
    """Say what was taken as randomised, and whether there were enough of them."""
    n_rows = float(cells.n_rows.sum())
    if not layout.is_grouped:
        declared = layout.unit is not None
        return [
            checks.unit_of_analysis(
                declared=declared, n_rows=n_rows, n_units=n_rows, column=layout.unit
            )
        ]
    n_control, n_treatment = cells.clusters_by_arm()
    column = layout.cluster or f"blocks of {layout.block_hours} h"
    pvalue = None
    if min(n_control, n_treatment) < _FEW_GROUPS and metrics:
        values, arm = _group_means(cells, metrics[0])
        pvalue = clusters.permutation_pvalue(values, arm, rng=np.random.default_rng(rng))
    return [
        checks.unit_of_analysis(
            declared=True, n_rows=n_rows, n_units=n_control + n_treatment, column=column
        ),
        checks.enough_clusters(n_control, n_treatment, pvalue),
    ]


def _group_means(cells: _Cells, metric: Metric) -> tuple[Floats, Integers]:
    sums, _ = quadruple(metric, cells.table)
    top = np.bincount(cells.cluster, weights=sums[:, 0])
    bottom = np.bincount(cells.cluster, weights=sums[:, 1])
    arm = np.zeros(top.size, dtype=np.int64)
    arm[cells.cluster] = cells.arm
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0), arm


def _carry_over(cells: _Cells, metrics: Sequence[Metric]) -> Check:
    values, arm = _group_means(cells, metrics[0])
    residuals = values - np.array([values[arm == side].mean() for side in (0, 1)])[arm]
    return checks.carry_over(*checks.correlation_of_neighbours(residuals))


def _balance(cells: _Cells, layout: _Layout, metrics: Sequence[Metric]) -> Check:
    """Compare every pre-period column between the arms."""
    found = {}
    for metric in metrics:
        if metric.before is None:
            continue
        earlier = Metric(*metric.before)
        table = cells.table
        contrast = _contrast(replace(cells, table=table), layout, earlier)
        if contrast.standard_error > 0:
            found[earlier.name] = moments.two_sided_pvalue(contrast.statistic, contrast.df)
    return checks.baseline_balance(found)


def _spillover(data: Any, served_by: str, variant: str, arms: _Arms) -> Check:
    """Measure how many rows were handled by somebody who serves both arms."""
    counts = frames.aggregate(data, keys=(served_by, variant))
    arm = arms.index(counts[variant].to_list())
    rows = counts["n_rows"].to_numpy().astype(float)
    server = counts[served_by].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    by_arm = [np.bincount(server, weights=rows * (arm == side)) for side in (0, 1)]
    shared = (by_arm[0] > 0) & (by_arm[1] > 0)
    total = by_arm[0] + by_arm[1]
    return checks.shared_capacity(float(total[shared].sum() / total.sum()), served_by)
