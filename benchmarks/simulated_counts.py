"""What does a detector find on made-up daily counts with planted spikes and level shifts?

The simulator and the scorer of `spikes_quality.py`. Seeds were fixed before any tuning:
tuning used `TUNING_SEEDS` only, reported tables use `REPORTING_SEEDS` only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

TUNING_SEEDS = (101, 102, 103)
REPORTING_SEEDS = (2026, 2027, 2028)

YEAR = 365
SHIFT_GRACE_DAYS = 14  # a shift counts as found when an alarm falls in its first 14 days
SPIKE_MASK_AFTER = 7  # alarms up to a week after a spike are not counted against a detector


@dataclass(frozen=True, slots=True)
class World:
    """The parameters of one simulated population of series; rates are per day."""

    n_series: int = 1000
    n_days: int = 730
    base: tuple[float, float] = (1.0, 1000.0)
    weekday_sd: float = 0.2
    trend_sd: float = 0.15  # of the log rate, per year
    annual_amplitude: tuple[float, float] = (0.0, 0.2)
    drift_sd: float = 0.006  # of the daily step of the log rate
    phi: tuple[float, float] = (1.0, 3.0)  # variance = phi * mean + a * mean**2
    a: tuple[float, float] = (0.0, 0.02)
    spike_share: float = 0.4
    shift_share: float = 0.2
    spike_sds: tuple[float, ...] = (2, 3, 4, 6, 8)
    spike_days: tuple[int, int] = (1, 4)
    shift_ratios: tuple[float, ...] = (1.2, 1.35, 1.5, 2.0)
    missing_share: float = 0.0
    gamma_spikes: bool = False  # spike size scattered around k sd rather than Poisson about it


WORLDS = {
    "standard": World(),
    "sparse": World(base=(0.05, 10.0), a=(0.0, 0.1)),
    "busy": World(base=(300.0, 100_000.0), phi=(1.0, 30.0), a=(0.0, 0.01)),
    "strong weekday, fast drift": World(weekday_sd=0.5, drift_sd=0.015),
    "growth": World(trend_sd=0.8),
    "heavy dispersion": World(phi=(2.0, 20.0), a=(0.02, 0.2)),
    "missing days": World(missing_share=0.08),
    "steady": World(weekday_sd=0.1, drift_sd=0.0, trend_sd=0.0, annual_amplitude=(0.0, 0.0)),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One planted event: `series`, its first day, its last day (inclusive), `spike` or `shift`."""

    series: int
    start: int
    end: int
    kind: str
    size: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """Counts, the truth behind them, and where events were planted."""

    counts: np.ndarray  # (n_series, n_days), nan = missing
    mean: np.ndarray  # without the events
    variance: np.ndarray
    events: tuple[Event, ...]

    def head(self, n_series: int) -> Simulated:
        """Every k-th series, so that spikes, shifts and clean series keep their shares."""
        rows = np.arange(0, len(self.counts), len(self.counts) // n_series)[:n_series]
        place = {int(row): i for i, row in enumerate(rows)}
        events = tuple(replace(e, series=place[e.series]) for e in self.events if e.series in place)
        return Simulated(self.counts[rows], self.mean[rows], self.variance[rows], events)


def simulate(world: World, seed: int) -> Simulated:
    """Draw one population; the first year is clean so that every detector can learn."""
    rng = np.random.default_rng(seed)
    mean = _baseline(world, rng)
    phi = rng.uniform(*world.phi, size=(world.n_series, 1))
    a = rng.uniform(*world.a, size=(world.n_series, 1))
    shuffled = rng.permutation(world.n_series)
    n_spike = int(world.spike_share * world.n_series)
    n_shift = int(world.shift_share * world.n_series)
    shifts, lifted = _plant_shifts(world, mean, shuffled[n_spike : n_spike + n_shift], rng)
    counts = negative_binomial(rng, lifted, phi * lifted + a * lifted**2)
    variance = phi * mean + a * mean**2
    spikes = _plant_spikes(world, counts, variance, shuffled[:n_spike], rng)
    if world.missing_share:
        counts[rng.random(counts.shape) < world.missing_share] = np.nan
    return Simulated(counts, mean, variance, (*spikes, *shifts))


def negative_binomial(
    rng: np.random.Generator, mean: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """Counts of the given mean and variance (at least Poisson)."""
    size = mean**2 / np.maximum(variance - mean, 1e-9 * mean)
    return rng.poisson(rng.gamma(size, mean / size)).astype(float)


def _baseline(world: World, rng: np.random.Generator) -> np.ndarray:
    """Level, weekday, trend, yearly wave and drift, multiplied."""
    n, days = world.n_series, np.arange(world.n_days)
    level = rng.uniform(*np.log(world.base), size=(n, 1))
    weekday = rng.normal(0, world.weekday_sd, size=(n, 7))
    trend = rng.normal(0, world.trend_sd, size=(n, 1)) * days / YEAR
    phase = rng.uniform(0, 2 * np.pi, size=(n, 1))
    amplitude = rng.uniform(*world.annual_amplitude, size=(n, 1))
    yearly = amplitude * np.sin(2 * np.pi * days / YEAR + phase)
    drift = np.cumsum(rng.normal(0, world.drift_sd, size=(n, world.n_days)), axis=1)
    return np.exp(level + weekday[:, days % 7] + trend + yearly + drift)


def _plant_spikes(world, counts, variance, rows, rng) -> list[Event]:
    """Two spikes per chosen series, one in each half of the second year."""
    events = []
    for row in rows:
        for half in range(2):
            low = YEAR + 5 + half * 180
            start = int(rng.integers(low, low + 160))
            length = int(rng.integers(world.spike_days[0], world.spike_days[1] + 1))
            size = float(rng.choice(world.spike_sds))
            days = slice(start, start + length)
            extra = size * np.sqrt(variance[row, days])
            if world.gamma_spikes:
                extra = extra * rng.gamma(4, 1 / 4, size=length)
            counts[row, days] += rng.poisson(extra)
            events.append(Event(int(row), start, start + length - 1, "spike", size))
    return events


def _plant_shifts(world, mean, rows, rng) -> tuple[list[Event], np.ndarray]:
    """One lasting shift per chosen series, with at least 60 days to go."""
    lifted = mean.copy()
    events = []
    for row in rows:
        start = int(rng.integers(YEAR + 10, world.n_days - 60))
        ratio = float(rng.choice(world.shift_ratios))
        lifted[row, start:] *= ratio
        events.append(Event(int(row), start, world.n_days - 1, "shift", ratio))
    return events, lifted


@dataclass(frozen=True, slots=True)
class Score:
    """Recall at the score threshold that keeps false incidents within the budget."""

    spike_recall: float
    shift_recall: float
    recall: float
    incidents_per_series_year: float
    threshold: float
    n_events: int
    alarm_days_after_shift: float  # per year, from day 28 of the shift on


def score(truth: Simulated, scores: np.ndarray, *, threshold=None, budget: float = 1.0) -> Score:
    """Recall of `scores` (larger = more anomalous) on the second year.

    Without `threshold`, the lowest one is taken at which false incidents stay at or below
    `budget` per series-year. Ties in the scores are taken whole (an alarm is >= threshold).
    """
    scores = np.nan_to_num(scores[:, YEAR:], nan=-np.inf)
    masked, shares = _masks(truth, scores.shape)
    if threshold is None:
        threshold = _matched_threshold(scores, masked, budget)
    alarms = scores >= threshold
    spikes = [e for e in truth.events if e.kind == "spike"]
    shifts = [e for e in truth.events if e.kind == "shift"]
    found_spikes = sum(alarms[e.series, e.start - YEAR : e.end - YEAR + 1].any() for e in spikes)
    found_shifts = sum(
        alarms[e.series, e.start - YEAR : e.start - YEAR + SHIFT_GRACE_DAYS].any() for e in shifts
    )
    after = [alarms[e.series, e.start - YEAR + 28 :] for e in shifts]
    after_days = max(sum(len(a) for a in after), 1)
    return Score(
        spike_recall=found_spikes / max(len(spikes), 1),
        shift_recall=found_shifts / max(len(shifts), 1),
        recall=(found_spikes + found_shifts) / max(len(spikes) + len(shifts), 1),
        incidents_per_series_year=_incidents(alarms, masked) / shares,
        threshold=float(threshold),
        n_events=len(truth.events),
        alarm_days_after_shift=float(sum(a.sum() for a in after) / after_days * YEAR),
    )


def _masks(truth: Simulated, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Days on which an alarm is not false, and the unmasked exposure in series-years."""
    masked = np.zeros(shape, dtype=bool)
    for e in truth.events:
        last = shape[1] if e.kind == "shift" else e.end - YEAR + SPIKE_MASK_AFTER + 1
        masked[e.series, max(e.start - YEAR - 1, 0) : last] = True
    return masked, float((~masked).sum() / YEAR)


def _incidents(alarms: np.ndarray, masked: np.ndarray) -> int:
    """Starts of runs of alarm days that begin outside the masks."""
    starts = alarms.copy()
    starts[:, 1:] &= ~alarms[:, :-1]
    return int((starts & ~masked).sum())


def _matched_threshold(scores: np.ndarray, masked: np.ndarray, budget: float) -> float:
    """The lowest threshold whose false incidents are within budget, by bisection on ranks."""
    years = float((~masked).sum() / YEAR)
    values = np.unique(scores[np.isfinite(scores)])
    # Runs merge at very low thresholds, so incidents are not monotone there: start at the
    # median score, below which nobody would alarm.
    low, high = len(values) // 2, len(values) - 1
    if _incidents(scores >= values[high], masked) / years > budget:
        return float(np.nextafter(values[high], np.inf))
    while low < high:
        middle = (low + high) // 2
        if _incidents(scores >= values[middle], masked) / years <= budget:
            high = middle
        else:
            low = middle + 1
    return float(values[high])
