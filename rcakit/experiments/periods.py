"""One value per period, and which periods lie before the change, after it, and neither."""

import datetime as dt
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, ParameterError, SchemaError
from rcakit.experiments import checks
from rcakit.experiments.checks import Check
from rcakit.validation import check_date, check_integer, shown

__all__ = ["SEASON", "Cut", "Rows", "Series", "bring_series", "refuse_constant"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEASON = MappingProxyType({"1h": 24, "1d": 7, "1w": 52, "1mo": 12})
_STEP = {"1h": dt.timedelta(hours=1), "1d": dt.timedelta(days=1), "1w": dt.timedelta(weeks=1)}
_TRIGGER_GAP = 2  # periods between the end of the baseline and the onset of the spike
_TRIGGER_WASHOUT = 14  # periods for a spike to fade after the change
_TRIGGER_WINDOW = 14
_TRIGGER_ALARM, _TRIGGER_ONSET = 4.0, 1.5  # robust standard deviations


@dataclass(frozen=True, slots=True)
class Rows:
    """Which columns say what."""

    time: str
    value: str | None
    denominator: str | None
    controls: tuple[str, ...]
    covariates: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what the value is called."""
        if self.value is None:
            return "rows"
        return self.value if self.denominator is None else f"{self.value} / {self.denominator}"


@dataclass(frozen=True, slots=True)
class Series:
    """Evenly spaced values."""

    starts: list[dt.datetime]
    outcome: Floats
    covariates: Floats
    controls: dict[str, Floats]
    gaps: Check | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Which periods are before, after, and neither."""

    before: Mask
    after: Mask
    first: int
    washout: int
    given: dt.datetime | None
    detected: dt.datetime | None
    baseline_end: dt.datetime

    @property
    def n_before(self) -> int:
        """Return how many periods the baseline holds."""
        return int(self.before.sum())

    @property
    def n_after(self) -> int:
        """Return how many periods since the change are used."""
        return int(self.after.sum())

    @classmethod
    def of(
        cls,
        table: Series,
        at: dt.date,
        trigger: dt.date | None,
        washout: int | None,
        *,
        every: str,
    ) -> "Cut":
        """Cut the series at the date, and before the spike that led to it."""
        starts = np.array(table.starts, dtype="datetime64[us]")
        first = int(np.searchsorted(starts, np.datetime64(dt.datetime.combine(at, dt.time()))))
        if first == 0 or first >= starts.size:
            raise ParameterError(
                f"at must lie inside the data ({table.starts[0]} to {table.starts[-1]}), got {at}. "
                "Bring earlier or later rows."
            )
        detected, onset = None, first
        if trigger is None:
            detected = _spike_before(table.outcome, first, SEASON[every])
        else:
            moment = np.datetime64(dt.datetime.combine(trigger, dt.time()))
            onset = int(np.searchsorted(starts, moment))
            if onset == 0:
                raise ParameterError(
                    f"trigger_at must lie inside the data, which begin on {table.starts[0]}, got "
                    f"{trigger}. Bring earlier rows, or leave trigger_at out."
                )
        provoked = trigger is not None or detected is not None
        if detected is not None:
            onset = detected
        usual = _TRIGGER_WASHOUT if provoked else 0
        skipped = usual if washout is None else check_integer(washout, "washout", ge=0)
        last = max(onset - _TRIGGER_GAP, 0) if provoked else first
        index = np.arange(starts.size)
        before, after = index < last, index >= first + skipped
        if before.sum() < 14 or after.sum() < 3:
            raise NotEnoughDataError(
                f"there must be at least 14 periods before and 3 after the change, got "
                f"{before.sum()} and {after.sum()} (left out: {first - last} before, {skipped} "
                "after). Bring more history, wait, or use a finer every=."
            )
        return cls(
            before=before,
            after=after,
            first=first,
            washout=skipped,
            given=None if trigger is None else table.starts[onset],
            detected=None if detected is None else table.starts[detected],
            baseline_end=table.starts[last - 1],
        )


def bring_series(
    data: Any,
    rows: Rows,
    *,
    every: str,
    tz: str,
    start: str | dt.date | None,
    end: str | dt.date | None,
) -> Series:
    """Bring one value per period home; periods without rows are zeros, or gaps for a rate."""
    columns = (rows.value, rows.denominator, *rows.controls, *rows.covariates)
    table = frames.aggregate(
        data,
        time=rows.time,
        every=every,
        tz=tz,
        start=None if start is None else check_date(start, "start"),
        end=None if end is None else check_date(end, "end"),
        sums=tuple(dict.fromkeys(c for c in columns if c is not None)),
        lowest=() if rows.denominator is None else rows.denominator,
    )
    if table["period_start"].null_count():
        table = table.filter(table["period_start"].is_not_null())
    if table.height == 0:
        raise NotEnoughDataError(
            f"no row has a time from {shown(start)} to {shown(end)}, got 0 periods. Check column "
            f"{rows.time!r}, or leave start= and end= out."
        )
    if rows.denominator is not None:
        _refuse_negative(rows.denominator, table[f"{rows.denominator}__lowest"].min())
    found = table["period_start"].to_list()
    starts = _grid(found[0], found[-1], every)
    position = np.searchsorted(
        np.array(starts, dtype="datetime64[us]"), np.array(found, dtype="datetime64[us]")
    )

    def spread(values: Any) -> Floats:
        full = np.zeros(len(starts))
        full[position] = np.asarray(values, dtype=float)
        return full

    counts = spread(table["n_rows"])
    value = counts if rows.value is None else spread(table[rows.value])
    gaps = None
    if rows.denominator is not None:
        value, gaps = _rate(value, spread(table[rows.denominator]), starts)
    refuse_constant(value, rows.name, "")
    held = counts > 0
    covariates = [
        _filled(spread(table[name]) / np.maximum(counts, 1), held) for name in rows.covariates
    ]
    others = [(n, spread(table[n])) for n in rows.controls]
    for name, values in [*others, *zip(rows.covariates, covariates, strict=True)]:
        refuse_constant(values, name, "")
    return Series(
        starts=starts,
        outcome=value,
        covariates=np.array(covariates).T if covariates else np.zeros((len(starts), 0)),
        controls=dict(others),
        gaps=gaps,
    )


def _refuse_negative(denominator: str, least: Any) -> None:
    if least is not None and least < 0:
        raise SchemaError(
            f"column {denominator!r} is a denominator and must not be negative, got {least:g}. "
            "Filter or correct these rows."
        )


def refuse_constant(values: Floats, name: str, when: str) -> None:
    """Refuse a column that never varies: nothing can be learned from it."""
    if float(np.ptp(values)) == 0:
        raise NotEnoughDataError(
            f"{name!r} must vary, got the same value in every period{when}. Check the column."
        )


def _grid(first: dt.datetime, last: dt.datetime, every: str) -> list[dt.datetime]:
    if every == "1mo":
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [dt.datetime(m // 12, m % 12 + 1, 1) for m in months]  # noqa: DTZ001 - local time
    step = _STEP[every]
    return [first + i * step for i in range((last - first) // step + 1)]


def _rate(top: Floats, bottom: Floats, starts: list[dt.datetime]) -> tuple[Floats, Check | None]:
    held = bottom > 0
    if not held.any():
        raise NotEnoughDataError(
            "the denominator is zero in every period, so there is no rate. Check the column."
        )
    rate = np.divide(top, bottom, out=np.zeros_like(top), where=held)
    if held.all():
        return rate, None
    empty = [wording.day(starts[i]) for i in np.flatnonzero(~held)]
    todo = "They were bridged in a straight line. Check whether rows are missing."
    return _filled(rate, held), checks.dropped("periods", empty, "denominator zero", todo)


def _filled(values: Floats, held: Mask) -> Floats:
    index = np.arange(values.size)
    return np.interp(index, index[held], values[held])


def _spike_before(y: Floats, first: int, season: int) -> int | None:
    """Find the onset of a spike in the last periods before the change, or None."""
    quiet = first - _TRIGGER_WINDOW
    if quiet < max(2 * season, 14):
        return None
    usual = np.array([_median(y[p:quiet:season]) for p in range(season)])
    rest = y[:first] - usual[np.arange(first) % season]
    middle = _median(rest[:quiet])
    scale = 1.4826 * _median(np.abs(rest[:quiet] - middle))
    scale = max(scale, 0.8 * float(np.std(rest[:quiet])))
    if scale == 0:
        return None
    z = (rest - middle) / scale
    peak = quiet + int(np.argmax(np.abs(z[quiet:])))
    if abs(z[peak]) < _TRIGGER_ALARM:
        return None
    onset = peak
    while onset > 0 and z[onset - 1] * np.sign(z[peak]) > _TRIGGER_ONSET:
        onset -= 1
    if onset < quiet - _TRIGGER_WINDOW:  # so long an excess is a level, not a spike
        return None
    return onset


def _median(values: Floats) -> float:
    """Return the median of a few values, many times faster than numpy does."""
    ordered, half = np.sort(values), values.size // 2
    return float(ordered[half] if values.size % 2 else (ordered[half - 1] + ordered[half]) / 2)
