"""How accurate is each rater when nobody knows the right answer?

Raters who err independently betray their accuracy by how they agree: the model of Dawid and Skene,
fitted by expectation maximisation.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DawidSkene", "dawid_skene", "item_posterior", "majority_vote"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What the model says about items and raters."""

    posterior: Floats  # (items, categories) chance of each true category
    prevalence: Floats  # (categories,)
    confusion: Floats  # (raters, true category, given category)
    accuracy: Floats  # (raters,) chance of a right label, averaged over true categories seen
    n_iterations: int


def majority_vote(codes: Ints, n_categories: int) -> Floats:
    """Return the share of votes per item and category, shape ``(items, categories)``.

    Parameters
    ----------
    codes
        Category numbers, shape ``(items, raters)``; -1 where not rated.
    n_categories
        Number of categories.
    """
    votes = np.stack([np.sum(codes == k, axis=1) for k in range(n_categories)], axis=1)
    return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)


def dawid_skene(
    codes: Ints,
    n_categories: int,
    *,
    frequency: Ints | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-6,
) -> DawidSkene:
    """Estimate true labels and each rater's confusion matrix from the ratings alone.

    Parameters
    ----------
    codes
        Category numbers, shape ``(items, raters)``; -1 where not rated.
    n_categories
        Number of categories.
    frequency
        How often each row occurs; 1 when left out.
    max_iterations, tolerance
        The fit stops when no posterior moves by more than ``tolerance``.

    Notes
    -----
    Assumes that raters err independently given the truth, and that the majority is right more
    often than not. **Raters who share an error look accurate here**: see the shared-error alarm.
    Needs three raters; two cannot tell who is wrong. One pseudo-rating per rater and true
    category, most of it on the diagonal, keeps rare categories from deciding alone.

    References
    ----------
    Dawid and Skene (1979), J. R. Stat. Soc. C 28, p. 20.
    """
    weight = np.ones(codes.shape[0]) if frequency is None else frequency.astype(np.float64)
    posterior = majority_vote(codes, n_categories)
    prior = np.full((n_categories, n_categories), 0.3 / max(n_categories - 1, 1))
    np.fill_diagonal(prior, 0.7)
    given = _given(codes, n_categories)
    n_iterations, moved = 0, math.inf
    while n_iterations < max_iterations and moved >= tolerance:
        n_iterations += 1
        weighted = posterior * weight[:, None]
        prevalence = weighted.sum(axis=0) + 1.0
        prevalence /= prevalence.sum()
        confusion = np.stack(
            [np.stack([weighted[at].sum(axis=0) for at in row], axis=1) + prior for row in given]
        )
        confusion /= confusion.sum(axis=2, keepdims=True)
        updated = _posterior(given, prevalence, confusion, codes.shape[0])
        moved = float(np.max(np.abs(updated - posterior)))
        posterior = updated
    right = np.einsum("rkk->rk", confusion)
    return DawidSkene(posterior, prevalence, confusion, right @ prevalence, n_iterations)


def item_posterior(codes: Ints, prevalence: Floats, confusion: Floats) -> Floats:
    """Return the chance of each true category per item under a fitted model.

    Parameters
    ----------
    codes
        Category numbers, shape ``(items, raters)``; -1 where not rated.
    prevalence, confusion
        From `dawid_skene`.
    """
    return _posterior(_given(codes, prevalence.size), prevalence, confusion, codes.shape[0])


def _given(codes: Ints, n_categories: int) -> list[list[Ints]]:
    """Return, per rater and category, the positions of the items so labelled."""
    return [
        [np.flatnonzero(codes[:, rater] == k) for k in range(n_categories)]
        for rater in range(codes.shape[1])
    ]


def _posterior(
    given: list[list[Ints]], prevalence: Floats, confusion: Floats, n_items: int
) -> Floats:
    """Return the chance of each true category, per item, given the confusion matrices."""
    log_chance = np.tile(np.log(prevalence), (n_items, 1))
    for rater, row in enumerate(given):
        for k, at in enumerate(row):
            log_chance[at] += np.log(confusion[rater, :, k])
    log_chance -= log_chance.max(axis=1, keepdims=True)
    chance = np.exp(log_chance)
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))
