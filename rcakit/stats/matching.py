"""Which group of today is which group of yesterday?"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Event", "Events", "jaccard_matches", "match_events"]

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a group, and which earlier groups its members come from."""

    name: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Events:
    """Event per new group, and the earlier groups that are gone."""

    of_new: tuple[Event, ...]
    dissolved: tuple[int, ...]

    def __getitem__(self, new: int) -> Event:
        """Return the event of one new group."""
        return self.of_new[new]


def jaccard_matches(
    old: Sequence[frozenset[str]], new: Sequence[frozenset[str]], *, min_overlap: float
) -> dict[int, int]:
    """Pair groups one to one by falling Jaccard overlap; return new → old."""
    where: dict[str, list[int]] = {}
    for number, members in enumerate(old):
        for member in members:
            where.setdefault(member, []).append(number)
    pairs = []
    for number, members in enumerate(new):
        near = {earlier for member in members for earlier in where.get(member, ())}
        for earlier in near:
            both = len(members & old[earlier])
            pairs.append((both / len(members | old[earlier]), number, earlier))
    matched: dict[int, int] = {}
    taken: set[int] = set()
    for overlap, number, earlier in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if overlap >= min_overlap and number not in matched and earlier not in taken:
            matched[number] = earlier
            taken.add(earlier)
    return matched


def match_events(
    old: Sequence[frozenset[str]], new: Sequence[frozenset[str]], matched: dict[int, int]
) -> Events:
    """Name what happened: a merger holds half of two groups, a split gives its half to two."""
    sources = [
        tuple(i for i, earlier in enumerate(old) if len(earlier & group) >= _HALF * len(earlier))
        for group in new
    ]
    parents = [
        tuple(i for i, earlier in enumerate(old) if len(earlier & group) >= _HALF * len(group))
        for group in new
    ]
    n_children = [sum(i in found for found in parents) for i in range(len(old))]
    events = []
    for number, group in enumerate(new):
        origin = matched.get(number)
        split = [i for i in parents[number] if n_children[i] > 1]
        if len(sources[number]) > 1:
            events.append(Event("merged", sources[number]))
        elif split:
            events.append(Event("split", (split[0],)))
        elif origin is None:
            events.append(Event("born", ()))
        else:
            events.append(Event(_growth(len(old[origin]), len(group)), (origin,)))
    alive = {i for event in events for i in event.sources}
    return Events(tuple(events), tuple(i for i in range(len(old)) if i not in alive))


def _growth(before: int, after: int) -> str:
    if after == before:
        return "steady"
    return "grew" if after > before else "shrank"
