"""How much of the last days is there yet? Late arrivals, a day not over, what was known when."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rcakit import frames, wording
from rcakit.spikes.grid import Every, Grid
from rcakit.stats.delays import Completeness, estimate_completeness

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Snapshot", "arrived_rows", "elapsed_share", "scale_for_arrivals", "scale_for_elapsed"]

Floats = NDArray[np.float64]

ARRIVAL = "__arrival_day"
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_NAMES = {"1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}
# Longest delay that is told apart, by seconds of a step; and the share that counts as all.
_LONGEST_DELAY = {3600: 168, 86_400: 60}
_NEARLY_ALL = 0.999
_RECENT_DAYS = 56
# A period of which less has arrived says too little to be judged.
_LEAST_SHARE = 0.2
_PROFILE_DAYS = 28
# A day counts as not over if so few of the usual rows after its last one were due by chance.
_UNLIKELY = 0.001


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The moment whose knowledge is replayed.

    Attributes
    ----------
    day
        Last local day.
    share_of_day
        How much of it had passed by the clock; 1 at its end.
    """

    day: dt.date
    share_of_day: float = 1.0

    @property
    def last_hour(self) -> dt.datetime:
        """Start of the last whole hour before the moment."""
        whole = int(self.share_of_day * 24 + 1e-9)
        return dt.datetime.combine(self.day, dt.time()) + dt.timedelta(hours=whole - 1)

    @property
    def rest_of_day(self) -> dt.timedelta:
        """Time from the moment to the end of the day."""
        return dt.timedelta(days=1 - self.share_of_day)


def arrived_rows(
    table: "pl.DataFrame", snapshot: Snapshot | None, keys: tuple[str, ...], *, every: Every = "1d"
) -> "tuple[pl.DataFrame, Floats, dt.datetime]":
    """Keep the rows that had arrived, and count them by day (or hour) of event and delay.

    Returns
    -------
    table
        The aggregate without the time of arrival.
    triangle
        Rows by event day and days until arrival, nan where not yet known; hours for hours.
    last
        The last day, or hour, whose arrivals are known.
    """
    import polars as pl

    table = table.drop_nulls("period_start")
    known = table.drop_nulls(ARRIVAL)
    step = _HOUR if every == "1h" else _DAY
    # Without a moment to replay, the last day on which rows arrived is taken as fully known; of
    # hours the one before, because an hour is more often cut.
    last: Any = known[ARRIVAL].max()
    last = last - _HOUR if every == "1h" else last
    if snapshot is not None:
        midnight = dt.datetime.combine(snapshot.day, dt.time())
        last = snapshot.last_hour if every == "1h" else midnight
    kept = table.filter(
        pl.col(ARRIVAL).is_null() | (pl.col(ARRIVAL) <= last), pl.col("period_start") < last + step
    )
    first: Any = kept["period_start"].min()
    triangle = _triangle(kept.drop_nulls(ARRIVAL), last if first is None else first, last, step)
    numbers = [c for c in table.columns if c not in {*keys, "period_start", ARRIVAL}]
    merged = kept.group_by(*keys, "period_start", maintain_order=True).agg(pl.col(numbers).sum())
    return merged.sort([*keys, "period_start"], nulls_last=True), triangle, last


def _triangle(
    rows: "pl.DataFrame", first: dt.datetime, last: dt.datetime, step: dt.timedelta
) -> Floats:
    """Count rows by day of event and delay in days; early arrivals count as no delay."""
    seconds = int(step.total_seconds())
    event = (rows["period_start"] - first).dt.total_seconds().to_numpy() // seconds
    arrival = (rows[ARRIVAL] - first).dt.total_seconds().to_numpy() // seconds
    n_days = (last - first) // step + 1
    longest = max(1, min(_LONGEST_DELAY[seconds], n_days // 3))
    delay = np.clip(arrival - event, 0, longest)
    triangle = np.zeros((n_days, longest + 1))
    np.add.at(triangle, (event, delay), rows["n_rows"].to_numpy())
    age = n_days - 1 - np.arange(n_days)
    return np.where(np.arange(longest + 1) <= age[:, None], triangle, np.nan)


def scale_for_arrivals(grid: Grid, triangle: Floats, last: dt.datetime) -> Grid:
    """Expect of each day only the share that has arrived by now."""
    step = _HOUR if grid.every == "1h" else _DAY
    curve = estimate_completeness(triangle, recent_days=_RECENT_DAYS * (_DAY // step))
    if grid.every in {"1h", "1d"}:
        age = np.array([(last - _midnight(day)) // step for day in grid.days])
        share, error = curve.at(np.maximum(age, 0))
        share = np.where(age < 0, 0.0, share)
    else:
        share, error = _within_longer_periods(grid, curve, last.date())
    whole = share >= _NEARLY_ALL
    share, error = np.where(whole, 1.0, share), np.where(whole, 0.0, error)
    if (share == 1).all():
        return grid
    return _scaled(
        grid,
        share,
        error / np.maximum(share, 1e-9),
        dispersion=curve.dispersion,
        caveat=(
            f"Rows arrive late: of the last {_NAMES[grid.every]} about {wording.percent(float(share[-1]))} had "
            f"arrived. Recent {_NAMES[grid.every]}s are compared with what should have arrived by now, as learned "
            f"from {wording.amount(curve.n_events)} rows."
        ),
    )


def _within_longer_periods(grid: Grid, curve: Completeness, last: dt.date) -> tuple[Floats, Floats]:
    """Average the completeness over the days of a week or a month."""
    ends = [*grid.days[1:], grid.days[-1] + dt.timedelta(days=31 if grid.every == "1mo" else 7)]
    shares, errors = [], []
    for start, end in zip(grid.days, ends, strict=True):
        n_days = max((_day(end) - _day(start)).days, 1)
        ages = np.array([(last - _day(start)).days - i for i in range(n_days)])
        share, error = curve.at(np.maximum(ages, 0))
        shares.append(np.where(ages < 0, 0.0, share).mean())
        errors.append(error.mean())
    return np.array(shares), np.array(errors)


def _scaled(grid: Grid, share: Floats, error: Floats, *, dispersion: float, caveat: str) -> Grid:
    too_early = (share < _LEAST_SHARE) & (grid.completeness > 0)
    counts = np.where(too_early, np.nan, grid.counts)
    caveats: tuple[str, ...] = (caveat,)
    if too_early.any():
        which = wording.plural(int(too_early.sum()), "period")
        caveats += (f"Too little of the last {which} has arrived to judge them.",)
    return replace(
        grid,
        counts=counts,
        exposure=grid.exposure * np.where(share > 0, share, 1.0),
        completeness=grid.completeness * share,
        completeness_error=np.maximum(grid.completeness_error, error),
        arrival_dispersion=max(grid.arrival_dispersion, dispersion),
    ).with_caveats(*caveats)


def elapsed_share(
    data: Any, *, time: str, tz: str, last: dt.date, snapshot: Snapshot | None
) -> tuple[float, float] | None:
    """Return the share of a day's rows that was due by now and its relative error; None if over.

    Without a moment to replay, a day counts as not over when its rows stop at an hour after
    which many are usual. Uses the hours of the four weeks before.
    """
    start = last - dt.timedelta(days=_PROFILE_DAYS)
    table = frames.aggregate(data, time=time, every="1h", tz=tz, start=start, end=last)
    if table.height == 0:
        return None
    day = table["period_start"].dt.date()
    hour = table["period_start"].dt.hour().to_numpy()
    is_last = (day == last).to_numpy()
    rows = table["n_rows"].to_numpy().astype(float)
    before = np.bincount(hour[~is_last], rows[~is_last], minlength=24).astype(np.float64)
    n_days = day.filter(~is_last).n_unique() if (~is_last).any() else 0
    if n_days < 7 or before[1:].sum() == 0:
        return None  # bare dates, or too little to tell
    if snapshot is not None and snapshot.share_of_day < 1:
        return _share_by(before, int(snapshot.share_of_day * 24 + 1e-9), half_width=0.0)
    if snapshot is not None or not is_last.any():
        return None
    latest = int(hour[is_last].max())
    due = float(before[latest + 1 :].sum()) / n_days
    scale = float(rows[is_last].sum()) / max(float(before[: latest + 1].sum()) / n_days, 1e-9)
    # Counts scatter more than Poisson; a tenth of the rows due is a cautious effective number.
    if due * min(scale, 1) / 3 < -np.log(_UNLIKELY):
        return None
    return _share_by(before, latest + 0.5, half_width=0.5)


def _share_by(profile: Floats, hours: float, half_width: float = 0.1) -> tuple[float, float]:
    """Return the share of a day that falls before an hour, and its relative standard error."""
    cumulative = np.concatenate([[0.0], np.cumsum(profile)]) / profile.sum()
    share, low, high = np.interp(
        [hours, hours - half_width, hours + half_width], np.arange(25), cumulative
    )
    if share <= 0:
        return 0.0, 0.0
    sampling = (1 - share) / max(share * profile.sum(), 1.0)
    return float(share), float(np.sqrt(((high - low) / 2 / share) ** 2 / 3 + sampling))


def scale_for_elapsed(grid: Grid, share: float, error: float) -> Grid:
    """Expect of the last period only what was due by now."""
    shares, errors = np.ones(len(grid.days)), np.zeros(len(grid.days))
    shares[-1], errors[-1] = share, error
    caveat = (
        f"{wording.day(grid.days[-1])} is not over: it is compared with the "
        f"{wording.percent(share)} that is usually there by now. If rows were lost at the end of "
        "the day, this looks the same."
    )
    return _scaled(grid, shares, errors, dispersion=1.0, caveat=caveat)


def _midnight(day: dt.date | dt.datetime) -> dt.datetime:
    return day if isinstance(day, dt.datetime) else dt.datetime.combine(day, dt.time())


def _day(day: dt.date | dt.datetime) -> dt.date:
    return day.date() if isinstance(day, dt.datetime) else day
