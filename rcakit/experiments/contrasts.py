"""From cells to the difference of two arms, metric by metric."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.cells import Arms, Cells, Layout, count_gaps, present_cells
from rcakit.experiments.checks import Check
from rcakit.experiments.metrics import Metric, quadruple
from rcakit.stats import clusters, moments
from rcakit.stats.moments import Contrast

__all__ = ["contrast_of", "contrasts_of"]

Floats = NDArray[np.float64]


def contrast_of(cells: Cells, layout: Layout, metric: Metric, *, adjust: bool = True) -> Contrast:
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


def _by_group_and_stratum(cells: Cells, sums: Floats, products: Floats) -> clusters.ClusterCells:
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


def contrasts_of(
    data: Any, cells: Cells, layout: Layout, arms: Arms, metrics: Sequence[Metric]
) -> tuple[list[Contrast], list[Check]]:
    """Compare every metric; one with missing values is counted again over the rows that hold it."""
    found, missing = [], {}
    has_gaps = int(cells.table["n_missing"].sum()) > 0
    for metric in metrics:
        own = cells
        if has_gaps:
            own = present_cells(data, layout, arms, metric, cells)
            gaps = count_gaps(cells, own)
            if gaps[0] + gaps[2] > 0:
                missing[metric.name] = gaps
        contrast = contrast_of(own, layout, metric)
        if not math.isfinite(contrast.effect):
            raise SchemaError(
                f"metric {metric.name!r} must be finite, got infinite values or a ratio without a "
                "denominator. Filter or correct these rows."
            )
        if not contrast.standard_error > 0:
            raise NotEnoughDataError(
                f"metric {metric.name!r} must vary, got the same value in every row (or group) of "
                "both arms. Check the column, or choose another metric."
            )
        found.append(contrast)
    return found, [checks.missing_outcomes(missing)]
