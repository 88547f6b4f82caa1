"""Can a hundred thousand series be followed in bounded memory?

Run with ``python -m benchmarks.spikes_many [--series 100000]``; it rewrites
benchmarks/results/spikes_many.md. Blocks of 5,000 series of 730 days are made, followed, and
forgotten but for the p-value of the best window; then each day is judged across all series.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from rcakit.stats.filters import filter_counts
from rcakit.stats.multiplicity import benjamini_hochberg
from rcakit.stats.scans import best_window

RESULTS = Path(__file__).parent / "results" / "spikes_many.md"
_BLOCK = 5_000
_DAYS = 730
_SEED = 4711


def block(n_series: int, rng: np.random.Generator) -> np.ndarray:
    """Clean counts with a weekday pattern; levels from 1 to 1,000 a day."""
    level = np.exp(rng.uniform(0, np.log(1000), (n_series, 1))).astype(np.float32)
    week = np.exp(rng.normal(0, 0.2, (n_series, 7))).astype(np.float32)
    mean = level * np.resize(week.T, (_DAYS, n_series)).T
    return rng.negative_binomial(mean, 0.5).astype(np.float32)


def main() -> None:
    """Follow, judge, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    n_series = parser.parse_args().series
    rng = np.random.default_rng(_SEED)
    pvalue = np.empty((n_series, _DAYS), np.float32)
    spent = 0.0
    for start in range(0, n_series, _BLOCK):
        counts = block(min(_BLOCK, n_series - start), rng)
        now = time.process_time()
        found = filter_counts(counts)
        tails = (found.pvalue_upper, found.pvalue_lower)
        best, _ = best_window(*tails, found.windows, direction="both")
        pvalue[start : start + len(best)] = best
        spent += time.process_time() - now
    now = time.process_time()
    n_odd = sum(
        int((benjamini_hochberg(np.minimum(pvalue[:, t] * 7.0, 1)) <= 0.01).sum())
        for t in range(14, _DAYS)
    )
    judged = time.process_time() - now
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    lines = [
        "# A hundred thousand series",
        "",
        "By `python -m benchmarks.spikes_many`; clean series of 730 days, one thread.",
        "",
        "| what | measured | bar |",
        "|---|---|---|",
        f"| series followed in blocks of {_BLOCK:,} | {n_series:,} | 100,000 |",
        f"| CPU seconds to follow and scan them | {spent:.1f} | |",
        f"| CPU seconds to judge every day across all series | {judged:.1f} | |",
        f"| peak memory, GB | {peak:.2f} | < 2 |",
        f"| alarms on clean series, a week | {n_odd / (_DAYS - 14) * 7:.2f} | |",
    ]
    text = "\n".join(lines) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
