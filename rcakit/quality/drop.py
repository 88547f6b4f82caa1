"""Why did accuracy fall: the reviewers, the guideline, the mix of work, or the auditors?"""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rcakit import frames
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.quality.drop_result import DropResult
from rcakit.quality.drop_search import WEEK, Added, Family, Search
from rcakit.quality.raters import AgreementResult
from rcakit.stats import falls
from rcakit.stats.proportions import normal_quantile
from rcakit.validation import check_date, check_integer, check_names, check_number, refusal

__all__ = ["explain_drop"]

_FEWEST_WEEKS_BEFORE = 4


def explain_drop(
    data: Any,
    *,
    time: str,
    is_correct: str,
    teams: str | Sequence[str] = (),
    mix: str | Sequence[str] = (),
    auditors: str | Sequence[str] = (),
    is_overturned: str | None = None,
    period: tuple[str | dt.date, str | dt.date] | None = None,
    baseline_days: int = 84,
    search_days: int = 56,
    agreement: AgreementResult | None = None,
    changes: Any = None,
    confidence_level: float = 0.95,
    tz: str = "UTC",
) -> DropResult:
    """Did audited accuracy fall, and is it the reviewers, the guideline, the mix or the auditors?

    Parameters
    ----------
    data
        Table with one row per decision, in any supported engine.
    time
        Timestamp or date column of the decision.
    is_correct
        Verdict of the audit, 0/1 or boolean; missing where nobody audited.
    teams
        Columns of who decided: site, vendor, training wave. Never single persons.
    mix
        Columns of what the work was: policy, language, queue.
    auditors
        Columns of who audited: team or vendor.
    is_overturned
        Outcome of the appeal, 0/1 or boolean; missing where there was none or it is open. The only
        witness that is neither reviewer nor auditor.
    period
        First and last day of the fall; by default the week is searched in which a fall of accuracy
        or a rise of overturns began, and it lasts to the end.
    baseline_days
        Days before the period that it is compared with.
    search_days
        Days from the end in which the beginning is searched.
    agreement
        From `rcakit.quality.agreement` on a double-checked sample, for raters who swap labels.
    changes
        Change log with ``changed_at``, ``title`` and, if known, ``change_id`` and ``scope``.
    confidence_level
        Of the intervals.
    tz
        Time zone of the local days.

    Returns
    -------
    DropResult
        ``verdict`` is ``reviewers``, ``guideline``, ``shared_error``, ``mix``, ``auditors``,
        ``no_drop`` or ``cannot_tell``. Tables ``measures``, ``segments``, ``weeks``.

    Raises
    ------
    NotEnoughDataError
        Fewer than 30 audited decisions before or after, or fewer than 5 weeks.
    ParameterError
        No column to look into, or one column in two roles.
    SchemaError
        A column is missing or not numeric.

    Notes
    -----
    The fall is first split into mix and rate: what each kind of work showed before is what the new
    mix should show. What is left is searched for the one segment (a value of any column, or a pair
    of work and team) that fits far better than all others and leaves no fall outside. A segment of
    teams reads as ``reviewers``, one of work alone as ``guideline``, one of auditors as
    ``auditors``. Appeals are the witness: if they see nothing of a fall that is large, the auditors
    changed; if they rise while audits see nothing, reviewers and auditors share an error. A fall
    that is everywhere alike is in none of these columns, and the verdict is ``cannot_tell``.

    Not for comparing groups at one time (`rcakit.cohorts.compare`), nor where audits are drawn
    because of a suspicion: their accuracy says nothing about all decisions.

    References
    ----------
    Kitagawa (1955), JASA 50, p. 1181; Kass and Raftery (1995), JASA 90, p. 777.

    Examples
    --------
    >>> import rcakit
    >>> data = rcakit.datasets.make("qa_drop_untrained_wave")
    >>> rcakit.quality.explain_drop(
    ...     data.tables["decisions"], time="decided_date", is_correct="is_correct",
    ...     teams=["wave", "site"], mix="policy", is_overturned="is_overturned",
    ... ).verdict
    'reviewers'
    """
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    check_integer(baseline_days, "baseline_days", ge=4 * WEEK, le=730)
    check_integer(search_days, "search_days", ge=WEEK, le=366)
    roles = _roles(teams, mix, auditors, taken=(time, is_correct, is_overturned))
    audits = _added_up(data, time, is_correct, [*roles], tz)
    outside = [name for name, family in roles.items() if family != "auditors"]
    appeals = None if is_overturned is None else _added_up(data, time, is_overturned, outside, tz)
    given = None if period is None else _days(period)
    first, last, n_splits = _period(audits, appeals, given, search_days, confidence_level)
    audits = audits.kept((audits.day >= first - baseline_days) & (audits.day <= last))
    if appeals is not None:
        appeals = appeals.kept((appeals.day >= first - baseline_days) & (appeals.day <= last))
    search = Search(audits, appeals, roles, first, confidence_level, n_splits)
    search.check_enough(is_correct)
    return search.result(last, agreement, changes, frames.library(data))


def _roles(
    teams: Any, mix: Any, auditors: Any, *, taken: Sequence[str | None]
) -> dict[str, Family]:
    """Return what each column stands for."""
    listed: list[tuple[str, Family]] = [
        *((name, "reviewers") for name in check_names(teams, "teams")),
        *((name, "guideline") for name in check_names(mix, "mix")),
        *((name, "auditors") for name in check_names(auditors, "auditors")),
    ]
    roles = dict(listed)
    if not roles:
        raise refusal("teams", "at least one column in teams, mix or auditors", teams)
    if len(roles) < len(listed) or set(roles) & set(taken):
        raise refusal("teams", "columns that have one role each", [name for name, _ in listed])
    return roles


def _added_up(data: Any, time: str, value: str, keys: Sequence[str], tz: str) -> Added:
    """Add up a 0/1 column by day and attributes, where the rows live."""
    import polars as pl

    table = frames.aggregate(data, keys=keys, time=time, sums=value, tz=tz)
    table = table.with_columns(known=(pl.col("n_rows") - pl.col("n_missing")).cast(pl.Float64))
    table = table.filter(pl.col("known") > 0, pl.col("period_start").is_not_null())
    if table.height == 0:
        raise NotEnoughDataError(
            f"column {value!r} holds no value on any day. Check the filter and the column."
        )
    low, high = pl.col(value) < 0, pl.col(value) > pl.col("known")
    if table.filter(low | high | (pl.col(value) != pl.col(value).round())).height:
        raise SchemaError(
            f"column {value!r} must hold 0 and 1, got other numbers. Give the verdict of the audit "
            "or of the appeal, missing where there was none."
        )
    values = {
        name: table[name].cast(pl.String).fill_null("(missing)").to_numpy().astype(np.str_)
        for name in keys
    }
    day = table["period_start"].cast(pl.Date).cast(pl.Int32).to_numpy().astype(np.int64)
    return Added(day, values, table["known"].to_numpy(), table[value].to_numpy())


def _days(period: tuple[Any, Any]) -> tuple[int, int]:
    first, last = (check_date(day, "period") for day in period)
    if first > last:
        raise refusal("period", "a first day before the last", period)
    start = dt.date(1970, 1, 1)
    return (first - start).days, (last - start).days


def _period(
    audits: Added,
    appeals: Added | None,
    given: tuple[int, int] | None,
    search_days: int,
    level: float,
) -> tuple[int, int, int]:
    """Return first and last day, and how many beginnings were tried.

    The week is taken that stands out most in any column's value; the last four weeks where none
    stands out beyond chance, so that a search among nothing does not choose the worst week.
    """
    if given is not None:
        return *given, 1
    last = int(audits.day.max())
    best, n_tried, n_weeks = -math.inf, 0, 0
    first = found = last - 4 * WEEK + 1
    for table, sign in ((audits, -1), (appeals, 1)):
        if table is None:
            continue
        within = table.kept(table.day <= last)
        for part in (within, *_parts(within)):
            size, count, starts = part.weeks(last)
            candidates = np.flatnonzero(
                (np.arange(size.size) >= _FEWEST_WEEKS_BEFORE) & (starts > last - search_days)
            )
            z, _ = falls.best_split(size, count, candidates, sign=sign)
            n_tried += candidates.size
            n_weeks = max(n_weeks, candidates.size)
            if candidates.size and z.max() > best:
                best, found = float(z.max()), int(starts[candidates[int(np.argmax(z))]])
    if n_tried == 0:
        raise NotEnoughDataError(
            f"a fall is searched in at least {_FEWEST_WEEKS_BEFORE + 1} weeks, got "
            f"{(last - int(audits.day.min())) // WEEK + 1}. Give period=(first day, last day)."
        )
    stands_out = best > normal_quantile(1 - (1 - level) / n_tried)
    return found if stands_out else first, last, n_weeks


def _parts(table: Added) -> "list[Added]":
    """Return the cells of each value of each column."""
    return [
        table.kept(column == value)
        for column in table.values.values()
        for value in np.unique(column)
    ]
