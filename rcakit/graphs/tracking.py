"""Is this the ring we saw last week: born, grown, split, merged or gone?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from rcakit import frames, wording
from rcakit.errors import ParameterError
from rcakit.findings import Finding, withheld
from rcakit.graphs.result import RingResult
from rcakit.results import Record, Result
from rcakit.stats.matching import jaccard_matches, match_events
from rcakit.validation import check_number

if TYPE_CHECKING:
    import altair as alt

__all__ = ["TrackResult", "track"]


@dataclass(frozen=True, slots=True, eq=False)
class TrackResult(Result):
    """What became of each ring from period to period.

    Attributes
    ----------
    events
        One record per ring and period: period, track_id, ring_id, event, n_accounts, n_joined,
        n_left, overlap, from_rings.
    """

    events: tuple[Record, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = MappingProxyType(
        {
            "events": MappingProxyType(
                {
                    "period": "String",
                    "track_id": "String",
                    "ring_id": "String",
                    "event": "String",
                    "n_accounts": "Int64",
                    "n_joined": "Int64",
                    "n_left": "Int64",
                    "overlap": "Float64",
                    "from_rings": "String",
                }
            )
        }
    )

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per ring and period, in order of time."""
        self._table(table)
        return list(self.events)

    def findings(self) -> tuple[Finding, ...]:
        """Return what happened to the rings, in one sentence."""
        counted: dict[str, int] = {}
        for row in self.events:
            counted[row["event"]] = counted.get(row["event"], 0) + 1
        said = ", ".join(f"{count} {event}" for event, count in sorted(counted.items()))
        return (
            withheld(
                "verdict",
                f"Rings over time: {said or 'none'}.",
                why="Counted from the members of each period, not estimated.",
                unit="rings",
                method="greedy matching on Jaccard overlap of members",
                verdict="localised" if self.events else "no_evidence",
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the size of each track over the periods."""
        from rcakit.plots import graphs as charts

        return charts.tracks(self.to_records(), title=self.findings()[0].claim)


def track(
    results: Sequence[tuple[Any, RingResult]] | Mapping[Any, RingResult],
    *,
    min_overlap: float = 0.3,
) -> TrackResult:
    """Follow rings over successive periods by the accounts they have in common.

    Parameters
    ----------
    results
        Period label and rings, in order of time; unmasked, or masked with one key.
    min_overlap
        Least Jaccard overlap for two rings to be the same, 0–1. A ring that holds at least half
        of an earlier one has absorbed it, whatever the overlap.

    Returns
    -------
    TrackResult
        Events ``born``, ``steady``, ``grew``, ``shrank``, ``split``, ``merged``, ``dissolved``.

    Notes
    -----
    Palla, Barabási, Vicsek (2007, Nature 446, p. 664) name the events; communities are matched here
    directly by the Jaccard index, largest first, as in Greene, Doyle, Cunningham (2010, ASONAM,
    section III). Rings that exchange most of their members between two periods count as new.
    """
    least = check_number(min_overlap, "min_overlap", gt=0, le=1)
    pairs = list(results.items() if isinstance(results, Mapping) else results)
    given: list[Any] = list(pairs)
    if not all(len(pair) == 2 and isinstance(pair[1], RingResult) for pair in given):
        raise ParameterError(
            "results must be pairs of a period and a RingResult, in order of time, got "
            f"{type(results).__name__} of other things. Use [('2026-01', rings), …]."
        )
    rows: list[Record] = []
    before: list[tuple[str, str, frozenset[str]]] = []
    n_tracks = 0
    for period, result in pairs:
        now = [(r.ring_id, frozenset(m.account_id for m in r.core)) for r in result.rings]
        old_sets, new_sets = [item[2] for item in before], [item[1] for item in now]
        matched = jaccard_matches(old_sets, new_sets, min_overlap=least)
        events = match_events(old_sets, new_sets, matched)
        after = []
        for new, (ring_id, members) in enumerate(now):
            old = matched.get(new)
            if old is None:
                n_tracks += 1
            track_id = f"T{n_tracks:03d}" if old is None else before[old][0]
            rows.append(_row(period, track_id, ring_id, members, events[new], before, old))
            after.append((track_id, ring_id, members))
        rows += [_gone(period, before[i]) for i in events.dissolved]
        before = after
    return TrackResult(tuple(rows), pairs[0][1].library if pairs else "polars")


def _row(
    period: Any,
    track_id: str,
    ring_id: str,
    members: frozenset[str],
    event: Any,
    before: list[tuple[str, str, frozenset[str]]],
    old: int | None,
) -> Record:
    earlier = before[old][2] if old is not None else frozenset()
    return {
        "period": wording.visible(period),
        "track_id": track_id,
        "ring_id": ring_id,
        "event": event.name,
        "n_accounts": len(members),
        "n_joined": len(members - earlier),
        "n_left": len(earlier - members),
        "overlap": len(members & earlier) / len(members | earlier) if earlier else 0.0,
        "from_rings": ", ".join(before[i][0] for i in event.sources),
    }


def _gone(period: Any, earlier: tuple[str, str, frozenset[str]]) -> Record:
    return {
        "period": wording.visible(period),
        "track_id": earlier[0],
        "ring_id": "",
        "event": "dissolved",
        "n_accounts": 0,
        "n_joined": 0,
        "n_left": len(earlier[2]),
        "overlap": 0.0,
        "from_rings": earlier[0],
    }
