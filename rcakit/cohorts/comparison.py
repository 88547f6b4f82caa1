"""Who differs in which outcome, once like is compared with like?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.cohorts.covariates import Covariates, encode
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats import weighting
from rcakit.stats.influence import difference_interval
from rcakit.stats.multiplicity import benjamini_hochberg, holm
from rcakit.stats.proportions import newcombe_difference, normal_quantile
from rcakit.validation import check_choice, check_integer, check_names, check_number, refusal

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["CohortResult", "Outcome", "compare"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Outcome = str | tuple[str, str] | tuple[str, float]
Kind = Literal["binary", "mean", "ratio", "quantile"]

_FEWEST_EFFECTIVE = 10
_BALANCED = 0.1  # standard deviations (Austin 2011, p. 412)
_POOR_SUPPORT, _NO_SUPPORT = 0.05, 0.5
_POOR_SIZE = 0.1


@dataclass(frozen=True, slots=True)
class CohortResult(Result):
    """Outcomes of cohorts against a reference, as they are and at equal mix.

    Attributes
    ----------
    outcomes, balance, overlap, balance_by_cohort
        The rows of the tables. ``balance`` shows, per covariate and level, the cohort that is
        least balanced; ``balance_by_cohort`` shows all.
    reference
        The cohort compared with.
    adjust_for
        Covariates held equal.
    estimand
        Whose mix is held: ``att`` the cohort's, ``ate`` everybody's.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    outcomes: tuple[Record, ...]
    balance: tuple[Record, ...]
    overlap: tuple[Record, ...]
    balance_by_cohort: tuple[Record, ...]
    reference: str
    adjust_for: tuple[str, ...]
    estimand: str
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "outcomes": {
            "outcome": "String",
            "cohort": "String",
            "n_obs": "Int64",
            "mean": "Float64",
            "reference_mean": "Float64",
            "effect": "Float64",
            "effect_ci_lower": "Float64",
            "effect_ci_upper": "Float64",
            "adjusted_effect": "Float64",
            "adjusted_effect_ci_lower": "Float64",
            "adjusted_effect_ci_upper": "Float64",
            "pvalue": "Float64",
            "qvalue": "Float64",
            "rate_effect": "Float64",
            "mix_effect": "Float64",
            "e_value": "Float64",
        },
        "balance": {
            "covariate": "String",
            "level": "String",
            "smd_raw": "Float64",
            "smd_adjusted": "Float64",
        },
        "overlap": {
            "cohort": "String",
            "n_obs": "Int64",
            "n_reference": "Int64",
            "n_trimmed": "Int64",
            "n_effective_reference": "Float64",
            "share_without_counterpart": "Float64",
            "largest_smd": "Float64",
        },
        "balance_by_cohort": {
            "cohort": "String",
            "covariate": "String",
            "level": "String",
            "smd_raw": "Float64",
            "smd_adjusted": "Float64",
        },
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``outcomes`` (default), ``balance``, ``overlap`` or the rest."""
        return [dict(row) for row in getattr(self, self._table(table))]

    def findings(self) -> tuple[Finding, ...]:
        """Say per outcome and cohort what differs, and what is left at equal mix."""
        rows = sorted(self.outcomes, key=lambda row: (math.isnan(row["pvalue"]), row["pvalue"]))
        return tuple(self._finding(row) for row in rows)

    def plot(self) -> "alt.TopLevelMixin":
        """Draw raw and adjusted differences with their intervals."""
        from rcakit.plots import cohorts

        return cohorts.effects(self.to_records(), reference=self.reference, title=self.reading())

    def verdict(self) -> Finding:
        """Return the clearest answer as the verdict of a report."""
        first = self.findings()[0]
        if first.withheld_because is not None:
            return replace(first, kind="verdict", verdict="no_evidence")
        differs = first.kind == "difference" and first.strength != "weak"
        word = "localised" if differs else "mix" if first.kind == "ruled_out" else "no_evidence"
        return replace(first, kind="verdict", verdict=word)

    def love_plot(self) -> "alt.TopLevelMixin":
        """Draw how unlike the cohorts are before and after weighting."""
        from rcakit.plots import cohorts

        worst = max(
            (
                abs(row["smd_adjusted"])
                for row in self.balance
                if not math.isnan(row["smd_adjusted"])
            ),
            default=math.nan,
        )
        title = (
            "No covariates were held equal."
            if not self.balance
            else f"After weighting the largest difference is {worst:.2f} standard deviations "
            f"({_BALANCED} or less is balanced)."
        )
        return cohorts.love(self.to_records("balance"), title=title)

    def _finding(self, row: Record) -> Finding:
        adjusted = bool(self.adjust_for)
        name = "adjusted_effect" if adjusted else "effect"
        estimate, low, high = row[name], row[f"{name}_ci_lower"], row[f"{name}_ci_upper"]
        who, what = wording.visible(row["cohort"]), wording.visible(row["outcome"])
        method = "doubly robust weighting" if adjusted else "difference of groups as they are"
        common: dict[str, Any] = {
            "unit": what,
            "n_obs": row["n_obs"],
            "method": method,
            "caveats": self.caveats,
            "segment": {"cohort": row["cohort"]},
        }
        if math.isnan(estimate) or math.isnan(low):
            return withheld(
                "difference",
                f"How {who} differs in {what} cannot be told.",
                why="too few rows, or no counterparts in the reference",
                **common,
            )
        raw = wording.amount(row["effect"], signed=True)
        numbers = (
            f"{wording.amount(estimate, signed=True)} ({wording.interval(low, high, signed=True)})"
        )
        same = low <= 0 <= high
        raw_is_gap = row["effect_ci_lower"] > 0 or row["effect_ci_upper"] < 0
        explained = adjusted and same and raw_is_gap and not low <= row["effect"] <= high
        mix, other = _listed(self.adjust_for), wording.visible(self.reference)
        if explained:
            claim = (
                f"The difference of {who} in {what} ({raw}) is explained by its mix: at equal "
                f"{mix} it is {numbers}."
            )
        elif same and raw_is_gap and adjusted:
            claim = (
                f"{who} differs in {what} as it is ({raw}); whether it still does at equal {mix} "
                f"cannot be told: {numbers}."
            )
        elif same:
            claim = f"No difference between {who} and {other} in {what} can be shown: {numbers}."
        elif adjusted and row["effect"] * estimate < 0:
            claim = (
                f"{who} looks {'higher' if row['effect'] > 0 else 'lower'} in {what} ({raw}), but "
                f"at equal {mix} it is the other way round: {numbers}."
            )
        else:
            claim = (
                f"{who} differs from {other} in {what} by {numbers}"
                f"{' at equal ' + mix if adjusted else ''}."
            )
        return Finding(
            claim=claim,
            kind="ruled_out" if explained else "difference",
            estimate=estimate,
            ci_lower=low,
            ci_upper=high,
            evidence={
                key: row[key]
                for key in ("effect", "rate_effect", "mix_effect", "qvalue", "e_value")
            },
            **common,
        )


def compare(
    data: Any,
    *,
    cohort: str,
    outcomes: str | Sequence[Outcome],
    reference: Any = None,
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
        ``["is_overturned", ("errors", "decisions"), ("handle_hours", 0.9)]``.
    reference
        Cohort to compare with; the largest when left out.
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
    comparing vendors): that hides the effect. Quantiles are weighted only. ``rate_effect`` and
    ``mix_effect`` split the raw effect symmetrically (Kitagawa; Oaxaca–Blinder), so
    ``rate_effect`` is close to the adjusted effect but holds the average mix.

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
    wanted = _outcomes(outcomes)
    covariates = check_names(adjust_for, "adjust_for")
    _check_roles(cohort, wanted, covariates)
    rows, caveats = _rows(data, cohort, wanted, covariates, cluster)
    names, reference_name = _cohorts(rows, cohort, reference, min_cell)
    encoded = encode(rows, covariates, min_cell=min_cell)
    caveats += list(encoded.caveats)
    label = rows[cohort].to_numpy()
    is_reference = label == reference_name
    design = encoded.design()
    found: list[Record] = []
    overlap: list[Record] = []
    balance: list[Record] = []
    for name in names:
        at = np.flatnonzero(is_reference | (label == name))
        in_cohort = ~is_reference[at]
        if in_cohort.sum() < min_cell:
            found += [_suppressed(title, name, int(in_cohort.sum())) for title, _, _ in wanted]
            caveats.append(
                f"{wording.visible(name)} has fewer than {min_cell} rows and is not shown."
            )
            continue
        pair = _Pair(
            at,
            in_cohort,
            _part(design, at) if covariates else None,
            estimand,
            trim,
            None if cluster is None else _numbered(rows[cluster][at]),
        )
        fitted, kept = pair.fit()
        if covariates:
            described, smd = _describe(name, pair, fitted, kept, encoded, at)
            overlap.append(described)
            balance += smd
            caveats += _overlap_caveats(described, trim)
            if described["share_without_counterpart"] > _NO_SUPPORT:
                fitted = None
        found += [
            _compared(
                title, kind, _columns(rows, columns, at), name, pair, fitted, kept, confidence_level
            )
            for title, kind, columns in wanted
        ]
    adjust = holm if correction == "holm" else benjamini_hochberg
    qvalues = adjust([row["pvalue"] for row in found])
    table = tuple(row | {"qvalue": float(q)} for row, q in zip(found, qvalues, strict=True))
    if not covariates:
        caveats.append("Nothing was held equal: a difference may be one of mix.")
    return CohortResult(
        outcomes=tuple({key: row[key] for key in CohortResult.tables["outcomes"]} for row in table),
        balance=_worst(balance),
        overlap=tuple(overlap),
        balance_by_cohort=tuple(balance),
        reference=str(reference_name),
        adjust_for=covariates,
        estimand=estimand,
        caveats=tuple(dict.fromkeys(caveats)),
        library=frames.library(data),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """A cohort and the reference, row by row."""

    at: npt.NDArray[np.int64]
    in_cohort: Flags
    design: Floats | None
    estimand: str
    trim: float
    cluster: npt.NDArray[Any] | None

    def fit(self, seen: Flags | None = None) -> tuple[weighting.Adjustment | None, Flags]:
        """Fit the weights, on the rows seen; None without covariates or overlap."""
        everything = np.ones(self.in_cohort.size, dtype=np.bool_)
        if self.design is None:
            return None, everything
        if seen is None or seen.all():
            return weighting.adjust(
                self.design, self.in_cohort, estimand=self.estimand, trim=self.trim
            )
        fitted, part = weighting.adjust(
            self.design[seen], self.in_cohort[seen], estimand=self.estimand, trim=self.trim
        )
        kept = np.zeros(seen.size, dtype=np.bool_)
        kept[np.flatnonzero(seen)[part]] = True
        return fitted, kept


def _outcomes(given: str | Sequence[Outcome]) -> list[tuple[str, Kind, tuple[Any, ...]]]:
    """Return title, kind and columns of each outcome; ``mean`` may turn out to be binary."""
    listed = [given] if isinstance(given, str) else list(given)
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
    lost = rows[cohort].null_count()
    said = [f"{wording.plural(lost, 'row')} without cohort did not count."] if lost else []
    said += [
        f"{wording.visible(name)} is missing in {wording.plural(rows[name].null_count(), 'row')}, "
        "which did not count for it."
        for name in numbers
        if rows[name].null_count()
    ]
    return (rows.drop_nulls(cohort) if lost else rows), said


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


def _suppressed(title: str, name: str, n_obs: int) -> Record:
    row: Record = dict.fromkeys(CohortResult.tables["outcomes"], math.nan)
    return row | {"outcome": title, "cohort": name, "n_obs": n_obs}


def _compared(
    title: str,
    kind: Kind,
    columns: list[Any],
    name: str,
    pair: _Pair,
    fitted: weighting.Adjustment | None,
    kept: Flags,
    confidence_level: float,
) -> Record:
    """Compare one outcome of one cohort with the reference."""
    numbers = [column for column in columns if isinstance(column, np.ndarray)]
    seen = np.all([~np.isnan(column) for column in numbers], axis=0)
    group = pair.in_cohort[seen]
    inside, outside = int(group.sum()), int((~group).sum())
    if min(inside, outside) < 2:
        return _suppressed(title, name, inside)
    values = [column[seen] if isinstance(column, np.ndarray) else column for column in columns]
    cluster = None if pair.cluster is None else pair.cluster[seen]
    raw = _raw(kind, values, group, cluster, confidence_level)
    if not seen.all() and fitted is not None:
        fitted, kept = pair.fit(seen)
    adjusted = (math.nan,) * 4
    if fitted is not None:
        used = [column[kept] if isinstance(column, np.ndarray) else column for column in columns]
        kept_cluster = None if pair.cluster is None else pair.cluster[kept]
        adjusted = _adjusted(kind, used, fitted, kept_cluster, confidence_level)
    rate, mix = _split(kind, values, group, None if pair.design is None else pair.design[seen])
    effect, low, high, pvalue = adjusted if pair.design is not None else raw[2:]
    ratio = _risk_ratio(kind, values, group, raw, effect, low, high)
    return {
        "outcome": title,
        "cohort": name,
        "n_obs": inside,
        "mean": raw[0],
        "reference_mean": raw[1],
        "effect": raw[2],
        "effect_ci_lower": raw[3],
        "effect_ci_upper": raw[4],
        "adjusted_effect": adjusted[0],
        "adjusted_effect_ci_lower": adjusted[1],
        "adjusted_effect_ci_upper": adjusted[2],
        "pvalue": pvalue,
        "qvalue": math.nan,
        "rate_effect": rate,
        "mix_effect": mix,
        "e_value": weighting.e_value(*ratio)[0],
    }


def _raw(
    kind: Kind, values: list[Any], group: Flags, cluster: npt.NDArray[Any] | None, level: float
) -> tuple[float, float, float, float, float, float]:
    """Return both means, their difference, its interval and p-value, as the groups are."""
    if kind == "quantile":
        return _raw_quantile(values, group, level)
    mean, other, influence = _raw_influence(kind, values, group)
    low, high, pvalue = difference_interval(
        mean - other,
        influence,
        values[1] if kind == "ratio" else np.ones(group.size),
        group,
        cluster=cluster,
        confidence_level=level,
    )
    x = values[0]
    if kind == "mean" and cluster is None and np.all((x == 0) | (x == 1)):
        low, high = (
            float(bound)
            for bound in newcombe_difference(
                x[group].sum(), group.sum(), x[~group].sum(), (~group).sum(), confidence_level=level
            )
        )
    return mean, other, mean - other, low, high, pvalue


def _raw_influence(kind: Kind, values: list[Any], group: Flags) -> tuple[float, float, Floats]:
    means = []
    influence = np.empty(group.size)
    for side, sign in ((group, 1.0), (~group, -1.0)):
        top = values[0][side]
        bottom = values[1][side] if kind == "ratio" else np.ones(top.size)
        if bottom.sum() <= 0:
            return math.nan, math.nan, np.full(group.size, np.nan)
        means.append(float(top.sum() / bottom.sum()))
        share = side.mean() * bottom.mean()
        influence[side] = sign * (top - means[-1] * bottom) / share
    return means[0], means[1], influence


def _adjusted(
    kind: Kind,
    values: list[Any],
    fitted: weighting.Adjustment,
    cluster: npt.NDArray[Any] | None,
    level: float,
) -> tuple[float, float, float, float]:
    """Return the adjusted effect with interval and p-value."""
    if kind == "quantile":
        return _adjusted_quantile(values, fitted, level)
    mean, other, own, others, pull = weighting.adjusted_influence(fitted, values[0])
    if kind == "ratio":
        base, other_base, own_base, others_base, _ = weighting.adjusted_influence(fitted, values[1])
        if min(base, other_base) <= 0:
            return (math.nan,) * 4
        mean, other = mean / base, other / other_base
        own, others = (own - mean * own_base) / base, (others - other * others_base) / other_base
        pull = pull * values[1]
    effect = mean - other
    low, high, pvalue = difference_interval(
        effect,
        own - others,
        pull,
        fitted.in_cohort,
        cluster=cluster,
        n_terms=fitted.design.shape[1],
        confidence_level=level,
    )
    return effect, low, high, pvalue


def _raw_quantile(
    values: list[Any], group: Flags, level: float
) -> tuple[float, float, float, float, float, float]:
    z = normal_quantile(level)
    (mean, error), (other, other_error) = (
        weighting.weighted_quantile(values[0][side], np.ones(side.sum()), values[1], z=z)
        for side in (group, ~group)
    )
    return mean, other, *_normal(mean - other, math.hypot(error, other_error), z)


def _adjusted_quantile(
    values: list[Any], fitted: weighting.Adjustment, level: float
) -> tuple[float, float, float, float]:
    z = normal_quantile(level)
    (mean, error), (other, other_error) = (
        weighting.weighted_quantile(values[0][side], fitted.weight[side], values[1], z=z)
        for side in (fitted.in_cohort, ~fitted.in_cohort)
    )
    return _normal(mean - other, math.hypot(error, other_error), z)


def _normal(effect: float, error: float, z: float) -> tuple[float, float, float, float]:
    from scipy import special

    pvalue = float(2 * special.ndtr(-abs(effect) / error)) if error > 0 else math.nan
    return effect, effect - z * error, effect + z * error, pvalue


def _split(
    kind: Kind, values: list[Any], group: Flags, design: Floats | None
) -> tuple[float, float]:
    """Split the raw effect into rate and mix; nan for quantiles and without covariates."""
    if design is None or kind == "quantile":
        return math.nan, math.nan
    if kind == "mean":
        return weighting.oaxaca_blinder(design, values[0], group)
    bottom = values[1]
    some = bottom > 0
    ratio = np.divide(values[0], bottom, out=np.zeros_like(bottom), where=some)
    return weighting.oaxaca_blinder(design, ratio, group, weight=bottom)


def _risk_ratio(
    kind: Kind,
    values: list[Any],
    group: Flags,
    raw: tuple[float, ...],
    effect: float,
    low: float,
    high: float,
) -> tuple[float, float, float]:
    """Return the effect as a risk ratio: exact for rates, approximate for means.

    A difference of d standard deviations counts as ``exp(0.91 d)`` (VanderWeele and Ding 2017).
    """
    x = values[0]
    if kind == "quantile" or math.isnan(effect):
        return (math.nan,) * 3
    rate_like = kind == "ratio" or bool(np.all(x >= 0) and np.all(x == np.round(x)))
    if rate_like:
        base = raw[0] - effect  # what the reference would show at the cohort's mix
        return tuple(  # type: ignore[return-value]
            max(base + bound, 0.0) / base if base > 0 else math.nan for bound in (effect, low, high)
        )
    spread = math.sqrt((np.var(x[group], ddof=1) + np.var(x[~group], ddof=1)) / 2)
    if spread == 0:
        return (math.nan,) * 3
    return tuple(  # type: ignore[return-value]
        math.exp(min(0.91 * bound / spread, 700.0)) for bound in (effect, low, high)
    )


def _describe(
    name: str,
    pair: _Pair,
    fitted: weighting.Adjustment | None,
    kept: Flags,
    encoded: Covariates,
    at: npt.NDArray[np.int64],
) -> tuple[Record, list[Record]]:
    """Return the overlap of a cohort with the reference, and the balance of its covariates."""
    columns = _part(encoded.columns, at)
    weight = np.full(pair.in_cohort.size, 1.0 if fitted is None else 0.0)
    if fitted is not None:
        weight[kept] = fitted.weight
    raw, adjusted = weighting.balance(columns, pair.in_cohort, weight, encoded.is_binary)
    size, alone = 0.0, 1.0
    if fitted is None:
        adjusted = np.full(columns.shape[1], np.nan)
    else:
        group, chance = fitted.in_cohort, fitted.propensity
        size = weighting.effective_size(fitted.weight[~group])
        without = (chance > chance[~group].max()) & (chance > 0.99)
        reference_sum = (~pair.in_cohort * kept).astype(np.float64) @ columns
        if (absent := encoded.is_binary & (reference_sum == 0)).any():
            without |= columns[np.ix_(kept, absent)].any(axis=1)
        alone = float(np.mean(without[group]))
    if size < _FEWEST_EFFECTIVE:
        alone = 1.0
    known = np.abs(adjusted[~np.isnan(adjusted)])
    described = {
        "cohort": name,
        "n_obs": int(pair.in_cohort.sum()),
        "n_reference": int((~pair.in_cohort).sum()),
        "n_trimmed": int((~kept).sum()),
        "n_effective_reference": size,
        "share_without_counterpart": alone,
        "largest_smd": float(known.max()) if known.size else math.nan,
    }
    smd = [
        {
            "cohort": name,
            "covariate": covariate,
            "level": level,
            "smd_raw": float(raw[i]),
            "smd_adjusted": float(adjusted[i]),
        }
        for i, (covariate, level) in enumerate(encoded.names)
    ]
    return described, smd


def _overlap_caveats(described: Record, trim: float) -> list[str]:
    who = wording.visible(described["cohort"])
    alone, size = described["share_without_counterpart"], described["n_effective_reference"]
    if alone > _NO_SUPPORT:
        return [
            (
                f"{who} has no counterparts in the reference: nothing can be said at equal mix. "
                "Hold fewer covariates equal, or choose another reference."
            )
        ]
    said = []
    if alone > _POOR_SUPPORT:
        said.append(
            f"{wording.percent(alone)} of {who} has no counterpart in the reference; for "
            "these the adjusted effect rests on the outcome model alone."
        )
    if size < _POOR_SIZE * described["n_reference"]:
        said.append(
            f"Weighted to {who}, the reference counts as {wording.amount(round(size))} rows "
            f"of {wording.amount(described['n_reference'])}."
        )
    if described["largest_smd"] > _BALANCED:
        said.append(
            f"{who} and the reference stay {described['largest_smd']:.2f} standard deviations "
            "apart in one covariate after weighting; the regression takes out the rest."
        )
    if described["n_trimmed"]:
        said.append(
            f"{wording.plural(described['n_trimmed'], 'row')} of {who} and the reference had a "
            f"propensity beyond {trim:g} and were left out."
        )
    return said


def _worst(rows: Sequence[Record]) -> tuple[Record, ...]:
    """Keep, per covariate and level, the cohort that is least balanced."""
    kept: dict[tuple[str, str | None], Record] = {}
    for row in rows:
        key = (row["covariate"], row["level"])
        if key not in kept or abs(row["smd_adjusted"]) > abs(kept[key]["smd_adjusted"]):
            kept[key] = row
    return tuple(
        {name: row[name] for name in CohortResult.tables["balance"]} for row in kept.values()
    )


def _listed(names: Sequence[str]) -> str:
    said = [wording.visible(name) for name in names]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else ""
