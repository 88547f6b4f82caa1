"""Example cases: by reference only, and only when somebody asks for them."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from rcakit import frames, wording
from rcakit.errors import ParameterError
from rcakit.findings import SMALLEST_CELL
from rcakit.report.privacy import role_of
from rcakit.report.sections import Section
from rcakit.validation import check_integer

__all__ = ["examples"]

_NONE = "No example cases were asked for."
_MOST = 20


def examples(
    data: Any,
    *,
    column: str | None,
    segment: Mapping[str, Any] | None = None,
    time: str | None = None,
    period: tuple[dt.date, dt.date] | None = None,
    tz: str = "UTC",
    most: int = 0,
) -> Section:
    """List a few cases of a segment by reference, for those who may open them.

    The page shows pseudonyms such as ``report-3kf9x2qa`` and nothing else of a case;
    ``rcakit reveal RUN report-3kf9x2qa`` says which case it is to whoever holds the notebook.

    Parameters
    ----------
    data
        Table with one row or more per case, in any engine.
    column
        Column of the ids of cases, such as ``report_id``; None lists none.
    segment
        Column to value; None takes all cases.
    time, period, tz
        Column of times, and the first and last local day from which cases are taken.
    most
        How many to list, 0-20. None are listed unless this says so.

    Returns
    -------
    Section
        One reference per row.

    Raises
    ------
    ParameterError
        The column does not name cases, or `most` is out of range.

    Notes
    -----
    Cases are chosen by a hash of their ids, so that they are neither the first nor the largest,
    and the same in the next run. Of fewer than 10 cases none is listed: together with what the
    page says of the segment they would tell who they are.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"report_id": [f"r{i}" for i in range(30)]})
    >>> str(examples(table, column="report_id"))
    'No example cases were asked for.'
    >>> len(examples(table, column="report_id", most=3).rows)
    3
    """
    check_integer(most, "most", ge=0, le=_MOST)
    if most == 0 or column is None:
        return Section(nothing=_NONE, name="examples")
    if role_of(column) != "person":
        raise ParameterError(
            f"column must name cases by their ids, got {column!r}. "
            "Use a column such as 'report_id'; others are not masked on the page."
        )
    if time is not None and period is not None:
        data = frames.between(data, time=time, start=period[0], end=period[1], tz=tz)
    ids = _ids(data, column, dict(segment or {}))
    if len(ids) < SMALLEST_CELL:
        return Section(nothing="There are fewer than 10 cases: none is listed.", name="examples")
    chosen = sorted(ids, key=lambda case: hashlib.sha256(case.encode()).digest())[:most]
    where = wording.segment(segment) if segment else "all rows"
    said = f"{len(chosen)} of {wording.plural(len(ids), 'case')} in {where}, by reference."
    return Section((said,), tuple({column: case} for case in chosen), name="examples")


def _ids(data: Any, column: str, segment: Mapping[str, Any]) -> list[str]:
    import polars as pl

    rows = frames.aggregate(data, keys=(column, *segment))
    kept = rows.filter(
        *(pl.col(name).cast(pl.String) == str(value) for name, value in segment.items())
    )
    return [str(case) for case in kept[column].drop_nulls().unique().to_list()]
