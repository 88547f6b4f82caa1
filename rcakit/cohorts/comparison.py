"""Who differs in which outcome, once like is compared with like?"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.cohorts.covariates import encode
from rcakit.cohorts.effects import Kind, Pair, compared, suppressed
from rcakit.cohorts.overlap import NO_SUPPORT, describe, least_balanced, overlap_caveats
from rcakit.cohorts.result import CohortResult
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.stats.multiplicity import benjamini_hochberg, holm
from rcakit.validation import check_choice, check_integer, check_names, check_number, refusal

if TYPE_CHECKING:
    import polars as pl

    from rcakit.results import Record

__all__ = ["CohortResult", "Outcome", "compare"]

Floats = npt.NDArray[np.float64]
Outcome = str | tuple[str, str] | tuple[str, float]

_FEW_CLUSTERS = 10


def compare(
    data: Any,
    *,
    cohort: str,
    outcomes: str | Sequence[Outcome],
    reference: Any = None,
    focus: Any = None,
    adjust_for: str | Sequence[str] = (),
    estimand: Literal["att", "ate"] = "att",
    trim: float = 0.0,
    cluster: str | None = None,
    correction: Literal["holm", "bh"] = "holm",
    min_cell: int = 10,
    confidence_level: float = 0.95,
) -> CohortResult:
    """Who differs from the reference, as they are and at equal mix?

    Parameters
    ----------
    data
        Table with one row per case, in any supported engine.
    cohort
        Column of the cohorts.
    outcomes
        Columns. A pair of columns is a ratio of sums, a column and a number a quantile:
        ``["is_overturned", ("errors", "decisions"), ("handle_hours", 0.9)]``; in text these are
        ``errors / decisions`` and ``handle_hours quantile 0.9``.
    reference
        Cohort to compare with; the largest when left out.
    focus
        One cohort to compare with all others taken together, instead of each with a reference.
    adjust_for
        Covariates to hold equal. Numbers enter linearly; cast them to text for levels.
    estimand
        ``att``: what would the reference show with this cohort's mix? ``ate``: with everybody's?
    trim
        Leave out rows whose propensity is below this or above one minus this; the result then
        speaks for the rest only.
    cluster
        Column of the unit rows belong to (account, reviewer), whose rows are not independent.
    correction
        Over all outcomes and cohorts: ``holm`` for claims that must each stand, ``bh`` for a
        search.
    min_cell
        Cohorts with fewer rows are not shown.
    confidence_level
        Of the intervals.

    Returns
    -------
    CohortResult
        Tables ``outcomes``, ``balance``, ``overlap``, ``balance_by_cohort``; ``plot()`` and
        ``love_plot()``.

    Raises
    ------
    NotEnoughDataError
        Fewer than two cohorts, or a covariate without values.
    ParameterError
        An unknown reference or option, an outcome that is also a covariate.
    SchemaError
        A column is missing or not numeric.

    Notes
    -----
    The adjusted effect is doubly robust: right if the propensity model or the outcome model is.
    It needs every confounder to be in ``adjust_for``; the E-value says how strong one that is not
    there would have to be. Do not adjust for what the cohort itself changes (handling time when
    comparing vendors): that hides the effect. ``rate_effect`` and ``mix_effect`` split the raw
    effect symmetrically (Kitagawa; Oaxaca–Blinder), so ``rate_effect`` is close to the adjusted
    effect but holds the average mix.

    References
    ----------
    Kang and Schafer (2007), Statistical Science 22, p. 523; Austin (2011), Multivariate Behav.
    Res. 46, p. 399; Kitagawa (1955), JASA 50, p. 1168; VanderWeele and Ding (2017), Ann. Intern.
    Med. 167, p. 268.

    Examples
    --------
    >>> import polars as pl, rcakit.cohorts as cohorts
    >>> rows = pl.DataFrame({"site": ["north"] * 40 + ["south"] * 40,
    ...                      "is_late": [1, 0, 0, 0] * 10 + [1, 1, 0, 0] * 10})
    >>> found = cohorts.compare(rows, cohort="site", outcomes="is_late", reference="north")
    >>> found.to_records()[0]["effect"]
    0.25
    """
    check_choice(estimand, "estimand", ("att", "ate"))
    check_choice(correction, "correction", ("holm", "bh"))
    check_number(trim, "trim", ge=0, lt=0.5, hint="0.1 is a common choice.")
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_integer(min_cell, "min_cell", ge=2)
    wanted = _outcomes(outcomes, frames.columns(data))
    covariates = check_names(adjust_for, "adjust_for")
    _check_roles(cohort, wanted, covariates)
    rows, caveats = _rows(data, cohort, wanted, covariates, cluster)
    if focus is not None:
        rows, reference = _focused(rows, cohort, focus, reference)
    names, reference_name = _cohorts(rows, cohort, reference, min_cell)
    encoded = encode(rows, covariates, min_cell=min_cell)
    caveats += list(encoded.caveats)
    label = rows[cohort]
    is_reference = (label == reference_name).to_numpy()
    design = encoded.design()
    found: list[Record] = []
    overlap: list[Record] = []
    balance: list[Record] = []
    for name in names:
        at = np.flatnonzero(is_reference | (label == name).to_numpy())
        in_cohort = ~is_reference[at]
        if in_cohort.sum() < min_cell:
            found += [suppressed(title, name, int(in_cohort.sum())) for title, _, _ in wanted]
            caveats.append(
                f"{wording.visible(name)} has fewer than {min_cell} rows and is not shown."
            )
            continue
        pair = Pair(
            at,
            in_cohort,
            _part(design, at) if covariates else None,
            estimand,
            trim,
            None if cluster is None else _numbered(rows[cluster][at]),
        )
        fitted, kept = pair.fit()
        if covariates:
            described, smd = describe(name, pair, fitted, kept, encoded, at)
            overlap.append(described)
            balance += smd
            caveats += overlap_caveats(described, trim)
            if described["share_without_counterpart"] > NO_SUPPORT:
                fitted = None
        found += [
            compared(
                title, kind, _columns(rows, columns, at), name, pair, fitted, kept, confidence_level
            )
            for title, kind, columns in wanted
        ]
        caveats += _too_coarse(found[-len(wanted) :], wanted)
        if cluster is not None:
            caveats += _few_clusters(pair, name, cluster)
    adjust = holm if correction == "holm" else benjamini_hochberg
    qvalues = adjust([row["pvalue"] for row in found])
    table = tuple(row | {"qvalue": float(q)} for row, q in zip(found, qvalues, strict=True))
    constant = {
        title
        for title, kind, columns in wanted
        if kind != "ratio" and rows[columns[0]].min() == rows[columns[0]].max() is not None
    }
    caveats += [
        f"{wording.visible(title)} has one value in every row: check the column."
        for title in sorted(constant)
    ]
    if not covariates:
        caveats.append("Nothing was held equal: a difference may be one of mix.")
    return CohortResult(
        outcomes=tuple({key: row[key] for key in CohortResult.tables["outcomes"]} for row in table),
        balance=least_balanced(balance),
        overlap=tuple(overlap),
        balance_by_cohort=tuple(balance),
        reference=str(reference_name),
        adjust_for=covariates,
        estimand=estimand,
        caveats=tuple(dict.fromkeys(caveats)),
        confidence_level=confidence_level,
        library=frames.library(data),
    )


def _too_coarse(
    rows: Sequence["Record"], wanted: Sequence[tuple[str, Kind, tuple[Any, ...]]]
) -> list[str]:
    """Say which quantiles have no interval because their values are tied."""
    return [
        f"{wording.visible(title)} has no interval: too many rows hold that one value. Compare the "
        "share of rows above a value instead."
        for row, (title, kind, _) in zip(rows, wanted, strict=True)
        if kind == "quantile" and math.isnan(row["effect_ci_lower"]) and not math.isnan(row["mean"])
    ]


def _few_clusters(pair: Pair, name: str, cluster: str) -> list[str]:
    """Say where an interval rests on few clusters, or cannot be had from one."""
    assert pair.cluster is not None
    fewest = min(np.unique(pair.cluster[side]).size for side in (pair.in_cohort, ~pair.in_cohort))
    who, what = wording.visible(name), wording.visible(cluster)
    if fewest < 2:
        return [
            (
                f"All rows of {who} or of the reference share one {what}: what is of the cohort and "
                f"what of that {what} cannot be told apart. Give a cluster that a cohort has several of."
            )
        ]
    if fewest < _FEW_CLUSTERS:
        return [
            f"The intervals of {who} rest on {fewest} values of {what} on one side and are rough."
        ]
    return []


def _outcomes(
    given: str | Sequence[Outcome], known: Sequence[str]
) -> list[tuple[str, Kind, tuple[Any, ...]]]:
    """Return title, kind and columns of each outcome; ``mean`` may turn out to be binary."""
    listed = [_as_pair(item, known) for item in ([given] if isinstance(given, str) else given)]
    found: list[tuple[str, Kind, tuple[Any, ...]]] = []
    for item in listed:
        if isinstance(item, str):
            found.append((item, "mean", (item,)))
        elif _is_pair(item) and isinstance(item[1], str):
            found.append((f"{item[0]} / {item[1]}", "ratio", tuple(item)))
        elif _is_pair(item):
            share = check_number(item[1], f"quantile of {item[0]}", gt=0, lt=1)
            found.append((f"{item[0]} quantile {share:g}", "quantile", (item[0], share)))
        else:
            raise refusal("outcomes", "columns, pairs of columns, or a column and a quantile", item)
    if not found:
        raise refusal("outcomes", "at least one column", given)
    return found


def _as_pair(item: Any, known: Sequence[str]) -> Any:
    """Read a ratio or quantile written as its title, unless a column has that name."""
    if not isinstance(item, str) or item in known:
        return item
    top, ratio, bottom = item.partition(" / ")
    if ratio:
        return (top, bottom)
    column, quantile, share = item.partition(" quantile ")
    try:
        return (column, float(share)) if quantile else item
    except ValueError:
        return item


def _is_pair(item: Any) -> bool:
    """Tell whether an outcome is a column with something beside it."""
    return isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str)


def _check_roles(
    cohort: str, outcomes: Sequence[tuple[str, Kind, tuple[Any, ...]]], covariates: Sequence[str]
) -> None:
    for name in covariates:
        if name == cohort or any(name == columns[0] for _, _, columns in outcomes):
            raise refusal(
                "adjust_for",
                "columns that are neither cohort nor outcome",
                name,
                "Holding the outcome equal would hide every difference.",
            )


def _rows(
    data: Any,
    cohort: str,
    outcomes: Sequence[tuple[str, Kind, tuple[Any, ...]]],
    covariates: Sequence[str],
    cluster: str | None,
) -> tuple["pl.DataFrame", list[str]]:
    """Bring home the columns needed; cohorts as text, outcomes as numbers."""
    import polars as pl

    numbers = list(
        dict.fromkeys(
            name for _, _, columns in outcomes for name in columns if isinstance(name, str)
        )
    )
    frames.check_columns(data, (cohort, *numbers, *covariates, cluster))
    rows = frames.collect(data, [cohort, *numbers, *covariates, *([cluster] if cluster else [])])
    for name in numbers:
        if not (rows[name].dtype.is_numeric() or rows[name].dtype in {pl.Boolean, pl.Null}):
            raise SchemaError(
                f"outcome {name!r} must be numeric or boolean, got {rows[name].dtype}. "
                "Turn categories into 0/1 columns."
            )
    rows = rows.with_columns(pl.col(numbers).cast(pl.Float64), pl.col(cohort).cast(pl.String))
    frames.check_finite(rows, (*numbers, *covariates))
    for top, bottom in (columns for _, kind, columns in outcomes if kind == "ratio"):
        _check_denominator(rows, top, bottom)
    lost = rows[cohort].null_count()
    said = [f"{wording.plural(lost, 'row')} without cohort did not count."] if lost else []
    said += [
        f"{wording.visible(name)} is missing in {wording.plural(rows[name].null_count(), 'row')}, "
        "which did not count for it."
        for name in numbers
        if rows[name].null_count()
    ]
    return (rows.drop_nulls(cohort) if lost else rows), said


def _check_denominator(rows: "pl.DataFrame", top: str, bottom: str) -> None:
    """Refuse a denominator that is negative, or zero throughout."""
    known = rows[bottom].drop_nulls().to_numpy().astype(np.float64)
    lowest, highest = (known.min(), known.max()) if known.size else (0.0, 0.0)
    if lowest < 0 or highest == 0:
        raise SchemaError(
            f"column {bottom!r} must hold cases that {top!r} is out of, got values from {lowest:g} "
            f"to {highest:g}. A denominator is never negative, and not zero in every row."
        )


def _focused(
    rows: "pl.DataFrame", cohort: str, focus: Any, reference: Any
) -> tuple["pl.DataFrame", str]:
    """Put all cohorts but one together, under a name that is not the one's."""
    import polars as pl

    if reference is not None:
        raise refusal("reference", "left out when focus is given", reference)
    names = rows[cohort].unique().sort().to_list()
    if (chosen := _named(names, focus)) is None:
        raise refusal("focus", f"one of the cohorts {names[:10]}", focus)
    others = "others" if chosen != "others" else "all-others"
    name = pl.when(pl.col(cohort) == chosen).then(pl.lit(chosen)).otherwise(pl.lit(others))
    return rows.with_columns(name.alias(cohort)), others


def _cohorts(
    rows: "pl.DataFrame", cohort: str, reference: Any, min_cell: int
) -> tuple[list[str], str]:
    """Return the cohorts to compare, in order of name, and the reference."""
    counted = rows[cohort].value_counts(name="__n").sort(["__n", cohort], descending=[True, False])
    names = counted[cohort].to_list()
    if len(names) < 2:
        raise NotEnoughDataError(
            f"a comparison needs at least two cohorts, got {len(names)} in column {cohort!r}. "
            "Check the filter, or compare periods instead."
        )
    chosen = names[0] if reference is None else _named(names, reference)
    if chosen is None:
        raise refusal("reference", f"one of the cohorts {sorted(names)[:10]}", reference)
    size = int(counted.filter(counted[cohort] == chosen)["__n"][0])
    if size < min_cell:
        raise NotEnoughDataError(
            f"the reference {chosen!r} has {size} rows, at least {min_cell} are needed. "
            "Choose a larger reference."
        )
    return sorted(name for name in names if name != chosen), chosen


def _named(names: Sequence[str], given: Any) -> str | None:
    """Find a cohort by its name; a number also by its value, as 0 and 0.0 are the same."""
    if str(given) in names:
        return str(given)
    if isinstance(given, int | float):
        return next((name for name in names if _is_number(name, given)), None)
    return None


def _is_number(text: str, value: float) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


def _numbered(column: "pl.Series") -> npt.NDArray[np.int64]:
    """Number the values of a column from 0; rows without a value belong together."""
    text = column.cast(str).fill_null("(missing)")
    return text.rank("dense").to_numpy().astype(np.int64) - 1


def _columns(
    rows: "pl.DataFrame", columns: tuple[Any, ...], at: npt.NDArray[np.int64]
) -> list[Any]:
    return [_part(rows[name].to_numpy(), at) if isinstance(name, str) else name for name in columns]


def _part(values: Floats, at: npt.NDArray[np.int64]) -> Floats:
    """Return the rows at these places; all of them without a copy."""
    return values if at.size == values.shape[0] else values[at]
