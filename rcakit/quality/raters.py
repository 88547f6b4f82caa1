"""Do people give the same item the same label, and who stands apart?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import SMALLEST_CELL, Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats import agreement as coefficient
from rcakit.stats.agreement import Level, Patterns
from rcakit.stats.dawid_skene import DawidSkene, dawid_skene
from rcakit.validation import check_choice, check_integer, check_number, shown

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["AgreementResult", "agreement"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")
_RATERS_FOR_ACCURACY = 3
_MOST_CATEGORIES = 50
# Krippendorff (2004), Content Analysis, 2nd ed., p. 241: rely on 0.8, tentatively on 0.667.
_RELIABLE, _TENTATIVE = 0.8, 0.667


@dataclass(frozen=True, slots=True)
class AgreementResult(Result):
    """Coefficients of agreement and one row per rater.

    Attributes
    ----------
    coefficients, raters, categories
        The rows of the tables.
    level
        Scale of the labels.
    has_paradox
        Whether raters agree nearly always while kappa is near zero.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    coefficients: tuple[Record, ...]
    raters: tuple[Record, ...]
    categories: tuple[Record, ...]
    level: Level
    has_paradox: bool
    caveats: tuple[str, ...]
    library: frames.Library
    _consensus: Any = field(compare=False, repr=False, default=None)

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "coefficients": {
            "coefficient": "String",
            "estimate": "Float64",
            "ci_lower": "Float64",
            "ci_upper": "Float64",
            "n_items": "Int64",
            "n_raters": "Int64",
        },
        "raters": {
            "rater": "Unknown",
            "n_obs": "Int64",
            "agreement": "Float64",
            "accuracy": "Float64",
            "is_inverted": "Boolean",
            "n_repeats": "Int64",
            "repeat_agreement": "Float64",
        },
        "categories": {
            "category": "Unknown",
            "prevalence": "Float64",
            "specific_agreement": "Float64",
        },
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``coefficients`` (default), ``raters`` or ``categories``."""
        return [dict(row) for row in getattr(self, self._table(table))]

    def estimate(self, name: str) -> float:
        """Return one coefficient by its name."""
        known = {row["coefficient"]: row["estimate"] for row in self.coefficients}
        return float(known[check_choice(name, "name", tuple(known))])

    def consensus(self) -> Any:
        """Return the most likely label of each item, with its probability.

        Labels weigh raters by the accuracy that the Dawid–Skene model gives them; with two raters
        it is the majority. Columns ``item``, ``label``, ``probability``.
        """
        return frames.hand_back(self._consensus(), self.library)

    def findings(self) -> tuple[Finding, ...]:
        """Say how far people agree, whether kappa misleads, and who stands apart (unnamed)."""
        found = [self._overall()]
        if self.has_paradox:
            found.append(self._paradox())
        found += self._apart()
        return tuple(found)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the coefficients with their intervals."""
        from rcakit.plots import quality

        return quality.agreement(self.to_records(), title=self._overall().claim)

    def _row(self, name: str) -> Record:
        return next(row for row in self.coefficients if row["coefficient"] == name)

    def _overall(self) -> Finding:
        alpha, observed = self._row("krippendorff_alpha"), self._row("percent_agreement")
        method = f"Krippendorff's alpha ({self.level}), items resampled"
        said = f"Two ratings of the same item agree {wording.percent(observed['estimate'])} of the time"
        if math.isnan(alpha["ci_lower"]) or alpha["n_items"] < SMALLEST_CELL:
            return withheld(
                "measurement",
                f"{said}; agreement beyond chance cannot be told.",
                why="all ratings are alike, or too few items were rated twice",
                unit="alpha",
                method=method,
                n_obs=alpha["n_items"],
                caveats=self.caveats,
            )
        word = (
            "good enough to rely on"
            if alpha["ci_lower"] >= _RELIABLE
            else "good enough for tentative conclusions"
            if alpha["estimate"] >= _TENTATIVE
            else "too low to rely on"
        )
        claim = (
            f"{said}; beyond chance the agreement is {alpha['estimate']:.2f} "
            f"({alpha['ci_lower']:.2f} to {alpha['ci_upper']:.2f}), {word}."
        )
        return Finding(
            claim=claim,
            kind="measurement",
            estimate=alpha["estimate"],
            ci_lower=alpha["ci_lower"],
            ci_upper=alpha["ci_upper"],
            unit="alpha",
            n_obs=alpha["n_items"],
            method=method,
            caveats=self.caveats,
            evidence={row["coefficient"]: row["estimate"] for row in self.coefficients},
        )

    def _paradox(self) -> Finding:
        ac, kappa = self._row("gwet_ac"), self._row("fleiss_kappa")
        top = max(self.categories, key=lambda row: row["prevalence"])
        claim = (
            f"Kappa ({kappa['estimate']:.2f}) misleads here: {wording.percent(top['prevalence'])} of "
            f"all labels are one category, so nearly all agreement counts as chance. Gwet's "
            f"coefficient, which does not, is {ac['estimate']:.2f}."
        )
        return Finding(
            claim=claim,
            kind="measurement",
            estimate=ac["estimate"],
            ci_lower=ac["ci_lower"],
            ci_upper=ac["ci_upper"],
            unit="AC1",
            n_obs=ac["n_items"],
            method="Gwet's AC",
            next_steps=("Add items of the rare category to the sample before judging reviewers.",),
        )

    def _apart(self) -> list[Finding]:
        inverted = [row for row in self.raters if row["is_inverted"]]
        if not inverted:
            return []
        n_obs = sum(row["n_obs"] for row in inverted)
        accuracy = float(
            np.average(
                [row["accuracy"] for row in inverted], weights=[row["n_obs"] for row in inverted]
            )
        )
        low, high = _wilson(accuracy * n_obs, n_obs)
        claim = (
            f"{wording.plural(len(inverted), 'rater')} of {len(self.raters)} "
            f"label{'s' if len(inverted) == 1 else ''} against all others more often than with "
            f"them (accuracy {wording.percent(accuracy)}): labels are probably swapped."
        )
        return [
            Finding(
                claim=claim,
                kind="measurement",
                estimate=accuracy,
                ci_lower=low,
                ci_upper=high,
                unit="share of items",
                n_obs=n_obs,
                method="Dawid–Skene model",
                next_steps=("Check the label set and tool of the rater at the top of `raters`.",),
            )
        ]


def agreement(
    data: Any,
    *,
    item: str,
    rater: str,
    label: str,
    level: Level = "nominal",
    scale: Sequence[Any] | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> AgreementResult:
    """Do people agree beyond chance, and how accurate is each?

    Parameters
    ----------
    data
        Table with one row per rating, in any supported engine.
    item, rater, label
        Columns: what was rated, who rated, which label.
    level
        ``nominal`` labels differ or not; ``ordinal`` labels have an order; ``interval`` labels are
        numbers whose differences mean something.
    scale
        The labels allowed, in order. Needed for ordinal text; by default the labels found, sorted.
    n_resamples
        Bootstrap draws of items.
    confidence_level
        Of the intervals.
    rng
        Seed or generator.

    Returns
    -------
    AgreementResult
        Tables ``coefficients`` (percent agreement, Cohen's kappa as the mean over pairs of raters,
        Fleiss' kappa, Krippendorff's alpha, Gwet's AC1 or AC2), ``raters`` and ``categories``.

    Raises
    ------
    NotEnoughDataError
        One rater, or no item with two ratings.
    SchemaError
        A label lies outside the scale, or an interval label is no number.

    Notes
    -----
    High agreement is not accuracy: reviewers and auditors who follow the same outdated guideline
    agree and are wrong together (`shared_error`). Accuracy of a rater comes from the model of
    Dawid and Skene (1979), which assumes independent errors and needs three raters. The sample of
    items must be random for the result to speak for all items. Repeats of the same rater on the
    same item enter ``repeat_agreement`` only.

    References
    ----------
    See `rcakit.stats.agreement.coefficients`.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> rows = pl.DataFrame({
    ...     "item": [1, 1, 2, 2, 3, 3, 4, 4], "rater": ["a", "b"] * 4, "label": list("xxyyxyxx"),
    ... })
    >>> quality.agreement(rows, item="item", rater="rater", label="label").estimate("cohen_kappa")
    0.5
    """
    check_choice(level, "level", _LEVELS)
    check_integer(n_resamples, "n_resamples", ge=100, hint="1000 give stable intervals.")
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    rows = frames.collect(data, (item, rater, label))
    given = rows.drop_nulls()
    frames.check_finite(given, [label])
    categories, values = _scale(given[label], level, scale, label)
    ratings = _matrix(given, (item, rater, label), categories)
    patterns = coefficient.find_patterns(ratings.codes, len(categories))
    _check_rated_twice(ratings, patterns)
    estimates = coefficient.resampled(
        patterns,
        values,
        level,
        n_resamples=n_resamples,
        confidence_level=confidence_level,
        rng=np.random.default_rng(rng),
    )
    n_items, n_raters = int(patterns.frequency.sum()), len(ratings.raters)
    table = tuple(
        {
            "coefficient": name,
            "estimate": row[0],
            "ci_lower": row[1],
            "ci_upper": row[2],
            "n_items": n_items,
            "n_raters": n_raters,
        }
        for name, row in estimates.items()
    )
    by_category = _categories(patterns, categories)
    model = _model(ratings, patterns)
    paradox = _is_paradox(estimates, by_category)
    return AgreementResult(
        coefficients=table,
        raters=_raters(ratings, coefficient.agreement_weights(values, level), model),
        categories=by_category,
        level=level,
        has_paradox=paradox,
        caveats=_caveats(rows.height - given.height, ratings, n_items, n_raters),
        library=frames.library(data),
        _consensus=lambda: _consensus(ratings, categories, model),
    )


@dataclass(frozen=True, slots=True)
class _Ratings:
    """First ratings as a matrix, and what repeats of the same rater say."""

    codes: Ints  # (items, raters)
    items: "pl.Series"
    raters: list[Any]
    n_repeats: Ints
    repeats_agreed: Ints


def _scale(
    labels: "pl.Series", level: Level, scale: Sequence[Any] | None, name: str
) -> tuple[list[Any], Floats]:
    """Return the categories in order and their numeric values."""
    found = sorted(labels.unique().to_list())
    if scale is not None:
        outside = [value for value in found if value not in scale]
        if outside:
            raise SchemaError(
                f"column {name!r} holds labels outside the scale, got {shown(outside[:5])}. "
                f"Allowed are {shown(list(scale))}: correct the labels or add them to scale=."
            )
    categories = list(scale) if scale is not None else found
    numeric = all(isinstance(value, int | float) for value in categories)
    if level == "interval" and not numeric:
        raise SchemaError(
            f"column {name!r} must hold numbers for level='interval', got "
            f"{shown(categories[:3])}. Use level='ordinal' with scale=."
        )
    if level == "ordinal" and scale is None and not numeric:
        raise SchemaError(
            f"column {name!r} holds text, whose order is unknown. Give scale= the labels in "
            f"order; found {shown(categories[:5])}."
        )
    if len(categories) > _MOST_CATEGORIES and level != "interval":
        raise SchemaError(
            f"column {name!r} holds {len(categories)} different labels, at most "
            f"{_MOST_CATEGORIES} are categories. Use level='interval' or group them."
        )
    values = np.array(categories if numeric else range(len(categories)), dtype=np.float64)
    return categories, values


def _matrix(rows: "pl.DataFrame", names: tuple[str, str, str], categories: list[Any]) -> _Ratings:
    """Arrange ratings as items by raters; the first of repeated ratings counts."""
    item, rater, label = (rows[name] for name in names)
    items, item_at = _numbered(item)
    raters, rater_at = _numbered(rater)
    if len(raters) < 2:
        raise NotEnoughDataError(
            f"agreement needs at least two raters, got {len(raters)} in column {names[1]!r}. "
            "Have a second person rate a random sample."
        )
    code = _codes(label, categories)
    n = len(raters)
    cell = item_at * n + rater_at
    matrix = np.full(len(items) * n, -1, dtype=np.int64)
    matrix[cell[::-1]] = code[::-1]  # the first rating is written last, so it stays
    codes = matrix.reshape(len(items), n)
    is_repeat = np.ones(cell.size, dtype=np.bool_)
    is_repeat[np.unique(cell, return_index=True)[1]] = False
    same = code[is_repeat] == matrix[cell[is_repeat]]
    return _Ratings(
        codes=codes,
        items=items,
        raters=raters.to_list(),
        n_repeats=np.bincount(rater_at[is_repeat], minlength=n),
        repeats_agreed=np.bincount(rater_at[is_repeat], same, minlength=n).astype(np.int64),
    )


def _numbered(column: "pl.Series") -> tuple["pl.Series", Ints]:
    """Return the different values in order, and the number of each row's value."""
    number = column.rank("dense").to_numpy().astype(np.int64) - 1
    return column.unique().sort(), number


def _codes(label: "pl.Series", categories: list[Any]) -> Ints:
    import polars as pl

    order = {value: i for i, value in enumerate(categories)}
    different = label.unique()
    number = pl.Series([order[value] for value in different.to_list()], dtype=pl.Int64)
    return label.replace_strict(different, number).to_numpy().astype(np.int64)


def _check_rated_twice(ratings: _Ratings, patterns: Patterns) -> None:
    if patterns.frequency.size == 0:
        raise NotEnoughDataError(
            f"agreement needs items with two ratings, got none among {len(ratings.items)} items. "
            "Check that item ids are the same for all raters."
        )


def _model(ratings: _Ratings, patterns: Patterns) -> DawidSkene | None:
    """Fit rater accuracies on the different rows; None where two raters cannot tell."""
    enough = np.sum(np.any(ratings.codes >= 0, axis=0)) >= _RATERS_FOR_ACCURACY
    if not enough or patterns.n_categories < 2:
        return None
    return dawid_skene(patterns.codes, patterns.n_categories, frequency=patterns.frequency)


def _raters(ratings: _Ratings, weights: Floats, model: DawidSkene | None) -> tuple[Record, ...]:
    n_obs, agreed = coefficient.rater_agreement(ratings.codes, weights)
    accuracy = np.full(n_obs.shape, np.nan) if model is None else model.accuracy
    chance = 1 / weights.shape[0]
    rows = [
        {
            "rater": name,
            "n_obs": int(n_obs[i]),
            "agreement": float(agreed[i]),
            "accuracy": float(accuracy[i]) if n_obs[i] else math.nan,
            "is_inverted": bool(
                n_obs[i] >= SMALLEST_CELL and _wilson(accuracy[i] * n_obs[i], n_obs[i])[1] < chance
            ),
            "n_repeats": int(ratings.n_repeats[i]),
            "repeat_agreement": (
                float(ratings.repeats_agreed[i] / ratings.n_repeats[i])
                if ratings.n_repeats[i]
                else math.nan
            ),
        }
        for i, name in enumerate(ratings.raters)
    ]
    return tuple(sorted(rows, key=lambda row: (math.isnan(row["agreement"]), row["agreement"])))


def _wilson(successes: float, n_obs: float) -> tuple[float, float]:
    from rcakit.stats.proportions import wilson

    low, high = wilson(successes, n_obs)
    return float(low), float(high)


def _categories(patterns: Patterns, categories: list[Any]) -> tuple[Record, ...]:
    """Return prevalence and specific agreement per category (Fleiss 1981, p. 214)."""
    counts, weight = patterns.counts, patterns.frequency
    total = weight @ counts
    rated = counts.sum(axis=1, keepdims=True)
    agreed = weight @ (counts * (counts - 1) / (rated - 1))
    return tuple(
        {
            "category": name,
            "prevalence": float(total[i] / total.sum()),
            "specific_agreement": float(agreed[i] / total[i]) if total[i] else math.nan,
        }
        for i, name in enumerate(categories)
    )


def _is_paradox(
    estimates: Mapping[Any, tuple[float, float, float]], categories: Sequence[Record]
) -> bool:
    """Tell whether raters agree nearly always while kappa says hardly beyond chance."""
    observed, kappa = estimates["percent_agreement"][0], estimates["fleiss_kappa"][0]
    one_sided = max(row["prevalence"] for row in categories) >= 0.85
    return bool(one_sided and observed >= 0.85 and kappa < 0.4)


def _consensus(
    ratings: _Ratings, categories: list[Any], model: DawidSkene | None
) -> "pl.DataFrame":
    """Return the most likely label per item, from all its ratings."""
    import polars as pl

    from rcakit.stats.dawid_skene import item_posterior, majority_vote

    chance = (
        majority_vote(ratings.codes, len(categories))
        if model is None
        else item_posterior(ratings.codes, model.prevalence, model.confusion)
    )
    best = np.argmax(chance, axis=1)
    return pl.DataFrame(
        {
            "item": ratings.items,
            "label": pl.Series([categories[i] for i in best]),
            "probability": chance[np.arange(best.size), best],
        }
    )


def _caveats(n_missing: int, ratings: _Ratings, n_items: int, n_raters: int) -> tuple[str, ...]:
    sentences = []
    if n_missing:
        sentences.append(
            f"{wording.plural(n_missing, 'rating')} without item, rater or label did not count."
        )
    alone = len(ratings.items) - n_items
    if alone:
        sentences.append(
            f"{wording.plural(alone, 'item')} with a single rating say nothing about "
            "agreement and did not count."
        )
    if n_items < 30:
        sentences.append(f"Only {n_items} items were rated twice: intervals are rough.")
    if n_raters < _RATERS_FOR_ACCURACY:
        sentences.append("Two raters cannot show who is right: a third would.")
    return tuple(sentences)
