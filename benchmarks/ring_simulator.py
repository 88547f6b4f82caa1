"""What would accounts, their shared attributes and their rings look like, with time stamps?

Written and frozen before any method was tuned on it. Seeds 0-9 are for tuning, 1000 and above for
reporting. ``simulate(..., n_rings=0)`` is the ring-free twin: the same benign sharing, no ring.

Benign sharing: households of geometric size share a home address and sometimes a device, a card or
a phone; carriers and campuses put up to tens of thousands of accounts behind one address; offices,
cafes and kiosks are of middle size; content is shared with Zipf popularity. Rings have lognormal
size 4 to 120 and three kinds (devices and cards, content, both); every attribute covers a part of
a ring only, so that members are joined in chains. Camouflage adds popular content and addresses of
hubs to the members of rings.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

__all__ = ["Simulation", "simulate"]

TYPES = ("address", "device", "card", "phone", "content")
KINDS = ("device_card", "content", "both")
START = np.datetime64("2026-01-01T00:00:00", "us")
DAY = 86_400
DAYS = 180
ACCOUNTS_PER_RING = 1_500


@dataclass(frozen=True, slots=True)
class Simulation:
    """Edges of accounts and attributes, and the rings that were planted.

    Attributes
    ----------
    edges
        One row per account and attribute: account_id, attribute, attribute_type, first_seen_at.
    ring_of
        Ring per account (index = account number), -1 for normal accounts.
    kinds
        Kind per ring.
    """

    edges: pl.DataFrame
    ring_of: np.ndarray
    kinds: tuple[str, ...]


class _Edges:
    """Collects edges as arrays; attributes get a fresh number per call."""

    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, ...]] = []
        self.next_attribute = 0

    def add(self, account: np.ndarray, label: np.ndarray, kind: str, at: np.ndarray) -> None:
        """Add edges to attributes that are new, numbered by `label` within this call."""
        if len(account):
            attribute = self.next_attribute + label
            self.next_attribute += int(label.max()) + 1
            self.add_known(account, attribute, kind, at)

    def add_known(
        self, account: np.ndarray, attribute: np.ndarray, kind: str, at: np.ndarray
    ) -> None:
        """Add edges to attributes that already have their number."""
        code = np.full(len(account), TYPES.index(kind), dtype=np.int8)
        self.parts.append((account, attribute, code, at))


def simulate(
    n_accounts: int = 50_000, *, camouflage: float = 1.0, n_rings: int | None = None, rng: int = 0
) -> Simulation:
    """Make one world of accounts; `camouflage` scales how much ordinary life rings pretend."""
    random = np.random.default_rng([rng, n_accounts, int(10 * camouflage)])
    ring_of, kinds = _membership(n_accounts, n_rings, random)
    edges = _Edges()
    created = random.uniform(0, DAYS * DAY, n_accounts)
    _households(edges, created, ring_of, random)
    _own(edges, created, random)
    hubs = _hubs(edges, created, random)
    _middle_places(edges, created, random)
    popular = _content(edges, created, random)
    for ring, kind in enumerate(kinds):
        _ring(edges, np.flatnonzero(ring_of == ring), kind, random)
    _camouflage(edges, np.flatnonzero(ring_of >= 0), camouflage, (hubs, popular), random)
    return Simulation(_table(edges), ring_of, kinds)


def _membership(
    n: int, n_rings: int | None, random: np.random.Generator
) -> tuple[np.ndarray, tuple[str, ...]]:
    wanted = max(round(n / ACCOUNTS_PER_RING), 1) if n_rings is None else n_rings
    sizes = np.clip(np.round(random.lognormal(np.log(12), 0.9, wanted)), 4, 120).astype(int)
    ring_of = np.full(n, -1)
    chosen = random.permutation(n)[: sizes.sum()]
    ring_of[chosen] = np.repeat(np.arange(wanted), sizes)
    return ring_of, tuple(random.choice(KINDS, wanted).tolist())


def _households(
    edges: _Edges, created: np.ndarray, ring_of: np.ndarray, random: np.random.Generator
) -> None:
    """Put accounts into homes; most ring members live alone."""
    n = len(created)
    sizes = random.geometric(0.55, n)
    home = np.repeat(np.arange(n), sizes)[:n]
    home = random.permutation(home)
    alone = np.flatnonzero((ring_of >= 0) & (random.random(n) < 0.7))
    home[alone] = n + alone
    _, home = np.unique(home, return_inverse=True)
    at = created + random.exponential(2 * DAY, n)
    edges.add(np.arange(n), home, "address", at)
    n_homes = home.max() + 1
    for kind, share, takes_part in (
        ("device", 0.2, 0.6),
        ("card", 0.12, 0.6),
        ("phone", 0.05, 0.7),
    ):
        sharing = (random.random(n_homes) < share)[home] & (random.random(n) < takes_part)
        who = np.flatnonzero(sharing)
        edges.add(who, home[who], kind, created[who] + random.exponential(20 * DAY, len(who)))


def _own(edges: _Edges, created: np.ndarray, random: np.random.Generator) -> None:
    for kind, share in (("device", 0.9), ("card", 0.4), ("phone", 0.6)):
        who = np.flatnonzero(random.random(len(created)) < share)
        edges.add(who, np.arange(len(who)), kind, created[who])


def _hubs(
    edges: _Edges, created: np.ndarray, random: np.random.Generator
) -> tuple[int, np.ndarray]:
    """Carrier and campus addresses with Zipf sizes; return first number and weights."""
    n, n_hubs = len(created), max(len(created) // 250, 20)
    weight = 1 / np.arange(1, n_hubs + 1)
    weight /= weight.sum()
    first = edges.next_attribute
    for share in (0.5, 0.25):
        who = np.flatnonzero(random.random(n) < share)
        hub = random.choice(n_hubs, len(who), p=weight)
        edges.add_known(who, first + hub, "address", random.uniform(0, DAYS * DAY, len(who)))
    edges.next_attribute += n_hubs
    return first, weight


def _middle_places(edges: _Edges, created: np.ndarray, random: np.random.Generator) -> None:
    """Offices and cafes share an address, kiosks and libraries a device."""
    n = len(created)
    for kind, share, mean in (("address", 0.15, 12), ("address", 0.08, 40), ("device", 0.03, 25)):
        who = np.flatnonzero(random.random(n) < share)
        place = random.integers(0, max(len(who) // mean, 1), len(who))
        edges.add(who, place, kind, random.uniform(0, DAYS * DAY, len(who)))


def _content(
    edges: _Edges, created: np.ndarray, random: np.random.Generator
) -> tuple[int, np.ndarray]:
    """Everyone shares a little content; popularity is Zipf."""
    n = len(created)
    weight = 1 / (np.arange(2 * n) + 5.0)
    weight /= weight.sum()
    who = np.repeat(np.arange(n), random.poisson(1.5, n))
    item = random.choice(len(weight), len(who), p=weight)
    first = edges.next_attribute
    edges.add_known(who, first + item, "content", random.uniform(0, DAYS * DAY, len(who)))
    edges.next_attribute += len(weight)
    return first, weight


def _ring(edges: _Edges, members: np.ndarray, kind: str, random: np.random.Generator) -> None:
    """Join the members in chains: overlapping windows over a random order share an attribute."""
    start = random.uniform(0, (DAYS - 30) * DAY)
    span = float(random.choice([2, 10, 60], p=[0.4, 0.4, 0.2])) * DAY
    types = {
        "device_card": ("device", "card", "device"),
        "content": ("content", "content", "content"),
        "both": TYPES[1:],
    }
    shared = types[kind]
    for name in shared:
        order = random.permutation(members)
        reach = int(np.clip(round(random.uniform(0.3, 0.7) * len(order)), 3, 30))
        step = max(int(round(reach * random.uniform(0.4, 0.8))), 1)
        for label in range(-(-len(order) // step)):
            who = order[label * step : label * step + reach]
            who = who[random.random(len(who)) < 0.75]
            edges.add(who, np.zeros(len(who), int), name, start + random.uniform(0, span, len(who)))


def _camouflage(
    edges: _Edges,
    members: np.ndarray,
    scale: float,
    pools: tuple[tuple[int, np.ndarray], tuple[int, np.ndarray]],
    random: np.random.Generator,
) -> None:
    """Let ring members look ordinary: hub addresses and popular content."""
    for (first, weight), kind, mean in zip(pools, ("address", "content"), (0.5, 3.0), strict=True):
        who = np.repeat(members, random.poisson(mean * scale, len(members)))
        item = random.choice(len(weight), len(who), p=weight)
        edges.add_known(who, first + item, kind, random.uniform(0, DAYS * DAY, len(who)))


def _table(edges: _Edges) -> pl.DataFrame:
    account, attribute, code, at = (np.concatenate(part) for part in zip(*edges.parts, strict=True))
    table = pl.DataFrame(
        {
            "account": account.astype(np.int64),
            "attribute": attribute.astype(np.int64),
            "attribute_type": pl.Series(np.array(TYPES)[code]),
            "first_seen_at": START + (np.minimum(at, 400 * DAY) * 1e6).astype("timedelta64[us]"),
        }
    )
    return (
        table.group_by("account", "attribute", "attribute_type")
        .agg(pl.col("first_seen_at").min())
        .sort("account", "attribute")
        .select(
            pl.format("a{}", "account").alias("account_id"),
            pl.format("v{}", "attribute").alias("attribute"),
            "attribute_type",
            "first_seen_at",
        )
    )
