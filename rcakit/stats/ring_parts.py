"""Is a group one ring or several, do two groups belong together, and who else belongs to them?

Groups that were cut out of pairs err in three ways. Two rings that a few accounts tie are one
group; a ring whose members share one attribute here and one there lies in pieces; an account that
shares with several members, but little with each, is left out. Each is mended by looking at the
group as a whole. Arrays only, as in `rings`.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from rcakit.stats.rings import (
    Bools,
    Floats,
    Groups,
    Ints,
    Sightings,
    Traits,
    group_evidence,
    robust_score,
)

__all__ = ["settle"]

# Constants below were chosen on seeds 0-9 of benchmarks/ring_simulator.py and on worlds of another
# shape (overlapping rings, few types of attributes, sparse sharing, large households).
# A group of n accounts is two when its best cut in two has so much / sqrt(n) more modularity than
# the same group dealt anew; cuts below the second figure are never tried against it.
_TWO = 0.65
_NEVER_TWO = 0.1
_SMALLEST_DIVIDED = 10
_MANY = 200
_DENSE = 400
_SQUARED = 100  # from here on, squaring a matrix costs more than many products with a vector
_POWERS = 100
_DEALS = 4
# Two groups are one when they share so many ties, and accounts of different groups at least so much
# of what they would if all were mixed.
_LINK = 2.0
_MIXED = 0.3
_ROUNDS = 20
# An account joins for so much evidence that is left without its strongest tie to a single member.
_JOIN = 0.65
_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Accounts by attributes, and what an attribute weighs."""

    holds: sp.csr_array
    weight: Floats

    def rows(self, rows: Ints) -> "_Table":
        """Return the table of some accounts, with the attributes that two of them hold."""
        part = self.holds[rows]
        held = np.bincount(part.indices, minlength=part.shape[1])
        shared = np.flatnonzero(held > 1)
        return _Table(part[:, shared].tocsr(), self.weight[shared])

    def dealt_anew(self, random: np.random.Generator) -> "_Table":
        """Shuffle the accounts over the attributes, each with as many as before."""
        cells = self.holds.tocoo()
        rows = random.permutation(cells.coords[0])
        dealt = sp.csr_array((cells.data, (rows, cells.coords[1])), shape=cells.shape)
        dealt.sum_duplicates()
        dealt.data[:] = 1.0
        return _Table(dealt, self.weight)

    def affinity(self) -> sp.csr_array:
        """Return what two accounts share: every attribute is spread evenly over its pairs.

        Newman (2001), Phys. Rev. E 64, 016132, section II: weights of 1 / (holders - 1).
        """
        held = np.asarray(self.holds.sum(axis=0)).ravel()
        each = np.where(held > 1, self.weight / np.maximum(held - 1, 1), 0.0)
        if self.holds.shape[0] <= _DENSE:
            cells = self.holds.toarray()
            shares = (cells * each) @ cells.T
            np.fill_diagonal(shares, 0.0)
            return sp.csr_array(shares)
        pairs = (self.holds @ sp.diags_array(each) @ self.holds.T).tocsr()
        return (pairs - sp.diags_array(pairs.diagonal())).tocsr()


def settle(groups: Groups, sightings: Sightings, traits: Traits, *, min_size: int = 4) -> Groups:
    """Divide groups that are two, merge groups that are one, and let accounts join.

    Parameters
    ----------
    groups
        As `find_groups` returns them; only those with a score above zero are looked at.
    sightings, traits
        The edges and attributes that the groups were found in.
    min_size
        Smaller groups are dropped.

    Notes
    -----
    Do not use it where rings are chains of a single order (each account shares with its two
    neighbours only): such a chain has a cheap cut anywhere and comes out in pieces.
    """
    joining = sightings.where(traits.joins[sightings.attribute])
    undivided: set[bytes] = set()

    def scored(label: Ints) -> Groups:
        label = _large_enough(label, min_size)
        return Groups(label, robust_score(group_evidence(label, sightings, traits)))

    groups = scored(_divided(groups, sightings, traits, undivided))
    for step in (_merged, _joined, _merged):
        groups = scored(step(groups, joining, traits))
    return scored(_divided(groups, sightings, traits, undivided))


def _large_enough(label: Ints, min_size: int) -> Ints:
    """Number the groups of enough accounts 0, 1, …; the others are no group."""
    size = np.bincount(label[label >= 0], minlength=1)
    kept = (label >= 0) & (size[np.maximum(label, 0)] >= min_size)
    out = np.full(len(label), -1, dtype=np.int64)
    out[kept] = np.unique(label[kept], return_inverse=True)[1]
    return out


def _firm(groups: Groups) -> Ints:
    """Return the labels of groups with a score above zero; the other accounts have none."""
    firm = np.r_[groups.score > 0, False]
    return np.where(firm[groups.label], groups.label, -1)


def _table(sightings: Sightings, traits: Traits, row: Ints, n_rows: int) -> sp.csr_array:
    """Put accounts, or groups of them, into rows (-1 for none) and attributes into columns."""
    inside = row[sightings.account] >= 0
    at = row[sightings.account[inside]], sightings.attribute[inside]
    table = sp.csr_array((np.ones(len(at[0])), at), shape=(n_rows, len(traits.weight)))
    table.sum_duplicates()
    return table


def _divided(groups: Groups, sightings: Sightings, traits: Traits, undivided: set[bytes]) -> Ints:
    """Divide groups whose best cut is better than chance would make it; note those that stay."""
    label = _firm(groups)
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(len(groups.score) + 1))
    number = np.full(len(label), -1, dtype=np.int64)
    number[order[bounds[0] :]] = np.arange(len(order) - bounds[0])
    table = _table(sightings, traits, number, len(order) - int(bounds[0]))
    out, following = groups.label.copy(), len(groups.score)
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end - begin < _SMALLEST_DIVIDED:
            continue
        members = order[begin:end]
        if members.tobytes() in undivided:
            continue
        whole = _Table(table[begin - bounds[0] : end - bounds[0]], traits.weight)
        random = np.random.default_rng([_SEED, end - begin])
        parts = _parts(whole.rows(np.arange(end - begin)), random)
        if len(parts) == 1:
            undivided.add(members.tobytes())
        for part in parts[1:]:
            out[members[part]] = following
            following += 1
    return out


def _parts(table: _Table, random: np.random.Generator) -> list[Ints]:
    """Cut a group in two, and its halves again, as long as that beats the group dealt anew.

    Modularity of a cut: Newman (2006), PNAS 103(23), p. 8577, here with the best of all cuts along
    the leading eigenvector, refined account by account (p. 8580). A group without any structure
    can be cut too (Guimerà, Sales-Pardo, Amaral 2004, Phys. Rev. E 70, 025101), therefore the null.
    """
    n = table.holds.shape[0]
    if n < _SMALLEST_DIVIDED:
        return [np.arange(n)]
    affinity = table.affinity()
    modularity, side = _best_cut(affinity)
    needed = _TWO / np.sqrt(n)
    if modularity < needed + _NEVER_TWO:
        return [np.arange(n)]
    draws = [
        _best_cut(table.dealt_anew(random).affinity())[0] for _ in range(_DEALS if n < _MANY else 1)
    ]
    if modularity - float(np.mean(draws)) < needed:
        return [np.arange(n)]
    side = _refined(affinity, side)
    halves = [half for half in (np.flatnonzero(side), np.flatnonzero(~side)) if len(half)]
    return [half[part] for half in halves for part in _parts(table.rows(half), random)]


def _best_cut(affinity: sp.csr_array) -> tuple[float, Bools]:
    """Return the largest modularity of a cut along the leading eigenvector, and one side of it."""
    degree = np.asarray(affinity.sum(axis=1), dtype=np.float64).ravel()
    n, total = len(degree), float(degree.sum())
    side = np.zeros(n, dtype=np.bool_)
    if total <= 0:
        return 0.0, side
    order = np.argsort(_leading(affinity, degree, total), kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    pairs = affinity.tocoo()
    later = np.maximum(rank[pairs.coords[0]], rank[pairs.coords[1]])
    inner = np.cumsum(np.bincount(later, pairs.data, minlength=n))
    modularity = 2 * (inner - np.cumsum(degree[order]) ** 2 / total) / total
    last = 1 + int(np.argmax(modularity[1 : n - 2]))
    side[order[: last + 1]] = True
    return float(modularity[last]), side


def _leading(affinity: sp.csr_array, degree: Floats, total: float) -> Floats:
    """Approach the eigenvector of the largest eigenvalue of the modularity matrix.

    Power iterations on the matrix shifted by half of the largest degree; the cut is chosen and
    refined afterwards, so that a close vector does as well, and costs a tenth.
    """
    n = len(degree)
    shift = float(degree.max()) / 2
    vector = np.cos(np.arange(n)) - float(np.cos(np.arange(n)).mean())
    if n <= _SQUARED:
        shifted = affinity.toarray() - np.outer(degree, degree) / total + shift * np.eye(n)
        return np.asarray(_power(shifted) @ vector, dtype=np.float64)
    matrix = affinity.toarray() if n <= _DENSE else affinity
    for _ in range(_POWERS):
        vector = matrix @ vector - degree * (float(degree @ vector) / total) + shift * vector
        vector /= max(float(np.abs(vector).max()), 1e-300)
    return np.asarray(vector, dtype=np.float64)


def _power(matrix: Floats) -> Floats:
    """Raise a small matrix to the power by squaring it; its scale does not matter."""
    for _ in range(_POWERS.bit_length()):
        matrix = matrix @ matrix
        matrix /= max(float(np.abs(matrix).max()), 1e-300)
    return matrix


def _refined(affinity: sp.csr_array, side: Bools) -> Bools:
    """Move one account after the other to the other side while the modularity grows."""
    if len(side) > _DENSE:
        return side
    degree = np.asarray(affinity.sum(axis=1)).ravel()
    matrix = affinity.toarray() - np.outer(degree, degree) / degree.sum()
    sign = np.where(side, 1.0, -1.0)
    for _ in range(len(sign)):
        gain = np.diag(matrix) - sign * (matrix @ sign)
        best = int(np.argmax(gain))
        if gain[best] <= 1e-9:
            break
        sign[best] = -sign[best]
    return np.asarray(sign > 0)


def _merged(groups: Groups, sightings: Sightings, traits: Traits) -> Ints:
    """Merge groups that share with each other nearly as they share within."""
    label = _firm(groups)
    for _ in range(_ROUNDS):
        table = _Table(_table(sightings, traits, label, len(groups.score)), traits.weight)
        first, second, mixed = _likely_one(table)
        if not len(first):
            break
        into, is_taken = np.arange(len(groups.score)), np.zeros(len(groups.score), dtype=np.bool_)
        for number in np.argsort(-mixed, kind="stable").tolist():
            a, b = int(first[number]), int(second[number])
            if not is_taken[a] and not is_taken[b]:
                is_taken[[a, b]] = True
                into[b] = a
        label = np.where(label >= 0, into[label], -1)
    return np.where(label >= 0, label, groups.label)


def _likely_one(table: _Table) -> tuple[Ints, Ints, Floats]:
    """List pairs of groups that could be one: what they share over what mixed halves would share.

    For groups with inner shares a and b and c between them the ratio is
    ``c (a + b + 2 c) / ((a + c) (b + c))``, the observed over the expected edges of modularity.
    """
    held = np.asarray(table.holds.sum(axis=0)).ravel()
    each = np.where(held > 1, table.weight / np.maximum(held - 1, 1), 0.0)
    shares = (table.holds @ sp.diags_array(each) @ table.holds.T).tocsr()
    inner = shares.diagonal() - np.asarray((table.holds @ sp.diags_array(each)).sum(axis=1)).ravel()
    touches = table.holds.copy()
    touches.data[:] = 1.0
    ties = sp.triu(touches @ sp.diags_array(table.weight) @ touches.T, k=1).tocoo()
    enough = ties.data >= _LINK
    first, second = (ends[enough].astype(np.int64) for ends in ties.coords)
    if not len(first):
        return first, second, np.zeros(0)
    between = _values(shares, first, second)
    a, b = inner[first] + between, inner[second] + between
    mixed = between * (a + b) / np.maximum(a * b, 1e-12)
    keep = mixed >= _MIXED
    return first[keep], second[keep], mixed[keep]


def _joined(groups: Groups, sightings: Sightings, traits: Traits) -> Ints:
    """Let an account of no group join the one that it shares most with.

    A tablet and a card shared with one member are a household. What counts is the evidence that is
    left when the member who explains most is taken away: attributes that two members hold, and
    attributes of other members.
    """
    label, n = _firm(groups), len(groups.label)
    inside = label[sightings.account] >= 0
    of_rings = np.zeros(len(traits.weight), dtype=np.bool_)
    of_rings[sightings.attribute[inside]] = True
    near = sightings.where(of_rings[sightings.attribute])
    inside = label[near.account] >= 0
    rings = _table(near, traits, label, len(groups.score))
    loose = near.where(~inside)
    weight = traits.weight[loose.attribute]
    own = sp.csr_array((weight, (loose.account, loose.attribute)), shape=(n, len(traits.weight)))
    lone, several = rings.copy(), rings.copy()
    lone.data, several.data = (rings.data == 1) * 1.0, (rings.data > 1) * 1.0
    members = near.where(inside)
    held = _values(rings, label[members.account], members.attribute)
    members = members.where(np.flatnonzero(held == 1))
    by_mate = (own @ _table(members, traits, np.arange(n), n).T).tocoo()
    at, ring = by_mate.coords[0].astype(np.int64), label[by_mate.coords[1]]
    best = _largest(at * len(groups.score) + ring, by_mate.data)
    where = best[0] // max(len(groups.score), 1), best[0] % max(len(groups.score), 1)
    mate = sp.csr_array((best[1], where), shape=(n, len(groups.score)))
    left = (own @ (several + lone).T - mate).tocoo()
    keep = left.data >= _JOIN - 1e-9
    account, ring = (ends[keep].astype(np.int64) for ends in left.coords)
    order = np.lexsort((ring, -left.data[keep], account))
    account, ring = account[order], ring[order]
    is_best = np.r_[True, account[1:] != account[:-1]][: len(account)]
    out = groups.label.copy()
    out[account[is_best]] = ring[is_best]
    return out


def _values(table: sp.csr_array, rows: Ints, columns: Ints) -> Floats:
    """Look up cells, 0 where there is none."""
    cells, width = table.tocoo(), table.shape[1]
    key = cells.coords[0].astype(np.int64) * width + cells.coords[1]
    order = np.argsort(key)
    wanted = rows * width + columns
    at = np.minimum(np.searchsorted(key[order], wanted), max(len(key) - 1, 0))
    if not len(key):
        return np.zeros(len(wanted))
    return np.where(key[order][at] == wanted, cells.data[order][at], 0.0)


def _largest(key: Ints, value: Floats) -> tuple[Ints, Floats]:
    """Return every key once, with the largest of its values."""
    different, back = np.unique(key, return_inverse=True)
    most = np.zeros(len(different))
    np.maximum.at(most, back, value)
    return different, most
