"""Which groups of accounts share more than a household would, and how many of them are chance?

Arrays only. Accounts and attributes are whole numbers from zero; a sighting says that an account
was seen with an attribute, and, where times are known, when. A pair is two accounts with the
evidence that they share. Groups are cut out of the pairs by a tree of thresholds; every group is
scored by the evidence that is left when its strongest attributes are taken away, because a
household hangs on one address, one tablet and one card, and a ring does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FIRM",
    "LEVELS",
    "Evidence",
    "Groups",
    "Sightings",
    "Traits",
    "accounts_in_pairs",
    "attribute_weight",
    "count_above",
    "degree_cap",
    "expected_false",
    "false_share",
    "find_groups",
    "group_evidence",
    "group_labels",
    "in_core",
    "moments",
    "pair_weights",
    "rewire",
    "robust_score",
    "surprise",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Evidence that two accounts must share, strictest first. The last is just above one exclusive
# attribute (weight 1), so that without times a single shared attribute never makes a pair.
LEVELS = (4.0, 3.5, 3.0, 2.5, 2.0, 1.7, 1.5, 1.35, 1.2, 1.1, 1.02)
FIRM = LEVELS[-1]

# Constants below were chosen on seeds 0-9 of benchmarks/ring_simulator.py and then frozen.
# Sightings closer in time than chance add at most 1.5 decades of evidence per tie.
_MOST_SURPRISE = 1.5
# A pair may rest on nearness in time: weight times (1 + surprise), times this, so that one
# exclusive attribute needs a surprise of 1.2 (sightings that 1 pair in 16 would have by chance).
_TIMED = 0.4636
# Half of the surprise counts in the score of a group.
_TIME_IN_SCORE = 0.5
# Every further member of a group must bring the evidence of one exclusive attribute.
_MEMBER_COST = 1.0
# The strongest attribute is taken away, and half of the strongest of every other type, for so many
# holders as a household has at most.
_OTHER_TYPES = 0.5
_HOUSEHOLD = 8
# An attribute that nobody outside the group has counts at least so much, however many have it.
_EXCLUSIVE = 0.75
# Two groups of a and b accounts become one when that brings 1 + k log(ab / (a + b)) of evidence:
# camouflage ties large rings by chance, and with times single attributes may tie.
_APART = 1.0
_APART_PER_LOG = 1.0
_APART_PER_LOG_TIMED = 2.6
# Scores in this window are ordinary life at its largest: households that share nearly as much as a
# ring. The tail above is read off there; rings begin above it. The unit is the evidence of one
# exclusive attribute, so the window holds for any data.
_BULK = (-1.5, 0.25)
# The tail is never taken to fall faster than e-fold per 1/1.5 of score, and the rate starts from
# five groups' worth of that belief; nor slower than e-fold per 1/0.75, so that households that are
# all alike do not look like a flat tail. Ring-free simulations fall by e per 0.4.
_FALL = 1.5
_PRIOR_GROUPS = 5.0
_SLOWEST_FALL = 0.75
_HALVINGS = 40

# Accounts whose pairs are counted at once, and pairs that are listed at once.
_BLOCK = 50_000
_BLOCK_OF_PAIRS = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Who was seen with what, each combination once.

    Attributes
    ----------
    account, attribute
        Codes, shape ``(sightings,)``.
    before, until
        Share of the sightings of the same type that came earlier, and that came up to and with
        this one, 0–1; 0 and 1 where the time is not known (`moments`).
    """

    account: Ints
    attribute: Ints
    before: Floats
    until: Floats

    def where(self, keep: Bools | Ints) -> "Sightings":
        """Return the sightings at these positions."""
        return Sightings(
            self.account[keep], self.attribute[keep], self.before[keep], self.until[keep]
        )

    @property
    def is_timed(self) -> bool:
        """Whether any two sightings can be near in time."""
        return bool(len(self.until)) and float((self.until - self.before).min()) < 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What is known of every attribute, shape ``(attributes,)``.

    Attributes
    ----------
    degree
        Accounts with it, in the whole table.
    kind
        Its type, as a code.
    weight
        Evidence per further member (`attribute_weight`).
    joins
        Whether sharing it makes pairs.
    """

    degree: Ints
    kind: Ints
    weight: Floats
    joins: Bools


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the members of each group share.

    Attributes
    ----------
    n_accounts
        Members per group, shape ``(groups,)``.
    ties
        Sum over shared attributes of (members with it - 1) times its weight.
    total
        The same with the surprise that members were seen with it so closely in time, and with an
        exclusive attribute never below three quarters.
    household
        What one household could explain of that: the strongest attribute and half of the strongest
        of every other type, for at most eight holders.
    n_shared
        Attributes that at least two members have.
    n_ties
        Edges between members and those attributes.
    """

    n_accounts: Ints
    ties: Floats
    total: Floats
    household: Floats
    n_shared: Ints
    n_ties: Ints

    @property
    def n_confirmations(self) -> Ints:
        """Ties beyond those that a tree needs to join the members: independent cycles."""
        cycles = self.n_ties - self.n_shared - self.n_accounts + 1
        return np.maximum(cycles, 0)


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups that were cut out of the pairs.

    Attributes
    ----------
    label
        Group of each account, -1 for none, shape ``(accounts,)``.
    score
        `robust_score` of each group, shape ``(groups,)``; ordinary households are below zero.
    """

    label: Ints
    score: Floats


def attribute_weight(degree: NDArray[np.integer] | Floats, hub_degree: float) -> Floats:
    """Weigh an attribute by its rarity: 1 when two accounts have it, 0 at `hub_degree` accounts.

    Notes
    -----
    ``log(hub / d) / log(hub / 2)``. The logarithm of the inverse share is the inverse document
    frequency of Spärck Jones (1972, J. Documentation 28(1), p. 16); FRAUDAR discounts popular
    columns by ``1 / log(d + c)`` for the same reason (Hooi et al. 2016, KDD, section 4.3), but
    that falls too slowly: an attribute of 50 accounts still counts a third of an exclusive one.
    """
    ratio = hub_degree / np.maximum(np.asarray(degree, dtype=np.float64), 2.0)
    weight = np.log(np.maximum(ratio, 1.0)) / np.log(hub_degree / 2.0)
    return np.asarray(weight, dtype=np.float64)


def degree_cap(degree: Ints, n_attributes: Ints, *, budget: int, highest: int) -> int:
    """Choose the largest degree whose attributes together make no more pairs than the budget.

    Parameters
    ----------
    degree, n_attributes
        Histogram: so many attributes are held by so many accounts.
    budget
        Pairs that may be counted.
    highest
        Cap when the budget does not bind.
    """
    order = np.argsort(degree)
    d, count = degree[order].astype(np.float64), n_attributes[order]
    within = (np.cumsum(count * d * (d - 1) / 2) <= budget) & (d <= highest)
    over = d[(d >= 2) & ~within]
    return max(int(over.min()) - 1, 2) if len(over) and over.min() <= highest else highest


def accounts_in_pairs(account: Ints, attribute: Ints, n_accounts: int) -> Bools:
    """Tell which accounts share at least two attributes with one other account.

    The pairs are counted in blocks of accounts, so that memory stays bounded.
    """
    import scipy.sparse as sp

    kept = np.bincount(account, minlength=n_accounts) > 1
    several = kept[account]
    account, attribute = account[several], attribute[several]
    n_attributes = int(attribute.max(initial=-1)) + 1
    ones = np.ones(len(account), dtype=np.int32)
    table = sp.csr_array((ones, (account, attribute)), shape=(n_accounts, n_attributes))
    holders = table.T.tocsr()
    rows, paired = np.flatnonzero(kept), np.zeros(n_accounts, dtype=np.bool_)
    for begin in range(0, len(rows), _BLOCK):
        block = rows[begin : begin + _BLOCK]
        shared = (table[block] @ holders).tocoo()
        others = (shared.data > 1) & (block[shared.coords[0]] != shared.coords[1])
        paired[block[shared.coords[0][others]]] = True
    return paired


def in_core(account: Ints, attribute: Ints) -> Bools:
    """Keep edges of accounts with two attributes and of attributes with two accounts, repeatedly.

    What hangs on a single edge can be in no cycle, and adds no evidence beyond its own cost.
    """
    where, n_before = np.arange(len(account)), len(account) + 1
    while len(where) < n_before:
        n_before = len(where)
        for code in (account, attribute):
            own = code[where]
            where = where[np.bincount(own)[own] > 1] if len(own) else where
    keep = np.zeros(len(account), dtype=np.bool_)
    keep[where] = True
    return keep


def moments(seen_at: Ints, is_known: Bools, kind: Ints) -> tuple[Floats, Floats]:
    """Place every sighting among those of its type: the shares before it, and up to it.

    Parameters
    ----------
    seen_at
        Any unit of time, shape ``(sightings,)``.
    is_known
        Whether the time is known.
    kind
        Type of the attribute that was seen.

    Notes
    -----
    The probability integral transform: under independence the shares are uniform, whatever the
    growth of the platform; equal times (imports, whole days) share one place and prove nothing.
    """
    before, until = np.zeros(len(seen_at)), np.ones(len(seen_at))
    for number in np.unique(kind):
        where = np.flatnonzero((kind == number) & is_known)
        times = np.sort(seen_at[where])
        before[where] = np.searchsorted(times, seen_at[where], side="left") / max(len(times), 1)
        until[where] = np.searchsorted(times, seen_at[where], side="right") / max(len(times), 1)
    return before, until


def surprise(n_seen: Ints | Floats, width: Floats) -> Floats:
    """Return how unlikely it is that so many sightings fall so closely together, in decades.

    Notes
    -----
    The range of m independent uniform numbers is at most w with probability
    ``m w^(m-1) - (m-1) w^m`` (David and Nagaraja 2003, Order Statistics, 3rd ed., section 2.3).
    """
    m = np.asarray(n_seen, dtype=np.float64)
    w = np.clip(width, 1e-9, 1.0)
    chance = np.power(w, m - 1) * (m - (m - 1) * w)
    decades = -np.log10(np.clip(chance, 1e-300, 1.0))
    return np.asarray(np.minimum(decades, _MOST_SURPRISE * (m - 1)), dtype=np.float64)


def pair_weights(
    sightings: Sightings, traits: Traits, *, at_least: float = FIRM
) -> tuple[Ints, Ints, Floats]:
    """Add up the evidence of the attributes that two accounts share.

    Parameters
    ----------
    sightings, traits
        Edges and attributes; attributes that do not join are left out.
    at_least
        Pairs with less evidence are left out.

    Returns
    -------
    first, second, evidence
        Pairs with ``first < second``, in order. The evidence is the sum of the weights or, where it
        is more, the sum of weights times (1 + surprise at the nearness in time), scaled.

    Notes
    -----
    Pairs are listed for a block of accounts at a time, so that memory is bounded by the block.
    """
    sightings = sightings.where(traits.joins[sightings.attribute])
    sightings = sightings.where(np.lexsort((sightings.account, sightings.attribute)))
    account, attribute = sightings.account, sightings.attribute
    ends = np.cumsum(np.bincount(attribute, minlength=len(traits.weight)))
    n_later = ends[attribute] - 1 - np.arange(len(account))
    by_account = np.argsort(account, kind="stable")
    is_timed = sightings.is_timed
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for block in _blocks_of_accounts(account[by_account], n_later[by_account]):
        left = by_account[block]
        count = n_later[left]
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        left = np.repeat(left, count)
        evidence = _evidence_of(sightings, traits, left, left + 1 + offset, is_timed=is_timed)
        found.append(_strong_pairs(account[left], account[left + 1 + offset], evidence, at_least))
    first, second, total = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, total


def _blocks_of_accounts(account: Ints, n_later: Ints) -> list[slice]:
    """Cut sightings in the order of accounts into blocks with about as many pairs."""
    if not len(account):
        return []
    ends = np.flatnonzero(np.r_[account[1:] != account[:-1], True]) + 1
    number = (np.cumsum(n_later)[ends - 1] - 1) // _BLOCK_OF_PAIRS
    cuts = ends[np.r_[number[1:] != number[:-1], True]].tolist()
    return [slice(begin, end) for begin, end in zip([0, *cuts[:-1]], cuts, strict=True)]


def _evidence_of(
    sightings: Sightings, traits: Traits, left: Ints, right: Ints, *, is_timed: bool
) -> tuple[Floats, Floats]:
    """Return the weight of each shared attribute, plain and with the nearness in time."""
    plain = traits.weight[sightings.attribute[left]]
    if not is_timed:
        return plain, plain
    start = np.minimum(sightings.before[left], sightings.before[right])
    width = np.maximum(sightings.until[left], sightings.until[right]) - start
    near = np.minimum(-np.log10(np.maximum(width * (2 - width), 1e-9)), _MOST_SURPRISE)
    return plain, plain * (1 + near) * _TIMED


def _strong_pairs(
    first: Ints, second: Ints, evidence: tuple[Floats, Floats], at_least: float
) -> tuple[Ints, Ints, Floats]:
    """Add up evidence over equal pairs and keep the strong ones."""
    width = int(max(first.max(initial=0), second.max(initial=0))) + 1
    code = first * width + second
    order = np.argsort(code)
    code = code[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]][: len(code)])
    if not len(starts):
        return first, second, evidence[0]
    plain, timed = evidence
    total = np.add.reduceat(plain[order], starts)
    if timed is not plain:
        total = np.maximum(total, np.add.reduceat(timed[order], starts))
    keep = total >= at_least
    code = code[starts[keep]]
    return code // width, code % width, total[keep]


def group_labels(first: Ints, second: Ints, n_accounts: int) -> Ints:
    """Return the connected component of every account."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(first), dtype=np.int8)
    graph = sp.coo_array((ones, (first, second)), shape=(n_accounts, n_accounts))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def group_evidence(
    label: Ints, sightings: Sightings, traits: Traits, n_groups: int | None = None
) -> Evidence:
    """Add up what the members of every group share; accounts with label -1 are in no group."""
    n_groups = int(label.max(initial=-1)) + 1 if n_groups is None else n_groups
    group, attribute, held, width = _cells(label, sightings, len(traits.weight))
    weight = traits.weight[attribute]
    is_exclusive = held == traits.degree[attribute]
    firm = np.where(is_exclusive, np.maximum(weight, _EXCLUSIVE), weight)
    term = firm * ((held - 1) + _TIME_IN_SCORE * surprise(held, width))
    home = term * np.minimum(held - 1, _HOUSEHOLD - 1) / np.maximum(held - 1, 1)
    return Evidence(
        np.bincount(label[label >= 0], minlength=n_groups).astype(np.int64),
        np.bincount(group, (held - 1) * weight, minlength=n_groups).astype(np.float64),
        np.bincount(group, term, minlength=n_groups).astype(np.float64),
        _household(group, traits.kind[attribute], home, n_groups),
        np.bincount(group, minlength=n_groups).astype(np.int64),
        np.bincount(group, held, minlength=n_groups).astype(np.int64),
    )


def _cells(label: Ints, sightings: Sightings, n_attributes: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Return group, attribute, holders and width in time of everything that members share."""
    inside = np.flatnonzero(label[sightings.account] >= 0)
    cell = label[sightings.account[inside]] * n_attributes + sightings.attribute[inside]
    order = np.argsort(cell)
    cell, inside = cell[order], inside[order]
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]][: len(cell)])
    held = np.diff(np.r_[starts, len(cell)])
    width = np.ones(len(starts))
    if len(starts) and sightings.is_timed:
        last = np.maximum.reduceat(sightings.until[inside], starts)
        width = last - np.minimum.reduceat(sightings.before[inside], starts)
    shared = held > 1
    cell = cell[starts[shared]]
    width_of = max(n_attributes, 1)
    return cell // width_of, cell % width_of, held[shared].astype(np.int64), width[shared]


def _household(group: Ints, kind: Ints, term: Floats, n_groups: int) -> Floats:
    """Add up the strongest term and half of the strongest of every other type."""
    n_kinds = int(kind.max(initial=0)) + 1
    best = np.zeros((n_groups, n_kinds))
    np.maximum.at(best, (group, kind), term)
    most = best.max(axis=1) if n_groups else np.zeros(0)
    return np.asarray(most + _OTHER_TYPES * (best.sum(axis=1) - most), dtype=np.float64)


def robust_score(evidence: Evidence) -> Floats:
    """Score groups by the evidence that a household cannot explain, less one unit per member.

    Notes
    -----
    A household of n is one address (n - 1 ties), perhaps one tablet and one card. Without the
    strongest attribute of each type it has less than one tie per further member; a ring, held
    together by several attributes of a type, each of which covers a part, still has more. Do not
    use it where one attribute is all that rings share.
    """
    cost = _MEMBER_COST * np.maximum(evidence.n_accounts - 1, 0)
    return evidence.total - evidence.household - cost


def find_groups(
    pairs: tuple[Ints, Ints, Floats],
    sightings: Sightings,
    traits: Traits,
    *,
    n_accounts: int,
    min_size: int = 4,
    levels: tuple[float, ...] = LEVELS,
) -> Groups:
    """Cut groups out of the pairs so that little evidence lies between them.

    Parameters
    ----------
    pairs
        First account, second account, evidence that they share.
    sightings, traits
        All edges and attributes that count as evidence.
    n_accounts
        Accounts are 0 … n_accounts - 1.
    min_size
        Smaller groups are not returned.
    levels
        Thresholds on pairs, strictest first.

    Notes
    -----
    Components at falling thresholds are nested and form a tree. From the leaves up a component is
    kept whole when its value is at least the sum of the best groups inside it, the excess-of-mass
    choice of HDBSCAN (Campello, Moulavi, Sander 2013, PAKDD, section 4). The value of n accounts is
    their ties less n, plus ``1 + k log n``: to merge two groups must bring evidence that grows with
    both, because the number of chance ties between them does.
    """
    local, pairs, sightings = _worth_a_look(pairs, sightings, n_accounts, min_size)
    tree = [_level(pairs, sightings, traits, len(local), bar) for bar in levels]
    chosen = _choose(tree, min_size)
    label = np.full(n_accounts, -1, dtype=np.int64)
    label[local] = chosen
    return Groups(label, robust_score(group_evidence(chosen, sightings, traits)))


def _worth_a_look(
    pairs: tuple[Ints, Ints, Floats], sightings: Sightings, n_accounts: int, min_size: int
) -> tuple[Ints, tuple[Ints, Ints, Floats], Sightings]:
    """Keep the accounts of components that are large enough, and renumber them."""
    first, second, evidence = pairs
    label = group_labels(first, second, n_accounts)
    kept = np.bincount(label, minlength=1)[label] >= min_size if n_accounts else np.zeros(0, bool)
    local = np.flatnonzero(kept)
    number = np.full(n_accounts, -1, dtype=np.int64)
    number[local] = np.arange(len(local))
    of_pair = kept[first]
    small = number[first[of_pair]], number[second[of_pair]], evidence[of_pair]
    inside = sightings.where(kept[sightings.account])
    renumbered = Sightings(number[inside.account], inside.attribute, inside.before, inside.until)
    return local, small, renumbered


def _level(
    pairs: tuple[Ints, Ints, Floats],
    sightings: Sightings,
    traits: Traits,
    n_accounts: int,
    bar: float,
) -> tuple[Ints, Ints, Floats]:
    """Return label per account, and size and value per component, at one threshold."""
    strong = pairs[2] >= bar
    label = group_labels(pairs[0][strong], pairs[1][strong], n_accounts)
    size = np.bincount(label, minlength=1).astype(np.int64)
    group, attribute, held, _ = _cells(label, sightings, len(traits.weight))
    ties = np.bincount(group, (held - 1) * traits.weight[attribute], minlength=len(size))
    slope = _APART_PER_LOG_TIMED if sightings.is_timed else _APART_PER_LOG
    value = ties - _MEMBER_COST * size + _APART + slope * np.log(np.maximum(size, 1))
    return label, size, np.where(size > 1, value, 0.0)


def _choose(tree: list[tuple[Ints, Ints, Floats]], min_size: int) -> Ints:
    """Choose disjoint components with the largest sum of values; strictest level first."""
    best: Floats = np.zeros(0)
    below: Ints | None = None
    owns = []
    for label, size, value in tree:
        parent = np.zeros(len(best), dtype=np.int64)
        if below is not None:
            parent[below] = label
        inner = np.bincount(parent, best, minlength=len(size))
        owns.append((value >= inner) & (size > 1))
        best, below = np.maximum(value, inner), label
    chosen = np.full(len(below) if below is not None else 0, -1, dtype=np.int64)
    for (label, size, _), own in zip(reversed(tree), reversed(owns), strict=True):
        free = own[label] & (chosen == -1)
        chosen[free] = np.where(size[label[free]] >= min_size, _fresh(chosen, label[free]), -2)
    return _renumbered(chosen)


def _fresh(chosen: Ints, label: Ints) -> Ints:
    return label + int(chosen.max(initial=-1)) + 1


def _renumbered(label: Ints) -> Ints:
    """Number the groups 0, 1, … and give accounts outside any group -1."""
    inside = label >= 0
    out = np.full(len(label), -1, dtype=np.int64)
    out[inside] = np.unique(label[inside], return_inverse=True)[1]
    return out


def expected_false(score: Floats, benign: Floats, null: Floats, n_null: int) -> Floats:
    """Say how many groups with at least this score ordinary life would make.

    Parameters
    ----------
    score
        Where to evaluate.
    benign
        Scores of all groups in the data: mostly households, with rings in the upper tail.
    null
        Scores of groups found after rewiring (chance alone), all draws together.
    n_null
        Rewired draws.

    Notes
    -----
    Two kinds of false ring are added up. Chance merges are counted in a degree-preserving null.
    Large households cannot be made by rewiring; their number is read off the data: an exponential
    tail, fitted to the scores between -1.5 and 0.25 as a truncated sample, so that rings above the
    window do not enter (maximum likelihood: Deemer and Votaw 1955, Ann. Math. Stat. 26(3),
    p. 498). It is an extrapolation: too low where ordinary sharing has a heavier than exponential
    tail, too high where many small rings score as households do.
    """
    tail = _benign_tail(score, benign)
    chance = count_above(score, null) / max(n_null, 1)
    return tail + chance


def _benign_tail(score: Floats, benign: Floats) -> Floats:
    start, end = _BULK
    excess = benign[(benign > start) & (benign <= end)] - start
    rate = _truncated_rate(excess, end - start)
    inside = -np.expm1(-rate * (end - start))
    n_above = (len(excess) + 0.5) / inside
    tail = n_above * np.exp(-rate * np.maximum(score - start, 0.0))
    return np.asarray(tail + count_above(score, benign[benign <= start]), dtype=np.float64)


def _truncated_rate(excess: Floats, width: float) -> float:
    """Fit the rate of an exponential that was only seen up to `width`, drawn towards `_FALL`."""

    def mean(rate: float) -> float:
        return 1 / rate - width / float(np.expm1(rate * width))

    n = len(excess) + _PRIOR_GROUPS
    observed = (float(excess.sum()) + _PRIOR_GROUPS * mean(_FALL)) / n
    low, high = _SLOWEST_FALL, _FALL
    for _ in range(_HALVINGS):  # the mean falls as the rate grows
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle) > observed else (low, middle)
    return (low + high) / 2


def count_above(score: Floats, sample: Floats) -> Ints:
    """Count the values of a sample that are at least each score."""
    ordered = np.sort(sample)
    return (len(ordered) - np.searchsorted(ordered, score, side="left")).astype(np.int64)


def false_share(score: Floats, expected: Floats) -> Floats:
    """Return for every group the smallest false share of a list that includes it.

    Notes
    -----
    Expected false groups over found groups at each cut, made monotone from the bottom: the q-value
    of Storey and Tibshirani (2003, PNAS 100(16), p. 9442) with the null count of `expected_false`.
    """
    order = np.argsort(-score, kind="stable")
    share = expected[order] / np.maximum(count_above(score[order], score), 1)
    share = np.minimum.accumulate(np.minimum(share, 1.0)[::-1])[::-1]
    out = np.empty(len(score))
    out[order] = share
    return out


def rewire(sightings: Sightings, traits: Traits, random: np.random.Generator) -> Sightings:
    """Shuffle accounts, with their moments, over the edges of each attribute type.

    Every account keeps its number of attributes of a type, every attribute its number of accounts
    (but for the few edges that fall together): the configuration model of a bipartite graph
    (Newman, Strogatz, Watts 2001, Phys. Rev. E 64, 026118, section V).
    """
    kind = traits.kind[sightings.attribute]
    source = np.arange(len(kind))
    for number in np.unique(kind):
        where = np.flatnonzero(kind == number)
        source[where] = random.permutation(where)
    width = max(len(traits.weight), 1)
    cell = sightings.account[source] * width + sightings.attribute
    cell, first = np.unique(cell, return_index=True)
    source = source[first]
    return Sightings(cell // width, cell % width, sightings.before[source], sightings.until[source])
