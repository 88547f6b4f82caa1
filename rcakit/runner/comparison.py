"""What does a run say that another did not: findings that are new, gone, or moved?"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcakit import wording

__all__ = ["Comparison", "Moved", "compare_findings"]

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """One finding of both runs whose number moved, or whose verdict changed.

    Attributes
    ----------
    before, after
        The records.
    """

    before: Record
    after: Record

    def __str__(self) -> str:
        """Return both numbers with their intervals."""
        if self.before.get("verdict") != self.after.get("verdict"):
            change = f"{self.before.get('verdict')} → {self.after.get('verdict')}"
        else:
            change = f"{_number(self.before)} → {_number(self.after)} {self.after.get('unit', '')}"
        return f"{self.after['claim']} ({change.strip()})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets of findings side by side.

    Attributes
    ----------
    new, gone
        Records that only the second, or only the first run has.
    moved
        Findings of both, where each estimate lies outside the interval of the other.
    n_same
        Findings of both that did not move.
    """

    new: tuple[Record, ...]
    gone: tuple[Record, ...]
    moved: tuple[Moved, ...]
    n_same: int

    def to_record(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        moved = [{"before": item.before, "after": item.after} for item in self.moved]
        return {
            "new": list(self.new),
            "gone": list(self.gone),
            "moved": moved,
            "n_same": self.n_same,
        }

    def __str__(self) -> str:
        """Return it as text: what is new, gone, moved, and how many are as they were."""
        groups = (
            ("New", [str(item["claim"]) for item in self.new]),
            ("Gone", [str(item["claim"]) for item in self.gone]),
            ("Moved", [str(item) for item in self.moved]),
        )
        blocks = [
            "\n".join([f"{title} ({len(lines)})", *(f"  {line}" for line in lines)])
            for title, lines in groups
            if lines
        ]
        same = f"{wording.plural(self.n_same, 'finding')} as before."
        return "\n\n".join([*blocks, same])


def compare_findings(before: Sequence[Record], after: Sequence[Record]) -> Comparison:
    """Match the findings of two runs, and say which are new, gone or moved.

    Parameters
    ----------
    before, after
        Findings as records, in published order.

    Notes
    -----
    Two findings are the same when kind, segment and change agree. Where a run has several of one
    such kind, they are told apart by their claims without the numbers in them. A finding moved
    when each estimate lies outside the interval of the other: one of the two alone happens by
    chance too often.
    """
    earlier, later = _grouped(before), _grouped(after)
    pairs = [
        pair
        for key in dict.fromkeys([*later, *earlier])
        for pair in _paired(earlier.get(key, []), later.get(key, []))
    ]
    both = [Moved(first, second) for first, second in pairs if first and second]
    moved = tuple(pair for pair in both if _moved(pair.before, pair.after))
    return Comparison(
        new=tuple(second for first, second in pairs if second and not first),
        gone=tuple(first for first, second in pairs if first and not second),
        moved=moved,
        n_same=len(both) - len(moved),
    )


def _grouped(records: Iterable[Record]) -> dict[tuple[Any, ...], list[Record]]:
    """Group records by what they are about."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for record in records:
        segment = json.dumps(record.get("segment"), sort_keys=True)
        groups[record["kind"], segment, record.get("change_id")].append(record)
    return groups


def _paired(
    before: Sequence[Record], after: Sequence[Record]
) -> Iterator[tuple[Record | None, Record | None]]:
    """Pair findings about the same thing; several are told apart by their words."""
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    left = list(before)
    for record in after:
        same = next((item for item in left if _shape(item) == _shape(record)), None)
        if same is not None:
            left.remove(same)
        yield same, record
    for record in left:
        yield record, None


def _shape(record: Record) -> str:
    """Return a claim without its numbers."""
    return re.sub(r"[-−+]?\d[\d.,:/ -]*", "#", str(record["claim"]))


def _moved(before: Record, after: Record) -> bool:
    if before.get("verdict") != after.get("verdict"):
        return True
    if before.get("estimate") is None or after.get("estimate") is None:
        return before.get("estimate") is not after.get("estimate")
    return not (_holds(before, after["estimate"]) or _holds(after, before["estimate"]))


def _holds(record: Record, value: float) -> bool:
    """Tell whether the interval of a finding holds a value; a missing bound is an open one."""
    low, high = record.get("ci_lower"), record.get("ci_upper")
    return (-math.inf if low is None else low) <= value <= (math.inf if high is None else high)


def _number(record: Record) -> str:
    if record.get("estimate") is None:
        return "no number"
    low, high = (record.get(name) for name in ("ci_lower", "ci_upper"))
    shown = ["…" if bound is None else f"{bound:.4g}" for bound in (low, high)]
    return f"{record['estimate']:.4g} [{shown[0]}, {shown[1]}]"
