"""Time and memory of the engine from a thousand to a million leaves, and with 100,000 values of one dimension.

Run: python -m benchmarks.drivers_cost [largest exponent]
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.table import publish
from rcakit.stats.attribution.counts import attribute_counts
from rcakit.stats.attribution.history import History


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


def many_values(n_values: int, seed: int, n_days: int = 28):
    """A table of accounts by three small dimensions; one account has a burst."""
    rng = np.random.default_rng(seed)
    sizes = (n_values, 30, 12, 8)
    codes = np.column_stack([rng.integers(0, size, 2 * n_values) for size in sizes])
    codes = np.unique(codes, axis=0)
    mean = rng.lognormal(-2.0, 1.0, len(codes))
    totals = rng.poisson(mean * n_days)
    leaf = np.repeat(np.arange(len(codes)), totals)
    day = rng.integers(0, n_days, len(leaf))
    key, count = np.unique(leaf * n_days + day, return_counts=True)
    weekday = np.arange(n_days + 1) % 7
    observed = rng.poisson(mean) + np.where(codes[:, 0] == 77, 30.0, 0.0)
    history = History(
        key // n_days, key % n_days, count.astype(float), weekday[:n_days], weekday[n_days:]
    )
    return codes, sizes, observed, history


def measure(kind: str, n: int) -> dict[str, float]:
    """Best of a few runs, and the peak of this process's own memory."""
    made = instance(n, 1) if kind == "leaves" else many_values(n, 1)
    codes, sizes, observed, history = made
    best, named = np.inf, []
    for _ in range(7 if n < 200_000 else 3):
        began = time.process_time()
        result = attribute_counts(codes, sizes, observed, history=history)
        best = min(best, time.process_time() - began)
        named = [segment.codes for segment in result.segments]
    return {
        "leaves": len(codes),
        "entries": len(history.leaf),
        "candidates": result.n_candidates,
        "seconds": best,
        "memory": peak_memory(),
        "named": len(named),
    }


def peak_memory() -> float:
    """Peak resident memory of this process in MB; unlike ru_maxrss it does not hold the parent's."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def in_child(kind: str, n: int) -> dict[str, float]:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.drivers_cost", "--one", kind, str(n)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def rows(largest: float) -> Iterator[dict[str, object]]:
    """One row per size, then the growth from 10,000 leaves on."""
    points = []
    sizes = [("leaves", int(10**exponent)) for exponent in np.arange(3.0, largest + 0.1, 0.5)]
    for kind, n in [*sizes, ("values", 100_000)]:
        seen = in_child(kind, n)
        if kind == "leaves":
            points.append((seen["leaves"], seen["seconds"]))
        yield {
            "leaves": f"{seen['leaves']:,}" + (", 100,000 values" if kind == "values" else ""),
            "history entries": f"{seen['entries']:,}",
            "candidates": f"{seen['candidates']:,}",
            "named": seen["named"],
            "CPU s": f"{seen['seconds']:.3f}",
            "peak memory, MB": round(seen["memory"]),
        }
    x, y = np.log(np.array(points, float)).T
    late = x >= np.log(9_000)
    yield {
        "leaves": "growth exponent from 10,000",
        "CPU s": f"{np.polyfit(x[late], y[late], 1)[0]:.2f}",
    }


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps(measure(sys.argv[-2], int(sys.argv[-1]))))
        sys.exit()
    publish(
        "drivers_cost",
        title="Cost of attribution",
        notes=(
            "Six dimensions (four with 100,000 values), depth 3, 28 days, one planted cause; best of several "
            "runs, each size in a process of its own, whose peak memory includes Python and the data."
        ),
        rows=rows(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0),
    )
