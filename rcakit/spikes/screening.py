"""Screen: which of very many series have an incident? In blocks, so that memory stays bounded."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit import frames
from rcakit.spikes.engines import Followed, follow
from rcakit.spikes.family import FAMILIES, Family, choose_family
from rcakit.spikes.grid import EmptyPeriods, Every, Grid, take_series
from rcakit.spikes.judgement import Direction, Judge, judged
from rcakit.spikes.question import Question, as_levels, check_length, check_rows, read_question
from rcakit.spikes.result import SpikeResult
from rcakit.validation import check_choice, check_integer, refusal

__all__ = ["screen"]

# Periods whose p-values are adjusted together.
_COLUMNS = 64


def screen(
    data: Any,
    *,
    time: str,
    by: str | Sequence[str],
    value: str | None = None,
    exposure: str | None = None,
    every: Every = "1d",
    direction: Direction = "both",
    start: str | dt.date | None = None,
    as_of: str | dt.date | dt.datetime | None = None,
    tz: str = "UTC",
    family: Literal["auto", "count", "rate", "amount", "gauge"] = "auto",
    calendar: str | None = None,
    month_days: bool = False,
    empty: EmptyPeriods = "auto",
    alpha: float = 0.01,
    confidence_level: float = 0.95,
    unit: str | None = None,
    block_size: int = 2_500,
    progress: Callable[[int, int], None] | None = None,
) -> SpikeResult:
    """Which of very many series have an incident?

    The same judgement as `detect`, with less kept: a hundred thousand series of two years fit into
    two gigabytes.

    Parameters
    ----------
    data, time, value, exposure, every, direction, start, as_of, tz, family, calendar, month_days, empty
        As in `detect`. Give a lazy source (`rcakit.read`): each block of series is read by itself.
    by
        Columns whose combinations are the series.
    alpha, confidence_level, unit
        As in `detect`.
    block_size
        Series that are followed at a time.
    progress
        Called with the number of blocks done, and of all blocks.

    Returns
    -------
    SpikeResult
        Of the series with an incident alone; of the one nearest to it where there is none.
        ``n_series`` tells how many were judged. It holds no state.

    Raises
    ------
    NotEnoughDataError, ParameterError, SchemaError
        As `detect`.

    Notes
    -----
    Twice through the blocks: first for the p-values of every series in every period, which are
    adjusted across all series as in `detect`, then for the incidents of the series that stand out.
    Whether a period without any row is a gap is judged block by block. Not for late arrivals and
    totals: use `detect` there.

    Examples
    --------
    >>> import rcakit
    >>> reports = rcakit.datasets.make("quiet", size="tiny").tables["reports"]
    >>> found = rcakit.spikes.screen(reports, time="created_at", by=["policy", "surface"])
    >>> found.incidents
    ()
    """
    check_choice(family, "family", FAMILIES)
    ask = read_question(
        time=time,
        value=value,
        by=by,
        exposure=exposure,
        every=every,
        tz=tz,
        calendar=calendar,
        month_days=month_days,
        empty=empty,
        start=start,
        as_of=as_of,
    )
    judge = Judge(direction, alpha, confidence_level)
    block_size = check_integer(block_size, "block_size", ge=1)
    if not ask.keys:
        raise refusal("by", "at least one column", by, "For a single series use detect.")
    words = {"unit": ask.unit(unit), "library": frames.library(data)}
    screening = _Screening(data, ask, judge, family, block_size, progress)
    pvalue = screening.pvalues()
    _adjust(pvalue, judge, every)
    return screening.result(pvalue, words)


class _Screening:
    """Blocks of series on their way through the filter, twice."""

    def __init__(
        self,
        data: Any,
        ask: Question,
        judge: Judge,
        family: str,
        block_size: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._data, self._judge, self._family = data, judge, family
        self._name, self._blocks = _blocks(data, ask.keys, block_size)
        self._ask = replace(ask, span=_span(data, ask))
        self._progress = progress
        self._rows: list[slice] = []

    def pvalues(self) -> NDArray[np.float32]:
        """Follow every series, and keep its p-values, shape (n_series, n_periods)."""
        parts, start = [], 0
        for number, block in enumerate(self._blocks, 1):
            grid = self._grid(block)
            check_length(grid)
            parts.append(self._followed(grid).pvalue.astype(np.float32))
            self._rows.append(slice(start, start := start + len(parts[-1])))
            self._tell(number)
        return np.concatenate(parts)

    def result(self, qvalue: NDArray[np.float32], words: dict[str, Any]) -> SpikeResult:
        """Follow the series that stand out again, and say what happened to them."""
        lowest = np.nanmin(np.where(np.isnan(qvalue), 1, qvalue), axis=1)
        chosen = lowest <= self._judge.alpha
        if not chosen.any():
            chosen[int(np.argmin(lowest))] = True
        is_odd = np.nan_to_num(qvalue, nan=1.0) <= self._judge.alpha
        n_odd = is_odd.sum(axis=0)[np.isfinite(qvalue).any(axis=0)]
        found = []
        for number, (block, rows) in enumerate(zip(self._blocks, self._rows, strict=True), 1):
            at = np.flatnonzero(chosen[rows])
            if len(at):
                grid = take_series(self._grid(block), at)
                settings = {**self._ask.settings(), "totals": False}
                q = qvalue[rows][at].astype(float)
                followed = self._followed(grid)
                found.append(
                    judged(grid, followed, self._judge, settings=settings, words=words, qvalue=q)
                )
            self._tell(len(self._blocks) + number)
        return replace(
            _joined(found),
            n_series=len(qvalue),
            false_alarms_per_week=float(self._judge.alpha * np.maximum(n_odd, 1).mean()),
            state=None,
        )

    def _grid(self, block: Sequence[Any]) -> Grid:
        return self._ask.grid(frames.among(self._data, name=self._name, values=block))

    def _followed(self, grid: Grid) -> Followed:
        """Choose the family on the first block; all others are followed alike."""
        family: Family = choose_family(grid, value=self._ask.value, family=self._family)
        self._family = family
        grid = as_levels(grid) if family == "gauge" else grid
        return follow(grid, family, direction=self._judge.direction)

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, 2 * len(self._blocks))


def _blocks(data: Any, keys: tuple[str, ...], block_size: int) -> tuple[str, list[list[Any]]]:
    """Split the values of the key that has most of them, about `block_size` series to a block."""
    series = frames.aggregate(data, keys=keys)
    name = max(keys, key=lambda key: int(series[key].n_unique()))
    sizes = series.group_by(name, maintain_order=True).len()
    blocks: list[list[Any]] = [[]]
    filled = 0
    for value, size in sizes.iter_rows():
        if filled and filled + size > block_size:
            blocks.append([])
            filled = 0
        blocks[-1].append(value)
        filled += size
    return name, blocks


def _span(data: Any, ask: Question) -> tuple[dt.datetime, dt.datetime]:
    """Find the first and the last period of the whole table."""
    table = frames.aggregate(
        data,
        time=ask.time,
        every="1h" if ask.every == "1h" else "1d",
        tz=ask.tz,
        start=ask.start,
        end=ask.snapshot.day if ask.snapshot else None,
    )
    check_rows(table, None)
    low: Any = table["period_start"].min()
    high: Any = table["period_start"].max()
    if ask.snapshot is not None:
        high = max(high, dt.datetime.combine(ask.snapshot.day, dt.time()))
        high = min(high, ask.snapshot.last_hour) if ask.every == "1h" else high
    return low, high


def _adjust(pvalue: NDArray[np.float32], judge: Judge, every: Every) -> None:
    """Replace p-values by q-values across all series, some periods at a time."""
    for first in range(0, pvalue.shape[1], _COLUMNS):
        now = slice(first, first + _COLUMNS)
        pvalue[:, now] = judge.qvalues(pvalue[:, now].astype(float), every)


def _joined(results: Sequence[SpikeResult]) -> SpikeResult:
    """Put results of the same periods one below the other, their incidents strongest first."""
    names = (
        "observed", "expected", "expected_lower", "expected_upper", "pvalue", "qvalue",
        "is_anomalous", "completeness",
    )  # fmt: skip
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(r, name) for r in results]) for name in names
    }
    incidents = sorted(
        (item for r in results for item in r.incidents),
        key=lambda item: (item.pvalue, -abs(item.excess)),
    )
    return replace(
        results[0],
        series=tuple(values for r in results for values in r.series),
        incidents=tuple(replace(item, number=i) for i, item in enumerate(incidents, 1)),
        caveats=tuple(dict.fromkeys(caveat for r in results for caveat in r.caveats)),
        **arrays,
    )
