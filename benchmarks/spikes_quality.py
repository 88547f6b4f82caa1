"""Who finds planted spikes and shifts at one false incident per series-year?

Usage (two steps, because the peers live in an environment of their own):

    python -m benchmarks.spikes_quality rcakit  [--seeds report|tune] [--world NAME ...]
    python -m benchmarks.spikes_quality peers   [--seed 2026] [--world NAME] [--peer autoets --sample 250]

`rcakit` needs numpy and scipy only: it prints the filter, the oracles and the rolling
z-scores on whole populations. `peers` adds STL, MSTL, AutoETS and Prophet on sub-samples,
with the filter and the oracle on the same sub-sample, and the processor time of each.
Every detector gives a score per day; the threshold is matched on the same series.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from unittest import mock

import numpy as np

from benchmarks.results_file import printed_to
from benchmarks.simulated_counts import (
    REPORTING_SEEDS,
    TUNING_SEEDS,
    WORLDS,
    YEAR,
    Score,
    Simulated,
    score,
    simulate,
)
from rcakit.stats.filters import FilterOptions, filter_counts, scan
from rcakit.stats.tails import tail_pvalues

WINDOWS = FilterOptions().windows
PEER_SAMPLES = {"stl robust": 600, "mstl": 300, "autoets": 120, "prophet": 120}


def surprise(pvalues: np.ndarray) -> np.ndarray:
    """Minus log10 of the p-value; 0 where there is none."""
    return -np.log10(np.maximum(np.nan_to_num(pvalues, nan=1.0), 1e-300))


def filter_scores(truth: Simulated) -> np.ndarray:
    """The filter, smallest p-value over the scan windows."""
    return surprise(filter_counts(truth.counts).pvalue_upper).max(axis=0)


def filter_day_scores(truth: Simulated) -> np.ndarray:
    """The filter without scanning."""
    return surprise(filter_counts(truth.counts).pvalue_upper[0])


def oracle_scores(truth: Simulated, windows: tuple[int, ...] = (1,)) -> np.ndarray:
    """P-values under the true mean and variance."""
    seen = np.isfinite(truth.counts)
    sums = [
        np.cumsum(np.pad(np.where(seen, a, 0), ((0, 0), (1, 0))), axis=1)
        for a in (truth.counts, truth.mean, truth.variance)
    ]
    best = np.zeros(truth.counts.shape)
    for w in windows:
        y, mean, variance = (s[:, w:] - s[:, :-w] for s in sums)
        mean = np.maximum(mean, 1e-9)
        upper, _ = tail_pvalues(np.round(y), mean, np.maximum(variance, mean))
        best[:, w - 1 :] = np.maximum(best[:, w - 1 :], surprise(upper))
    best[~seen] = 0
    return best


def oracle_scan_scores(truth: Simulated) -> np.ndarray:
    """The oracle with the filter's own scan windows."""
    return oracle_scores(truth, WINDOWS)


def rolling_z(truth: Simulated, *, n_back: int = 28, step: int = 1) -> np.ndarray:
    """Z-score against the mean and sd of the `n_back` values before, `step` days apart."""
    y = truth.counts
    out = np.full(y.shape, np.nan)
    for t in range(n_back * step, y.shape[1]):
        past = y[:, t - n_back * step : t : step]
        spread = np.maximum(np.nanstd(past, axis=1, ddof=1), 1e-9)
        out[:, t] = (y[:, t] - np.nanmean(past, axis=1)) / spread
    return np.nan_to_num(out, nan=0.0)


def same_weekday_z(truth: Simulated) -> np.ndarray:
    """Z-score against the same weekday of the 8 weeks before."""
    return rolling_z(truth, n_back=8, step=7)


def stl_scores(truth: Simulated, *, robust: bool = True) -> np.ndarray:
    """Remainder of STL (which sees the future) over its median absolute deviation."""
    from statsmodels.tsa.seasonal import STL

    rest = np.stack([STL(y, period=7, robust=robust).fit().resid for y in filled(truth)])
    return rest / (1.4826 * np.median(np.abs(rest), axis=1, keepdims=True))


def stl_plain_scores(truth: Simulated) -> np.ndarray:
    """STL without robustness steps."""
    return stl_scores(truth, robust=False)


def forecast_scores(model_name: str) -> Callable[[Simulated], np.ndarray]:
    """In-sample residuals over the half-width of the model's own 99 % band."""

    def scores(truth: Simulated) -> np.ndarray:
        from statsforecast import models

        out = []
        for y in filled(truth):
            if model_name == "mstl":
                model = models.MSTL(season_length=[7])
            else:
                model = models.AutoETS(season_length=7)
            fit = model.forecast(y=y, h=1, level=[99], fitted=True)
            width = fit["fitted-hi-99"] - fit["fitted"]
            out.append((y - fit["fitted"]) / np.maximum(width, 1e-9))
        return np.stack(out)

    return scores


def prophet_scores(truth: Simulated) -> np.ndarray:
    """Prophet's in-sample residual over the half-width of its 99 % band."""
    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True
    days = pd.date_range("2023-01-01", periods=truth.counts.shape[1])
    out = []
    for y in filled(truth):
        frame = pd.DataFrame({"ds": days, "y": y})
        model = Prophet(interval_width=0.99, daily_seasonality=False)
        fit = model.fit(frame).predict(frame)
        width = (fit.yhat_upper - fit.yhat_lower).to_numpy() / 2
        out.append((y - fit.yhat.to_numpy()) / width)
    return np.stack(out)


def filled(truth: Simulated) -> np.ndarray:
    """Missing days as the mean of the same weekday a week before and after (for peers)."""
    y = truth.counts.copy()
    for row in y:
        gaps = np.flatnonzero(np.isnan(row))
        for gap in gaps:
            row[gap] = np.nanmean(np.append(row[[gap - 7, (gap + 7) % len(row)]], 0))
    return y


NUMPY_ONLY = {
    "oracle, one day": oracle_scores,
    "oracle, scan": oracle_scan_scores,
    "rcakit filter, scan": filter_scores,
    "rcakit filter, one day": filter_day_scores,
    "rolling z 28 d": rolling_z,
    "same-weekday z 8 w": same_weekday_z,
}
PEERS = {
    "stl robust": stl_scores,
    "mstl": forecast_scores("mstl"),
    "autoets": forecast_scores("autoets"),
    "prophet": prophet_scores,
}


def row(name: str, n: int, s: Score, seconds: float) -> str:
    """One line of the table."""
    return (
        f"{name:24s} {n:5d} {s.n_events:6d}  {s.spike_recall:.3f}  {s.shift_recall:.3f}   "
        f"{s.recall:.3f}   {s.incidents_per_series_year:.2f}   {s.alarm_days_after_shift:6.1f}   "
        f"{1000 * seconds / n:8.3f}"
    )


HEADER = (
    "detector                     n events  spike  shift  overall  inc/sy  days after   "
    "CPU ms/series"
)


def measure(detector: Callable[[Simulated], np.ndarray], truth: Simulated) -> tuple[Score, float]:
    """Score one detector on one population, with its processor time."""
    start = time.process_time()
    scores = detector(truth)
    return score(truth, scores), time.process_time() - start


def report_rcakit(worlds: list[str], seeds: tuple[int, ...]) -> None:
    """Mean over the seeds, per world, and the share of the oracle that the filter reaches."""
    for world in worlds:
        truths = [simulate(WORLDS[world], seed) for seed in seeds]
        print(f"\n## {world}, seeds {seeds}, {len(truths[0].counts)} series each\n{HEADER}")
        overall = {}
        for name, detector in NUMPY_ONLY.items():
            runs = [measure(detector, truth) for truth in truths]
            mean = Score(*np.mean([[getattr(s, f) for f in Score.__slots__] for s, _ in runs], 0))
            overall[name] = mean.recall
            total = sum(int(s.n_events) for s, _ in runs)
            mean = Score(*[total if f == "n_events" else getattr(mean, f) for f in Score.__slots__])
            n = sum(len(t.counts) for t in truths)
            print(row(name, n, mean, sum(seconds for _, seconds in runs)))
        share = overall["rcakit filter, scan"] / overall["oracle, one day"]
        scan = overall["rcakit filter, scan"] / overall["oracle, scan"]
        print(
            f"share of the one-day oracle's recall {share:.3f}; of the scanning oracle's {scan:.3f}"
        )
        calibration(truths)


def calibration(truths: list[Simulated]) -> None:
    """Rates of small p-values in the second year of series without planted events.

    Mid-p-values of counts cannot be uniform, so the tails are randomised here: a count takes a
    random place within its own probability, which is uniform under the law of the filter.
    """
    kept: dict[str, list[np.ndarray]] = {"upper": [], "lower": []}
    with mock.patch.object(scan, "tail_pvalues", randomised_tails(np.random.default_rng(5))):
        for truth in truths:
            clean = np.ones(len(truth.counts), dtype=bool)
            clean[[e.series for e in truth.events]] = False
            found = filter_counts(truth.counts[clean])
            for side, parts in kept.items():
                parts.append(getattr(found, f"pvalue_{side}")[:, :, YEAR:])
    print(
        "clean series, randomised p-values: side, window, P(p<.01), P(p<.001), P in each tenth x10"
    )
    for side, parts in kept.items():
        for window, tails in zip(WINDOWS, np.concatenate(parts, axis=1), strict=True):
            p = tails[np.isfinite(tails)]
            tenths = " ".join(f"{10 * n / len(p):.2f}" for n in np.histogram(p, 10, (0, 1))[0])
            print(f"  {side} {window}  {(p < 0.01).mean():.4f}  {(p < 0.001).mean():.5f}  {tenths}")


def randomised_tails(rng: np.random.Generator) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """The filter's tails, with a random share of the count's own probability in place of half."""
    from scipy.stats import nbinom

    def tails(
        counts: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
        *,
        out: tuple[np.ndarray, np.ndarray],
    ) -> tuple[np.ndarray, ...]:
        upper, lower = tail_pvalues(counts, mean, variance, out=out)
        m = mean.astype(float)
        excess = np.maximum(variance / m - 1, 1e-6)
        shift = nbinom.pmf(np.round(counts), m / excess, 1 / (1 + excess))
        shift *= rng.random(shift.shape) - 0.5
        np.clip(upper + shift, 0, 1, out=upper)
        np.clip(lower - shift, 0, 1, out=lower)
        return out

    return tails


def report_peers(world: str, seed: int, samples: dict[str, int]) -> None:
    """Each peer beside the filter and the oracle on its own sub-sample."""
    whole = simulate(WORLDS[world], seed)
    print(f"\n## peers, {world}, seed {seed}\n{HEADER}")
    for name, n in samples.items():
        detector = PEERS[name]
        truth = whole.head(n)
        for label, method in (
            (name, detector),
            ("  filter, same series", filter_scores),
            ("  oracle, same series", oracle_scores),
        ):
            print(row(label, n, *measure(method, truth)), flush=True)


def main() -> None:
    """Read the command line."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["rcakit", "peers"])
    parser.add_argument("--seeds", choices=["report", "tune"], default="report")
    parser.add_argument("--seed", type=int, default=REPORTING_SEEDS[0])
    parser.add_argument("--world", nargs="*", default=None)
    parser.add_argument("--peer", choices=list(PEERS), help="one peer only, with --sample series")
    parser.add_argument("--sample", type=int, default=100)
    args = parser.parse_args()
    if args.part == "rcakit":
        seeds = REPORTING_SEEDS if args.seeds == "report" else TUNING_SEEDS
        report_rcakit(args.world or list(WORLDS), seeds)
    else:
        for world in args.world or ["standard"]:
            samples = {args.peer: args.sample} if args.peer else PEER_SAMPLES
            report_peers(world, args.seed, samples)


if __name__ == "__main__":
    with printed_to("spikes_quality"):
        main()
