"""Ordered dimensions: is it one app version, or everything from that version on?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import ParameterError
from rcakit.stats.attribution.candidates import Nesting
from rcakit.validation import check_choice, shown

__all__ = ["Cut", "Ordered", "cuts_of", "nestings_of", "orders_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Ordered = str | Sequence[str] | Mapping[str, Sequence[Any]]

_MOST_CUTS = 11  # per dimension; of more values those that split the volume evenly are tried
BEFORE, FROM, MISSING = range(3)  # codes of a cut


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A place where the values of an ordered dimension are cut in two: before it, and from it on.

    Attributes
    ----------
    dimension
        Position of the dimension.
    first
        First value of the later part.
    side
        BEFORE, FROM or MISSING for every value, shape (n_values,).
    alone
        Part → code of the only value it holds; parts with more values are absent.
    values
        The value of each code.
    """

    dimension: int
    first: Any
    side: Integers
    alone: Mapping[int, int]
    values: Sequence[Any]

    @property
    def size(self) -> int:
        """Number of codes."""
        return int(self.side.max()) + 1

    def label(self, code: int) -> Any:
        """Say a part: ``from 8.12.0 on``; one that holds a single value is that value."""
        if code in self.alone:
            return self.values[self.alone[code]]
        return (f"before {self.first}", f"from {self.first} on", None)[code]


def orders_of(ordered: Ordered, names: tuple[str, ...]) -> dict[str, Sequence[Any] | None]:
    """Check what was asked for: dimension → its values in order, or None for their natural order."""
    asked: dict[str, Sequence[Any] | None]
    if isinstance(ordered, str):
        asked = {ordered: None}
    elif isinstance(ordered, Mapping):
        asked = dict(ordered)
    else:
        asked = dict.fromkeys(ordered)
    for name in asked:
        check_choice(name, "ordered", names, hint="An ordered dimension must be a dimension.")
    return asked


def cuts_of(
    dimension: int, values: Sequence[Any], volume: Floats, order: Sequence[Any] | None
) -> tuple[Cut, ...]:
    """Choose where to cut a dimension.

    Parameters
    ----------
    dimension
        Its position.
    values
        The value of each code; a missing one is None.
    volume
        Rows or sums per value, shape (n_values,).
    order
        The values from first to last; by default numbers by size and texts as people sort versions.

    Raises
    ------
    ParameterError
        A value of the data is not in the given order, or one is there twice.
    """
    known = [code for code, value in enumerate(values) if value is not None]
    if order is None:
        ranked = sorted(known, key=lambda code: _natural(values[code]))
    else:
        place = {str(value): k for k, value in enumerate(order)}
        if len(place) < len(order):
            raise ParameterError(
                f"ordered must list every value once, got {shown(list(order))}. Remove what is twice."
            )
        for code in known:
            if str(values[code]) not in place:
                raise ParameterError(
                    f"ordered must list every value, got none for {shown(values[code])}. Add it, or "
                    "leave the list out."
                )
        ranked = sorted(known, key=lambda code: place[str(values[code])])
    if len(ranked) < 3:  # of two values each is a part
        return ()
    return tuple(
        _cut(dimension, values, ranked, position) for position in _positions(ranked, volume)
    )


def _cut(dimension: int, values: Sequence[Any], ranked: list[int], position: int) -> Cut:
    side = np.full(len(values), MISSING)
    side[ranked[:position]], side[ranked[position:]] = BEFORE, FROM
    parts = {BEFORE: ranked[:position], FROM: ranked[position:]}
    alone = {part: codes[0] for part, codes in parts.items() if len(codes) == 1}
    return Cut(dimension, values[ranked[position]], side, alone, values)


def _positions(ranked: list[int], volume: Floats) -> list[int]:
    """Where to cut: inside both ends, since a single value is a segment of its own."""
    if len(ranked) <= _MOST_CUTS + 1:
        return list(range(1, len(ranked)))
    grown = np.cumsum(volume[ranked])
    wanted = np.linspace(0, grown[-1], _MOST_CUTS + 2)[1:-1]
    positions = np.clip(np.searchsorted(grown, wanted) + 1, 1, len(ranked) - 1)
    return sorted({int(position) for position in positions})


def _natural(value: Any) -> tuple[tuple[int, float, str], ...]:
    """Sort key: numbers inside a text count as numbers, so 10.2 comes after 9.1."""
    if not isinstance(value, str):
        return ((0, float(value), ""),)
    parts = re.findall(r"\d+|\D+", value)
    return tuple((0, float(x), "") if x.isdigit() else (1, 0.0, x) for x in parts)


def nestings_of(cuts: Sequence[Cut], n_dimensions: int) -> tuple[Nesting, ...]:
    """Tell the search what lies in what: a value in a part, a part in a wider part.

    Parameters
    ----------
    cuts
        All cuts, in the order of their columns after the dimensions.
    n_dimensions
        Number of dimensions before them.
    """
    nestings = []
    for k, cut in enumerate(cuts):
        outer = n_dimensions + k
        code = np.where((cut.side == MISSING) | np.isin(cut.side, list(cut.alone)), -1, cut.side)
        nestings.append(Nesting(cut.dimension, outer, code))
        if cut.alone:  # a part of one value is that value
            own = np.array([cut.alone.get(part, -1) for part in range(cut.size)])
            nestings.append(Nesting(outer, cut.dimension, own))
        for j, other in enumerate(cuts):
            if j == k or other.dimension != cut.dimension:
                continue
            parent = np.full(other.size, -1)
            for part in (BEFORE, FROM):
                inside = np.unique(cut.side[other.side == part])
                if len(inside) == 1 and inside[0] != MISSING:
                    parent[part] = inside[0]
            nestings.append(Nesting(n_dimensions + j, outer, parent))
    return tuple(nestings)
