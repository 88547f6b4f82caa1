"""How much processor time does a series cost, next to what an analyst could use instead?

    python -m benchmarks.spikes_speed [--peers]

730 daily values per series, one thread, best of three runs for the fast ones. `--peers` needs
the environment with statsmodels, statsforecast and pandas.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.results_file import printed_to
from benchmarks.simulated_counts import TUNING_SEEDS, WORLDS, replace, simulate
from rcakit.stats.filters import filter_counts
from rcakit.stats.multiplicity import benjamini_hochberg


def cpu_seconds(call: Callable[[], object], *, repeats: int = 3) -> float:
    """Least processor time of some runs."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def first_call_seconds() -> float:
    """Wall clock of a fresh interpreter that filters one series of 730 days."""
    code = (
        "import numpy as np; from rcakit.stats.filters import filter_counts;"
        "filter_counts(np.random.default_rng(0).poisson(50, 730).astype(float))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def one_step(counts: np.ndarray) -> Callable[[], object]:
    """A new day for series already followed."""
    state = filter_counts(counts[:, :-1]).state
    return lambda: filter_counts(counts[:, -1:], state=state)


def peers(counts: np.ndarray) -> dict[str, float]:
    """CPU milliseconds per series of other packages."""
    import pandas as pd
    from statsforecast import models
    from statsmodels.tsa.seasonal import STL

    frame = pd.DataFrame(counts.T)
    calls = {
        "pandas rolling z": (
            lambda: (frame - frame.rolling(28).mean()) / frame.rolling(28).std(),
            1000,
        ),
        "pandas rolling median": (lambda: frame.rolling(28).median(), 1000),
        "statsmodels STL": (lambda: [STL(y, period=7).fit() for y in counts[:40]], 40),
        "statsmodels STL robust": (
            lambda: [STL(y, period=7, robust=True).fit() for y in counts[:20]],
            20,
        ),
        "statsforecast MSTL": (
            lambda: [_fit(models.MSTL(season_length=[7]), y) for y in counts[:10]],
            10,
        ),
        "statsforecast AutoETS": (
            lambda: [_fit(models.AutoETS(season_length=7), y) for y in counts[:6]],
            6,
        ),
    }
    return {name: 1000 * cpu_seconds(call, repeats=2) / n for name, (call, n) in calls.items()}


def _fit(model: object, y: np.ndarray) -> object:
    return model.forecast(y=y, h=1, level=[99], fitted=True)


def main() -> None:
    """Print the table."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true")
    with_peers = parser.parse_args().peers
    print("threads:", os.environ.get("OMP_NUM_THREADS", "unset"), "load:", os.getloadavg())
    few = simulate(WORLDS["standard"], TUNING_SEEDS[0]).counts
    many = simulate(replace(WORLDS["standard"], n_series=10_000), TUNING_SEEDS[1]).counts
    seconds = cpu_seconds(lambda: filter_counts(many))
    ours = 1000 * seconds / len(many)
    pvalues = filter_counts(many[:, -60:]).pvalue_upper[0, :, -1]
    print(f"filter, 10,000 series x 730: {seconds:.2f} CPU s ({ours:.3f} ms per series)")
    print(f"filter, 1,000 series x 730: {cpu_seconds(lambda: filter_counts(few)):.3f} CPU s")
    print(f"filter, one series x 730: {cpu_seconds(lambda: filter_counts(few[:1])):.3f} CPU s")
    print(f"filter, one new day of 10,000 series: {cpu_seconds(one_step(many)):.4f} CPU s")
    print(
        f"q-values of 10,000 series: {1000 * cpu_seconds(lambda: benjamini_hochberg(pvalues)):.2f} CPU ms"
    )
    print(f"first call in a fresh process: {first_call_seconds():.2f} s wall clock")
    if with_peers:
        for name, each in peers(few).items():
            print(f"{name:26s} {each:10.3f} CPU ms per series   {each / ours:10.1f} x the filter")


if __name__ == "__main__":
    with printed_to("spikes_speed"):
        main()
