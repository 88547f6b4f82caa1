"""Which segments, among all combinations of dimension values, carry more evidence than chance allows?

The lattice holds one group for every combination of values of up to `max_depth` dimensions that occurs in a
leaf table. Columns of numbers per leaf are summed to all groups at once, whole cuboids at a time; removing a
segment subtracts exactly its leaves from every group.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rcakit.stats.attribution.sums import sum_by

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ANY = -1  # the code of "any value of this dimension"
_DENSE_KEYS_PER_LEAF = 8  # a key space up to this many times the leaves is summed without sorting
_DENSE_KEYS_FLOOR = 1 << 16
_STEP = 8  # a cuboid worth building on the way has at most this part of the leaves' number
_FEWEST_COVERED = 2  # and serves so many cuboids


@dataclass(frozen=True, slots=True, eq=False)
class Cuboid:
    """All combinations of values of some dimensions: one layer of groups of the lattice.

    Parameters
    ----------
    dimensions
        Positions of the dimensions, ascending.
    strides
        Weight of each dimension's code in the key of a group.
    keys
        Key of every group that occurs, ascending, shape (n_groups,).
    start
        Position of the first group in the flat arrays of the lattice.
    """

    dimensions: tuple[int, ...]
    strides: tuple[int, ...]
    keys: Integers
    start: int

    def key_of(self, codes: Integers) -> Integers:
        """Keys of the groups that hold these leaves, shape (n_leaves,)."""
        key = codes[:, self.dimensions[0]] * self.strides[0]
        for dimension, stride in zip(self.dimensions[1:], self.strides[1:], strict=True):
            key = key + codes[:, dimension] * stride
        return key

    def group_of(self, codes: Integers) -> Integers:
        """Positions of the groups that hold these leaves in the flat arrays, shape (n_leaves,)."""
        return self.start + np.searchsorted(self.keys, self.key_of(codes))

    def codes_by_dimension(self) -> Iterator[tuple[int, Integers]]:
        """Each dimension with its code in every group, shape (n_groups,)."""
        rest = self.keys
        for dimension, stride in zip(self.dimensions, self.strides, strict=True):
            code, rest = np.divmod(rest, stride)
            yield dimension, code

    def codes_of(self, group: int, n_dimensions: int) -> tuple[int, ...]:
        """Codes of one group, with -1 where any value is meant."""
        key, codes = int(self.keys[group - self.start]), [ANY] * n_dimensions
        for dimension, stride in zip(self.dimensions, self.strides, strict=True):
            codes[dimension], key = divmod(key, stride)
        return tuple(codes)


class Lattice:
    """Sums of leaf columns for every group of every cuboid up to a depth.

    Parameters
    ----------
    codes
        Dimension codes of every leaf, shape (n_leaves, n_dimensions), from 0.
    sizes
        Number of values of every dimension.
    columns
        Numbers to be summed, shape (n_columns, n_leaves).
    max_depth
        Largest number of dimensions of a segment.
    families
        Number of the family of every dimension; a segment uses at most one of each. By default every
        dimension is a family of its own.

    Notes
    -----
    Time and memory grow with leaves x cuboids. A dimension with a single value is left out of the lattice:
    every segment with it equals one without it.

    References
    ----------
    Gray et al. (1997), Data Mining and Knowledge Discovery 1, 29-53 (the data cube).
    """

    __slots__ = ("codes", "cuboids", "depth", "n_dimensions", "sums")

    def __init__(
        self,
        codes: Integers,
        sizes: Sequence[int],
        columns: Floats,
        *,
        max_depth: int = 3,
        families: Sequence[int] | None = None,
    ) -> None:
        self.codes = np.asfortranarray(codes, dtype=np.int64)  # columns are read whole
        self.n_dimensions = len(sizes)
        varied = [j for j in range(len(sizes)) if sizes[j] > 1]
        family = list(range(len(sizes))) if families is None else list(families)
        depths = range(1, min(max_depth, len({family[j] for j in varied})) + 1)
        cells = _steps_between(varied, sizes, self.codes, columns, max(depths, default=0))
        for depth in reversed(depths):
            for dimensions in itertools.combinations(varied, depth):
                if len({family[j] for j in dimensions}) < depth:
                    continue
                source, finer = _smallest_finer(cells, dimensions, sizes, self.codes, columns)
                cells[dimensions] = _sum_to_groups(source, sizes, dimensions, finer)
        cells = {
            dimensions: cell for dimensions, cell in cells.items() if len(dimensions) in depths
        }
        cuboids, start = [], 0
        for dimensions in sorted(cells, key=lambda d: (len(d), d)):
            keys = cells[dimensions][0]
            cuboids.append(Cuboid(dimensions, _strides(sizes, dimensions), keys, start))
            start += len(keys)
        self.cuboids = tuple(cuboids)
        sums = [cells[cuboid.dimensions][1] for cuboid in cuboids]
        self.sums = np.concatenate(sums, axis=1) if sums else np.zeros((len(columns), 0))
        self.depth = np.repeat([len(c.dimensions) for c in cuboids], [len(c.keys) for c in cuboids])

    @property
    def values(self) -> tuple[slice, ...]:
        """Groups of every single dimension, as slices of the flat arrays."""
        return tuple(
            slice(c.start, c.start + len(c.keys)) for c in self.cuboids if len(c.dimensions) == 1
        )

    def cuboid_of(self, group: int) -> Cuboid:
        """The cuboid that holds a group."""
        starts = [cuboid.start for cuboid in self.cuboids]
        return self.cuboids[int(np.searchsorted(starts, group, side="right")) - 1]

    def segment(self, group: int) -> tuple[int, ...]:
        """Codes of a group, -1 where any value is meant."""
        return self.cuboid_of(group).codes_of(group, self.n_dimensions)

    def group(self, segment: Sequence[int]) -> int:
        """Position of a segment's group in the flat arrays."""
        dimensions = tuple(j for j, code in enumerate(segment) if code != ANY)
        cuboid = next(c for c in self.cuboids if c.dimensions == dimensions)
        return int(cuboid.group_of(np.asarray(segment, np.int64)[None])[0])

    def members(self, segment: Sequence[int]) -> NDArray[np.bool_]:
        """Which leaves belong to a segment, shape (n_leaves,)."""
        return members(self.codes, segment)

    def groups_of(self, leaves: Integers) -> Integers:
        """Groups that hold these leaves, one cuboid after the other, shape (n_cuboids * n_leaves,)."""
        codes = self.codes[leaves]
        groups = [cuboid.group_of(codes) for cuboid in self.cuboids]
        return np.concatenate(groups) if groups else np.zeros(0, np.int64)

    def subtract(self, groups: Integers, columns: Floats) -> None:
        """Take leaves out of every group's sums; add them back with negative columns.

        Parameters
        ----------
        groups
            `groups_of` the leaves.
        columns
            Their numbers, shape (n_columns, n_removed).
        """
        if len(groups) == 0:
            return
        touched, position = np.unique(groups, return_inverse=True)
        for row, column in enumerate(columns):
            repeated = np.tile(column, len(self.cuboids))
            self.sums[row, touched] -= sum_by(position, repeated, len(touched))


def members(codes: Integers, segment: Sequence[int]) -> NDArray[np.bool_]:
    """Which leaves belong to a segment, shape (n_leaves,)."""
    inside = np.ones(len(codes), bool)
    for dimension, code in enumerate(segment):
        if code != ANY:
            inside &= codes[:, dimension] == code
    return inside


def _strides(sizes: Sequence[int], dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """Weight of each dimension's code in the key of a group; the last dimension runs fastest."""
    following = [[sizes[k] for k in dimensions[i + 1 :]] for i in range(len(dimensions))]
    return tuple(map(math.prod, following))


Cells = dict[tuple[int, ...], tuple[Integers, Floats]]


def _steps_between(
    varied: list[int], sizes: Sequence[int], codes: Integers, columns: Floats, depth: int
) -> Cells:
    """Sums of a few cuboids between the leaves and the deepest layer, much smaller than the leaves.

    Chosen greedily, so that all cuboids of the deepest layer can be added up from them: each leaf is then
    read a few times instead of once per cuboid.
    """
    most = len(codes) // _STEP
    deeper = [
        step
        for longer in (depth + 1, depth + 2)
        for step in itertools.combinations(varied, longer)
        if 0 < math.prod(sizes[j] for j in step) <= most
    ]
    missing = set(itertools.combinations(varied, depth)) if deeper else set()
    cells: Cells = {}
    while deeper and missing:
        covers = {step: missing & set(itertools.combinations(step, depth)) for step in deeper}
        best = max(deeper, key=lambda step: len(covers[step]))
        if len(covers[best]) < _FEWEST_COVERED:
            break
        source, finer = _smallest_finer(cells, best, sizes, codes, columns)
        cells[best] = _sum_to_groups(source, sizes, best, finer)
        missing -= covers[best]
    return cells


def _smallest_finer(
    cells: dict[tuple[int, ...], tuple[Integers, Floats]],
    dimensions: tuple[int, ...],
    sizes: Sequence[int],
    codes: Integers,
    columns: Floats,
) -> tuple[dict[int, Integers], Floats]:
    """Codes and sums to roll up from: the smallest cuboid with one dimension more, or the leaves."""
    finer = [d for d in cells if set(dimensions) < set(d)]
    if not finer:
        return {j: codes[:, j] for j in dimensions}, columns
    source = min(finer, key=lambda d: len(cells[d][0]))
    keys, sums = cells[source]
    strides = _strides(sizes, source)
    decoded = {j: keys // stride % sizes[j] for j, stride in zip(source, strides, strict=True)}
    return decoded, sums


def _sum_to_groups(
    codes: dict[int, Integers], sizes: Sequence[int], dimensions: tuple[int, ...], columns: Floats
) -> tuple[Integers, Floats]:
    """Keys and sums of the groups of one cuboid."""
    strides = _strides(sizes, dimensions)
    key = codes[dimensions[0]] * strides[0]
    for dimension, stride in zip(dimensions[1:], strides[1:], strict=True):
        key = key + codes[dimension] * stride
    n_keys = strides[0] * sizes[dimensions[0]]
    if n_keys > max(_DENSE_KEYS_FLOOR, _DENSE_KEYS_PER_LEAF * len(key)):
        keys, key = np.unique(key, return_inverse=True)
        return keys, _sum_rows(key, columns, len(keys))
    present = np.zeros(n_keys, bool)
    present[key] = True
    keys = np.flatnonzero(present)
    summed = _sum_rows(key, columns, n_keys)
    return keys, summed if len(keys) == n_keys else summed[:, keys]


def _sum_rows(group: Integers, columns: Floats, n_groups: int) -> Floats:
    """Sum every column over the leaves of each group, shape (n_columns, n_groups)."""
    return np.array([sum_by(group, column, n_groups) for column in columns]).reshape(-1, n_groups)
