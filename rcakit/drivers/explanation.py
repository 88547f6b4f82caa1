"""Explain: which combination of attributes carries a change, how much of it, how sure?"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.drivers.entities import entity_shares
from rcakit.drivers.honesty import notes
from rcakit.drivers.leaf_table import LeafTable, Span, leaf_table
from rcakit.drivers.ordering import Cut, Ordered, cuts_of, nestings_of, orders_of
from rcakit.drivers.result import DriverResult
from rcakit.errors import NotEnoughDataError, ParameterError
from rcakit.stats.attribution.candidates import Nesting
from rcakit.stats.attribution.outcome import Attribution, ErrorRate
from rcakit.stats.attribution.sums import sum_by
from rcakit.stats.rhythm import rhythm
from rcakit.validation import (
    check_choice,
    check_integer,
    check_names,
    check_number,
    check_period,
    shown,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["explain"]

_MIN_BASELINE_DAYS = 14
# A table with one row a week or a month tells its noise from this many, or from more if asked to.
_MIN_OCCASIONS = 6
_FEWEST_OCCASIONS = {"1d": 0, "1w": 13 * 7, "1mo": 366}
_LONGEST_OF_FEW = 366


def explain(
    data: Any,
    *,
    dimensions: str | Sequence[str],
    time: str | None = None,
    period: Sequence[str | dt.date] | None = None,
    value: str | None = None,
    denominator: str | None = None,
    baseline: Sequence[str | dt.date] | int | None = None,
    expected: str | None = None,
    max_depth: int = 3,
    max_causes: int = 8,
    tz: str = "UTC",
    alpha: float = 0.01,
    error_rate: ErrorRate = "family_wise",
    confidence_level: float = 0.95,
    unit: str | None = None,
    entity: str | None = None,
    hierarchy: Mapping[str, str] | None = None,
    ordered: Ordered = (),
) -> DriverResult:
    """Which segments explain the change of a period, or does none?

    Parameters
    ----------
    data
        Table in any supported engine.
    dimensions
        Columns whose values, and combinations of values, are the candidates. With none the total
        is judged, and a note says that nobody can tell where it comes from.
    time, period
        Time column, and first and last local day of the change.
    value
        Non-negative column to add up; without it rows are counted.
    denominator
        Column that ``value`` is a part of (or rows are counted against): the metric is then the
        ratio of the sums.
    baseline
        First and last day to compare with, or a number of days right before the period; 28 by
        default, as far as the data reach.
    expected
        Column with a forecast for each row, in the unit of ``value``; then ``time`` and ``period``
        may be left out.
    max_depth
        Most dimensions in one segment.
    max_causes
        Most segments to name.
    tz
        Time zone of the local days.
    alpha
        Chance of naming anything where nothing happened.
    error_rate
        What ``alpha`` bounds. ``family_wise``: that chance, over all candidates. ``false_discovery``:
        the expected share of named segments that did not move; names more where many moved,
        and fewer where one did. Give a larger ``alpha`` then, such as .05.
    confidence_level
        Of all intervals.
    unit
        What is counted, for the sentences.
    entity
        Column of accounts, reporters or merchants: a finding then says whether a handful of them
        carry the excess, and how much comes from new ones. Ids never appear.
    hierarchy
        Dimension → dimension that its values lie in, for example ``{"country": "region"}``: the
        outer value is named where it holds nothing else, or where the rest of it moved too.
    ordered
        Dimensions whose values have an order, such as app versions: "from 8.12.0 on" and "before
        8.12.0" are candidates then as well. A mapping gives the values in order; otherwise numbers
        go by size and texts as people sort versions, 9.1 before 10.2.

    Returns
    -------
    DriverResult
        Table ``segments``, and ``verdict``: ``localised`` (segments stand out), ``broad``
        (everything moved together), ``mix`` (only the composition of a ratio moved) or
        ``no_evidence``.

    Raises
    ------
    NotEnoughDataError
        Fewer than two weeks of baseline, no rows in it, or none in the period.
    ParameterError
        Neither a period nor a forecast is given, values are negative, a part exceeds its whole, or
        a hierarchy names no dimensions or is broken by the data.

    Notes
    -----
    Descriptive: a segment that carries a change is where to look, not why it happened. Counts are
    taken as negative binomial with a noise level learned from the baseline; all candidates are
    searched under one error rate, by a weighted union bound or by e-values, which hold however the
    candidates depend on each other. Not for a baseline that holds the change itself.

    Examples
    --------
    >>> import rcakit
    >>> made = rcakit.datasets.make("app_release_report_bug")
    >>> result = rcakit.drivers.explain(
    ...     made.tables["reports"], time="created_at", period=made.truth["causes"][0]["window"],
    ...     dimensions=["platform", "app_version", "surface", "policy"],
    ... )
    >>> result.verdict
    'localised'
    """
    names = check_names(dimensions, "dimensions")
    _check_roles(names, time=time, value=value, denominator=denominator, expected=expected)
    max_depth = check_integer(max_depth, "max_depth", ge=1, le=6)
    max_causes = check_integer(max_causes, "max_causes", ge=1, le=50)
    check_number(alpha, "alpha", gt=0, lt=0.5)
    check_choice(error_rate, "error_rate", ("family_wise", "false_discovery"))
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    nested = _nested(hierarchy, names)
    orders = orders_of(ordered, names)
    if expected is not None and denominator is not None:
        raise ParameterError(
            "expected and denominator exclude each other, got both. Give the forecast of the "
            "numerator alone, or leave expected out and compare with a baseline."
        )
    if entity is not None and (time is None or expected is not None):
        raise ParameterError(
            "entity must come with time, period and a baseline of days, got a forecast. Without a "
            "baseline nobody knows what is usual for an entity."
        )
    span = _span(data, time=time, period=period, baseline=baseline, tz=tz, expected=expected)
    leaves = _leaves(
        data,
        names,
        time=time,
        span=span,
        value=value,
        denominator=denominator,
        tz=tz,
        expected=expected,
    )
    leaves = leaves.with_cuts(_cuts(leaves, orders))
    attribution = _attribute(
        leaves,
        max_depth=max_depth,
        max_causes=max_causes,
        alpha=alpha,
        error_rate=error_rate,
        confidence_level=confidence_level,
        counts_rows=value is None,
        hierarchy=(
            *(_nesting(leaves, child, parent) for child, parent in nested),
            *nestings_of(leaves.cuts, len(names)),
        ),
    )
    rising = (
        [
            leaves.values_of(leaves.segment(item.codes))
            for item in attribution.segments
            if item.excess > 0
        ]
        if attribution.change > 0 or attribution.segments
        else []
    )
    shares = None
    if entity is not None and time is not None and span is not None:
        factor = attribution.shared_factor
        shares = entity_shares(
            data,
            entity=entity,
            segments=rising,
            time=time,
            tz=tz,
            span=span,
            value=value,
            growth=factor if rising and math.isfinite(factor) else 1.0,
        )
    asked = baseline if isinstance(baseline, int) else None
    said = notes(attribution, leaves, span, asked_days=asked)
    if error_rate == "false_discovery" and attribution.segments:
        chance = (
            f"Of segments named like this, up to {wording.percent(alpha)} are expected not to have "
            "moved apart from the rest."
        )
        said = (chance, *said)
    return DriverResult(
        attribution,
        leaves,
        notes=said,
        entities=shares,
        span=span,
        unit=unit or (wording.name(value) if value else "rows"),
        is_ratio=denominator is not None,
        library=frames.library(data),
        tz=tz,
        confidence_level=confidence_level,
        error_rate=error_rate,
    )


def _span(
    data: Any,
    *,
    time: str | None,
    period: Sequence[str | dt.date] | None,
    baseline: Sequence[str | dt.date] | int | None,
    tz: str,
    expected: str | None,
) -> Span | None:
    """Fix the days to compare; with a forecast there may be none."""
    if expected is not None:
        if period is None:
            return None
        if time is None:
            raise ParameterError("time must name the time column when a period is given, got None.")
        return Span(None, check_period(period))
    if time is None:
        raise ParameterError(
            "time must name the time column, got None. Only a forecast column (expected=) "
            "can stand in for a period and its baseline."
        )
    first, last = check_period(period)
    if baseline is None or isinstance(baseline, int):
        days = check_integer(28 if baseline is None else baseline, "baseline", ge=14, le=1100)
        start, end = first - dt.timedelta(days=days), first - dt.timedelta(days=1)
        earliest = first - dt.timedelta(days=max(days, _LONGEST_OF_FEW))
    else:
        start, end = check_period(baseline, "baseline")
        earliest = start
        if end >= first:
            raise ParameterError(
                f"baseline must end before the period starts ({first}), got {end}. "
                "A baseline that holds the change would hide it."
            )
    seen = _days(data, time=time, tz=tz, start=earliest, end=last)
    every = rhythm(seen)
    fewest = first - dt.timedelta(days=_FEWEST_OCCASIONS[every])
    start = min(start, fewest) if earliest < start else start
    start = next((day for day in seen.tolist() if day >= start), None) or _refuse(start, last)
    span = Span((start, end), (first, last), every, seen[-1].item())
    n_occasions = len(span.occasions(start, end)) if start <= end else 0
    if n_occasions < (_MIN_BASELINE_DAYS if every == "1d" else _MIN_OCCASIONS):
        noun = {"1d": "days", "1w": "weeks", "1mo": "months"}[every]
        raise NotEnoughDataError(
            f"baseline must hold at least {_MIN_BASELINE_DAYS if every == '1d' else _MIN_OCCASIONS} "
            f"{noun} with data before {first}, got {n_occasions}. Choose a later period or give "
            "more history."
        )
    return span


def _days(
    data: Any, *, time: str, tz: str, start: dt.date, end: dt.date
) -> NDArray[np.datetime64[dt.date]]:
    """Return the local days that hold rows, in order."""
    days = frames.aggregate(data, time=time, tz=tz, start=start, end=end)
    days = days.drop_nulls("period_start")
    if days.height == 0:
        _refuse(start, end)
    return days["period_start"].to_numpy().astype("datetime64[D]")


def _refuse(start: dt.date, end: dt.date) -> NoReturn:
    raise NotEnoughDataError(
        f"data must hold rows between {start} and {end}, got none. "
        "Check the period, the time zone and the column that is named as time."
    )


def _leaves(
    data: Any,
    dimensions: tuple[str, ...],
    *,
    time: str | None,
    span: Span | None,
    value: str | None,
    denominator: str | None,
    tz: str,
    expected: str | None,
) -> LeafTable:
    """Ask the engine for the leaf table."""
    sums = tuple(dict.fromkeys(name for name in (value, denominator, expected) if name))
    table = frames.aggregate(
        data,
        keys=dimensions,
        time=None if span is None else time,
        tz=tz,
        start=None if span is None else (span.baseline or span.period)[0],
        end=None if span is None else span.period[1],
        sums=sums,
        squares=(value,) if value else (),
        lowest=sums,
    )
    if span is not None:
        table = table.filter(_in_span(span))
    _check_signs(table, sums)
    _check_period_has_rows(table, span)
    leaves = leaf_table(
        table,
        dimensions=dimensions,
        span=span,
        value=value,
        denominator=denominator,
        expected=expected,
    )
    _check_parts(leaves, value=value, denominator=denominator)
    n_missing: Any = table["n_missing"].sum()
    return leaves.with_missing(float(n_missing / table["n_rows"].sum()))


def _check_period_has_rows(table: "pl.DataFrame", span: Span | None) -> None:
    if table.height == 0:
        raise NotEnoughDataError("data must hold rows in the period and its baseline, got none.")
    if span is not None and table["period_start"].dt.date().max() < span.period[0]:  # type: ignore[operator]
        raise NotEnoughDataError(
            f"data must hold rows between {span.period[0]} and {span.period[1]}, got none. Check the "
            "period; a complete stop has no segment to look for."
        )


def _check_roles(names: tuple[str, ...], **columns: str | None) -> None:
    """Refuse a dimension that is the time or a number of the question."""
    for role, column in columns.items():
        if column in names:
            raise ParameterError(
                f"dimensions must hold attributes, got {column!r}, which is given as {role}. "
                "Leave it out."
            )


def _nested(
    hierarchy: Mapping[str, str] | None, names: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Check that a hierarchy names dimensions."""
    pairs = tuple((hierarchy or {}).items())
    for name in (name for pair in pairs for name in pair):
        check_choice(name, "hierarchy", names, hint="Both levels must be among the dimensions.")
    for child, parent in pairs:
        if child == parent:
            raise ParameterError(
                f"hierarchy must put a dimension into another one, got {child!r} in itself. "
                "Name the outer level, or leave it out."
            )
    return pairs


def _cuts(leaves: LeafTable, orders: Mapping[str, Sequence[Any] | None]) -> tuple[Cut, ...]:
    """Cut the ordered dimensions."""
    cuts: list[Cut] = []
    for name, order in orders.items():
        j = leaves.dimensions.index(name)
        volume = sum_by(leaves.codes[:, j], leaves.observed + leaves.usual, leaves.sizes[j])
        cuts += cuts_of(j, leaves.values[j], volume, order)
    return tuple(cuts)


def _nesting(leaves: LeafTable, child: str, parent: str) -> Nesting:
    """Learn from the leaves which outer value every inner value lies in; missing ones in none."""
    inner, outer = leaves.dimensions.index(child), leaves.dimensions.index(parent)
    pairs = np.unique(leaves.codes[:, [inner, outer]], axis=0)
    for level, j in ((0, inner), (1, outer)):
        if None in leaves.values[j]:
            pairs = pairs[pairs[:, level] != len(leaves.values[j]) - 1]
    twice = pairs[:-1][pairs[1:, 0] == pairs[:-1, 0]]
    if len(twice):
        value = leaves.values[inner][int(twice[0, 0])]
        raise ParameterError(
            f"hierarchy must put every {child} in one {parent}, got {shown(value)} in several. "
            "Leave it out, or mend the column."
        )
    parent_code = np.full(len(leaves.values[inner]), -1)
    parent_code[pairs[:, 0]] = pairs[:, 1]
    return Nesting(inner, outer, parent_code)


def _check_signs(table: Any, names: tuple[str, ...]) -> None:
    for name in names:
        low: Any = table[f"{name}__lowest"].min()
        if low is not None and low < 0:
            raise ParameterError(
                f"{name!r} must never be negative, got {low:g}. Analyse gains and losses apart."
            )
        high: Any = table[name].max()
        if high is not None and not math.isfinite(high):
            raise ParameterError(
                f"{name!r} must be finite, got {high:g}. Leave such rows out, or mend them."
            )
    if names and table.height and table["n_missing"].sum() == table["n_rows"].sum():
        raise NotEnoughDataError(
            f"{' and '.join(map(repr, names))} must hold numbers, got a missing value in every row. "
            "Check the columns, or leave value out to count rows."
        )


def _check_parts(leaves: LeafTable, *, value: str | None, denominator: str | None) -> None:
    """Refuse a numerator that is larger than what it is a part of, and a period or baseline of nothing."""
    if leaves.history is None and leaves.usual.sum() <= 0:
        raise ParameterError(
            "expected must hold a forecast above zero, got a sum of 0. Compare with a baseline instead."
        )
    if leaves.denominator is None:
        return
    sides = {"the period": (leaves.observed, leaves.denominator)}
    if leaves.history is not None:
        n, past = len(leaves.codes), leaves.history
        sides["the baseline"] = (
            sum_by(past.leaf, past.value, n),
            sum_by(past.leaf, past.at_risk, n),
        )
    for when, (parts, wholes) in sides.items():
        worst = int((parts - wholes).argmax())
        if parts[worst] > wholes[worst]:
            codes = tuple(int(code) for code in leaves.codes[worst])
            raise ParameterError(
                f"value must be a part of denominator, got {value or 'rows'} = {parts[worst]:g} of "
                f"{denominator} = {wholes[worst]:g} in {wording.segment(leaves.segment(codes))} in "
                f"{when}. Swap them, or leave denominator out."
            )
        if wholes.sum() <= 0:
            raise NotEnoughDataError(
                f"denominator must be above zero in {when}, got {denominator} = 0. Choose other days, "
                "or leave denominator out."
            )


def _in_span(span: Span) -> Any:
    """Leave out the days between a baseline and a period that do not adjoin."""
    import polars as pl

    day = pl.col("period_start").dt.date()
    during = day.is_between(*span.period)
    return during if span.baseline is None else day.is_between(*span.baseline) | during


def _attribute(
    leaves: LeafTable,
    *,
    max_depth: int,
    max_causes: int,
    alpha: float,
    error_rate: ErrorRate,
    confidence_level: float,
    counts_rows: bool,
    hierarchy: tuple[Nesting, ...],
) -> Attribution:
    """Choose the family of the noise by the kind of metric."""
    codes, sizes, observed = leaves.searched_codes, leaves.searched_sizes, leaves.observed
    options: dict[str, Any] = {
        "max_depth": max_depth,
        "max_segments": max_causes,
        "alpha": alpha,
        "error_rate": error_rate,
        "confidence_level": confidence_level,
        "hierarchy": hierarchy,
        "families": leaves.families,
    }
    if leaves.history is None and not counts_rows:
        from rcakit.stats.attribution.amounts import attribute_amounts

        return attribute_amounts(codes, sizes, observed, leaves.usual, **options)
    from rcakit.stats.attribution import counts, ratios

    if leaves.history is None:
        return counts.attribute_forecast_counts(codes, sizes, observed, leaves.usual, **options)
    if leaves.denominator is None:
        return counts.attribute_counts(
            codes, sizes, observed, history=leaves.history, squares=leaves.squares, **options
        )
    return ratios.attribute_ratios(
        codes, sizes, observed, leaves.denominator, history=leaves.history, **options
    )
