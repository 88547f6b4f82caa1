"""Which pairs act on the same targets at the same time more often than the crowd does?

Arrays only. An event is an account, a target and a time in seconds. Two events are a co-action when
they are on the same target, by different accounts, at most a window apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CoActions",
    "co_actions",
    "common_targets",
    "distinct",
    "expected_by_rhythm",
    "near_pairs",
    "outside_chance",
    "pair_counts",
    "pairs_of_events",
    "poisson_tail",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MICRO = 1_000_000
_HOUR = 3_600.0
_BLURRED_WINDOWS = 10
_BLOCK_OF_PAIRS = 4_000_000
_BLOCK_OF_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class CoActions:
    """Pairs of accounts that acted together.

    Attributes
    ----------
    first, second
        Accounts, ``first < second``, shape ``(pairs,)``.
    n_first, n_second
        Events of the first account that have a near event of the second, and the other way round.
    n_targets
        Different targets on which they acted together.
    """

    first: Ints
    second: Ints
    n_first: Ints
    n_second: Ints
    n_targets: Ints


def distinct(code: Ints) -> Ints:
    """Return the different values in order; sorting is several times faster than hashing here."""
    ordered = np.sort(code)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered


def near_pairs(target: Ints, at: Floats, window: float) -> tuple[Ints, Ints]:
    """Count, for every event, the later events on its target within the window.

    Parameters
    ----------
    target, at
        Events, sorted by target and then by time (seconds).
    window
        Seconds; a distance of exactly the window counts.

    Returns
    -------
    start, n_later
        Position of the first later event, and how many follow within the window.

    Notes
    -----
    Times are rounded to microseconds: whole numbers keep the border of the window exact.
    """
    following = np.arange(1, len(target) + 1)
    if not len(target):
        return following, following
    # One axis for all targets: they are put further apart than any window reaches.
    reach = round(window * _MICRO)
    micro = np.rint((at - at.min()) * _MICRO).astype(np.int64)
    rank = np.cumsum(np.r_[False, target[1:] != target[:-1]])
    axis = rank * (int(micro.max()) + reach + 1) + micro
    return following, np.searchsorted(axis, axis + reach, side="right") - following


def pairs_of_events(target: Ints, at: Floats, window: float) -> tuple[Ints, Ints]:
    """List the positions of all pairs of events on one target within the window."""
    _, n_later = near_pairs(target, at, window)
    return _listed(n_later, 0, len(target))


def _listed(n_later: Ints, begin: int, end: int) -> tuple[Ints, Ints]:
    """List the pairs whose first event lies in ``begin … end - 1``."""
    count = n_later[begin:end]
    left = np.repeat(np.arange(begin, end), count)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count)
    return left, left + 1 + offset


def pair_counts(
    account: Ints, target: Ints, n_later: Ints, *, at_least: int
) -> tuple[Ints, Ints, Ints]:
    """Count the targets on which every pair of accounts acted together.

    Parameters
    ----------
    account, target
        Events, sorted by target and then by time.
    n_later
        Later events on the target within the window, per event (`near_pairs`).
    at_least
        Pairs with fewer targets are left out.

    Returns
    -------
    first, second, n_targets
        Pairs with ``first < second``, in order.

    Notes
    -----
    Pairs are listed in blocks that end where a target ends, so that memory stays bounded by the
    block, the busiest target and the different pairs.
    """
    width = int(account.max(initial=0)) + 1
    codes, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for begin, end in _blocks(target, n_later):
        left, right = _listed(n_later, begin, end)
        a, b = account[left], account[right]
        pair = np.minimum(a, b) * width + np.maximum(a, b)
        apart = a != b
        code, count = _different_targets(pair[apart], target[left[apart]])
        codes.append(code)
        counts.append(count)
    code, back = np.unique(np.concatenate(codes), return_inverse=True)
    total = np.bincount(back, np.concatenate(counts), minlength=len(code)).astype(np.int64)
    keep = total >= at_least
    return code[keep] // width, code[keep] % width, total[keep]


def _blocks(target: Ints, n_later: Ints) -> list[tuple[int, int]]:
    """Cut the events where targets end, so that every block lists about as many pairs."""
    if not len(target):
        return []
    ends = np.flatnonzero(np.r_[target[1:] != target[:-1], True]) + 1
    listed = np.cumsum(n_later)[ends - 1]
    number = (listed - 1) // _BLOCK_OF_PAIRS
    cuts = ends[np.r_[number[1:] != number[:-1], True]].tolist()
    return list(zip([0, *cuts[:-1]], cuts, strict=True))


def _different_targets(pair: Ints, target: Ints) -> tuple[Ints, Ints]:
    """Return every pair once, with the number of its targets; targets come in order."""
    order = np.argsort(pair, kind="stable")
    pair, target = pair[order], target[order]
    is_new = np.r_[True, pair[1:] != pair[:-1]][: len(pair)]
    is_counted = is_new | np.r_[True, target[1:] != target[:-1]][: len(pair)]
    starts = np.flatnonzero(is_new)
    if not len(starts):
        return pair, pair
    return pair[starts], np.add.reduceat(is_counted.astype(np.int64), starts)


def co_actions(account: Ints, target: Ints, at: Floats, window: float) -> CoActions:
    """Add up the co-actions of every pair of accounts; events sorted by target and time."""
    left, right = pairs_of_events(target, at, window)
    apart = account[left] != account[right]
    left, right = left[apart], right[apart]
    swapped = account[left] > account[right]
    left, right = np.where(swapped, right, left), np.where(swapped, left, right)
    low, high = account[left], account[right]
    width = int(account.max(initial=0)) + 1
    both = low * width + high
    code = distinct(both)
    pair = np.searchsorted(code, both)
    return CoActions(
        code // width,
        code % width,
        _n_different(pair, left, len(code)),
        _n_different(pair, right, len(code)),
        _n_different(pair, target[left], len(code)),
    )


def _n_different(pair: Ints, value: Ints, n_pairs: int) -> Ints:
    """Count the different values of each pair."""
    width = int(value.max(initial=0)) + 1
    different = distinct(pair * width + value) // width
    return np.bincount(different, minlength=n_pairs).astype(np.int64)


def outside_chance(
    events: tuple[Ints, Ints, Floats], label: Ints, near: Ints, window: float
) -> tuple[Ints, Floats]:
    """Return, per group and target, how near others act on what the group acted on.

    Parameters
    ----------
    events
        Account, target and time of every action, sorted by target and time.
    label
        Group per account, -1 for none.
    near
        Later events on the target within the window, per event (`near_pairs`).
    window
        Seconds.

    Returns
    -------
    cell, chance
        ``group * n_targets + target`` in order, and the chance that two actions on the target, not
        both by members, are at most the window apart; 1 where only members act on it.

    Notes
    -----
    When the times of a target are dealt anew to the accounts that acted on it, any two of them are
    near with the same chance. The group itself is left out of it: a ring is often most of what
    happens on its targets, and must not be its own yardstick. Where a whole crowd acts within the
    window the chance is near 1, and nobody stands out. One near pair is added to both counts.
    """
    account, target, at = events
    n_targets = int(target.max(initial=-1)) + 1
    crowd = np.bincount(target, minlength=n_targets).astype(np.float64)
    n_near = np.bincount(target, near, minlength=n_targets)
    inside = np.flatnonzero(label[account] >= 0)
    cell = label[account[inside]] * n_targets + target[inside]
    order = np.lexsort((at[inside], cell))
    cell = cell[order]
    own_near = near_pairs(cell, at[inside][order], window)[1]
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]][: len(cell)])
    if not len(starts):
        return cell, np.zeros(0)
    size = np.diff(np.r_[starts, len(cell)]).astype(np.float64)
    own = np.add.reduceat(own_near, starts)
    where = cell[starts] % n_targets
    pairs = crowd[where] * (crowd[where] - 1) / 2 - size * (size - 1) / 2
    return cell[starts], (n_near[where] - own + 1.0) / (pairs + 1.0)


def expected_by_rhythm(
    pairs: tuple[Ints, Ints, Floats], account: Ints, at: Floats, window: float
) -> Floats:
    """Return on how many targets each pair would act together if only its hours were its own.

    Parameters
    ----------
    pairs
        First account, second account, common targets (each with its repetitions).
    account, at
        All actions.
    window
        Seconds.

    Notes
    -----
    Null hypothesis: each account deals its own times at random to its targets, each blurred evenly
    over an hour before and after (ten windows, where that is more). Two accounts that are awake at
    the same hours are expected together more often than two that are not.
    """
    n_accounts = int(account.max(initial=-1)) + 1
    is_paired = np.zeros(n_accounts, dtype=np.bool_)
    is_paired[pairs[0]] = is_paired[pairs[1]] = True
    acted = is_paired[account]
    account, at = account[acted], at[acted]
    order = np.lexsort((at, account))
    account, at = account[order], at[order]
    held = np.bincount(account, minlength=n_accounts)
    starts = np.cumsum(held) - held
    blur = max(_HOUR, _BLURRED_WINDOWS * window)
    offset = at - (at.min() if len(at) else 0.0) + blur
    reach = float(offset.max(initial=0.0)) + 2 * blur + 1.0
    axis = account * reach + offset
    first, second, common = pairs
    expected = np.zeros(len(first))
    for begin in range(0, len(first), _BLOCK_OF_ROWS):
        a, b = first[begin : begin + _BLOCK_OF_ROWS], second[begin : begin + _BLOCK_OF_ROWS]
        row = np.repeat(np.arange(len(a)), held[a])
        event = np.repeat(starts[a] - (np.cumsum(held[a]) - held[a]), held[a]) + np.arange(len(row))
        centre = b[row] * reach + offset[event]
        near = np.searchsorted(axis, centre + blur, side="right")
        near = near - np.searchsorted(axis, centre - blur, side="left")
        total = np.bincount(row, near, minlength=len(a))
        chance = np.minimum(total / (held[a] * held[b]), 1.0) * window / blur
        expected[begin : begin + len(a)] = chance * common[begin : begin + len(a)]
    return expected


def common_targets(
    first: Ints, second: Ints, acts: tuple[Ints, Ints, Ints], chance: Floats | None = None
) -> Floats:
    """Add up over the targets that two accounts share: 1, or the chance to be near there.

    Parameters
    ----------
    first, second
        Pairs of accounts.
    acts
        Account, target and number of actions, each combination once.
    chance
        Per row of `acts`: the chance that two actions on the target are near; 1 when left out.

    Notes
    -----
    On one target the chance is at most ``n_first n_second chance`` (a union bound), and at most 1.
    """
    import scipy.sparse as sp

    width = int(max(acts[0].max(initial=-1), second.max(initial=-1))) + 1
    is_paired = np.zeros(width, dtype=np.bool_)
    is_paired[first] = is_paired[second] = True
    rows = is_paired[acts[0]]
    account, target, n_acts = (column[rows] for column in acts)
    per_row = np.ones(len(account)) if chance is None else n_acts * chance[rows]
    shape = (width, int(acts[1].max(initial=-1)) + 1)
    acted = sp.csr_array((n_acts.astype(np.float64), (account, target)), shape=shape)
    weighted = sp.csr_array((per_row, (account, target)), shape=shape)
    total = np.zeros(len(first))
    for begin in range(0, len(first), _BLOCK_OF_ROWS):
        part = slice(begin, begin + _BLOCK_OF_ROWS)
        both = acted[first[part]].multiply(weighted[second[part]]).tocsr()
        both.data = np.minimum(both.data, 1.0) if chance is not None else both.data
        total[part] = np.asarray(both.sum(axis=1)).ravel()
    return total


def poisson_tail(n_observed: Ints, expected: Floats) -> Floats:
    """Return the chance of at least so many co-actions when `expected` are due to chance.

    Notes
    -----
    The count is Poisson-binomial; the Poisson tail with the same mean is an upper bound for counts
    above the mean plus one (Hoeffding 1956, Ann. Math. Stat. 27(3), theorem 5 and its Poisson limit).
    """
    from scipy.special import pdtrc

    tail = np.where(n_observed > 0, pdtrc(np.maximum(n_observed - 1, 0), expected), 1.0)
    return np.asarray(np.clip(tail, 0.0, 1.0), dtype=np.float64)
