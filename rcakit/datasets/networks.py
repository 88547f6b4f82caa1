"""What do accounts and their shared attributes look like when we know which of them act together?

Made-up platforms in which people live in households, surf through carriers, study on a campus, work
in offices, borrow the computer of a library and share what is popular; in one of them rings of
several kinds hide among them, in its twin nobody acts together.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rcakit.datasets.dataset import Dataset
from rcakit.datasets.processes.streams import stream
from rcakit.datasets.sizes import SIZES
from rcakit.datasets.tables.hostile_names import HOSTILE_NAMES

STARTED_AT = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# What the members of a ring share, layer by layer; a lockstep ring only acts together.
_LAYERS = {
    "device_farm": ("device", "card", "device"),
    "content_farm": ("content", "content", "content"),
    "organised": ("device", "card", "phone", "content"),
    "lockstep": (),
}
_KINDS = tuple(_LAYERS)
_TYPES = ("address", "device", "card", "phone", "content")
_ACCOUNTS_PER_RING = 700
_SMALLEST_RING, _LARGEST_RING = 8, 60
_DAY = 86_400.0
# A ring in lockstep acts within so many seconds, on so many targets.
_BURST_SECONDS, _BURST_TARGETS = 40, 12


@dataclass(frozen=True, slots=True)
class NetworkStory:
    """One platform.

    Attributes
    ----------
    description
        One line.
    verdict
        What a good analysis concludes.
    has_rings
        Whether anybody acts together.
    """

    description: str
    verdict: str
    has_rings: bool


NETWORKS: dict[str, NetworkStory] = {
    "abuse_rings": NetworkStory(
        "Rings of four kinds hide among households, a campus, carriers and popular content.",
        "rings_found",
        has_rings=True,
    ),
    "no_abuse_rings": NetworkStory(
        "The same households, campus, carriers and popular content, and nobody acts together.",
        "no_rings",
        has_rings=False,
    ),
}


class _Edges:
    """Collects who was first seen with what, and when; attributes get their numbers here."""

    def __init__(self) -> None:
        self._parts: list[tuple[Ints, Ints, Ints, Floats]] = []
        self._n_attributes = 0

    def add(self, account: Ints, label: Ints, kind: str, at: Floats) -> None:
        """Add edges to new attributes, numbered from zero by `label`."""
        code = np.full(len(account), _TYPES.index(kind))
        self._parts.append((account, label + self._n_attributes, code, at))
        self._n_attributes += int(label.max(initial=-1)) + 1

    def table(self, n_days: int, random: np.random.Generator) -> pl.DataFrame:
        """Return one row per account and attribute, with first and last sighting."""
        account, attribute, code, at = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        until = at + random.exponential(20 * _DAY, len(at))
        frame = pl.DataFrame(
            {
                "account_id": _ids("a", account),
                "attribute_type": pl.Series(_TYPES).gather(code),
                "attribute": attribute,
                "first_seen_at": _moments(np.clip(at, 0, n_days * _DAY - 1)),
                "last_seen_at": _moments(np.clip(until, 0, n_days * _DAY - 1)),
            }
        )
        by = ("account_id", "attribute_type", "attribute")
        earliest = frame.group_by(by).agg(
            pl.col("first_seen_at").min(), pl.col("last_seen_at").max()
        )
        named = earliest.sort("first_seen_at", *by).with_columns(
            pl.format("{}-{}", "attribute_type", "attribute").alias("attribute")
        )
        return named.select("account_id", "attribute_type", "attribute", "first_seen_at",
                            "last_seen_at")  # fmt: skip


def make_network(name: str, *, size: str, seed: int) -> Dataset:
    """Make the tables of one platform.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    size
        As for `rcakit.datasets.make`.
    seed
        Where the random streams start.

    Returns
    -------
    Dataset
        Tables ``accounts``, ``attributes`` (first and last sighting of every attribute on every
        account) and ``engagement`` (who acted on what, and when).
    """
    scale = SIZES[size]
    n, n_days = scale.n_accounts, scale.n_days
    rings = _rings(n, n_days, stream(seed, "rings")) if NETWORKS[name].has_rings else []
    opened = stream(seed, "openings").uniform(0, n_days * _DAY, n)
    for ring in rings:
        opened[ring.members] = ring.started + stream(seed, ring.ring_id, "openings").uniform(
            0, ring.span, len(ring.members)
        )
    edges = _Edges()
    _ordinary_life(edges, opened, n_days, seed)
    for ring in rings:
        _share(edges, ring, n, n_days, stream(seed, ring.ring_id, "shares"))
    tables = {
        "accounts": _accounts(opened, stream(seed, "accounts")),
        "attributes": edges.table(n_days, stream(seed, "endings")),
        "engagement": _engagement(n, n_days, rings, seed),
    }
    return Dataset(tables, _truth(name, size, seed, n_days, rings))


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """One ring: who, of which kind, from when, within how many seconds."""

    ring_id: str
    kind: str
    members: Ints
    started: float
    span: float


def _rings(n: int, n_days: int, random: np.random.Generator) -> list[_Ring]:
    """Draw the rings; each kind comes once before any comes twice."""
    n_rings = max(round(n / _ACCOUNTS_PER_RING), 2)
    sizes = np.clip(
        np.round(random.lognormal(np.log(16), 0.5, n_rings)), _SMALLEST_RING, _LARGEST_RING
    ).astype(np.int64)
    members = np.split(random.permutation(n)[: sizes.sum()], np.cumsum(sizes)[:-1])
    found = []
    for number, own in enumerate(members):
        span = float(random.choice([2, 7, 21])) * _DAY
        started = float(random.uniform(0.1, 0.6)) * n_days * _DAY
        found.append(
            _Ring(f"ring-{number + 1}", _KINDS[number % len(_KINDS)], np.sort(own), started, span)
        )
    return found


def _ordinary_life(edges: _Edges, opened: Floats, n_days: int, seed: int) -> None:
    """Let people share what people share."""
    n, end = len(opened), n_days * _DAY
    random = stream(seed, "households")
    home = np.repeat(np.arange(n), random.geometric(0.5, n))[:n]
    home = random.permutation(home).astype(np.int64)
    edges.add(np.arange(n), home, "address", opened + random.exponential(2 * _DAY, n))
    for kind, share in (("device", 0.25), ("card", 0.12), ("phone", 0.05)):
        sharing = (random.random(n) < share)[home] & (random.random(n) < 0.7)
        who = np.flatnonzero(sharing)
        edges.add(who, home[who], kind, opened[who] + random.exponential(15 * _DAY, len(who)))
    random = stream(seed, "own")
    for kind, share in (("device", 0.9), ("card", 0.4), ("phone", 0.6)):
        who = np.flatnonzero(random.random(n) < share)
        edges.add(who, np.arange(len(who)), kind, opened[who])
    random = stream(seed, "places")
    places = (("address", 0.6, n / 4), ("address", 0.1, n / 10), ("address", 0.12, 15.0),
              ("device", 0.03, 25.0), ("address", 0.06, 45.0))  # fmt: skip
    for kind, share, holders in places:  # carriers, campus, offices, library computers, cafés
        who = np.flatnonzero(random.random(n) < share)
        place = random.integers(0, max(round(len(who) / holders), 1), len(who))
        edges.add(who, place, kind, random.uniform(0, end, len(who)))
    random = stream(seed, "content")
    who = np.repeat(np.arange(n), random.poisson(1.5, n))
    edges.add(who, _popular(2 * n, len(who), random), "content", random.uniform(0, end, len(who)))


def _popular(n_items: int, n_draws: int, random: np.random.Generator) -> Ints:
    """Draw items whose popularity falls with their rank (Zipf)."""
    weight = 1 / (np.arange(n_items) + 5.0)
    return random.choice(n_items, n_draws, p=weight / weight.sum()).astype(np.int64)


def _share(edges: _Edges, ring: _Ring, n: int, n_days: int, random: np.random.Generator) -> None:
    """Tie the members in chains, a part of them by each attribute, and let them look ordinary."""
    n_members = len(ring.members)
    for kind in _LAYERS[ring.kind]:
        order = random.permutation(ring.members)
        reach = int(np.clip(round(random.uniform(0.3, 0.6) * n_members), 4, 12))
        step = max(round(reach * 0.6), 1)
        for begin in range(0, n_members, step):
            who = order[begin : begin + reach]
            who = who[random.random(len(who)) < 0.85]
            at = ring.started + random.uniform(0, ring.span, len(who))
            edges.add(who, np.zeros(len(who), dtype=np.int64), kind, at)
    who = np.repeat(ring.members, random.poisson(2.0, n_members))
    at = random.uniform(0, n_days * _DAY, len(who))
    edges.add(who, _popular(2 * n, len(who), random), "content", at)


def _accounts(opened: Floats, random: np.random.Generator) -> pl.DataFrame:
    """Name the accounts; one username in ten is hostile on purpose."""
    hostile = list(HOSTILE_NAMES.values())
    names = np.array([f"member{number}" for number in range(len(opened))], dtype=object)
    bad = random.random(len(opened)) < 0.1
    names[bad] = random.choice(np.array(hostile, dtype=object), int(bad.sum()))
    return pl.DataFrame(
        {
            "account_id": _ids("a", np.arange(len(opened))),
            "created_at": _moments(opened),
            "username": names.tolist(),
        }
    )


def _engagement(n: int, n_days: int, rings: list[_Ring], seed: int) -> pl.DataFrame:
    """Let everyone act on what is popular; a live event draws a crowd within minutes."""
    random = stream(seed, "engagement")
    n_targets, end = max(n // 4, 50), n_days * _DAY
    who = np.repeat(np.arange(n), random.poisson(4, n))
    parts = [(who, _popular(n_targets, len(who), random), random.uniform(0, end, len(who)))]
    fans = np.flatnonzero(random.random(n) < 0.1)
    for event in range(2):
        crowd = fans[random.random(len(fans)) < 0.5]
        at = (0.3 + 0.3 * event) * end + random.exponential(90.0, len(crowd))
        parts.append((crowd, np.full(len(crowd), event), at))
    parts.extend(
        _together(ring, n_targets, end, stream(seed, ring.ring_id, "acts"))
        for ring in rings
        if ring.kind == "lockstep"
    )
    account, target, at = (np.concatenate(part) for part in zip(*parts, strict=True))
    frame = pl.DataFrame(
        {
            "account_id": _ids("a", account),
            "target_id": _ids("t", target),
            "action": ["like"] * len(at),
            "acted_at": _moments(np.clip(at, 0, end - 1)),
        }
    )
    return frame.sort("acted_at", "account_id", "target_id")


def _together(
    ring: _Ring, n_targets: int, end: float, random: np.random.Generator
) -> tuple[Ints, Ints, Floats]:
    """Let the members act on the same targets within seconds."""
    targets = random.choice(n_targets, _BURST_TARGETS, replace=False)
    when = random.uniform(ring.started, end - 1, _BURST_TARGETS)
    who, act = np.meshgrid(ring.members, np.arange(_BURST_TARGETS))
    takes_part = random.random(who.shape) < 0.85
    seconds = random.uniform(0, _BURST_SECONDS, who.shape)
    at = when[act] + seconds
    return who[takes_part], targets[act][takes_part].astype(np.int64), at[takes_part]


def _truth(name: str, size: str, seed: int, n_days: int, rings: list[_Ring]) -> dict[str, Any]:
    last = STARTED_AT + dt.timedelta(days=n_days - 1)
    return {
        "scenario": name,
        "size": size,
        "seed": seed,
        "period": [STARTED_AT.date().isoformat(), last.date().isoformat()],
        "verdict": NETWORKS[name].verdict,
        "rings": [
            {
                "ring_id": ring.ring_id,
                "kind": ring.kind,
                "accounts": _ids("a", ring.members).to_list(),
                "started_at": (STARTED_AT + dt.timedelta(seconds=int(ring.started))).isoformat(),
                "span_days": ring.span / _DAY,
            }
            for ring in rings
        ],
    }


def _ids(letter: str, number: Ints) -> pl.Series:
    """Write numbers as ids: ``a000012``."""
    text = pl.Series(number).cast(pl.String).str.zfill(6)
    return letter + text


def _moments(seconds: Floats) -> pl.Series:
    start = int(STARTED_AT.timestamp() * 1_000_000)
    micro = (np.floor(seconds) * 1_000_000).astype(np.int64) + start
    return pl.Series(micro).cast(pl.Datetime("us", "UTC"))
