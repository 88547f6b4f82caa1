"""What makes each ring a ring: members, shared attributes, dates, and a reason in words."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from rcakit.graphs.edges import Edges
from rcakit.stats import rings as numbers
from rcakit.wording import amount, name, plural

__all__ = [
    "BELOW_CUT",
    "Member",
    "Ring",
    "SetAside",
    "SharedAttribute",
    "benign_shapes",
    "describe",
]

# Kind of sharing that is set aside although no household explains it.
BELOW_CUT = "group no firmer than a large household"

_UNKNOWN = np.iinfo(np.int64).min
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_BUSY_DAYS = 7
_HOUSEHOLD = 8
_CROWD = 500


@dataclass(frozen=True, slots=True)
class Member:
    """One account of a ring.

    Attributes
    ----------
    account_id
        As in the data; mask it before it leaves the room.
    n_shared
        Attributes that it shares with other members.
    evidence
        Their weights added up.
    joined_at
        First sighting of a shared attribute on the account (UTC), None without times.
    is_known_bad
        Whether the caller knew the account.
    is_core
        False for an account that belongs to another ring too and was joined to this one by it.
    """

    account_id: str
    n_shared: int
    evidence: float
    joined_at: dt.datetime | None
    is_known_bad: bool
    is_core: bool = True


@dataclass(frozen=True, slots=True)
class SharedAttribute:
    """One attribute that at least two members share.

    Attributes
    ----------
    attribute_type, attribute
        As in the data.
    n_in_ring, n_total
        Members with it, and all accounts with it.
    weight
        Evidence per further member: 1 for an exclusive pair, 0 for a hub.
    holders
        The members with it.
    """

    attribute_type: str
    attribute: str
    n_in_ring: int
    n_total: int
    weight: float
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """A group of accounts, what ties them, and how sure we are.

    Attributes
    ----------
    ring_id
        ``R001`` is the ring with the highest score.
    members, shared
        Accounts and attributes.
    score
        Evidence that a household cannot explain, less one unit per further member.
    qvalue
        Expected share of false rings in the list down to this one.
    n_confirmations
        Ties beyond those needed to join the members once.
    """

    ring_id: str
    members: tuple[Member, ...]
    shared: tuple[SharedAttribute, ...]
    score: float
    qvalue: float
    n_confirmations: int

    @property
    def core(self) -> tuple[Member, ...]:
        """The members that the ring was found by."""
        return tuple(member for member in self.members if member.is_core)

    @property
    def known_bad_count(self) -> int:
        """Members that the caller knew."""
        return sum(member.is_known_bad for member in self.core)

    @property
    def dates(self) -> list[dt.datetime]:
        """When the members joined, in order."""
        return sorted(member.joined_at for member in self.core if member.joined_at is not None)

    @property
    def exclusivity(self) -> float:
        """Share of all holders of the shared attributes who are members, 0–1."""
        return sum(s.n_in_ring for s in self.shared) / max(sum(s.n_total for s in self.shared), 1)

    @property
    def reason(self) -> str:
        """Say in words why these accounts are listed; without ids."""
        counted = Counter(item.attribute_type for item in self.shared)
        kinds = ", ".join(f"{amount(count)} {name(kind)}" for kind, count in counted.most_common(4))
        text = (
            f"{plural(len(self.core), 'account')} share {plural(len(self.shared), 'attribute')} "
            f"({kinds}); {round(100 * self.exclusivity)} % of their holders are members; "
            f"{plural(self.n_confirmations, 'tie')} more than would join them once"
        )
        return f"{text}{self._burst()}."

    def _burst(self) -> str:
        dates = np.array([at.timestamp() for at in self.dates]) / 86_400
        if len(dates) < 2:
            return ""
        ends = np.searchsorted(dates, dates + _BUSY_DAYS, side="right")
        most = int((ends - np.arange(len(dates))).max())
        return f"; {amount(most)} joined within {_BUSY_DAYS} days"


@dataclass(frozen=True, slots=True)
class SetAside:
    """Sharing that looks ordinary and was not reported."""

    kind: str
    n_groups: int
    n_accounts: int | None
    why: str


def describe(
    edges: Edges,
    label: numbers.Ints,
    score: numbers.Floats,
    qvalue: numbers.Floats,
    known: frozenset[str],
) -> tuple[Ring, ...]:
    """Turn labels into rings with members and evidence."""
    n_rings = len(score)
    if not n_rings:
        return ()
    weight = edges.traits.weight
    counted = numbers.group_evidence(label, edges.sightings, edges.traits, n_rings)
    inside = np.flatnonzero(label[edges.account] >= 0)
    ring = label[edges.account[inside]]
    cell, back, held = np.unique(
        ring * len(weight) + edges.attribute[inside], return_inverse=True, return_counts=True
    )
    is_shared = (held[back] > 1) & (weight[edges.attribute[inside]] > 0)
    del cell
    by_ring = _slices(ring[is_shared], n_rings)
    ties = inside[is_shared]
    extra = _overlaps(edges, label, ring[is_shared], ties, weight)
    names = edges.account_ids.to_list()
    used = np.unique(edges.attribute[ties])
    rows = dict(zip(used.tolist(), edges.attributes[used].to_dicts(), strict=True))
    out = []
    for number in range(n_rings):
        own = ties[by_ring[number]]
        members = _members(edges, own, weight, names, known, core=True)
        others = _members(edges, extra.get(number, np.zeros(0, np.int64)), weight, names, known)
        out.append(
            Ring(
                f"R{number + 1:03d}",
                members + others,
                _shared(edges, own, weight, names, rows),
                float(score[number]),
                float(qvalue[number]),
                int(counted.n_confirmations[number]),
            )
        )
    return tuple(out)


def _slices(group: numbers.Ints, n_groups: int) -> list[numbers.Ints]:
    """Return the positions of each group."""
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(n_groups + 1))
    return [order[bounds[i] : bounds[i + 1]] for i in range(n_groups)]


def _overlaps(
    edges: Edges,
    label: numbers.Ints,
    ring: numbers.Ints,
    ties: numbers.Ints,
    weight: numbers.Floats,
) -> dict[int, numbers.Ints]:
    """Find members of one ring that another ring's attributes tie as firmly as its own members."""
    n_rings = int(ring.max(initial=0)) + 1
    code = np.unique(edges.attribute[ties] * n_rings + ring)
    attribute, of_ring = code // n_rings, code % n_rings
    held = np.flatnonzero(label[edges.account] >= 0)
    starts = np.searchsorted(attribute, edges.attribute[held], side="left")
    counts = np.searchsorted(attribute, edges.attribute[held], side="right") - starts
    edge = np.repeat(held, counts)
    offset = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = of_ring[np.repeat(starts, counts) + offset]
    foreign = label[edges.account[edge]] != other
    edge, other = edge[foreign], other[foreign]
    width = len(edges.account_ids)
    cell, back = np.unique(other * width + edges.account[edge], return_inverse=True)
    total = np.bincount(back, weight[edges.attribute[edge]], minlength=len(cell))
    firm = total[back] >= numbers.FIRM
    found: dict[int, list[int]] = {}
    for number, position in zip(other[firm].tolist(), edge[firm].tolist(), strict=True):
        found.setdefault(number, []).append(position)
    return {number: np.array(positions) for number, positions in found.items()}


def _members(
    edges: Edges,
    ties: numbers.Ints,
    weight: numbers.Floats,
    names: list[str],
    known: frozenset[str],
    *,
    core: bool = False,
) -> tuple[Member, ...]:
    accounts, back = np.unique(edges.account[ties], return_inverse=True)
    evidence = np.bincount(back, weight[edges.attribute[ties]], minlength=len(accounts))
    n_shared = np.bincount(back, minlength=len(accounts))
    joined = np.full(len(accounts), np.iinfo(np.int64).max)
    if edges.seen_at is not None:
        seen = edges.seen_at[ties]
        np.minimum.at(joined, back[seen != _UNKNOWN], seen[seen != _UNKNOWN])
    rows = zip(accounts, n_shared, evidence, joined, strict=True)
    members = [
        Member(names[a], int(n), float(w), _moment(int(at)), names[a] in known, core)
        for a, n, w, at in rows
    ]
    return tuple(sorted(members, key=lambda member: (-member.evidence, member.account_id)))


def _moment(micro: int) -> dt.datetime | None:
    return None if micro == np.iinfo(np.int64).max else _EPOCH + dt.timedelta(microseconds=micro)


def _shared(
    edges: Edges,
    ties: numbers.Ints,
    weight: numbers.Floats,
    names: list[str],
    rows: dict[int, dict[str, Any]],
) -> tuple[SharedAttribute, ...]:
    attributes, back = np.unique(edges.attribute[ties], return_inverse=True)
    parts = _slices(back, len(attributes))
    shared = [
        SharedAttribute(
            rows[code]["attribute_type"],
            rows[code]["attribute"],
            len(part),
            int(rows[code]["n_total"]),
            float(weight[code]),
            tuple(names[a] for a in edges.account[ties[part]]),
        )
        for code, part in zip(attributes.tolist(), parts, strict=True)
    ]
    return tuple(
        sorted(shared, key=lambda s: (-(s.n_in_ring - 1) * s.weight, s.attribute_type, s.attribute))
    )


def benign_shapes(
    edges: Edges, groups: numbers.Groups, reported: numbers.Bools
) -> tuple[SetAside, ...]:
    """Name the sharing that was not reported by its shape."""
    rows: list[dict[str, Any]] = edges.hubs.to_dicts()
    crowds = [row for row in rows if row["largest"] >= _CROWD]
    places = [row for row in rows if row["largest"] < _CROWD]
    out = [
        _hub_row("carrier, campus or popular content", crowds, f"up to {_CROWD} accounts and more"),
        _hub_row("office, café, library or kiosk", places, f"below {_CROWD} accounts each"),
    ]
    size = np.bincount(groups.label[groups.label >= 0], minlength=len(groups.score))
    quiet = ~reported & (groups.score > 0)
    homes = groups.score <= 0
    out.append(
        SetAside(
            BELOW_CUT,
            int(quiet.sum()),
            int(size[quiet].sum()),
            "tied, but ordinary sharing makes such groups too",
        )
    )
    out.append(
        SetAside(
            "household or shared device",
            int(homes.sum()),
            int(size[homes].sum()),
            "hangs on one attribute of a type: without it the rest does not hold the group together",
        )
    )
    return tuple(row for row in out if row.n_groups)


def _hub_row(kind: str, rows: list[dict[str, Any]], why: str) -> SetAside:
    n_hubs = sum(int(row["n_hubs"]) for row in rows)
    return SetAside(
        kind, n_hubs, None, f"attributes that so many accounts have prove nothing ({why})"
    )
