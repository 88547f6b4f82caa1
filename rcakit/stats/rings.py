"""Which groups of accounts share more than a household would, and how many of them are chance?

Arrays only. Accounts and attributes are whole numbers from zero; an edge says that an account was
seen with an attribute. A pair is two accounts with the evidence that they share. Groups are cut
out of the pairs by a tree of thresholds; every group is scored by the evidence that is left when
its strongest attribute is taken away, because a household hangs on one address and a ring does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVELS",
    "Evidence",
    "Groups",
    "accounts_in_pairs",
    "attribute_weight",
    "count_above",
    "degree_cap",
    "expected_false",
    "false_share",
    "find_groups",
    "group_evidence",
    "group_labels",
    "pair_weights",
    "rewire",
    "robust_score",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Evidence that two accounts must share, strictest first. The last is just above one exclusive
# attribute (weight 1), so that a single shared attribute never makes a pair.
LEVELS = (3.0, 2.5, 2.0, 1.7, 1.5, 1.35, 1.2, 1.1, 1.02)

# Every further member of a group must bring the evidence of one exclusive attribute.
_MEMBER_COST = 1.0
# Scores in this window are ordinary life at its largest; the tail is read off there. Above it rings
# begin. The unit is the evidence of one exclusive attribute, so the window holds for any data.
_BULK = (1.0, 2.5)
# The tail is never taken to fall faster than e-fold per 1/1.5 of score, and the rate starts from
# five groups' worth of that belief. Ring-free simulations fall faster (about e-fold per 0.5).
_FALL = 1.5
_PRIOR_GROUPS = 5.0
_SLOWEST_FALL = 0.05
_HALVINGS = 40

# Accounts whose pairs are counted at once.
_BLOCK = 50_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the members of each group share.

    Attributes
    ----------
    n_accounts
        Members per group, shape ``(groups,)``.
    total
        Sum over shared attributes of (members with it - 1) times its weight.
    strongest
        The largest single term of that sum.
    n_shared
        Attributes that at least two members have.
    n_ties
        Edges between members and those attributes.
    """

    n_accounts: Ints
    total: Floats
    strongest: Floats
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
        Evidence without the strongest attribute, less the cost of the members, shape ``(groups,)``.
    benign
        Best score inside each connected component, whatever its sign: the bulk that ordinary
        sharing makes, shape ``(components,)``.
    """

    label: Ints
    score: Floats
    benign: Floats


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


def pair_weights(
    account: Ints, attribute: Ints, weight: Floats, *, at_least: float
) -> tuple[Ints, Ints, Floats]:
    """Add up the weights of the attributes that two accounts share.

    Parameters
    ----------
    account, attribute
        Edges, each once.
    weight
        Weight per attribute, shape ``(attributes,)``.
    at_least
        Pairs with less evidence are left out.

    Returns
    -------
    first, second, evidence
        Pairs with ``first < second``, in order.
    """
    import scipy.sparse as sp

    n_accounts = int(account.max(initial=-1)) + 1
    root = np.sqrt(weight[attribute])
    table = sp.csr_array((root, (account, attribute)), shape=(n_accounts, len(weight)))
    shared = sp.triu(table @ table.T, k=1).tocoo()
    keep = shared.data >= at_least
    first, second = shared.coords[0][keep], shared.coords[1][keep]
    return first.astype(np.int64), second.astype(np.int64), shared.data[keep]


def group_labels(first: Ints, second: Ints, n_accounts: int) -> Ints:
    """Return the connected component of every account."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(first), dtype=np.int8)
    graph = sp.coo_array((ones, (first, second)), shape=(n_accounts, n_accounts))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def group_evidence(
    label: Ints, account: Ints, attribute: Ints, weight: Floats, n_groups: int | None = None
) -> Evidence:
    """Add up what the members of every group share; accounts with label -1 are in no group."""
    n_groups = int(label.max(initial=-1)) + 1 if n_groups is None else n_groups
    members = np.bincount(label[label >= 0], minlength=n_groups)
    inside = label[account] >= 0
    width = len(weight)
    cell = label[account[inside]] * width + attribute[inside]
    cell = np.sort(cell)
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]][: len(cell)])
    held = np.diff(np.r_[starts, len(cell)])
    cell = cell[starts]
    shared = held > 1
    group, held = cell[shared] // max(width, 1), held[shared]
    term = (held - 1) * weight[cell[shared] % max(width, 1)]
    strongest = np.zeros(n_groups)
    np.maximum.at(strongest, group, term)
    return Evidence(
        members.astype(np.int64),
        np.bincount(group, term, minlength=n_groups).astype(np.float64),
        strongest,
        np.bincount(group, minlength=n_groups).astype(np.int64),
        np.bincount(group, held, minlength=n_groups).astype(np.int64),
    )


def robust_score(evidence: Evidence) -> Floats:
    """Score groups by the evidence that stays when the strongest attribute is taken away.

    Notes
    -----
    A household of n is one address (n - 1 ties) and a few things shared by some of its members; a
    ring is held together by several attributes, each of which covers a part. Without its strongest
    attribute a household has less than one tie per further member, a ring still has more. Do not
    use it where one attribute is all that rings share.
    """
    cost = _MEMBER_COST * np.maximum(evidence.n_accounts - 1, 0)
    return evidence.total - evidence.strongest - cost


def find_groups(
    pairs: tuple[Ints, Ints, Floats],
    edges: tuple[Ints, Ints],
    weight: Floats,
    *,
    n_accounts: int,
    min_size: int = 4,
    levels: tuple[float, ...] = LEVELS,
) -> Groups:
    """Cut groups out of the pairs where their score is highest.

    Parameters
    ----------
    pairs
        First account, second account, evidence that they share.
    edges
        Account and attribute of every edge that counts as evidence, each once.
    weight
        Weight per attribute, shape ``(attributes,)``.
    n_accounts
        Accounts are 0 … n_accounts - 1.
    min_size
        Smaller groups are not returned.
    levels
        Thresholds on pairs, strictest first.

    Notes
    -----
    Components at falling thresholds are nested and form a tree. From the leaves up a component is
    kept whole when its score exceeds the sum of the best groups inside it: the excess-of-mass
    choice of HDBSCAN (Campello, Moulavi, Sander 2013, PAKDD, section 4), on evidence instead of
    density.
    """
    local, pairs, edges = _worth_a_look(pairs, edges, n_accounts, min_size)
    tree = [_level(pairs, edges, weight, len(local), bar) for bar in levels]
    chosen, benign = _choose(tree, min_size)
    label = np.full(n_accounts, -1, dtype=np.int64)
    label[local] = chosen
    score = robust_score(group_evidence(chosen, *edges, weight))
    return Groups(label, score, benign)


def _worth_a_look(
    pairs: tuple[Ints, Ints, Floats], edges: tuple[Ints, Ints], n_accounts: int, min_size: int
) -> tuple[Ints, tuple[Ints, Ints, Floats], tuple[Ints, Ints]]:
    """Keep the accounts of components that are large enough, and renumber them."""
    first, second, evidence = pairs
    label = group_labels(first, second, n_accounts)
    kept = np.bincount(label, minlength=1)[label] >= min_size if n_accounts else np.zeros(0, bool)
    local = np.flatnonzero(kept)
    number = np.full(n_accounts, -1, dtype=np.int64)
    number[local] = np.arange(len(local))
    of_pair, of_edge = kept[first], kept[edges[0]]
    small = number[first[of_pair]], number[second[of_pair]], evidence[of_pair]
    return local, small, (number[edges[0][of_edge]], edges[1][of_edge])


def _level(
    pairs: tuple[Ints, Ints, Floats],
    edges: tuple[Ints, Ints],
    weight: Floats,
    n_accounts: int,
    bar: float,
) -> tuple[Ints, Ints, Floats]:
    """Return label per account, and size and score per component, at one threshold."""
    strong = pairs[2] >= bar
    label = group_labels(pairs[0][strong], pairs[1][strong], n_accounts)
    evidence = group_evidence(label, *edges, weight)
    return label, evidence.n_accounts, robust_score(evidence)


def _choose(tree: list[tuple[Ints, Ints, Floats]], min_size: int) -> tuple[Ints, Floats]:
    """Choose disjoint components with the largest sum of scores; strictest level first."""
    best, benign, owns, below = np.zeros(0), np.zeros(0), [], None
    for label, size, score in tree:
        n_groups = len(size)
        parent = np.zeros(len(best), dtype=np.int64)
        if below is not None:
            parent[below] = label
        inner = np.bincount(parent, best, minlength=n_groups)
        large = size >= min_size
        whole = np.where(size > 1, score, 0.0)
        highest = np.where(large, score, -np.inf)
        np.maximum.at(highest, parent, benign)
        owns.append((whole > inner) & (size > 1))
        best, benign, below = np.maximum(whole, inner), highest, label
    chosen = np.full(len(below) if below is not None else 0, -1, dtype=np.int64)
    for (label, size, _), own in zip(reversed(tree), reversed(owns), strict=True):
        free = own[label] & (chosen == -1)
        chosen[free] = np.where(size[label[free]] >= min_size, _fresh(chosen, label[free]), -2)
    return _renumbered(chosen), benign[np.isfinite(benign)]


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
        Best score per component in the data: mostly households, with rings in the upper tail.
    null
        Scores of groups found after rewiring (chance alone), all draws together.
    n_null
        Rewired draws.

    Notes
    -----
    Two kinds of false ring are added up. Chance merges are counted in a degree-preserving null.
    Large households cannot be made by rewiring; their number is read off the data: an exponential
    tail, fitted to the scores between 1 and 2.5 as a truncated sample, so that rings above the
    window do not enter (maximum likelihood: Deemer and Votaw 1955, Ann. Math. Stat. 26(3),
    p. 498). It is an extrapolation: too low where ordinary sharing has a heavier than exponential
    tail, too high where many small rings score below 2.5.
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


def rewire(
    account: Ints, attribute: Ints, kind: Ints, random: np.random.Generator
) -> tuple[Ints, Ints]:
    """Shuffle accounts over the edges of each attribute type; repeated edges fall together.

    Every account keeps its number of attributes of a type, every attribute its number of accounts
    (but for the few edges that fall together): the configuration model of a bipartite graph
    (Newman, Strogatz, Watts 2001, Phys. Rev. E 64, 026118, section V).
    """
    shuffled = account.copy()
    for number in np.unique(kind):
        where = np.flatnonzero(kind == number)
        shuffled[where] = account[random.permutation(where)]
    width = int(attribute.max(initial=0)) + 1
    cell = np.sort(shuffled * width + attribute)
    cell = cell[np.r_[True, cell[1:] != cell[:-1]][: len(cell)]]
    return cell // width, cell % width
