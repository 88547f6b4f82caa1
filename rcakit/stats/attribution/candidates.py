"""Which segments are candidates of one another, and how do all share one error rate?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.lattice import ANY, Lattice

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def candidate_weights(
    lattice: Lattice, volume: Floats, reachable: Floats | None
) -> tuple[Floats, int]:
    """Log of the number of candidates that each group shares its error rate with.

    The error rate is split evenly over depths, over the cuboids of a depth, and over the two directions; half
    of a cuboid's part goes evenly to its groups that could be significant at all, half to its groups by their
    volume. So the sum of all false alarm probabilities is at most alpha under any dependence, and a large
    group among thousands of tiny ones does not pay for all of them.

    Parameters
    ----------
    lattice
        The groups.
    volume
        What each group was expected to hold, whatever happened, shape (n_groups,).
    reachable
        Nats of evidence that each group could show at most, shape (n_groups,); None when every group counts.

    References
    ----------
    Tarone (1990), Biometrics 46, 515-522 (groups that cannot be significant need not be paid for). Genovese,
    Roeder & Wasserman (2006), Biometrika 93, 509-524 (weighted Bonferroni).
    """
    weight, n_candidates = np.zeros(len(lattice.depth)), 0
    depths = [len(cuboid.dimensions) for cuboid in lattice.cuboids]
    for cuboid, depth in zip(lattice.cuboids, depths, strict=True):
        groups = slice(cuboid.start, cuboid.start + len(cuboid.keys))
        shared = 2.0 * max(depths) * depths.count(depth)
        testable = np.ones(len(cuboid.keys), bool)
        if reachable is not None:
            n_testable = _n_testable(reachable[groups], 2.0 * shared)
            testable = reachable[groups] >= np.log(2.0 * shared * n_testable)
        n_candidates += int(testable.sum())
        evenly = testable / max(1, int(testable.sum()))
        by_volume = volume[groups] / max(float(volume[groups].sum()), 1e-300)
        part = 0.5 * (evenly + by_volume)
        weight[groups] = np.log(shared / np.maximum(part, 1e-300))
    return weight, n_candidates


def _n_testable(reachable: Floats, shared: float) -> int:
    """Smallest k such that at most k groups could reach a p-value of alpha / k; alpha = 1 to be safe."""
    low, high = 1, max(1, len(reachable))
    while low < high:
        middle = (low + high) // 2
        if np.count_nonzero(reachable >= np.log(shared * middle)) <= middle:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, slots=True, eq=False)
class Nesting:
    """A dimension whose every value lies inside one value of another: country in region.

    Parameters
    ----------
    child, parent
        Positions of the dimensions.
    parent_code
        Parent's code of every value of the child, shape (n_values,); -1 where it never occurs.
    """

    child: int
    parent: int
    parent_code: Integers


def parents(segment: Sequence[int], hierarchy: Sequence[Nesting] = ()) -> list[tuple[int, ...]]:
    """Segments one step wider: a dimension less, or a nested value replaced by what it lies in."""
    fixed = [j for j, code in enumerate(segment) if code != ANY]
    wider = []
    for nesting in hierarchy:
        code = segment[nesting.child]
        if code != ANY and segment[nesting.parent] == ANY and nesting.parent_code[code] != ANY:
            climbed = list(segment)
            climbed[nesting.child], climbed[nesting.parent] = ANY, int(nesting.parent_code[code])
            wider.append(tuple(climbed))
    if len(fixed) == 1:
        return wider
    return wider + [
        tuple(ANY if j == drop else code for j, code in enumerate(segment)) for drop in fixed
    ]
