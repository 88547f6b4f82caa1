"""Which pairs act on the same targets at the same time more often than the crowd does?

Arrays only. An event is an account, a target and a time in seconds. Two events are a co-action when
they are on the same target, by different accounts, at most a window apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CoActions",
    "benjamini_hochberg",
    "co_actions",
    "distinct",
    "near_pairs",
    "null_sums",
    "pairs_of_events",
    "poisson_tail",
    "simultaneity",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    """
    position = np.arange(len(target))
    if not len(target):
        return position, position
    last = np.flatnonzero(np.r_[target[1:] != target[:-1], True])
    end_of_target = last[np.searchsorted(last, position)] + 1
    # One axis for all targets: they are put further apart than any window reaches.
    step = float(at.max() - at.min()) + window + 1.0
    axis = (np.cumsum(np.r_[False, target[1:] != target[:-1]]) * step) + (at - at.min())
    end = np.searchsorted(axis, axis + window, side="right")
    return position + 1, np.minimum(end, end_of_target) - position - 1


def pairs_of_events(target: Ints, at: Floats, window: float) -> tuple[Ints, Ints]:
    """List the positions of all pairs of events on one target within the window."""
    start, n_later = near_pairs(target, at, window)
    left = np.repeat(np.arange(len(target)), n_later)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(n_later) - n_later, n_later)
    return left, np.repeat(start, n_later) + offset


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


def simultaneity(target: Ints, at: Floats, window: float, n_targets: int) -> Floats:
    """Return per target the chance that two of its events are at most the window apart.

    Notes
    -----
    This is the time-shuffled null in closed form: when the times of a target are dealt anew to the
    accounts that acted on it, any two of them are near with exactly this probability. A post that
    everyone shares within a minute has simultaneity 1 and proves nothing.
    """
    _, n_later = near_pairs(target, at, window)
    near = np.bincount(target, n_later, minlength=n_targets)
    size = np.bincount(target, minlength=n_targets).astype(np.float64)
    return np.asarray(near / np.maximum(size * (size - 1) / 2, 1.0), dtype=np.float64)


def null_sums(
    first: Ints, second: Ints, account: Ints, target: Ints, chance: Floats
) -> tuple[Floats, Ints]:
    """Return the expected co-actions of each pair under the null, and its common targets.

    Parameters
    ----------
    first, second
        Pairs of accounts.
    account, target
        Who acted on what, each combination once.
    chance
        Simultaneity per target.
    """
    import scipy.sparse as sp

    n_accounts = int(max(account.max(initial=-1), second.max(initial=-1))) + 1
    shape = (n_accounts, len(chance))
    acted = sp.csr_array((np.ones(len(account)), (account, target)), shape=shape)
    weighted = sp.csr_array((chance[target], (account, target)), shape=shape)
    expected, common = np.zeros(len(first)), np.zeros(len(first), dtype=np.int64)
    for begin in range(0, len(first), 100_000):
        part = slice(begin, begin + 100_000)
        both = acted[first[part]].multiply(weighted[second[part]])
        expected[part] = np.asarray(both.sum(axis=1)).ravel()
        shared = acted[first[part]].multiply(acted[second[part]])
        common[part] = np.asarray(shared.sum(axis=1)).ravel()
    return expected, common


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


def benjamini_hochberg(pvalue: Floats, n_tests: float) -> Floats:
    """Return q-values when these are the smallest p-values of a family of `n_tests`.

    Notes
    -----
    Step-up procedure of Benjamini and Hochberg (1995, JRSS B 57(1), p. 293); the tests that are
    not listed count as p = 1.
    """
    order = np.argsort(pvalue, kind="stable")
    raw = pvalue[order] * n_tests / np.arange(1, len(pvalue) + 1)
    monotone = np.minimum.accumulate(np.minimum(raw, 1.0)[::-1])[::-1]
    qvalue = np.empty(len(pvalue))
    qvalue[order] = monotone
    return qvalue
