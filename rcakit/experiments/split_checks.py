"""Was the split kept: sizes, groups, balance, spillover, carry-over?"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames
from rcakit.experiments import checks
from rcakit.experiments.cells import Arms, Cells, Layout
from rcakit.experiments.checks import Check
from rcakit.experiments.contrasts import contrast_of
from rcakit.experiments.metrics import Metric, quadruple
from rcakit.stats import clusters, moments
from rcakit.validation import check_number, refusal, shown

if TYPE_CHECKING:
    import polars as pl

__all__ = ["balance", "carry_over", "group_checks", "sample_ratio", "spillover"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FEW_GROUPS = 10


def sample_ratio(
    raw: "pl.DataFrame", layout: Layout, arms: Arms, allocation: Any, cells: Cells
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


def group_checks(cells: Cells, layout: Layout, metrics: Sequence[Metric], rng: int) -> list[Check]:
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


def _group_means(cells: Cells, metric: Metric) -> tuple[Floats, Integers]:
    sums, _ = quadruple(metric, cells.table)
    top = np.bincount(cells.cluster, weights=sums[:, 0])
    bottom = np.bincount(cells.cluster, weights=sums[:, 1])
    arm = np.zeros(top.size, dtype=np.int64)
    arm[cells.cluster] = cells.arm
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0), arm


def carry_over(cells: Cells, metrics: Sequence[Metric]) -> Check:
    """Ask whether neighbouring blocks of a switchback resemble each other."""
    values, arm = _group_means(cells, metrics[0])
    residuals = values - np.array([values[arm == side].mean() for side in (0, 1)])[arm]
    return checks.carry_over(*checks.correlation_of_neighbours(residuals))


def balance(cells: Cells, layout: Layout, metrics: Sequence[Metric]) -> Check:
    """Compare every pre-period column between the arms."""
    found = {}
    for metric in metrics:
        if metric.before is None:
            continue
        earlier = Metric(*metric.before)
        contrast = contrast_of(cells, layout, earlier)
        if contrast.standard_error > 0:
            found[earlier.name] = moments.two_sided_pvalue(contrast.statistic, contrast.df)
    return checks.baseline_balance(found)


def spillover(data: Any, served_by: str, variant: str, arms: Arms) -> Check:
    """Measure how many rows were handled by somebody who serves both arms."""
    counts = frames.aggregate(data, keys=(served_by, variant))
    arm = arms.index(counts[variant].to_list())
    rows = counts["n_rows"].to_numpy().astype(float)
    server = counts[served_by].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    by_arm = [np.bincount(server, weights=rows * (arm == side)) for side in (0, 1)]
    shared = (by_arm[0] > 0) & (by_arm[1] > 0)
    total = by_arm[0] + by_arm[1]
    return checks.shared_capacity(float(total[shared].sum() / total.sum()), served_by)
