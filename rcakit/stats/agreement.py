"""How far do raters agree beyond chance, and how sure is that?

Ratings come as a matrix of category numbers, items by raters, -1 where a rater did not rate. Equal
rows are counted once (`Patterns`), so that a resample of items is one multinomial draw over the
different rows: 1,000 draws cost no more for a million items than for a thousand.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rcakit.stats.proportions import normal_quantile

__all__ = [
    "COEFFICIENTS",
    "Coefficient",
    "Level",
    "Patterns",
    "agreement_weights",
    "coefficients",
    "find_patterns",
    "percent_agreement",
    "rater_agreement",
    "resampled",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Level = Literal["nominal", "ordinal", "interval"]
Coefficient = Literal[
    "percent_agreement", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha", "gwet_ac"
]

COEFFICIENTS: tuple[Coefficient, ...] = (
    "percent_agreement",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "gwet_ac",
)

# Above this many cells the ordinal metric of the whole sample serves every resample.
_LARGEST_COINCIDENCE = 20_000_000
_LARGEST_DRAW = 20_000_000
_MOST_PAIRS = 300
_ITEMS_PER_PATTERN = 6


@dataclass(frozen=True, slots=True)
class Patterns:
    """The different rows of a rating matrix and how often each occurs."""

    codes: Ints  # (patterns, raters), -1 where not rated
    frequency: Ints  # (patterns,)
    row_pattern: Ints  # (items,) which pattern each item has
    n_categories: int

    @property
    def counts(self) -> Floats:
        """Ratings per pattern and category, shape ``(patterns, categories)``."""
        n_patterns, n_raters = self.codes.shape
        cell = np.arange(n_patterns)[:, None] * (self.n_categories + 1) + self.codes + 1
        size = n_patterns * (self.n_categories + 1)
        table = np.bincount(cell.ravel(), minlength=size).reshape(n_patterns, -1)
        return np.asarray(table[:, 1:] if n_raters else 0 * table[:, 1:], dtype=np.float64)


def find_patterns(codes: Ints, n_categories: int) -> Patterns:
    """Count equal rows of a rating matrix once; items with fewer than two ratings drop out.

    Parameters
    ----------
    codes
        Category numbers from 0, shape ``(items, raters)``; -1 where not rated.
    n_categories
        Number of categories of the scale.
    """
    rated = codes[np.sum(codes >= 0, axis=1) > 1]
    base, n_raters = n_categories + 1, codes.shape[1]
    if n_raters * np.log2(max(base, 2)) < 62:
        key = (rated + 1) @ (base ** np.arange(n_raters, dtype=np.int64))
        _, first, inverse, frequency = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        return Patterns(rated[first], frequency, inverse, n_categories)
    rows, inverse, frequency = np.unique(rated, axis=0, return_inverse=True, return_counts=True)
    return Patterns(rows, frequency, inverse.ravel(), n_categories)


def agreement_weights(values: Floats, level: Level) -> Floats:
    """Return how far two categories agree: 1 on the diagonal, 0 for the farthest or unequal ones.

    ``ordinal`` weighs by ranks as Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed.,
    p. 91; ``interval`` are the quadratic weights of Cohen (1968), Psychol. Bull. 70, p. 215.
    """
    k = values.size
    if level == "nominal" or k == 1:
        return np.eye(k)
    if level == "interval":
        distance = (values[:, None] - values[None, :]) ** 2
    else:
        steps = np.abs(np.arange(k)[:, None] - np.arange(k)[None, :]) + 1
        distance = np.where(steps > 1, steps * (steps - 1) / 2, 0.0)
    return 1 - distance / distance.max()


def percent_agreement(patterns: Patterns, weights: Floats, draws: Floats) -> Floats:
    """Return the share of agreeing pairs of ratings of an item, averaged over items.

    Parameters
    ----------
    patterns, weights
        From `find_patterns` and `agreement_weights`.
    draws
        How often each pattern occurs, shape ``(draws, patterns)``.
    """
    counts = patterns.counts
    rated = counts.sum(axis=1)
    agreeing = (np.einsum("pk,kl,pl->p", counts, weights, counts) - rated) / (rated * (rated - 1))
    return np.asarray(draws @ agreeing / draws.sum(axis=1))


def coefficients(
    patterns: Patterns, values: Floats, level: Level, draws: Floats
) -> dict[Coefficient, Floats]:
    """Return every coefficient for every resample of the items.

    Parameters
    ----------
    patterns
        From `find_patterns`.
    values
        Numeric value of each category, shape ``(categories,)``; used by interval scales.
    level
        ``nominal``, ``ordinal`` or ``interval``.
    draws
        How often each pattern occurs, shape ``(draws, patterns)``; ``frequency[None]`` for the
        data themselves.

    Returns
    -------
    dict of coefficient to ndarray of shape (draws,)
        nan where chance agreement is complete, so that nothing beyond chance can be seen.

    References
    ----------
    Cohen (1960), Educ. Psychol. Meas. 20, p. 37 (mean over pairs of raters: Light 1971); Fleiss
    (1971), Psychol. Bull. 76, p. 378; Krippendorff (2011), Computing Krippendorff's
    alpha-reliability; Gwet (2008), Br. J. Math. Stat. Psychol. 61, p. 29 and (2014), p. 74-87.
    """
    weights = agreement_weights(values, level)
    observed = percent_agreement(patterns, weights, draws)
    counts = patterns.counts
    share = counts / counts.sum(axis=1, keepdims=True)
    prevalence = draws @ share / draws.sum(axis=1, keepdims=True)
    return {
        "percent_agreement": observed,
        "cohen_kappa": _cohen(patterns, weights, draws),
        "fleiss_kappa": _beyond(
            observed, np.einsum("bk,kl,bl->b", prevalence, weights, prevalence)
        ),
        "krippendorff_alpha": _krippendorff(patterns, values, level, draws),
        "gwet_ac": _beyond(observed, _gwet_chance(prevalence, weights)),
    }


def resampled(
    patterns: Patterns,
    values: Floats,
    level: Level,
    *,
    n_resamples: int,
    confidence_level: float,
    rng: np.random.Generator,
) -> dict[Coefficient, tuple[float, float, float]]:
    """Return estimate, lower and upper bound of each coefficient by resampling items.

    The interval is the estimate plus and minus normal quantiles of the bootstrap error on
    Fisher's z scale, which keeps it inside -1 to 1 and covers better than percentiles below a
    hundred items.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, p. 168.
    """
    estimates = coefficients(patterns, values, level, patterns.frequency[None, :].astype(float))
    n_items = int(patterns.frequency.sum())
    widest = max(
        patterns.frequency.size, min(n_items, _ITEMS_PER_PATTERN * patterns.frequency.size)
    )
    chunk = max(1, _LARGEST_DRAW // max(widest, 1))
    parts: list[dict[Coefficient, Floats]] = []
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        parts.append(coefficients(patterns, values, level, _draws(patterns, size, rng)))
    return {
        name: _fisher_interval(
            float(estimates[name][0]),
            np.concatenate([part[name] for part in parts]),
            n_items,
            confidence_level,
        )
        for name in estimates
    }


def rater_agreement(codes: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Return, per rater, the items rated together with others and the mean agreement with them.

    Parameters
    ----------
    codes
        Category numbers, shape ``(items, raters)``; -1 where not rated.
    weights
        From `agreement_weights`.
    """
    n_items, n_raters = codes.shape
    n_obs, total = np.zeros(n_raters, dtype=np.int64), np.zeros(n_raters)
    rated = codes >= 0
    n_rated = rated.sum(axis=1)
    counts = np.zeros((n_items, weights.shape[0]))
    for rater in range(n_raters):
        at = np.flatnonzero(rated[:, rater])
        counts[at, codes[at, rater]] += 1
    for rater in range(n_raters):
        at = np.flatnonzero(rated[:, rater] & (n_rated > 1))
        agreed = np.einsum("ik,ik->i", counts[at], weights[codes[at, rater]]) - 1
        n_obs[rater] = at.size
        total[rater] = np.sum(agreed / (n_rated[at] - 1))
    with np.errstate(invalid="ignore"):
        return n_obs, np.where(n_obs > 0, total / np.maximum(n_obs, 1), np.nan)


def _beyond(observed: Floats, chance: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan)


def _gwet_chance(prevalence: Floats, weights: Floats) -> Floats:
    k = weights.shape[0]
    if k < 2:
        return np.ones(prevalence.shape[0])
    return np.asarray(weights.sum() / (k * (k - 1)) * np.sum(prevalence * (1 - prevalence), axis=1))


def _cohen(patterns: Patterns, weights: Floats, draws: Floats) -> Floats:
    """Return kappa of two raters, or its mean over the pairs who share items.

    All a pair needs are sums over items: how many it shares, how far it agrees, and how often each
    of the two used each category. One matrix product gives them for all pairs and draws.
    """
    n_raters, k = patterns.codes.shape[1], patterns.n_categories
    pairs = [(a, b) for a in range(n_raters) for b in range(a + 1, n_raters)]
    if len(pairs) > _MOST_PAIRS:
        return np.full(draws.shape[0], np.nan)
    one_hot = np.vstack([np.eye(k), np.zeros(k)])  # code -1 finds the last row
    parts = []
    for a, b in pairs:
        first, second = patterns.codes[:, a], patterns.codes[:, b]
        both = ((first >= 0) & (second >= 0)).astype(np.float64)
        if both.any():
            agreed = weights[first, second] * both
            used = np.hstack([one_hot[first], one_hot[second]]) * both[:, None]
            parts.append(np.column_stack([both, agreed, used]))
    if not parts:
        return np.full(draws.shape[0], np.nan)
    sums = (draws @ np.hstack(parts)).reshape(draws.shape[0], len(parts), 2 * k + 2)
    n = sums[:, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = sums[:, :, 1] / n
        rows, columns = sums[:, :, 2 : k + 2] / n[:, :, None], sums[:, :, k + 2 :] / n[:, :, None]
    kappas = _beyond(observed, np.sum((rows @ weights) * columns, axis=2))
    known = np.sum(~np.isnan(kappas), axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(known > 0, np.nansum(kappas, axis=1) / np.maximum(known, 1), np.nan)


def _krippendorff(patterns: Patterns, values: Floats, level: Level, draws: Floats) -> Floats:
    counts = patterns.counts
    rated = counts.sum(axis=1)
    if level == "interval":
        first, second = counts @ values, counts @ values**2
        within = draws @ ((rated * second - first**2) / (rated - 1))
        n, total, square = draws @ rated, draws @ first, draws @ second
        expected = (n * square - total**2) / (n - 1)
    elif level == "nominal":
        within = draws @ ((rated**2 - np.sum(counts**2, axis=1)) / (rated - 1))
        marginal = draws @ counts
        n = marginal.sum(axis=1)
        expected = (n**2 - np.sum(marginal**2, axis=1)) / (n - 1)
    else:
        within, expected = _ordinal_disagreement(counts, rated, draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 1e-12, 1 - within / expected, np.nan)


def _ordinal_disagreement(counts: Floats, rated: Floats, draws: Floats) -> tuple[Floats, Floats]:
    """Return observed and expected disagreement under Krippendorff's ordinal metric.

    The metric counts the ratings between two categories, so it changes with each resample.
    """
    k = counts.shape[1]
    marginal = draws @ counts
    n = marginal.sum(axis=1)
    pairs = np.einsum("pk,pl->pkl", counts, counts)
    pairs[:, np.arange(k), np.arange(k)] -= counts
    pairs /= (rated - 1)[:, None, None]
    if pairs.size > _LARGEST_COINCIDENCE:
        metric = np.repeat(_ordinal_metric(marginal[:1]), draws.shape[0], axis=0)
    else:
        metric = _ordinal_metric(marginal)
    coincidence = (draws @ pairs.reshape(-1, k * k)).reshape(-1, k, k)
    within = np.sum(coincidence * metric, axis=(1, 2))
    expected = np.einsum("bk,bl,bkl->b", marginal, marginal, metric) / (n - 1)
    return within, expected


def _ordinal_metric(marginal: Floats) -> Floats:
    up_to = np.cumsum(marginal, axis=1)
    middle = up_to - marginal / 2
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _draws(patterns: Patterns, size: int, rng: np.random.Generator) -> Floats:
    """Draw how often each pattern occurs in resamples of the items.

    A pattern at a time where patterns are few against items, else an item at a time: the two have
    the same distribution, and each is several times faster where it is used.
    """
    n_items, n_patterns = int(patterns.frequency.sum()), patterns.frequency.size
    if n_items > _ITEMS_PER_PATTERN * n_patterns:
        drawn = rng.multinomial(n_items, patterns.frequency / n_items, size=size)
        return drawn.astype(np.float64)
    at = patterns.row_pattern[rng.integers(0, n_items, (size, n_items), dtype=np.int32)]
    at += n_patterns * np.arange(size)[:, None]
    drawn = np.bincount(at.ravel(), minlength=size * n_patterns)
    return drawn.reshape(size, n_patterns).astype(np.float64)


def _fisher_interval(
    estimate: float, drawn: Floats, n_items: int, confidence_level: float
) -> tuple[float, float, float]:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(estimate) or known.size < 2:
        return estimate, np.nan, np.nan
    if abs(estimate) >= 1 - 1e-9:  # no disagreement was seen: the rule of three bounds it
        return estimate, estimate - np.sign(estimate) * min(1.0, 3 / n_items), estimate
    # a bootstrap spreads by (n - 1) / n too little
    spread = float(np.std(known, ddof=1)) * np.sqrt(n_items / max(n_items - 1, 1))
    half = normal_quantile(confidence_level) * spread / (1 - estimate**2)
    middle = np.arctanh(estimate)
    return estimate, float(np.tanh(middle - half)), float(np.tanh(middle + half))
