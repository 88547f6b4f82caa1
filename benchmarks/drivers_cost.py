"""Time and memory of the engine from a thousand to a million leaves.

Run: python -m benchmarks.drivers_cost [largest exponent]
"""

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.table import publish
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.leaves import History


def instance(n_leaves: int, seed: int, n_dimensions: int = 6, n_days: int = 28):
    """A table with about two events per leaf and week, one planted cause."""
    rng = np.random.default_rng(seed)
    sizes = (40, 20, 12, 8, 6, 5)[:n_dimensions]
    space = int(np.prod(sizes))
    flat = np.sort(rng.choice(space, min(n_leaves, space), replace=False))
    codes = np.column_stack(np.unravel_index(flat, sizes))
    mean = rng.lognormal(-1.5, 1.0, len(codes))
    totals = rng.poisson(mean * n_days)
    leaf = np.repeat(np.arange(len(codes)), totals)
    day = rng.integers(0, n_days, len(leaf))
    key, count = np.unique(leaf * n_days + day, return_counts=True)
    weekday = np.arange(n_days + 1) % 7
    observed = rng.poisson(
        mean * np.where((codes[:, 2] == 3) & (codes[:, 4] == 1), 2.0, 1.0)
    ).astype(float)
    history = History(
        key // n_days, key % n_days, count.astype(float), weekday[:n_days], weekday[n_days:]
    )
    return codes, sizes, observed, history


def rows(largest: float) -> Iterator[dict[str, object]]:
    """One row per size, then the growth from 10,000 leaves on."""
    points = []
    for exponent in np.arange(3.0, largest + 0.1, 0.5):
        codes, sizes, observed, history = instance(int(10**exponent), 1)
        best = np.inf
        for _ in range(3 if exponent < 5.5 else 1):
            began = time.process_time()
            result = attribute_counts(codes, sizes, observed, history=history)
            best = min(best, time.process_time() - began)
        points.append((len(codes), best))
        yield {
            "leaves": f"{len(codes):,}",
            "history entries": f"{len(history.leaf):,}",
            "candidates": f"{result.n_candidates:,}",
            "CPU s": f"{best:.3f}",
            "peak memory, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    x, y = np.log(np.array(points, float)).T
    late = x >= np.log(9_000)
    yield {
        "leaves": "growth exponent from 10,000",
        "CPU s": f"{np.polyfit(x[late], y[late], 1)[0]:.2f}",
    }


if __name__ == "__main__":
    publish(
        "drivers_cost",
        title="Cost of attribution",
        notes="Six dimensions, depth 3, 28 days, one planted cause; memory of the whole process.",
        rows=rows(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0),
    )
